/*
 * The share as a disk: a raw image with a FAT file system, made of a guest's directory "shared".
 *
 * mkfs.vfat and mcopy make it. The same files give the same image, byte for byte.
 *
 * Source: docs/vm-config.md, "What the guest reads".
 */
#ifndef CVM_VMM_SHARE_DISK_H
#define CVM_VMM_SHARE_DISK_H

#include "measure/base/error.h"

#define CVM_SHARE_IMAGE "share.img"

/* The label by which guests look for a share that is a disk. */
#define CVM_SHARE_LABEL "DSTACKSHR"

/* Whether a host_share_mode (NULL: the default) needs such an image. */
bool cvm_share_disk_needed(const char *mode);

/* Whether this host has the programs; CVM_ERR_UNSUPPORTED naming the one that is missing. */
CVM_MUST_CHECK bool cvm_share_disk_possible(struct cvm_error *err);

/*
 * Makes "share.img" below dir_fd from the files of "shared", in place of an older one. It belongs
 * to whom "shared" belongs to.
 *
 * @return false with CVM_ERR_UNSUPPORTED for more than a small image holds, CVM_ERR_SYSTEM with
 *         what a program complained of; an older image is then as it was.
 */
CVM_MUST_CHECK bool cvm_share_disk_make(int dir_fd, struct cvm_error *err);

#endif
