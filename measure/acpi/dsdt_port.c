/*
 * DSDT: root ports on the root bus, the slot behind each, and how something is plugged there.
 */
#include "measure/acpi/dsdt.h"

#include <stdio.h>

static bool is_port(const struct cvm_pci_device *device)
{
    return device->role == CVM_DEVICE_GPU_PORT || device->role == CVM_DEVICE_NVSWITCH_PORT;
}

/* Ports are numbered from the last one on. */
static unsigned bus_select(const struct cvm_machine *machine, uint32_t index)
{
    unsigned after = 0;
    for (uint32_t i = index + 1; i < machine->num_devices; i++) {
        after += is_port(&machine->devices[i]);
    }
    return after;
}

/* What the slot behind a port needs to be plugged and named; the slot is S00. */
static void put_slot_methods(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_name_int(a, "ASUN", 0);
    aml_method(a, "_DSM", 4, AML_SERIALIZED);
    aml_asl(a, d->profile->inline_ports ? "Store (Package (2) { BSEL, ASUN }, Local0)"
                                        : "Store (Package (2) { Zero, Zero }, Local0)"
                                          "Store (BSEL, Index (Local0, Zero, Zero))"
                                          "Store (ASUN, Index (Local0, One, Zero))");
    aml_asl(a, "Return (PDSM (Arg0, Arg1, Arg2, Arg3, Local0)) }");
    aml_name_int(a, "_SUN", 0);
    aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
    aml_asl(a, "PCEJ (BSEL, _SUN) }");
}

/* DVNT: tells the operating system about the slots in a mask. */
static void put_notify_method(struct aml *a)
{
    aml_method(a, "DVNT", 2, AML_NOT_SERIALIZED);
    aml_asl(a, "If (And (Arg0, One, Zero)) { Notify (S00, Arg1) } }");
}

/* PCNT of a port: selects its bus, and handles what was plugged and what is to be removed. */
static void put_port_pcnt(struct aml *a, unsigned bsel)
{
    aml_method(a, "PCNT", 0, AML_NOT_SERIALIZED);
    aml_asl(a, "Store (%u, BNUM) DVNT (PCIU, One) DVNT (PCID, 3) }", bsel);
}

static void put_device_behind(struct aml *a)
{
    aml_device(a, "S00");
    aml_name_int(a, "_ADR", 0);
}

static void put_port_hotplug(struct dsdt *d, unsigned bsel)
{
    struct aml *a = &d->aml;
    if (d->profile->inline_ports) {
        aml_name_int(a, "BSEL", bsel);
        put_device_behind(a);
        put_slot_methods(d);
        aml_end(a);
        put_notify_method(a);
        put_port_pcnt(a, bsel);
        return;
    }
    put_device_behind(a);
    aml_end(a);
    aml_name_int(a, "BSEL", bsel);
    aml_scope(a, "S00");
    put_slot_methods(d);
    aml_end(a);
    put_notify_method(a);
}

void dsdt_put_behind_port(struct dsdt *d, uint32_t index)
{
    if (!is_port(&d->machine->devices[index])) {
        return;
    }
    if (!d->machine->hotplug_off) {
        put_port_hotplug(d, bus_select(d->machine, index));
        return;
    }
    if (!d->profile->ports_hidden) {
        put_device_behind(&d->aml);
        aml_end(&d->aml);
    }
}

unsigned dsdt_count_ports(const struct cvm_machine *machine)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < machine->num_devices; i++) {
        count += is_port(&machine->devices[i]);
    }
    return count;
}

/* The last port comes first. */
void dsdt_put_port_events(struct dsdt *d)
{
    struct aml *a = &d->aml;
    for (uint32_t i = d->machine->num_devices; i > 0; i--) {
        const struct cvm_pci_device *device = &d->machine->devices[i - 1];
        if (is_port(device)) {
            aml_asl(a, "^S%02X.PCNT ()", device->slot << 3);
        }
    }
}

void dsdt_put_port_scopes(struct dsdt *d)
{
    struct aml *a = &d->aml;
    if (d->machine->hotplug_off || d->profile->inline_ports || dsdt_count_ports(d->machine) == 0) {
        return;
    }
    aml_scope(a, "\\_SB.PCI0");
    for (uint32_t i = d->machine->num_devices; i > 0; i--) {
        const struct cvm_pci_device *device = &d->machine->devices[i - 1];
        if (is_port(device)) {
            char name[8];
            snprintf(name, sizeof name, "S%02X", (unsigned)device->slot << 3);
            aml_scope(a, name);
            put_port_pcnt(a, bus_select(d->machine, i - 1));
            aml_end(a);
        }
    }
    aml_method(a, "PCNT", 0, AML_NOT_SERIALIZED);
    dsdt_put_port_events(d);
    aml_end(a);
    aml_end(a);
}
