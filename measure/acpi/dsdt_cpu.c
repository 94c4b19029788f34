/*
 * DSDT: the CPUs and the interface through which they are plugged and unplugged.
 */
#include "measure/acpi/dsdt.h"
#include "measure/acpi/madt.h"

#include <stdio.h>

#define PRES "\\_SB.PCI0.PRES."

/* PRES: the hot-plug controller's registers. */
static void put_controller(struct dsdt *d)
{
    static const struct aml_field_entry bits[] = {
        { NULL, 32 },  { "CPEN", 1 }, { "CINS", 1 }, { "CRMV", 1 }, { "CEJ0", 1 },
        { "CEJF", 1 }, { NULL, 40 },  { "CCMD", 8 }, { 0 },
    };
    static const struct aml_field_entry words[] = {
        { "CSEL", 32 },
        { NULL, 64 },
        { "CDAT", 32 },
        { 0 },
    };
    enum { BASE = 0xcd8, LENGTH = 12 };
    struct aml *a = &d->aml;
    aml_device(a, "\\_SB.PCI0.PRES");
    aml_name_eisaid(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "CPU Hotplug resources");
    aml_mutex(a, "CPLK");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, BASE, 1, LENGTH);
    aml_resources_end(a);
    aml_region(a, "PRST", AML_SYSTEM_IO, BASE, LENGTH);
    aml_field(a, "PRST", AML_BYTE_ACC | AML_WRITE_AS_ZEROS, bits);
    aml_field(a, "PRST", AML_DWORD_ACC | AML_PRESERVE, words);
    if (d->profile->cpu_ini) {
        aml_method(a, "_INI", 0, AML_SERIALIZED);
        aml_asl(a, "Store (Zero, CSEL) }");
    }
    aml_end(a);
}

/* CTFY: tells the operating system about one CPU. */
static void put_notify_method(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_method(a, "CTFY", 2, AML_NOT_SERIALIZED);
    for (uint32_t cpu = 0; cpu < d->machine->cpu_count; cpu++) {
        aml_asl(a, "If (LEqual (Arg0, %u)) { Notify (C%03X, Arg1) }", cpu, cpu);
    }
    aml_end(a);
}

static void put_status_method(struct aml *a)
{
    aml_method(a, "CSTA", 1, AML_SERIALIZED);
    aml_acquire(a, PRES "CPLK");
    aml_asl(a, "Store (Arg0, " PRES "CSEL)"
               "Store (Zero, Local0)"
               "If (LEqual (" PRES "CPEN, One)) { Store (0x0F, Local0) }"
               "Release (" PRES "CPLK)"
               "Return (Local0) }");
}

static void put_eject_method(struct aml *a)
{
    aml_method(a, "CEJ0", 1, AML_SERIALIZED);
    aml_acquire(a, PRES "CPLK");
    aml_asl(a, "Store (Arg0, " PRES "CSEL)"
               "Store (One, " PRES "CEJ0)"
               "Release (" PRES "CPLK) }");
}

/* CSCN, one round: asks for the next CPU with an event, sorts it into a list. */
static void put_scan_round(struct dsdt *d)
{
    struct aml *a = &d->aml;
    bool list = d->profile->cpu_eject_list;
    aml_asl(a,
            "While (LAnd (LEqual (Local0, One), LLess (Local3, %u))) {"
            "    Store (Zero, Local0)"
            "    Store (Local3, " PRES "CSEL)"
            "    Store (Zero, " PRES "CCMD)"
            "    If (LLess (" PRES "CDAT, Local3)) { Break }",
            d->machine->cpu_count);
    aml_asl(a, list ? "If (LOr (LEqual (Local1, 0xFF), LEqual (Local5, 0xFF))) {"
                    : "If (LEqual (Local1, 0xFF)) {");
    aml_asl(a, "    Store (One, Local4)"
               "    Break }"
               "    Store (" PRES "CDAT, Local3)"
               "    If (LEqual (" PRES "CINS, One)) {"
               "        Store (Local3, Index (CNEW, Local1, Zero))"
               "        Increment (Local1)"
               "        Store (One, Local0)"
               "    }");
    aml_asl(a, list ? "If (LEqual (" PRES "CRMV, One)) {"
                      "    Store (Local3, Index (CEJL, Local5, Zero))"
                      "    Increment (Local5)"
                      "    Store (One, Local0)"
                      "}"
                    : "Else {"
                      "    If (LEqual (" PRES "CRMV, One)) {"
                      "        CTFY (Local3, 3)"
                      "        Store (One, " PRES "CRMV)"
                      "        Store (One, Local0)"
                      "    }"
                      "}");
    aml_asl(a, "    Increment (Local3) }");
}

