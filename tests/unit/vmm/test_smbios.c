#include "tests/support/check.h"

#include "vmm/machine.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
/* 63 characters. */
#define LONGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static bool decode(const char *json, struct json_object **document, struct cvm_smbios_text *out,
                   struct cvm_error *err)
{
    *out = (struct cvm_smbios_text){ 0 };
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)json, strlen(json) }, document,
                        err),
         err);
    return cvm_smbios_decode(*document, out, err);
}

static void test_strings_are_read(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    struct cvm_smbios_text t;
    struct cvm_smbios s;
    (void)state;
    must(decode("{\"manufacturer\":\"A, Inc.\",\"product\":\"" LONGEST "\",\"version\":\" \","
                "\"serial\":\"s\",\"sku\":\"\",\"family\":null}",
                &o, &t, &err),
         &err);
    memset(&s, 0xff, sizeof s);
    cvm_smbios_fill(&t, &s);
    assert_string_equal(s.manufacturer, "A, Inc.");
    assert_string_equal(s.product, LONGEST);
    assert_string_equal(s.version, " ");
    assert_string_equal(s.serial, "s");
    assert_string_equal(t.sku, "");
    assert_null(t.family);
    assert_int_equal(s.sku[0] | s.family[0] | s.family[63], 0);
}

static void test_nothing_is_said(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_text t = { 0 };
    struct cvm_smbios s;
    const struct cvm_smbios none = { 0 };
    (void)state;
    must(cvm_smbios_decode(NULL, &t, &err), &err);
    cvm_smbios_fill(&t, &s);
    assert_memory_equal(&s, &none, sizeof none);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *json, *message;
    } bad[] = {
        { "{\"manufacturer\":\"" LONGEST "f\"}",
          "key 'smbios': key 'manufacturer': a length of 64" },
        { "{\"uuid\":\"x\"}", "key 'smbios': unknown key 'uuid'" },
        { "{\"familiy\":\"x\"}", "unknown key 'familiy', did you mean 'family'?" },
        { "{\"bios\":{}}", "key 'smbios': unknown key 'bios'" },
        { "{\"sku\":1}", "key 'smbios': key 'sku' is not a string" },
        { "{\"sku\":\"a\\u0000b\"}", "key 'smbios': key 'sku'" },
        { "[]", "key 'smbios': not a JSON object" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        struct cvm_smbios_text t;
        if (decode(bad[i].json, &o, &t, &err)) {
            fail_msg("accepted: %s", bad[i].json);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* The request's strings win one by one; an empty one is QEMU's default and wins as well. */
static void test_the_first_that_says_something_wins(void **state)
{
    const struct cvm_smbios_text mine = { .manufacturer = "M", .product = "", .serial = "1" };
    const struct cvm_smbios_text hosts = { .manufacturer = "H", .product = "P", .family = "F" };
    struct cvm_smbios_text t = cvm_smbios_either(&mine, &hosts);
    (void)state;
    assert_string_equal(t.manufacturer, "M");
    assert_string_equal(t.product, "");
    assert_string_equal(t.serial, "1");
    assert_string_equal(t.family, "F");
    assert_null(t.version);
    assert_null(t.sku);
}

static void assert_put(const struct cvm_smbios *s, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_smbios_put(s, &b);
    cvm_json_end(&b);
    must(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &err), &err);
    assert_bytes(text.data, text.len, want, strlen(want));
}

static void test_what_is_set_is_written(void **state)
{
    (void)state;
    assert_put(&(struct cvm_smbios){ 0 }, "{}");
    assert_put(&(struct cvm_smbios){ .product = "p\"q", .family = "f" },
               "{\"smbios\":{\"product\":\"p\\\"q\",\"family\":\"f\"}}");
    assert_put(&(struct cvm_smbios){ "a", "b", "c", "d", "e", "f" },
               "{\"smbios\":{\"manufacturer\":\"a\",\"product\":\"b\",\"version\":\"c\","
               "\"serial\":\"d\",\"sku\":\"e\",\"family\":\"f\"}}");
}

static void test_names(void **state)
{
    static const char *const names[] = { "manufacturer", "product", "version",
                                         "serial",       "sku",     "family" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(cvm_smbios_name(i), names[i]);
    }
    assert_null(cvm_smbios_name(sizeof names / sizeof names[0]));
}

/* --- in the machine --- */

static bool fill(const struct cvm_smbios_text *text, struct cvm_machine *out, struct cvm_error *err)
{
    const struct cvm_vm_config config = {
        .cpu_count = { true, 1 },
        .memory_size = { true, GIB },
        .qemu_version = "9.2.1",
        .smbios = *text,
    };
    return cvm_machine_fill_platform(&config, out, err);
}

/* Every byte from 0 to 255, first and last. */
static void test_printable_ascii_only(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        struct cvm_error err = { 0 };
        struct cvm_machine m;
        char text[] = "a?";
        text[1] = (char)c;
        bool ok = fill(&(struct cvm_smbios_text){ .sku = text }, &m, &err);
        assert_int_equal(ok, c >= 0x20 && c <= 0x7e);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "at offset 1 is not printable ASCII");
        }
    }
}

static void test_a_string_without_an_end(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m;
    (void)state;
    must(fill(&(struct cvm_smbios_text){ .sku = LONGEST }, &m, &err), &err);
    assert_false(fill(&(struct cvm_smbios_text){ .sku = LONGEST "f" }, &m, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "smbios sku: no NUL in 64 bytes");
}

/* Each string is a fact of the machine; what lies behind its NUL is none. */
static void test_equality(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine a;
    struct cvm_machine b;
    (void)state;
    must(fill(&(struct cvm_smbios_text){ .sku = "x" }, &a, &err), &err);
    b = a;
    assert_true(cvm_machine_equal(&a, &b));
    b.smbios.sku[2] = 'y';
    assert_true(cvm_machine_equal(&a, &b));
    char *const strings[] = { b.smbios.manufacturer, b.smbios.product, b.smbios.version,
                              b.smbios.serial,       b.smbios.sku,     b.smbios.family };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        char kept = strings[i][0];
        strings[i][0] = 'z';
        assert_false(cvm_machine_equal(&a, &b));
        strings[i][0] = kept;
    }
    assert_true(cvm_machine_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_read),
        cmocka_unit_test(test_nothing_is_said),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_first_that_says_something_wins),
        cmocka_unit_test(test_what_is_set_is_written),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_printable_ascii_only),
        cmocka_unit_test(test_a_string_without_an_end),
        cmocka_unit_test(test_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
