#include "vmm/json.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "vmm/json_text.h"
#include "vmm/nearest.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>

void cvm_json_free(struct json_object *o)
{
    json_object_put(o);
}

void cvm_json_free_at(struct json_object **slot)
{
    json_object_put(*slot);
}

static void free_tokener(struct json_tokener **slot)
{
    if (*slot != NULL) {
        json_tokener_free(*slot);
    }
}

/* How many members the objects of a document have in all. */
static size_t count_members(struct json_object *o)
{
    size_t count = 0;
    if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++) {
            count += count_members(json_object_array_get_idx(o, i));
        }
    }
    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value)
        {
            (void)key;
            count += 1 + count_members(value);
        }
    }
    return count;
}

bool cvm_json_parse(const char *what, struct cvm_bytes text, struct json_object **out,
                    struct cvm_error *err)
{
    if (text.size >= INT_MAX) { /* the parser counts in int */
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: %zu bytes of JSON", what, text.size);
    }
    size_t members = 0;
    if (!cvm_json_check_text(text, &members, err)) {
        return cvm_context(err, "%s", what);
    }
    CVM_CLEANUP(free_tokener)
    struct json_tokener *tokener = json_tokener_new_ex(CVM_JSON_MAX_DEPTH);
    cvm_autofree char *copy = malloc(text.size + 1); /* the parser wants to see the final NUL */
    if (tokener == NULL || copy == NULL) {
        return cvm_fail_nomem(err, what, text.size);
    }
    if (text.size != 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    cvm_autojson struct json_object *root =
        json_tokener_parse_ex(tokener, copy, (int)text.size + 1);
    enum json_tokener_error why = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    if (why != json_tokener_success) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: not JSON at offset %zu: %s", what, end,
                        why == json_tokener_error_depth ? "nested too deep"
                                                        : json_tokener_error_desc(why));
    }
    if (end < text.size && strspn(copy + end, " \t\r\n") != text.size - end) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: something follows the JSON at offset %zu",
                        what, end);
    }
    if (count_members(root) != members) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: a key stands twice in one object", what);
    }
    *out = cvm_steal(&root);
    return true;
}

bool cvm_json_load_max(const char *path, size_t max, struct json_object **out,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    char what[300];
    snprintf(what, sizeof what, "'%s'", path);
    return cvm_file_load(path, max, &text, err) &&
           cvm_json_parse(what, cvm_buf_bytes(&text), out, err);
}

bool cvm_json_load(const char *path, struct json_object **out, struct cvm_error *err)
{
    return cvm_json_load_max(path, CVM_JSON_MAX_SIZE, out, err);
}

/* --- decoding --- */

static const char *kind_name(enum cvm_json_kind kind)
{
    static const char *const names[] = {
        [CVM_JSON_STRING] = "a string",
        [CVM_JSON_BOOL] = "true or false",
        [CVM_JSON_NUMBER] = "a whole number",
        [CVM_JSON_SIZE] = "a size in bytes, as a number or like \"2G\"",
        [CVM_JSON_OBJECT] = "an object",
        [CVM_JSON_ARRAY] = "an array",
        [CVM_JSON_ANY] = "a value",
    };
    return names[kind];
}

static bool wrong_type(const struct cvm_json_field *field, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s' is not %s", field->key,
                    kind_name(field->kind));
}

static bool check_range(const struct cvm_json_field *field, uint64_t value, const char *of,
                        struct cvm_error *err)
{
    if (value < field->min || (field->max != 0 && value > field->max)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s': %s%llu is not within %llu to %llu",
                        field->key, of, (unsigned long long)value, (unsigned long long)field->min,
                        (unsigned long long)field->max);
    }
    return true;
}

/* A whole number that is not negative. json-c clips what is out of its range: refused as well. */
static bool whole_number(const struct json_object *value, uint64_t *out)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0) {
        return false;
    }
    *out = json_object_get_uint64(value);
    return *out != UINT64_MAX;
}

