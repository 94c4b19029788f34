#include "tests/support/check.h"

static void test_order_and_widths(void **state)
{
    static const uint8_t raw[] = { 0xaa, 0xbb };
    cvm_autobuf struct cvm_buf b = { 0 };
    struct cvm_error err = { 0 };
    (void)state;
    cvm_put_u8(&b, 0x01);
    cvm_put_bytes(&b, raw, sizeof raw);
    cvm_put_bytes(&b, NULL, 0);
    cvm_put_zeros(&b, 2);
    cvm_put_zeros(&b, 0);
    cvm_put_text(&b, "Hi");
    cvm_put_text(&b, "");
    cvm_put_utf16(&b, "Az");
    cvm_put_format(&b, "%s=%u", "n", 42u);
    must(cvm_buf_finish(&b, "x", &err), &err);
    assert_hex(b.data, b.len,
               "01aabb00004869"
               "41007a00"
               "6e3d3432");
}

static void test_little_endian_at_every_width(void **state)
{
    static const char *const want[] = {
        "08",         "0807",         "080706",         "08070605",
        "0807060504", "080706050403", "08070605040302", "0807060504030201",
    };
    (void)state;
    for (size_t width = 1; width <= 8; width++) {
        cvm_autobuf struct cvm_buf b = { 0 };
        cvm_put_le(&b, UINT64_C(0x0102030405060708), width);
        assert_hex(b.data, b.len, want[width - 1]);
    }
}

static void test_growth_keeps_what_was_written(void **state)
{
    enum { COUNT = 5000 };
    cvm_autobuf struct cvm_buf b = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        cvm_put_u8(&b, (uint8_t)(i * 7));
        assert_int_equal(b.len, i + 1);
        assert_true(b.cap >= b.len);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(b.data[i], (uint8_t)(i * 7));
    }
}

/* A format whose result ends exactly at the capacity needs room for the NUL behind it. */
static void test_format_around_the_capacity(void **state)
{
    (void)state;
    for (int length = 250; length < 260; length++) {
        cvm_autobuf struct cvm_buf b = { 0 };
        cvm_put_format(&b, "%*s", length, "x");
        assert_false(b.failed);
        assert_int_equal(b.len, length);
        assert_int_equal(b.data[length - 1], 'x');
        cvm_put_u8(&b, '!'); /* over the NUL */
        assert_int_equal(b.data[length], '!');
    }
}

static void test_insert_everywhere(void **state)
{
    static const uint8_t before[] = { 1, 2, 3, 4 };
    static const uint8_t put[] = { 0xf0, 0xf1 };
    static const char *const want[] = {
        "f0f101020304", "01f0f1020304", "0102f0f10304", "010203f0f104", "01020304f0f1",
    };
    (void)state;
    for (size_t at = 0; at <= sizeof before; at++) {
        cvm_autobuf struct cvm_buf b = { 0 };
        cvm_put_bytes(&b, before, sizeof before);
        cvm_buf_insert(&b, at, put, sizeof put);
        cvm_buf_insert(&b, at, put, 0);
        assert_hex(b.data, b.len, want[at]);
    }
    cvm_autobuf struct cvm_buf empty = { 0 };
    cvm_buf_insert(&empty, 0, put, sizeof put);
    assert_hex(empty.data, empty.len, "f0f1");
}

static void test_insert_that_makes_it_grow(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    uint8_t piece[300];
    (void)state;
    memset(piece, 0xee, sizeof piece);
    cvm_put_zeros(&b, 255);
    cvm_buf_insert(&b, 100, piece, sizeof piece);
    assert_int_equal(b.len, 555);
    for (size_t i = 0; i < b.len; i++) {
        assert_int_equal(b.data[i], i >= 100 && i < 400 ? 0xee : 0);
    }
}

