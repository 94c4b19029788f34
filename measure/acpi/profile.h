/*
 * Which QEMU writes what: one row per version and tree from which the generated tables differ.
 *
 * Source:  tables read out of unmodified binaries through fw_cfg (tests/vectors/README.md); each
 *          row says which.
 */
#ifndef CVM_ACPI_PROFILE_H
#define CVM_ACPI_PROFILE_H

#include "measure/include/cvm/machine.h"

/* Whose code it is. A machine with edges is run by a TDX tree; one with levels is taken to be
 * run by upstream. */
enum acpi_flavour {
    ACPI_UPSTREAM,
    ACPI_TDX_TREE, /* forks of QEMU 8.0 to 9.1 that distributions shipped */
    ACPI_NUM_FLAVOURS,
};

enum acpi_flavour acpi_flavour_of(const struct cvm_machine *machine);

enum acpi_prt {
    ACPI_PRT_PACKAGE,     /* Package: its size is a byte */
    ACPI_PRT_VAR_PACKAGE, /* VarPackage: its size is a term */
    ACPI_PRT_COMPUTED,    /* the guest makes it in a loop */
};

/* What a row rests on. */
enum acpi_evidence {
    ACPI_SEEN_VECTORS, /* a binary's files are in tests/vectors/acpi, and are compared by a test */
    ACPI_HISTORY_ONLY, /* QEMU's history says so; no such binary was compared */
};

struct acpi_profile {
    struct cvm_qemu_version since; /* the oldest version that the row describes */
    enum acpi_flavour flavour;
    bool newer_trees; /* TDX trees of these versions, should any declare edges, have it as well */
    enum acpi_evidence evidence;
    const char *where; /* it was seen: binary and vectors; or what is inferred */
    struct cvm_qemu_version compared_from;  /* release series (micro is 0) that were compared; */
    struct cvm_qemu_version compared_until; /* both 0.0.0 where none was */

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

/* All rows: first TDX trees up to 9.1, then upstream; each in ascending order of versions. */
const struct acpi_profile *acpi_profiles(size_t *count);

/*
 * The profile for a version of a tree: the newest row that is not newer.
 *
 * @param extrapolated  set to whether no binary of this release series was ever compared: a
 *                      version between two that were, a newer one, a development build.
 * @return NULL with CVM_ERR_UNSUPPORTED for a version older than the oldest row.
 */
CVM_MUST_CHECK const struct acpi_profile *acpi_profile_for(struct cvm_qemu_version version,
                                                           enum acpi_flavour flavour,
                                                           bool *extrapolated,
                                                           struct cvm_error *err);

#endif
