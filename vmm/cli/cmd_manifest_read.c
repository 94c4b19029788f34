/*
 * cvm manifest verify, show and export: what a manifest says, once it was verified.
 */
#include "measure/base/time.h"
#include "vmm/cli/commands.h"
#include "vmm/manifest_draft.h"
#include "vmm/manifest_export.h"
#include "vmm/manifest_open.h"

struct read_args {
    struct cli_list keys;
    struct cvm_opt_u64 threshold;
    struct cli_list subjects;
    const char *at;
    const char *passphrase_file;
    const char *format; /* of export */
    const char *shape;
};

#define FIELD(f) offsetof(struct read_args, f)
/* Everything that is read of a manifest is read with these. */
#define READ_OPTIONS                                                                                   \
    {                                                                                                  \
        "key",      'k',                                                                               \
        CLI_LIST,   FIELD(keys),                                                                       \
        "FILE|URI", "public key that is trusted, in PEM, or pkcs11: URI; may be given several times"   \
    },                                                                                                 \
        { "threshold",      't', CLI_NUMBER,                                                           \
          FIELD(threshold), "N", "how many of the keys have to have signed (default 1)" },             \
        { "subject", 's',                                                                              \
          CLI_LIST,  FIELD(subjects),                                                                  \
          "FILE",    "a file that the manifest has to be about; may be given several times" },         \
        { "at",      0,      CLI_STRING,                                                               \
          FIELD(at), "TIME", "when it has to be valid, as 2026-01-31T00:00:00Z (default: now)" },      \
    {                                                                                                  \
        "passphrase-file", 0, CLI_STRING, FIELD(passphrase_file), "FILE",                              \
            "PIN of a token: the first line of a file (default: the variable " CVM_PASSPHRASE_VARIABLE \
            ")"                                                                                        \
    }
/* clang-format off */
static const struct cli_option read_options[] = { READ_OPTIONS, { 0 } };
static const struct cli_option export_options[] = {
    READ_OPTIONS,
    { "format", 'f', CLI_STRING, FIELD(format), "FORMAT", "plain, rvps or policy (default plain)" },
    { "shape",   0,  CLI_STRING, FIELD(shape), "NAME", "only the machine of this name (default: all)" },
    { 0 },
};
/* clang-format on */

static bool open_manifest(const struct cli *cli, const struct read_args *args,
                          struct cvm_manifest **out, int64_t *at, struct cvm_error *err)
{
    const struct cvm_manifest_request request = {
        .file = cli->operands[0],
        .keys = args->keys.items,
        .num_keys = args->keys.count,
        .threshold = args->threshold,
        .at = args->at,
        .subjects = args->subjects.items,
        .num_subjects = args->subjects.count,
        .passphrase_file = args->passphrase_file,
    };
    return cvm_manifest_open(&request, out, at, err);
}

/* --- what is verified, in both forms --- */

static void put_signers(const struct cvm_manifest *m, struct cvm_json_builder *b)
{
    const struct cvm_sha256 *signer;
    cvm_json_begin_array(b, "signers");
    for (size_t i = 0; (signer = cvm_manifest_signer_at(m, i)) != NULL; i++) {
        cvm_json_put_hex(b, NULL, signer->bytes, sizeof signer->bytes);
    }
    cvm_json_end(b);
}

static void print_signers(const struct cvm_manifest *m, struct cvm_buf *text)
{
    const struct cvm_sha256 *signer;
    for (size_t i = 0; (signer = cvm_manifest_signer_at(m, i)) != NULL; i++) {
        cvm_put_format(text, "signed by      %s\n", cvm_sha256_text(signer).text);
    }
}

static void print_registers(const struct cvm_manifest *m, const struct cvm_manifest_shape *shape,
                            struct cvm_buf *text)
{
    const struct cvm_manifest_policy *p = cvm_manifest_policy_of(m);
    const struct cvm_expectation *e = &shape->expected;
    cvm_put_format(text, "  mrtd   %s%s\n", cvm_sha384_text(&e->mrtd).text,
                   p->mrtd ? "" : "  (information)");
    for (unsigned i = 0; i < 3; i++) {
        cvm_put_format(text, "  rtmr%u  %s%s\n", i, cvm_sha384_text(&e->rtmr[i]).text,
                       p->rtmr[i] ? "" : "  (information)");
    }
}

