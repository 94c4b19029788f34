/*
 * DSDT: the PCI host bridge, what it decodes, and what sits on the root bus.
 */
#include "measure/acpi/dsdt.h"

#define DEVICE_LABELING_UUID "ToUUID (\"e5c937d0-3553-4d7a-9117-ea4d19c3434d\")"

enum {
    PCI_HOTPLUG_BASE = 0xcc0,
    PCI_HOTPLUG_LENGTH = 0x18,
    GPE0_BASE = 0x620,
    GPE0_LENGTH = 0x10,
    PCIEXBAR_LENGTH = 256 << 20,
    IO_APIC_BASE = 0xfec00000,
};

/* --- the bridge --- */

void dsdt_put_osc_method(struct aml *a, unsigned granted)
{
    aml_method(a, "_OSC", 4, AML_NOT_SERIALIZED);
    aml_asl(a,
            "CreateDWordField (Arg3, Zero, CDW1)"
            "If (LEqual (Arg0, ToUUID (\"33db4d5b-1ff7-401c-9657-7441c03dd766\"))) {"
            "    CreateDWordField (Arg3, 4, CDW2)"
            "    CreateDWordField (Arg3, 8, CDW3)"
            "    Store (CDW3, Local0)"
            "    And (Local0, %u, Local0)"
            "    If (LNot (LEqual (Arg1, One))) { Or (CDW1, 0x08, CDW1) }"
            "    If (LNot (LEqual (CDW3, Local0))) { Or (CDW1, 0x10, CDW1) }"
            "    Store (Local0, CDW3)"
            "} Else {"
            "    Or (CDW1, 0x04, CDW1)"
            "}"
            "Return (Arg3) }",
            granted);
}

/* EDSM: the _DSM of devices behind which nothing can be plugged. */
static void put_endpoint_dsm(struct aml *a)
{
    static const uint8_t none = 0;
    aml_method(a, "EDSM", 5, AML_SERIALIZED);
    aml_asl(a, "If (LEqual (Arg2, Zero)) {"
               "    Store (");
    aml_bytes(a, &none, 1);
    aml_asl(a, "    , Local0)"
               "    If (LNot (LEqual (Arg0, " DEVICE_LABELING_UUID "))) { Return (Local0) }"
               "    If (LLess (Arg1, 2)) { Return (Local0) }"
               "    Store (0x81, Index (Local0, Zero, Zero))"
               "    Return (Local0)"
               "}"
               "If (LEqual (Arg2, 7)) {"
               "    Store (Package (2) { Zero, \"\" }, Local0)"
               "    Store (DerefOf (Index (Arg4, Zero, Zero)), Local1)"
               "    Store (Local1, Index (Local0, Zero, Zero))"
               "    Return (Local0)"
               "} }");
}

/* DRAC: reserves PCIEXBAR's range from the operating system. */
static void put_dram_controller(struct dsdt *d)
{
    struct aml *a = &d->aml;
    uint64_t base = d->machine->pciexbar_base;
    aml_device(a, "DRAC");
    aml_name_string(a, "_HID", "PNP0C01");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_range(a, 4, AML_RANGE_MEMORY, AML_MEM_READ_WRITE, base, base + PCIEXBAR_LENGTH - 1);
    aml_resources_end(a);
    aml_end(a);
}

void dsdt_put_host_bridge(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "_SB");
    {
        aml_device(a, "PCI0");
        aml_name_eisaid(a, "_HID", "PNP0A08");
        aml_name_eisaid(a, "_CID", "PNP0A03");
        if (d->profile->pci0_adr) {
            aml_name_int(a, "_ADR", 0);
        }
        aml_name_int(a, "_UID", 0);
        /* Native hot-plug (bit 0) is not offered where ACPI does it. */
        dsdt_put_osc_method(a, d->machine->hotplug_off ? 0x1f : 0x1e);
        if (d->profile->edsm) {
            put_endpoint_dsm(a);
        }
        aml_end(a);
        put_dram_controller(d);
    }
    aml_end(a);
}

/* --- PCI hot-plug through ACPI --- */

static void put_hotplug_registers(struct aml *a)
{
    static const struct aml_field_entry up_down[] = { { "PCIU", 32 }, { "PCID", 32 }, { 0 } };
    static const struct aml_field_entry eject[] = { { "B0EJ", 32 }, { 0 } };
    static const struct aml_field_entry select[] = { { "BNUM", 32 }, { "PIDX", 32 }, { 0 } };
    const unsigned flags = AML_DWORD_ACC | AML_WRITE_AS_ZEROS;
    aml_region(a, "PCST", AML_SYSTEM_IO, PCI_HOTPLUG_BASE, 8);
    aml_field(a, "PCST", flags, up_down);
    aml_region(a, "SEJ", AML_SYSTEM_IO, PCI_HOTPLUG_BASE + 8, 4);
    aml_field(a, "SEJ", flags, eject);
    aml_region(a, "BNMR", AML_SYSTEM_IO, PCI_HOTPLUG_BASE + 16, 8);
    aml_field(a, "BNMR", flags, select);
    aml_mutex(a, "BLCK");
}