static bool decode_number(const struct cvm_json_field *field, const struct json_object *value,
                          void *slot, struct cvm_error *err)
{
    struct cvm_opt_u64 *out = slot;
    uint64_t number;
    const char *text = field->kind == CVM_JSON_SIZE ? cvm_json_string(value) : NULL;
    if (text != NULL ? !cvm_parse_size(text, &number) : !whole_number(value, &number)) {
        return wrong_type(field, err);
    }
    if (!check_range(field, number, "", err)) {
        return false;
    }
    *out = (struct cvm_opt_u64){ true, number };
    return true;
}

static bool decode_string(const struct cvm_json_field *field, const struct json_object *value,
                          void *slot, struct cvm_error *err)
{
    const char *text = cvm_json_string(value);
    if (text == NULL) {
        return wrong_type(field, err);
    }
    if (!check_range(field, strlen(text), "a length of ", err)) {
        return false;
    }
    *(const char **)slot = text;
    return true;
}

bool cvm_json_decode_value(const struct cvm_json_field *field, struct json_object *value,
                           void *slot, struct cvm_error *err)
{
    switch (field->kind) {
    case CVM_JSON_STRING:
        return decode_string(field, value, slot, err);
    case CVM_JSON_NUMBER:
    case CVM_JSON_SIZE:
        return decode_number(field, value, slot, err);
    case CVM_JSON_BOOL:
        if (!json_object_is_type(value, json_type_boolean)) {
            return wrong_type(field, err);
        }
        *(struct cvm_opt_bool *)slot =
            (struct cvm_opt_bool){ true, json_object_get_boolean(value) };
        return true;
    case CVM_JSON_ARRAY:
        if (!json_object_is_type(value, json_type_array)) {
            return wrong_type(field, err);
        }
        if (!check_range(field, json_object_array_length(value), "a length of ", err)) {
            return false;
        }
        break;
    case CVM_JSON_OBJECT:
        if (!json_object_is_type(value, json_type_object)) {
            return wrong_type(field, err);
        }
        break;
    case CVM_JSON_ANY:
        break;
    }
    *(struct json_object **)slot = value;
    return true;
}

size_t cvm_json_value_size(enum cvm_json_kind kind)
{
    switch (kind) {
    case CVM_JSON_STRING:
        return sizeof(const char *);
    case CVM_JSON_BOOL:
        return sizeof(struct cvm_opt_bool);
    case CVM_JSON_NUMBER:
    case CVM_JSON_SIZE:
        return sizeof(struct cvm_opt_u64);
    default:
        return sizeof(struct json_object *);
    }
}

bool cvm_json_is_set(enum cvm_json_kind kind, const void *slot)
{
    switch (kind) {
    case CVM_JSON_STRING:
        return *(const char *const *)slot != NULL;
    case CVM_JSON_BOOL:
        return ((const struct cvm_opt_bool *)slot)->set;
    case CVM_JSON_NUMBER:
    case CVM_JSON_SIZE:
        return ((const struct cvm_opt_u64 *)slot)->set;
    default:
        return *(struct json_object *const *)slot != NULL;
    }
}

static const struct cvm_json_field *find_field(const struct cvm_json_field *fields, const char *key)
{
    for (; fields->key != NULL; fields++) {
        if (strcmp(fields->key, key) == 0) {
            return fields;
        }
    }
    return NULL;
}

static bool unknown_key(const struct cvm_json_field *fields, const char *key, struct cvm_error *err)
{
    const char *nearest = NULL;
    for (const struct cvm_json_field *f = fields; f->key != NULL; f++) {
        nearest = cvm_nearer(key, nearest, f->key);
    }
    if (nearest != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "unknown key '%.64s', did you mean '%s'?", key,
                        nearest);
    }
    return cvm_fail(err, CVM_ERR_MALFORMED, "unknown key '%.64s'", key);
}

