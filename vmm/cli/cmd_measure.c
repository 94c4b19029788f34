/*
 * cvm measure: expected MRTD and RTMR0 to RTMR2.
 */
#include "measure/base/hex.h"
#include "vmm/cli/commands.h"
#include "vmm/launch_plan.h"
#include "vmm/measure_bundle.h"

struct measure_args {
    const char *image;
    const char *vm_config;
    const char *ovmf_variant;
    const char *page_add_order;
    const char *kernel_header;
    const char *kernel_measures;
    bool trust_declared;
    struct cvm_vm_config config; /* what options say of the machine */
};

#define FIELD(f) offsetof(struct measure_args, f)
/* clang-format off */
static const struct cli_option measure_options[] = {
    { "image",             'i', CLI_STRING, FIELD(image), "NAME|DIR", "image bundle; without it, the measurement in the vm_config" },
    { "vm-config",          0,  CLI_STRING, FIELD(vm_config), "FILE", "the declaration to measure; options below add to it" },
    { "cpus",              'c', CLI_NUMBER, FIELD(config.cpu_count), "N", "virtual CPUs" },
    { "memory",            'm', CLI_SIZE,   FIELD(config.memory_size), "SIZE", "memory, with K, M, G or T" },
    { "qemu-version",       0,  CLI_STRING, FIELD(config.qemu_version), "X.Y.Z", "QEMU that runs the guest (or give --emulator)" },
    { "nics",               0,  CLI_NUMBER, FIELD(config.num_nics), "N", "network interfaces (default 1)" },
    { "volumes",            0,  CLI_NUMBER, FIELD(config.num_verity_volumes), "N", "read-only volumes (default 0)" },
    { "share-mode",         0,  CLI_STRING, FIELD(config.host_share_mode), "MODE", "9p, vvfat or vhd (default 9p)" },
    { "rootfs-device",      0,  CLI_STRING, FIELD(config.rootfs_device), "KIND", "virtio-blk, cdrom or none (default: as the image says)" },
    { "pci-hole64-size",    0,  CLI_SIZE,   FIELD(config.pci_hole64_size), "SIZE", "64-bit PCI window (default 0: QEMU's 32G)" },
    { "pciexbar-base",      0,  CLI_NUMBER, FIELD(config.pciexbar_base), "ADDRESS", "where the firmware puts PCIEXBAR (default 0xe0000000)" },
    { "pci-window64-base",  0,  CLI_NUMBER, FIELD(config.pci_window64_base), "ADDRESS", "where the 64-bit PCI window starts (default 0x380000000000)" },
    { "hotplug-off",        0,  CLI_ON_OFF, FIELD(config.hotplug_off), "on|off", "whether ACPI PCI hot-plug is off (default off)" },
    { "pic",                0,  CLI_ON_OFF, FIELD(config.pic), "on|off", "whether the PIC exists (default by version)" },
    { "smm",                0,  CLI_ON_OFF, FIELD(config.smm), "on|off", "whether SMM exists (default off)" },
    { "interrupt-trigger",  0,  CLI_STRING, FIELD(config.interrupt_trigger), "KIND", "edge or level (default by version)" },
    { "ovmf-variant",       0,  CLI_STRING, FIELD(ovmf_variant), "NAME", "firmware layout, instead of what the image says" },
    { "page-add-order",     0,  CLI_STRING, FIELD(page_add_order), "ORDER", "single-pass or two-pass (default by version)" },
    { "kernel-header",      0,  CLI_STRING, FIELD(kernel_header), "KIND", "rewritten or as-is (default by image and version)" },
    { "kernel-measures",    0,  CLI_STRING, FIELD(kernel_measures), "yes|no", "whether the kernel extends RTMR2 (default yes; older than 6.9 may not)" },
    { "trust-declared",     0,  CLI_FLAG,   FIELD(trust_declared), NULL, "measure by the declared layout where the firmware file has another" },
    { 0 },
};
/* clang-format on */

/* One measurement on its way. */
struct work {
    const struct measure_args *args;
    struct cvm_host host;
    struct cvm_bundle bundle;
    bool has_bundle;
    struct json_object *document; /* the vm_config that was given */
    struct cvm_vm_config config;
    char os_image_hash[65];
    char emulator_version[20];
    struct cvm_tdx_measurement carried;
    struct cvm_firmware firmware; /* of the bundle; the machine's layout is in it */
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_expectation expectation;
    struct cvm_warnings warnings;
};

