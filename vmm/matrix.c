#include "vmm/matrix.h"

#include <stdio.h>

/* Keys of a vm_config that say nothing of a machine. */
static const char *const other_keys[] = {
    "spec_version", "os_image_hash", "image", "tdx_attestation_variant", "tdx_measurement",
};

static bool describes_machine(const char *key)
{
    for (size_t i = 0; i < sizeof other_keys / sizeof other_keys[0]; i++) {
        if (strcmp(other_keys[i], key) == 0) {
            return false;
        }
    }
    return true;
}

/* --- reading --- */

/* What a file has for each row of the vm_config, still as JSON. */
struct raw {
    struct json_object *values[CVM_MATRIX_MAX_KEYS];
};

static bool read_raw(const struct json_object *document, struct raw *out, struct cvm_error *err)
{
    struct cvm_json_field rows[CVM_MATRIX_MAX_KEYS] = { { 0 } };
    const struct cvm_json_field *fields = cvm_vm_config_fields();
    for (size_t i = 0; fields[i].key != NULL && i < CVM_MATRIX_MAX_KEYS - 1; i++) {
        rows[i] = (struct cvm_json_field){
            .key = fields[i].key,
            .kind = CVM_JSON_ANY,
            .offset = offsetof(struct raw, values) + i * sizeof(struct json_object *),
        };
    }
    return cvm_json_decode(document, rows, CVM_JSON_REJECT_UNKNOWN, out, err);
}

/* Where values are lists themselves, a list of values is a list of lists. */
static bool is_list(const struct cvm_json_field *field, const struct json_object *value)
{
    if (field->kind != CVM_JSON_ARRAY || !cvm_json_is_array(value)) {
        return cvm_json_is_array(value);
    }
    size_t count = cvm_json_array_length(value);
    for (size_t i = 0; i < count; i++) {
        const struct json_object *item = cvm_json_array_at(value, i);
        if (item != NULL && !cvm_json_is_array(item)) {
            return false;
        }
    }
    return count != 0;
}

static bool read_value(struct cvm_matrix_key *key, struct json_object *value, struct cvm_error *err)
{
    union cvm_matrix_value *slot = &key->values[key->count++];
    return value == NULL || cvm_json_decode_value(key->field, value, slot, err);
}

static bool read_key(const struct cvm_json_field *field, struct json_object *value,
                     struct cvm_matrix_key *out, struct cvm_error *err)
{
    bool list = is_list(field, value);
    size_t count = list ? cvm_json_array_length(value) : 1;
    if (!describes_machine(field->key)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s' does not describe a machine", field->key);
    }
    if (count == 0 || count > CVM_MATRIX_MAX_SHAPES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s' is a list of %zu values, not of 1 to %d",
                        field->key, count, CVM_MATRIX_MAX_SHAPES);
    }
    out->field = field;
    out->values = calloc(count, sizeof *out->values);
    if (out->values == NULL) {
        return cvm_fail_nomem(err, field->key, count * sizeof *out->values);
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_value(out, list ? cvm_json_array_at(value, i) : value, err)) {
            return list ? cvm_context(err, "value %zu", i) : false;
        }
    }
    return true;
}

bool cvm_matrix_parse(struct json_object *document, struct cvm_matrix *out, struct cvm_error *err)
{
    struct raw raw = { { 0 } };
    const struct cvm_json_field *fields = cvm_vm_config_fields();
    out->document = cvm_json_share(document);
    out->num_shapes = 1;
    if (!read_raw(document, &raw, err)) {
        return false;
    }
    for (size_t i = 0; i < CVM_MATRIX_MAX_KEYS; i++) {
        if (raw.values[i] == NULL) {
            continue;
        }
        struct cvm_matrix_key *key = &out->keys[out->num_keys++];
        if (!read_key(&fields[i], raw.values[i], key, err)) {
            return false;
        }
        out->num_shapes *= key->count; /* both at most 2^16 */
        if (out->num_shapes > CVM_MATRIX_MAX_SHAPES) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "key '%s': with its %zu values there are more than %d shapes",
                            key->field->key, key->count, CVM_MATRIX_MAX_SHAPES);
        }
    }
    return true;
}

bool cvm_matrix_load(const char *path, struct cvm_matrix *out, struct cvm_error *err)
{
    cvm_autojson struct json_object *document = NULL;
    return cvm_json_load(path, &document, err) &&
           (cvm_matrix_parse(document, out, err) || cvm_context(err, "matrix '%s'", path));
}

void cvm_matrix_free(struct cvm_matrix *m)
{
    for (size_t i = 0; i < m->num_keys; i++) {
        free(m->keys[i].values);
    }
    cvm_json_free(m->document);
    *m = (struct cvm_matrix){ 0 };
}

/* --- shapes --- */

const union cvm_matrix_value *cvm_matrix_value(const struct cvm_matrix *m, size_t shape, size_t key)
{
    for (size_t i = m->num_keys - 1; i > key; i--) {
        shape /= m->keys[i].count;
    }
    return &m->keys[key].values[shape % m->keys[key].count];
}

const struct cvm_matrix_key *cvm_matrix_find(const struct cvm_matrix *m, const char *name)
{
    for (size_t i = 0; i < m->num_keys; i++) {
        if (strcmp(m->keys[i].field->key, name) == 0) {
            return &m->keys[i];
        }
    }
    return NULL;
}

bool cvm_matrix_says(const struct cvm_matrix *m, size_t shape, const char *name)
{
    const struct cvm_matrix_key *key = cvm_matrix_find(m, name);
    return key != NULL &&
           cvm_json_is_set(key->field->kind, cvm_matrix_value(m, shape, (size_t)(key - m->keys)));
}

void cvm_matrix_apply(const struct cvm_matrix *m, size_t shape, struct cvm_vm_config *config)
{
    for (size_t i = 0; i < m->num_keys; i++) {
        const struct cvm_json_field *f = m->keys[i].field;
        const union cvm_matrix_value *value = cvm_matrix_value(m, shape, i);
        if (cvm_json_is_set(f->kind, value)) {
            memcpy((char *)config + f->offset, value, cvm_json_value_size(f->kind));
        }
    }
}

void cvm_matrix_put_shape(const struct cvm_matrix *m, size_t shape, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, "shape");
    for (size_t i = 0; i < m->num_keys; i++) {
        const struct cvm_json_field *f = m->keys[i].field;
        cvm_json_put_value(b, f->key, f->kind, cvm_matrix_value(m, shape, i));
    }
    cvm_json_end(b);
}
