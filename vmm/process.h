/*
 * Child processes: started so that they cannot outlive us, ended for certain, and what they print
 * captured within a size and a time.
 */
#ifndef CVM_VMM_PROCESS_H
#define CVM_VMM_PROCESS_H

#include "measure/base/buf.h"

#include <sys/types.h>

/* What a process is given. -1 for a stream is /dev/null. All borrowed. */
struct cvm_process_io {
    int in, out, errors;
    int keep;   /* one more descriptor it inherits, under the same number; -1 for none */
    int dir_fd; /* its working directory; -1 for ours */
    const char *const *environment; /* ends with NULL; NULL for ours */
};

/*
 * Starts a program. The kernel kills it should the calling thread end first.
 *
 * @param argv  ends with NULL; argv[0] is the program's path, which is not searched for.
 * @param pid   to be handed to cvm_process_end().
 * @return false with CVM_ERR_SYSTEM where it cannot be run.
 */
CVM_MUST_CHECK bool cvm_process_start(char *const *argv, const struct cvm_process_io *io,
                                      pid_t *pid, struct cvm_error *err);

/* Kills a process and waits for it; takes -1 as well and leaves it. */
void cvm_process_end(pid_t *pid);

#define cvm_autoprocess CVM_CLEANUP(cvm_process_end)

/* How a program is run to its end, without input. All borrowed. */
struct cvm_capture {
    unsigned timeout_ms;
    size_t max;                     /* bytes of output that are kept; the rest is thrown away */
    bool errors;                    /* standard error is kept as well */
    int dir_fd;                     /* working directory; -1 for ours */
    const char *const *environment; /* ends with NULL; NULL for ours */
};

/*
 * Runs a program to its end and appends what it prints.
 *
 * @param argv    as of cvm_process_start().
 * @param status  set to what waitpid() says.
 * @return false with CVM_ERR_SYSTEM where it cannot be run or is not done in time; it is killed
 *         then.
 */
CVM_MUST_CHECK bool cvm_process_capture(char *const *argv, const struct cvm_capture *how,
                                        struct cvm_buf *out, int *status, struct cvm_error *err);

/* Whether it ended with status 0; CVM_ERR_SYSTEM says with which status or signal it did. */
CVM_MUST_CHECK bool cvm_process_succeeded(int status, struct cvm_error *err);

/* --- time --- */

/* A moment by the monotonic clock, in milliseconds. */
uint64_t cvm_now_ms(void);

/* How long until then, for poll(); 0 where it has passed. */
int cvm_ms_until(uint64_t moment);

/* --- a directory of our own --- */

/* A directory that only this user can enter, with what is in it. */
struct cvm_private_dir {
    char path[80]; /* of letters, digits and "/._-"; "" where none was made */
};

#define cvm_autodir CVM_CLEANUP(cvm_private_dir_delete)

/* Makes one below TMPDIR, or below /tmp where that is long or has other characters. */
CVM_MUST_CHECK bool cvm_private_dir_make(struct cvm_private_dir *out, struct cvm_error *err);

/* Deletes it with its files and one level of directories; takes { "" } as well. */
void cvm_private_dir_delete(struct cvm_private_dir *dir);

#endif
