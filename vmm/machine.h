/*
 * Filling struct cvm_machine: the one place where declarations become a machine.
 *
 * Two steps, since `cvm acpi` needs the first only: the platform (CPUs, memory, devices, QEMU),
 * and what is measured of firmware and kernel.
 */
#ifndef CVM_VMM_MACHINE_H
#define CVM_VMM_MACHINE_H

#include "vmm/image.h"
#include "vmm/vm_config.h"

/* Words of the enumerations in JSON and on the command line. */
const char *cvm_trigger_word(enum cvm_interrupt_trigger trigger);
const char *cvm_kernel_header_word(enum cvm_kernel_header header);
const char *cvm_page_add_order_word(enum cvm_page_add_order order);
const char *cvm_bar_kind_word(enum cvm_bar_kind kind);
const char *cvm_cmdline_form_word(enum cvm_cmdline_form form);

/*
 * Reads a QEMU version: MAJOR.MINOR or MAJOR.MINOR.MICRO, then nothing, or what binaries
 * append: "8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.0)", "9.0.0-rc1".
 *
 * @return false with CVM_ERR_MALFORMED showing the string.
 */
CVM_MUST_CHECK bool cvm_qemu_version_parse(const char *text, struct cvm_qemu_version *out,
                                           struct cvm_error *err);

/*
 * Fills all of the machine but page_add_order, kernel_header and layout.
 *
 * @return false with CVM_ERR_USAGE where cpu_count, memory_size or qemu_version is missing,
 *         CVM_ERR_MALFORMED for an unknown word or an impossible machine,
 *         CVM_ERR_UNSUPPORTED.
 */
CVM_MUST_CHECK bool cvm_machine_fill_platform(const struct cvm_vm_config *config,
                                              struct cvm_machine *out, struct cvm_error *err);

/* Whether the NUMA nodes are those that a vm_config without numa_nodes means. */
bool cvm_machine_has_implied_nodes(const struct cvm_machine *machine, bool hugepages);

/* What the second step goes by, beside the declaration. */
struct cvm_measure_evidence {
    const struct cvm_bundle *bundle;   /* NULL where none is at hand */
    const struct cvm_compact *compact; /* NULL where vm_config carries none */
    bool declared;       /* config is a vm_config to be verified, not our own resolving */
    bool no_tee;         /* the guest runs without TDX */
    bool trust_declared; /* --trust-declared */
    const struct cvm_firmware *firmware; /* the bundle's, inspected; NULL where none is at hand.
                                            The machine borrows the layout in it */
    const char *variant_option;          /* --ovmf-variant; NULL */
    const char *page_add_order_option;   /* --page-add-order: single-pass, two-pass; NULL */
    const char *kernel_header_option;    /* --kernel-header: rewritten, as-is; NULL */
    const char *kernel_measures_option;  /* --kernel-measures: yes, no; NULL */
};

/* Where each resolved value came from: words for people and JSON. */
struct cvm_resolution {
    struct cvm_variant variant;
    const char *layout_source; /* verified, derived, declared */
    const char *kernel_measures_source;
    const char *kernel_header_source;
    const char *page_add_order_source;
    const char *qemu_version_source; /* set by whoever knows where the version came from */
};

/* Fills the rest of a machine, with a warning for everything that was assumed. */
CVM_MUST_CHECK bool cvm_machine_fill_firmware(const struct cvm_vm_config *config,
                                              const struct cvm_measure_evidence *evidence,
                                              struct cvm_machine *machine,
                                              struct cvm_resolution *out,
                                              struct cvm_warnings *warnings, struct cvm_error *err);

#endif
