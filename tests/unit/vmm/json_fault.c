#include "tests/unit/vmm/json_fault.h"

#include <json-c/json.h>

static unsigned fail_at; /* counts down; 0 means off */
static bool hit;

static bool fails_now(void)
{
    if (fail_at == 0 || --fail_at != 0) {
        return false;
    }
    hit = true;
    return true;
}

void json_fault_at(unsigned n)
{
    fail_at = n;
    hit = false;
}

bool json_fault_hit(void)
{
    fail_at = 0;
    return hit;
}

/* --wrap=FUNCTION sends calls of FUNCTION to __wrap_FUNCTION. */
#define WRAP(type, failure, name, parameters, arguments)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails_now() ? (failure) : __real_##name arguments;                                  \
    }

WRAP(struct json_tokener *, NULL, json_tokener_new_ex, (int depth), (depth))
WRAP(struct json_object *, NULL, json_object_new_object, (void), ())
WRAP(struct json_object *, NULL, json_object_new_array, (void), ())
WRAP(struct json_object *, NULL, json_object_new_string, (const char *text), (text))
WRAP(struct json_object *, NULL, json_object_new_uint64, (uint64_t value), (value))
WRAP(struct json_object *, NULL, json_object_new_boolean, (json_bool value), (value))
WRAP(int, -1, json_object_object_add,
     (struct json_object * o, const char *key, struct json_object *value), (o, key, value))
WRAP(int, -1, json_object_array_add, (struct json_object * o, struct json_object *value),
     (o, value))
WRAP(const char *, NULL, json_object_to_json_string_ext, (struct json_object * o, int flags),
     (o, flags))
