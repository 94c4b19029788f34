#include "measure/acpi/profile.h"

#include "measure/base/error.h"

/* What all rows from a version on have in common. A field that a row leaves out is false. */
#define LIKE_8_0 .edsm = true, .cpu_ini = true, .lists_sata = true
#define LIKE_10_0                                                                                  \
    .edsm = true, .cpu_eject_list = true, .pdsm_empty_pair = true, .lists_sata = true,             \
    .madt_revision = 3, .prt = ACPI_PRT_PACKAGE

/* Fields: flavour and version; what is known of it; then what is written. */
static const struct acpi_profile profiles[] = {
    {
        .since = { 8, 0, 0 },
        .flavour = ACPI_TDX_TREE,
        .evidence = ACPI_HISTORY_ONLY,
        .where = "upstream's 8.0; no TDX tree of it is known to be in use",
        LIKE_8_0,
        .madt_revision = 1,
        .pci0_adr = true,
        .prt = ACPI_PRT_COMPUTED,
        .pcat_compat_always = true,
    },
    {
        .since = { 8, 1, 0 },
        .flavour = ACPI_TDX_TREE,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 8.2.2 TDX tree, tests/vectors/acpi/qemu-8.2-tdx and hardware; trees of 8.1 "
                 "and 9.0 agreed with it in every case that was tried",
        .compared_from = { 8, 1, 0 },
        .compared_until = { 9, 0, 0 },
        LIKE_8_0,
        .madt_revision = 3,
        .prt = ACPI_PRT_COMPUTED,
        .pcat_compat_always = true,
    },
    {
        .since = { 9, 1, 0 },
        .flavour = ACPI_TDX_TREE,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 9.1.0 TDX tree, tests/vectors/acpi/qemu-9.1-tdx",
        .compared_from = { 9, 1, 0 },
        .compared_until = { 9, 1, 0 },
        LIKE_8_0,
        .madt_revision = 3,
        .prt = ACPI_PRT_VAR_PACKAGE, /* taken over from later code */
    },

    {
        .since = { 7, 2, 0 },
        .flavour = ACPI_UPSTREAM,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 7.2.22 of Debian 12, tests/vectors/acpi/qemu-7.2 and qemu-7.2-shapes",
        .compared_from = { 7, 2, 0 },
        .compared_until = { 7, 2, 0 },
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
        .flavour = ACPI_UPSTREAM,
        .evidence = ACPI_HISTORY_ONLY,
        .where = "the release in which each difference to 8.1 first appeared",
        LIKE_8_0,
        .madt_revision = 1,
        .pci0_adr = true,
        .prt = ACPI_PRT_COMPUTED,
        .pcat_compat_always = true,
    },
    {
        .since = { 8, 1, 0 },
        .flavour = ACPI_UPSTREAM,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 8.2.0 built from source, tests/vectors/acpi/qemu-8.2",
        .compared_from = { 8, 2, 0 },
        .compared_until = { 8, 2, 0 },
        LIKE_8_0,
        .madt_revision = 3,
        .prt = ACPI_PRT_COMPUTED,
        .pcat_compat_always = true,
    },
    {
        .since = { 9, 1, 0 },
        .flavour = ACPI_UPSTREAM,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 9.1.0 built from source, tests/vectors/acpi/qemu-9.1",
        .compared_from = { 9, 1, 0 },
        .compared_until = { 9, 1, 0 },
        LIKE_8_0,
        .madt_revision = 3,
        .prt = ACPI_PRT_COMPUTED,
    },
    {
        .since = { 9, 2, 0 },
        .flavour = ACPI_UPSTREAM,
        .newer_trees = true,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 9.2.1, tests/vectors/acpi/qemu-9.2",
        .compared_from = { 9, 2, 0 },
        .compared_until = { 9, 2, 0 },
        LIKE_8_0,
        .madt_revision = 3,
        .prt = ACPI_PRT_PACKAGE,
    },
    {
        .since = { 10, 0, 0 },
        .flavour = ACPI_UPSTREAM,
        .newer_trees = true,
        .evidence = ACPI_SEEN_VECTORS,
        .where =
            "QEMU 10.0.13, tests/vectors/acpi/qemu-10.0 and qemu-10.0-shapes; by history 10.1 and 10.2 as well",
        .compared_from = { 10, 0, 0 },
        .compared_until = { 10, 0, 0 },
        LIKE_10_0,
        .cpu_ini = true,
    },
    {
        .since = { 11, 0, 0 },
        .flavour = ACPI_UPSTREAM,
        .newer_trees = true,
        .evidence = ACPI_HISTORY_ONLY,
        .where = "the release in which each difference to 11.1 first appeared",
        LIKE_10_0,
    },
    {
        .since = { 11, 1, 0 },
        .flavour = ACPI_UPSTREAM,
        .newer_trees = true,
        .evidence = ACPI_SEEN_VECTORS,
        .where = "QEMU 11.1.2, tests/vectors/acpi/qemu-11.1 and qemu-11.1-shapes",
        .compared_from = { 11, 1, 0 },
        .compared_until = { 11, 1, 0 },
        LIKE_10_0,
        .com_irq_level = true,
    },
};

const struct acpi_profile *acpi_profiles(size_t *count)
{
    *count = sizeof profiles / sizeof profiles[0];
    return profiles;
}

enum acpi_flavour acpi_flavour_of(const struct cvm_machine *machine)
{
    return machine->interrupt_trigger == CVM_TRIGGER_EDGE ? ACPI_TDX_TREE : ACPI_UPSTREAM;
}

/* Development builds and release candidates count from 50: 9.0.92 is on its way to 9.1. */
static bool was_compared(const struct acpi_profile *p, struct cvm_qemu_version version,
                         enum acpi_flavour flavour)
{
    enum { FIRST_DEVELOPMENT_MICRO = 50 };
    const struct cvm_qemu_version series = { version.major, version.minor, 0 };
    return p->evidence == ACPI_SEEN_VECTORS && p->flavour == flavour &&
           version.micro < FIRST_DEVELOPMENT_MICRO &&
           cvm_qemu_version_compare(series, p->compared_from) >= 0 &&
           cvm_qemu_version_compare(series, p->compared_until) <= 0;
}

const struct acpi_profile *acpi_profile_for(struct cvm_qemu_version version,
                                            enum acpi_flavour flavour, bool *extrapolated,
                                            struct cvm_error *err)
{
    const struct acpi_profile *found = NULL;
    const struct acpi_profile *oldest = NULL;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        const struct acpi_profile *p = &profiles[i];
        if (p->flavour != flavour && !p->newer_trees) {
            continue;
        }
        oldest = oldest == NULL ? p : oldest;
        if (cvm_qemu_version_compare(p->since, version) <= 0) {
            found = p;
        }
    }
    if (found == NULL) {
        cvm_fail(err, CVM_ERR_UNSUPPORTED,
                 "ACPI tables of QEMU %u.%u.%u%s: the oldest known version is %u.%u.%u",
                 version.major, version.minor, version.micro,
                 flavour == ACPI_TDX_TREE ? " with edge-triggered interrupts" : "",
                 oldest->since.major, oldest->since.minor, oldest->since.micro);
        return NULL;
    }
    *extrapolated = !was_compared(found, version, flavour);
    return found;
}
