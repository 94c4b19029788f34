/*
 * Which QEMU writes what: one row per version from which the generated tables differ.
 *
 * Source:  tables read out of unmodified binaries through fw_cfg (tests/vectors/README.md).
 */
#ifndef CVM_ACPI_PROFILE_H
#define CVM_ACPI_PROFILE_H

#include "measure/include/cvm/machine.h"

enum acpi_prt {
    ACPI_PRT_PACKAGE,     /* Package: its size is a byte */
    ACPI_PRT_VAR_PACKAGE, /* VarPackage: its size is a term */
    ACPI_PRT_COMPUTED,    /* the guest makes it in a loop */
};

struct acpi_profile {
    struct cvm_qemu_version since; /* the oldest version that the row describes */
    bool unseen;                   /* no binary of this version has been compared */

    /* DSDT, host bridge and PCI hot-plug */
    bool pci0_adr;        /* PCI0 has an _ADR beside its _HID */
    bool edsm;            /* PCI0 has the method EDSM */
    bool pdsm_early_zero; /* PDSM clears Local1 before it looks at the UUID */
    bool pdsm_empty_pair; /* PDSM returns an empty pair for a slot without index */
    bool always_pcnt;     /* PCNT and its call in _E01 exist without bridges */
    bool lists_sata;      /* the SATA controller at 1f.2 appears */
    bool inline_ports;    /* ports: BSEL before the device behind, PCNT within, _DSM by reference */
    bool ports_hidden;    /* without hot-plug, what is behind a root port does not appear */
    enum acpi_prt prt;    /* how an expander's routing table is written */
    bool com_irq_level;   /* COM1's interrupt is declared level, active low, shared */

    /* DSDT, CPU hot-plug */
    bool cpu_ini;        /* PRES has an _INI that selects CPU 0 */
    bool cpu_eject_list; /* CSCN collects ejected CPUs before it notifies */

    /* MADT */
    uint8_t madt_revision;
    bool pcat_compat_always; /* the PC-AT flag is set without a PIC as well */
};

/*
 * The profile for a version.
 *
 * @param extrapolated  set to whether no binary of this series was ever compared.
 * @return NULL with CVM_ERR_UNSUPPORTED for a version older than the oldest row.
 */
CVM_MUST_CHECK const struct acpi_profile *
acpi_profile_for(struct cvm_qemu_version version, bool *extrapolated, struct cvm_error *err);

#endif
