#include "measure/manifest.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/base/slice.h"
#include "measure/base/time.h"

#include <stdio.h>

enum { NAME_SIZE = 256, EVENT_NAME_SIZE = 64, TIME_SIZE = 64 };

/* A shape and what its pointers lead to. */
struct shape {
    struct cvm_manifest_shape shown;
    char name[NAME_SIZE];
    char os_image_hash[65];
    char (*event_names)[EVENT_NAME_SIZE]; /* owned */
};

struct cvm_manifest {
    struct cvm_dsse_verified verified;
    struct cvm_manifest_policy policy;
    struct shape *shapes; /* owned */
    size_t num_shapes;
};

void cvm_envelope_free_at(struct cvm_envelope **slot)
{
    cvm_envelope_free(*slot);
}

void cvm_manifest_free_at(struct cvm_manifest **slot)
{
    cvm_manifest_free(*slot);
}

/* --- the steps before values are read --- */

static bool check_types(struct cvm_slice statement, struct cvm_error *err)
{
    static const struct {
        const char *key, *want;
    } types[] = {
        { "_type", CVM_MANIFEST_STATEMENT_TYPE },
        { "predicateType", CVM_MANIFEST_PREDICATE_TYPE },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct cvm_error ignored = { 0 };
        char is[NAME_SIZE] = "something else";
        struct cvm_slice value = cvm_slice_member(statement, types[i].key);
        if (cvm_slice_equals(value, types[i].want)) {
            continue;
        }
        if (value.size == 0) {
            return cvm_fail(err, CVM_ERR_MISMATCH, "statement: key '%s' is missing", types[i].key);
        }
        (void)!cvm_slice_copy(value, is, sizeof is, &ignored);
        return cvm_fail(err, CVM_ERR_MISMATCH, "statement: %s is '%s', not '%s'", types[i].key, is,
                        types[i].want);
    }
    return true;
}

/* *found is whether the key is there. */
static bool read_time(struct cvm_slice validity, const char *key, bool *found, int64_t *out,
                      struct cvm_error *err)
{
    char text[TIME_SIZE];
    struct cvm_slice value = cvm_slice_member(validity, key);
    *found = value.size != 0;
    return !*found ||
           (cvm_slice_copy(value, text, sizeof text, err) && cvm_time_parse(text, out, err)) ||
           cvm_context(err, "time window: %s", key);
}

static bool check_window(struct cvm_slice predicate, int64_t at, struct cvm_error *err)
{
    struct cvm_slice validity = cvm_slice_member(predicate, "validity");
    char now[CVM_TIME_TEXT_SIZE];
    char limit[CVM_TIME_TEXT_SIZE];
    bool has_start;
    bool has_end;
    int64_t start = 0;
    int64_t end = 0;
    if (validity.size != 0 && !cvm_slice_is_object(validity)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "time window: 'validity' is not an object");
    }
    if (!read_time(validity, "not_before", &has_start, &start, err) ||
        !read_time(validity, "not_after", &has_end, &end, err)) {
        return false;
    }
    cvm_time_render(at, now);
    if (has_start && at < start) {
        cvm_time_render(start, limit);
        return cvm_fail(err, CVM_ERR_MISMATCH, "time window: not valid before %s, and it is %s",
                        limit, now);
    }
    if (has_end && at > end) {
        cvm_time_render(end, limit);
        return cvm_fail(err, CVM_ERR_MISMATCH, "time window: not valid after %s, and it is %s",
                        limit, now);
    }
    return true;
}

static bool digest_is(struct cvm_slice digest, const char *algorithm, const uint8_t *want,
                      size_t size, bool *known)
{
    char hex[2 * sizeof(struct cvm_sha384) + 1];
    uint8_t bytes[sizeof(struct cvm_sha384)];
    struct cvm_error ignored = { 0 };
    struct cvm_slice value = cvm_slice_member(digest, algorithm);
    *known |= value.size != 0;
    return value.size == 0 || (cvm_slice_copy(value, hex, sizeof hex, &ignored) &&
                               cvm_hex_decode(hex, strlen(hex), bytes, size, &ignored) &&
                               memcmp(bytes, want, size) == 0);
}

/* Every digest of a kind that is known here has to be this file's, and there has to be one. */
static bool is_subject(struct cvm_slice item, const struct cvm_subject *file)
{
    struct cvm_slice digest = cvm_slice_member(item, "digest");
    bool known = false;
    bool equal = digest_is(digest, "sha256", file->sha256.bytes, sizeof file->sha256, &known) &&
                 digest_is(digest, "sha384", file->sha384.bytes, sizeof file->sha384, &known);
    return known && equal;
}

