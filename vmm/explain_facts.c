/*
 * What may be different from the declaration: one row per fact.
 */
#include "vmm/explain.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
#define COUNT_OF(list) ((uint32_t)(sizeof(list) / sizeof(list)[0]))

static const struct cvm_machine *machine_of(const struct cvm_explain_facts *s)
{
    return &s->input->declared->machine;
}

static void show_number(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    snprintf(out, size, "%llu", (unsigned long long)value);
}

static void show_on_off(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    snprintf(out, size, "%s", value != 0 ? "on" : "off");
}

static void show_address(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    snprintf(out, size, "0x%llx", (unsigned long long)value);
}

static void show_size(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    bool whole = value % GIB == 0;
    snprintf(out, size, "%llu %s", (unsigned long long)(value / (whole ? GIB : GIB / 1024)),
             whole ? "GiB" : "MiB");
}

static uint32_t count_two(const struct cvm_explain_facts *s)
{
    (void)s;
    return 2;
}

static uint64_t value_index(const struct cvm_explain_facts *s, uint32_t i)
{
    (void)s;
    return i;
}

/* --- firmware and kernel --- */

static uint32_t count_named_layouts(void)
{
    uint32_t count = 0;
    while (cvm_layout_at(count) != NULL) {
        count++;
    }
    return count;
}

/* The firmware's own layout, behind those that have names, where there is a file. */
static uint32_t count_layouts(const struct cvm_explain_facts *s)
{
    return count_named_layouts() + (s->input->declared->has_bundle ? 1 : 0);
}

static uint64_t declared_layout(const struct cvm_explain_facts *s)
{
    uint32_t count = count_named_layouts();
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(cvm_layout_at(i)->name, machine_of(s)->layout->name) == 0) {
            return i;
        }
    }
    return count;
}

static void apply_layout(const struct cvm_explain_facts *s, uint64_t value, struct cvm_candidate *c)
{
    (void)s;
    const struct cvm_layout *named = cvm_layout_at((size_t)value);
    const struct cvm_layout *layout = named != NULL ? named : &c->evidence.firmware->layout;
    c->evidence.variant_option = layout->name[0] != '\0' ? layout->name : NULL;
    c->evidence.trust_declared = named != NULL;
}

static void show_layout(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    const struct cvm_layout *layout = cvm_layout_at((size_t)value);
    snprintf(out, size, "%s", layout == NULL ? "of the firmware file" : layout->name);
}

/* One row's functions for a value of the machine that has words; `option` says it in words. */
#define WORDED(field, type, option, word_of)                                                       \
    static uint64_t declared_##field(const struct cvm_explain_facts *s)                            \
    {                                                                                              \
        return machine_of(s)->field;                                                               \
    }                                                                                              \
    static void apply_##field(const struct cvm_explain_facts *s, uint64_t value,                   \
                              struct cvm_candidate *c)                                             \
    {                                                                                              \
        (void)s;                                                                                   \
        c->option = word_of((type)(value));                                                        \
    }                                                                                              \
    static void show_##field(const struct cvm_explain_facts *s, uint64_t value, char *out,         \
                             size_t size)                                                          \
    {                                                                                              \
        (void)s;                                                                                   \
        snprintf(out, size, "%s", word_of((type)(value)));                                         \
    }

WORDED(kernel_header, enum cvm_kernel_header, evidence.kernel_header_option, cvm_kernel_header_word)
WORDED(page_add_order, enum cvm_page_add_order, evidence.page_add_order_option,
       cvm_page_add_order_word)
WORDED(interrupt_trigger, enum cvm_interrupt_trigger, config.interrupt_trigger, cvm_trigger_word)

/* --- switches --- */

/* One row's functions for a boolean of the machine and of vm_config. */
#define SWITCH(field, config_field)                                                                \
    static uint64_t declared_##field(const struct cvm_explain_facts *s)                            \
    {                                                                                              \
        return machine_of(s)->field;                                                               \
    }                                                                                              \
    static void apply_##field(const struct cvm_explain_facts *s, uint64_t value,                   \
                              struct cvm_candidate *c)                                             \
    {                                                                                              \
        (void)s;                                                                                   \
        c->config.config_field = (struct cvm_opt_bool){ true, value != 0 };                        \
    }

SWITCH(pic, pic)
SWITCH(smm, smm)
SWITCH(hotplug_off, hotplug_off)
SWITCH(tpm, swtpm)

static uint64_t declared_hugepages(const struct cvm_explain_facts *s)
{
    return s->input->declared->config.hugepages.value;
}

