#include "measure/include/cvm/machine.h"

#include "measure/base/error.h"
#include "measure/include/cvm/layout.h"

#include <stddef.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Above this much memory (in bytes), q35 keeps only 2 GiB below 4 GiB. */
#define Q35_SPLIT_THRESHOLD UINT64_C(0xb0000000)
#define Q35_SPLIT_BELOW_4G UINT64_C(0x80000000)

enum { FIRST_EXPANDER_SLOT = 16 };

#define PHYSICAL_ADDRESS_LIMIT (UINT64_C(1) << 52)
#define DEFAULT_HOLE64_SIZE (32 * GIB)

/* Appends devices of one role, in the slots that follow the last one. */
static void add_devices(struct cvm_machine *m, enum cvm_device_role role, uint32_t count,
                        unsigned first_slot)
{
    for (uint32_t i = 0; i < count; i++) {
        m->devices[m->num_devices++] =
            (struct cvm_pci_device){ .role = role, .slot = (uint8_t)(first_slot + i) };
    }
}

bool cvm_machine_place_devices(struct cvm_machine *machine, const struct cvm_device_counts *counts,
                               struct cvm_error *err)
{
    const struct {
        enum cvm_device_role role;
        uint32_t count;
    } order[] = {
        { CVM_DEVICE_ROOTFS, counts->rootfs },
        { CVM_DEVICE_DATA_DISK, 1 },
        { CVM_DEVICE_VOLUME, counts->volumes },
        { CVM_DEVICE_NIC, counts->nics },
        { CVM_DEVICE_VSOCK, 1 },
        { CVM_DEVICE_SHARE, 1 },
        { CVM_DEVICE_GPU_PORT, counts->gpus },
        { CVM_DEVICE_NVSWITCH_PORT, counts->nvswitches },
    };
    uint64_t wanted = 0;
    unsigned free_slots = counts->expanders == 0 ? CVM_MAX_DEVICES : FIRST_EXPANDER_SLOT - 1;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        wanted += order[i].count;
    }
    if (wanted > free_slots || counts->expanders > CVM_MAX_NUMA_NODES) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "%llu devices and %u expanders on the root bus, which has %u slots for the "
                        "former and %d for the latter: volumes %u, NICs %u, GPUs %u, NVSwitches %u",
                        (unsigned long long)wanted, counts->expanders, free_slots,
                        CVM_MAX_NUMA_NODES, counts->volumes, counts->nics, counts->gpus,
                        counts->nvswitches);
    }
    memset(machine->devices, 0, sizeof machine->devices);
    machine->num_devices = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        add_devices(machine, order[i].role, order[i].count, machine->num_devices + 1);
    }
    add_devices(machine, CVM_DEVICE_EXPANDER, counts->expanders, FIRST_EXPANDER_SLOT);
    return true;
}

uint32_t cvm_machine_count(const struct cvm_machine *machine, enum cvm_device_role role)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < machine->num_devices; i++) {
        count += machine->devices[i].role == role;
    }
    return count;
}

uint32_t cvm_machine_num_gpus(const struct cvm_machine *machine)
{
    uint32_t count = cvm_machine_count(machine, CVM_DEVICE_GPU_PORT);
    for (uint32_t i = 0; i < machine->num_numa_nodes; i++) {
        count += machine->numa_nodes[i].has_expander ? machine->numa_nodes[i].num_gpus : 0;
    }
    return count;
}

bool cvm_machine_knows_bars(const struct cvm_machine *machine)
{
    bool has_gpus = cvm_machine_num_gpus(machine) != 0;
    bool has_nvswitches = cvm_machine_count(machine, CVM_DEVICE_NVSWITCH_PORT) != 0;
    return (has_gpus || has_nvswitches) && (!has_gpus || machine->gpu_bars.known) &&
           (!has_nvswitches || machine->nvswitch_bars.known);
}