static bool check_subject(struct cvm_slice list, const struct cvm_subject *file,
                          struct cvm_error *err)
{
    struct cvm_slice_iter it = cvm_slice_items(list);
    struct cvm_slice ignored;
    struct cvm_slice item;
    bool same_name = false;
    while (cvm_slice_next(&it, &ignored, &item)) {
        if (is_subject(item, file)) {
            return true;
        }
        same_name |= cvm_slice_equals(cvm_slice_member(item, "name"), file->name);
    }
    return cvm_fail(err, CVM_ERR_MISMATCH, "subject: '%s' is %s", file->name,
                    same_name ? "not the file of this name that the manifest is about"
                              : "none of the files that the manifest is about");
}

static bool check_subjects(struct cvm_slice statement, const struct cvm_manifest_check *check,
                           struct cvm_error *err)
{
    struct cvm_slice list = cvm_slice_member(statement, "subject");
    size_t count = cvm_slice_count(list);
    if (!cvm_slice_is_array(list) || count == 0 || count > CVM_MANIFEST_MAX_SUBJECTS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "subject: not an array of 1 to %d",
                        CVM_MANIFEST_MAX_SUBJECTS);
    }
    for (size_t i = 0; i < check->num_subjects; i++) {
        if (!check_subject(list, &check->subjects[i], err)) {
            return false;
        }
    }
    return true;
}

/* --- values --- */

static bool read_digest(struct cvm_slice object, const char *key, struct cvm_sha384 *out,
                        struct cvm_error *err)
{
    char hex[2 * sizeof out->bytes + 1];
    struct cvm_slice value = cvm_slice_member(object, key);
    return (cvm_slice_copy(value, hex, sizeof hex, err) &&
            cvm_hex_decode(hex, strlen(hex), out->bytes, sizeof out->bytes, err)) ||
           cvm_context(err, "key '%s'", key);
}

/* "rtmr0" to "rtmr3". */
static bool read_register(struct cvm_slice value, unsigned *out, struct cvm_error *err)
{
    char name[8];
    for (*out = 0; *out < CVM_NUM_RTMRS; ++*out) {
        snprintf(name, sizeof name, "rtmr%u", *out);
        if (cvm_slice_equals(value, name)) {
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED, "key 'register' is none of rtmr0 to rtmr3");
}

/* A word that is not known here still is somebody's declaration. */
static enum cvm_digest_source read_source(struct cvm_slice value)
{
    for (enum cvm_digest_source s = CVM_DIGEST_COMPUTED; s <= CVM_DIGEST_CAPTURED; s++) {
        if (cvm_slice_equals(value, cvm_digest_source_word(s))) {
            return s;
        }
    }
    return CVM_DIGEST_DECLARED;
}

static bool read_event(struct cvm_slice item, char *name, struct cvm_event *out,
                       struct cvm_error *err)
{
    if (!read_register(cvm_slice_member(item, "register"), &out->rtmr, err) ||
        !read_digest(item, "digest", &out->digest, err)) {
        return false;
    }
    if (!cvm_slice_copy(cvm_slice_member(item, "name"), name, EVENT_NAME_SIZE, err)) {
        return cvm_context(err, "key 'name'");
    }
    out->name = name;
    out->source = read_source(cvm_slice_member(item, "source"));
    return true;
}

/* The events of a register that has any must replay to it. */
static bool check_replay(const struct cvm_expectation *e, struct cvm_error *err)
{
    bool present[CVM_NUM_RTMRS] = { false };
    for (uint32_t i = 0; i < e->events.num_events; i++) {
        present[e->events.events[i].rtmr] = true;
    }
    for (unsigned rtmr = 0; rtmr < 3; rtmr++) {
        struct cvm_sha384 replayed;
        if (!cvm_event_list_replay(&e->events, rtmr, &replayed, err)) {
            return false;
        }
        if (present[rtmr] && memcmp(&replayed, &e->rtmr[rtmr], sizeof replayed) != 0) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "its events do not replay to rtmr%u", rtmr);
        }
    }
    return true;
}

