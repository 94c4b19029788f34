/*
 * Differentiated System Description Table: the order of its parts, and the small ones.
 */
#include "measure/acpi/dsdt.h"

#include "measure/acpi/table.h"

/* A method that prints a number on QEMU's debug port. */
static void put_debug(struct dsdt *d)
{
    static const struct aml_field_entry port[] = { { "DBGB", 8 }, { 0 } };
    struct aml *a = &d->aml;
    aml_scope(a, "\\");
    {
        aml_region(a, "DBG", AML_SYSTEM_IO, 0x402, 1);
        aml_field(a, "DBG", AML_BYTE_ACC | AML_PRESERVE, port);
        aml_method(a, "DBUG", 1, AML_NOT_SERIALIZED);
        aml_asl(a, "ToHexString (Arg0, Local0)"
                   "ToBuffer (Local0, Local0)"
                   "Subtract (SizeOf (Local0), One, Local1)"
                   "Store (Zero, Local2)"
                   "While (LLess (Local2, Local1)) {"
                   "    Store (DerefOf (Index (Local0, Local2, Zero)), DBGB)"
                   "    Increment (Local2)"
                   "}"
                   "Store (0x0A, DBGB)");
        aml_end(a);
    }
    aml_end(a);
}

static void put_gpe_block(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "_GPE");
    aml_name_string(a, "_HID", "ACPI0006");
    aml_end(a);
}

/* \_S3 to \_S5: what to write into the two SLP_TYP fields. */
static void put_sleep_states(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "\\");
    aml_name(a, "_S3");
    aml_asl(a, "Package (4) { One, One, Zero, Zero }");
    aml_name(a, "_S4");
    aml_asl(a, "Package (4) { 2, 2, Zero, Zero }");
    aml_name(a, "_S5");
    aml_asl(a, "Package (4) { Zero, Zero, Zero, Zero }");
    aml_end(a);
}

static void put_fw_cfg(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "\\_SB.PCI0");
    {
        aml_device(a, "FWCF");
        aml_name_string(a, "_HID", "QEMU0002");
        aml_name_int(a, "_STA", 0x0b);
        aml_name(a, "_CRS");
        aml_resources(a);
        aml_io(a, 0x510, 1, 12);
        aml_resources_end(a);
        aml_end(a);
    }
    aml_end(a);
}

bool acpi_build_dsdt(struct acpi_build *b, struct cvm_error *err)
{
    acpi_table_begin(b, "DSDT", 1);
    struct dsdt d = {
        .aml = aml_on(&b->tables),
        .machine = b->machine,
        .profile = b->profile,
    };
    if (!acpi_pci_ranges_assign(b->machine, &d.ranges, err)) {
        return false;
    }
    put_debug(&d);
    dsdt_put_host_bridge(&d);
    dsdt_put_hotplug_methods(&d);
    dsdt_put_interrupt_routing(&d);
    put_gpe_block(&d);
    dsdt_put_cpus(&d);
    dsdt_put_expanders(&d);
    dsdt_put_host_bridge_resources(&d);
    put_sleep_states(&d);
    put_fw_cfg(&d);
    dsdt_put_root_bus(&d);
    dsdt_put_port_scopes(&d);
    dsdt_put_hotplug_event(&d);
    if (!aml_finish(&d.aml, "DSDT", err)) {
        return false;
    }
    b->dsdt = acpi_table_end(b);
    return true;
}
