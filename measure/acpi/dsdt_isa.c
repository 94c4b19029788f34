/*
 * DSDT: the LPC bridge at 1f.0 and the ISA devices on it.
 */
#include "measure/acpi/dsdt.h"

/* The interrupt router's registers, named in \_SB where the link devices use them. */
static void put_router_registers(struct aml *a)
{
    static const struct aml_field_entry registers[] = {
        { "PRQA", 8 }, { "PRQB", 8 }, { "PRQC", 8 }, { "PRQD", 8 }, { NULL, 64 },
        { "PRQE", 8 }, { "PRQF", 8 }, { "PRQG", 8 }, { "PRQH", 8 }, { 0 },
    };
    aml_region(a, "PIRQ", AML_PCI_CONFIG, 0x60, 0x0c);
    aml_scope(a, "\\_SB");
    aml_field(a, "PCI0.SF8.PIRQ", AML_BYTE_ACC | AML_PRESERVE, registers);
    aml_end(a);
}

static void put_keyboard(struct aml *a)
{
    aml_device(a, "KBD");
    aml_name_eisaid(a, "_HID", "PNP0303");
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, 0x60, 1, 1);
    aml_io(a, 0x64, 1, 1);
    aml_irq_no_flags(a, 1);
    aml_resources_end(a);
    aml_end(a);
}

static void put_mouse(struct aml *a)
{
    aml_device(a, "MOU");
    aml_name_eisaid(a, "_HID", "PNP0F13");
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_irq_no_flags(a, 12);
    aml_resources_end(a);
    aml_end(a);
}

static void put_serial_port(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_device(a, "COM1");
    aml_name_eisaid(a, "_HID", "PNP0501");
    aml_name_int(a, "_UID", 1);
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, 0x3f8, 0, 8);
    if (d->profile->com_irq_level) {
        aml_irq_level_low_shared(a, 4);
    } else {
        aml_irq_no_flags(a, 4);
    }
    aml_resources_end(a);
    aml_end(a);
}

static void put_clock(struct aml *a)
{
    aml_device(a, "RTC");
    aml_name_eisaid(a, "_HID", "PNP0B00");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, 0x70, 1, 8);
    aml_irq_no_flags(a, 8);
    aml_resources_end(a);
    aml_end(a);
}

void dsdt_put_lpc_bridge(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_device(a, "SF8");
    aml_name_int(a, "_ADR", 0x001f0000);
    put_router_registers(a);
    if (d->machine->tpm) {
        dsdt_put_tpm(d);
    }
    put_keyboard(a);
    put_mouse(a);
    put_serial_port(d);
    put_clock(a);
    aml_end(a);
}