static bool read_events(struct cvm_slice list, struct shape *out, struct cvm_error *err)
{
    struct cvm_event_list *events = &out->shown.expected.events;
    struct cvm_slice_iter it = cvm_slice_items(list);
    struct cvm_slice ignored;
    struct cvm_slice item;
    size_t count = cvm_slice_count(list);
    if ((list.size != 0 && !cvm_slice_is_array(list)) || count > CVM_MAX_EVENTS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'events' is not an array of at most %d",
                        CVM_MAX_EVENTS);
    }
    out->event_names = calloc(count + 1, sizeof *out->event_names);
    if (out->event_names == NULL) {
        return cvm_fail_nomem(err, "events", count * sizeof *out->event_names);
    }
    while (cvm_slice_next(&it, &ignored, &item)) {
        uint32_t i = events->num_events;
        if (!read_event(item, out->event_names[i], &events->events[i], err)) {
            return cvm_context(err, "events[%u]", i);
        }
        events->num_events++;
    }
    return check_replay(&out->shown.expected, err);
}

static bool read_shape(struct cvm_slice item, struct shape *out, struct cvm_error *err)
{
    static const char *const rtmrs[] = { "rtmr0", "rtmr1", "rtmr2" };
    struct cvm_slice vm_config = cvm_slice_member(item, "vm_config");
    struct cvm_slice hash = cvm_slice_member(item, "os_image_hash");
    struct cvm_expectation *e = &out->shown.expected;
    if (!cvm_slice_copy(cvm_slice_member(item, "name"), out->name, sizeof out->name, err)) {
        return cvm_context(err, "key 'name'");
    }
    if (hash.size != 0 &&
        !cvm_slice_copy(hash, out->os_image_hash, sizeof out->os_image_hash, err)) {
        return cvm_context(err, "key 'os_image_hash'");
    }
    if (vm_config.size != 0 && !cvm_slice_is_object(vm_config)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'vm_config' is not an object");
    }
    out->shown.name = out->name;
    out->shown.os_image_hash = hash.size != 0 ? out->os_image_hash : NULL;
    out->shown.vm_config = (struct cvm_bytes){ vm_config.data, vm_config.size };
    if (!read_digest(item, "mrtd", &e->mrtd, err)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!read_digest(item, rtmrs[i], &e->rtmr[i], err)) {
            return false;
        }
    }
    return read_events(cvm_slice_member(item, "events"), out, err);
}

static bool read_shapes(struct cvm_slice predicate, struct cvm_manifest *m, struct cvm_error *err)
{
    struct cvm_slice list = cvm_slice_member(predicate, "shapes");
    struct cvm_slice_iter it = cvm_slice_items(list);
    struct cvm_slice ignored;
    struct cvm_slice item;
    size_t count = cvm_slice_count(list);
    if (!cvm_slice_is_array(list) || count == 0 || count > CVM_MANIFEST_MAX_SHAPES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'shapes' is not an array of 1 to %d",
                        CVM_MANIFEST_MAX_SHAPES);
    }
    m->shapes = calloc(count, sizeof *m->shapes);
    if (m->shapes == NULL) {
        return cvm_fail_nomem(err, "shapes", count * sizeof *m->shapes);
    }
    while (cvm_slice_next(&it, &ignored, &item)) {
        size_t i = m->num_shapes++;
        if (!read_shape(item, &m->shapes[i], err)) {
            return cvm_context(err, "shapes[%zu]", i);
        }
    }
    return true;
}

/* A register that is not listed is policy. */
static bool read_policy(struct cvm_slice predicate, struct cvm_manifest_policy *out,
                        struct cvm_error *err)
{
    struct cvm_slice registers = cvm_slice_member(predicate, "registers");
    const struct {
        const char *key;
        bool *policy;
    } rows[] = {
        { "mrtd", &out->mrtd },
        { "rtmr0", &out->rtmr[0] },
        { "rtmr1", &out->rtmr[1] },
        { "rtmr2", &out->rtmr[2] },
    };
    bool any = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cvm_slice value = cvm_slice_member(registers, rows[i].key);
        bool information = cvm_slice_equals(value, "information");
        if (value.size != 0 && !information && !cvm_slice_equals(value, "policy")) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "registers: '%s' is neither policy nor information", rows[i].key);
        }
        *rows[i].policy = !information;
        any |= !information;
    }
    return any ? true : cvm_fail(err, CVM_ERR_MALFORMED, "registers: none of them is policy");
}

/* --- the whole way --- */

static bool check_payload_type(const struct cvm_buf *type, struct cvm_error *err)
{
    static const char want[] = CVM_MANIFEST_PAYLOAD_TYPE;
    return type->len == sizeof want - 1 && memcmp(type->data, want, type->len) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH, "payload type: it is '%.*s', not '%s'",
                          (int)type->len, type->len == 0 ? "" : (const char *)type->data, want);
}

