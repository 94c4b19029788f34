/*
 * Writing a guest's directory: everything its launch remembers, and what QEMU writes to.
 */
#ifndef CVM_VMM_GUEST_DIR_H
#define CVM_VMM_GUEST_DIR_H

#include "vmm/launch.h"
#include "vmm/share.h"

/* What goes into the directory. All borrowed. */
struct cvm_guest_files {
    const struct cvm_launch_plan *plan;
    const struct cvm_launched *launched;
    const struct cvm_share *share;
    const struct cvm_buf *vm_config; /* text */
    bool share_is_image;             /* the guest reads its share from a disk image */
    const struct cvm_buf *manifest;  /* text; empty where there is none */
    const char *owner;               /* "+0:+0": who QEMU runs as; NULL: libvirt's choice */
};

/* Writes all files below dir_fd, which is empty; vm.json comes last. */
CVM_MUST_CHECK bool cvm_guest_dir_write(const struct cvm_guest_files *files, int dir_fd,
                                        struct cvm_error *err);

#endif