/* PCEJ ejects a slot of a bus, AIDX asks for its ACPI index. */
static void put_slot_methods(struct aml *a)
{
    aml_method(a, "PCEJ", 2, AML_NOT_SERIALIZED);
    aml_acquire(a, "BLCK");
    aml_asl(a, "Store (Arg0, BNUM)"
               "Store (ShiftLeft (One, Arg1, Zero), B0EJ)"
               "Release (BLCK)"
               "Return (Zero) }");
    aml_method(a, "AIDX", 2, AML_NOT_SERIALIZED);
    aml_acquire(a, "BLCK");
    aml_asl(a, "Store (Arg0, BNUM)"
               "Store (ShiftLeft (One, Arg1, Zero), PIDX)"
               "Store (PIDX, Local0)"
               "Release (BLCK)"
               "Return (Local0) }");
}

#define ACPI_INDEX_OF_ARG4                                                                         \
    "Store (AIDX (DerefOf (Index (Arg4, Zero, Zero)), DerefOf (Index (Arg4, One, Zero))), Local2)"

/* PDSM, function 0: which functions there are, from whether the slot has an index. */
static void put_slot_dsm_query(struct dsdt *d)
{
    static const uint8_t none = 0;
    struct aml *a = &d->aml;
    bool early = d->profile->pdsm_early_zero;
    aml_asl(a, "If (LEqual (Arg2, Zero)) { Store (");
    aml_bytes(a, &none, 1);
    aml_asl(a, ", Local0)");
    if (early) {
        aml_asl(a, "Store (Zero, Local1)");
    }
    aml_asl(a, "If (LNot (LEqual (Arg0, " DEVICE_LABELING_UUID "))) { Return (Local0) }"
               "If (LLess (Arg1, 2)) { Return (Local0) }");
    if (!early) {
        aml_asl(a, "Store (Zero, Local1)");
    }
    aml_asl(a, ACPI_INDEX_OF_ARG4
            "If (LNot (Or (LEqual (Local2, Zero), LEqual (Local2, 0xFFFFFFFF), Zero))) {"
            "    Or (Local1, One, Local1)"
            "    Or (Local1, ShiftLeft (One, 7, Zero), Local1)"
            "}"
            "Store (Local1, Index (Local0, Zero, Zero))"
            "Return (Local0) }");
}

static void put_slot_dsm(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_method(a, "PDSM", 5, AML_SERIALIZED);
    put_slot_dsm_query(d);
    aml_asl(a, "If (LEqual (Arg2, 7)) {");
    aml_asl(a, d->profile->pdsm_empty_pair
                   ? ACPI_INDEX_OF_ARG4
                   "Store (Package (2) { }, Local0)"
                   "If (LNot (LOr (LEqual (Local2, Zero), LEqual (Local2, 0xFFFFFFFF)))) {"
                   "    Store (Local2, Index (Local0, Zero, Zero))"
                   "    Store (\"\", Index (Local0, One, Zero))"
                   "}"
                   : "Store (Package (2) { Zero, \"\" }, Local0)" ACPI_INDEX_OF_ARG4
                     "Store (Local2, Index (Local0, Zero, Zero))");
    aml_asl(a, "Return (Local0) } }");
}

void dsdt_put_hotplug_methods(struct dsdt *d)
{
    if (d->machine->hotplug_off) {
        return;
    }
    aml_scope(&d->aml, "_SB.PCI0");
    put_hotplug_registers(&d->aml);
    put_slot_methods(&d->aml);
    put_slot_dsm(d);
    aml_end(&d->aml);
}

void dsdt_put_hotplug_event(struct dsdt *d)
{
    if (d->machine->hotplug_off) {
        return;
    }
    struct aml *a = &d->aml;
    aml_scope(a, "_GPE");
    aml_method(a, "_E01", 0, AML_NOT_SERIALIZED);
    if (d->profile->always_pcnt || dsdt_count_ports(d->machine) != 0) {
        aml_acquire(a, "\\_SB.PCI0.BLCK");
        aml_asl(a, "\\_SB.PCI0.PCNT () Release (\\_SB.PCI0.BLCK)");
    }
    aml_end(a);
    aml_end(a);
}

/* --- what the bridge decodes --- */

/* A part of memory: what expanders leave of it is the root bus's. */
struct window {
    enum acpi_space space;
    uint64_t first, last;
    size_t width; /* of its descriptors, in bytes */
    uint8_t flags;
};

/* QEMU leaves what is before a range of an expander also where that is behind the window. */
static bool is_taken_from(const struct window *w, const struct acpi_range *taken)
{
    return taken->first >= w->first && (w->space == ACPI_MEM64 || taken->last <= w->last);
}

