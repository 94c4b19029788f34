#include "vmm/machine.h"

#include "measure/include/cvm/smbios.h"

#include <string.h>

/* --- words --- */

static const char *const trigger_words[] = {
    [CVM_TRIGGER_LEVEL] = "level",
    [CVM_TRIGGER_EDGE] = "edge",
};
static const char *const kernel_header_words[] = {
    [CVM_KERNEL_REWRITTEN] = "rewritten",
    [CVM_KERNEL_AS_IS] = "as-is",
};
static const char *const page_add_order_words[] = {
    [CVM_PAGES_SINGLE_PASS] = "single-pass",
    [CVM_PAGES_TWO_PASS] = "two-pass",
};

static const char *const bar_kind_words[] = {
    [CVM_BAR_MEM32] = "mem32",
    [CVM_BAR_MEM64] = "mem64",
};

static const char *const cmdline_form_words[] = {
    [CVM_CMDLINE_SUFFIX] = "suffix",
    [CVM_CMDLINE_PREFIX] = "prefix",
};

const char *cvm_cmdline_form_word(enum cvm_cmdline_form form)
{
    return cmdline_form_words[form];
}

const char *cvm_trigger_word(enum cvm_interrupt_trigger trigger)
{
    return trigger_words[trigger];
}

const char *cvm_kernel_header_word(enum cvm_kernel_header header)
{
    return kernel_header_words[header];
}

const char *cvm_page_add_order_word(enum cvm_page_add_order order)
{
    return page_add_order_words[order];
}

const char *cvm_bar_kind_word(enum cvm_bar_kind kind)
{
    return bar_kind_words[kind];
}

/* Which of two words it is. */
static bool parse_word(const char *key, const char *text, const char *const words[2], unsigned *out,
                       struct cvm_error *err)
{
    for (unsigned i = 0; i < 2; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED, "%s is '%.32s', not '%s' or '%s'", key, text, words[0],
                    words[1]);
}

/* --- QEMU's version --- */

static bool read_part(const char **text, uint16_t *out)
{
    const char *p = *text;
    unsigned value = 0;
    for (; *p >= '0' && *p <= '9' && value <= UINT16_MAX; p++) {
        value = value * 10 + (unsigned)(*p - '0');
    }
    bool ok = p != *text && value <= UINT16_MAX;
    *text = p;
    *out = (uint16_t)value;
    return ok;
}

bool cvm_qemu_version_parse(const char *text, struct cvm_qemu_version *out, struct cvm_error *err)
{
    struct cvm_qemu_version v = { 0 };
    const char *p = text;
    bool ok = read_part(&p, &v.major) && *p++ == '.' && read_part(&p, &v.minor);
    if (ok && *p == '.') {
        p++;
        ok = read_part(&p, &v.micro);
    }
    if (!ok || (*p != '\0' && strchr(" -+~", *p) == NULL)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%.64s' is not a QEMU version like 8.2.2", text);
    }
    *out = v;
    return true;
}

/* --- the platform --- */

static bool missing(const char *key, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_USAGE, "nothing says %s; it is never assumed", key);
}

static bool check_share_mode(const char *mode, struct cvm_error *err)
{
    static const char *const modes[] = { "9p", "vvfat", "vhd" };
    if (mode == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i], mode) == 0) {
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED,
                    "host_share_mode is '%.32s', not '9p', 'vvfat' or 'vhd'", mode);
}

/* How many virtio disks the root file system makes: 1, or 0 where it is a CD-ROM or none. */
static bool count_rootfs(const char *device, uint32_t *out, struct cvm_error *err)
{
    if (device == NULL || strcmp(device, "virtio-blk") == 0) {
        *out = 1;
        return true;
    }
    *out = 0;
    return strcmp(device, "cdrom") == 0 || strcmp(device, "none") == 0
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED,
                          "rootfs_device is '%.32s', not 'virtio-blk', 'cdrom' or 'none'", device);
}

static uint32_t value_or(struct cvm_opt_u64 value, uint32_t absent)
{
    return value.set ? (uint32_t)value.value : absent;
}

/* The description of a node in a vm_config. */
struct node_text {
    struct cvm_opt_u64 cpu_count, memory_size, pxb_bus, num_gpus;
};

#define NODE(f) offsetof(struct node_text, f)
static const struct cvm_json_field node_fields[] = {
    { "cpu_count", CVM_JSON_NUMBER, NODE(cpu_count), .required = true, .min = 1,
      .max = UINT32_MAX },
    { "memory_size", CVM_JSON_SIZE, NODE(memory_size), .required = true, .min = 1,
      .max = UINT64_C(1) << 52 },
    { "pxb_bus", CVM_JSON_NUMBER, NODE(pxb_bus), .min = 1, .max = 255 },
    { "num_gpus", CVM_JSON_NUMBER, NODE(num_gpus), .max = 255 },
    { 0 },
};

