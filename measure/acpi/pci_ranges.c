#include "measure/acpi/pci_ranges.h"

#include "measure/base/error.h"

#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Root ports of QEMU: a BAR with the MSI-X table; windows are whole multiples of these. */
#define PORT_BAR_SIZE (4 * KIB)
#define BRIDGE_MEMORY_UNIT MIB

/* What the firmware keeps free behind a port for devices to come. */
#define PADDING_MEM32 (2 * MIB)
#define PADDING_SHARE 256 /* the 64-bit padding is this part of the whole window */

/* On the root bus: each virtio device's MSI-X table and registers; the SATA controller's. */
#define ENDPOINT_MEM32 (4 * KIB)
#define ENDPOINT_MEM64 (16 * KIB)

/* Builds from before 202302 put PCIEXBAR below the 32-bit ranges, and keep I/O ports free too. */
#define OLD_PCIEXBAR_BASE UINT64_C(0xb0000000)
#define PCIEXBAR_SIZE (256 * MIB)

/* --- lists of ranges --- */

void acpi_range_add(struct acpi_range_list *list, struct acpi_range range)
{
    size_t i = 0;
    while (i < list->count && list->items[i].last + 1 < range.first) {
        i++;
    }
    size_t end = i; /* one behind the last item that the range touches */
    for (; end < list->count && list->items[end].first <= range.last + 1; end++) {
        if (list->items[end].first < range.first) {
            range.first = list->items[end].first;
        }
        if (list->items[end].last > range.last) {
            range.last = list->items[end].last;
        }
    }
    memmove(&list->items[i + 1], &list->items[end], (list->count - end) * sizeof list->items[0]);
    list->items[i] = range;
    list->count = list->count - (end - i) + 1;
}

/* --- what is asked for --- */

/* A BAR, or a window of a bridge. */
struct request {
    uint64_t length;
    uint64_t alignment; /* a power of two */
};

/* Of one bus and one kind of address, in the order in which they are laid out. */
struct requests {
    struct request items[2 * 32 + CVM_MAX_DEVICES];
    size_t count;
};

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Large alignments first; among equals the later one, unless it leaves a smaller rest. */
static bool goes_behind(const struct request *r, const struct request *placed)
{
    uint64_t rest = r->length & (r->alignment - 1);
    uint64_t placed_rest = placed->length & (placed->alignment - 1);
    if (r->alignment != placed->alignment) {
        return r->alignment < placed->alignment;
    }
    return rest != 0 && rest < placed_rest;
}

static void ask(struct requests *list, uint64_t length, uint64_t alignment)
{
    const struct request r = { length, alignment };
    size_t i = 0;
    while (i < list->count && goes_behind(&r, &list->items[i])) {
        i++;
    }
    memmove(&list->items[i + 1], &list->items[i], (list->count - i) * sizeof r);
    list->items[i] = r;
    list->count++;
}

/* Lays requests out from `base` on, and records where each lies; returns where the last ends. */
static uint64_t lay_out(const struct requests *list, uint64_t base, struct acpi_range_list *out)
{
    if (list->count == 0) {
        return base;
    }
    uint64_t at = align_up(base, list->items[0].alignment);
    for (size_t i = 0; i < list->count; i++) {
        at = align_up(at, list->items[i].alignment);
        if (out != NULL) {
            acpi_range_add(out, (struct acpi_range){ at, at + list->items[i].length - 1 });
        }
        at += list->items[i].length;
    }
    return at;
}

/* --- windows of a port --- */

/* What the BARs of one kind come to behind a port, or the padding where that is more. */
static struct request window_for(const struct cvm_port_bars *bars, enum cvm_bar_kind kind,
                                 uint64_t padding)
{
    struct requests list = { 0 };
    for (uint32_t i = 0; i < bars->count; i++) {
        if (bars->bars[i].kind == kind) {
            ask(&list, bars->bars[i].size, bars->bars[i].size);
        }
    }
    uint64_t length = align_up(lay_out(&list, 0, NULL), BRIDGE_MEMORY_UNIT);
    uint64_t alignment = list.count == 0 ? 1 : list.items[0].alignment;
    return (struct request){ .length = larger(length, padding),
                             .alignment = larger(larger(alignment, BRIDGE_MEMORY_UNIT), padding) };
}

/* What a root bus asks for: the main one, or an expander's. */
struct root_bus {
    struct requests spaces[ACPI_SPACES];
};

static void ask_for_window(struct requests *list, struct request window)
{
    if (window.length != 0) {
        ask(list, window.length, window.alignment);
    }
}

static void add_port(struct root_bus *bus, const struct cvm_port_bars *bars, uint64_t padding64)
{
    ask(&bus->spaces[ACPI_MEM32], PORT_BAR_SIZE, PORT_BAR_SIZE);
    ask_for_window(&bus->spaces[ACPI_MEM32], window_for(bars, CVM_BAR_MEM32, PADDING_MEM32));
    ask_for_window(&bus->spaces[ACPI_MEM64], window_for(bars, CVM_BAR_MEM64, padding64));
}

