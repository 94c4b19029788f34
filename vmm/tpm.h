/*
 * Whether a guest can have a TPM: libvirt runs swtpm for it.
 */
#ifndef CVM_VMM_TPM_H
#define CVM_VMM_TPM_H

#include "vmm/hypervisor.h"

/* CVM_ERR_UNSUPPORTED saying what is missing; CVM_ERR_SYSTEM. */
CVM_MUST_CHECK bool cvm_tpm_possible(struct cvm_hypervisor *h, const char *emulator,
                                     struct cvm_error *err);

#endif