static bool fill_node(const struct json_object *item, struct cvm_numa_node *out,
                      struct cvm_error *err)
{
    struct node_text text = { 0 };
    if (!cvm_json_decode(item, node_fields, CVM_JSON_REJECT_UNKNOWN, &text, err)) {
        return false;
    }
    *out = (struct cvm_numa_node){
        .cpu_count = (uint32_t)text.cpu_count.value,
        .memory_size = text.memory_size.value,
        .has_expander = text.pxb_bus.set,
        .expander_bus = (uint8_t)text.pxb_bus.value,
        .num_gpus = value_or(text.num_gpus, 0),
    };
    return true;
}

/* What huge pages without a list of nodes mean: one node, with an expander for GPUs. */
static struct cvm_numa_node implied_node(const struct cvm_machine *m, uint32_t num_gpus)
{
    enum { IMPLIED_BUS = 5 };
    return (struct cvm_numa_node){
        .cpu_count = m->cpu_count,
        .memory_size = m->memory_size,
        .has_expander = num_gpus > 0,
        .expander_bus = num_gpus > 0 ? IMPLIED_BUS : 0,
        .num_gpus = num_gpus,
    };
}

static bool fill_nodes(const struct cvm_vm_config *config, struct cvm_machine *machine,
                       struct cvm_error *err)
{
    size_t count = cvm_json_array_length(config->numa_nodes);
    if (count == 0 && config->hugepages.value) {
        machine->numa_nodes[0] = implied_node(machine, value_or(config->num_gpus, 0));
        machine->num_numa_nodes = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (!fill_node(cvm_json_array_at(config->numa_nodes, i), &machine->numa_nodes[i], err)) {
            return cvm_context(err, "numa_nodes[%zu]", i);
        }
        machine->num_numa_nodes++;
    }
    return true;
}

/* The description of a BAR in a vm_config. */
struct bar_text {
    struct cvm_opt_u64 size;
    const char *kind;
};

static const struct cvm_json_field bar_fields[] = {
    { "size", CVM_JSON_SIZE, offsetof(struct bar_text, size), .required = true, .min = 16,
      .max = UINT64_C(1) << 52 },
    { "kind", CVM_JSON_STRING, offsetof(struct bar_text, kind), .required = true, .max = 16 },
    { 0 },
};

static bool fill_bars(const char *key, const struct json_object *array, struct cvm_port_bars *out,
                      struct cvm_error *err)
{
    out->known = array != NULL;
    for (; out->count < cvm_json_array_length(array); out->count++) {
        struct bar_text text = { 0 };
        unsigned kind = 0;
        if (!cvm_json_decode(cvm_json_array_at(array, out->count), bar_fields,
                             CVM_JSON_REJECT_UNKNOWN, &text, err) ||
            !parse_word("kind", text.kind, bar_kind_words, &kind, err)) {
            return cvm_context(err, "%s[%u]", key, out->count);
        }
        out->bars[out->count] = (struct cvm_bar){ text.size.value, (enum cvm_bar_kind)kind };
    }
    return true;
}

/* GPUs behind expanders are not on the root bus. */
static bool place_devices(const struct cvm_vm_config *config, struct cvm_machine *machine,
                          struct cvm_error *err)
{
    struct cvm_device_counts counts = {
        .volumes = value_or(config->num_verity_volumes, 0),
        .nics = value_or(config->num_nics, 1),
        .gpus = value_or(config->num_gpus, 0),
        .nvswitches = value_or(config->num_nvswitches, 0),
    };
    for (uint32_t i = 0; i < machine->num_numa_nodes; i++) {
        const struct cvm_numa_node *node = &machine->numa_nodes[i];
        if (!node->has_expander) {
            continue;
        }
        if (node->num_gpus > counts.gpus) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "the NUMA nodes have more GPUs than num_gpus %u",
                            value_or(config->num_gpus, 0));
        }
        counts.gpus -= node->num_gpus;
        counts.expanders++;
    }
    return count_rootfs(config->rootfs_device, &counts.rootfs, err) &&
           cvm_machine_place_devices(machine, &counts, err);
}

bool cvm_machine_has_implied_nodes(const struct cvm_machine *machine, bool hugepages)
{
    const struct cvm_numa_node *n = &machine->numa_nodes[0];
    if (!hugepages) {
        return machine->num_numa_nodes == 0;
    }
    struct cvm_numa_node implied = implied_node(machine, cvm_machine_num_gpus(machine));
    return machine->num_numa_nodes == 1 && n->has_expander == implied.has_expander &&
           n->expander_bus == implied.expander_bus && n->num_gpus == implied.num_gpus;
}