static void put_window(struct dsdt *d, const struct window *w)
{
    struct aml *a = &d->aml;
    uint64_t first = w->first;
    for (uint32_t node = 0; node < d->machine->num_numa_nodes; node++) {
        const struct acpi_range_list *list = &d->ranges.nodes[node].spaces[w->space];
        for (size_t i = 0; i < list->count; i++) {
            const struct acpi_range *taken = &list->items[i];
            if (!is_taken_from(w, taken)) {
                continue;
            }
            if (first < taken->first) {
                aml_range(a, w->width, AML_RANGE_MEMORY, w->flags, first, taken->first - 1);
            }
            first = taken->last + 1;
        }
    }
    if (first < w->last) {
        aml_range(a, w->width, AML_RANGE_MEMORY, w->flags, first, w->last);
    }
}

/* From the end of low RAM to the I/O APIC, around PCIEXBAR. */
static void put_window32(struct dsdt *d)
{
    uint64_t bar = d->machine->pciexbar_base;
    const struct window around[] = {
        { ACPI_MEM32, cvm_machine_ram_below_4g(d->machine), bar - 1, 4, AML_MEM_READ_WRITE },
        { ACPI_MEM32, bar + PCIEXBAR_LENGTH, IO_APIC_BASE - 1, 4, AML_MEM_READ_WRITE },
    };
    put_window(d, &around[0]);
    put_window(d, &around[1]);
}

/* As long as the property pci-hole64-size says, or up to where the root bus needs it. */
static void put_window64(struct dsdt *d)
{
    uint64_t base = d->machine->pci_window64_base;
    uint64_t size = d->machine->pci_hole64_size;
    if (size == 0) {
        size = UINT64_C(32) << 30;
    }
    uint64_t end = base + size;
    if (end < d->ranges.root_mem64_end) {
        end = d->ranges.root_mem64_end;
    }
    put_window(d, &(struct window){ ACPI_MEM64, base, end - 1, 8,
                                    AML_MEM_READ_WRITE | AML_MEM_CACHEABLE });
}

/* A device that only reserves I/O ports. */
static void put_reserved_ports(struct aml *a, const char *name, const char *uid, uint16_t base,
                               uint8_t length)
{
    aml_device(a, name);
    aml_name_string(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", uid);
    aml_name_int(a, "_STA", 0x0b);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, base, 1, length);
    aml_resources_end(a);
    aml_end(a);
}

void dsdt_put_host_bridge_resources(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "\\_SB.PCI0");
    {
        aml_name(a, "_CRS");
        aml_resources(a);
        aml_range(a, 2, AML_RANGE_BUS, 0, 0, dsdt_last_root_bus(d->machine));
        aml_io(a, 0xcf8, 1, 8); /* configuration address and data */
        aml_range(a, 2, AML_RANGE_IO, AML_IO_ENTIRE_RANGE, 0, 0xcf7);
        aml_range(a, 2, AML_RANGE_IO, AML_IO_ENTIRE_RANGE, 0xd00, 0xffff);
        aml_range(a, 4, AML_RANGE_MEMORY, AML_MEM_READ_WRITE | AML_MEM_CACHEABLE, 0xa0000,
                  0xbffff); /* VGA */
        put_window32(d);
        put_window64(d);
        if (d->machine->tpm) {
            dsdt_put_tpm_resources(a);
        }
        aml_resources_end(a);

        put_reserved_ports(a, "GPE0", "GPE0 resources", GPE0_BASE, GPE0_LENGTH);
        if (!d->machine->hotplug_off) {
            put_reserved_ports(a, "PHPR", "PCI Hotplug resources", PCI_HOTPLUG_BASE,
                               PCI_HOTPLUG_LENGTH);
        }
    }
    aml_end(a);
}

/* --- the root bus --- */

/* S00 to SFF: a function of the root bus, named after its device and function number. Open. */
static void begin_function(struct aml *a, unsigned slot, unsigned function)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned devfn = slot << 3 | function;
    const char name[] = { 'S', digits[devfn >> 4], digits[devfn & 15], '\0' };
    aml_device(a, name);
    aml_name_int(a, "_ADR", slot << 16 | function);
}

static void put_function(struct aml *a, unsigned slot, unsigned function)
{
    begin_function(a, slot, function);
    aml_end(a);
}

void dsdt_put_root_bus(struct dsdt *d)
{
    enum { CHIPSET_SLOT = 0x1f, SATA_FUNCTION = 2, SMBUS_FUNCTION = 3 };
    struct aml *a = &d->aml;
    aml_scope(a, "\\_SB");
    {
        aml_scope(a, "PCI0");
        put_function(a, 0, 0); /* the host bridge itself */
        for (uint32_t i = 0; i < d->machine->num_devices; i++) {
            begin_function(a, d->machine->devices[i].slot, 0);
            dsdt_put_behind_port(d, i);
            aml_end(a);
        }
        dsdt_put_lpc_bridge(d);
        if (d->profile->lists_sata) {
            put_function(a, CHIPSET_SLOT, SATA_FUNCTION);
        }
        put_function(a, CHIPSET_SLOT, SMBUS_FUNCTION);
        if (d->profile->always_pcnt && !d->machine->hotplug_off) {
            aml_method(a, "PCNT", 0, AML_NOT_SERIALIZED);
            dsdt_put_port_events(d);
            aml_end(a);
        }
        aml_end(a);
    }
    aml_end(a);
}
