/*
 * What the MADT shares with the DSDT.
 */
#ifndef CVM_ACPI_MADT_H
#define CVM_ACPI_MADT_H

#include "measure/acpi/table.h"

/* The longest structure that acpi_put_local_apic() writes. */
enum { ACPI_MAX_LOCAL_APIC = 16 };

/* Whether a CPU's number, which is its APIC ID, needs the structures of the x2APIC. */
bool acpi_needs_x2apic(uint32_t cpu);

/* The Processor Local APIC (or x2APIC) structure of a CPU. */
void acpi_put_local_apic(struct cvm_buf *out, uint32_t cpu);

#endif
