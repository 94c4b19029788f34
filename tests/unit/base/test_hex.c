#include "tests/support/check.h"

#include "measure/base/hex.h"

static void test_encode(void **state)
{
    static const uint8_t bytes[] = { 0x00, 0x01, 0x9f, 0xab, 0xff };
    char text[2 * sizeof bytes + 1];
    (void)state;
    cvm_hex_encode(bytes, sizeof bytes, text);
    assert_string_equal(text, "00019fabff");
    cvm_hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
}

static void test_every_byte_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        struct cvm_error err = { 0 };
        uint8_t byte = (uint8_t)i;
        uint8_t back = (uint8_t)~byte;
        char text[3];
        cvm_hex_encode(&byte, 1, text);
        must(cvm_hex_decode(text, 2, &back, 1, &err), &err);
        assert_int_equal(back, byte);
    }
}

static void test_decode_takes_either_case(void **state)
{
    struct cvm_error err = { 0 };
    uint8_t out[3];
    (void)state;
    must(cvm_hex_decode("aBcDeF", 6, out, sizeof out, &err), &err);
    assert_bytes(out, sizeof out, "\xab\xcd\xef", 3);
    must(cvm_hex_decode("", 0, out, 0, &err), &err);
}

/* Every count of digits but the right one, with memory that ends where the text does. */
static void test_decode_at_every_length(void **state)
{
    static const char digits[] = "0123456789abcdef";
    (void)state;
    for (size_t n = 0; n < sizeof digits; n++) {
        struct cvm_error err = { 0 };
        uint8_t out[5];
        cvm_autofree char *text = malloc(n + (n == 0));
        assert_non_null(text);
        memcpy(text, digits, n);
        assert_int_equal(cvm_hex_decode(text, n, out, sizeof out, &err), n == 10);
        if (n != 10) {
            assert_error(&err, CVM_ERR_MALFORMED, " hexadecimal digits instead of 10");
        }
    }
}

static void test_decode_refuses_other_characters(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        struct cvm_error err = { 0 };
        uint8_t out[2];
        char text[] = { '0', '0', (char)c, '0', '\0' };
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        assert_int_equal(cvm_hex_decode(text, 4, out, sizeof out, &err), digit);
        if (!digit) {
            assert_error(&err, CVM_ERR_MALFORMED, "character 2 is no hexadecimal digit");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_every_byte_both_ways),
        cmocka_unit_test(test_decode_takes_either_case),
        cmocka_unit_test(test_decode_at_every_length),
        cmocka_unit_test(test_decode_refuses_other_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
