#include "vmm/manifest_draft.h"

#include "measure/base/time.h"
#include "measure/manifest.h"
#include "vmm/checksums.h"
#include "vmm/file_digest.h"
#include "vmm/machine_json.h"

const char *cvm_register_word(unsigned index)
{
    static const char *const words[] = { "mrtd", "rtmr0", "rtmr1", "rtmr2" };
    return words[index];
}

/* --- subjects --- */

static void put_subject(const char *name, const struct cvm_sha256 *sha256,
                        const struct cvm_sha384 *sha384, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "name", name);
    cvm_json_begin_object(b, "digest");
    cvm_json_put_hex(b, "sha256", sha256->bytes, sizeof sha256->bytes);
    if (sha384 != NULL) {
        cvm_json_put_hex(b, "sha384", sha384->bytes, sizeof sha384->bytes);
    }
    cvm_json_end(b);
    cvm_json_end(b);
}

/* The bundle was verified against its list, so that the list has the files' digests. */
static bool put_files(const struct cvm_bundle *bundle, struct cvm_json_builder *b,
                      struct cvm_error *err)
{
    static const enum cvm_bundle_role roles[] = { CVM_BUNDLE_BIOS, CVM_BUNDLE_KERNEL,
                                                  CVM_BUNDLE_INITRD, CVM_BUNDLE_METADATA };
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    const struct cvm_bytes text = { bundle->checksums.data, bundle->checksums.len };
    struct cvm_subject checksums;
    if (!cvm_checksums_parse(text, &list, err) ||
        !cvm_subject_of("sha256sum.txt", text, &checksums, err)) {
        return cvm_context(err, "image '%s'", bundle->path);
    }
    put_subject(checksums.name, &checksums.sha256, &checksums.sha384, b);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        const char *name = bundle->files[roles[i]].name;
        const struct cvm_checksum *listed = cvm_checksums_find(&list, name);
        if (listed == NULL) {
            return cvm_fail(err, CVM_ERR_MISMATCH,
                            "image '%s': '%s' is not listed in sha256sum.txt", bundle->path, name);
        }
        put_subject(name, &listed->digest, NULL, b);
    }
    return true;
}

static bool put_declaration(const struct cvm_draft_shape *shape, bool single,
                            struct cvm_json_builder *b, struct cvm_error *err)
{
    struct cvm_subject digests;
    cvm_autobuf struct cvm_buf name = { 0 };
    cvm_put_format(&name, "%s%svm_config.json%c", single ? "" : shape->name, single ? "" : "/", 0);
    if (!cvm_buf_finish(&name, "subject", err) ||
        !cvm_subject_of((const char *)name.data, shape->vm_config, &digests, err)) {
        return false;
    }
    put_subject(digests.name, &digests.sha256, &digests.sha384, b);
    return true;
}

static bool put_subjects(const struct cvm_manifest_draft *d, struct cvm_json_builder *b,
                         struct cvm_error *err)
{
    cvm_json_begin_array(b, "subject");
    if (!put_files(d->bundle, b, err)) {
        return false;
    }
    for (size_t i = 0; i < d->num_shapes; i++) {
        if (!put_declaration(&d->shapes[i], d->num_shapes == 1, b, err)) {
            return false;
        }
    }
    cvm_json_end(b);
    return true;
}

/* --- predicate --- */

static bool put_tool(struct cvm_json_builder *b, struct cvm_error *err)
{
    struct cvm_subject self;
    if (!cvm_file_digest("/proc/self/exe", &self, err)) {
        return cvm_context(err, "this program's own digest");
    }
    cvm_json_begin_object(b, "tool");
    cvm_json_put_string(b, "name", "cvm");
    cvm_json_put_string(b, "version", CVM_VERSION);
    cvm_json_put_hex(b, "sha256", self.sha256.bytes, sizeof self.sha256.bytes);
    cvm_json_end(b);
    return true;
}

static void put_image(const struct cvm_bundle *bundle, struct cvm_json_builder *b)
{
    const struct cvm_bundle_metadata *m = &bundle->metadata;
    cvm_json_begin_object(b, "image");
    cvm_json_put_string(b, "name", bundle->name);
    cvm_json_put_string(b, "version", m->version);
    if (m->is_dev.set) {
        cvm_json_put_bool(b, "is_dev", m->is_dev.value);
    } else {
        cvm_json_put_null(b, "is_dev");
    }
    cvm_json_put_string(b, "git_revision", m->git_revision);
    cvm_json_put_hex(b, "os_image_hash", bundle->os_image_hash.bytes,
                     sizeof bundle->os_image_hash.bytes);
    cvm_json_end(b);
}

static bool put_signers(const struct cvm_keys *keys, struct cvm_json_builder *b,
                        struct cvm_error *err)
{
    cvm_json_begin_array(b, "signers");
    for (size_t i = 0; i < keys->count; i++) {
        struct cvm_sha256 fingerprint;
        if (!cvm_key_fingerprint(keys->items[i], &fingerprint, err)) {
            return false;
        }
        cvm_json_put_hex(b, NULL, fingerprint.bytes, sizeof fingerprint.bytes);
    }
    cvm_json_end(b);
    return true;
}

static void put_registers(unsigned information, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, "registers");
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        cvm_json_put_string(b, cvm_register_word(i),
                            (information & 1u << i) != 0 ? "information" : "policy");
    }
    cvm_json_put_string(b, "rtmr3", "information"); /* what runs in the guest extends it */
    cvm_json_end(b);
}

