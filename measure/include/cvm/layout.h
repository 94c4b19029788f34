/**
 * Firmware layouts: which events a build of OVMF extends RTMR0 with, in order.
 *
 * A layout is data. Two have names in the field (`ovmf_variant`); real builds have
 * more, and each is just another list.
 *
 * Source:  event logs and registers of TDX hardware (docs/measurement.md).
 * Threads: the known layouts are constant.
 */
#ifndef CVM_LAYOUT_H
#define CVM_LAYOUT_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is measured by an event of RTMR0. */
enum cvm_layout_kind {
    CVM_LAYOUT_TD_HOB,
    CVM_LAYOUT_CFV,
    CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS, /**< only on machines with expanders */
    CVM_LAYOUT_FWCFG_BOOTMENU,
    CVM_LAYOUT_FWCFG_BOOTORDER,
    CVM_LAYOUT_SECUREBOOT,
    CVM_LAYOUT_PK,
    CVM_LAYOUT_KEK,
    CVM_LAYOUT_DB,
    CVM_LAYOUT_DBX,
    CVM_LAYOUT_SEPARATOR,
    CVM_LAYOUT_ACPI_LOADER,
    CVM_LAYOUT_ACPI_RSDP,
    CVM_LAYOUT_ACPI_TABLES,
    CVM_LAYOUT_SMBIOS,
    CVM_LAYOUT_BOOT_ORDER,  /**< the numbers of all boot options of the layout */
    CVM_LAYOUT_BOOT_OPTION, /**< Boot####, numbered in the order they appear */
    CVM_LAYOUT_KINDS,
};

/** A boot option that points to an application in the firmware's own volume. */
struct cvm_boot_option {
    uint32_t attributes;
    const char *description; /**< ASCII */
    const char *volume_guid; /**< text form */
    const char *file_guid;   /**< text form */
};

enum { CVM_LAYOUT_MAX_EVENTS = 24, CVM_LAYOUT_MAX_BOOT_OPTIONS = 4 };

struct cvm_layout {
    const char *name; /**< the ovmf_variant, NULL for a layout that has no name */
    uint32_t num_events;
    enum cvm_layout_kind events[CVM_LAYOUT_MAX_EVENTS];
    uint32_t num_boot_options;
    struct cvm_boot_option boot_options[CVM_LAYOUT_MAX_BOOT_OPTIONS];
};

/**
 * The layout with this name ("pre202505", "stable202505").
 *
 * @return a constant; NULL where no known layout has the name.
 */
CVM_API const struct cvm_layout *cvm_layout_find(const char *name);

/**
 * The known layouts in turn: index 0, 1, ...; NULL behind the last.
 */
CVM_API const struct cvm_layout *cvm_layout_at(size_t index);

#ifdef __cplusplus
}
#endif

#endif
