/* A compact measurement that is accepted means what it says: built again it is the same. */
#include "tests/fuzz/fuzz.h"

#include "measure/include/cvm/compact.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_compact first;
    struct cvm_compact second;
    if (!fuzz_accepted(cvm_compact_parse((struct cvm_bytes){ data, size }, &first, &err), &err)) {
        return 0;
    }
    uint8_t *built = NULL;
    size_t built_size = 0;
    fuzz_require(cvm_compact_build(&first, &built, &built_size, &err), "builds what was parsed");
    /* Heads may be longer than need be, so the input may be; of the same size it is the same. */
    fuzz_require(built_size <= size, "builds the shortest form");
    fuzz_require(built_size < size || memcmp(built, data, size) == 0, "builds the same bytes");
    fuzz_require(cvm_compact_parse((struct cvm_bytes){ built, built_size }, &second, &err),
                 "parses what was built");
    uint8_t *again = NULL;
    size_t again_size = 0;
    fuzz_require(cvm_compact_build(&second, &again, &again_size, &err), "builds it again");
    fuzz_require(again_size == built_size && memcmp(again, built, built_size) == 0,
                 "builds the same again");
    free(built);
    free(again);
    return 0;
}
