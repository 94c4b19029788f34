#include "vmm/program.h"

#include "vmm/process.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* --- finding --- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The first directory of a list that has the program; *path stays NULL where none has. */
static bool search(const char *directories, const char *name, char **path, struct cvm_error *err)
{
    while (*directories != '\0') {
        int length = (int)strcspn(directories, ":");
        cvm_autofree char *candidate = NULL;
        if (asprintf(&candidate, "%.*s/%s", length, directories, name) < 0) {
            candidate = NULL;
            return cvm_fail_nomem(err, name, strlen(name));
        }
        if (*directories == '/' && is_program(candidate)) {
            *path = cvm_steal(&candidate);
            return true;
        }
        directories += length;
        directories += *directories == ':';
    }
    return true;
}

bool cvm_program_look_for(const char *name, char **path, struct cvm_error *err)
{
    const char *from_environment = getenv("PATH");
    *path = NULL;
    return search(from_environment == NULL ? "" : from_environment, name, path, err) &&
           (*path != NULL || search("/usr/local/sbin:/usr/sbin:/sbin", name, path, err));
}

bool cvm_program_find(const char *name, const char *package, char **path, struct cvm_error *err)
{
    if (!cvm_program_look_for(name, path, err)) {
        return false;
    }
    return *path != NULL ? true
                         : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                                    "there is no program '%s' (package %s)", name, package);
}

/* --- running --- */

bool cvm_program_run(const struct cvm_program *program, char *text, size_t size,
                     struct cvm_error *err)
{
    enum { TIMEOUT_MS = 60000 };
    char *const *argv = (char *const *)(uintptr_t)program->argv;
    cvm_autobuf struct cvm_buf said = { 0 };
    const struct cvm_capture how = {
        .timeout_ms = TIMEOUT_MS,
        .max = size - 1,
        .errors = program->errors,
        .dir_fd = program->dir_fd,
        .environment = program->environment,
    };
    int status = -1;
    if (!cvm_process_capture(argv, &how, &said, &status, err)) {
        return false;
    }
    if (said.len != 0) {
        memcpy(text, said.data, said.len);
    }
    text[said.len] = '\0';
    return cvm_process_succeeded(status, err);
}
