/* Whatever the header says, only its own fields are rewritten, and doing it twice adds nothing. */
#include "tests/fuzz/fuzz.h"

#include "measure/kernel.h"

#include <string.h>

/* Whether rewriting may change the byte at this offset. */
static bool is_field(size_t at, bool has_initrd)
{
    return at == 0x210 || at == 0x211 || (has_initrd && at >= 0x218 && at < 0x220) || at == 0x224 ||
           at == 0x225 || (at >= 0x228 && at < 0x22c);
}

static bool rewrite_header(uint8_t *kernel, size_t size, const struct cvm_machine *machine,
                           uint64_t initrd_size, struct cvm_error *err)
{
    struct kernel_setup setup;
    uint32_t address;
    if (!kernel_read_setup((struct cvm_bytes){ kernel, size }, &setup, err) ||
        !kernel_place_initrd(&setup, machine, "quiet", initrd_size, &address, err)) {
        return false;
    }
    kernel_rewrite_header(kernel, &setup, initrd_size, address);
    return true;
}

static void rewrite(const uint8_t *data, size_t size, uint64_t memory_size, uint64_t initrd_size)
{
    struct cvm_error err = { 0 };
    const struct cvm_machine machine = { .memory_size = memory_size };
    uint8_t *once = malloc(size + 1);
    fuzz_require(once != NULL, "has memory");
    memcpy(once, data, size);
    if (fuzz_accepted(rewrite_header(once, size, &machine, initrd_size, &err), &err)) {
        for (size_t i = 0; i < size; i++) {
            fuzz_require(once[i] == data[i] || is_field(i, initrd_size != 0),
                         "changes only the header's fields");
        }
        uint8_t *twice = malloc(size);
        fuzz_require(twice != NULL, "has memory");
        memcpy(twice, once, size);
        fuzz_require(rewrite_header(twice, size, &machine, initrd_size, &err),
                     "rewrites what it wrote");
        fuzz_require(memcmp(once, twice, size) == 0, "is the same the second time");
        free(twice);
    }
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        uint64_t memory_size, initrd_size;
    } machines[] = {
        { UINT64_C(1) << 20, 0x1000 },
        { UINT64_C(2) << 30, 0 },
        { UINT64_C(2) << 30, 0x1234567 },
        { UINT64_C(0xb0000000), 0x7ffd7ffe },
        { UINT64_C(0xb0000000), UINT64_C(0x100000000) },
    };
    for (size_t i = 0; size != 0 && i < sizeof machines / sizeof machines[0]; i++) {
        rewrite(data, size, machines[i].memory_size, machines[i].initrd_size);
    }
    return 0;
}
