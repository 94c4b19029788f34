#include "tests/support/check.h"
#include "tests/unit/vmm/json_fault.h"
#include "tests/unit/vmm/place.h"

#include "vmm/json.h"

#include <limits.h>
#include <stdio.h>

static bool parse(const char *text, struct json_object **out, struct cvm_error *err)
{
    *out = NULL;
    return cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, out,
                          err);
}

/* One line of text of a document, for comparison. */
static void assert_renders(struct json_object *o, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_put_any(&b, NULL, o);
    must(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &err), &err);
    assert_bytes(text.data, text.len, want, strlen(want));
}

/* --- parsing --- */

static void test_documents(void **state)
{
    static const struct {
        const char *text, *same;
    } good[] = {
        { "{}", "{}" },
        { " \t\r\n{ \"a\" : [ 1 , -2 , \"x\" , true , null ] }\n\n",
          "{\"a\":[1,-2,\"x\",true,null]}" },
        { "[]", "[]" },
        { "\"text\"", "\"text\"" },
        { "17", "17" },
        { "\"\\u00e9\\n\\/\"", "\"\xc3\xa9\\n/\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        must(parse(good[i].text, &o, &err), &err);
        assert_renders(o, good[i].same);
    }
}

static void test_what_is_not_json(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "", "it: not JSON at offset 0" },
        { "  ", "it: not JSON" },
        { "{", "it: not JSON at offset 1" },
        { "{\"a\":1", "it: not JSON at offset 6" },
        { "{\"a\":1,}", "it: not JSON at offset 7" },
        { "[1,]", "it: not JSON at offset 3" },
        { "{a:1}", "it: not JSON at offset 1" },
        { "True", "it: not JSON" },
        { "nul", "it: not JSON" },
        { "[01]", "it: not JSON" },
        { "[1] x", "it: not JSON at offset" },
        { "{}{}", "it: not JSON at offset" },
        { "{} // why", "it: not JSON at offset" },
        { "/* why */ {}", "it: not JSON" },
        { "\xef\xbb\xbf{}", "it: not JSON" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct json_object *o = NULL;
        if (parse(bad[i].text, &o, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_null(o);
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* A NUL ends what json-c reads; what stands behind it must not go unseen. */
static void test_nul_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } bad[] = { { "{}\0", 3 },
                { "\0{}", 3 },
                { "{\"a\0b\":1}", 9 },
                { "[1]\0\n[2]", 8 },
                { "[\"a\0b\"]", 7 } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct json_object *o = NULL;
        struct cvm_bytes text = { (const uint8_t *)bad[i].text, bad[i].size };
        if (cvm_json_parse("it", text, &o, &err)) {
            fail_msg("accepted document %zu with a NUL", i);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "it: ");
    }
}

/* What json-c's strict mode takes although RFC 8259 does not know it. */
static void test_what_json_c_lets_through(void **state)
{
    static const char *const bad[] = {
        "{'a':1}", "{'a\"':1}",     "[{\"b\":{'a':1}}]", "['a']",
        "\"\t\"",  "[\"a\\\\\n\"]", "{\"\x01\":1}",      "[NaN]",
        "NaN",     "[-Infinity]",   "{\"a\":Infinity}",
    };
    static const char good[] = "{\"N'a\": \"it's \\\"'\\\\\"}";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct json_object *o = NULL;
        if (parse(bad[i], &o, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "it: not JSON");
    }
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    must(parse(good, &o, &err), &err);
    assert_renders(o, "{\"N'a\":\"it's \\\"'\\\\\"}");
}

static void test_text_is_utf8(void **state)
{
    static const char *const good[] = {
        "\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc3",
        "\xc3(",
        "\xe2\x82",
        "\xf0\x90\x80",
        "\xfe",
        "\xff",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf", /* too long */
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", /* no character */
        "\xf8\x88\x80\x80\x80",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        char text[16];
        snprintf(text, sizeof text, "[\"%s\"]", good[i]);
        must(parse(text, &o, &err), &err);
        assert_renders(o, text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct json_object *o = NULL;
        char text[16];
        snprintf(text, sizeof text, i % 2 == 0 ? "[\"%s\"]" : "{\"%s\":1}", bad[i]);
        if (parse(text, &o, &err)) {
            fail_msg("accepted: sample %zu", i);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "it: not JSON");
    }
}

/* Readers differ in which of two values they take: what one checked, another would not use. */
static void test_a_key_given_twice(void **state)
{
    static const char *const bad[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":null,\"b\":2,\"a\":{}}",
        "[{\"x\":[{\"a:\":\":\",\"\\u0061:\":2}]}]",
    };
    static const char good[] = "{\"a\":{\"a\":\"a:\"},\"b\":[{\"a\":1},{\"a\":2}],\"A\":null}";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct json_object *o = NULL;
        if (parse(bad[i], &o, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "it: a key stands twice in one object");
    }
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    must(parse(good, &o, &err), &err);
    assert_renders(o, good);
}

static void nested(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
}

static void test_depth(void **state)
{
    char text[256];
    (void)state;
    for (size_t depth = 1; depth < 100; depth++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        nested(text, depth);
        bool ok = parse(text, &o, &err);
        assert_int_equal(ok, depth <= CVM_JSON_MAX_DEPTH);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "nested too deep");
        }
    }
}

static void test_every_length(void **state)
{
    static const char text[] = "{\"name\": [1, {\"b\": false}], \"c\": \"\\u00e9\"}";
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        struct cvm_bytes part = { (const uint8_t *)text, n };
        assert_int_equal(cvm_json_parse("it", part, &o, &err), n == sizeof text - 1);
    }
}

