#include "tests/support/check.h"

#include "measure/base/reader.h"

enum { SIZE = 24 };

/* A copy of exactly n bytes 1, 2, 3, ...: ASan sees a read past them. */
static uint8_t *counting_bytes(size_t n)
{
    uint8_t *bytes = malloc(n + (n == 0));
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(i + 1);
    }
    return bytes;
}

static uint64_t read_any(struct cvm_reader *r, size_t width)
{
    switch (width) {
    case 1:
        return cvm_read_u8(r);
    case 2:
        return cvm_read_u16le(r);
    case 4:
        return cvm_read_u32le(r);
    default:
        return cvm_read_u64le(r);
    }
}

/* Reads integers of one width until they no longer fit into n bytes. */
static void check_integers(size_t width, size_t n)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(n);
    struct cvm_reader r = cvm_reader_of(bytes, n);
    for (size_t i = 0; i < n / width; i++) {
        uint64_t want = 0;
        for (size_t k = width; k > 0; k--) {
            want = want << 8 | bytes[i * width + k - 1];
        }
        assert_int_equal(read_any(&r, width), want);
        assert_int_equal(r.pos, (i + 1) * width);
        must(cvm_reader_ok(&r, "x", &err), &err);
    }
    size_t pos = r.pos;
    assert_int_equal(read_any(&r, width), 0);
    assert_int_equal(r.pos, pos);
    assert_int_equal(r.want, width);
    assert_int_equal(cvm_read_u8(&r), 0); /* poisoned, although a byte may be left */
    assert_int_equal(r.pos, pos);
    assert_int_equal(r.want, width); /* the first failure stays */
    assert_false(cvm_reader_ok(&r, "x", &err));
    assert_error(&err, CVM_ERR_MALFORMED, "x: needs ");
    assert_false(cvm_reader_end(&r, "x", &err));
    assert_error(&err, CVM_ERR_MALFORMED, "x: needs ");
}

static void test_integers_at_every_length(void **state)
{
    static const size_t widths[] = { 1, 2, 4, 8 };
    (void)state;
    for (size_t w = 0; w < 4; w++) {
        for (size_t n = 0; n <= SIZE; n++) {
            check_integers(widths[w], n);
        }
    }
}

static void test_bytes_and_skip_at_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= SIZE; n++) {
        cvm_autofree uint8_t *bytes = counting_bytes(n);
        for (size_t take = 0; take <= SIZE + 1; take++) {
            struct cvm_reader r = cvm_reader_of(bytes, n);
            struct cvm_reader skipping = r;
            const uint8_t *p = cvm_read_bytes(&r, take);
            cvm_read_skip(&skipping, take);
            assert_ptr_equal(p, take > 0 && take <= n ? bytes : NULL);
            assert_int_equal(r.pos, take <= n ? take : 0);
            assert_int_equal(r.want, take <= n ? 0 : take);
            assert_int_equal(skipping.pos, r.pos);
            assert_int_equal(skipping.want, r.want);
            assert_int_equal(cvm_reader_left(&r), n - r.pos);
        }
    }
}

static void test_lengths_do_not_wrap(void **state)
{
    static const size_t huge[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - SIZE, SIZE_MAX / 2 + 1 };
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        struct cvm_reader r = cvm_reader_of(bytes, SIZE);
        cvm_read_u32le(&r);
        assert_null(cvm_read_bytes(&r, huge[i]));
        assert_int_equal(r.pos, 4);
        assert_false(cvm_reader_ok(&r, "x", &err));
        assert_error(&err, CVM_ERR_MALFORMED, "x: ");
    }
}

static void test_message_says_what_and_where(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(0x14);
    struct cvm_reader r = cvm_reader_of(bytes, 0x14);
    (void)state;
    cvm_read_skip(&r, 0x14);
    assert_int_equal(cvm_read_u32le(&r), 0);
    assert_false(cvm_reader_ok(&r, "TDVF section table", &err));
    assert_string_equal(err.msg, "TDVF section table: needs 4 bytes at offset 0x14, 0 left");
}

static void test_end_refuses_what_is_left(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    (void)state;
    for (size_t n = 0; n <= SIZE; n++) {
        struct cvm_reader r = cvm_reader_of(bytes, SIZE);
        cvm_read_skip(&r, n);
        must(cvm_reader_ok(&r, "list", &err), &err);
        assert_int_equal(cvm_reader_end(&r, "list", &err), n == SIZE);
        if (n == 21) {
            assert_string_equal(err.msg, "list: 3 bytes left over at offset 0x15");
        }
        err = (struct cvm_error){ 0 };
    }
}

