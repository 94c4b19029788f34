/*
 * cvm verify: evidence held against an expectation.
 */
#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/base/time.h"
#include "measure/base/x509.h"
#include "vmm/cli/commands.h"
#include "vmm/declared.h"
#include "vmm/manifest_expect.h"
#include "vmm/manifest_open.h"
#include "vmm/passphrase.h"
#include "vmm/report.h"
#include "vmm/verify.h"

#include <time.h>

struct verify_args {
    struct cvm_evidence_files files;
    const char *image;
    const char *os_image_hash;
    const char *manifest;
    struct cli_list keys;
    struct cvm_opt_u64 threshold;
    struct cli_list subjects;
    const char *shape;
    const char *passphrase_file;
    const char *root_ca;
    const char *at;
    const char *qemu_version;
    const char *ovmf_variant;
    const char *compose_hash, *app_compose, *app_id, *key_provider;
    const char *report_data, *mr_config_id;
    const char *html;
    bool allow_debug;
};

#define FIELD(f) offsetof(struct verify_args, f)
/* clang-format off */
static const struct cli_option verify_options[] = {
    { "evidence",      'e', CLI_STRING, FIELD(files.document), "FILE", "one JSON document with quote, event_log and vm_config" },
    { "quote",         'q', CLI_STRING, FIELD(files.quote), "FILE", "the quote: hex, base64 or raw" },
    { "event-log",      0,  CLI_STRING, FIELD(files.event_log), "FILE", "the event log: JSON, or binary as raw, hex or base64" },
    { "vm-config",      0,  CLI_STRING, FIELD(files.vm_config), "FILE", "the declaration; without it, the one in the document" },
    { "image",         'i', CLI_STRING, FIELD(image), "NAME|DIR", "expect what this bundle measures" },
    { "os-image-hash",  0,  CLI_STRING, FIELD(os_image_hash), "HEX", "the image's identity, known from elsewhere; without --image, expect what the measurement in the vm_config says" },
    { "manifest",       0,  CLI_STRING, FIELD(manifest), "FILE", "expect what this signed manifest says, instead of a bundle; needs --key" },
    { "key",           'k', CLI_LIST,   FIELD(keys), "FILE|URI", "public key that is trusted for the manifest, in PEM, or pkcs11: URI; may be given several times" },
    { "threshold",     't', CLI_NUMBER, FIELD(threshold), "N", "how many of the keys have to have signed (default 1)" },
    { "subject",       's', CLI_LIST,   FIELD(subjects), "FILE", "a file that the manifest has to be about; may be given several times" },
    { "shape",          0,  CLI_STRING, FIELD(shape), "NAME", "expect this machine of the manifest (default: any of them)" },
    { "passphrase-file", 0, CLI_STRING, FIELD(passphrase_file), "FILE", "PIN of a token: the first line of a file (default: the variable " CVM_PASSPHRASE_VARIABLE ")" },
    { "root-ca",        0,  CLI_STRING, FIELD(root_ca), "FILE", "the certificate that quotes must lead to, PEM or DER; without it the quote stays unverified" },
    { "at",             0,  CLI_STRING, FIELD(at), "TIME", "when certificates and manifest have to be valid, as 2026-01-31T23:59:59Z (default now)" },
    { "qemu-version",   0,  CLI_STRING, FIELD(qemu_version), "X.Y.Z", "QEMU that ran the guest, instead of what the vm_config says" },
    { "ovmf-variant",   0,  CLI_STRING, FIELD(ovmf_variant), "NAME", "firmware layout, instead of what the vm_config says" },
    { "app-compose",    0,  CLI_STRING, FIELD(app_compose), "FILE", "expect its SHA-256 as compose-hash in RTMR3" },
    { "compose-hash",   0,  CLI_STRING, FIELD(compose_hash), "HEX", "expect this compose-hash in RTMR3" },
    { "app-id",         0,  CLI_STRING, FIELD(app_id), "HEX", "expect this app-id in RTMR3" },
    { "key-provider",   0,  CLI_STRING, FIELD(key_provider), "TEXT|@FILE", "expect this key-provider in RTMR3, byte for byte" },
    { "report-data",    0,  CLI_STRING, FIELD(report_data), "HEX", "expect this report data, at most 64 bytes, zeros behind" },
    { "mr-config-id",   0,  CLI_STRING, FIELD(mr_config_id), "HEX", "expect this MRCONFIGID, 48 bytes" },
    { "allow-debug",    0,  CLI_FLAG,   FIELD(allow_debug), NULL, "accept a TD that the host can debug" },
    { "html",           0,  CLI_STRING, FIELD(html), "FILE", "write the answer as a page of its own" },
    { 0 },
};
/* clang-format on */

