/*
 * Asking an emulator itself for the firmware files of a machine, with no guest code running.
 *
 * The emulator is started with its CPUs stopped; the registers that firmware programs are
 * written through its monitor, and the files are read through fw_cfg, as firmware does. Nothing
 * of it needs KVM (but for many CPUs on an old QEMU), TDX or root. Everything that is started and
 * written for it is gone when the call returns.
 *
 * Source: QEMU's documentation of fw_cfg (docs/specs) and QMP; docs/measurement.md for the
 *         registers.
 */
#ifndef CVM_VMM_QEMU_PROBE_H
#define CVM_VMM_QEMU_PROBE_H

#include "measure/base/buf.h"
#include "vmm/emulator.h"
#include "vmm/fw_cfg.h"
#include "vmm/qemu_cpu.h"

/* What is asked. All borrowed. */
struct cvm_probe {
    const struct cvm_emulator *emulator;
    const struct cvm_machine *machine;
    const char *cpu; /* model; NULL: one that every build has. No ACPI table shows it */
    const char *const
        *options;        /* more of the command line, ending with NULL: `-smbios` ...; NULL */
    unsigned timeout_ms; /* for all of it; 0: by the machine's size */
    /* Adds what gives a guest its measured items of fw_cfg, and no ACPI table shows: a kernel, the
       machine's SMBIOS strings, boot_menu_wait and pci_mmio64_mb. */
    bool with_items;
};

/* A file of fw_cfg: asked for by name, answered as the emulator hands it out. */
struct cvm_probed_file {
    const char *name;
    bool optional; /* the emulator may lack it */
    /* Where its size is not 0: an item with a key of its own, which no directory lists. */
    struct cvm_fw_cfg_entry fixed;
    bool found; /* set */
    struct cvm_buf data;
};

enum {
    CVM_PROBE_MAX_FILES = 16,
    CVM_PROBE_MAX_FILE_SIZE = 1 << 20,
};

/*
 * Starts the emulator for this machine, asks for its CPU and reads files, in the order given. In
 * every slot of the root bus that has no root port sits a virtio-rng, which shows as any endpoint
 * does.
 *
 * @param files  names, at most CVM_PROBE_MAX_FILES; data and found are replaced. An optional file
 *               may be empty.
 * @param cpu    set to what the emulator says of its first CPU; NULL: it is not asked.
 * @return false with CVM_ERR_SYSTEM where the emulator cannot be run, ends, is not done in time
 *         or lacks a file, with what it said; CVM_ERR_UNSUPPORTED for a machine that it cannot be
 *         asked for (no swtpm, no accelerator for so many CPUs, memory below 2 MiB).
 */
CVM_MUST_CHECK bool cvm_qemu_probe(const struct cvm_probe *probe, struct cvm_probed_file *files,
                                   size_t num_files, struct cvm_probed_cpu *cpu,
                                   struct cvm_error *err);

void cvm_probed_files_free(struct cvm_probed_file *files, size_t num_files);

#endif