static bool check_memory(const struct cvm_machine *m, struct cvm_error *err)
{
    unsigned long long size = m->memory_size;
    if (size < MIB || size % MIB != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "memory_size %llu is not a positive multiple of 1 MiB", size);
    }
    if (size > PHYSICAL_ADDRESS_LIMIT) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "memory_size %llu exceeds 2^52 bytes", size);
    }
    uint64_t end = 4 * GIB + (size - cvm_machine_ram_below_4g(m));
    if (end > m->pci_window64_base) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "memory_size %llu reaches into the 64-bit PCI window at 0x%llx", size,
                        (unsigned long long)m->pci_window64_base);
    }
    return true;
}

static bool check_windows(const struct cvm_machine *m, struct cvm_error *err)
{
    uint64_t hole = m->pci_hole64_size == 0 ? DEFAULT_HOLE64_SIZE : m->pci_hole64_size;
    if (hole % GIB != 0 || m->pci_window64_base % GIB != 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "pci_hole64_size %llu or pci_window64_base 0x%llx is no multiple of 1 GiB",
                        (unsigned long long)hole, (unsigned long long)m->pci_window64_base);
    }
    if (m->pci_window64_base > PHYSICAL_ADDRESS_LIMIT ||
        hole > PHYSICAL_ADDRESS_LIMIT - m->pci_window64_base) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "a 64-bit PCI window of %llu bytes at 0x%llx ends above 2^52",
                        (unsigned long long)hole, (unsigned long long)m->pci_window64_base);
    }
    bool aligned = m->pciexbar_base % (256 * MIB) == 0;
    bool in_hole =
        m->pciexbar_base >= cvm_machine_ram_below_4g(m) && m->pciexbar_base <= UINT64_C(0xe0000000);
    return aligned && in_hole
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED,
                          "pciexbar_base 0x%llx is not a multiple of 256 MiB between the end of "
                          "low memory and 0xe0000000",
                          (unsigned long long)m->pciexbar_base);
}

static bool check_devices(const struct cvm_machine *m, struct cvm_error *err)
{
    if (m->num_devices > CVM_MAX_DEVICES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u devices, at most %d", m->num_devices,
                        CVM_MAX_DEVICES);
    }
    unsigned last = 0;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        unsigned slot = m->devices[i].slot;
        if (slot <= last || slot > CVM_MAX_DEVICES) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "device %u is in slot %u; slots ascend from 1 to %d", i, slot,
                            CVM_MAX_DEVICES);
        }
        last = slot;
    }
    return true;
}

/*
 * An expander needs its own bus and one for each port behind it. The firmware numbers the buses
 * behind the root bus from 1 on and may not reach the first expander's: QEMU takes such a machine,
 * but its PCI enumeration fails.
 */
static bool check_expander(uint32_t index, const struct cvm_numa_node *n, unsigned used,
                           struct cvm_error *err)
{
    enum { SLOTS = 32, LAST_BUS = 255 };
    if (n->num_gpus > SLOTS) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "node %u: num_gpus %u, but an expander's bus has %d slots", index,
                        n->num_gpus, SLOTS);
    }
    if (n->expander_bus > used && n->num_gpus <= LAST_BUS - (unsigned)n->expander_bus) {
        return true;
    }
    return cvm_fail(err, CVM_ERR_MALFORMED,
                    "node %u: an expander on bus %u with %u ports; buses up to %u are taken, and "
                    "%d is the last",
                    index, n->expander_bus, n->num_gpus, used, LAST_BUS);
}

static bool check_expanders(const struct cvm_machine *m, struct cvm_error *err)
{
    unsigned used =
        cvm_machine_count(m, CVM_DEVICE_GPU_PORT) + cvm_machine_count(m, CVM_DEVICE_NVSWITCH_PORT);
    unsigned expanders = 0;
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *n = &m->numa_nodes[i];
        if (!n->has_expander) {
            continue;
        }
        if (!check_expander(i, n, used, err)) {
            return false;
        }
        used = n->expander_bus + n->num_gpus;
        expanders++;
    }
    return expanders == cvm_machine_count(m, CVM_DEVICE_EXPANDER)
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "%u nodes have an expander, %u slots hold one",
                          expanders, cvm_machine_count(m, CVM_DEVICE_EXPANDER));
}

