#include "vmm/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

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

bool cvm_program_find(const char *name, const char *package, char **path, struct cvm_error *err)
{
    const char *from_environment = getenv("PATH");
    *path = NULL;
    if (!search(from_environment == NULL ? "" : from_environment, name, path, err) ||
        (*path == NULL && !search("/usr/local/sbin:/usr/sbin:/sbin", name, path, err))) {
        return false;
    }
    return *path != NULL ? true
                         : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                                    "there is no program '%s' (package %s)", name, package);
}

/* --- running --- */

static int spawn(const struct cvm_program *program, int output, pid_t *pid)
{
    char *const *argv = (char *const *)(uintptr_t)program->argv;
    char *const *environment =
        program->environment == NULL ? environ : (char *const *)(uintptr_t)program->environment;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (program->errors) {
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (program->dir_fd >= 0) {
        posix_spawn_file_actions_addfchdir_np(&actions, program->dir_fd);
    }
    int rc = posix_spawn(pid, argv[0], &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Up to size bytes; fewer where the program has no more to say. */
static size_t read_some(int fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;
    while (length < size &&
           ((n = read(fd, text + length, size - length)) > 0 || (n < 0 && errno == EINTR))) {
        length += n > 0 ? (size_t)n : 0;
    }
    return length;
}

/* The rest is read as well, so that nobody is ended for saying more; but not for ever. */
static void read_text(int fd, char *text, size_t size)
{
    enum { MAX_CHUNKS = 4096 };
    char lost[4096];
    text[read_some(fd, text, size - 1)] = '\0';
    for (unsigned i = 0; i < MAX_CHUNKS && read_some(fd, lost, sizeof lost) == sizeof lost; i++) {
    }
}

bool cvm_program_run(const struct cvm_program *program, char *text, size_t size,
                     struct cvm_error *err)
{
    int pipe_fds[2];
    pid_t pid = -1;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return cvm_fail_errno(err, errno, "pipe");
    }
    cvm_autoclose int out = pipe_fds[0];
    int rc = spawn(program, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (rc != 0) {
        return cvm_fail_errno(err, rc, "run");
    }
    read_text(out, text, size);
    cvm_close_at(&out); /* who writes for ever is ended by that */
    out = -1;
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "ended by signal %d", WTERMSIG(status));
    }
    return status == 0 ? true
                       : cvm_fail(err, CVM_ERR_SYSTEM, "ended with status %d", WEXITSTATUS(status));
}