static bool check_required(const struct cvm_vm_config *config, struct cvm_error *err)
{
    if (!config->cpu_count.set) {
        return missing("how many CPUs the guest has (cpu_count)", err);
    }
    if (!config->memory_size.set) {
        return missing("how much memory the guest has (memory_size)", err);
    }
    if (config->qemu_version == NULL) {
        return missing("which QEMU runs the guest (qemu_version)", err);
    }
    return true;
}

/* CPUID leaf 1 of the guest's CPU, where it is said; bit 28 of EDX as QEMU sets it. */
static bool fill_cpu(const struct cvm_vm_config *config, struct cvm_machine *m,
                     struct cvm_error *err)
{
    const struct {
        const char *key;
        struct cvm_opt_u64 said;
        struct cvm_opt_u32 *target;
    } facts[] = {
        { "cpu_signature", config->cpu_signature, &m->cpu_signature },
        { "cpu_features_edx", config->cpu_features_edx, &m->cpu_features_edx },
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (facts[i].said.value > UINT32_MAX) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "%s %llu has more than 32 bits", facts[i].key,
                            (unsigned long long)facts[i].said.value);
        }
        if (facts[i].said.set) {
            *facts[i].target = (struct cvm_opt_u32){ true, (uint32_t)facts[i].said.value };
        }
    }
    m->cpu_features_edx.value = cvm_smbios_features_edx(m);
    return true;
}

bool cvm_machine_fill_platform(const struct cvm_vm_config *config, struct cvm_machine *out,
                               struct cvm_error *err)
{
    struct cvm_machine m = {
        .cpu_count = value_or(config->cpu_count, 0),
        .memory_size = config->memory_size.value,
        .smm = config->smm.value,
        .tpm = config->swtpm.value,
        .hotplug_off = config->hotplug_off.value,
        .pci_hole64_size = config->pci_hole64_size.value,
        .pciexbar_base =
            config->pciexbar_base.set ? config->pciexbar_base.value : CVM_PCIEXBAR_BASE,
        .pci_window64_base =
            config->pci_window64_base.set ? config->pci_window64_base.value : CVM_PCI_WINDOW64_BASE,
        .boot_menu_wait = (uint16_t)config->boot_menu_wait.value,
        .reserved_memory_end = config->reserved_memory_end.value,
        .pci_mmio64_mb = (uint32_t)config->pci_mmio64_mb.value,
    };
    if (!check_required(config, err) || !fill_nodes(config, &m, err) ||
        !check_share_mode(config->host_share_mode, err) ||
        !cvm_qemu_version_parse(config->qemu_version, &m.qemu, err) ||
        !place_devices(config, &m, err) ||
        !fill_bars("gpu_bars", config->gpu_bars, &m.gpu_bars, err) ||
        !fill_bars("nvswitch_bars", config->nvswitch_bars, &m.nvswitch_bars, err) ||
        !fill_cpu(config, &m, err)) {
        return false;
    }
    cvm_smbios_fill(&config->smbios, &m.smbios);
    m.pic = config->pic.set ? config->pic.value : cvm_qemu_default_pic(m.qemu);
    m.interrupt_trigger = cvm_qemu_default_trigger(m.qemu);
    unsigned trigger = 0;
    if (config->interrupt_trigger != NULL) {
        if (!parse_word("interrupt_trigger", config->interrupt_trigger, trigger_words, &trigger,
                        err)) {
            return false;
        }
        m.interrupt_trigger = (enum cvm_interrupt_trigger)trigger;
    }
    if (!cvm_machine_check(&m, err)) {
        return false;
    }
    *out = m;
    return true;
}

/* --- firmware and kernel --- */

static bool resolve_kernel_header(const struct cvm_vm_config *config,
                                  const struct cvm_measure_evidence *e, struct cvm_machine *machine,
                                  struct cvm_resolution *out, struct cvm_error *err)
{
    const char *word = e->kernel_header_option;
    out->kernel_header_source = "option";
    if (word == NULL) {
        word = config->kernel_header;
        out->kernel_header_source = "vm_config";
    }
    if (word == NULL && e->bundle != NULL && e->bundle->metadata.kernel_header_normalized.value) {
        word = "as-is";
        out->kernel_header_source = "metadata";
    }
    if (word == NULL) {
        machine->kernel_header = cvm_qemu_default_kernel_header(machine->qemu);
        out->kernel_header_source = "qemu_version";
        return true;
    }
    unsigned header = 0;
    if (!parse_word("kernel_header", word, kernel_header_words, &header, err)) {
        return false;
    }
    machine->kernel_header = (enum cvm_kernel_header)header;
    return true;
}

