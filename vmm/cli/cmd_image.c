/*
 * cvm image list, show, verify.
 */
#include "measure/base/hex.h"
#include "vmm/cli/commands.h"
#include "vmm/launch_plan.h"

#include <dirent.h>
#include <errno.h>

static bool open_named(const struct cli *cli, struct cvm_host *host, struct cvm_bundle *out,
                       struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    return cvm_host_load(&cli->host, host, err) &&
           cvm_bundle_path(host, cli->operands[0], &path, err) && cvm_bundle_open(path, out, err);
}

static const char *hash_text(const struct cvm_bundle *b, char *buffer)
{
    if (!b->has_hash) {
        return NULL;
    }
    cvm_hex_encode(b->os_image_hash.bytes, sizeof b->os_image_hash.bytes, buffer);
    return buffer;
}

static bool resolve_variant(const struct cvm_bundle *b, struct cvm_warnings *warnings,
                            struct cvm_variant *out, struct cvm_error *err)
{
    const struct cvm_variant_evidence evidence = {
        .metadata = b->metadata.ovmf_variant,
        .has_bundle = true,
        .version = b->metadata.version,
        .image_name = b->name,
    };
    return cvm_ovmf_variant_resolve(&evidence, warnings, out, err);
}

/* The keys that list and show have in common. */
static void put_summary(const struct cvm_bundle *b, const struct cvm_variant *variant,
                        struct cvm_json_builder *json)
{
    char hash[65];
    cvm_json_put_string(json, "name", b->name);
    cvm_json_put_string(json, "path", b->path);
    cvm_json_put_string(json, "version", b->metadata.version);
    cvm_json_put_string(json, "os_image_hash", hash_text(b, hash));
    cvm_json_begin_object(json, "ovmf_variant");
    cvm_json_put_string(json, "value", variant->layout->name);
    cvm_json_put_string(json, "source", variant->source);
    cvm_json_put_string(json, "rule", variant->rule);
    cvm_json_end(json);
    cvm_json_put_bool(json, "is_dev", b->metadata.is_dev.value);
    cvm_json_put_bool(json, "has_measurement", b->measurement.len != 0);
}

/* --- list --- */

static int is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
}

/* A directory that is no good bundle is listed with what is wrong, not left out. */
static void list_one(const struct cvm_host *host, const char *name, struct cvm_json_builder *json,
                     struct cvm_buf *text)
{
    struct cvm_error problem = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autowarnings struct cvm_warnings ignored = { 0 };
    cvm_autofree char *path = NULL;
    struct cvm_variant variant = { 0 };
    char hash[65];
    cvm_json_begin_object(json, NULL);
    if (cvm_bundle_path(host, name, &path, &problem) && cvm_bundle_open(path, &b, &problem) &&
        resolve_variant(&b, &ignored, &variant, &problem)) {
        put_summary(&b, &variant, json);
        cvm_put_format(text, "%-32s %-10s %-13s %s\n", name,
                       b.metadata.version == NULL ? "-" : b.metadata.version, variant.layout->name,
                       b.has_hash ? hash_text(&b, hash) : "no digest");
    } else {
        cvm_json_put_string(json, "name", name);
        cvm_json_put_string(json, "error", problem.msg);
        cvm_put_format(text, "%-32s unusable: %s\n", name, problem.msg);
    }
    cvm_json_end(json);
}

static bool run_list(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    cvm_autohost struct cvm_host host = { 0 };
    cvm_autobuilder struct cvm_json_builder json = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    struct dirent **entries = NULL;
    if (!cvm_host_load(&cli->host, &host, err)) {
        return false;
    }
    int count = scandir(host.image_dir, &entries, is_candidate, alphasort);
    if (count < 0) {
        return cvm_fail_errno(err, errno, "image directory '%s'", host.image_dir);
    }
    cvm_json_begin_object(&json, NULL);
    cvm_json_begin_array(&json, "images");
    for (int i = 0; i < count; i++) {
        list_one(&host, entries[i]->d_name, &json, &text);
    }
    cvm_json_end(&json);
    cvm_json_end(&json);
    free_entries(entries, count);
    return cli->json ? cli_print_json(&json, err)
                     : cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

const struct cli_command cmd_image_list = {
    .name = "image list",
    .operands = "",
    .summary = "List the bundles of the image directory.",
    .example = "cvm image list --image-dir /srv/images",
    .run = run_list,
};

/* --- show --- */

static void print_bundle(const struct cvm_bundle *b, const struct cvm_variant *variant,
                         struct cvm_buf *text)
{
    char hash[65];
    const struct cvm_bundle_metadata *m = &b->metadata;
    const struct {
        const char *key, *value;
    } rows[] = {
        { "name", b->name },
        { "path", b->path },
        { "version", m->version },
        { "os_image_hash", hash_text(b, hash) },
        { "ovmf_variant", variant->layout->name },
        { "  decided by", variant->rule },
        { "kernel", m->kernel },
        { "initrd", m->initrd },
        { "bios", m->bios },
        { "rootfs", m->rootfs },
        { "cmdline", m->cmdline },
        { "git_revision", m->git_revision },
        { "is_dev", m->is_dev.value ? "yes" : "no" },
        { "compact measurement", b->measurement.len != 0 ? "yes" : "no" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cvm_put_format(text, "%-20s %s\n", rows[i].key,
                       rows[i].value == NULL ? "-" : rows[i].value);
    }
}

static bool run_show(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    cvm_autohost struct cvm_host host = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder json = { 0 };
    struct cvm_variant variant;
    if (!open_named(cli, &host, &b, err) || !resolve_variant(&b, &warnings, &variant, err)) {
        return false;
    }
    cli_warn(cli, &warnings);
    if (!cli->json) {
        print_bundle(&b, &variant, &text);
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&json, NULL);
    put_summary(&b, &variant, &json);
    cvm_json_put_any(&json, "metadata", b.document);
    cvm_warnings_put(&warnings, &json);
    cvm_json_end(&json);
    return cli_print_json(&json, err);
}

const struct cli_command cmd_image_show = {
    .name = "image show",
    .operands = "NAME|DIR",
    .summary = "Show a bundle: identity, files, and which firmware layout it has, and why.",
    .example = "cvm image show dstack-0.5.11 --json",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_show,
};

/* --- verify --- */

static bool run_verify(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    cvm_autohost struct cvm_host host = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder json = { 0 };
    char hash[65];
    if (!open_named(cli, &host, &b, err) || !cvm_bundle_verify(&b, false, cli_progress(), err)) {
        return false;
    }
    if (!cli->json) {
        cvm_put_format(&text, "image '%s' is whole: os_image_hash %s\n", b.name,
                       hash_text(&b, hash));
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&json, NULL);
    cvm_json_put_string(&json, "name", b.name);
    cvm_json_put_string(&json, "path", b.path);
    cvm_json_put_bool(&json, "verified", true);
    cvm_json_put_string(&json, "os_image_hash", hash_text(&b, hash));
    cvm_json_end(&json);
    return cli_print_json(&json, err);
}

const struct cli_command cmd_image_verify = {
    .name = "image verify",
    .operands = "NAME|DIR",
    .summary = "Compare every file of a bundle with sha256sum.txt, and that with digest.txt.",
    .example = "cvm image verify /srv/images/dstack-0.5.11",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_verify,
};
