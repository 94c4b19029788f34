/**
 * Firmware layouts: which events a build of OVMF extends RTMR0 with, in order.
 *
 * A layout is data, without pointers. Two have names in the field (`ovmf_variant`);
 * real builds have more, and cvm_firmware_inspect() reads each one out of its file.
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
    CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT, /**< only on machines that set it, as the next two */
    CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END,
    CVM_LAYOUT_FWCFG_PCI_MMIO64_MB,
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

/** Boot options that point to an application in the firmware's own volume. */
enum cvm_boot_app {
    CVM_BOOT_UI_APP,
    CVM_BOOT_MANAGER_MENU,
    CVM_BOOT_FIRMWARE_SETUP, /**< UiApp again, as newer builds present it */
    CVM_BOOT_APPS,
};

/** What such a boot option says. */
struct cvm_boot_option {
    uint32_t attributes;
    const char *description; /**< ASCII */
    const char *volume_guid; /**< text form */
    const char *file_guid;   /**< text form */
};

/** Where the firmware puts "initrd=initrd" into the command line that the kernel measures. */
enum cvm_cmdline_form {
    CVM_CMDLINE_SUFFIX, /**< cmdline + " initrd=initrd" */
    CVM_CMDLINE_PREFIX, /**< "initrd=initrd " + cmdline; edk2-stable202508 and newer */
};

enum {
    CVM_LAYOUT_MAX_EVENTS = 24,
    CVM_LAYOUT_MAX_BOOT_OPTIONS = 4,
    CVM_LAYOUT_NAME_SIZE = 32, /**< with the final NUL */
};

struct cvm_layout {
    char name[CVM_LAYOUT_NAME_SIZE]; /**< the ovmf_variant; "" for a layout that has no name */
    uint32_t num_events;             /**< 0 for a build that measures nothing in a TD */
    enum cvm_layout_kind events[CVM_LAYOUT_MAX_EVENTS];
    uint32_t num_boot_options;
    enum cvm_boot_app boot_options[CVM_LAYOUT_MAX_BOOT_OPTIONS];
    bool secure_boot_byte; /**< event secureboot carries one byte, the state, instead of nothing */
    enum cvm_cmdline_form cmdline_form;
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

/** Whether two layouts are the same in all they say, their names included. */
CVM_API bool cvm_layout_equal(const struct cvm_layout *a, const struct cvm_layout *b);

/**
 * Whether two layouts extend RTMR0 alike: same events, boot options and state of secure boot.
 * A variant's name speaks of this alone, not of the command line.
 */
CVM_API bool cvm_layout_same_events(const struct cvm_layout *a, const struct cvm_layout *b);

/** How many events the layout has on a machine that adds no optional ones. */
CVM_API uint32_t cvm_layout_num_usual_events(const struct cvm_layout *layout);

/**
 * The stable name of an event ("td_hob"), "boot_option" for any Boot####.
 *
 * @return a constant; NULL where there is no such kind.
 */
CVM_API const char *cvm_layout_event_name(enum cvm_layout_kind kind);

/** Where an event's data come from, in words: "fw_cfg etc/acpi/rsdp". Constant, or NULL. */
CVM_API const char *cvm_layout_event_source(enum cvm_layout_kind kind);

/** Whether the event occurs only on machines that have what it measures. */
CVM_API bool cvm_layout_event_is_optional(enum cvm_layout_kind kind);

/** What a boot option says. @return a constant; NULL where there is no such application. */
CVM_API const struct cvm_boot_option *cvm_boot_option_at(enum cvm_boot_app app);

#ifdef __cplusplus
}
#endif

#endif
