#include "tests/support/check.h"

#include <errno.h>

static void test_words_and_codes(void **state)
{
    /* Frozen: programs and scripts rely on both. */
    static const struct {
        enum cvm_error_code code;
        int status;
        const char *word;
    } want[] = {
        { CVM_OK, 0, "ok" },
        { CVM_ERR_MISMATCH, 1, "mismatch" },
        { CVM_ERR_USAGE, 2, "usage" },
        { CVM_ERR_MALFORMED, 3, "malformed" },
        { CVM_ERR_UNSUPPORTED, 4, "unsupported" },
        { CVM_ERR_SYSTEM, 5, "system" },
        { CVM_ERR_NOMEM, 6, "no-memory" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(want[i].code, want[i].status);
        assert_string_equal(cvm_error_word(want[i].code), want[i].word);
    }
}

static void test_fail_sets_both_and_returns_false(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    assert_false(cvm_fail(&err, CVM_ERR_UNSUPPORTED, "version %d of '%s'", 7, "x"));
    assert_int_equal(err.code, CVM_ERR_UNSUPPORTED);
    assert_string_equal(err.msg, "version 7 of 'x'");
}

static void test_context_is_put_in_front(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    cvm_fail(&err, CVM_ERR_MALFORMED, "TDVF section table: needs %d bytes at offset 0x%x, %d left",
             4, 0x14, 0);
    assert_false(cvm_context(&err, "firmware '%s'", "ovmf.fd"));
    assert_false(cvm_context(&err, "vm '%s'", "a"));
    assert_int_equal(err.code, CVM_ERR_MALFORMED);
    assert_string_equal(err.msg, "vm 'a': firmware 'ovmf.fd': TDVF section table: "
                                 "needs 4 bytes at offset 0x14, 0 left");
}

static void test_long_message_is_cut(void **state)
{
    (void)state;
    for (int length = CVM_ERROR_MSG_SIZE - 3; length < CVM_ERROR_MSG_SIZE + 3; length++) {
        struct cvm_error err = { 0 };
        size_t want = length < CVM_ERROR_MSG_SIZE ? (size_t)length : CVM_ERROR_MSG_SIZE - 1;
        cvm_fail(&err, CVM_ERR_SYSTEM, "%*s", length, "x");
        assert_int_equal(strlen(err.msg), want);
    }
}

/* With a message of 100 characters, 921 are left for a context and its ": ". */
static void test_context_that_does_not_fit_is_dropped(void **state)
{
    (void)state;
    for (int length = 915; length < 2 * CVM_ERROR_MSG_SIZE; length++) {
        struct cvm_error err = { 0 };
        cvm_fail(&err, CVM_ERR_SYSTEM, "%*s", 100, "cause");
        assert_false(cvm_context(&err, "%*s", length, "where"));
        bool fits = length + 2 + 100 < CVM_ERROR_MSG_SIZE;
        assert_int_equal(strlen(err.msg), fits ? length + 2 + 100 : 100);
        assert_int_equal(strstr(err.msg, "where: ") != NULL, fits);
        assert_string_equal(err.msg + strlen(err.msg) - 5, "cause");
    }
}

static void test_errno_becomes_text(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    assert_false(cvm_fail_errno(&err, ENOENT, "open '%s'", "x"));
    assert_int_equal(err.code, CVM_ERR_SYSTEM);
    assert_string_equal(err.msg, "open 'x': No such file or directory");

    err = (struct cvm_error){ 0 };
    assert_false(cvm_fail_errno(&err, ENOMEM, "map"));
    assert_int_equal(err.code, CVM_ERR_NOMEM);
    assert_string_equal(err.msg, "map: Cannot allocate memory");

    err = (struct cvm_error){ 0 };
    assert_false(cvm_fail_errno(&err, EIO, "%*s", 3 * CVM_ERROR_MSG_SIZE, "x"));
    assert_int_equal(err.code, CVM_ERR_SYSTEM);
    assert_int_equal(strlen(err.msg), CVM_ERROR_MSG_SIZE - 1);
}

static void test_nomem_says_what_for(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    assert_false(cvm_fail_nomem(&err, "kernel", 12345678901ull));
    assert_int_equal(err.code, CVM_ERR_NOMEM);
    assert_string_equal(err.msg, "kernel: out of memory (12345678901 bytes)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_codes),
        cmocka_unit_test(test_fail_sets_both_and_returns_false),
        cmocka_unit_test(test_context_is_put_in_front),
        cmocka_unit_test(test_long_message_is_cut),
        cmocka_unit_test(test_context_that_does_not_fit_is_dropped),
        cmocka_unit_test(test_errno_becomes_text),
        cmocka_unit_test(test_nomem_says_what_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