static bool check_nodes(const struct cvm_machine *m, struct cvm_error *err)
{
    uint64_t cpus = 0;
    uint64_t memory = 0;
    if (m->num_numa_nodes > CVM_MAX_NUMA_NODES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u NUMA nodes, at most %d", m->num_numa_nodes,
                        CVM_MAX_NUMA_NODES);
    }
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *n = &m->numa_nodes[i];
        if (n->cpu_count == 0 || n->memory_size == 0 || n->memory_size % MIB != 0 ||
            n->memory_size > m->memory_size) {
            return cvm_fail(
                err, CVM_ERR_MALFORMED,
                "node %u: %u CPUs and %llu bytes of memory; both are needed, the latter "
                "in whole MiB",
                i, n->cpu_count, (unsigned long long)n->memory_size);
        }
        cpus += n->cpu_count;
        memory += n->memory_size;
    }
    if (m->num_numa_nodes != 0 && (cpus != m->cpu_count || memory != m->memory_size)) {
        return cvm_fail(
            err, CVM_ERR_MALFORMED,
            "the NUMA nodes have %llu CPUs and %llu bytes of memory, the machine %u and "
            "%llu",
            (unsigned long long)cpus, (unsigned long long)memory, m->cpu_count,
            (unsigned long long)m->memory_size);
    }
    return check_expanders(m, err);
}

static bool check_bars(const char *what, const struct cvm_port_bars *bars, struct cvm_error *err)
{
    const uint64_t smallest = 16;
    const uint64_t largest[] = { [CVM_BAR_MEM32] = GIB, [CVM_BAR_MEM64] = UINT64_C(1) << 44 };
    if (bars->count > CVM_MAX_BARS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: %u BARs, at most %d", what, bars->count,
                        CVM_MAX_BARS);
    }
    for (uint32_t i = 0; i < bars->count; i++) {
        uint64_t size = bars->bars[i].size;
        enum cvm_bar_kind kind = bars->bars[i].kind;
        if ((size & (size - 1)) != 0 || size < smallest || size > largest[kind]) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "%s: BAR %u has %llu bytes, not a power of two from %llu to %llu", what,
                            i, (unsigned long long)size, (unsigned long long)smallest,
                            (unsigned long long)largest[kind]);
        }
    }
    return true;
}

/* --- SMBIOS strings --- */

/* clang-format off */
static const struct {
    const char *name;
    size_t offset;
} smbios_strings[] = {
    { "manufacturer", offsetof(struct cvm_smbios, manufacturer) },
    { "product",      offsetof(struct cvm_smbios, product) },
    { "version",      offsetof(struct cvm_smbios, version) },
    { "serial",       offsetof(struct cvm_smbios, serial) },
    { "sku",          offsetof(struct cvm_smbios, sku) },
    { "family",       offsetof(struct cvm_smbios, family) },
};
/* clang-format on */

enum {
    NUM_SMBIOS_STRINGS = sizeof smbios_strings / sizeof smbios_strings[0],
    SMBIOS_STRING_SIZE = sizeof((struct cvm_smbios *)NULL)->manufacturer,
};

static const char *smbios_string(const struct cvm_smbios *smbios, size_t index)
{
    return (const char *)smbios + smbios_strings[index].offset;
}

static bool check_smbios(const struct cvm_machine *m, struct cvm_error *err)
{
    for (size_t i = 0; i < NUM_SMBIOS_STRINGS; i++) {
        const char *text = smbios_string(&m->smbios, i);
        size_t length = strnlen(text, SMBIOS_STRING_SIZE);
        if (length == SMBIOS_STRING_SIZE) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "smbios %s: no NUL in %d bytes",
                            smbios_strings[i].name, SMBIOS_STRING_SIZE);
        }
        for (size_t at = 0; at < length; at++) {
            if (text[at] < 0x20 || text[at] > 0x7e) {
                return cvm_fail(err, CVM_ERR_MALFORMED,
                                "smbios %s: byte 0x%02x at offset %zu is not printable ASCII",
                                smbios_strings[i].name, (unsigned char)text[at], at);
            }
        }
    }
    return true;
}