static void free_work(struct work *w)
{
    cvm_host_free(&w->host);
    cvm_bundle_free(&w->bundle);
    cvm_json_free(w->document);
    cvm_tdx_measurement_free(&w->carried);
    cvm_warnings_free(&w->warnings);
}

/* Options win over the file, field by field. */
static void apply_options(const struct cvm_vm_config *said, struct cvm_vm_config *config)
{
    for (const struct cli_option *o = measure_options; o->name != NULL; o++) {
        if (o->offset < FIELD(config)) {
            continue;
        }
        size_t at = o->offset - FIELD(config);
        const char *from = (const char *)said + at;
        char *to = (char *)config + at;
        const char *text;
        if (o->kind == CLI_STRING) {
            memcpy(&text, from, sizeof text);
            if (text != NULL) {
                memcpy(to, &text, sizeof text);
            }
        } else if (o->kind == CLI_ON_OFF ? ((const struct cvm_opt_bool *)(const void *)from)->set
                                         : ((const struct cvm_opt_u64 *)(const void *)from)->set) {
            memcpy(to, from,
                   o->kind == CLI_ON_OFF ? sizeof(struct cvm_opt_bool)
                                         : sizeof(struct cvm_opt_u64));
        }
    }
}

/* The version: an option, the vm_config, or the emulator that was named. Never a guess. */
static bool find_qemu_version(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    struct cvm_qemu_version v;
    w->resolution.qemu_version_source =
        w->args->config.qemu_version != NULL ? "option" : "vm_config";
    if (w->config.qemu_version != NULL || cli->host.emulator == NULL) {
        return true;
    }
    if (!cvm_emulator_version(cli->host.emulator, &v, err)) {
        return false;
    }
    snprintf(w->emulator_version, sizeof w->emulator_version, "%u.%u.%u", v.major, v.minor,
             v.micro);
    w->config.qemu_version = w->emulator_version;
    w->resolution.qemu_version_source = "emulator";
    return true;
}

static bool open_bundle(struct work *w, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (!cvm_bundle_path(&w->host, w->args->image, &path, err) ||
        !cvm_bundle_open(path, &w->bundle, err)) {
        return false;
    }
    w->has_bundle = true;
    if (!w->bundle.has_hash) {
        cvm_warn(&w->warnings,
                 "image '%s' has no sha256sum.txt: its os_image_hash is unknown and "
                 "its files were not verified",
                 w->bundle.name);
        return true;
    }
    cvm_hex_encode(w->bundle.os_image_hash.bytes, sizeof w->bundle.os_image_hash.bytes,
                   w->os_image_hash);
    const char *declared = w->config.os_image_hash;
    if (declared != NULL && strcmp(declared, w->os_image_hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "the vm_config declares os_image_hash %s, image '%s' has %s", declared,
                        w->bundle.name, w->os_image_hash);
    }
    return true;
}

/* What a bundle says where the declaration is silent. */
static void complete_from_bundle(struct work *w)
{
    if (w->config.rootfs_device == NULL && w->args->vm_config == NULL) {
        w->config.rootfs_device = cvm_bundle_rootfs_device(&w->bundle);
    }
    if (w->config.image == NULL) {
        w->config.image = w->bundle.name;
    }
    if (w->config.os_image_hash == NULL && w->bundle.has_hash) {
        w->config.os_image_hash = w->os_image_hash;
    }
}

static bool load(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    const struct measure_args *args = w->args;
    if (args->vm_config != NULL) {
        if (!cvm_json_load(args->vm_config, &w->document, err)) {
            return false;
        }
        if (!cvm_vm_config_decode(w->document, &w->config, err)) {
            return cvm_context(err, "vm_config '%s'", args->vm_config);
        }
    }
    apply_options(&args->config, &w->config);
    if (args->image != NULL && !open_bundle(w, err)) {
        return false;
    }
    if (w->has_bundle) {
        complete_from_bundle(w);
    }
    if (w->config.tdx_measurement != NULL &&
        !cvm_tdx_measurement_decode(&w->config, &w->carried, err)) {
        return cvm_context(err, "vm_config '%s'", args->vm_config);
    }
    if (!w->has_bundle && w->config.tdx_measurement == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "nothing to measure: give --image, or a --vm-config that carries "
                        "tdx_measurement");
    }
    return find_qemu_version(cli, w, err);
}