static void test_sub_readers_know_where_they_are(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    struct cvm_reader r = cvm_reader_of(bytes, SIZE);
    (void)state;
    cvm_read_skip(&r, 3);
    struct cvm_reader outer = cvm_read_sub(&r, 16);
    assert_int_equal(r.pos, 19);
    assert_int_equal(cvm_read_u8(&outer), 4);
    struct cvm_reader inner = cvm_read_sub(&outer, 5);
    assert_int_equal(cvm_read_u32le(&inner), 0x08070605);
    assert_int_equal(cvm_read_u16le(&inner), 0); /* one byte left in it, many behind it */
    assert_false(cvm_reader_ok(&inner, "inner", &err));
    assert_string_equal(err.msg, "inner: needs 2 bytes at offset 0x8, 1 left");

    err = (struct cvm_error){ 0 };
    must(cvm_reader_ok(&outer, "outer", &err), &err); /* a child's failure is its own */
    assert_int_equal(cvm_read_u8(&outer), 10);
    assert_false(cvm_reader_end(&outer, "outer", &err));
    assert_string_equal(err.msg, "outer: 9 bytes left over at offset 0xa");
}

static void test_sub_reader_at_every_length(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    (void)state;
    for (size_t n = 0; n <= SIZE + 1; n++) {
        struct cvm_reader r = cvm_reader_of(bytes, SIZE);
        cvm_read_skip(&r, 6);
        struct cvm_reader sub = cvm_read_sub(&r, n);
        bool fits = n <= SIZE - 6;
        assert_int_equal(cvm_reader_left(&sub), fits ? n : 0);
        assert_int_equal(cvm_read_u8(&sub), fits && n > 0 ? 7 : 0);
        assert_int_equal(cvm_reader_ok(&r, "parent", &err), fits);
        if (!fits) {
            assert_error(&err, CVM_ERR_MALFORMED, " bytes at offset 0x6, 18 left");
            assert_false(cvm_reader_ok(&sub, "sub", &err));
            assert_error(&err, CVM_ERR_MALFORMED, " bytes at offset 0x6, ");
        }
    }
}

static void test_seek(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    (void)state;
    for (uint64_t at = 0; at <= SIZE; at++) {
        struct cvm_reader r = cvm_reader_of(bytes, SIZE);
        cvm_read_skip(&r, 9);
        cvm_read_seek(&r, at);
        must(cvm_reader_ok(&r, "x", &err), &err);
        assert_int_equal(r.pos, at);
        assert_int_equal(cvm_read_u8(&r), at < SIZE ? at + 1 : 0);
    }
    static const uint64_t outside[] = { SIZE + 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct cvm_reader r = cvm_reader_of(bytes, SIZE);
        cvm_read_skip(&r, 9);
        cvm_read_seek(&r, outside[i]);
        assert_int_equal(r.pos, 9);
        cvm_read_seek(&r, 0); /* does not heal */
        assert_int_equal(r.pos, 9);
        assert_int_equal(cvm_read_u8(&r), 0);
        assert_false(cvm_reader_ok(&r, "PE header", &err));
        assert_string_equal(err.msg, "PE header: lies past the end, at 24 bytes");
        err = (struct cvm_error){ 0 };
    }
}

static void test_seek_within_a_sub_reader_is_relative_to_it(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autofree uint8_t *bytes = counting_bytes(SIZE);
    struct cvm_reader r = cvm_reader_of(bytes, SIZE);
    (void)state;
    cvm_read_skip(&r, 4);
    struct cvm_reader sub = cvm_read_sub(&r, 6);
    cvm_read_seek(&sub, 2);
    assert_int_equal(cvm_read_u8(&sub), 7);
    cvm_read_seek(&sub, 7);
    assert_false(cvm_reader_ok(&sub, "x", &err));
    assert_string_equal(err.msg, "x: lies past the end, at 10 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_at_every_length),
        cmocka_unit_test(test_bytes_and_skip_at_every_length),
        cmocka_unit_test(test_lengths_do_not_wrap),
        cmocka_unit_test(test_message_says_what_and_where),
        cmocka_unit_test(test_end_refuses_what_is_left),
        cmocka_unit_test(test_sub_readers_know_where_they_are),
        cmocka_unit_test(test_sub_reader_at_every_length),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_seek_within_a_sub_reader_is_relative_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