/* One verification on its way. */
struct work {
    const struct verify_args *args;
    struct cvm_host host;
    struct cvm_evidence evidence;
    struct cvm_declared declared; /* with a manifest only its config, where there is any */
    struct cvm_expectation expectation;
    struct cvm_manifest *manifest; /* with one, verified; and the machine in it */
    const struct cvm_manifest_shape *shape;
    struct cvm_warnings warnings;
    struct cvm_expected expected;
    char anchor[200];
    struct cvm_buf root;
    struct cvm_buf wanted_bytes[5]; /* what struct cvm_wanted borrows from */
    struct cvm_wanted wanted;
    struct cvm_verdict verdict;
};

static void free_work(struct work *w)
{
    cvm_verdict_free(&w->verdict);
    for (size_t i = 0; i < sizeof w->wanted_bytes / sizeof w->wanted_bytes[0]; i++) {
        cvm_buf_free(&w->wanted_bytes[i]);
    }
    cvm_buf_free(&w->root);
    cvm_warnings_free(&w->warnings);
    cvm_manifest_free(w->manifest);
    cvm_declared_free(&w->declared);
    cvm_evidence_free(&w->evidence);
    cvm_host_free(&w->host);
}

/* --- what is expected --- */

/* What belongs to a manifest, and what does not go with one. */
static bool check_manifest_options(const struct verify_args *a, struct cvm_error *err)
{
    if (a->manifest == NULL) {
        bool stray = a->keys.count != 0 || a->threshold.set || a->subjects.count != 0 ||
                     a->shape != NULL || a->passphrase_file != NULL;
        return !stray ? true
                      : cvm_fail(err, CVM_ERR_USAGE,
                                 "--key, --threshold, --subject, --shape and --passphrase-file are "
                                 "about a manifest: give --manifest");
    }
    return a->image == NULL && a->qemu_version == NULL && a->ovmf_variant == NULL
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "--manifest says what is expected: --image, --qemu-version and "
                          "--ovmf-variant do not go with it");
}

/* The values must not come from what is judged: something that the caller brings pins them. */
static bool check_anchored(const struct work *w, struct cvm_error *err)
{
    const struct verify_args *a = w->args;
    if (!check_manifest_options(a, err)) {
        return false;
    }
    if (a->image == NULL && a->os_image_hash == NULL && a->manifest == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "nothing to hold the evidence against: give --image, or --manifest, or "
                        "--os-image-hash for the measurement that the vm_config carries");
    }
    if (!w->evidence.has_quote) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "no quote: without one, an event log proves nothing (--quote, or "
                        "--evidence)");
    }
    return w->evidence.vm_config != NULL || a->manifest != NULL
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "no vm_config: nothing says what the machine is (--vm-config, or "
                          "--evidence)");
}

static void name_anchor(struct work *w)
{
    const struct cvm_declared *d = &w->declared;
    if (!d->has_bundle) {
        snprintf(w->anchor, sizeof w->anchor, "os_image_hash %.64s as given",
                 w->args->os_image_hash);
    } else if (d->bundle_hash[0] != '\0') {
        snprintf(w->anchor, sizeof w->anchor, "bundle '%.100s', os_image_hash %s", d->bundle.name,
                 d->bundle_hash);
    } else {
        snprintf(w->anchor, sizeof w->anchor, "files of bundle '%.100s', without os_image_hash",
                 d->bundle.name);
    }
}

static bool expect_declared(struct work *w, struct cvm_error *err)
{
    const struct cvm_declaration declaration = {
        .vm_config = w->evidence.vm_config,
        .image = w->args->image,
        .qemu_version = w->args->qemu_version,
        .ovmf_variant = w->args->ovmf_variant,
    };
    struct cvm_declared *d = &w->declared;
    if (!cvm_declared_open(&w->host, &declaration, cli_progress(), d, err) ||
        !cvm_declared_measure(d, &w->expectation, err)) {
        return false;
    }
    cvm_report_warn(&w->expectation, &d->machine, &d->warnings);
    w->warnings = d->warnings;
    d->warnings = (struct cvm_warnings){ 0 };
    name_anchor(w);
    w->expected = (struct cvm_expected){ &w->expectation, true, w->anchor, { 0 } };
    return true;
}

