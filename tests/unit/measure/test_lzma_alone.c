#include "measure/lzma_alone.h"

#include "tests/support/check.h"
#include "tests/unit/measure/sample_volume.h"
#include "tests/unit/measure/samples.h"

enum { MAX = 1 << 20 };

static void assert_refused(struct cvm_bytes stream, size_t max, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    assert_false(lzma_alone_unpack(stream, max, &out, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
    cvm_buf_free(&out);
}

static void unpacks_what_was_packed(void **state)
{
    (void)state;
    struct cvm_buf bytes = sample_fill(200000);
    for (int with_size = 0; with_size < 2; with_size++) {
        struct cvm_error err = { 0 };
        struct cvm_buf out = { 0 };
        struct cvm_buf packed = lzma_pack(bytes_of(&bytes), with_size == 1);
        cvm_put_text(&packed, "what follows is not read");
        must(lzma_alone_unpack(bytes_of(&packed), bytes.len, &out, &err), &err);
        assert_bytes(out.data, out.len, bytes.data, bytes.len);
        cvm_buf_free(&out);
        cvm_buf_free(&packed);
    }
    cvm_buf_free(&bytes);
}

static void truncated_at_every_length(void **state)
{
    (void)state;
    struct cvm_buf bytes = sample_fill(300);
    struct cvm_buf packed = lzma_pack(bytes_of(&bytes), false);
    for (size_t n = 0; n < packed.len; n++) {
        uint8_t *copy = exact_copy(packed.data, n);
        assert_refused((struct cvm_bytes){ copy, n }, MAX,
                       n < 13 ? "LZMA stream header: needs" : "LZMA stream: truncated at byte");
        free(copy);
    }
    cvm_buf_free(&packed);
    cvm_buf_free(&bytes);
}

static void bombs(void **state)
{
    (void)state;
    struct cvm_buf zeros = { 0 };
    cvm_put_zeros(&zeros, 10 << 20);
    struct cvm_buf said = lzma_pack(bytes_of(&zeros), true);
    struct cvm_buf unsaid = lzma_pack(bytes_of(&zeros), false);
    assert_true(unsaid.len < 10000);
    assert_refused(bytes_of(&said), MAX, "LZMA stream: unpacks to more than 1048576 bytes");
    assert_refused(bytes_of(&unsaid), MAX, "LZMA stream: unpacks to more than 1048576 bytes");
    assert_refused(bytes_of(&unsaid), zeros.len - 1, "unpacks to more than");
    cvm_buf_free(&zeros);
    cvm_buf_free(&said);
    cvm_buf_free(&unsaid);
}

static void bad_headers_and_data(void **state)
{
    (void)state;
    struct cvm_buf bytes = sample_fill(3000);
    struct cvm_buf packed = lzma_pack(bytes_of(&bytes), true);
    cvm_buf_patch_le(&packed, 0, 0xff, 1);
    assert_refused(bytes_of(&packed), MAX, "LZMA stream: its header is none");
    cvm_buf_patch_le(&packed, 0, 0x5d, 1);
    cvm_buf_patch_le(&packed, 1, 0x80000000, 4);
    assert_refused(bytes_of(&packed), MAX, "LZMA stream: its dictionary needs");
    cvm_buf_patch_le(&packed, 1, 1 << 20, 4);
    cvm_buf_patch_le(&packed, 13, 0xff, 1); /* the range coder begins with 0 */
    assert_refused(bytes_of(&packed), MAX, "LZMA stream: damaged at byte");
    cvm_buf_free(&packed);
    cvm_buf_free(&bytes);
}

static struct cvm_buf failing;

static bool unpack_failing(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf out = { 0 };
    return lzma_alone_unpack(bytes_of(&failing), MAX, &out, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    struct cvm_buf bytes = sample_fill(200000);
    failing = lzma_pack(bytes_of(&bytes), true);
    assert_true(fail_each_allocation(unpack_failing) > 2);
    cvm_buf_free(&failing);
    cvm_buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_was_packed),
        cmocka_unit_test(truncated_at_every_length),
        cmocka_unit_test(bombs),
        cmocka_unit_test(bad_headers_and_data),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
