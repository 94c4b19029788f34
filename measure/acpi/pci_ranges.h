/*
 * Where the firmware puts what is on the PCI buses, as far as the tables show it: which ranges
 * each expander decodes, and where the 64-bit ranges of the root bus end.
 *
 * QEMU writes the tables when the firmware asks for them, and by then the firmware has numbered
 * the buses and programmed every BAR and bridge window. How edk2's PCI bus driver goes about it
 * is followed here, for what QEMU's root ports and the devices of struct cvm_machine ask for.
 *
 * Source:  UEFI PI 1.8, volume 5, 10 (PCI host bridge) and 12 (hot-plug: padding); seen inside
 *          guests after three builds of OVMF (docs/measurement.md).
 */
#ifndef CVM_ACPI_PCI_RANGES_H
#define CVM_ACPI_PCI_RANGES_H

#include "measure/include/cvm/machine.h"

/* Of I/O ports the firmware reserves none behind a port. */
enum acpi_space { ACPI_MEM32, ACPI_MEM64, ACPI_SPACES };

/* Addresses, both ends included. */
struct acpi_range {
    uint64_t first, last;
};

/* Ascending; ranges that touch are one. An expander has up to 32 ports, each asks for two. */
enum { ACPI_MAX_RANGES = 2 * 32 };
struct acpi_range_list {
    struct acpi_range items[ACPI_MAX_RANGES];
    size_t count;
};

/* What an expander decodes. */
struct acpi_expander_ranges {
    struct acpi_range_list spaces[ACPI_SPACES];
    uint8_t last_bus; /* the highest bus behind it */
};

struct acpi_pci_ranges {
    /* Of the nodes that have an expander. The ranges ascend from node to node. */
    struct acpi_expander_ranges nodes[CVM_MAX_NUMA_NODES];
    uint64_t root_mem64_end; /* behind the last 64-bit range of the root bus; 0: not known */
};

/*
 * Works them out. For a machine that does not say what is behind its ports, expanders decode
 * nothing but their own bus: so the tables are before any firmware ran.
 *
 * @param machine  passed cvm_machine_check().
 * @return false with CVM_ERR_UNSUPPORTED where the windows do not fit, or the width of the
 *         64-bit window is unknown.
 */
CVM_MUST_CHECK bool acpi_pci_ranges_assign(const struct cvm_machine *machine,
                                           struct acpi_pci_ranges *out, struct cvm_error *err);

/* Adds a range in its place, joined with those it touches. */
void acpi_range_add(struct acpi_range_list *list, struct acpi_range range);

#endif