static bool same_smbios(const struct cvm_smbios *a, const struct cvm_smbios *b)
{
    for (size_t i = 0; i < NUM_SMBIOS_STRINGS; i++) {
        if (strncmp(smbios_string(a, i), smbios_string(b, i), SMBIOS_STRING_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

/* What a q35 machine of each version takes, as `-smp` refuses more. */
static uint32_t max_cpus(struct cvm_qemu_version version)
{
    static const struct {
        struct cvm_qemu_version since;
        uint32_t max;
    } limits[] = {
        { { 9, 0, 0 }, CVM_MAX_CPUS },
        { { 8, 1, 0 }, 1024 },
        { { 0, 0, 0 }, 288 },
    };
    size_t i = 0;
    while (cvm_qemu_version_compare(version, limits[i].since) < 0) {
        i++;
    }
    return limits[i].max;
}

bool cvm_machine_check(const struct cvm_machine *m, struct cvm_error *err)
{
    if (m->cpu_count == 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "cpu_count is 0");
    }
    if (m->cpu_count > max_cpus(m->qemu)) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "cpu_count %u, at most %u on QEMU %u.%u.%u",
                        m->cpu_count, max_cpus(m->qemu), m->qemu.major, m->qemu.minor,
                        m->qemu.micro);
    }
    return check_memory(m, err) && check_windows(m, err) && check_devices(m, err) &&
           check_nodes(m, err) && check_bars("gpu_bars", &m->gpu_bars, err) &&
           check_bars("nvswitch_bars", &m->nvswitch_bars, err) && check_smbios(m, err);
}

static bool same_devices(const struct cvm_machine *a, const struct cvm_machine *b)
{
    for (uint32_t i = 0; i < a->num_devices && i < b->num_devices; i++) {
        if (a->devices[i].role != b->devices[i].role || a->devices[i].slot != b->devices[i].slot) {
            return false;
        }
    }
    return a->num_devices == b->num_devices;
}

static bool same_nodes(const struct cvm_machine *a, const struct cvm_machine *b)
{
    for (uint32_t i = 0; i < a->num_numa_nodes && i < b->num_numa_nodes; i++) {
        const struct cvm_numa_node *x = &a->numa_nodes[i];
        const struct cvm_numa_node *y = &b->numa_nodes[i];
        if (x->cpu_count != y->cpu_count || x->memory_size != y->memory_size ||
            x->has_expander != y->has_expander || x->expander_bus != y->expander_bus ||
            x->num_gpus != y->num_gpus) {
            return false;
        }
    }
    return a->num_numa_nodes == b->num_numa_nodes;
}

bool cvm_port_bars_equal(const struct cvm_port_bars *a, const struct cvm_port_bars *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (a->bars[i].size != b->bars[i].size || a->bars[i].kind != b->bars[i].kind) {
            return false;
        }
    }
    return a->known == b->known && a->count == b->count;
}

static bool same_fact(struct cvm_opt_u32 a, struct cvm_opt_u32 b)
{
    return a.set == b.set && (!a.set || a.value == b.value);
}

static bool same_firmware_strings(const struct cvm_smbios_firmware *a,
                                  const struct cvm_smbios_firmware *b)
{
    return strncmp(a->vendor, b->vendor, sizeof a->vendor) == 0 &&
           strncmp(a->version, b->version, sizeof a->version) == 0 &&
           strncmp(a->date, b->date, sizeof a->date) == 0;
}

static bool same_layout(const struct cvm_machine *a, const struct cvm_machine *b)
{
    return a->layout == b->layout ||
           (a->layout != NULL && b->layout != NULL && cvm_layout_equal(a->layout, b->layout));
}

