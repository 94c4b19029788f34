#include "vmm/manifest_export.h"

#include "measure/base/base64.h"
#include "vmm/manifest_draft.h"
#include "vmm/report.h"

/* A register by the names that each form gives it; MRTD first, as cvm_register_word() has them. */
static const struct {
    const char *rvps, *policy;
} names[CVM_REGISTERS] = {
    { "mr_td", "mrtd" },
    { "rtmr_0", "0" },
    { "rtmr_1", "1" },
    { "rtmr_2", "2" },
};

static const struct cvm_sha384 *value_of(const struct cvm_manifest_shape *shape, unsigned index)
{
    return index == 0 ? &shape->expected.mrtd : &shape->expected.rtmr[index - 1];
}

static bool is_policy(const struct cvm_manifest *m, unsigned index)
{
    const struct cvm_manifest_policy *p = cvm_manifest_policy_of(m);
    return index == 0 ? p->mrtd : p->rtmr[index - 1];
}

/* The next shape from *at on that is asked for; NULL at the end. */
static const struct cvm_manifest_shape *next_shape(const struct cvm_manifest *m, const char *name,
                                                   size_t *at)
{
    const struct cvm_manifest_shape *shape;
    while ((shape = cvm_manifest_shape_at(m, (*at)++)) != NULL) {
        if (name == NULL || strcmp(shape->name, name) == 0) {
            return shape;
        }
    }
    return NULL;
}

static void put_value(const char *key, const struct cvm_sha384 *value, struct cvm_json_builder *b)
{
    cvm_json_put_hex(b, key, value->bytes, sizeof value->bytes);
}

/* --- plain --- */

static void put_plain_shape(const struct cvm_manifest_shape *shape, struct cvm_json_builder *b)
{
    cvm_json_put_string(b, "name", shape->name);
    cvm_json_put_string(b, "os_image_hash", shape->os_image_hash);
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        put_value(cvm_register_word(i), value_of(shape, i), b);
    }
}

/* One shape stands in the object itself, several in a list. */
static bool put_plain(const struct cvm_manifest *m, const char *name, struct cvm_json_builder *b,
                      struct cvm_error *err)
{
    (void)err;
    bool single = name != NULL || cvm_manifest_num_shapes(m) == 1;
    const struct cvm_manifest_shape *shape;
    size_t at = 0;
    cvm_json_begin_object(b, NULL);
    cvm_json_put_bool(b, "signed", false);
    if (single) {
        put_plain_shape(next_shape(m, name, &at), b);
        cvm_json_end(b);
        return true;
    }
    cvm_json_begin_array(b, "shapes");
    while ((shape = next_shape(m, name, &at)) != NULL) {
        cvm_json_begin_object(b, NULL);
        put_plain_shape(shape, b);
        cvm_json_end(b);
    }
    cvm_json_end(b);
    cvm_json_end(b);
    return true;
}

/* --- the reference values of Trustee's RVPS --- */

/* Whether an earlier shape has the same value of this register. */
static bool is_repeated(const struct cvm_manifest *m, const char *name, size_t before,
                        unsigned index, const struct cvm_sha384 *value)
{
    size_t at = 0;
    const struct cvm_manifest_shape *shape;
    while ((shape = next_shape(m, name, &at)) != NULL && at < before) {
        if (memcmp(value_of(shape, index), value, sizeof *value) == 0) {
            return true;
        }
    }
    return false;
}

static bool render_values(const struct cvm_manifest *m, const char *name, struct cvm_buf *out,
                          struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        const struct cvm_manifest_shape *shape;
        size_t at = 0;
        if (!is_policy(m, i)) {
            continue;
        }
        cvm_json_begin_array(&b, names[i].rvps);
        while ((shape = next_shape(m, name, &at)) != NULL) {
            if (!is_repeated(m, name, at, i, value_of(shape, i))) {
                put_value(NULL, value_of(shape, i), &b);
            }
        }
        cvm_json_end(&b);
    }
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}

static bool put_rvps(const struct cvm_manifest *m, const char *name, struct cvm_json_builder *b,
                     struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf values = { 0 };
    cvm_autobuf struct cvm_buf payload = { 0 };
    if (!render_values(m, name, &values, err)) {
        return false;
    }
    cvm_put_base64(&payload, cvm_buf_bytes(&values));
    cvm_put_u8(&payload, '\0');
    if (!cvm_buf_finish(&payload, "payload", err)) {
        return false;
    }
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "version", "0.1.0");
    cvm_json_put_string(b, "type", "sample");
    cvm_json_put_string(b, "payload", (const char *)payload.data);
    cvm_json_end(b);
    return true;
}

/* --- a policy list --- */

static void put_policy_shape(const struct cvm_manifest *m, const struct cvm_manifest_shape *shape,
                             struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "measurement_id", shape->name);
    cvm_json_put_string(b, "attestation_type", "dcap-tdx");
    cvm_json_begin_object(b, "measurements");
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        if (!is_policy(m, i)) {
            continue;
        }
        cvm_json_begin_object(b, names[i].policy);
        cvm_json_begin_array(b, "expected_any");
        put_value(NULL, value_of(shape, i), b);
        cvm_json_end(b);
        cvm_json_end(b);
    }
    cvm_json_end(b);
    cvm_json_end(b);
}

static bool put_policy(const struct cvm_manifest *m, const char *name, struct cvm_json_builder *b,
                       struct cvm_error *err)
{
    const struct cvm_manifest_shape *shape;
    size_t at = 0;
    (void)err;
    cvm_json_begin_array(b, NULL);
    while ((shape = next_shape(m, name, &at)) != NULL) {
        put_policy_shape(m, shape, b);
    }
    cvm_json_end(b);
    return true;
}

/* --- all of them --- */

static const struct format {
    const char *name;
    bool (*put)(const struct cvm_manifest *m, const char *name, struct cvm_json_builder *b,
                struct cvm_error *err);
} formats[] = {
    { "plain", put_plain },
    { "rvps", put_rvps },
    { "policy", put_policy },
    { 0 },
};

bool cvm_manifest_export(const struct cvm_manifest *manifest, const char *format, const char *shape,
                         struct cvm_buf *out, struct cvm_error *err)
{
    const struct format *f = formats;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    size_t at = 0;
    while (f->name != NULL && strcmp(f->name, format) != 0) {
        f++;
    }
    if (f->name == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "format '%.32s' is none of plain, rvps, policy",
                        format);
    }
    if (next_shape(manifest, shape, &at) == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "the manifest has no shape '%.255s'", shape);
    }
    return f->put(manifest, shape, &b, err) && cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}
