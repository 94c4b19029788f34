#include "tests/support/check.h"

#include "vmm/checksums.h"

#include <stdio.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

static struct cvm_bytes text_bytes(const char *text)
{
    return (struct cvm_bytes){ (const uint8_t *)text, strlen(text) };
}

static void test_lines_of_sha256sum(void **state)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    (void)state;
    /* Text and binary mode, a name with blanks, and no newline at the end. */
    must(cvm_checksums_parse(
             text_bytes(A64 "  kernel\n" B64 " *a name  with blanks\n" A64 "  sub/dir"), &list,
             &err),
         &err);
    assert_int_equal(list.count, 3);
    const struct cvm_checksum *found = cvm_checksums_find(&list, "a name  with blanks");
    assert_non_null(found);
    assert_hex(found->digest.bytes, 32, B64);
    assert_non_null(cvm_checksums_find(&list, "kernel"));
    assert_non_null(cvm_checksums_find(&list, "sub/dir"));
    assert_null(cvm_checksums_find(&list, "kerne"));
    assert_null(cvm_checksums_find(&list, "kernel "));
}

static void test_an_empty_list(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_checksums list = { 0 };
    (void)state;
    must(cvm_checksums_parse((struct cvm_bytes){ NULL, 0 }, &list, &err), &err);
    assert_int_equal(list.count, 0);
    assert_null(cvm_checksums_find(&list, ""));
    cvm_checksums_free(&list);
}

static void test_bad_lines_name_their_number(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "\n", "line 1: not a line of sha256sum" },
        { A64 "  kernel\n\n", "line 2: not a line of sha256sum" },
        { A64, "line 1: not a line of sha256sum" },
        { A64 "  ", "line 1: not a line of sha256sum" },
        { A64 "  \n", "line 1: not a line of sha256sum" },
        { A64 " kernel\n", "line 1: not a line of sha256sum" },
        { A64 "\tkernel x\n", "line 1: not a line of sha256sum" },
        { "a" A64 "  kernel\n", "line 1: not a line of sha256sum" },
        { "  " A64 "  kernel\n", "line 1: not a line of sha256sum" },
        { "g23456789012345678901234567890123456789012345678901234567890123z  k\n", "line 1" },
        { A64 "  a\n" A64 "  b\n" B64 "  a\n", "line 3: 'a' is listed twice" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_checksums list = { 0 };
        assert_false(cvm_checksums_parse(text_bytes(bad[i].text), &list, &err));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
        assert_null(list.items);
    }
}

static void test_a_name_with_a_nul_is_refused(void **state)
{
    static const char text[] = A64 "  ker\0nel\n";
    struct cvm_error err = { 0 };
    struct cvm_checksums list = { 0 };
    (void)state;
    assert_false(cvm_checksums_parse((struct cvm_bytes){ (const uint8_t *)text, sizeof text - 1 },
                                     &list, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "not a line of sha256sum");
}

/* Cut anywhere, a list is refused or is the list of the lines before the cut. */
static void test_every_length(void **state)
{
    static const char text[] = A64 "  kernel\n" B64 "  initrd\n";
    const size_t line = sizeof(A64 "  kernel\n") - 1;
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct cvm_error err = { 0 };
        struct cvm_checksums list = { 0 };
        size_t rest = n % line; /* bytes of the last line */
        bool ok = cvm_checksums_parse((struct cvm_bytes){ (const uint8_t *)text, n }, &list, &err);
        assert_int_equal(ok, rest == 0 || rest > 66);
        assert_int_equal(list.count, ok ? (n + line - 1) / line : 0);
        cvm_checksums_free(&list);
    }
}

static void test_the_number_of_files_is_limited(void **state)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    (void)state;
    for (unsigned i = 0; i <= CVM_MAX_CHECKSUMS; i++) {
        struct cvm_error err = { 0 };
        struct cvm_checksums list = { 0 };
        bool last = i == CVM_MAX_CHECKSUMS;
        cvm_put_format(&text, A64 "  file%u\n", i);
        if (i + 1 < CVM_MAX_CHECKSUMS) {
            continue;
        }
        assert_int_equal(
            cvm_checksums_parse((struct cvm_bytes){ text.data, text.len }, &list, &err), !last);
        assert_int_equal(list.count, last ? 0 : CVM_MAX_CHECKSUMS);
        if (last) {
            assert_error(&err, CVM_ERR_MALFORMED, "line 4097: more than 4096 files");
        }
        cvm_checksums_free(&list);
    }
}

static void test_digest_txt(void **state)
{
    static const struct {
        const char *text;
        enum cvm_error_code code;
    } cases[] = {
        { A64, CVM_OK },
        { A64 "\n", CVM_OK },
        { A64 " \r\n\t\n", CVM_OK },
        { B64 "\n", CVM_ERR_MISMATCH },
        { " " A64, CVM_ERR_MALFORMED },
        { A64 "  sha256sum.txt\n", CVM_ERR_MALFORMED },
        { "", CVM_ERR_MALFORMED },
        { "\n", CVM_ERR_MALFORMED },
        { "aa\n", CVM_ERR_MALFORMED },
        { "0x" A64, CVM_ERR_MALFORMED },
    };
    struct cvm_sha256 want;
    (void)state;
    memset(&want, 0xaa, sizeof want);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        bool ok = cvm_digest_check(text_bytes(cases[i].text), &want, &err);
        assert_int_equal(ok, cases[i].code == CVM_OK);
        assert_int_equal(err.code, cases[i].code);
        assert_true(ok || strstr(err.msg, "digest.txt") != NULL);
    }
}

static bool parse_three(struct cvm_error *err)
{
    struct cvm_checksums list = { 0 };
    bool ok = cvm_checksums_parse(text_bytes(A64 "  a\n" A64 "  b\n" A64 "  c\n"), &list, err);
    cvm_checksums_free(&list);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(parse_three) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_sha256sum),
        cmocka_unit_test(test_an_empty_list),
        cmocka_unit_test(test_bad_lines_name_their_number),
        cmocka_unit_test(test_a_name_with_a_nul_is_refused),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_the_number_of_files_is_limited),
        cmocka_unit_test(test_digest_txt),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
