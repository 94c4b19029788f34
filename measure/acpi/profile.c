#include "measure/acpi/profile.h"

#include "measure/base/error.h"

/*
 * Ascending. A field left out is false. Rows with binaries behind them: 7.2.22, 8.1, 8.2.2, 9.1,
 * 9.2, 10.0.2, 11.1.2. The rows for 8.0 and 11.0 follow the release in which each difference
 * first appeared in QEMU's history; 10.1 and 10.2 made no difference.
 */
static const struct acpi_profile profiles[] = {
    {
        .since = { 7, 2, 0 },
        .madt_revision = 1,
        .pci0_adr = true,
        .pdsm_early_zero = true,
        .pdsm_empty_pair = true,
        .always_pcnt = true,
        .inline_ports = true,
        .ports_hidden = true,
        .prt = ACPI_PRT_COMPUTED,
        .cpu_ini = true,
        .pcat_compat_always = true,
    },
    {
        .since = { 8, 0, 0 },
        .unseen = true,
        .madt_revision = 1,
        .pci0_adr = true,
        .edsm = true,
        .cpu_ini = true,
        .pcat_compat_always = true,
        .lists_sata = true,
        .prt = ACPI_PRT_COMPUTED,
    },
    {
        .since = { 8, 1, 0 },
        .madt_revision = 3,
        .edsm = true,
        .cpu_ini = true,
        .pcat_compat_always = true,
        .lists_sata = true,
        .prt = ACPI_PRT_COMPUTED,
    },
    {
        .since = { 9, 1, 0 },
        .madt_revision = 3,
        .edsm = true,
        .cpu_ini = true,
        .lists_sata = true,
        .prt = ACPI_PRT_VAR_PACKAGE, /* the TDX tree; upstream 9.1 still computes it */
    },
    {
        .since = { 9, 2, 0 },
        .madt_revision = 3,
        .edsm = true,
        .cpu_ini = true,
        .lists_sata = true,
    },
    {
        .since = { 10, 0, 0 },
        .madt_revision = 3,
        .edsm = true,
        .cpu_ini = true,
        .cpu_eject_list = true,
        .pdsm_empty_pair = true,
        .lists_sata = true,
    },
    {
        .since = { 11, 0, 0 },
        .unseen = true,
        .madt_revision = 3,
        .edsm = true,
        .cpu_eject_list = true,
        .pdsm_empty_pair = true,
        .lists_sata = true,
    },
    {
        .since = { 11, 1, 0 },
        .madt_revision = 3,
        .edsm = true,
        .com_irq_level = true,
        .cpu_eject_list = true,
        .pdsm_empty_pair = true,
        .lists_sata = true,
    },
};

/* The newest release series whose binary has been compared. */
static const struct cvm_qemu_version newest_seen = { 11, 1, UINT16_MAX };

const struct acpi_profile *acpi_profile_for(struct cvm_qemu_version version, bool *extrapolated,
                                            struct cvm_error *err)
{
    const struct acpi_profile *found = NULL;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (cvm_qemu_version_compare(profiles[i].since, version) <= 0) {
            found = &profiles[i];
        }
    }
    if (found == NULL) {
        cvm_fail(err, CVM_ERR_UNSUPPORTED,
                 "ACPI tables of QEMU %u.%u.%u: the oldest known version is 7.2.0", version.major,
                 version.minor, version.micro);
        return NULL;
    }
    *extrapolated = found->unseen || cvm_qemu_version_compare(version, newest_seen) > 0;
    return found;
}
