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
        .boot_options = {
            { LOAD_OPTION_ACTIVE | LOAD_OPTION_HIDDEN | LOAD_OPTION_CATEGORY_APP, "UiApp", DXEFV,
              UI_APP },
        },
    },
    {
        .name = "stable202505", /* edk2-stable202505; 17 events on a machine without expanders */
        .num_events = 18,
        .events = {
            CVM_LAYOUT_TD_HOB, CVM_LAYOUT_CFV,
            CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS, CVM_LAYOUT_FWCFG_BOOTMENU, CVM_LAYOUT_FWCFG_BOOTORDER,
            CVM_LAYOUT_SECUREBOOT, CVM_LAYOUT_PK, CVM_LAYOUT_KEK, CVM_LAYOUT_DB, CVM_LAYOUT_DBX,
            CVM_LAYOUT_SEPARATOR,
            CVM_LAYOUT_ACPI_LOADER, CVM_LAYOUT_ACPI_RSDP, CVM_LAYOUT_ACPI_TABLES,
            CVM_LAYOUT_SMBIOS,
            CVM_LAYOUT_BOOT_ORDER, CVM_LAYOUT_BOOT_OPTION, CVM_LAYOUT_BOOT_OPTION,
        },
        .num_boot_options = 2,
        .boot_options = {
            { LOAD_OPTION_ACTIVE | LOAD_OPTION_HIDDEN | LOAD_OPTION_CATEGORY_APP,
              "BootManagerMenuApp", DXEFV, BOOT_MANAGER_MENU_APP },
            { LOAD_OPTION_ACTIVE | LOAD_OPTION_CATEGORY_APP, "EFI Firmware Setup", DXEFV, UI_APP },
        },
    },
};

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