static bool resolve_page_add_order(const struct cvm_vm_config *config,
                                   const struct cvm_measure_evidence *e,
                                   struct cvm_machine *machine, struct cvm_resolution *out,
                                   struct cvm_warnings *warnings, struct cvm_error *err)
{
    unsigned order = 0;
    if (e->page_add_order_option != NULL) {
        out->page_add_order_source = "option";
        if (!parse_word("--page-add-order", e->page_add_order_option, page_add_order_words, &order,
                        err)) {
            return false;
        }
        machine->page_add_order = (enum cvm_page_add_order)order;
        return true;
    }
    if (config->qemu_single_pass_add_pages.set) { /* on the wire, true means two passes */
        out->page_add_order_source = e->declared ? "vm_config" : "host-config";
        machine->page_add_order =
            config->qemu_single_pass_add_pages.value ? CVM_PAGES_TWO_PASS : CVM_PAGES_SINGLE_PASS;
        return true;
    }
    out->page_add_order_source = "qemu_version";
    if (cvm_qemu_default_page_add_order(machine->qemu, &machine->page_add_order, err)) {
        return true;
    }
    if (!e->no_tee) {
        return cvm_context(err, "say --page-add-order to measure all the same");
    }
    cvm_warn(warnings, "this QEMU has no TDX: MRTD is what a newer one would give, with pages "
                       "added in a single pass");
    *err = (struct cvm_error){ 0 };
    machine->page_add_order = CVM_PAGES_SINGLE_PASS;
    out->page_add_order_source = "default";
    return true;
}

static bool resolve_variant(const struct cvm_vm_config *config,
                            const struct cvm_measure_evidence *e, struct cvm_machine *machine,
                            struct cvm_resolution *out, struct cvm_warnings *warnings,
                            struct cvm_error *err)
{
    const struct cvm_bundle_metadata *metadata = e->bundle == NULL ? NULL : &e->bundle->metadata;
    const char *image_name = e->bundle == NULL ? config->image : e->bundle->name;
    const struct cvm_variant_evidence evidence = {
        .option = e->variant_option,
        .vm_config = config->ovmf_variant,
        .metadata = metadata == NULL ? NULL : metadata->ovmf_variant,
        .measurement = e->compact == NULL ? NULL : e->compact->ovmf,
        .has_bundle = e->bundle != NULL,
        .version = metadata == NULL ? NULL : metadata->version,
        .image_name = image_name,
    };
    const struct cvm_layout_evidence file = { e->firmware, e->trust_declared, e->no_tee };
    struct cvm_layout_choice choice;
    if (!cvm_ovmf_variant_resolve(&evidence, warnings, &out->variant, err) ||
        !cvm_layout_choose(&out->variant, &file, warnings, &choice, err)) {
        return false;
    }
    machine->layout = choice.layout;
    out->layout_source = choice.source;
    return true;
}

static bool resolve_kernel_measures(const struct cvm_measure_evidence *e,
                                    struct cvm_machine *machine, struct cvm_resolution *out,
                                    struct cvm_error *err)
{
    static const char *const words[] = { "yes", "no" };
    unsigned word = 0;
    machine->kernel_measures = CVM_KERNEL_MEASURES_ASSUMED;
    out->kernel_measures_source = "default";
    if (e->kernel_measures_option == NULL) {
        return true;
    }
    out->kernel_measures_source = "option";
    if (!parse_word("--kernel-measures", e->kernel_measures_option, words, &word, err)) {
        return false;
    }
    machine->kernel_measures = word == 0 ? CVM_KERNEL_MEASURES : CVM_KERNEL_MEASURES_NOTHING;
    return true;
}

/* From 10.1 on QEMU switches PIC and SMM off for a TD, whatever was asked for. */
static void apply_tdx(const struct cvm_measure_evidence *e, struct cvm_machine *machine,
                      struct cvm_warnings *warnings)
{
    static const struct cvm_qemu_version first_forced = { 10, 1, 0 };
    if (e->no_tee || cvm_qemu_version_compare(machine->qemu, first_forced) < 0) {
        return;
    }
    if (machine->pic || machine->smm) {
        cvm_warn(warnings, "QEMU %u.%u switches the PIC and SMM off for a TD: measured without",
                 machine->qemu.major, machine->qemu.minor);
    }
    machine->pic = false;
    machine->smm = false;
}

bool cvm_machine_fill_firmware(const struct cvm_vm_config *config,
                               const struct cvm_measure_evidence *evidence,
                               struct cvm_machine *machine, struct cvm_resolution *out,
                               struct cvm_warnings *warnings, struct cvm_error *err)
{
    apply_tdx(evidence, machine, warnings);
    return resolve_variant(config, evidence, machine, out, warnings, err) &&
           resolve_kernel_header(config, evidence, machine, out, err) &&
           resolve_kernel_measures(evidence, machine, out, err) &&
           resolve_page_add_order(config, evidence, machine, out, warnings, err);
}