static void put_shape(const struct cvm_draft_shape *shape, const struct cvm_subject *emulator,
                      struct cvm_json_builder *b)
{
    char version[20];
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "name", shape->name);
    cvm_report_put(&shape->report, b);
    cvm_machine_put(shape->report.machine, b);
    cvm_json_begin_object(b, "qemu");
    cvm_json_put_string(b, "version",
                        cvm_qemu_version_text(shape->report.machine, version, sizeof version));
    if (emulator != NULL) {
        cvm_json_put_hex(b, "sha256", emulator->sha256.bytes, sizeof emulator->sha256.bytes);
    } else {
        cvm_json_put_null(b, "sha256");
    }
    cvm_json_end(b);
    cvm_json_end(b);
}

static bool put_predicate(const struct cvm_manifest_draft *d, const struct cvm_keys *keys,
                          struct cvm_json_builder *b, struct cvm_error *err)
{
    struct cvm_subject emulator;
    if (d->emulator != NULL && !cvm_file_digest(d->emulator, &emulator, err)) {
        return cvm_context(err, "emulator");
    }
    cvm_json_begin_object(b, "predicate");
    if (!put_tool(b, err)) {
        return false;
    }
    put_image(d->bundle, b);
    if (!put_signers(keys, b, err)) {
        return false;
    }
    cvm_json_begin_object(b, "validity");
    cvm_json_put_string(b, "not_before", d->not_before);
    cvm_json_put_string(b, "not_after", d->not_after);
    cvm_json_end(b);
    put_registers(d->information, b);
    cvm_json_begin_array(b, "shapes");
    for (size_t i = 0; i < d->num_shapes; i++) {
        put_shape(&d->shapes[i], d->emulator != NULL ? &emulator : NULL, b);
    }
    cvm_json_end(b);
    cvm_json_end(b);
    return true;
}

/* --- the whole --- */

/* *at is a moment at which the manifest is valid. */
static bool check_window(const struct cvm_manifest_draft *d, int64_t *at, struct cvm_error *err)
{
    int64_t start = 1;
    int64_t end = CVM_TIME_MAX;
    if ((d->not_before != NULL && !cvm_time_parse(d->not_before, &start, err)) ||
        (d->not_after != NULL && !cvm_time_parse(d->not_after, &end, err))) {
        err->code = CVM_ERR_USAGE;
        return cvm_context(err, "validity");
    }
    *at = start;
    return start <= end
               ? true
               : cvm_fail(err, CVM_ERR_USAGE, "validity: it ends (%s) before it starts (%s)",
                          d->not_after, d->not_before);
}

static bool check_draft(const struct cvm_manifest_draft *d, struct cvm_error *err)
{
    if (d->information == (1u << CVM_REGISTERS) - 1) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "all registers are for information: nothing is left to "
                        "compare");
    }
    if (d->num_shapes > CVM_MANIFEST_MAX_SHAPES) {
        return cvm_fail(err, CVM_ERR_USAGE, "%zu machines, %d are the most", d->num_shapes,
                        CVM_MANIFEST_MAX_SHAPES);
    }
    for (size_t i = 0; i < d->num_shapes; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(d->shapes[i].name, d->shapes[k].name) == 0) {
                return cvm_fail(err, CVM_ERR_USAGE, "two machines have the name '%s'",
                                d->shapes[i].name);
            }
        }
    }
    return true;
}

static bool render(const struct cvm_manifest_draft *d, const struct cvm_keys *keys,
                   struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "_type", CVM_MANIFEST_STATEMENT_TYPE);
    if (!put_subjects(d, &b, err)) {
        return false;
    }
    cvm_json_put_string(&b, "predicateType", CVM_MANIFEST_PREDICATE_TYPE);
    if (!put_predicate(d, keys, &b, err)) {
        return false;
    }
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}

/* Reads it as a verifier does: what nobody can verify is not handed out. */
static bool read_back(const struct cvm_buf *document, const struct cvm_keys *keys, int64_t at,
                      struct cvm_error *err)
{
    cvm_autoenvelope struct cvm_envelope *envelope = NULL;
    cvm_automanifest struct cvm_manifest *manifest = NULL;
    const struct cvm_manifest_check check = {
        .keys = cvm_keys_list(keys), .num_keys = keys->count, .threshold = keys->count, .at = at
    };
    return (cvm_envelope_parse(cvm_buf_bytes(document), &envelope, err) &&
            cvm_manifest_verify(envelope, &check, &manifest, err)) ||
           cvm_context(err, "the manifest would not verify");
}

bool cvm_manifest_draft_sign(const struct cvm_manifest_draft *draft, const struct cvm_keys *keys,
                             enum cvm_dsse_form form, struct cvm_buf *out, struct cvm_error *err)
{
    static const char type[] = CVM_MANIFEST_PAYLOAD_TYPE;
    cvm_autobuf struct cvm_buf statement = { 0 };
    cvm_autobuf struct cvm_buf document = { 0 };
    int64_t at = 0;
    if (!check_draft(draft, err) || !check_window(draft, &at, err) ||
        !render(draft, keys, &statement, err)) {
        return false;
    }
    const struct cvm_bytes kind = { (const uint8_t *)type, sizeof type - 1 };
    const struct cvm_bytes payload = { statement.data, statement.len };
    if (!cvm_dsse_sign(kind, payload, cvm_keys_list(keys), keys->count, form, &document, err) ||
        !read_back(&document, keys, at, err)) {
        return false;
    }
    cvm_put_bytes(out, document.data, document.len);
    return cvm_buf_finish(out, "manifest", err);
}