static bool expect_manifest(struct work *w, struct cvm_error *err)
{
    const struct verify_args *a = w->args;
    int64_t at;
    const struct cvm_manifest_request request = {
        .file = a->manifest,
        .keys = a->keys.items,
        .num_keys = a->keys.count,
        .threshold = a->threshold,
        .at = a->at,
        .subjects = a->subjects.items,
        .num_subjects = a->subjects.count,
        .passphrase_file = a->passphrase_file,
    };
    const struct json_object *vm_config = w->evidence.vm_config;
    if (vm_config != NULL && !cvm_vm_config_decode(vm_config, &w->declared.config, err)) {
        return cvm_context(err, "vm_config");
    }
    return cvm_manifest_open(&request, &w->manifest, &at, err) &&
           cvm_manifest_warnings(w->manifest, &w->warnings, err) &&
           cvm_expect_manifest(w->manifest, a->shape, &w->evidence, &w->shape, w->anchor,
                               &w->expected, err);
}

static bool expect(struct work *w, struct cvm_error *err)
{
    return w->args->manifest != NULL ? expect_manifest(w, err) : expect_declared(w, err);
}

/* --- what is wanted beside --- */

static bool read_hex(const char *option, const char *text, size_t min, size_t max,
                     struct cvm_buf *storage, struct cvm_bytes *out, struct cvm_error *err)
{
    size_t size = text == NULL ? 0 : strlen(text) / 2;
    if (text == NULL) {
        return true;
    }
    cvm_put_zeros(storage, size);
    if (!cvm_buf_finish(storage, option, err)) {
        return false;
    }
    if (size < min || size > max || !cvm_hex_decode(text, strlen(text), storage->data, size, err)) {
        *err = (struct cvm_error){ 0 };
        return cvm_fail(err, CVM_ERR_USAGE, "%s: not %zu to %zu bytes in hexadecimal digits",
                        option, min, max);
    }
    *out = (struct cvm_bytes){ storage->data, size };
    return true;
}

static bool read_app_compose(struct work *w, struct cvm_error *err)
{
    enum { MAX_COMPOSE = 16 << 20 };
    cvm_autobuf struct cvm_buf text = { 0 };
    struct cvm_sha256 digest;
    if (w->args->app_compose == NULL) {
        return true;
    }
    if (w->args->compose_hash != NULL) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "--app-compose and --compose-hash say the same thing: "
                        "give one of them");
    }
    if (!cvm_file_load(w->args->app_compose, MAX_COMPOSE, &text, err) ||
        !cvm_sha256(text.data, text.len, &digest, err)) {
        return false;
    }
    struct cvm_buf *storage = &w->wanted_bytes[0];
    cvm_put_bytes(storage, digest.bytes, sizeof digest.bytes);
    w->wanted.compose_hash = cvm_buf_bytes(storage);
    return cvm_buf_finish(storage, "compose-hash", err);
}

static bool read_key_provider(struct work *w, struct cvm_error *err)
{
    enum { MAX_PROVIDER = 64 << 10 };
    const char *text = w->args->key_provider;
    struct cvm_buf *storage = &w->wanted_bytes[2];
    if (text == NULL) {
        return true;
    }
    if (*text == '@') {
        if (!cvm_file_load(text + 1, MAX_PROVIDER, storage, err)) {
            return false;
        }
    } else {
        cvm_put_text(storage, text);
    }
    if (storage->len == 0) {
        return cvm_fail(err, CVM_ERR_USAGE, "--key-provider is empty");
    }
    w->wanted.key_provider = cvm_buf_bytes(storage);
    return cvm_buf_finish(storage, "key-provider", err);
}

static bool read_wanted(struct work *w, struct cvm_error *err)
{
    const struct verify_args *a = w->args;
    struct cvm_wanted *wanted = &w->wanted;
    wanted->allow_debug = a->allow_debug;
    return read_app_compose(w, err) &&
           read_hex("--compose-hash", a->compose_hash, 32, 32, &w->wanted_bytes[0],
                    &wanted->compose_hash, err) &&
           read_hex("--app-id", a->app_id, 1, 64, &w->wanted_bytes[1], &wanted->app_id, err) &&
           read_key_provider(w, err) &&
           read_hex("--report-data", a->report_data, 1, 64, &w->wanted_bytes[3],
                    &wanted->report_data, err) &&
           read_hex("--mr-config-id", a->mr_config_id, 48, 48, &w->wanted_bytes[4],
                    &wanted->mr_config_id, err);
}

