#include "vmm/manifest_open.h"

#include "measure/base/file.h"
#include "measure/base/time.h"
#include "vmm/file_digest.h"
#include "vmm/json.h"
#include "vmm/keys.h"

#include <time.h>

static bool choose_time(const char *text, int64_t *out, struct cvm_error *err)
{
    if (text == NULL) {
        *out = time(NULL);
        return true;
    }
    if (!cvm_time_parse(text, out, err)) {
        err->code = CVM_ERR_USAGE;
        return cvm_context(err, "--at");
    }
    return true;
}

static bool digest_subjects(const struct cvm_manifest_request *r, struct cvm_subject **out,
                            struct cvm_error *err)
{
    *out = calloc(r->num_subjects + 1, sizeof **out);
    if (*out == NULL) {
        return cvm_fail_nomem(err, "subjects", r->num_subjects);
    }
    for (size_t i = 0; i < r->num_subjects; i++) {
        const char *slash = strrchr(r->subjects[i], '/');
        if (!cvm_file_digest(r->subjects[i], &(*out)[i], err)) {
            return cvm_context(err, "subject");
        }
        (*out)[i].name = slash == NULL ? r->subjects[i] : slash + 1;
    }
    return true;
}

static bool check_request(const struct cvm_manifest_request *r, struct cvm_error *err)
{
    if (r->num_keys == 0) {
        return cvm_fail(err, CVM_ERR_USAGE, "without --key nothing of a manifest can be trusted");
    }
    return !r->threshold.set || r->threshold.value != 0
               ? true
               : cvm_fail(err, CVM_ERR_USAGE, "--threshold: at least 1");
}

/* Whatever is wrong with the document is an answer about it. */
static bool judge(struct cvm_bytes text, const struct cvm_manifest_check *check,
                  struct cvm_manifest **out, struct cvm_error *err)
{
    cvm_autoenvelope struct cvm_envelope *envelope = NULL;
    if (cvm_envelope_parse(text, &envelope, err) &&
        cvm_manifest_verify(envelope, check, out, err)) {
        return true;
    }
    err->code = err->code == CVM_ERR_MALFORMED ? CVM_ERR_MISMATCH : err->code;
    return false;
}

bool cvm_manifest_open(const struct cvm_manifest_request *r, struct cvm_manifest **out, int64_t *at,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autokeys struct cvm_keys keys = { 0 };
    cvm_autofree struct cvm_subject *subjects = NULL;
    if (!check_request(r, err) || !choose_time(r->at, at, err) ||
        !cvm_keys_load(r->keys, r->num_keys, CVM_KEY_PUBLIC, r->passphrase_file, &keys, err) ||
        !digest_subjects(r, &subjects, err) ||
        !cvm_input_load(r->file, CVM_MANIFEST_MAX_SIZE, &text, err)) {
        return false;
    }
    const struct cvm_manifest_check check = {
        .keys = cvm_keys_list(&keys),
        .num_keys = keys.count,
        .threshold = r->threshold.value,
        .at = *at,
        .subjects = subjects,
        .num_subjects = r->num_subjects,
    };
    return judge(cvm_buf_bytes(&text), &check, out, err) ||
           cvm_context(err, "manifest '%s'", r->file);
}

bool cvm_manifest_warnings(const struct cvm_manifest *manifest, struct cvm_warnings *out,
                           struct cvm_error *err)
{
    struct lists {
        struct json_object *predicate, *shapes, *warnings;
    } lists = { 0 };
#define LIST(f) offsetof(struct lists, f)
    static const struct cvm_json_field top[] = { { "predicate", CVM_JSON_OBJECT, LIST(predicate) },
                                                 { 0 } };
    static const struct cvm_json_field middle[] = { { "shapes", CVM_JSON_ARRAY, LIST(shapes) },
                                                    { 0 } };
    static const struct cvm_json_field inner[] = { { "warnings", CVM_JSON_ARRAY, LIST(warnings) },
                                                   { 0 } };
#undef LIST
    cvm_autojson struct json_object *statement = NULL;
    if (!cvm_json_parse("statement", cvm_manifest_statement(manifest), &statement, err) ||
        !cvm_json_decode(statement, top, CVM_JSON_IGNORE_UNKNOWN, &lists, err) ||
        !cvm_json_decode(lists.predicate, middle, CVM_JSON_IGNORE_UNKNOWN, &lists, err)) {
        return false;
    }
    for (size_t i = 0; i < cvm_json_array_length(lists.shapes); i++) {
        lists.warnings = NULL;
        if (!cvm_json_decode(cvm_json_array_at(lists.shapes, i), inner, CVM_JSON_IGNORE_UNKNOWN,
                             &lists, err) ||
            !cvm_json_check_strings("warnings", lists.warnings, err)) {
            return false;
        }
        for (size_t k = 0; k < cvm_json_array_length(lists.warnings); k++) {
            cvm_warn(out, "%s", cvm_json_string(cvm_json_array_at(lists.warnings, k)));
        }
    }
    return true;
}
