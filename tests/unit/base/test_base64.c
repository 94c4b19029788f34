#include "tests/support/check.h"

#include "measure/base/base64.h"

/* RFC 4648, section 10, and the two characters of the alphabet that it leaves out. */
static const struct {
    const char *bytes;
    const char *text;
} known[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xef\xff", "++//" },
};

static void test_known_answers_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf text = { 0 };
        cvm_autobuf struct cvm_buf back = { 0 };
        const struct cvm_bytes bytes = { (const uint8_t *)known[i].bytes, strlen(known[i].bytes) };
        cvm_put_base64(&text, bytes);
        assert_bytes(text.data, text.len, known[i].text, strlen(known[i].text));
        must(cvm_base64_decode(known[i].text, strlen(known[i].text), &back, &err), &err);
        assert_bytes(back.data, back.len, bytes.data, bytes.size);
    }
}

static void test_every_byte_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < (size_t)3 * 256; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf text = { 0 };
        cvm_autobuf struct cvm_buf back = { 0 };
        uint8_t bytes[3] = { 0 };
        bytes[i % 3] = (uint8_t)(i / 3);
        cvm_put_base64(&text, (struct cvm_bytes){ bytes, 1 + i % 3 });
        assert_int_equal(text.len, 4);
        must(cvm_base64_decode((const char *)text.data, text.len, &back, &err), &err);
        assert_bytes(back.data, back.len, bytes, 1 + i % 3);
    }
}

static void test_every_length(void **state)
{
    static const char text[] = "Zm9vYmFyZm9v";
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        cvm_autofree char *copy = malloc(n + (n == 0));
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(cvm_base64_decode(copy, n, &out, &err), n % 4 == 0);
        if (n % 4 != 0) {
            assert_error(&err, CVM_ERR_MALFORMED, " characters, not a multiple of 4");
        }
    }
}

static void test_strictness(void **state)
{
    static const char *const bad[] = {
        "Zg==Zg==",                                  /* padding before the end */
        "Zg=a",     "Z===", "====",  "=g==", "Zh==", /* unused bits that are not zero */
        "Zm9=",     "Zm 9", "Zm\n9", "Zm-_", "Zm9\xc3",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        if (cvm_base64_decode(bad[i], strlen(bad[i]), &out, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "base64: bad group at offset 0");
    }
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    assert_false(cvm_base64_decode("Zm9v\0AAA", 8, &out, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "base64: bad group at offset 4");
}

/* Documents of others: either alphabet, with padding or without. */
static void test_either_alphabet(void **state)
{
    static const struct {
        const char *text, *bytes;
    } good[] = {
        { "++//", "\xfb\xef\xff" },
        { "--__", "\xfb\xef\xff" },
        { "Zg==", "f" },
        { "Zg", "f" },
        { "Zm8", "fo" },
        { "Zm9v", "foo" },
        { "", "" },
    };
    static const char *const bad[] = {
        "+-//", "--/_", "Z", "Zm9vY", "Zg=", "Z=", "Zh", "Zm 9", "="
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        must(cvm_base64_decode_either(good[i].text, strlen(good[i].text), &out, &err), &err);
        assert_bytes(out.data, out.len, good[i].bytes, strlen(good[i].bytes));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        if (cvm_base64_decode_either(bad[i], strlen(bad[i]), &out, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "base64: ");
    }
}

static bool encode_and_decode(struct cvm_error *err)
{
    static const uint8_t bytes[300];
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuf struct cvm_buf back = { 0 };
    cvm_put_base64(&text, (struct cvm_bytes){ bytes, sizeof bytes });
    return cvm_buf_finish(&text, "text", err) &&
           cvm_base64_decode((const char *)text.data, text.len, &back, err);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(encode_and_decode), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers_both_ways),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_either_alphabet),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
