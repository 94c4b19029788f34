#include "measure/include/cvm/layout.h"

#include <string.h>

/* The volume of DXE drivers in every OVMF build. */
#define DXEFV "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"
#define BOOT_MANAGER_MENU_APP "eec25bdc-67f2-4d95-b1d5-f81b2039d11d"
#define UI_APP "462caa21-7614-4503-836e-8ab6f4662331"

enum { LOAD_OPTION_ACTIVE = 0x001, LOAD_OPTION_HIDDEN = 0x008, LOAD_OPTION_CATEGORY_APP = 0x100 };

static const struct cvm_layout known[] = {
    {
        .name = "pre202505", /* edk2 before stable202505 */
        .num_events = 13,
        .events = {
            CVM_LAYOUT_TD_HOB, CVM_LAYOUT_CFV,
            CVM_LAYOUT_SECUREBOOT, CVM_LAYOUT_PK, CVM_LAYOUT_KEK, CVM_LAYOUT_DB, CVM_LAYOUT_DBX,
            CVM_LAYOUT_SEPARATOR,
            CVM_LAYOUT_ACPI_LOADER, CVM_LAYOUT_ACPI_RSDP, CVM_LAYOUT_ACPI_TABLES,
            CVM_LAYOUT_BOOT_ORDER, CVM_LAYOUT_BOOT_OPTION,
        },
        .num_boot_options = 1,
        .boot_options = { CVM_BOOT_UI_APP },
    },
    {
        .name = "stable202505", /* edk2-stable202505; 17 events on a machine without options */
        .num_events = 21,
        .events = {
            CVM_LAYOUT_TD_HOB, CVM_LAYOUT_CFV,
            CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS, CVM_LAYOUT_FWCFG_BOOTMENU,
            CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT, CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END,
            CVM_LAYOUT_FWCFG_PCI_MMIO64_MB, CVM_LAYOUT_FWCFG_BOOTORDER,
            CVM_LAYOUT_SECUREBOOT, CVM_LAYOUT_PK, CVM_LAYOUT_KEK, CVM_LAYOUT_DB, CVM_LAYOUT_DBX,
            CVM_LAYOUT_SEPARATOR,
            CVM_LAYOUT_ACPI_LOADER, CVM_LAYOUT_ACPI_RSDP, CVM_LAYOUT_ACPI_TABLES,
            CVM_LAYOUT_SMBIOS,
            CVM_LAYOUT_BOOT_ORDER, CVM_LAYOUT_BOOT_OPTION, CVM_LAYOUT_BOOT_OPTION,
        },
        .num_boot_options = 2,
        .boot_options = { CVM_BOOT_MANAGER_MENU, CVM_BOOT_FIRMWARE_SETUP },
    },
};

static const struct cvm_boot_option boot_apps[CVM_BOOT_APPS] = {
    [CVM_BOOT_UI_APP] = { LOAD_OPTION_ACTIVE | LOAD_OPTION_HIDDEN | LOAD_OPTION_CATEGORY_APP,
                          "UiApp", DXEFV, UI_APP },
    [CVM_BOOT_MANAGER_MENU] = { LOAD_OPTION_ACTIVE | LOAD_OPTION_HIDDEN | LOAD_OPTION_CATEGORY_APP,
                                "BootManagerMenuApp", DXEFV, BOOT_MANAGER_MENU_APP },
    [CVM_BOOT_FIRMWARE_SETUP] = { LOAD_OPTION_ACTIVE | LOAD_OPTION_CATEGORY_APP,
                                  "EFI Firmware Setup", DXEFV, UI_APP },
};

