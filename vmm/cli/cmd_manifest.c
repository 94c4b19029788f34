/*
 * cvm manifest create and cosign: signing expected measurements.
 */
#include "measure/base/file.h"
#include "measure/base/time.h"
#include "measure/manifest.h"
#include "vmm/cli/commands.h"
#include "vmm/launch_plan.h"
#include "vmm/manifest_open.h"
#include "vmm/manifest_shapes.h"

#include <time.h>

struct create_args {
    const char *image;
    struct cli_list vm_configs;
    struct cli_list matrices;
    struct cli_list guests;
    struct cli_list keys;
    const char *passphrase_file;
    const char *not_before, *not_after;
    struct cvm_opt_u64 valid_for;
    struct cli_list information;
    bool bundle;
    const char *out;
};

#define FIELD(f) offsetof(struct create_args, f)
/* clang-format off */
static const struct cli_option create_options[] = {
    { "image",           'i', CLI_STRING, FIELD(image), "NAME|DIR", "the image bundle that the machines start" },
    { "vm-config",        0,  CLI_LIST,   FIELD(vm_configs), "FILE", "a machine by its declaration; may be given several times" },
    { "matrix",           0,  CLI_LIST,   FIELD(matrices), "FILE", "many machines, as of cvm measure --matrix; may be given several times" },
    { "guest",           'g', CLI_LIST,   FIELD(guests), "NAME", "a machine that was launched here; may be given several times" },
    { "key",             'k', CLI_LIST,   FIELD(keys), "FILE|URI", "private key in PEM, or pkcs11: URI of one in a token; may be given several times" },
    { "passphrase-file",  0,  CLI_STRING, FIELD(passphrase_file), "FILE", "passphrase or PIN: the first line of a file (default: the variable " CVM_PASSPHRASE_VARIABLE ", or the terminal)" },
    { "not-before",       0,  CLI_STRING, FIELD(not_before), "TIME", "start of validity, as 2026-01-31T00:00:00Z (default: none)" },
    { "not-after",        0,  CLI_STRING, FIELD(not_after), "TIME", "end of validity (default: none)" },
    { "valid-for",        0,  CLI_NUMBER, FIELD(valid_for), "DAYS", "end of validity, from --not-before or from now on" },
    { "information",      0,  CLI_LIST,   FIELD(information), "REGISTER", "a register that verifiers need not compare; may be given several times" },
    { "bundle",           0,  CLI_FLAG,   FIELD(bundle), NULL, "write a sigstore bundle (version 0.3)" },
    { "out",             'o', CLI_STRING, FIELD(out), "FILE", "where to write it (default: standard output)" },
    { 0 },
};
/* clang-format on */

/* One creation on its way. */
struct work {
    struct cvm_host host;
    struct cvm_store store;
    struct cvm_measured_shapes shapes;
    struct cvm_draft_shape *drafts; /* owned */
    struct cvm_keys keys;
    char not_before[CVM_TIME_TEXT_SIZE];
    char not_after[CVM_TIME_TEXT_SIZE];
};

#define WORK_NONE                                                                                  \
    {                                                                                              \
        .store = { .fd = -1 }, .shapes = CVM_MEASURED_SHAPES_NONE                                  \
    }

static void free_work(struct work *w)
{
    cvm_measured_shapes_free(&w->shapes);
    cvm_keys_free(&w->keys);
    cvm_store_close(&w->store);
    cvm_host_free(&w->host);
    free(w->drafts);
}

static bool check_args(const struct create_args *args, struct cvm_error *err)
{
    if (args->keys.count == 0) {
        return cvm_fail(err, CVM_ERR_USAGE, "nothing to sign with: give --key");
    }
    if (args->vm_configs.count + args->matrices.count + args->guests.count == 0) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "nothing to sign: give --image and --vm-config or --matrix, or --guest");
    }
    if (args->vm_configs.count + args->matrices.count != 0 && args->image == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "--vm-config and --matrix need --image");
    }
    if (args->valid_for.set && args->not_after != NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "--valid-for and --not-after: one of them");
    }
    return true;
}

/* --- machines --- */

