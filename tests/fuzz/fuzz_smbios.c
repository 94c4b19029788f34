/* Reads no byte outside the tables, and comes to the same digest twice. */
#include "tests/fuzz/fuzz.h"

#include "measure/include/cvm/smbios.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 first;
    struct cvm_sha384 second;
    const struct cvm_bytes tables = { data, size };
    const struct cvm_smbios_firmware firmware = { "vendor", "version", "01/02/2025" };
    if (fuzz_accepted(cvm_smbios_digest(tables, &firmware, &first, &err), &err)) {
        fuzz_require(cvm_smbios_digest(tables, &firmware, &second, &err), "accepts it twice");
        fuzz_require(memcmp(&first, &second, sizeof first) == 0, "has one digest");
    }
    return 0;
}
