/*
 * Reads no byte outside the tables, comes to the same digest twice, and finds every offset of
 * tables that it accepts in a structure.
 */
#include "tests/fuzz/fuzz.h"

#include "measure/smbios.h"

#include <string.h>

static void locate(struct cvm_bytes tables, bool accepted)
{
    struct smbios_place place;
    for (size_t i = 0; i <= 4; i++) { /* evenly, the end included */
        size_t offset = tables.size / 4 * i;
        if (smbios_locate(tables, offset, &place)) {
            fuzz_require(place.offset <= offset && offset < tables.size, "a place in the tables");
        } else {
            fuzz_require(!accepted || offset >= tables.size, "every offset has a place");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 first;
    struct cvm_sha384 second;
    const struct cvm_bytes tables = { data, size };
    const struct cvm_smbios_firmware firmware = { "vendor", "version", "01/02/2025" };
    bool accepted = fuzz_accepted(cvm_smbios_digest(tables, &firmware, &first, &err), &err);
    locate(tables, accepted);
    if (accepted) {
        fuzz_require(cvm_smbios_digest(tables, &firmware, &second, &err), "accepts it twice");
        fuzz_require(memcmp(&first, &second, sizeof first) == 0, "has one digest");
    }
    return 0;
}
