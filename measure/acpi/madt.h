/*
 * What the MADT shares with the DSDT.
 */
#ifndef CVM_ACPI_MADT_H
#define CVM_ACPI_MADT_H

#include "measure/acpi/table.h"

/* The Processor Local APIC structure of a CPU whose APIC ID is its number. */
void acpi_put_local_apic(struct cvm_buf *out, uint8_t cpu);

#endif
