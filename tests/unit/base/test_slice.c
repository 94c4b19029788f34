#include "tests/support/check.h"

#include "measure/base/slice.h"

#include <stdio.h>

static bool parse(const char *text, struct cvm_slice *out, struct cvm_error *err)
{
    return cvm_slice_parse((struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, out, err);
}

static struct cvm_slice must_parse(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_slice root;
    must(parse(text, &root, &err), &err);
    return root;
}

static void assert_slice(struct cvm_slice value, const char *want)
{
    assert_bytes(value.data, value.size, want, strlen(want));
}

static void test_documents(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "\"\"",
        "0",
        "-0",
        "12.50e+3",
        "1E5",
        "true",
        "false",
        "null",
        "[1,2]",
        "[[[]]]",
        "{\"a\":{}}",
        "[1.0]",
        "{\"\":0}",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\xf0\x9f\x98\x80\"",
        "{\"a\":1,\"A\":1}",
        "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char blanks[128];
        assert_slice(must_parse(good[i]), good[i]);
        snprintf(blanks, sizeof blanks, " \t\r\n%s\n ", good[i]);
        assert_slice(must_parse(blanks), good[i]);
    }
}

static void test_what_is_not_json(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "", "not JSON at offset 0: no value" },
        { " ", "not JSON at offset 1: no value" },
        { "{", "offset 1: a string should stand here" },
        { "{\"a\"}", "offset 4: a colon should stand here" },
        { "{\"a\":}", "offset 5: no value" },
        { "{\"a\":1,}", "offset 7: a string should stand here" },
        { "{\"a\":1 \"b\":2}", "offset 7: a comma or the object's end" },
        { "{'a':1}", "offset 1: a string should stand here" },
        { "[1,]", "offset 3: no value" },
        { "[1 2]", "offset 3: a comma or the array's end" },
        { "[", "offset 1: no value" },
        { "01", "offset 0: no number" },
        { "-", "offset 0: no number" },
        { "1.", "offset 0: no number" },
        { ".5", "offset 0: no value" },
        { "1e", "offset 0: no number" },
        { "+1", "offset 0: no value" },
        { "NaN", "offset 0: no value" },
        { "tru", "offset 0: no value" },
        { "truex", "offset 4: something follows the value" },
        { "{} {}", "offset 3: something follows the value" },
        { "\"", "offset 1: no character of a string" },
        { "\"\n\"", "offset 1: no character of a string" },
        { "\"\\x\"", "offset 1: no character of a string" },
        { "\"\\u12g4\"", "offset 1: no character of a string" },
        { "\"\\ud800\"", "offset 1: no character of a string" },
        { "\"\\ud800\\u0041\"", "offset 1: no character of a string" },
        { "\"\\udc00\"", "offset 1: no character of a string" },
        { "\"\xff\"", "offset 1: no character of a string" },
        { "\"\xc0\x80\"", "offset 1: no character of a string" },
        { "\"\xed\xa0\x80\"", "offset 1: no character of a string" },
        { "\"\xf4\x90\x80\x80\"", "offset 1: no character of a string" },
        { "\xef\xbb\xbf{}", "offset 0: no value" },
        { "{} // why", "offset 3: something follows the value" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_slice root = { NULL, 0 };
        if (parse(bad[i].text, &root, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_null(root.data);
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_a_nul_is_not_json(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_slice root;
    (void)state;
    assert_false(cvm_slice_parse((struct cvm_bytes){ (const uint8_t *)"{}\0", 3 }, &root, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "offset 2: something follows the value");
}

/* What a key means counts, not how it is written. */
static void test_keys_stand_once(void **state)
{
    static const char *const twice[] = {
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[{\"x\":{\"k\":1,\"b\":2,\"k\":1}}]",
        "{\"\":1,\"\":1}",
        "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_slice root;
        assert_false(parse(twice[i], &root, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "a key stands twice in one object");
    }
}

static void put_nested(struct cvm_buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        cvm_put_text(out, i % 2 == 0 ? "[" : "{\"a\":");
    }
    cvm_put_text(out, "1");
    for (unsigned i = depth; i > 0; i--) {
        cvm_put_text(out, i % 2 == 1 ? "]" : "}");
    }
}

static void put_members(struct cvm_buf *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cvm_put_format(out, "%s\"k%u\":%u", i == 0 ? "{" : ",", i, i);
    }
    cvm_put_text(out, "}");
}

static void test_limits(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct cvm_error err = { 0 };
        struct cvm_slice root;
        cvm_autobuf struct cvm_buf deep = { 0 };
        cvm_autobuf struct cvm_buf wide = { 0 };
        put_nested(&deep, CVM_SLICE_MAX_DEPTH + more);
        put_members(&wide, CVM_SLICE_MAX_MEMBERS + more);
        bool ok = cvm_slice_parse((struct cvm_bytes){ deep.data, deep.len }, &root, &err);
        assert_int_equal(ok, more == 0);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "nested too deep");
        }
        ok = cvm_slice_parse((struct cvm_bytes){ wide.data, wide.len }, &root, &err);
        assert_int_equal(ok, more == 0);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "object with a member more than 128");
        }
    }
}

