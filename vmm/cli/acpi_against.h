/*
 * cvm acpi --against: generated files held against those of a real emulator.
 */
#ifndef CVM_CLI_ACPI_AGAINST_H
#define CVM_CLI_ACPI_AGAINST_H

#include "measure/include/cvm/acpi.h"
#include "vmm/cli/cli.h"

/*
 * Asks the emulator for the machine's files, prints whether they are equal and where they differ.
 *
 * @return false with CVM_ERR_MISMATCH where they differ, after the answer was printed.
 */
CVM_MUST_CHECK bool cli_acpi_against(const struct cli *cli, const char *emulator,
                                     const struct cvm_machine *machine, const struct cvm_acpi *acpi,
                                     struct cvm_error *err);

#endif