static void apply_hugepages(const struct cvm_explain_facts *s, uint64_t value,
                            struct cvm_candidate *c)
{
    (void)s;
    c->config.hugepages = (struct cvm_opt_bool){ true, value != 0 };
}

/* --- QEMU --- */

/* One version of each family that writes other tables or has other defaults. */
static const struct cvm_qemu_version versions[] = {
    { 8, 0, 0 },  { 8, 1, 0 },  { 8, 2, 2 },  { 9, 0, 0 },  { 9, 1, 0 },  { 9, 2, 0 },
    { 10, 0, 0 }, { 10, 1, 0 }, { 10, 2, 0 }, { 11, 0, 0 }, { 11, 1, 0 },
};

static uint64_t pack(struct cvm_qemu_version v)
{
    return (uint64_t)v.major << 32 | (uint64_t)v.minor << 16 | v.micro;
}

static uint32_t count_versions(const struct cvm_explain_facts *s)
{
    (void)s;
    return COUNT_OF(versions);
}

static uint64_t value_version(const struct cvm_explain_facts *s, uint32_t i)
{
    (void)s;
    return pack(versions[i]);
}

static uint64_t declared_version(const struct cvm_explain_facts *s)
{
    return pack(machine_of(s)->qemu);
}

static void show_version(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    (void)s;
    snprintf(out, size, "%u.%u.%u", (unsigned)(value >> 32), (unsigned)(value >> 16 & 0xffff),
             (unsigned)(value & 0xffff));
}

static void apply_version(const struct cvm_explain_facts *s, uint64_t value,
                          struct cvm_candidate *c)
{
    show_version(s, value, c->qemu_version, sizeof c->qemu_version);
    c->config.qemu_version = c->qemu_version;
}

/* --- devices --- */

/* How a number is declared. */
#define APPLY_NUMBER(field)                                                                        \
    static void apply_##field(const struct cvm_explain_facts *s, uint64_t value,                   \
                              struct cvm_candidate *c)                                             \
    {                                                                                              \
        (void)s;                                                                                   \
        c->config.field = (struct cvm_opt_u64){ true, value };                                     \
    }

static uint32_t count_devices(const struct cvm_explain_facts *s)
{
    (void)s;
    return 9; /* 0 to 8 of them */
}

/* One row's functions for a number of devices. */
#define DEVICES(field, role)                                                                       \
    static uint64_t declared_##field(const struct cvm_explain_facts *s)                            \
    {                                                                                              \
        return cvm_machine_count(machine_of(s), role);                                             \
    }                                                                                              \
    APPLY_NUMBER(field)

DEVICES(num_nics, CVM_DEVICE_NIC)
DEVICES(num_verity_volumes, CVM_DEVICE_VOLUME)
DEVICES(num_nvswitches, CVM_DEVICE_NVSWITCH_PORT)

static uint64_t declared_num_gpus(const struct cvm_explain_facts *s)
{
    return cvm_machine_num_gpus(machine_of(s));
}

APPLY_NUMBER(num_gpus)

static const char *const share_modes[] = { "9p", "vvfat", "vhd" };
static const char *const rootfs_devices[] = { "virtio-blk", "cdrom", "none" };

static uint32_t count_words(const struct cvm_explain_facts *s)
{
    (void)s;
    return 3;
}

/* Where the word stands in its list; the first is what absence means. */
static uint64_t find_word(const char *const *words, const char *word)
{
    for (uint64_t i = 0; word != NULL && i < 3; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return 0;
}

/* One row's functions for a word of vm_config. */
#define WORD(field, list)                                                                          \
    static uint64_t declared_##field(const struct cvm_explain_facts *s)                            \
    {                                                                                              \
        return find_word(list, s->input->declared->config.field);                                  \
    }                                                                                              \
    static void apply_##field(const struct cvm_explain_facts *s, uint64_t value,                   \
                              struct cvm_candidate *c)                                             \
    {                                                                                              \
        (void)s;                                                                                   \
        c->config.field = (list)[value];                                                           \
    }                                                                                              \
    static void show_##field(const struct cvm_explain_facts *s, uint64_t value, char *out,         \
                             size_t size)                                                          \
    {                                                                                              \
        (void)s;                                                                                   \
        snprintf(out, size, "%s", (list)[value]);                                                  \
    }

WORD(host_share_mode, share_modes)
WORD(rootfs_device, rootfs_devices)

/* --- addresses and sizes --- */

/* One row's functions for a number of the machine that vm_config has under the same name. */
#define NUMBER(field)                                                                              \
    static uint64_t declared_##field(const struct cvm_explain_facts *s)                            \
    {                                                                                              \
        return machine_of(s)->field;                                                               \
    }                                                                                              \
    APPLY_NUMBER(field)

