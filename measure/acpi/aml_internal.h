/*
 * What the AML writer's own files share.
 */
#ifndef CVM_ACPI_AML_INTERNAL_H
#define CVM_ACPI_AML_INTERNAL_H

#include "measure/acpi/aml.h"

/* Remembers the first thing that went wrong. */
void aml_break(struct aml *a, const char *why);

/* From here to aml_end() counts the PkgLength that will be put here. */
void aml_begin(struct aml *a);

#endif