static void fill_main_bus(const struct cvm_machine *m, uint64_t padding64, struct root_bus *bus)
{
    ask(&bus->spaces[ACPI_MEM32], ENDPOINT_MEM32, ENDPOINT_MEM32); /* the SATA controller */
    for (uint32_t i = 0; i < m->num_devices; i++) {
        switch (m->devices[i].role) {
        case CVM_DEVICE_GPU_PORT:
            add_port(bus, &m->gpu_bars, padding64);
            break;
        case CVM_DEVICE_NVSWITCH_PORT:
            add_port(bus, &m->nvswitch_bars, padding64);
            break;
        case CVM_DEVICE_EXPANDER:
            break;
        default:
            ask(&bus->spaces[ACPI_MEM32], ENDPOINT_MEM32, ENDPOINT_MEM32);
            ask(&bus->spaces[ACPI_MEM64], ENDPOINT_MEM64, ENDPOINT_MEM64);
        }
    }
}

/* --- the whole machine --- */

/* How far each address space is given out, and where it ends. */
struct space {
    uint64_t next, end;
};

/* Below 4 GiB the firmware starts where a single power of two reaches up to 4 GiB. */
static uint64_t mem32_base(const struct cvm_machine *m)
{
    uint64_t base = 2 * GIB;
    if (m->pciexbar_base == OLD_PCIEXBAR_BASE) {
        return OLD_PCIEXBAR_BASE + PCIEXBAR_SIZE;
    }
    while (base < cvm_machine_ram_below_4g(m)) {
        base += (4 * GIB - base) / 2;
    }
    return base;
}

/* 32-bit ranges end below PCIEXBAR, or below the I/O APIC where PCIEXBAR lies before them. */
static uint64_t mem32_end(const struct cvm_machine *m)
{
    const uint64_t io_apic_base = 0xfec00000;
    return m->pciexbar_base == OLD_PCIEXBAR_BASE ? io_apic_base : m->pciexbar_base;
}

/*
 * The firmware takes the last eighth of the guest-physical addresses for its 64-bit window, so
 * that the base says how long it is.
 */
static bool find_window64_size(const struct cvm_machine *m, uint64_t *out, struct cvm_error *err)
{
    uint64_t base = m->pci_window64_base;
    uint64_t size = base / 7;
    bool is_eighth = base % 7 == 0 && (size & (size - 1)) == 0 && size > 32 * GIB;
    *out = size;
    return is_eighth
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "pci_window64_base 0x%llx is not the last eighth of an address "
                          "space: what the firmware puts where behind root ports is not known",
                          (unsigned long long)base);
}

static void assign_bus(const struct root_bus *bus, struct space *spaces,
                       struct acpi_expander_ranges *out)
{
    for (size_t i = 0; i < ACPI_SPACES; i++) {
        spaces[i].next =
            lay_out(&bus->spaces[i], spaces[i].next, out == NULL ? NULL : &out->spaces[i]);
    }
}

/* What old builds do with I/O ports behind expanders is not known: none of them measures a TD. */
static bool check_age(const struct cvm_machine *m, struct cvm_error *err)
{
    bool has_ports = false;
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        has_ports |= m->numa_nodes[i].has_expander && m->numa_nodes[i].num_gpus != 0;
    }
    return m->pciexbar_base != OLD_PCIEXBAR_BASE || !has_ports
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "pciexbar_base 0x%llx is that of firmware from before 202302, whose "
                          "windows behind expanders are not known; use newer firmware",
                          (unsigned long long)m->pciexbar_base);
}

static bool check_spaces(const struct space *spaces, struct cvm_error *err)
{
    static const char *const names[] = {
        [ACPI_MEM32] = "32-bit memory",
        [ACPI_MEM64] = "64-bit memory",
    };
    for (size_t i = 0; i < ACPI_SPACES; i++) {
        if (spaces[i].next > spaces[i].end) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "windows behind root ports: %s would be needed up to 0x%llx, the "
                            "firmware has it up to 0x%llx",
                            names[i], (unsigned long long)spaces[i].next,
                            (unsigned long long)spaces[i].end);
        }
    }
    return true;
}

static void assign_expanders(const struct cvm_machine *m, uint64_t padding64, struct space *spaces,
                             struct acpi_pci_ranges *out)
{
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *node = &m->numa_nodes[i];
        struct root_bus bus = { 0 };
        for (uint32_t port = 0; node->has_expander && port < node->num_gpus; port++) {
            add_port(&bus, &m->gpu_bars, padding64);
        }
        assign_bus(&bus, spaces, &out->nodes[i]);
        out->nodes[i].last_bus = (uint8_t)(node->expander_bus + node->num_gpus);
    }
}

bool acpi_pci_ranges_assign(const struct cvm_machine *m, struct acpi_pci_ranges *out,
                            struct cvm_error *err)
{
    *out = (struct acpi_pci_ranges){ 0 };
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        out->nodes[i].last_bus = m->numa_nodes[i].expander_bus;
    }
    if (!cvm_machine_knows_bars(m)) {
        return true;
    }
    uint64_t size64 = 0;
    if (!check_age(m, err) || !find_window64_size(m, &size64, err)) {
        return false;
    }
    uint64_t padding64 = size64 / PADDING_SHARE;
    struct space spaces[] = {
        [ACPI_MEM32] = { mem32_base(m), mem32_end(m) },
        [ACPI_MEM64] = { m->pci_window64_base, m->pci_window64_base + size64 },
    };
    struct root_bus bus = { 0 };
    fill_main_bus(m, padding64, &bus);
    assign_bus(&bus, spaces, NULL);
    out->root_mem64_end = spaces[ACPI_MEM64].next;
    assign_expanders(m, padding64, spaces, out);
    return check_spaces(spaces, err);
}
