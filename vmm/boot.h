/*
 * Starting a defined domain so that what was verified is what runs.
 */
#ifndef CVM_VMM_BOOT_H
#define CVM_VMM_BOOT_H

#include "vmm/hypervisor.h"
#include "vmm/image.h"
#include "vmm/request.h"

/*
 * Starts the domain with its CPUs stopped, so that QEMU reads firmware, kernel and initrd, looks
 * whether the bundle's files are still those that were verified, and only then lets it run.
 *
 * @return false with CVM_ERR_MISMATCH where a file changed, or as libvirt says; the domain may
 *         be left paused, for cvm_boot_take_back().
 */
CVM_MUST_CHECK bool cvm_boot(struct cvm_hypervisor *h, const struct cvm_bundle *bundle,
                             const struct cvm_request *request, const char *uuid,
                             struct cvm_error *err);

/* Ends the domain, and forgets it where asked to; what goes wrong here must not hide why. */
void cvm_boot_take_back(struct cvm_hypervisor *h, const char *uuid, bool undefine);

#endif