static void test_a_size_that_the_parser_cannot_count(void **state)
{
    struct cvm_error err = { 0 };
    struct json_object *o = NULL;
    (void)state;
    assert_false(cvm_json_parse("it", (struct cvm_bytes){ NULL, INT_MAX }, &o, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "it: 2147483647 bytes of JSON");
}

static void test_files(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    cvm_autofree char *large = malloc(CVM_JSON_MAX_SIZE + 2);
    place_write_text(p, "good", "{\"a\": 1}\n");
    must(cvm_json_load(place_path(p, "good"), &o, &err), &err);
    assert_renders(o, "{\"a\":1}");
    struct json_object *none = NULL;
    assert_false(cvm_json_load_max(place_path(p, "good"), 8, &none, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "larger than the limit of 8 bytes");
    assert_false(cvm_json_load(place_path(p, "absent"), &none, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "absent");
    assert_non_null(large);
    memset(large, ' ', CVM_JSON_MAX_SIZE + 1);
    memcpy(large, "[]", 2);
    place_write(p, "large", large, CVM_JSON_MAX_SIZE);
    must(cvm_json_load(place_path(p, "large"), &none, &err), &err);
    cvm_json_free(none);
    none = NULL;
    place_write(p, "large", large, CVM_JSON_MAX_SIZE + 1);
    assert_false(cvm_json_load(place_path(p, "large"), &none, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "larger than the limit of 1048576 bytes");
    place_write_text(p, "bad", "{");
    assert_false(cvm_json_load(place_path(p, "bad"), &none, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "bad': not JSON at offset 1");
}

/* --- decoding --- */

struct sample {
    const char *text;
    struct cvm_opt_bool flag;
    struct cvm_opt_u64 number, size;
    struct json_object *object, *array, *any;
};

#define FIELD(f) offsetof(struct sample, f)
/* clang-format off */
static const struct cvm_json_field fields[] = {
    { "text",   CVM_JSON_STRING, FIELD(text), .min = 2, .max = 4 },
    { "flag",   CVM_JSON_BOOL,   FIELD(flag) },
    { "number", CVM_JSON_NUMBER, FIELD(number), .min = 3, .max = 300 },
    { "size",   CVM_JSON_SIZE,   FIELD(size), .max = UINT64_C(1) << 40 },
    { "object", CVM_JSON_OBJECT, FIELD(object) },
    { "array",  CVM_JSON_ARRAY,  FIELD(array), .max = 2 },
    { "any",    CVM_JSON_ANY,    FIELD(any) },
    { 0 },
};
/* clang-format on */

static bool decode(const char *text, struct json_object **o, struct sample *out,
                   struct cvm_error *err)
{
    *out = (struct sample){ 0 };
    must(parse(text, o, err), err);
    return cvm_json_decode(*o, fields, CVM_JSON_REJECT_UNKNOWN, out, err);
}

static void test_every_kind_of_field(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    struct sample s;
    (void)state;
    must(decode("{\"text\":\"abcd\",\"flag\":true,\"number\":300,\"size\":\"3K\",\"object\":{},"
                "\"array\":[1,2],\"any\":7}",
                &o, &s, &err),
         &err);
    assert_string_equal(s.text, "abcd");
    assert_true(s.flag.set && s.flag.value);
    assert_true(s.number.set && s.number.value == 300);
    assert_true(s.size.set && s.size.value == 3072);
    assert_true(cvm_json_is_object(s.object));
    assert_true(cvm_json_is_array(s.array));
    assert_int_equal(cvm_json_array_length(s.array), 2);
    assert_non_null(cvm_json_array_at(s.array, 1));
    assert_null(cvm_json_array_at(s.array, 2));
    assert_non_null(s.any);
    assert_false(cvm_json_is_string(s.any));
}

static void test_absent_and_null_are_the_same(void **state)
{
    static const char *const texts[] = { "{}",
                                         "{\"text\":null,\"flag\":null,\"number\":null,\"size\":"
                                         "null,\"object\":null,\"array\":null,\"any\":null}" };
    static const struct sample nothing;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        struct sample s;
        must(decode(texts[i], &o, &s, &err), &err);
        assert_memory_equal(&s, &nothing, sizeof s);
        assert_int_equal(cvm_json_array_length(s.array), 0);
    }
}

static void test_wrong_types_and_ranges(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"text\":1}", "key 'text' is not a string" },
        { "{\"text\":\"a\\u0000b\"}", "key 'text' is not a string" },
        { "{\"text\":\"a\"}", "key 'text': a length of 1 is not within 2 to 4" },
        { "{\"text\":\"abcde\"}", "key 'text': a length of 5 is not within 2 to 4" },
        { "{\"flag\":1}", "key 'flag' is not true or false" },
        { "{\"flag\":\"true\"}", "key 'flag' is not true or false" },
        { "{\"number\":2}", "key 'number': 2 is not within 3 to 300" },
        { "{\"number\":301}", "key 'number': 301 is not within 3 to 300" },
        { "{\"number\":-5}", "key 'number' is not a whole number" },
        { "{\"number\":5.0}", "key 'number' is not a whole number" },
        { "{\"number\":5e1}", "key 'number' is not a whole number" },
        { "{\"number\":\"5\"}", "key 'number' is not a whole number" },
        { "{\"number\":true}", "key 'number' is not a whole number" },
        { "{\"number\":[5]}", "key 'number' is not a whole number" },
        { "{\"number\":9223372036854775807}", "is not within 3 to 300" },
        { "{\"number\":18446744073709551614}", "is not within 3 to 300" },
        { "{\"number\":18446744073709551615}", "key 'number' is not a whole number" },
        { "{\"number\":18446744073709551616}", "key 'number' is not a whole number" },
        { "{\"number\":99999999999999999999999999}", "key 'number' is not a whole number" },
        { "{\"number\":-9223372036854775809}", "key 'number' is not a whole number" },
        { "{\"size\":\"2X\"}", "key 'size' is not a size in bytes, as a number or like \"2G\"" },
        { "{\"size\":\"2T\"}", "key 'size': 2199023255552 is not within 0 to 1099511627776" },
        { "{\"size\":-1}", "key 'size' is not a size" },
        { "{\"size\":1.5}", "key 'size' is not a size" },
        { "{\"object\":[]}", "key 'object' is not an object" },
        { "{\"array\":{}}", "key 'array' is not an array" },
        { "{\"array\":[1,2,3]}", "key 'array': a length of 3 is not within 0 to 2" },
        { "[]", "not a JSON object" },
        { "\"text\"", "not a JSON object" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        struct sample s;
        if (decode(bad[i].text, &o, &s, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_unknown_keys(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"numbr\":5}", "unknown key 'numbr', did you mean 'number'?" },
        { "{\"flags\":true}", "unknown key 'flags', did you mean 'flag'?" },
        { "{\"Text\":\"ab\"}", "unknown key 'Text', did you mean 'text'?" },
        { "{\"zebra\":null}", "unknown key 'zebra'" },
        { "{\"\":1}", "unknown key ''" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        struct sample s;
        assert_false(decode(bad[i].text, &o, &s, &err));
        assert_true(strstr(bad[i].message, "mean") != NULL || strstr(err.msg, "mean") == NULL);
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
        must(cvm_json_decode(o, fields, CVM_JSON_IGNORE_UNKNOWN, &s, &err), &err);
    }
}

static void test_required_keys(void **state)
{
    static const struct cvm_json_field needed[] = {
        { "text", CVM_JSON_STRING, FIELD(text) },
        { "any", CVM_JSON_ANY, FIELD(any), .required = true },
        { 0 },
    };
    static const char *const bad[] = { "{}", "{\"text\":\"ab\"}", "{\"any\":null}" };
    struct sample s = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autojson struct json_object *o = NULL;
        must(parse(bad[i], &o, &err), &err);
        assert_false(cvm_json_decode(o, needed, CVM_JSON_REJECT_UNKNOWN, &s, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "key 'any' is missing");
    }
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    must(parse("{\"any\":false}", &o, &err), &err);
    must(cvm_json_decode(o, needed, CVM_JSON_REJECT_UNKNOWN, &s, &err), &err);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } sizes[] = {
        { "0", true, 0 },
        { "4096", true, 4096 },
        { "1K", true, 1024 },
        { "512M", true, UINT64_C(512) << 20 },
        { "2G", true, UINT64_C(2) << 30 },
        { "7T", true, UINT64_C(7) << 40 },
        { "9223372036854775807", true, INT64_MAX },
        { "8388607T", true, UINT64_C(8388607) << 40 },
        { "9223372036854775808", false, 0 },
        { "8388608T", false, 0 },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "K", false, 0 },
        { "1k", false, 0 },
        { "1KB", false, 0 },
        { "1 K", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { "0x10", false, 0 },
        { "1.5G", false, 0 },
        { "1P", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t value = 0;
        if (cvm_parse_size(sizes[i].text, &value) != sizes[i].ok) {
            fail_msg("size '%s'", sizes[i].text);
        }
        assert_int_equal(value, sizes[i].value);
    }
}

/* --- building --- */

static void build_sample(struct cvm_json_builder *b)
{
    static const uint8_t bytes[] = { 0x00, 0xab, 0xff };
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "text", "a/\"b\"\n");
    cvm_json_put_string(b, "none", NULL);
    cvm_json_put_u64(b, "number", UINT64_MAX);
    cvm_json_put_bool(b, "flag", false);
    cvm_json_put_null(b, "null");
    cvm_json_put_hex(b, "hex", bytes, sizeof bytes);
    cvm_json_begin_array(b, "list");
    cvm_json_put_u64(b, NULL, 1);
    cvm_json_begin_object(b, NULL);
    cvm_json_end(b);
    cvm_json_end(b);
    cvm_json_end(b);
}

#define SAMPLE_TEXT                                                                                \
    "{\"text\":\"a/\\\"b\\\"\\n\",\"none\":null,\"number\":18446744073709551615,\"flag\":false,"   \
    "\"null\":null,\"hex\":\"00abff\",\"list\":[1,{}]}"

static bool build_text(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    build_sample(&b);
    if (!cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, err)) {
        return false;
    }
    assert_bytes(text.data, text.len, SAMPLE_TEXT, sizeof SAMPLE_TEXT - 1);
    return true;
}

static void test_a_document_is_built(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autojson struct json_object *o = NULL;
    (void)state;
    must(build_text(&err), &err);
    cvm_json_begin_array(&b, NULL);
    cvm_json_put_bool(&b, NULL, true);
    cvm_json_end(&b);
    must(cvm_json_finish(&b, CVM_JSON_PRETTY, &text, &err), &err);
    assert_bytes(text.data, text.len, "[\n  true\n]\n", 11);
    must(cvm_json_take(&b, &o, &err), &err);
    assert_renders(o, "[true]");
}

/* A part of another document is shared with it, and outlives it. */
/* What a row decoded is written as it stands; what is not set, as null. */
static void test_values_by_their_kind(void **state)
{
    (void)state;
    static const char document[] = "{\"text\":\"x\",\"flag\":false,\"number\":7,\"size\":1024,"
                                   "\"list\":[1,{\"a\":null}],\"none\":null}";
    union {
        const char *text;
        struct cvm_opt_bool flag;
        struct cvm_opt_u64 number;
        struct json_object *json;
    } slot;
    static const struct cvm_json_field rows[] = {
        { "text", CVM_JSON_STRING }, { "flag", CVM_JSON_BOOL },  { "number", CVM_JSON_NUMBER },
        { "size", CVM_JSON_SIZE },   { "list", CVM_JSON_ARRAY }, { "none", CVM_JSON_ANY },
    };
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *o = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    struct {
        struct json_object *values[6];
    } raw = { { NULL } };
    struct cvm_json_field any[7] = { { 0 } };
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)document, strlen(document) }, &o,
                        &err),
         &err);
    for (size_t i = 0; i < 6; i++) {
        any[i] = (struct cvm_json_field){ rows[i].key, CVM_JSON_ANY, i * sizeof(void *) };
    }
    must(cvm_json_decode(o, any, CVM_JSON_REJECT_UNKNOWN, &raw, &err), &err);
    cvm_json_begin_object(&b, NULL);
    for (size_t i = 0; i < 6; i++) {
        memset(&slot, 0, sizeof slot);
        assert_false(cvm_json_is_set(rows[i].kind, &slot));
        if (raw.values[i] != NULL) {
            must(cvm_json_decode_value(&rows[i], raw.values[i], &slot, &err), &err);
            assert_true(cvm_json_is_set(rows[i].kind, &slot));
        }
        assert_true(cvm_json_value_size(rows[i].kind) <= sizeof slot);
        cvm_json_put_value(&b, rows[i].key, rows[i].kind, &slot);
    }
    cvm_json_end(&b);
    must(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &err), &err);
    assert_bytes(text.data, text.len, document, strlen(document));
    assert_false(cvm_json_decode_value(&rows[2], raw.values[0], &slot, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "key 'number' is not a whole number");
}

