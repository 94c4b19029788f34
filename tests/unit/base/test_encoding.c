#include "measure/base/encoding.h"

#include "tests/support/check.h"

static bool decode(const char *text, size_t size, struct cvm_buf *out, struct cvm_error *err)
{
    return cvm_decode_bytes((struct cvm_bytes){ (const uint8_t *)text, size }, out, err);
}

static void gives(const char *text, size_t size, const char *want_hex)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    must(decode(text, size, &out, &err), &err);
    assert_hex(out.data, out.len, want_hex);
}

static void refuses(const char *text, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    assert_false(decode(text, strlen(text), &out, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

static void hex(void **state)
{
    (void)state;
    gives("04000200", 8, "04000200");
    gives("0x04AbcD", 8, "04abcd");
    gives(" 04 00\r\n02\t00\n", 14, "04000200");
}

/* printf '\x04\0\x02\0\x81\0\xfb\xff' | base64 */
static void base64(void **state)
{
    (void)state;
    gives("BAACAIEA+/8=", 12, "040002008100fbff");
    gives("BAACAIEA-_8", 11, "040002008100fbff");
    gives("BAAC\nAIEA\n+/8=\n", 15, "040002008100fbff");
}

static void raw(void **state)
{
    (void)state;
    gives("\x04\0\x02\0", 4, "04000200");
    gives("0400\xff", 5, "30343030ff");
}

static void neither(void **state)
{
    (void)state;
    refuses("", "nothing there");
    refuses(" \n", "nothing there");
    refuses("040", "3 hexadecimal digits: an odd count");
    refuses("BZACA", "base64: bad group");
    refuses("BZ=A", "base64: bad group");
}

static bool run_hex(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf out = { 0 };
    return decode("04000200", 8, &out, err);
}

static bool run_base64(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf out = { 0 };
    return decode("BAACAIEA-_8", 11, &out, err);
}

static bool run_raw(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf out = { 0 };
    return decode("\x04\0\x02\0", 4, &out, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(run_hex) > 1);
    assert_true(fail_each_allocation(run_base64) > 1);
    assert_true(fail_each_allocation(run_raw) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),     cmocka_unit_test(base64),        cmocka_unit_test(raw),
        cmocka_unit_test(neither), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