/* Where builds of OVMF put them, at various widths of guest physical addresses. */
static const uint64_t pciexbars[] = { 0xe0000000, 0xb0000000 };
static const uint64_t windows[] = { 0x800000000,   0xc000000000,   0xe000000000,
                                    0x70000000000, 0x380000000000, 0x700000000000 };
static const uint64_t holes[] = { 0,         64 * GIB,   128 * GIB, 256 * GIB,
                                  512 * GIB, 1024 * GIB, 2048 * GIB };

/* One row's functions for a number out of a list. */
#define LISTED(field, list)                                                                        \
    static uint32_t count_##field(const struct cvm_explain_facts *s)                               \
    {                                                                                              \
        (void)s;                                                                                   \
        return COUNT_OF(list);                                                                     \
    }                                                                                              \
    static uint64_t value_##field(const struct cvm_explain_facts *s, uint32_t i)                   \
    {                                                                                              \
        (void)s;                                                                                   \
        return (list)[i];                                                                          \
    }                                                                                              \
    NUMBER(field)

LISTED(pciexbar_base, pciexbars)
LISTED(pci_window64_base, windows)
LISTED(pci_hole64_size, holes)

/* --- CPUs and memory --- */

static uint32_t count_range(const struct cvm_explain_range *r)
{
    return (uint32_t)((r->to - r->from) / r->step + 1);
}

/* One row's functions for a number of a range that the caller may set. */
#define RANGED(field, range)                                                                       \
    static uint32_t count_##field(const struct cvm_explain_facts *s)                               \
    {                                                                                              \
        return count_range(&s->input->range);                                                      \
    }                                                                                              \
    static uint64_t value_##field(const struct cvm_explain_facts *s, uint32_t i)                   \
    {                                                                                              \
        return s->input->range.from + i * s->input->range.step;                                    \
    }                                                                                              \
    NUMBER(field)

RANGED(cpu_count, cpus)
RANGED(memory_size, memory)

/* --- what SMBIOS says --- */

/* EDX of CPUID leaf 1 as a TD of QEMU 8 has it on servers with TDX: docs/measurement.md. */
#define TD_FEATURES_EDX 0x2fabfbff

/* Steppings of servers with TDX, as CPUID leaf 1 says them in EAX. */
static const struct {
    uint32_t signature;
    const char *name;
} cpus[] = {
    { 0x000806f6, "Sapphire Rapids" }, { 0x000806f7, "Sapphire Rapids" },
    { 0x000806f8, "Sapphire Rapids" }, { 0x000c06f1, "Emerald Rapids" },
    { 0x000c06f2, "Emerald Rapids" },  { 0x000a06d1, "Granite Rapids" },
    { 0x000a06f3, "Sierra Forest" },
};

static uint32_t count_cpus(const struct cvm_explain_facts *s)
{
    (void)s;
    return COUNT_OF(cpus);
}

static uint64_t value_cpu(const struct cvm_explain_facts *s, uint32_t i)
{
    (void)s;
    return cpus[i].signature;
}

/* No CPU has signature 0: it stands for none that is said. */
static uint64_t declared_cpu(const struct cvm_explain_facts *s)
{
    return machine_of(s)->cpu_signature.value;
}

static void apply_cpu(const struct cvm_explain_facts *s, uint64_t value, struct cvm_candidate *c)
{
    (void)s;
    c->config.cpu_signature = (struct cvm_opt_u64){ true, value };
    if (!c->config.cpu_features_edx.set) {
        c->config.cpu_features_edx = (struct cvm_opt_u64){ true, TD_FEATURES_EDX };
    }
}

static void show_cpu(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    const char *name = "another CPU";
    (void)s;
    for (size_t i = 0; i < COUNT_OF(cpus); i++) {
        name = cpus[i].signature == value ? cpus[i].name : name;
    }
    if (value == 0) {
        snprintf(out, size, "none");
    } else {
        snprintf(out, size, "0x%08llx (%s)", (unsigned long long)value, name);
    }
}

/* QEMU's own words, or those of a known launcher; anything else has a place behind them. */
static const char *const products[] = { "QEMU", "dstack" };

static uint64_t declared_product(const struct cvm_explain_facts *s)
{
    const struct cvm_smbios *said = &machine_of(s)->smbios;
    bool is_known =
        strcmp(said->manufacturer, "dstack") == 0 && strcmp(said->product, "dstack") == 0;
    bool is_default = said->manufacturer[0] == '\0' && said->product[0] == '\0';
    return is_default ? 0 : is_known ? 1 : COUNT_OF(products);
}