static void put_registers(const struct cvm_manifest_shape *shape, struct cvm_json_builder *b)
{
    const struct cvm_expectation *e = &shape->expected;
    const struct cvm_sha384 *values[] = { &e->mrtd, &e->rtmr[0], &e->rtmr[1], &e->rtmr[2] };
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "name", shape->name);
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        cvm_json_put_hex(b, cvm_register_word(i), values[i]->bytes, sizeof values[i]->bytes);
    }
    cvm_json_end(b);
}

/* --- verify --- */

static bool answer_json(const struct read_args *args, const struct cvm_manifest *m, const char *at,
                        struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    const struct cvm_manifest_shape *shape;
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_bool(&b, "verified", true);
    put_signers(m, &b);
    cvm_json_put_u64(&b, "threshold", args->threshold.set ? args->threshold.value : 1);
    cvm_json_put_string(&b, "at", at);
    cvm_json_begin_array(&b, "subjects");
    for (size_t i = 0; i < args->subjects.count; i++) {
        cvm_json_put_string(&b, NULL, args->subjects.items[i]);
    }
    cvm_json_end(&b);
    cvm_json_begin_array(&b, "shapes");
    for (size_t i = 0; (shape = cvm_manifest_shape_at(m, i)) != NULL; i++) {
        put_registers(shape, &b);
    }
    cvm_json_end(&b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_verify(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct read_args *args = data;
    cvm_automanifest struct cvm_manifest *m = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    const struct cvm_manifest_shape *shape;
    char at_text[CVM_TIME_TEXT_SIZE];
    int64_t at = 0;
    if (!open_manifest(cli, args, &m, &at, err)) {
        return false;
    }
    cvm_time_render(at, at_text);
    if (cli->json) {
        return answer_json(args, m, at_text, err);
    }
    cvm_put_format(&text, "manifest '%s' is verified\n", cli->operands[0]);
    print_signers(m, &text);
    cvm_put_format(&text, "valid at       %s\n", at_text);
    for (size_t i = 0; i < args->subjects.count; i++) {
        cvm_put_format(&text, "about          %s\n", args->subjects.items[i]);
    }
    for (size_t i = 0; (shape = cvm_manifest_shape_at(m, i)) != NULL; i++) {
        cvm_put_format(&text, "\n%s\n", shape->name);
        print_registers(m, shape, &text);
    }
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

const struct cli_command cmd_manifest_verify = {
    .name = "manifest verify",
    .operands = "FILE",
    .summary = "Check a manifest: signatures, types, time, and files that it has to be about.",
    .example = "cvm manifest verify manifest.json --key release.key.pub --subject sha256sum.txt",
    .options = read_options,
    .args_size = sizeof(struct read_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_verify,
};

/* --- show --- */

/* What of the statement is for people; strings borrow from it. */
struct shown {
    struct json_object *predicate;
    struct json_object *tool, *image, *validity;
    const char *tool_name, *tool_version, *image_name, *image_version, *git_revision;
    const char *not_before, *not_after;
    struct cvm_opt_bool is_dev;
};

static bool decode_shown(const struct json_object *statement, struct shown *s,
                         struct cvm_error *err)
{
#define SHOWN(f) offsetof(struct shown, f)
    static const struct cvm_json_field top[] = { { "predicate", CVM_JSON_OBJECT, SHOWN(predicate) },
                                                 { 0 } };
    static const struct cvm_json_field middle[] = { { "tool", CVM_JSON_OBJECT, SHOWN(tool) },
                                                    { "image", CVM_JSON_OBJECT, SHOWN(image) },
                                                    { "validity", CVM_JSON_OBJECT,
                                                      SHOWN(validity) },
                                                    { 0 } };
    static const struct cvm_json_field tool[] = { { "name", CVM_JSON_STRING, SHOWN(tool_name) },
                                                  { "version", CVM_JSON_STRING,
                                                    SHOWN(tool_version) },
                                                  { 0 } };
    static const struct cvm_json_field image[] = {
        { "name", CVM_JSON_STRING, SHOWN(image_name) },
        { "version", CVM_JSON_STRING, SHOWN(image_version) },
        { "is_dev", CVM_JSON_BOOL, SHOWN(is_dev) },
        { "git_revision", CVM_JSON_STRING, SHOWN(git_revision) },
        { 0 }
    };
    static const struct cvm_json_field validity[] = {
        { "not_before", CVM_JSON_STRING, SHOWN(not_before) },
        { "not_after", CVM_JSON_STRING, SHOWN(not_after) },
        { 0 }
    };
#undef SHOWN
    return cvm_json_decode(statement, top, CVM_JSON_IGNORE_UNKNOWN, s, err) &&
           (s->predicate == NULL ||
            cvm_json_decode(s->predicate, middle, CVM_JSON_IGNORE_UNKNOWN, s, err)) &&
           (s->tool == NULL || cvm_json_decode(s->tool, tool, CVM_JSON_IGNORE_UNKNOWN, s, err)) &&
           (s->image == NULL ||
            cvm_json_decode(s->image, image, CVM_JSON_IGNORE_UNKNOWN, s, err)) &&
           (s->validity == NULL ||
            cvm_json_decode(s->validity, validity, CVM_JSON_IGNORE_UNKNOWN, s, err));
}

static void print_shown(const struct shown *s, struct cvm_buf *text)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        { "image", s->image_name },
        { "version", s->image_version },
        { "git_revision", s->git_revision },
        { "is_dev", !s->is_dev.set    ? NULL
                    : s->is_dev.value ? "yes"
                                      : "no" },
        { "not before", s->not_before },
        { "not after", s->not_after },
        { "made by", s->tool_name },
        { "  version", s->tool_version },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cvm_put_format(text, "%-14s %s\n", rows[i].key,
                       rows[i].value == NULL ? "-" : rows[i].value);
    }
}

static void print_shape(const struct cvm_manifest *m, const struct cvm_manifest_shape *shape,
                        struct cvm_buf *text)
{
    const struct cvm_event_list *events = &shape->expected.events;
    cvm_put_format(text, "\n%s\n  os_image_hash %s\n", shape->name,
                   shape->os_image_hash == NULL ? "-" : shape->os_image_hash);
    print_registers(m, shape, text);
    for (uint32_t i = 0; i < events->num_events; i++) {
        const struct cvm_event *event = &events->events[i];
        cvm_put_format(text, "  rtmr%u  %-30s %s  %s\n", event->rtmr, event->name,
                       cvm_sha384_text(&event->digest).text, cvm_digest_source_word(event->source));
    }
}

static bool run_show(const struct cli *cli, const void *data, struct cvm_error *err)
{
    cvm_automanifest struct cvm_manifest *m = NULL;
    cvm_autojson struct json_object *statement = NULL;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    const struct cvm_manifest_shape *shape;
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    struct shown shown = { 0 };
    int64_t at = 0;
    if (!open_manifest(cli, data, &m, &at, err) ||
        !cvm_json_parse("statement", cvm_manifest_statement(m), &statement, err)) {
        return false;
    }
    if (cli->json) {
        cvm_json_begin_object(&b, NULL);
        put_signers(m, &b);
        cvm_json_put_any(&b, "statement", statement);
        cvm_json_end(&b);
        return cli_print_json(&b, err);
    }
    if (!decode_shown(statement, &shown, err) || !cvm_manifest_warnings(m, &warnings, err)) {
        return cvm_context(err, "statement");
    }
    cli_warn(cli, &warnings);
    print_signers(m, &text);
    print_shown(&shown, &text);
    for (size_t i = 0; (shape = cvm_manifest_shape_at(m, i)) != NULL; i++) {
        print_shape(m, shape, &text);
    }
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

const struct cli_command cmd_manifest_show = {
    .name = "manifest show",
    .operands = "FILE",
    .summary = "Show what a manifest says, once it is verified.",
    .example = "cvm manifest show manifest.json --key release.key.pub",
    .options = read_options,
    .args_size = sizeof(struct read_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_show,
};

/* --- export --- */

static bool run_export(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct read_args *args = data;
    const char *format = args->format == NULL ? "plain" : args->format;
    cvm_automanifest struct cvm_manifest *m = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    int64_t at = 0;
    if (!open_manifest(cli, args, &m, &at, err) ||
        !cvm_manifest_export(m, format, args->shape, &text, err)) {
        return false;
    }
    cvm_put_u8(&text, '\n');
    fprintf(stderr,
            "cvm: warning: an export is not signed: whoever reads it has to trust the way it "
            "takes\n");
    if (strcmp(format, "rvps") == 0 && args->shape == NULL && cvm_manifest_num_shapes(m) > 1) {
        fprintf(stderr,
                "cvm: warning: reference values are lists per register: a guest with registers "
                "of several machines would pass\n");
    }
    return cvm_buf_finish(&text, "export", err) && cli_print(&text, err);
}

const struct cli_command cmd_manifest_export = {
    .name = "manifest export",
    .operands = "FILE",
    .summary = "Print a verified manifest's registers in the form of another verifier, unsigned.",
    .example = "cvm manifest export manifest.json --key release.key.pub --format rvps",
    .options = export_options,
    .args_size = sizeof(struct read_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_export,
};
