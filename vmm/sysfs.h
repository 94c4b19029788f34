/*
 * Small texts, links and directories of the kernel: /sys and /dev.
 *
 * Every path is relative to a root, which is "" for the host itself and a made-up tree in tests.
 * Reading is bounded: what is longer than the kernel writes is an error that names the path.
 */
#ifndef CVM_VMM_SYSFS_H
#define CVM_VMM_SYSFS_H

#include "measure/base/error.h"

#include <stddef.h>

enum { CVM_SYSFS_PATH = 1024, CVM_SYSFS_NAME = 32, CVM_SYSFS_MAX_NAMES = 4096 };

/*
 * Reads a text whole, without the newline at its end.
 *
 * @param path  from the root on, with a slash in front.
 * @param size  of the buffer; a text that needs more is CVM_ERR_MALFORMED.
 * @return false with CVM_ERR_SYSTEM where it cannot be read.
 */
CVM_MUST_CHECK bool cvm_sysfs_text(const char *root, const char *path, char *out, size_t size,
                                   struct cvm_error *err);

/* Whether there is such a path; links are followed. */
bool cvm_sysfs_has(const char *root, const char *path);

/*
 * The last part of what a link leads to; "" where there is no such link.
 *
 * @return false with CVM_ERR_SYSTEM, CVM_ERR_MALFORMED where it has CVM_SYSFS_NAME characters or
 *         more.
 */
CVM_MUST_CHECK bool cvm_sysfs_link(const char *root, const char *path, char out[CVM_SYSFS_NAME],
                                   struct cvm_error *err);

/* Names in a directory, sorted, without "." and "..". */
struct cvm_sysfs_names {
    char (*items)[CVM_SYSFS_NAME]; /* owned */
    size_t count;
};

CVM_MUST_CHECK bool cvm_sysfs_list(const char *root, const char *path, struct cvm_sysfs_names *out,
                                   struct cvm_error *err);
void cvm_sysfs_names_free(struct cvm_sysfs_names *names);

#endif
