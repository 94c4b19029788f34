/*
 * Generating the files of a machine whose QEMU tree is known apart from how it declares
 * interrupts: a TDX tree writes its own code's tables for guests without TDX as well.
 */
#ifndef CVM_ACPI_ACPI_H
#define CVM_ACPI_ACPI_H

#include "measure/acpi/profile.h"
#include "measure/include/cvm/acpi.h"

/* As cvm_acpi_build(), with the tables of that tree. */
CVM_MUST_CHECK bool acpi_build_flavour(const struct cvm_machine *machine, enum acpi_flavour flavour,
                                       struct cvm_acpi *out, struct cvm_error *err);

#endif
