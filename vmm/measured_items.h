/*
 * The measured files of fw_cfg beside the ACPI files: as they are predicted for a machine, and as
 * an emulator hands them out.
 *
 * The emulator is not given the machine's CPU, which only the host that runs it may have: SMBIOS is
 * predicted with the CPU that the emulator has instead.
 *
 * Source: docs/measurement.md, events fwcfg_* and smbios of RTMR0.
 */
#ifndef CVM_VMM_MEASURED_ITEMS_H
#define CVM_VMM_MEASURED_ITEMS_H

#include "measure/smbios.h"
#include "vmm/acpi_probe.h"

/* In the order in which they are shown. */
enum cvm_item {
    CVM_ITEM_SMBIOS,
    CVM_ITEM_EXTRA_PCI_ROOTS,
    CVM_ITEM_BOOTMENU,
    CVM_ITEM_BOOT_MENU_WAIT,
    CVM_ITEM_RESERVED_MEMORY_END,
    CVM_ITEM_PCI_MMIO64_MB,
    CVM_ITEM_BOOTORDER,
    CVM_NUM_ITEMS,
};

/* The bytes of each item; owned. One that does not exist has none. */
struct cvm_items {
    struct cvm_buf data[CVM_NUM_ITEMS];
    bool exists[CVM_NUM_ITEMS];
};

#define cvm_autoitems CVM_CLEANUP(cvm_items_free)

void cvm_items_free(struct cvm_items *items);

/*
 * What is predicted for a machine with that CPU.
 *
 * @param out  zeroed; to be released with cvm_items_free(), success or not.
 * @return false as cvm_smbios_build(), or with CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_items_predict(const struct cvm_machine *machine,
                                      const struct cvm_probed_cpu *cpu, struct cvm_items *out,
                                      struct cvm_error *err);

/*
 * What an emulator hands out, in one go with its ACPI files.
 *
 * @param acpi   starts as CVM_PROBED_ACPI_NONE.
 * @param items  zeroed; to be released with cvm_items_free(), success or not.
 * @return false as cvm_qemu_probe().
 */
CVM_MUST_CHECK bool cvm_items_probe(const struct cvm_emulator *emulator,
                                    const struct cvm_machine *machine, struct cvm_probed_acpi *acpi,
                                    struct cvm_items *items, struct cvm_probed_cpu *cpu,
                                    struct cvm_error *err);

enum cvm_item_state {
    CVM_ITEM_EQUAL,
    CVM_ITEM_DIFFERS,
    CVM_ITEM_MISSING, /* the emulator has it, we have not */
    CVM_ITEM_SURPLUS, /* we have it, the emulator has not */
    CVM_ITEM_ABSENT,  /* neither has it */
    /* The machine has it, and the emulator would with memory for hot-plug only, which no machine
       here has: reserved_memory_end. */
    CVM_ITEM_NOT_COMPARED,
};

/* "equal", "differs", "missing", "surplus", "absent", "not_compared". */
const char *cvm_item_state_word(enum cvm_item_state state);

struct cvm_item_comparison {
    const char *name; /* "smbios", "bootorder", ... */
    enum cvm_item_state state;
    struct cvm_bytes ours, theirs; /* borrowed; empty where there is none */
    size_t first_difference;       /* offset; where one ends, if it is a beginning */
};

struct cvm_items_comparison {
    bool equal;
    struct cvm_item_comparison items[CVM_NUM_ITEMS];
    bool placed; /* whether a difference of SMBIOS lies in a structure that can be read */
    struct smbios_place place;
};

/* Compares; the result borrows from both. */
void cvm_items_compare(const struct cvm_items *ours, const struct cvm_items *theirs,
                       struct cvm_items_comparison *out);

#endif