static bool fill(struct work *w, struct cvm_error *err)
{
    const struct cvm_measure_evidence evidence = {
        .bundle = w->has_bundle ? &w->bundle : NULL,
        .compact = w->config.tdx_measurement != NULL ? &w->carried.compact : NULL,
        .declared = true,
        .trust_declared = w->args->trust_declared,
        .firmware = w->has_bundle ? &w->firmware : NULL,
        .variant_option = w->args->ovmf_variant,
        .page_add_order_option = w->args->page_add_order,
        .kernel_header_option = w->args->kernel_header,
        .kernel_measures_option = w->args->kernel_measures,
    };
    return cvm_machine_fill_platform(&w->config, &w->machine, err) &&
           (!w->has_bundle || cvm_bundle_inspect(&w->bundle, &w->firmware, err)) &&
           cvm_machine_fill_firmware(&w->config, &evidence, &w->machine, &w->resolution,
                                     &w->warnings, err);
}

static bool measure(struct work *w, struct cvm_error *err)
{
    cvm_autocontents struct cvm_bundle_contents contents = { 0 };
    if (!w->has_bundle) {
        return cvm_measure_compact(&w->machine, &w->carried.compact, &w->expectation, err);
    }
    if (!cvm_bundle_read_verified(&w->bundle,
                                  w->bundle.has_hash ? CVM_VERIFY_MEASURED : CVM_VERIFY_NOTHING,
                                  cli_progress(), &contents, err)) {
        return false;
    }
    contents.image.inspected = &w->firmware;
    return cvm_measure_image(&w->machine, &contents.image, &w->expectation, err) ||
           cvm_context(err, "image '%s'", w->bundle.path);
}

/* The vm_config as measured: the one that was given, or the one that the options come to. */
static bool take_vm_config(const struct work *w, struct json_object **out, struct cvm_error *err)
{
    if (w->document != NULL) {
        *out = cvm_json_share(w->document);
        return true;
    }
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    struct cvm_vm_config config = w->config;
    config.ovmf_variant = w->resolution.variant.layout->name;
    cvm_json_begin_object(&b, NULL);
    cvm_vm_config_put(&w->machine, &config, &b);
    cvm_json_end(&b);
    return cvm_json_take(&b, out, err);
}

static bool answer(const struct cli *cli, const struct work *w, struct cvm_error *err)
{
    cvm_autojson struct json_object *vm_config = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (!take_vm_config(w, &vm_config, err)) {
        return false;
    }
    const struct cvm_report report = {
        .machine = &w->machine,
        .resolution = &w->resolution,
        .firmware = w->has_bundle ? &w->firmware : NULL,
        .expectation = &w->expectation,
        .os_image_hash = w->config.os_image_hash,
        .vm_config = vm_config,
        .warnings = &w->warnings,
    };
    cli_warn(cli, &w->warnings);
    if (!cli->json) {
        cvm_report_print(&report, &text);
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&b, NULL);
    cvm_report_put(&report, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_measure(const struct cli *cli, const void *data, struct cvm_error *err)
{
    CVM_CLEANUP(free_work)
    struct work w = { .args = data, .bundle = CVM_BUNDLE_NONE };
    if (!cvm_host_load(&cli->host, &w.host, err) || !load(cli, &w, err) || !fill(&w, err) ||
        !measure(&w, err)) {
        return false;
    }
    cvm_report_warn(&w.expectation, &w.machine, &w.warnings);
    return answer(cli, &w, err);
}

const struct cli_command cmd_measure = {
    .name = "measure",
    .operands = "",
    .summary = "Compute expected MRTD and RTMR0-2, and every event.",
    .example = "cvm measure --image dstack-0.5.11 --cpus 2 --memory 4G --qemu-version 8.2.2 --json",
    .options = measure_options,
    .args_size = sizeof(struct measure_args),
    .run = run_measure,
};
