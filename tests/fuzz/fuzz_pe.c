/* Reads no byte outside the image, and comes to the same digest twice. */
#include "tests/fuzz/fuzz.h"

#include "measure/pe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 first;
    struct cvm_sha384 second;
    const struct cvm_bytes image = { data, size };
    if (fuzz_accepted(pe_authenticode(image, &first, &err), &err)) {
        fuzz_require(pe_authenticode(image, &second, &err), "accepts it twice");
        fuzz_require(memcmp(&first, &second, sizeof first) == 0, "has one digest");
    }
    return 0;
}