static void test_sharing(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autojson struct json_object *taken = NULL;
    struct json_object *part = NULL;
    (void)state;
    must(parse("[\"x\"]", &part, &err), &err);
    struct json_object *second = cvm_json_share(part);
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_any(&b, "part", part);
    cvm_json_put_any(&b, "none", NULL);
    cvm_json_end(&b);
    cvm_json_free(part);
    cvm_json_free(second);
    must(cvm_json_take(&b, &taken, &err), &err);
    assert_renders(taken, "{\"part\":[\"x\"],\"none\":null}");
}

static void misuse_two_roots(struct cvm_json_builder *b)
{
    cvm_json_put_u64(b, NULL, 1);
    cvm_json_put_string(b, NULL, "second");
}

static void misuse_not_closed(struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_begin_array(b, "a");
    cvm_json_end(b);
}

static void misuse_closed_twice(struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_end(b);
    cvm_json_end(b);
}

static void misuse_too_deep(struct cvm_json_builder *b)
{
    for (unsigned i = 0; i <= CVM_JSON_BUILDER_DEPTH; i++) {
        cvm_json_begin_array(b, NULL);
    }
    cvm_json_put_u64(b, NULL, 1);
    for (unsigned i = 0; i <= CVM_JSON_BUILDER_DEPTH; i++) {
        cvm_json_end(b);
    }
}

