/* Files that a walk meets lie in the region or in what was unpacked, and the limits hold. */
#include "tests/fuzz/fuzz.h"

#include "measure/firmware_volume.h"

/* Reads every byte that is handed over, so that a sanitizer sees what is not there. */
static void touch(void *data, struct cvm_bytes bytes)
{
    uint8_t *sum = data;
    for (size_t i = 0; i < bytes.size; i++) {
        *sum ^= bytes.data[i];
    }
}

static void see_file(void *data, const struct fv_file *file)
{
    uint8_t *sum = data;
    touch(sum, file->contents);
    *sum ^= file->name.bytes[0];
    if (file->volume != NULL) {
        *sum ^= file->volume->bytes[0];
    }
}

static void see_packing(void *data, const struct cvm_guid *method)
{
    uint8_t *sum = data;
    *sum ^= method->bytes[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    uint8_t sum = 0;
    struct fv_visitor visitor = {
        .data = &sum,
        .on_file = see_file,
        .on_unpacked = touch,
        .on_unknown_packing = see_packing,
    };
    (void)fuzz_accepted(fv_walk((struct cvm_bytes){ data, size }, 0x1000, &visitor, &err), &err);
    fuzz_require(visitor.unpacked <= FV_MAX_UNPACKED, "unpacked within the limit");
    fuzz_require(visitor.num_files <= FV_MAX_FILES + 1, "files within the limit");
    return 0;
}
