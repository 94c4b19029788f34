/*
 * A QEMU process and its machine protocol (QMP) on a socket of our own.
 *
 * The whole conversation has one time limit, after which every call fails.
 */
#ifndef CVM_VMM_QMP_H
#define CVM_VMM_QMP_H

#include "vmm/json.h"

#include <sys/types.h>

struct cvm_qmp {
    pid_t pid;            /* -1 where nothing runs */
    int socket;           /* QMP; -1 where closed */
    int errors;           /* what the process writes to standard error; -1 where closed */
    struct cvm_buf input; /* received, not yet taken */
    uint64_t deadline;    /* by cvm_now_ms() */
    unsigned timeout_ms;
};

#define CVM_QMP_NONE                                                                               \
    {                                                                                              \
        .pid = -1, .socket = -1, .errors = -1                                                      \
    }
#define cvm_autoqmp CVM_CLEANUP(cvm_qmp_close)

/*
 * Runs a program whose standard input and output are QMP (`-qmp stdio`), and greets it.
 *
 * @param argv        ends with NULL; argv[0] is the program's path.
 * @param keep        a descriptor that it inherits; -1 for none.
 * @param timeout_ms  for everything until cvm_qmp_close().
 * @return false with CVM_ERR_SYSTEM and the first line of what the program wrote to stderr.
 */
CVM_MUST_CHECK bool cvm_qmp_start(char *const *argv, int keep, unsigned timeout_ms,
                                  struct cvm_qmp *out, struct cvm_error *err);

/* A string that goes with a command; a list of them ends with a NULL name. */
struct cvm_qmp_argument {
    const char *name, *value;
};

/*
 * Runs a command.
 *
 * @param document  owns the answer; to be freed with cvm_json_free(), success or not.
 * @param result    what it returned, borrowed from the document.
 * @return false with CVM_ERR_SYSTEM where it is refused, or no answer comes in time.
 */
CVM_MUST_CHECK bool cvm_qmp_run(struct cvm_qmp *q, const char *command,
                                const struct cvm_qmp_argument *arguments,
                                struct json_object **document, struct json_object **result,
                                struct cvm_error *err);

/* Runs a command of the human monitor; appends what it prints, with a NUL. */
CVM_MUST_CHECK bool cvm_qmp_monitor(struct cvm_qmp *q, const char *command, struct cvm_buf *answer,
                                    struct cvm_error *err);

/* Ends the process and waits for it; takes a closed one as well. */
void cvm_qmp_close(struct cvm_qmp *q);

#endif
