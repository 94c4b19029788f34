/*
 * The ACPI files of a machine as an emulator itself writes them, and what they are to be compared
 * with: neither a TD nor a firmware is started for it, and a few facts show with these only.
 *
 * | fact | in a TD, with firmware | when the emulator is asked | so |
 * |---|---|---|---|
 * | interrupt trigger | edge, in TDX trees of QEMU before 9.2 | level | compared as level |
 * | windows behind ports | opened by the firmware | not opened | compared without any |
 * | PIC, SMM | off from QEMU 10.1 on | as the machine says | the machine says off for a TD |
 * | the tree's own code | the same | the same | the profile of the TD's tree is kept |
 * | CPU model, KVM, split interrupt controller, private memory | | | in no ACPI table |
 *
 * What the table cannot show: a fork that writes another table for a TD than without, beyond
 * triggers. No known one does.
 */
#ifndef CVM_VMM_ACPI_PROBE_H
#define CVM_VMM_ACPI_PROBE_H

#include "vmm/acpi_compare.h"
#include "vmm/qemu_probe.h"

struct cvm_probed_acpi {
    struct cvm_probed_file file[CVM_NUM_ACPI_FILES];
};

#define CVM_PROBED_ACPI_NONE                                                                       \
    {                                                                                              \
        {                                                                                          \
            [CVM_ACPI_FILE_LOADER] = { .name = "etc/table-loader" },                               \
            [CVM_ACPI_FILE_RSDP] = { .name = "etc/acpi/rsdp" },                                    \
            [CVM_ACPI_FILE_TABLES] = { .name = "etc/acpi/tables" },                                \
        }                                                                                          \
    }
#define cvm_autoprobedacpi CVM_CLEANUP(cvm_probed_acpi_free)

/* Asks; as cvm_qemu_probe(). out starts as CVM_PROBED_ACPI_NONE. */
CVM_MUST_CHECK bool cvm_acpi_probe(const struct cvm_emulator *emulator,
                                   const struct cvm_machine *machine, unsigned timeout_ms,
                                   struct cvm_probed_acpi *out, struct cvm_error *err);
void cvm_probed_acpi_free(struct cvm_probed_acpi *p);

/* The files, borrowed. */
struct cvm_acpi_files cvm_probed_acpi_files(const struct cvm_probed_acpi *p);

/* Generates what the machine's emulator writes when it is asked. */
CVM_MUST_CHECK bool cvm_acpi_build_as_asked(const struct cvm_machine *machine, struct cvm_acpi *out,
                                            struct cvm_error *err);

#endif