/* CSCN: handles every CPU that has an event pending. */
static void put_scan_method(struct dsdt *d)
{
    struct aml *a = &d->aml;
    bool list = d->profile->cpu_eject_list;
    aml_method(a, "CSCN", 0, AML_SERIALIZED);
    aml_acquire(a, PRES "CPLK");
    aml_name(a, "CNEW");
    aml_asl(a, "Package (0xFF) { }");
    if (list) {
        aml_name(a, "CEJL");
        aml_asl(a, "Package (0xFF) { }");
    }
    aml_asl(a, "Store (Zero, Local3)"
               "Store (One, Local4)"
               "While (LEqual (Local4, One)) {"
               "    Store (Zero, Local4)"
               "    Store (One, Local0)"
               "    Store (Zero, Local1)");
    if (list) {
        aml_asl(a, "Store (Zero, Local5)");
    }
    put_scan_round(d);
    aml_asl(a, "Store (Zero, Local2)"
               "While (LLess (Local2, Local1)) {"
               "    Store (DerefOf (Index (CNEW, Local2, Zero)), Local3)"
               "    CTFY (Local3, One)"
               "    Store (Local3, Debug)"
               "    Store (Local3, " PRES "CSEL)"
               "    Store (One, " PRES "CINS)"
               "    Increment (Local2)"
               "}");
    if (list) {
        aml_asl(a, "Store (Zero, Local2)"
                   "While (LLess (Local2, Local5)) {"
                   "    Store (DerefOf (Index (CEJL, Local2, Zero)), Local3)"
                   "    CTFY (Local3, 3)"
                   "    Store (Local3, " PRES "CSEL)"
                   "    Store (One, " PRES "CRMV)"
                   "    Increment (Local2)"
                   "}");
    }
    aml_asl(a, "} Release (" PRES "CPLK) }");
}

/* COST: hands the operating system's status report to QEMU. */
static void put_report_method(struct aml *a)
{
    aml_method(a, "COST", 4, AML_SERIALIZED);
    aml_acquire(a, PRES "CPLK");
    aml_asl(a, "Store (Arg0, " PRES "CSEL)"
               "Store (One, " PRES "CCMD)"
               "Store (Arg1, " PRES "CDAT)"
               "Store (2, " PRES "CCMD)"
               "Store (Arg2, " PRES "CDAT)"
               "Release (" PRES "CPLK) }");
}

/* CPUs fill the nodes in order. */
static uint32_t node_of(const struct cvm_machine *machine, uint32_t cpu)
{
    uint32_t node = 0;
    while (node + 1 < machine->num_numa_nodes && cpu >= machine->numa_nodes[node].cpu_count) {
        cpu -= machine->numa_nodes[node++].cpu_count;
    }
    return node;
}

/* A processor object has one byte for its number; later CPUs are devices. */
static void begin_cpu(struct aml *a, uint32_t cpu)
{
    char name[8];
    snprintf(name, sizeof name, "C%03X", cpu & 0xfff);
    if (!acpi_needs_x2apic(cpu)) {
        aml_processor(a, name, (uint8_t)cpu);
        return;
    }
    aml_device(a, name);
    aml_name_string(a, "_HID", "ACPI0007");
    aml_name_int(a, "_UID", cpu);
}

static void put_cpu(struct dsdt *d, uint32_t cpu)
{
    struct aml *a = &d->aml;
    uint8_t storage[ACPI_MAX_LOCAL_APIC];
    struct cvm_buf apic = { .data = storage, .cap = sizeof storage }; /* never grows */
    acpi_put_local_apic(&apic, cpu);

    begin_cpu(a, cpu);
    aml_method(a, "_STA", 0, AML_SERIALIZED);
    aml_asl(a, "Return (CSTA (%u)) }", cpu);
    aml_name(a, "_MAT");
    aml_bytes(a, storage, (uint8_t)apic.len);
    if (cpu != 0) { /* the boot CPU stays */
        aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
        aml_asl(a, "CEJ0 (%u) }", cpu);
    }
    aml_method(a, "_OST", 3, AML_SERIALIZED);
    aml_asl(a, "COST (%u, Arg0, Arg1, Arg2) }", cpu);
    if (d->machine->num_numa_nodes != 0) {
        aml_name_int(a, "_PXM", node_of(d->machine, cpu));
    }
    aml_end(a);
}

void dsdt_put_cpus(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_scope(a, "_SB");
    {
        put_controller(d);
        aml_device(a, "\\_SB.CPUS");
        aml_name_string(a, "_HID", "ACPI0010");
        aml_name_eisaid(a, "_CID", "PNP0A05");
        put_notify_method(d);
        put_status_method(a);
        put_eject_method(a);
        put_scan_method(d);
        put_report_method(a);
        for (uint32_t cpu = 0; cpu < d->machine->cpu_count; cpu++) {
            put_cpu(d, cpu);
        }
        aml_end(a);
    }
    aml_end(a);
    aml_method(a, "\\_GPE._E02", 0, AML_NOT_SERIALIZED);
    aml_asl(a, "\\_SB.CPUS.CSCN () }");
}