static void apply_product(const struct cvm_explain_facts *s, uint64_t value,
                          struct cvm_candidate *c)
{
    (void)s;
    const char *text = value == 0 ? "" : products[value];
    c->config.smbios.manufacturer = text;
    c->config.smbios.product = text;
}

static void show_product(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    const char *product =
        value < COUNT_OF(products) ? products[value] : machine_of(s)->smbios.product;
    snprintf(out, size, "'%s'", product);
}

/* --- images --- */

static uint32_t count_images(const struct cvm_explain_facts *s)
{
    return s->images->count;
}

static uint64_t declared_image(const struct cvm_explain_facts *s)
{
    (void)s;
    return 0;
}

static void apply_image(const struct cvm_explain_facts *s, uint64_t value, struct cvm_candidate *c)
{
    if (value != 0) { /* the other bundle says for itself how it is measured */
        c->image = (uint32_t)value;
        c->evidence.bundle = &s->images->items[value].bundle;
        c->evidence.compact = NULL;
        c->config.ovmf_variant = NULL;
        c->config.image = s->images->items[value].bundle.name;
    }
}

static void show_image(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size)
{
    const struct cvm_declared *d = s->input->declared;
    const char *name = value != 0                ? s->images->items[value].bundle.name
                       : d->has_bundle           ? d->bundle.name
                       : d->config.image != NULL ? d->config.image
                                                 : "the declared one";
    snprintf(out, size, "%.90s", name);
}

/* Cheap and likely ones first: the order is that of the search. */
/* clang-format off */
static const struct cvm_explain_fact facts[] = {
    { "ovmf_variant", "the %s layout", "write ovmf_variant or re-create vm_config",
      count_layouts, value_index, declared_layout, apply_layout, show_layout },
    { "page_add_order", "firmware pages added in %s order", "set qemu_single_pass_add_pages, or correct qemu_version",
      count_two, value_index, declared_page_add_order, apply_page_add_order, show_page_add_order },
    { "kernel_header", "the kernel with its header %s", "set kernel_header, or correct qemu_version",
      count_two, value_index, declared_kernel_header, apply_kernel_header, show_kernel_header },
    { "interrupt_trigger", "interrupts that are %s triggered", "set interrupt_trigger: this QEMU is another tree than its version says",
      count_two, value_index, declared_interrupt_trigger, apply_interrupt_trigger, show_interrupt_trigger },
    { "pic", "a machine with the PIC %s", "set pic, or start the guest with the other setting",
      count_two, value_index, declared_pic, apply_pic, show_on_off },
    { "smm", "a machine with SMM %s", "set smm, or start the guest with the other setting",
      count_two, value_index, declared_smm, apply_smm, show_on_off },
    { "hotplug_off", "a machine with hotplug_off %s", "set hotplug_off, or start the guest with the other setting",
      count_two, value_index, declared_hotplug_off, apply_hotplug_off, show_on_off },
    { "swtpm", "a machine with the TPM %s", "set swtpm, or start the guest without or with it",
      count_two, value_index, declared_tpm, apply_tpm, show_on_off },
    { "hugepages", "a machine with hugepages %s", "set hugepages: it makes a NUMA node, which shows",
      count_two, value_index, declared_hugepages, apply_hugepages, show_on_off },
    { "qemu_version", "tables as QEMU %s writes them", "declare the QEMU that really ran; an emulator may have been upgraded under a vm_config",
      count_versions, value_version, declared_version, apply_version, show_version },
    { "pciexbar_base", "PCIEXBAR at %s", "set pciexbar_base, or use the firmware that was declared",
      count_pciexbar_base, value_pciexbar_base, declared_pciexbar_base, apply_pciexbar_base, show_address },
    { "pci_window64_base", "the 64-bit PCI window at %s", "set pci_window64_base: the guest has another width of physical addresses",
      count_pci_window64_base, value_pci_window64_base, declared_pci_window64_base, apply_pci_window64_base, show_address },
    { "pci_hole64_size", "a 64-bit PCI window of %s", "set pci_hole64_size (0 stands for QEMU's 32 GiB)",
      count_pci_hole64_size, value_pci_hole64_size, declared_pci_hole64_size, apply_pci_hole64_size, show_size },
    { "rootfs_device", "a root file system on %s", "set rootfs_device",
      count_words, value_index, declared_rootfs_device, apply_rootfs_device, show_rootfs_device },
    { "host_share_mode", "a share by %s", "set host_share_mode",
      count_words, value_index, declared_host_share_mode, apply_host_share_mode, show_host_share_mode },
    { "num_nics", "%s network interfaces", "set num_nics, or start the guest with as many as declared",
      count_devices, value_index, declared_num_nics, apply_num_nics, show_number },
    { "num_verity_volumes", "%s volumes", "set num_verity_volumes, or start the guest with as many as declared",
      count_devices, value_index, declared_num_verity_volumes, apply_num_verity_volumes, show_number },
    { "num_gpus", "%s GPUs", "set num_gpus, or start the guest with as many as declared",
      count_devices, value_index, declared_num_gpus, apply_num_gpus, show_number },
    { "num_nvswitches", "%s NVSwitches", "set num_nvswitches, or start the guest with as many as declared",
      count_devices, value_index, declared_num_nvswitches, apply_num_nvswitches, show_number },
    { "cpu_count", "%s virtual CPUs", "set cpu_count to what the guest really has",
      count_cpu_count, value_cpu_count, declared_cpu_count, apply_cpu_count, show_number },
    { "memory_size", "%s of memory", "set memory_size to what the guest really has",
      count_memory_size, value_memory_size, declared_memory_size, apply_memory_size, show_size },
    { "cpu_signature", "CPU %s", "set cpu_signature and cpu_features_edx to those of the host that ran it",
      count_cpus, value_cpu, declared_cpu, apply_cpu, show_cpu },
    { "smbios", "SMBIOS product %s", "set smbios to what the launcher says there",
      count_two, value_index, declared_product, apply_product, show_product },
    { "image", "image %s", "verify against that image, or start the guest with the declared one",
      count_images, value_index, declared_image, apply_image, show_image },
};
/* clang-format on */

