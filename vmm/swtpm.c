#include "vmm/swtpm.h"

#include "vmm/process.h"
#include "vmm/program.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

bool cvm_swtpm_start(const char *directory, struct cvm_swtpm *out, struct cvm_error *err)
{
    int sockets[2];
    char state[128];
    char control[64];
    cvm_autofree char *program = NULL;
    if (!cvm_program_find("swtpm", "swtpm", &program, err)) {
        return cvm_context(err, "an emulator with a TPM");
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        return cvm_fail_errno(err, errno, "socket pair");
    }
    out->socket = sockets[0];
    cvm_autoclose int theirs = sockets[1];
    snprintf(state, sizeof state, "dir=%s,mode=0600", directory);
    snprintf(control, sizeof control, "type=unixio,clientfd=%d", theirs);
    char *const argv[] = { program,
                           (char *)(uintptr_t) "socket",
                           (char *)(uintptr_t) "--tpm2",
                           (char *)(uintptr_t) "--tpmstate",
                           state,
                           (char *)(uintptr_t) "--ctrl",
                           control,
                           NULL };
    const struct cvm_process_io io = {
        .in = -1, .out = -1, .errors = -1, .keep = theirs, .dir_fd = -1
    };
    return cvm_process_start(argv, &io, &out->pid, err);
}

void cvm_swtpm_stop(struct cvm_swtpm *tpm)
{
    cvm_process_end(&tpm->pid);
    cvm_close_at(&tpm->socket);
    tpm->socket = -1;
}
