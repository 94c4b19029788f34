/*
 * cvm measure: expected MRTD and RTMR0 to RTMR2.
 */
#include "vmm/bundle_facts.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/measure_matrix.h"
#include "vmm/measure_base.h"
#include "vmm/report.h"

struct measure_args {
    const char *image;
    const char *vm_config;
    const char *ovmf_variant;
    const char *page_add_order;
    const char *kernel_header;
    const char *kernel_measures;
    const char *matrix;
    bool no_cache;
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
    { "swtpm",              0,  CLI_ON_OFF, FIELD(config.swtpm), "on|off", "whether the guest has a TPM (default off)" },
    { "hotplug-off",        0,  CLI_ON_OFF, FIELD(config.hotplug_off), "on|off", "whether ACPI PCI hot-plug is off (default off)" },
    { "pic",                0,  CLI_ON_OFF, FIELD(config.pic), "on|off", "whether the PIC exists (default by version)" },
    { "smm",                0,  CLI_ON_OFF, FIELD(config.smm), "on|off", "whether SMM exists (default off)" },
    { "interrupt-trigger",  0,  CLI_STRING, FIELD(config.interrupt_trigger), "KIND", "edge or level (default by version)" },
    { "cpu-signature",      0,  CLI_NUMBER, FIELD(config.cpu_signature), "EAX", "CPUID leaf 1 of the guest's CPU, for firmware that measures SMBIOS" },
    { "cpu-features-edx",   0,  CLI_NUMBER, FIELD(config.cpu_features_edx), "EDX", "the same, its features" },
    { "ovmf-variant",       0,  CLI_STRING, FIELD(ovmf_variant), "NAME", "firmware layout, instead of what the image says" },
    { "page-add-order",     0,  CLI_STRING, FIELD(page_add_order), "ORDER", "single-pass or two-pass (default by version)" },
    { "kernel-header",      0,  CLI_STRING, FIELD(kernel_header), "KIND", "rewritten or as-is (default by image and version)" },
    { "kernel-measures",    0,  CLI_STRING, FIELD(kernel_measures), "yes|no", "whether the kernel extends RTMR2 (default yes; older than 6.9 may not)" },
    { "trust-declared",     0,  CLI_FLAG,   FIELD(trust_declared), NULL, "measure by the declared layout where the firmware file has another" },
    { "matrix",             0,  CLI_STRING, FIELD(matrix), "FILE", "measure every machine of a JSON file: one line of JSON each" },
    { "no-cache",           0,  CLI_FLAG,   FIELD(no_cache), NULL, "read every file, and keep nothing" },
    { 0 },
};
/* clang-format on */

/* One measurement on its way. */
struct work {
    struct cvm_host host;
    struct cvm_measure_base base;
    struct cvm_bundle_facts facts; /* where base has a bundle; the machine's layout is in it */
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_expectation expectation;
};

static void free_work(struct work *w)
{
    cvm_bundle_facts_free(&w->facts);
    cvm_measure_base_free(&w->base);
    cvm_host_free(&w->host);
}

/* What is wrong with the machine is said before any file is hashed for it. */
static bool check_platform(struct work *w, struct cvm_error *err)
{
    return cvm_machine_fill_platform(&w->base.config, &w->machine, err);
}

static bool open_facts(const struct measure_args *args, struct work *w, struct cvm_error *err)
{
    const char *state_dir = args->no_cache ? NULL : w->host.state_dir;
    if (!w->base.has_bundle) {
        return true;
    }
    if (!cvm_bundle_facts_open(&w->base.bundle, state_dir, cli_progress(), &w->facts, err)) {
        return false;
    }
    w->base.firmware = &w->facts.record.facts.firmware;
    return true;
}

static bool measure(struct work *w, struct cvm_error *err)
{
    const struct cvm_measure_base *base = &w->base;
    if (!base->has_bundle) {
        return cvm_measure_compact(&w->machine, &base->carried.compact, &w->expectation, err);
    }
    if (!cvm_bundle_facts_complete(&w->facts, &w->machine, err)) {
        return false;
    }
    cvm_bundle_facts_keep(&w->facts);
    return cvm_bundle_facts_measure(&w->facts, &w->machine, &w->expectation, err);
}

/* The vm_config as measured: the one that was given, or the one that the options come to. */
static bool take_vm_config(const struct work *w, struct json_object **out, struct cvm_error *err)
{
    if (w->base.document != NULL) {
        *out = cvm_json_share(w->base.document);
        return true;
    }
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    struct cvm_vm_config config = w->base.config;
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
        .firmware = w->base.firmware,
        .expectation = &w->expectation,
        .os_image_hash = w->base.config.os_image_hash,
        .vm_config = vm_config,
        .warnings = &w->base.warnings,
    };
    cli_warn(cli, &w->base.warnings);
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
    const struct measure_args *args = data;
    const struct cvm_measure_request request = {
        .image = args->image,
        .vm_config = args->vm_config,
        .ovmf_variant = args->ovmf_variant,
        .page_add_order = args->page_add_order,
        .kernel_header = args->kernel_header,
        .kernel_measures = args->kernel_measures,
        .trust_declared = args->trust_declared,
        .config = args->config,
    };
    CVM_CLEANUP(free_work)
    struct work w = { .base = CVM_MEASURE_BASE_NONE };
    if (!cvm_host_load(&cli->host, &w.host, err) ||
        !cvm_measure_base_load(&request, &w.host, cli->host.emulator, &w.base, err)) {
        return false;
    }
    if (args->matrix != NULL) {
        return cli_measure_matrix(args->matrix, &w.base, args->no_cache ? NULL : w.host.state_dir,
                                  err);
    }
    if (!check_platform(&w, err) || !open_facts(args, &w, err) ||
        !cvm_measure_base_fill(&w.base, &w.base.config, &w.machine, &w.resolution, &w.base.warnings,
                               err) ||
        !measure(&w, err)) {
        return false;
    }
    cvm_report_warn(&w.expectation, &w.machine, &w.base.warnings);
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