/* --- the answer --- */

/* The identity that the image of the expectation has; "" where nothing says it. */
static const char *expected_image(const struct work *w)
{
    const char *declared = w->declared.config.os_image_hash;
    if (w->shape != NULL) {
        return w->shape->os_image_hash != NULL ? w->shape->os_image_hash : "";
    }
    if (w->declared.has_bundle) {
        return w->declared.bundle_hash;
    }
    return declared != NULL ? declared : "";
}

/* Whether the image is the one that is meant: the vm_config's, and the caller's. */
static void check_identity(struct work *w)
{
    const char *given = w->args->os_image_hash;
    const char *actual = expected_image(w);
    const char *declared = w->declared.config.os_image_hash;
    bool pinned = w->shape != NULL || w->declared.has_bundle;
    if (pinned && declared != NULL && *actual != '\0') {
        bool equal = strcasecmp(declared, actual) == 0;
        cvm_verdict_add(&w->verdict, "image", equal, false, w->anchor,
                        equal ? "the vm_config declares this image: %.64s"
                              : "the vm_config declares another image: %.64s",
                        declared);
    }
    if (given != NULL) {
        bool equal = strcasecmp(given, actual) == 0;
        cvm_verdict_add(&w->verdict, "os-image-hash", equal, false, "the value that was given",
                        equal ? "the image is the one that was given"
                              : "the image is another one: %.64s",
                        *actual == '\0' ? "of unknown identity" : actual);
    }
}

static bool write_html(const struct work *w, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf page = { 0 };
    cvm_autobuf struct cvm_buf folder = { 0 };
    cvm_autoclose int dir = -1;
    const char *path = w->args->html;
    if (path == NULL) {
        return true;
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    cvm_put_format(&folder, "%.*s/%c", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path, 0);
    cvm_verdict_html(&w->verdict, &w->warnings, &page);
    if (*name == '\0') {
        return cvm_fail(err, CVM_ERR_USAGE, "--html '%s' is a directory", path);
    }
    return cvm_buf_finish(&folder, "path", err) && cvm_buf_finish(&page, "page", err) &&
           cvm_dir_open((const char *)folder.data, &dir, err) &&
           cvm_file_write(dir, name, page.data, page.len, 0644, err);
}

static bool print_answer(const struct cli *cli, const struct work *w, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cli_warn(cli, &w->warnings);
    if (!cli->json) {
        bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
        cvm_verdict_print(&w->verdict, colour, &text);
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&b, NULL);
    cvm_verdict_put(&w->verdict, &b);
    cvm_warnings_put(&w->warnings, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool load(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    const struct verify_args *a = w->args;
    return cvm_host_load(&cli->host, &w->host, err) &&
           cvm_evidence_load(&a->files, &w->evidence, err) && check_anchored(w, err) &&
           read_wanted(w, err) &&
           (a->root_ca == NULL || cvm_file_load(a->root_ca, CVM_MAX_CERTS_SIZE, &w->root, err));
}

static bool run_verify(const struct cli *cli, const void *data, struct cvm_error *err)
{
    CVM_CLEANUP(free_work)
    struct work w = { .args = data, .declared = CVM_DECLARED_NONE };
    struct cvm_quote_anchor anchor = { .at = (int64_t)time(NULL) };
    if (!load(cli, &w, err) ||
        (w.args->at != NULL && !cvm_time_parse(w.args->at, &anchor.at, err)) || !expect(&w, err)) {
        return false;
    }
    anchor.root = cvm_buf_bytes(&w.root);
    if (!cvm_verify(&w.evidence, &w.expected, &w.wanted, &anchor, &w.verdict, err)) {
        return false;
    }
    check_identity(&w);
    if (!write_html(&w, err) || !print_answer(cli, &w, err)) {
        return false;
    }
    return w.verdict.passed
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH, "the evidence is not what was expected");
}

const struct cli_command cmd_verify = {
    .name = "verify",
    .operands = "",
    .summary = "Hold a quote, an event log and a vm_config against what was expected.",
    .example = "cvm verify --evidence evidence.json --image dstack-0.5.11 --root-ca intel-root.pem",
    .options = verify_options,
    .args_size = sizeof(struct verify_args),
    .run = run_verify,
};