static void test_short_input_at_every_length(void **state)
{
    static const char text[] =
        "{\"a\":[1,-2.5e3,\"x\\u00e9\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":null}}";
    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct cvm_error err = { 0 };
        struct cvm_slice root;
        cvm_autofree uint8_t *copy = malloc(n + (n == 0));
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_false(cvm_slice_parse((struct cvm_bytes){ copy, n }, &root, &err));
        assert_int_equal(err.code, CVM_ERR_MALFORMED);
    }
    (void)must_parse(text);
}

static void test_members(void **state)
{
    struct cvm_slice root = must_parse("{ \"a\" : 1 , \"\\u0062\": [ ] ,\"n\":null,\"\":\"x\","
                                       "\"o\":{\"a\":\"in\\\"ner}\"}, \"z\":true }");
    (void)state;
    assert_slice(cvm_slice_member(root, "a"), "1");
    assert_slice(cvm_slice_member(root, "b"), "[ ]");
    assert_slice(cvm_slice_member(root, ""), "\"x\"");
    assert_slice(cvm_slice_member(root, "o"), "{\"a\":\"in\\\"ner}\"}");
    assert_slice(cvm_slice_member(cvm_slice_member(root, "o"), "a"), "\"in\\\"ner}\"");
    assert_slice(cvm_slice_member(root, "z"), "true");
    assert_int_equal(cvm_slice_member(root, "n").size, 0);
    assert_int_equal(cvm_slice_member(root, "absent").size, 0);
    assert_int_equal(cvm_slice_member(cvm_slice_member(root, "absent"), "a").size, 0);
    assert_int_equal(cvm_slice_member(cvm_slice_member(root, "b"), "a").size, 0);
    assert_int_equal(cvm_slice_count(root), 6);
    assert_true(cvm_slice_is_object(root) && !cvm_slice_is_array(root));
    assert_true(cvm_slice_is_array(cvm_slice_member(root, "b")));
    assert_true(cvm_slice_is_string(cvm_slice_member(root, "")));
}

static void test_items(void **state)
{
    static const char *const want[] = { "1", "\"],[\"", "{\"a\":[1,2]}", "[[],[]]", "null", "-3" };
    struct cvm_slice root = must_parse("[1 , \"],[\",{\"a\":[1,2]},[[],[]],null,-3 ]");
    struct cvm_slice_iter it = cvm_slice_items(root);
    struct cvm_slice key;
    struct cvm_slice value;
    size_t n = 0;
    (void)state;
    for (; cvm_slice_next(&it, &key, &value); n++) {
        assert_int_equal(key.size, 0);
        assert_slice(value, want[n]);
    }
    assert_int_equal(n, 6);
    assert_false(cvm_slice_next(&it, &key, &value));
    assert_int_equal(cvm_slice_count(must_parse("[ ]")), 0);
    assert_int_equal(cvm_slice_count(must_parse("{ }")), 0);
    assert_int_equal(cvm_slice_count(must_parse("17")), 0);
    assert_int_equal(cvm_slice_count((struct cvm_slice){ NULL, 0 }), 0);
}

static void test_strings(void **state)
{
    struct cvm_error err = { 0 };
    char text[16];
    cvm_autobuf struct cvm_buf out = { 0 };
    struct cvm_slice root = must_parse("\"a\\u00e9\\n\\/\\ud83d\\ude00\xe2\x82\xac\"");
    static const char meant[] = "a\xc3\xa9\n/\xf0\x9f\x98\x80\xe2\x82\xac";
    (void)state;
    cvm_put_slice_text(&out, root);
    assert_bytes(out.data, out.len, meant, sizeof meant - 1);
    must(cvm_slice_copy(root, text, sizeof text, &err), &err);
    assert_string_equal(text, meant);
    must(cvm_slice_copy(root, text, sizeof meant, &err), &err);
    assert_false(cvm_slice_copy(root, text, sizeof meant - 1, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "more than 11 bytes of text");
    assert_true(cvm_slice_equals(root, meant));
    assert_false(cvm_slice_equals(root, "a\xc3\xa9\n/\xf0\x9f\x98\x80"));
    assert_false(cvm_slice_equals(root, "a\xc3\xa9\n/\xf0\x9f\x98\x80\xe2\x82\xac!"));
    assert_false(cvm_slice_equals(must_parse("1"), "1"));
    assert_false(cvm_slice_equals((struct cvm_slice){ NULL, 0 }, ""));
    assert_false(cvm_slice_copy(must_parse("\"a\\u0000b\""), text, sizeof text, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "a NUL within the text");
    assert_false(cvm_slice_copy(must_parse("[]"), text, sizeof text, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "not a string");
    assert_false(cvm_slice_copy((struct cvm_slice){ NULL, 0 }, text, sizeof text, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_a_nul_is_not_json),
        cmocka_unit_test(test_keys_stand_once),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_short_input_at_every_length),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