const struct cvm_explain_fact *cvm_explain_fact_table(size_t *count)
{
    *count = sizeof facts / sizeof facts[0];
    return facts;
}

/* Where a value that was resolved came from, for the sentence. */
static const char *origin_of(const struct cvm_declared *d, const char *name)
{
    static const struct {
        const char *rule, *phrase;
    } phrases[] = {
        { "option", "from the option given" },
        { "vm_config", "from its own ovmf_variant" },
        { "metadata", "from the image's metadata.json" },
        { "measurement", "from the compact measurement" },
        { "version", "from the image's version" },
        { "image-name", "from the image name" },
        { "default", "by default, since nothing says it" },
        { "qemu_version", "from qemu_version" },
    };
    const char *rule = strcmp(name, "ovmf_variant") == 0     ? d->resolution.variant.rule
                       : strcmp(name, "page_add_order") == 0 ? d->resolution.page_add_order_source
                       : strcmp(name, "kernel_header") == 0  ? d->resolution.kernel_header_source
                                                             : NULL;
    for (size_t i = 0; rule != NULL && i < sizeof phrases / sizeof phrases[0]; i++) {
        if (strcmp(rule, phrases[i].rule) == 0) {
            return phrases[i].phrase;
        }
    }
    return NULL;
}

/* "the %s layout" with the value in its place. */
static void fill_in(const char *what, const char *value, char *out, size_t size)
{
    const char *mark = strstr(what, "%s");
    snprintf(out, size, "%.*s%s%s", (int)(mark - what), what, value, mark + 2);
}

void cvm_explain_sentence(const struct cvm_explain_facts *s, const struct cvm_explain_fact *fact,
                          struct cvm_explain_change *change)
{
    char seen[160];
    const char *origin = origin_of(s->input->declared, fact->name);
    fill_in(fact->what, change->seen, seen, sizeof seen);
    if (origin != NULL) {
        snprintf(change->sentence, sizeof change->sentence,
                 "the guest measured %s; vm_config was resolved as %s %s; %s", seen,
                 change->declared, origin, fact->advice);
        return;
    }
    snprintf(change->sentence, sizeof change->sentence,
             "the guest measured %s; vm_config says %s; %s", seen, change->declared, fact->advice);
}

struct cvm_explain_range cvm_explain_default_cpus(const struct cvm_machine *machine)
{
    uint64_t most = 2 * (uint64_t)machine->cpu_count;
    most = most < 32 ? 32 : most > 256 ? 256 : most;
    return (struct cvm_explain_range){ 1, most > machine->cpu_count ? most : machine->cpu_count,
                                       1 };
}

struct cvm_explain_range cvm_explain_default_memory(const struct cvm_machine *machine)
{
    uint64_t step = machine->memory_size > 64 * GIB ? machine->memory_size / 32 / GIB * GIB : GIB;
    uint64_t most = 2 * machine->memory_size;
    return (struct cvm_explain_range){ step, most < 32 * GIB ? 32 * GIB : most, step };
}
