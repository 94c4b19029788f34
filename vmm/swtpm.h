/*
 * An emulated TPM (swtpm) for a machine that no guest ever runs on: without it an emulator makes
 * no TPM device, and no table for it.
 */
#ifndef CVM_VMM_SWTPM_H
#define CVM_VMM_SWTPM_H

#include "measure/base/cleanup.h"
#include "measure/base/error.h"

#include <sys/types.h>

struct cvm_swtpm {
    pid_t pid;  /* -1 where nothing runs */
    int socket; /* the emulator's end of the control channel; -1 where closed */
};

#define CVM_SWTPM_NONE                                                                             \
    {                                                                                              \
        .pid = -1, .socket = -1                                                                    \
    }
#define cvm_autoswtpm CVM_CLEANUP(cvm_swtpm_stop)

/*
 * Starts a TPM 2.0 whose only way in is a pair of sockets; no name leads to it.
 *
 * @param directory  for its state; of our own, and deleted by whoever made it.
 * @return false with CVM_ERR_UNSUPPORTED where swtpm is not on PATH, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_swtpm_start(const char *directory, struct cvm_swtpm *out,
                                    struct cvm_error *err);

/* Ends it; takes one that never ran as well. */
void cvm_swtpm_stop(struct cvm_swtpm *tpm);

#endif