bool cvm_json_decode(const struct json_object *object, const struct cvm_json_field *fields,
                     enum cvm_json_unknown unknown, void *out, struct cvm_error *err)
{
    if (!json_object_is_type(object, json_type_object)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "not a JSON object");
    }
    json_object_object_foreach((struct json_object *)(uintptr_t)object, key, value)
    {
        const struct cvm_json_field *field = find_field(fields, key);
        if (field == NULL && unknown == CVM_JSON_REJECT_UNKNOWN) {
            return unknown_key(fields, key, err);
        }
        if (field != NULL && value != NULL &&
            !cvm_json_decode_value(field, value, (char *)out + field->offset, err)) {
            return false;
        }
    }
    for (; fields->key != NULL; fields++) {
        struct json_object *found = NULL;
        bool present = json_object_object_get_ex(object, fields->key, &found) && found != NULL;
        if (fields->required && !present) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s' is missing", fields->key);
        }
    }
    return true;
}

bool cvm_json_is_object(const struct json_object *o)
{
    return json_object_is_type(o, json_type_object);
}

bool cvm_json_is_array(const struct json_object *o)
{
    return json_object_is_type(o, json_type_array);
}

bool cvm_json_is_string(const struct json_object *o)
{
    return json_object_is_type(o, json_type_string);
}

bool cvm_json_check_strings(const char *key, const struct json_object *array, struct cvm_error *err)
{
    for (size_t i = 0; i < cvm_json_array_length(array); i++) {
        if (cvm_json_string(cvm_json_array_at(array, i)) == NULL) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "%s[%zu] is not a string", key, i);
        }
    }
    return true;
}

const char *cvm_json_string(const struct json_object *o)
{
    if (!json_object_is_type(o, json_type_string)) {
        return NULL;
    }
    /* json-c's getter is not const, but changes nothing in a string. */
    struct json_object *string = (struct json_object *)(uintptr_t)o;
    const char *text = json_object_get_string(string);
    return strlen(text) == (size_t)json_object_get_string_len(string) ? text : NULL;
}

bool cvm_json_number(const struct json_object *o, uint64_t *out)
{
    return whole_number(o, out);
}

size_t cvm_json_array_length(const struct json_object *array)
{
    return array == NULL ? 0 : json_object_array_length(array);
}

struct json_object *cvm_json_array_at(const struct json_object *array, size_t index)
{
    return json_object_array_get_idx(array, index);
}

struct json_object *cvm_json_share(struct json_object *o)
{
    return json_object_get(o);
}

bool cvm_parse_size(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMGT";
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(*p - '0'), &value)) {
            return false;
        }
    }
    if (p == text) {
        return false;
    }
    const char *suffix = *p == '\0' ? NULL : strchr(suffixes, *p);
    unsigned shift = suffix == NULL ? 0 : 10 * (unsigned)(suffix - suffixes + 1);
    p += suffix != NULL;
    if (*p != '\0' || value > (uint64_t)INT64_MAX >> shift) {
        return false;
    }
    *out = value << shift;
    return true;
}

/* --- building --- */

/* Adds a value to what is open, or makes it the root; takes it over in any case. */
static void add(struct cvm_json_builder *b, const char *key, struct json_object *value,
                bool is_null)
{
    if (b->failed || (value == NULL && !is_null)) {
        b->failed = true;
        json_object_put(value);
        return;
    }
    if (b->depth == 0) {
        b->failed = b->root != NULL;
        if (b->failed) {
            json_object_put(value);
            return;
        }
        b->root = value;
        return;
    }
    struct json_object *parent = b->open[b->depth - 1];
    int rc = key == NULL ? json_object_array_add(parent, value)
                         : json_object_object_add(parent, key, value);
    if (rc != 0) {
        json_object_put(value);
        b->failed = true;
    }
}

static void begin(struct cvm_json_builder *b, const char *key, struct json_object *container)
{
    add(b, key, container, false);
    if (b->failed || b->depth == CVM_JSON_BUILDER_DEPTH) {
        b->failed = true;
        return;
    }
    b->open[b->depth++] = container;
}

