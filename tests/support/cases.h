/*
 * Reading cases.json of a family of vectors: an array of objects. Whatever is missing or of another
 * type fails the test.
 */
#ifndef CVM_TESTS_CASES_H
#define CVM_TESTS_CASES_H

#include "tests/support/check.h"

#include <json-c/json.h>
#include <stdio.h>

#define autocases CVM_CLEANUP(put_cases)

static inline void put_cases(json_object **slot)
{
    json_object_put(*slot);
}

/* The array of vectors/KIND/FAMILY. */
static inline json_object *load_cases(const char *kind, const char *family)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s/cases.json", kind, family);
    cvm_autobuf struct cvm_buf text = load_vector(path);
    cvm_put_u8(&text, 0);
    json_object *cases = json_tokener_parse((const char *)text.data);
    assert_true(json_object_is_type(cases, json_type_array));
    return cases;
}

/* A member that has to exist with this type. */
static inline json_object *get(json_object *o, const char *key, json_type type)
{
    json_object *value = NULL;
    if (!json_object_object_get_ex(o, key, &value) || !json_object_is_type(value, type)) {
        fail_msg("cases.json: no %s '%s'", json_type_to_name(type), key);
    }
    return value;
}

static inline uint64_t get_number(json_object *o, const char *key)
{
    return json_object_get_uint64(get(o, key, json_type_int));
}

static inline bool get_flag(json_object *o, const char *key)
{
    return json_object_get_boolean(get(o, key, json_type_boolean)) != 0;
}

static inline const char *get_text(json_object *o, const char *key)
{
    return json_object_get_string(get(o, key, json_type_string));
}

#endif
