/*
 * Launching: the whole way from a request to a running guest, and back.
 *
 * A launch that fails at any step leaves no domain and no directory behind.
 */
#ifndef CVM_VMM_LAUNCH_H
#define CVM_VMM_LAUNCH_H

#include "vmm/hypervisor.h"
#include "vmm/launch_plan.h"
#include "vmm/store.h"
#include "vmm/vfio.h"

/* What a launch made, for whoever asked for it. */
struct cvm_launched {
    char uuid[CVM_UUID_SIZE];
    uint32_t cid;
    char *directory;    /* owned; the directory it has, or would have */
    struct cvm_buf xml; /* the domain document, with a NUL */
    bool vsock_stand_in;
    enum cvm_iommufd_form iommufd;
};

void cvm_launched_free(struct cvm_launched *l);

/*
 * Launches a plan that was measured: directory, domain, running guest.
 *
 * @return false with CVM_ERR_UNSUPPORTED saying what the host lacks for TDX, CVM_ERR_USAGE
 *         where the name is taken, CVM_ERR_MISMATCH where the image changed meanwhile or the
 *         emulator does not write the tables that were predicted (acpi_check), CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_launch(struct cvm_launch_plan *plan, struct cvm_launched *out,
                               struct cvm_error *err);

/* The same without writing, defining or starting anything, and without libvirt. */
CVM_MUST_CHECK bool cvm_launch_preview(struct cvm_launch_plan *plan, struct cvm_launched *out,
                                       struct cvm_error *err);

/*
 * Starts a guest that is off, as it was launched: its image is verified again, and the emulator
 * must still have the version that its vm_config declares.
 */
CVM_MUST_CHECK bool cvm_launch_again(const struct cvm_host *host, const struct cvm_vm *vm,
                                     cvm_bundle_progress *progress, struct cvm_error *err);

#endif