static bool read_verified(const struct cvm_manifest_check *check, struct cvm_manifest *m,
                          struct cvm_error *err)
{
    struct cvm_slice statement;
    if (!check_payload_type(&m->verified.type, err)) {
        return false;
    }
    if (!cvm_slice_parse(cvm_manifest_statement(m), &statement, err)) {
        return cvm_context(err, "statement");
    }
    struct cvm_slice predicate = cvm_slice_member(statement, "predicate");
    if (!check_types(statement, err) || !check_window(predicate, check->at, err) ||
        !check_subjects(statement, check, err)) {
        return false;
    }
    return (read_policy(predicate, &m->policy, err) && read_shapes(predicate, m, err)) ||
           cvm_context(err, "predicate");
}

bool cvm_manifest_verify(const struct cvm_envelope *envelope,
                         const struct cvm_manifest_check *check, struct cvm_manifest **out,
                         struct cvm_error *err)
{
    size_t threshold = check->threshold == 0 ? 1 : check->threshold;
    cvm_automanifest struct cvm_manifest *m = NULL;
    if (check->at <= 0 || check->at > CVM_TIME_MAX) {
        return cvm_fail(err, CVM_ERR_USAGE, "no time to check the manifest's validity at");
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return cvm_fail_nomem(err, "manifest", sizeof *m);
    }
    if (!cvm_dsse_verify(envelope, check->keys, check->num_keys, threshold, &m->verified, err) ||
        !read_verified(check, m, err)) {
        return false;
    }
    *out = cvm_steal(&m);
    return true;
}

void cvm_manifest_free(struct cvm_manifest *manifest)
{
    if (manifest == NULL) {
        return;
    }
    cvm_dsse_verified_free(&manifest->verified);
    for (size_t i = 0; i < manifest->num_shapes; i++) {
        free(manifest->shapes[i].event_names);
    }
    free(manifest->shapes);
    free(manifest);
}

/* --- what a verified manifest says --- */

bool cvm_subject_of(const char *name, struct cvm_bytes file, struct cvm_subject *out,
                    struct cvm_error *err)
{
    struct cvm_subject s = { .name = name };
    if (!cvm_sha256(file.data, file.size, &s.sha256, err) ||
        !cvm_sha384(file.data, file.size, &s.sha384, err)) {
        return false;
    }
    *out = s;
    return true;
}

size_t cvm_manifest_num_shapes(const struct cvm_manifest *manifest)
{
    return manifest->num_shapes;
}

const struct cvm_manifest_shape *cvm_manifest_shape_at(const struct cvm_manifest *manifest,
                                                       size_t index)
{
    return index < manifest->num_shapes ? &manifest->shapes[index].shown : NULL;
}

const struct cvm_manifest_policy *cvm_manifest_policy_of(const struct cvm_manifest *manifest)
{
    return &manifest->policy;
}

static bool is_equal(bool policy, const struct cvm_sha384 *a, const struct cvm_sha384 *b)
{
    return !policy || memcmp(a, b, sizeof *a) == 0;
}

const struct cvm_manifest_shape *cvm_manifest_find(const struct cvm_manifest *manifest,
                                                   const struct cvm_sha384 *mrtd,
                                                   const struct cvm_sha384 *rtmr)
{
    const struct cvm_manifest_policy *p = &manifest->policy;
    for (size_t i = 0; i < manifest->num_shapes; i++) {
        const struct cvm_expectation *e = &manifest->shapes[i].shown.expected;
        if (is_equal(p->mrtd, &e->mrtd, mrtd) && is_equal(p->rtmr[0], &e->rtmr[0], &rtmr[0]) &&
            is_equal(p->rtmr[1], &e->rtmr[1], &rtmr[1]) &&
            is_equal(p->rtmr[2], &e->rtmr[2], &rtmr[2])) {
            return &manifest->shapes[i].shown;
        }
    }
    return NULL;
}

size_t cvm_manifest_num_signers(const struct cvm_manifest *manifest)
{
    return manifest->verified.num_signers;
}

const struct cvm_sha256 *cvm_manifest_signer_at(const struct cvm_manifest *manifest, size_t index)
{
    const struct cvm_dsse_verified *v = &manifest->verified;
    return index < v->num_signers ? &v->signers[index].fingerprint : NULL;
}

struct cvm_bytes cvm_manifest_statement(const struct cvm_manifest *manifest)
{
    const struct cvm_buf *payload = &manifest->verified.payload;
    return cvm_buf_bytes(payload);
}

const struct cvm_dsse_verified *cvm_manifest_signed(const struct cvm_manifest *manifest)
{
    return &manifest->verified;
}
