/*
 * Other programs: found on PATH, run to their end, what they print read.
 */
#ifndef CVM_VMM_PROGRAM_H
#define CVM_VMM_PROGRAM_H

#include "measure/base/cleanup.h"
#include "measure/base/error.h"

/* What to run. All borrowed. */
struct cvm_program {
    const char *const *argv;        /* argv[0] is the path of the program; ends with NULL */
    const char *const *environment; /* NULL: that of this process */
    int dir_fd;                     /* working directory; -1: that of this process */
    bool errors;                    /* what it writes to stderr is read as well */
};

/*
 * The path of a program as cvm_program_find() finds it; *path is NULL where there is none.
 *
 * @return false with CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_program_look_for(const char *name, char **path, struct cvm_error *err);

/*
 * The path of a program, malloc()ed: the first on PATH, else in a directory of the system's own
 * programs, which PATH lacks for ordinary users.
 *
 * @param package  Debian's package that has it, for the message.
 * @return false with CVM_ERR_UNSUPPORTED where there is none.
 */
CVM_MUST_CHECK bool cvm_program_find(const char *name, const char *package, char **path,
                                     struct cvm_error *err);

/*
 * Runs a program without input and waits for its end, for a minute at most.
 *
 * @param text  receives what it prints, with a NUL; what does not fit is lost.
 * @return false with CVM_ERR_SYSTEM where it cannot be run, or with a status other than 0; the
 *         message does not name the program, and text is what it printed all the same.
 */
CVM_MUST_CHECK bool cvm_program_run(const struct cvm_program *program, char *text, size_t size,
                                    struct cvm_error *err);

#endif
