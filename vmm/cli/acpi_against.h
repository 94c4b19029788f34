/*
 * cvm acpi --against: generated files held against those of a real emulator.
 */
#ifndef CVM_CLI_ACPI_AGAINST_H
#define CVM_CLI_ACPI_AGAINST_H

#include "vmm/cli/cli.h"
#include "vmm/emulator.h"

/* An emulator and a machine. All borrowed. */
struct cli_against {
    const struct cvm_emulator *emulator;
    const struct cvm_machine *machine;
    const char *name; /* of the machine: makes the answer one line of JSON; NULL */
};

/*
 * Asks the emulator for every file of the machine that firmware measures: the ACPI files and the
 * items of fw_cfg. Prints whether they are equal to ours, as they are without TD and firmware
 * (vmm/acpi_probe.h) and for the emulator's CPU (vmm/measured_items.h), and where they differ.
 *
 * @param equal  set where an answer was printed.
 * @return false with CVM_ERR_USAGE where the machine has another QEMU version, or where the
 *         emulator cannot be asked.
 */
CVM_MUST_CHECK bool cli_acpi_against(const struct cli *cli, const struct cli_against *what,
                                     bool *equal, struct cvm_error *err);

/* CVM_ERR_MISMATCH, saying of which emulator. */
bool cli_acpi_fail_mismatch(const char *emulator, struct cvm_error *err);

#endif
