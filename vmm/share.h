/*
 * The directory that a guest reads through its share.
 *
 * Source: docs/vm-config.md, "What the guest reads".
 */
#ifndef CVM_VMM_SHARE_H
#define CVM_VMM_SHARE_H

#include "vmm/launch_plan.h"

enum { CVM_SHARE_FILES = 5 };

/* Their names, in the order of struct cvm_share; a file that would be empty does not exist. */
extern const char *const cvm_share_names[CVM_SHARE_FILES];

/* The files' contents, loaded before anything is written. */
struct cvm_share {
    struct cvm_buf app_compose;   /* byte for byte as the user gave it */
    struct cvm_buf sys_config;    /* .sys-config.json */
    struct cvm_buf user_config;   /* empty where none was given */
    struct cvm_buf encrypted_env; /* empty where none was given */
    struct cvm_buf instance_info; /* empty where no app_id was given */
    struct cvm_sha256 compose_hash;
};

#define cvm_autoshare CVM_CLEANUP(cvm_share_free)

/*
 * Loads and builds the contents.
 *
 * @param vm_config  the text of the vm_config, which .sys-config.json carries as a string.
 */
CVM_MUST_CHECK bool cvm_share_load(const struct cvm_launch_plan *plan, const char *vm_config,
                                   struct cvm_share *out, struct cvm_error *err);

/* Writes the directory "shared" below dir_fd. */
CVM_MUST_CHECK bool cvm_share_write(const struct cvm_share *share, int dir_fd,
                                    struct cvm_error *err);
void cvm_share_free(struct cvm_share *share);

/* MRCONFIGID, version 1: the byte 1, the compose hash, zeros; appended in base64 with a NUL. */
CVM_MUST_CHECK bool cvm_mr_config_id(const struct cvm_sha256 *compose_hash, struct cvm_buf *out,
                                     struct cvm_error *err);

#endif