static void test_patch(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    (void)state;
    cvm_put_zeros(&b, 8);
    cvm_buf_patch_le(&b, 0, 0x11, 1);
    cvm_buf_patch_le(&b, 1, 0x2233, 2);
    cvm_buf_patch_le(&b, 4, 0x44556677, 4); /* up to the very end */
    assert_hex(b.data, b.len, "1133220077665544");
}

static void test_padding(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 33; n++) {
        cvm_autobuf struct cvm_buf b = { 0 };
        for (size_t i = 0; i < n; i++) {
            cvm_put_u8(&b, 0xff);
        }
        cvm_put_padding(&b, 16);
        assert_int_equal(b.len, (n + 15) / 16 * 16);
        for (size_t i = n; i < b.len; i++) {
            assert_int_equal(b.data[i], 0);
        }
    }
}

static void write_everything(struct cvm_buf *b)
{
    cvm_put_bytes(b, "abc", 3);
    cvm_put_zeros(b, 1);
    cvm_put_u8(b, 1);
    cvm_put_le(b, 1, 8);
    cvm_put_utf16(b, "a");
    cvm_put_text(b, "a");
    cvm_put_format(b, "%d", 1);
    cvm_buf_insert(b, 0, "a", 1);
    cvm_buf_patch_le(b, 0, 0xff, 1);
    cvm_put_padding(b, 64);
}

static void test_nothing_is_written_after_a_failure(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    struct cvm_error err = { 0 };
    (void)state;
    cvm_put_text(&b, "kept");
    cvm_put_zeros(&b, (size_t)CVM_BUF_MAX); /* with four bytes before it, too many */
    assert_true(b.failed);
    write_everything(&b);
    assert_hex(b.data, b.len, "6b657074");
    assert_false(cvm_buf_finish(&b, "manifest", &err));
    assert_error(&err, CVM_ERR_NOMEM, "manifest: out of memory");
    cvm_buf_free(&b);
    write_everything(&b); /* free makes it usable again */
    must(cvm_buf_finish(&b, "manifest", &err), &err);
    assert_int_equal(b.len, 64);
}

static void test_sizes_do_not_wrap(void **state)
{
    static const size_t huge[] = { SIZE_MAX, SIZE_MAX - 1, (size_t)CVM_BUF_MAX + 1 };
    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        cvm_autobuf struct cvm_buf b = { 0 };
        cvm_put_u8(&b, 1);
        cvm_put_zeros(&b, huge[i]);
        assert_true(b.failed);
        assert_int_equal(b.len, 1);
    }
}

static void test_cap_is_exact(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    (void)state;
    cvm_put_zeros(&b, (size_t)CVM_BUF_MAX);
    assert_false(b.failed);
    assert_int_equal(b.len, CVM_BUF_MAX);
    cvm_put_u8(&b, 1);
    assert_true(b.failed);
    assert_int_equal(b.len, CVM_BUF_MAX);
}

static bool grow_in_all_ways(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    uint8_t piece[600] = { 0 };
    cvm_put_u8(&b, 1);
    cvm_put_bytes(&b, piece, sizeof piece);
    cvm_put_format(&b, "%*s", 1000, "x");
    cvm_put_zeros(&b, 2000);
    cvm_buf_insert(&b, 7, piece, sizeof piece);
    cvm_put_padding(&b, 8192);
    if (!cvm_buf_finish(&b, "x", err)) {
        return false;
    }
    assert_int_equal(b.len, 8192);
    return true;
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(grow_in_all_ways), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_widths),
        cmocka_unit_test(test_little_endian_at_every_width),
        cmocka_unit_test(test_growth_keeps_what_was_written),
        cmocka_unit_test(test_format_around_the_capacity),
        cmocka_unit_test(test_insert_everywhere),
        cmocka_unit_test(test_insert_that_makes_it_grow),
        cmocka_unit_test(test_patch),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_nothing_is_written_after_a_failure),
        cmocka_unit_test(test_sizes_do_not_wrap),
        cmocka_unit_test(test_cap_is_exact),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
