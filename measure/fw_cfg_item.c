#include "measure/fw_cfg_item.h"

/* What QEMU serves as fw_cfg file bootorder for direct kernel boot, with its NUL. */
#define BOOTORDER "/rom@genroms/linuxboot_dma.bin"

bool fw_cfg_item_exists(const struct cvm_machine *machine, enum cvm_layout_kind kind)
{
    switch (kind) {
    case CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS:
        return cvm_machine_count(machine, CVM_DEVICE_EXPANDER) != 0;
    case CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT:
        return machine->boot_menu_wait != 0;
    case CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END:
        return machine->reserved_memory_end != 0;
    case CVM_LAYOUT_FWCFG_PCI_MMIO64_MB:
        return machine->pci_mmio64_mb != 0;
    default:
        return true;
    }
}

void fw_cfg_item_put(const struct cvm_machine *machine, enum cvm_layout_kind kind,
                     struct cvm_buf *out)
{
    switch (kind) {
    case CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS: /* how many expanders there are */
        cvm_put_le(out, cvm_machine_count(machine, CVM_DEVICE_EXPANDER), 8);
        break;
    case CVM_LAYOUT_FWCFG_BOOTMENU: /* no menu */
        cvm_put_le(out, 0, 2);
        break;
    case CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT:
        cvm_put_le(out, machine->boot_menu_wait, 2);
        break;
    case CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END:
        cvm_put_le(out, machine->reserved_memory_end, 8);
        break;
    case CVM_LAYOUT_FWCFG_PCI_MMIO64_MB: /* opt/ovmf/X-PciMmio64Mb, a text without NUL */
        cvm_put_format(out, "%u", machine->pci_mmio64_mb);
        break;
    case CVM_LAYOUT_FWCFG_BOOTORDER:
        cvm_put_bytes(out, BOOTORDER, sizeof BOOTORDER);
        break;
    default:
        break;
    }
}
