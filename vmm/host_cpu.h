/*
 * The host's CPU, as QEMU shows it in the SMBIOS tables of a guest with host-passthrough.
 *
 * What stands there is QEMU's own word of features, not what CPUID answers inside the guest: for
 * a TD, bits that the TDX module decides are in it as QEMU's TDX tree takes them to be.
 *
 * Source: docs/measurement.md, "The guest's CPU".
 */
#ifndef CVM_VMM_HOST_CPU_H
#define CVM_VMM_HOST_CPU_H

#include "measure/include/cvm/machine.h"
#include "vmm/warnings.h"

/* CPUID leaf 1, EAX and EDX, of the CPU this runs on; false where there is no such leaf. */
bool cvm_host_cpu_read(uint32_t *eax, uint32_t *edx);

/*
 * Sets cpu_signature and cpu_features_edx of a machine where they are not set.
 *
 * @param eax, edx  CPUID leaf 1 of the host.
 * @param is_td     whether the guest runs as a TD. From QEMU 10.0 on its features follow from the
 *                  TDX module as well, and stay unset: only a warning says so.
 */
void cvm_host_cpu_fill(uint32_t eax, uint32_t edx, bool is_td, struct cvm_machine *machine,
                       struct cvm_warnings *warnings);

#endif
