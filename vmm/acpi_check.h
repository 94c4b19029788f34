/*
 * Before a guest starts: whether the emulator that will run it writes the ACPI files that were
 * predicted.
 */
#ifndef CVM_VMM_ACPI_CHECK_H
#define CVM_VMM_ACPI_CHECK_H

#include "measure/include/cvm/machine.h"
#include "vmm/warnings.h"

enum cvm_acpi_check {
    CVM_ACPI_CHECK_WARN,    /* what does not hold is a warning */
    CVM_ACPI_CHECK_OFF,     /* the emulator is not asked */
    CVM_ACPI_CHECK_REQUIRE, /* what does not hold is an error */
};

/* "off", "warn", "require"; CVM_ERR_MALFORMED for anything else. */
CVM_MUST_CHECK bool cvm_acpi_check_parse(const char *word, enum cvm_acpi_check *out,
                                         struct cvm_error *err);

/*
 * Asks the emulator, or takes the answer that it gave before (vmm/acpi_cache.h), and compares.
 *
 * @param machine    as it is launched, with or without TDX.
 * @param state_dir  where answers are cached, if it exists.
 * @return with CVM_ACPI_CHECK_REQUIRE false where the emulator writes other files
 *         (CVM_ERR_MISMATCH) or cannot be asked (as cvm_qemu_probe()); else true, with a warning.
 */
CVM_MUST_CHECK bool cvm_acpi_check(enum cvm_acpi_check mode, const char *emulator,
                                   const struct cvm_machine *machine, const char *state_dir,
                                   struct cvm_warnings *warnings, struct cvm_error *err);

#endif