/* clang-format off */
static const struct kind {
    const char *name;
    const char *source;
    bool is_optional;
} kinds[CVM_LAYOUT_KINDS] = {
    [CVM_LAYOUT_TD_HOB] =                    { "td_hob", "hand-off block list" },
    [CVM_LAYOUT_CFV] =                       { "cfv", "CFV section" },
    [CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS] =     { "fwcfg_extra_pci_roots", "fw_cfg etc/extra-pci-roots", true },
    [CVM_LAYOUT_FWCFG_BOOTMENU] =            { "fwcfg_bootmenu", "fw_cfg BootMenu" },
    [CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT] =      { "fwcfg_boot_menu_wait", "fw_cfg etc/boot-menu-wait", true },
    [CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END] = { "fwcfg_reserved_memory_end", "fw_cfg etc/reserved-memory-end", true },
    [CVM_LAYOUT_FWCFG_PCI_MMIO64_MB] =       { "fwcfg_pci_mmio64_mb", "fw_cfg opt/ovmf/X-PciMmio64Mb", true },
    [CVM_LAYOUT_FWCFG_BOOTORDER] =           { "fwcfg_bootorder", "fw_cfg bootorder" },
    [CVM_LAYOUT_SECUREBOOT] =                { "secureboot", "variable store" },
    [CVM_LAYOUT_PK] =                        { "pk", "variable store" },
    [CVM_LAYOUT_KEK] =                       { "kek", "variable store" },
    [CVM_LAYOUT_DB] =                        { "db", "variable store" },
    [CVM_LAYOUT_DBX] =                       { "dbx", "variable store" },
    [CVM_LAYOUT_SEPARATOR] =                 { "separator", "constant" },
    [CVM_LAYOUT_ACPI_LOADER] =               { "acpi_loader", "fw_cfg etc/table-loader" },
    [CVM_LAYOUT_ACPI_RSDP] =                 { "acpi_rsdp", "fw_cfg etc/acpi/rsdp" },
    [CVM_LAYOUT_ACPI_TABLES] =               { "acpi_tables", "fw_cfg etc/acpi/tables" },
    [CVM_LAYOUT_SMBIOS] =                    { "smbios", "fw_cfg etc/smbios/smbios-tables, firmware" },
    [CVM_LAYOUT_BOOT_ORDER] =                { "boot_order", "firmware" },
    [CVM_LAYOUT_BOOT_OPTION] =               { "boot_option", "firmware" },
};
/* clang-format on */

const struct cvm_layout *cvm_layout_at(size_t index)
{
    return index < sizeof known / sizeof known[0] ? &known[index] : NULL;
}

const struct cvm_layout *cvm_layout_find(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

bool cvm_layout_same_events(const struct cvm_layout *a, const struct cvm_layout *b)
{
    if (a->num_events != b->num_events || a->num_boot_options != b->num_boot_options ||
        a->secure_boot_byte != b->secure_boot_byte) {
        return false;
    }
    for (uint32_t i = 0; i < a->num_events && i < CVM_LAYOUT_MAX_EVENTS; i++) {
        if (a->events[i] != b->events[i]) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->num_boot_options && i < CVM_LAYOUT_MAX_BOOT_OPTIONS; i++) {
        if (a->boot_options[i] != b->boot_options[i]) {
            return false;
        }
    }
    return true;
}

bool cvm_layout_equal(const struct cvm_layout *a, const struct cvm_layout *b)
{
    return strncmp(a->name, b->name, sizeof a->name) == 0 && a->cmdline_form == b->cmdline_form &&
           cvm_layout_same_events(a, b);
}

uint32_t cvm_layout_num_usual_events(const struct cvm_layout *layout)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < layout->num_events && i < CVM_LAYOUT_MAX_EVENTS; i++) {
        count += !cvm_layout_event_is_optional(layout->events[i]);
    }
    return count;
}

static const struct kind *kind_of(enum cvm_layout_kind kind)
{
    static const struct kind none = { 0 };
    return (unsigned)kind < CVM_LAYOUT_KINDS ? &kinds[kind] : &none;
}

const char *cvm_layout_event_name(enum cvm_layout_kind kind)
{
    return kind_of(kind)->name;
}

const char *cvm_layout_event_source(enum cvm_layout_kind kind)
{
    return kind_of(kind)->source;
}

bool cvm_layout_event_is_optional(enum cvm_layout_kind kind)
{
    return kind_of(kind)->is_optional;
}

const struct cvm_boot_option *cvm_boot_option_at(enum cvm_boot_app app)
{
    return (unsigned)app < CVM_BOOT_APPS ? &boot_apps[app] : NULL;
}
