#include "tests/unit/measure/samples.h"

#include "measure/base/base64.h"
#include "measure/base/hex.h"
#include "tests/support/check.h"

#include <json-c/json.h>

static struct json_object *member(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, key, &value)) {
        fail_msg("the vector has no '%s'", key);
    }
    return value;
}

static const char *text(struct json_object *object, const char *key)
{
    struct json_object *value = member(object, key);
    assert_true(json_object_is_type(value, json_type_string));
    return json_object_get_string(value);
}

static struct cvm_sha384 digest(struct json_object *object, const char *key)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 out;
    const char *hex = text(object, key);
    must(cvm_hex_decode(hex, strlen(hex), out.bytes, sizeof out.bytes, &err), &err);
    return out;
}

static struct cvm_buf hex_bytes(const char *hex)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    size_t size = strlen(hex) / 2;
    cvm_put_zeros(&out, size);
    must(cvm_hex_decode(hex, strlen(hex), out.data, size, &err), &err);
    return out;
}

static struct cvm_buf base64_bytes(const char *encoded)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    must(cvm_base64_decode(encoded, strlen(encoded), &out, &err), &err);
    return out;
}

static void load_events(struct json_object *events, struct hw_sample *out)
{
    size_t count = json_object_array_length(events);
    assert_in_range(count, 1, HW_MAX_EVENTS);
    for (size_t i = 0; i < count; i++) {
        struct json_object *event = json_object_array_get_idx(events, i);
        struct hw_event *e = &out->events[out->num_events++];
        const char *name = text(event, "event");
        assert_true(strlen(name) < sizeof e->name);
        memcpy(e->name, name, strlen(name) + 1);
        e->imr = (unsigned)json_object_get_int(member(event, "imr"));
        e->type = (uint32_t)json_object_get_int64(member(event, "event_type"));
        e->has_digest = strcmp(text(event, "digest"), "") != 0;
        if (e->has_digest) {
            e->digest = digest(event, "digest");
        }
        e->payload = hex_bytes(text(event, "event_payload"));
    }
}

void hw_load(struct hw_sample *out)
{
    static const char *const names[4] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3" };
    *out = (struct hw_sample){ 0 };
    struct cvm_buf file = load_vector("hw/tdx-lite-2cpu-2g.json");
    cvm_put_u8(&file, 0);
    struct json_object *root = json_tokener_parse((const char *)file.data);
    assert_non_null(root);
    struct json_object *vm_config = member(root, "vm_config");
    out->compact = base64_bytes(text(member(vm_config, "tdx_measurement"), "measurement"));
    out->quote = hex_bytes(text(root, "quote_hex"));
    load_events(member(root, "event_log"), out);
    struct json_object *registers = member(root, "registers");
    out->mrtd = digest(registers, "mrtd");
    for (size_t i = 0; i < 4; i++) {
        out->rtmr[i] = digest(registers, names[i]);
    }
    json_object_put(root);
    cvm_buf_free(&file);
}

void hw_free(struct hw_sample *hw)
{
    cvm_buf_free(&hw->compact);
    cvm_buf_free(&hw->quote);
    for (uint32_t i = 0; i < hw->num_events; i++) {
        cvm_buf_free(&hw->events[i].payload);
    }
    *hw = (struct hw_sample){ 0 };
}
