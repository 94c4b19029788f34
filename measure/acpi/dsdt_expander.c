/*
 * DSDT: PCI Express expanders (pxb-pcie), each a host bridge of its own with a bus number and a
 * NUMA node.
 */
#include "measure/acpi/dsdt.h"

enum { NUM_SLOTS = 32, NUM_PINS = 4, NUM_ENTRIES = NUM_SLOTS * NUM_PINS };

/* The pins of slot 0 lead to links D, A, B, C; each further slot starts one link later. */
static char link_of(unsigned slot, unsigned pin)
{
    return "DABC"[(slot + pin) % NUM_PINS];
}

static void put_table(struct aml *a, enum acpi_prt form)
{
    aml_asl(a, "Return (");
    if (form == ACPI_PRT_VAR_PACKAGE) {
        aml_var_package(a, NUM_ENTRIES);
    } else {
        aml_package(a, NUM_ENTRIES);
    }
    for (unsigned slot = 0; slot < NUM_SLOTS; slot++) {
        for (unsigned pin = 0; pin < NUM_PINS; pin++) {
            aml_asl(a, "Package (4) { %u, %u, LNK%c, Zero }", slot << 16 | 0xffff, pin,
                    link_of(slot, pin));
        }
    }
    aml_end(a);
}

/* The same table, computed by the guest. */
static void put_loop(struct aml *a)
{
    aml_asl(a, "Store (Package (0x80) { }, Local0)"
               "Store (Zero, Local1)"
               "While (LLess (Local1, 0x80)) {"
               "    Store (ShiftRight (Local1, 2, Zero), Local2)"
               "    Store (And (Add (Local1, Local2, Zero), 3, Zero), Local3)");
    for (unsigned i = 0; i < NUM_PINS; i++) {
        aml_asl(a,
                "If (LEqual (Local3, %u)) {"
                "    Store (Package (4) { Zero, Zero, LNK%c, Zero }, Local4)"
                "}",
                i, link_of(0, i));
    }
    aml_asl(a, "    Store (Or (ShiftLeft (Local2, 0x10, Zero), 0xFFFF, Zero),"
               "           Index (Local4, Zero, Zero))"
               "    Store (And (Local1, 3, Zero), Index (Local4, One, Zero))"
               "    Store (Local4, Index (Local0, Local1, Zero))"
               "    Increment (Local1)"
               "}"
               "Return (Local0)");
}

static void put_resources(struct dsdt *d, uint32_t node)
{
    static const size_t widths[] = { [ACPI_MEM32] = 4, [ACPI_MEM64] = 8 };
    struct aml *a = &d->aml;
    const struct acpi_expander_ranges *ranges = &d->ranges.nodes[node];
    aml_name(a, "_CRS");
    aml_resources(a);
    for (size_t space = 0; space < ACPI_SPACES; space++) {
        for (size_t i = 0; i < ranges->spaces[space].count; i++) {
            const struct acpi_range *r = &ranges->spaces[space].items[i];
            aml_range(a, widths[space], AML_RANGE_MEMORY, AML_MEM_READ_WRITE, r->first, r->last);
        }
    }
    aml_range(a, 2, AML_RANGE_BUS, 0, d->machine->numa_nodes[node].expander_bus, ranges->last_bus);
    aml_resources_end(a);
}

static void put_expander(struct dsdt *d, uint32_t node)
{
    enum { NATIVE_HOTPLUG = 0x1f };
    struct aml *a = &d->aml;
    uint8_t bus = d->machine->numa_nodes[node].expander_bus;
    const char name[] = { 'P', 'C', "0123456789ABCDEF"[bus >> 4], "0123456789ABCDEF"[bus & 15],
                          '\0' };
    aml_scope(a, "\\_SB");
    {
        aml_device(a, name);
        aml_name_int(a, "_UID", bus);
        aml_name_int(a, "_BBN", bus);
        aml_name_eisaid(a, "_HID", "PNP0A08");
        aml_name_eisaid(a, "_CID", "PNP0A03");
        dsdt_put_osc_method(a, NATIVE_HOTPLUG);
        aml_name_int(a, "_PXM", node);
        aml_method(a, "_PRT", 0, AML_NOT_SERIALIZED);
        if (d->profile->prt == ACPI_PRT_COMPUTED) {
            put_loop(a);
        } else {
            put_table(a, d->profile->prt);
        }
        aml_end(a);
        put_resources(d, node);
        aml_end(a);
    }
    aml_end(a);
}

/* The last one comes first. */
void dsdt_put_expanders(struct dsdt *d)
{
    for (uint32_t node = d->machine->num_numa_nodes; node > 0; node--) {
        if (d->machine->numa_nodes[node - 1].has_expander) {
            put_expander(d, node - 1);
        }
    }
}

/*
 * The last one comes first here too. QEMU compares each with the last bus, not with the one behind
 * it: an expander that the next one follows at once goes unseen, and so does bus 255.
 */
uint8_t dsdt_last_root_bus(const struct cvm_machine *machine)
{
    unsigned last = 0xff;
    for (uint32_t node = machine->num_numa_nodes; node > 0; node--) {
        const struct cvm_numa_node *n = &machine->numa_nodes[node - 1];
        if (n->has_expander && n->expander_bus < last) {
            last = n->expander_bus - 1u;
        }
    }
    return (uint8_t)last;
}
