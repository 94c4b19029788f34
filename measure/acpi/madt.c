/*
 * Multiple APIC Description Table.        Source: ACPI 6.5, 5.2.12
 */
#include "measure/acpi/madt.h"

enum {
    LOCAL_APIC_BASE = 0xfee00000,
    IO_APIC_BASE = 0xfec00000,
    TYPE_LOCAL_APIC = 0,
    TYPE_IO_APIC = 1,
    TYPE_OVERRIDE = 2,
    TYPE_LOCAL_NMI = 4,
    TYPE_LOCAL_X2APIC = 9,
    TYPE_LOCAL_X2APIC_NMI = 10,
    ALL_PROCESSORS = 0xff,
};

static void put_local_apic(struct cvm_buf *t, uint8_t cpu)
{
    cvm_put_u8(t, TYPE_LOCAL_APIC);
    cvm_put_u8(t, 8);    /* Length */
    cvm_put_u8(t, cpu);  /* ACPI Processor UID */
    cvm_put_u8(t, cpu);  /* APIC ID */
    cvm_put_le(t, 1, 4); /* Flags: enabled */
}

static void put_local_x2apic(struct cvm_buf *t, uint32_t cpu)
{
    cvm_put_u8(t, TYPE_LOCAL_X2APIC);
    cvm_put_u8(t, 16);     /* Length */
    cvm_put_le(t, 0, 2);   /* Reserved */
    cvm_put_le(t, cpu, 4); /* X2APIC ID */
    cvm_put_le(t, 1, 4);   /* Flags: enabled */
    cvm_put_le(t, cpu, 4); /* ACPI Processor UID */
}

bool acpi_needs_x2apic(uint32_t cpu)
{
    return cpu >= ALL_PROCESSORS;
}

void acpi_put_local_apic(struct cvm_buf *t, uint32_t cpu)
{
    if (acpi_needs_x2apic(cpu)) {
        put_local_x2apic(t, cpu);
        return;
    }
    put_local_apic(t, (uint8_t)cpu);
}

/* The non-maskable interrupt of all processors, in the form that reaches the last of them. */
static void put_local_nmi(struct cvm_buf *t, uint32_t last_cpu)
{
    enum { CONFORMS = 0, LINT1 = 1 };
    if (acpi_needs_x2apic(last_cpu)) {
        cvm_put_u8(t, TYPE_LOCAL_X2APIC_NMI);
        cvm_put_u8(t, 12);            /* Length */
        cvm_put_le(t, CONFORMS, 2);   /* Flags */
        cvm_put_le(t, UINT32_MAX, 4); /* ACPI Processor UID: all */
        cvm_put_u8(t, LINT1);         /* Local x2APIC LINT# */
        cvm_put_zeros(t, 3);          /* Reserved */
        return;
    }
    cvm_put_u8(t, TYPE_LOCAL_NMI);
    cvm_put_u8(t, 6); /* Length */
    cvm_put_u8(t, ALL_PROCESSORS);
    cvm_put_le(t, CONFORMS, 2); /* Flags */
    cvm_put_u8(t, LINT1);       /* Local APIC LINT# */
}

static void put_io_apic(struct cvm_buf *t)
{
    cvm_put_u8(t, TYPE_IO_APIC);
    cvm_put_u8(t, 12);              /* Length */
    cvm_put_u8(t, 0);               /* I/O APIC ID */
    cvm_put_u8(t, 0);               /* Reserved */
    cvm_put_le(t, IO_APIC_BASE, 4); /* I/O APIC Address */
    cvm_put_le(t, 0, 4);            /* Global System Interrupt Base */
}

static void put_override(struct cvm_buf *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    cvm_put_u8(t, TYPE_OVERRIDE);
    cvm_put_u8(t, 10);       /* Length */
    cvm_put_u8(t, 0);        /* Bus: ISA */
    cvm_put_u8(t, irq);      /* Source */
    cvm_put_le(t, gsi, 4);   /* Global System Interrupt */
    cvm_put_le(t, flags, 2); /* Flags: polarity, trigger mode */
}

/* The timer's interrupt arrives at input 2; the rest keep their numbers. */
static uint32_t gsi_of(uint8_t irq)
{
    return irq == 0 ? 2 : irq;
}

/* TDX trees declare every ISA interrupt; other QEMUs the timer and those that PCI links may use. */
static void put_overrides(struct cvm_buf *t, enum cvm_interrupt_trigger trigger)
{
    enum { CONFORMS = 0, EDGE_HIGH = 0x05, LEVEL_HIGH = 0x0d };
    if (trigger == CVM_TRIGGER_EDGE) {
        for (uint8_t irq = 0; irq < 16; irq++) {
            put_override(t, irq, gsi_of(irq), EDGE_HIGH);
        }
        return;
    }
    static const uint8_t pci_irqs[] = { 5, 9, 10, 11 };
    put_override(t, 0, gsi_of(0), CONFORMS);
    for (size_t i = 0; i < sizeof pci_irqs; i++) {
        put_override(t, pci_irqs[i], gsi_of(pci_irqs[i]), LEVEL_HIGH);
    }
}

void acpi_build_madt(struct acpi_build *b)
{
    struct cvm_buf *t = &b->tables;
    bool pcat_compat = b->machine->pic || b->profile->pcat_compat_always;

    acpi_table_begin(b, "APIC", b->profile->madt_revision);
    cvm_put_le(t, LOCAL_APIC_BASE, 4); /* Local Interrupt Controller Address */
    cvm_put_le(t, pcat_compat, 4);     /* Flags: PCAT_COMPAT */
    for (uint32_t cpu = 0; cpu < b->machine->cpu_count; cpu++) {
        acpi_put_local_apic(t, cpu);
    }
    put_io_apic(t);
    put_overrides(t, b->machine->interrupt_trigger);
    put_local_nmi(t, b->machine->cpu_count - 1);
    acpi_table_list(b, acpi_table_end(b));
}