bool cvm_machine_equal(const struct cvm_machine *a, const struct cvm_machine *b)
{
    return cvm_qemu_version_compare(a->qemu, b->qemu) == 0 &&
           a->interrupt_trigger == b->interrupt_trigger && a->cpu_count == b->cpu_count &&
           a->memory_size == b->memory_size && a->pic == b->pic && a->smm == b->smm &&
           a->tpm == b->tpm && a->hotplug_off == b->hotplug_off &&
           a->pci_hole64_size == b->pci_hole64_size && a->pciexbar_base == b->pciexbar_base &&
           a->pci_window64_base == b->pci_window64_base && same_devices(a, b) && same_nodes(a, b) &&
           cvm_port_bars_equal(&a->gpu_bars, &b->gpu_bars) &&
           cvm_port_bars_equal(&a->nvswitch_bars, &b->nvswitch_bars) &&
           same_smbios(&a->smbios, &b->smbios) && a->page_add_order == b->page_add_order &&
           a->kernel_header == b->kernel_header && same_fact(a->cpu_signature, b->cpu_signature) &&
           same_fact(a->cpu_features_edx, b->cpu_features_edx) &&
           same_firmware_strings(&a->firmware_strings, &b->firmware_strings) &&
           a->kernel_measures == b->kernel_measures && a->boot_menu_wait == b->boot_menu_wait &&
           a->reserved_memory_end == b->reserved_memory_end &&
           a->pci_mmio64_mb == b->pci_mmio64_mb && same_layout(a, b);
}

uint64_t cvm_machine_ram_below_4g(const struct cvm_machine *machine)
{
    return machine->memory_size < Q35_SPLIT_THRESHOLD ? machine->memory_size : Q35_SPLIT_BELOW_4G;
}

int cvm_qemu_version_compare(struct cvm_qemu_version a, struct cvm_qemu_version b)
{
    const int difference[] = { a.major - b.major, a.minor - b.minor, a.micro - b.micro };
    for (size_t i = 0; i < 3; i++) {
        if (difference[i] != 0) {
            return difference[i];
        }
    }
    return 0;
}

/* Whether from <= version < to. */
static bool within(struct cvm_qemu_version version, struct cvm_qemu_version from,
                   struct cvm_qemu_version to)
{
    return cvm_qemu_version_compare(version, from) >= 0 &&
           cvm_qemu_version_compare(version, to) < 0;
}

static const struct cvm_qemu_version v8_0 = { 8, 0, 0 };
static const struct cvm_qemu_version v9_0 = { 9, 0, 0 };
static const struct cvm_qemu_version v9_2 = { 9, 2, 0 };
static const struct cvm_qemu_version v10_2 = { 10, 2, 0 };

enum cvm_interrupt_trigger cvm_qemu_default_trigger(struct cvm_qemu_version version)
{
    return within(version, v8_0, v9_2) ? CVM_TRIGGER_EDGE : CVM_TRIGGER_LEVEL;
}

bool cvm_qemu_default_pic(struct cvm_qemu_version version)
{
    return within(version, v8_0, v9_0);
}

enum cvm_kernel_header cvm_qemu_default_kernel_header(struct cvm_qemu_version version)
{
    return cvm_qemu_version_compare(version, v10_2) < 0 ? CVM_KERNEL_REWRITTEN : CVM_KERNEL_AS_IS;
}

bool cvm_qemu_default_page_add_order(struct cvm_qemu_version version, enum cvm_page_add_order *out,
                                     struct cvm_error *err)
{
    if (cvm_qemu_version_compare(version, v8_0) < 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "QEMU %u.%u.%u has no TDX, so the order in which it adds pages to a TD "
                        "is not known",
                        version.major, version.minor, version.micro);
    }
    *out = within(version, v8_0, v9_0) ? CVM_PAGES_TWO_PASS : CVM_PAGES_SINGLE_PASS;
    return true;
}