/* Guests know their image and emulator; what was named on the command line goes first. */
static bool open_image(const struct cli *cli, const struct create_args *args,
                       const struct cvm_vm *vm, struct work *w, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    const char *emulator = cli->host.emulator;
    if (emulator == NULL && vm != NULL) {
        emulator = vm->record.emulator;
    }
    return cvm_bundle_path(&w->host, args->image != NULL ? args->image : vm->record.image, &path,
                           err) &&
           cvm_measured_shapes_open(path, emulator, cli_progress(), &w->shapes, err);
}

static bool add_guest(const struct cli *cli, const struct create_args *args, const char *name,
                      struct work *w, struct cvm_error *err)
{
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    return cvm_vm_open(&w->store, name, false, &vm, err) &&
           (w->shapes.bundle.path != NULL || open_image(cli, args, &vm, w, err)) &&
           cvm_measured_shapes_add_guest(&w->shapes, &vm, err);
}

static bool measure(const struct cli *cli, const struct create_args *args, struct work *w,
                    struct cvm_error *err)
{
    if (args->image != NULL && !open_image(cli, args, NULL, w, err)) {
        return false;
    }
    for (size_t i = 0; i < args->vm_configs.count; i++) {
        if (!cvm_measured_shapes_add_file(&w->shapes, args->vm_configs.items[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < args->matrices.count; i++) {
        if (!cvm_measured_shapes_add_matrix(&w->shapes, args->matrices.items[i], err)) {
            return false;
        }
    }
    if (args->guests.count != 0 && !cvm_store_open(w->host.state_dir, false, &w->store, err)) {
        return false;
    }
    for (size_t i = 0; i < args->guests.count; i++) {
        if (!add_guest(cli, args, args->guests.items[i], w, err)) {
            return false;
        }
    }
    w->drafts = calloc(w->shapes.count, sizeof *w->drafts);
    if (w->drafts == NULL) {
        return cvm_fail_nomem(err, "machines", w->shapes.count);
    }
    for (size_t i = 0; i < w->shapes.count; i++) {
        w->drafts[i] = cvm_measured_shape_draft(w->shapes.items[i]);
        cli_warn(cli, &w->shapes.items[i]->warnings);
    }
    return true;
}

/* --- the draft --- */

/* The clock is read for --valid-for without --not-before, and then the start is written too. */
static bool choose_window(const struct create_args *args, struct work *w,
                          struct cvm_manifest_draft *draft, struct cvm_error *err)
{
    enum { SECONDS_PER_DAY = 86400, MAX_DAYS = 36525 };
    int64_t start = time(NULL);
    draft->not_before = args->not_before;
    draft->not_after = args->not_after;
    if (!args->valid_for.set) {
        return true;
    }
    if (args->valid_for.value == 0 || args->valid_for.value > MAX_DAYS) {
        return cvm_fail(err, CVM_ERR_USAGE, "--valid-for: 1 to %d days", MAX_DAYS);
    }
    if (args->not_before != NULL && !cvm_time_parse(args->not_before, &start, err)) {
        err->code = CVM_ERR_USAGE;
        return cvm_context(err, "--not-before");
    }
    int64_t end = start + (int64_t)args->valid_for.value * SECONDS_PER_DAY;
    if (end > CVM_TIME_MAX) {
        return cvm_fail(err, CVM_ERR_USAGE, "--valid-for: past the year 9999");
    }
    cvm_time_render(start, w->not_before);
    cvm_time_render(end, w->not_after);
    draft->not_before = w->not_before;
    draft->not_after = w->not_after;
    return true;
}

static bool choose_information(const struct cli_list *words, unsigned *out, struct cvm_error *err)
{
    *out = 0;
    for (size_t i = 0; i < words->count; i++) {
        unsigned index = 0;
        while (index < CVM_REGISTERS && strcmp(words->items[i], cvm_register_word(index)) != 0) {
            index++;
        }
        if (index == CVM_REGISTERS) {
            return cvm_fail(err, CVM_ERR_USAGE,
                            "--information: '%.32s' is none of mrtd, rtmr0, rtmr1, rtmr2",
                            words->items[i]);
        }
        *out |= 1u << index;
    }
    return true;
}

static bool sign(const struct create_args *args, struct work *w, struct cvm_buf *out,
                 struct cvm_error *err)
{
    struct cvm_manifest_draft draft = {
        .bundle = &w->shapes.bundle,
        .shapes = w->drafts,
        .num_shapes = w->shapes.count,
        .emulator = w->shapes.emulator,
    };
    return choose_window(args, w, &draft, err) &&
           choose_information(&args->information, &draft.information, err) &&
           cvm_manifest_draft_sign(&draft, &w->keys,
                                   args->bundle ? CVM_DSSE_SIGSTORE_BUNDLE : CVM_DSSE_ENVELOPE, out,
                                   err);
}

/* The document itself is the answer, or what was written where. */
static bool deliver(const struct cli *cli, const struct cvm_buf *document, const char *path,
                    size_t num_shapes, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (path == NULL) {
        return cli_print(document, err);
    }
    if (!cvm_file_save(path, document->data, document->len, 0644, CVM_FILE_REPLACE, err)) {
        return false;
    }
    if (!cli->json) {
        return true;
    }
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "file", path);
    cvm_json_put_u64(&b, "shapes", num_shapes);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_create(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct create_args *args = data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    cvm_autobuf struct cvm_buf document = { 0 };
    return check_args(args, err) && cvm_host_load(&cli->host, &w.host, err) &&
           cvm_keys_load(args->keys.items, args->keys.count, CVM_KEY_PRIVATE, args->passphrase_file,
                         &w.keys, err) &&
           measure(cli, args, &w, err) && sign(args, &w, &document, err) &&
           deliver(cli, &document, args->out, w.shapes.count, err);
}

const struct cli_command cmd_manifest_create = {
    .name = "manifest create",
    .operands = "",
    .summary = "Measure machines and sign what they are expected to report.",
    .example = "cvm manifest create --image dstack-0.5.11 --vm-config vm_config.json "
               "--key release.key --out manifest.json",
    .options = create_options,
    .args_size = sizeof(struct create_args),
    .run = run_create,
};

/* --- cosign --- */

struct cosign_args {
    struct cli_list trusted;
    const char *key;
    const char *passphrase_file;
    const char *at;
    const char *out;
};

#undef FIELD
#define FIELD(f) offsetof(struct cosign_args, f)
/* clang-format off */
static const struct cli_option cosign_options[] = {
    { "key",             'k', CLI_LIST,   FIELD(trusted), "FILE|URI", "public key that has to have signed it already; may be given several times" },
    { "sign-with",       's', CLI_STRING, FIELD(key), "FILE|URI", "private key to add a signature with" },
    { "passphrase-file",  0,  CLI_STRING, FIELD(passphrase_file), "FILE", "passphrase or PIN: the first line of a file (default: the variable " CVM_PASSPHRASE_VARIABLE ", or the terminal)" },
    { "at",               0,  CLI_STRING, FIELD(at), "TIME", "when it has to be valid, as 2026-01-31T00:00:00Z (default: now)" },
    { "out",             'o', CLI_STRING, FIELD(out), "FILE", "where to write it (default: standard output)" },
    { 0 },
};
/* clang-format on */

static bool run_cosign(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct cosign_args *args = data;
    cvm_automanifest struct cvm_manifest *manifest = NULL;
    cvm_autokey struct cvm_key *key = NULL;
    cvm_autobuf struct cvm_buf document = { 0 };
    int64_t at = 0;
    const struct cvm_manifest_request request = {
        .file = cli->operands[0],
        .keys = args->trusted.items,
        .num_keys = args->trusted.count,
        .threshold = { true, args->trusted.count },
        .at = args->at,
        .passphrase_file = args->passphrase_file,
    };
    if (args->trusted.count == 0 || args->key == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "needs --key, which signed it, and --sign-with, which is to sign it");
    }
    return cvm_manifest_open(&request, &manifest, &at, err) &&
           cvm_key_load(args->key, CVM_KEY_PRIVATE, args->passphrase_file, &key, err) &&
           cvm_dsse_cosign(cvm_manifest_signed(manifest), key, &document, err) &&
           deliver(cli, &document, args->out, cvm_manifest_num_shapes(manifest), err);
}

const struct cli_command cmd_manifest_cosign = {
    .name = "manifest cosign",
    .operands = "FILE",
    .summary = "Add a signature to a manifest, once those that it has were verified.",
    .example = "cvm manifest cosign manifest.json --key release.key.pub --sign-with audit.key",
    .options = cosign_options,
    .args_size = sizeof(struct cosign_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_cosign,
};