static void misuse_closed_at_once(struct cvm_json_builder *b)
{
    cvm_json_end(b);
    cvm_json_put_u64(b, NULL, 1);
}

static void test_misuse_is_sticky(void **state)
{
    static void (*const misuses[])(struct cvm_json_builder *) = {
        misuse_two_roots, misuse_not_closed,     misuse_closed_twice,
        misuse_too_deep,  misuse_closed_at_once,
    };
    (void)state;
    for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf text = { 0 };
        cvm_autobuilder struct cvm_json_builder b = { 0 };
        struct json_object *o = NULL;
        misuses[i](&b);
        assert_false(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &err));
        assert_error(&err, CVM_ERR_NOMEM, "JSON document");
        assert_int_equal(text.len, 0);
        assert_false(cvm_json_take(&b, &o, &err));
        assert_error(&err, CVM_ERR_NOMEM, "JSON document");
        assert_null(o);
    }
}

/* --- out of memory --- */

static bool parse_sample(struct cvm_error *err)
{
    cvm_autojson struct json_object *o = NULL;
    return parse(SAMPLE_TEXT, &o, err);
}

static unsigned fail_each_json_call(bool (*run)(struct cvm_error *err))
{
    for (unsigned n = 1;; n++) {
        struct cvm_error err = { 0 };
        json_fault_at(n);
        bool ok = run(&err);
        bool hit = json_fault_hit();
        if (ok == hit || (hit && err.code != CVM_ERR_NOMEM)) {
            fail_msg("call %u %s, result: '%s'", n, hit ? "failed" : "was not made", err.msg);
        }
        if (ok) {
            return n - 1;
        }
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(parse_sample) >= 1);
    assert_true(fail_each_allocation(build_text) >= 2);
    assert_int_equal(fail_each_json_call(parse_sample), 1);
    assert_int_equal(fail_each_json_call(build_text), 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_what_json_c_lets_through),
        cmocka_unit_test(test_text_is_utf8),
        cmocka_unit_test(test_a_key_given_twice),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_a_size_that_the_parser_cannot_count),
        cmocka_unit_test_setup_teardown(test_files, place_setup, place_teardown),
        cmocka_unit_test(test_every_kind_of_field),
        cmocka_unit_test(test_absent_and_null_are_the_same),
        cmocka_unit_test(test_wrong_types_and_ranges),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_required_keys),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_document_is_built),
        cmocka_unit_test(test_values_by_their_kind),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_misuse_is_sticky),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
