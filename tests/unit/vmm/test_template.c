#include "tests/support/check.h"

#include "measure/base/file.h"
#include "vmm/template.h"

#include <dirent.h>
#include <stdio.h>

static struct cvm_buf rendered(const char *text, const struct cvm_template_value *values)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    must(cvm_template_render("it", text, values, &out, &err), &err);
    return out;
}

static void expect_text(const char *text, const struct cvm_template_value *values, const char *want)
{
    cvm_autobuf struct cvm_buf out = rendered(text, values);
    assert_bytes(out.data, out.len, want, strlen(want));
}

static void expect_error(const char *text, const struct cvm_template_value *values,
                         enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    if (cvm_template_render("it", text, values, &out, &err)) {
        fail_msg("accepted: %s", text);
    }
    assert_non_null(strstr(err.msg, "template 'it': "));
    assert_error(&err, code, message);
}

static const struct cvm_template_value none[] = { { 0 } };

static void test_values_are_put_in_place(void **state)
{
    static const struct cvm_template_value values[] = {
        { "a", "1" }, { "b", "" }, { "c", .markup = "<x y='z'/>" }, { 0 }
    };
    (void)state;
    expect_text("", none, "");
    expect_text("no value at all }] {", none, "no value at all }] {");
    expect_text("${a}$[c]${b}${a}", values, "1<x y='z'/>1");
    expect_text("<p q='${a}'>${b}$[c]</p>\n", values, "<p q='1'><x y='z'/></p>\n");
}

/* All five characters that XML gives a meaning, and nothing else; markup stays as it is. */
static void test_escaping(void **state)
{
    static const struct cvm_template_value values[] = {
        { "text", "&<>\"' &amp; a,b\x7f \xc3\xa9 ${text} $[x]" },
        { "markup", .markup = "&amp;<>\"'${text}" },
        { 0 },
    };
    (void)state;
    expect_text("${text}|$[markup]", values,
                "&amp;&lt;&gt;&quot;&apos; &amp;amp; a,b\x7f \xc3\xa9 ${text} $[x]|"
                "&amp;<>\"'${text}");
}

static void test_control_characters_are_refused(void **state)
{
    (void)state;
    for (char c = 1; c < 0x20; c++) {
        char text[] = "a?b";
        const struct cvm_template_value values[] = { { "path", text }, { 0 } };
        text[1] = c;
        expect_error("<${path}>", values, CVM_ERR_MALFORMED,
                     "value 'path' has a control character");
    }
}

static void test_names_and_places_must_match(void **state)
{
    static const struct cvm_template_value values[] = { { "name", "x" },
                                                        { "extra", .markup = "y" },
                                                        { 0 } };
    (void)state;
    expect_error("${name}", values, CVM_ERR_SYSTEM, "nothing asks for value 'extra'");
    expect_error("$[extra]", values, CVM_ERR_SYSTEM, "nothing asks for value 'name'");
    expect_error("${name}$[extra]${other}", values, CVM_ERR_SYSTEM, "no value for 'other'");
    expect_error("${nam}$[extra]", values, CVM_ERR_SYSTEM, "no value for 'nam'");
    expect_error("${names}$[extra]", values, CVM_ERR_SYSTEM, "no value for 'names'");
    expect_error("${}", none, CVM_ERR_SYSTEM, "no value for ''");
    expect_error("$[name]$[extra]", values, CVM_ERR_SYSTEM, "value 'name' is no markup");
    expect_error("${name}${extra}", values, CVM_ERR_SYSTEM, "value 'extra' is no text");
}

static void test_dollars_that_name_nothing(void **state)
{
    static const char *const bad[] = {
        "$", "a $", "$a", "$$", "$(a)", "${a", "$[a", "5 $ and ${a"
    };
    static const struct cvm_template_value values[] = { { "a", "x", "x" }, { 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_error(bad[i], values, CVM_ERR_SYSTEM, "a '$' that names no value");
    }
    expect_error("$[a} ${a}]", values, CVM_ERR_SYSTEM, "no value for 'a} ${a}'");
    expect_error("$ {a}", values, CVM_ERR_SYSTEM, "a '$' that names no value");
}

static int is_template(const struct dirent *entry)
{
    return strstr(entry->d_name, ".xml.in") != NULL;
}

/* The text of a file is in the program under the file's name, and its dollars name values. */
static void check_template(char *file)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CVM_TEMPLATES_DIR, file);
    must(cvm_file_load(path, 1 << 20, &text, &err), &err);
    file[strlen(file) - strlen(".xml.in")] = '\0';
    const char *embedded = cvm_template_find(file);
    if (embedded == NULL) {
        fail_msg("there is no template '%s'", file);
    }
    assert_bytes(embedded, strlen(embedded), text.data, text.len);
    bool ok = cvm_template_render(file, embedded, none, &out, &err);
    assert_int_equal(ok, strchr(embedded, '$') == NULL);
    assert_true(ok || strstr(err.msg, "no value for '") != NULL);
}

static void test_the_templates_of_the_program(void **state)
{
    struct dirent **entries = NULL;
    (void)state;
    int count = scandir(CVM_TEMPLATES_DIR, &entries, is_template, alphasort);
    assert_true(count > 10);
    for (int i = 0; i < count; i++) {
        check_template(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    assert_null(cvm_template_find("domain.xml.in"));
    assert_null(cvm_template_find("Domain"));
    assert_null(cvm_template_find(""));
}

static bool render_some(struct cvm_error *err)
{
    static const struct cvm_template_value values[] = { { "a", "<&>" }, { 0 } };
    cvm_autobuf struct cvm_buf out = { 0 };
    return cvm_template_render("it", "${a}${a}", values, &out, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(render_some) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_put_in_place),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_control_characters_are_refused),
        cmocka_unit_test(test_names_and_places_must_match),
        cmocka_unit_test(test_dollars_that_name_nothing),
        cmocka_unit_test(test_the_templates_of_the_program),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