void cvm_json_begin_object(struct cvm_json_builder *b, const char *key)
{
    begin(b, key, json_object_new_object());
}

void cvm_json_begin_array(struct cvm_json_builder *b, const char *key)
{
    begin(b, key, json_object_new_array());
}

void cvm_json_end(struct cvm_json_builder *b)
{
    b->failed |= b->depth == 0;
    b->depth -= !b->failed;
}

void cvm_json_put_string(struct cvm_json_builder *b, const char *key, const char *value)
{
    if (value == NULL) {
        cvm_json_put_null(b, key);
        return;
    }
    add(b, key, json_object_new_string(value), false);
}

void cvm_json_put_u64(struct cvm_json_builder *b, const char *key, uint64_t value)
{
    add(b, key, json_object_new_uint64(value), false);
}

void cvm_json_put_bool(struct cvm_json_builder *b, const char *key, bool value)
{
    add(b, key, json_object_new_boolean(value), false);
}

void cvm_json_put_null(struct cvm_json_builder *b, const char *key)
{
    add(b, key, NULL, true);
}

void cvm_json_put_hex(struct cvm_json_builder *b, const char *key, const uint8_t *data, size_t size)
{
    cvm_autofree char *hex = malloc(2 * size + 1);
    if (hex == NULL) {
        b->failed = true;
        return;
    }
    cvm_hex_encode(data, size, hex);
    cvm_json_put_string(b, key, hex);
}

void cvm_json_put_any(struct cvm_json_builder *b, const char *key, struct json_object *value)
{
    add(b, key, json_object_get(value), value == NULL);
}

void cvm_json_put_copy(struct cvm_json_builder *b, const char *key, struct json_object *value)
{
    struct json_object *copy = NULL;
    if (value != NULL && json_object_deep_copy(value, &copy, NULL) != 0) {
        copy = NULL;
    }
    add(b, key, copy, value == NULL);
}

void cvm_json_put_value(struct cvm_json_builder *b, const char *key, enum cvm_json_kind kind,
                        const void *slot)
{
    if (!cvm_json_is_set(kind, slot)) {
        cvm_json_put_null(b, key);
        return;
    }
    switch (kind) {
    case CVM_JSON_STRING:
        cvm_json_put_string(b, key, *(const char *const *)slot);
        break;
    case CVM_JSON_BOOL:
        cvm_json_put_bool(b, key, ((const struct cvm_opt_bool *)slot)->value);
        break;
    case CVM_JSON_NUMBER:
    case CVM_JSON_SIZE:
        cvm_json_put_u64(b, key, ((const struct cvm_opt_u64 *)slot)->value);
        break;
    default:
        cvm_json_put_copy(b, key, *(struct json_object *const *)slot);
        break;
    }
}

bool cvm_json_finish(struct cvm_json_builder *b, enum cvm_json_style style, struct cvm_buf *out,
                     struct cvm_error *err)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                (style == CVM_JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                          : JSON_C_TO_STRING_PLAIN);
    const char *text =
        b->failed || b->depth != 0 ? NULL : json_object_to_json_string_ext(b->root, flags);
    if (text == NULL) {
        return cvm_fail_nomem(err, "JSON document", 0);
    }
    cvm_put_text(out, text);
    if (style == CVM_JSON_PRETTY) {
        cvm_put_text(out, "\n");
    }
    return cvm_buf_finish(out, "JSON text", err);
}

bool cvm_json_take(struct cvm_json_builder *b, struct json_object **out, struct cvm_error *err)
{
    if (b->failed || b->depth != 0) {
        return cvm_fail_nomem(err, "JSON document", 0);
    }
    *out = b->root;
    b->root = NULL;
    return true;
}

void cvm_json_builder_free(struct cvm_json_builder *b)
{
    json_object_put(b->root);
    *b = (struct cvm_json_builder){ 0 };
}
