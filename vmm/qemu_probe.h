/*
 * Asking an emulator itself for the ACPI files of a machine, with no guest code running.
 *
 * The emulator is started with its CPUs stopped; the registers that firmware programs are
 * written through its monitor, and the files are read through fw_cfg, as firmware does. Nothing
 * of it needs KVM, TDX or root.
 *
 * Source: QEMU's documentation of fw_cfg (docs/specs) and QMP; docs/measurement.md for the
 *         registers.
 */
#ifndef CVM_VMM_QEMU_PROBE_H
#define CVM_VMM_QEMU_PROBE_H

#include "measure/base/buf.h"
#include "measure/include/cvm/machine.h"

/* The three files as the emulator hands them out. */
struct cvm_probed_files {
    struct cvm_buf tables;
    struct cvm_buf rsdp;
    struct cvm_buf loader;
};

#define cvm_autoprobed CVM_CLEANUP(cvm_probed_files_free)

/*
 * Starts the emulator for this machine and reads its files. In every slot of the root bus sits a
 * virtio-rng, which shows as any endpoint does.
 *
 * @return false with CVM_ERR_SYSTEM where the emulator cannot be run or does not answer, with
 *         what it said; CVM_ERR_UNSUPPORTED for a machine with a TPM, which needs an emulated one.
 */
CVM_MUST_CHECK bool cvm_qemu_probe(const char *emulator, const struct cvm_machine *machine,
                                   struct cvm_probed_files *out, struct cvm_error *err);
void cvm_probed_files_free(struct cvm_probed_files *files);

#endif
