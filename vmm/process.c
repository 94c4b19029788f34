#include "vmm/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

/* --- starting and ending --- */

/* Nothing may lie where another stream goes: each is first moved above the three. */
static bool place_streams(const struct cvm_process_io *io)
{
    const int wanted[] = { io->in, io->out, io->errors };
    int moved[3];
    for (int i = 0; i < 3; i++) {
        int fd = wanted[i] >= 0 ? wanted[i] : open("/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
        moved[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (moved[i] < 0) {
            return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(moved[i], i) < 0) {
            return false;
        }
    }
    return io->keep < 0 || fcntl(io->keep, F_SETFD, 0) == 0;
}

/* In the child, where only functions may be called that are safe after fork(). */
static void become(char *const *argv, const struct cvm_process_io *io, pid_t parent, int report)
{
    int failed = 0;
    char *const *environment =
        io->environment == NULL ? environ : (char *const *)(uintptr_t)io->environment;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || (io->dir_fd >= 0 && fchdir(io->dir_fd) != 0) ||
        !place_streams(io)) {
        failed = errno;
    }
    if (failed == 0 && getppid() == parent) { /* else it ended before we asked to be told */
        execve(argv[0], argv, environment);
        failed = errno;
    }
    ssize_t ignored = write(report, &failed, sizeof failed);
    (void)ignored;
    _exit(127);
}

bool cvm_process_start(char *const *argv, const struct cvm_process_io *io, pid_t *pid,
                       struct cvm_error *err)
{
    int report[2]; /* closed by a successful exec; else carries errno */
    if (pipe2(report, O_CLOEXEC) != 0) {
        return cvm_fail_errno(err, errno, "pipe");
    }
    cvm_autoclose int result = report[0];
    cvm_autoclose int theirs = report[1];
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return cvm_fail_errno(err, errno, "fork");
    }
    if (child == 0) {
        /* The descriptor must not lie where a stream goes. */
        int above = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
        become(argv, io, parent, above);
    }
    cvm_close_at(&theirs);
    theirs = -1;
    int why = 0;
    ssize_t n;
    do {
        n = read(result, &why, sizeof why);
    } while (n < 0 && errno == EINTR);
    if (n != 0) {
        cvm_process_end(&child);
        return cvm_fail_errno(err, why, "run '%s'", argv[0]);
    }
    *pid = child;
    return true;
}

void cvm_process_end(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    *pid = -1;
}

/* --- capturing --- */

/* Reads to the end of the stream; false where the time is up first. */
static bool drain(int fd, size_t max, uint64_t deadline, struct cvm_buf *out)
{
    for (;;) {
        char chunk[4096];
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int ready = poll(&p, 1, cvm_ms_until(deadline));
        if (ready == 0) {
            return false;
        }
        ssize_t n = ready < 0 ? -1 : read(fd, chunk, sizeof chunk);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return true;
        }
        size_t room = max > out->len ? max - out->len : 0;
        if (n > 0) {
            cvm_put_bytes(out, chunk, (size_t)n < room ? (size_t)n : room);
        }
    }
}

/* A program may close its output and stay. */
static bool await_end(pid_t *pid, uint64_t deadline, int *status)
{
    static const struct timespec pause = { .tv_nsec = 2000000 };
    for (;;) {
        pid_t ended = waitpid(*pid, status, WNOHANG);
        if (ended == *pid) {
            *pid = -1;
            return true;
        }
        if ((ended < 0 && errno != EINTR) || cvm_ms_until(deadline) == 0) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
}

bool cvm_process_capture(char *const *argv, const struct cvm_capture *how, struct cvm_buf *out,
                         int *status, struct cvm_error *err)
{
    int fds[2];
    uint64_t deadline = cvm_now_ms() + how->timeout_ms;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return cvm_fail_errno(err, errno, "pipe");
    }
    cvm_autoclose int ours = fds[0];
    cvm_autoclose int theirs = fds[1];
    cvm_autoprocess pid_t pid = -1;
    const struct cvm_process_io io = {
        .in = -1,
        .out = theirs,
        .errors = how->errors ? theirs : -1,
        .keep = -1,
        .dir_fd = how->dir_fd,
        .environment = how->environment,
    };
    if (!cvm_process_start(argv, &io, &pid, err)) {
        return false;
    }
    cvm_close_at(&theirs);
    theirs = -1;
    if (!drain(ours, how->max, deadline, out) || !await_end(&pid, deadline, status)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "'%s' is not done within %u ms", argv[0],
                        how->timeout_ms);
    }
    return cvm_buf_finish(out, argv[0], err);
}

bool cvm_process_succeeded(int status, struct cvm_error *err)
{
    if (WIFSIGNALED(status)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "ended by signal %d", WTERMSIG(status));
    }
    return status == 0 ? true
                       : cvm_fail(err, CVM_ERR_SYSTEM, "ended with status %d", WEXITSTATUS(status));
}

/* --- time --- */

uint64_t cvm_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int cvm_ms_until(uint64_t moment)
{
    uint64_t now = cvm_now_ms();
    uint64_t left = moment > now ? moment - now : 0;
    return left > 3600000 ? 3600000 : (int)left;
}

/* --- a directory of our own --- */

/* Paths below it are put into commands of other programs, which have quoting rules of their own. */
static bool is_plain(const char *path)
{
    enum { LONGEST = 64 };
    size_t n = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-");
    return path[0] == '/' && path[n] == '\0' && n <= LONGEST;
}

bool cvm_private_dir_make(struct cvm_private_dir *out, struct cvm_error *err)
{
    const char *parent = getenv("TMPDIR");
    snprintf(out->path, sizeof out->path, "%s/cvm-XXXXXX",
             parent != NULL && is_plain(parent) ? parent : "/tmp");
    if (mkdtemp(out->path) == NULL) {
        int why = errno;
        out->path[0] = '\0';
        return cvm_fail_errno(err, why, "temporary directory");
    }
    return true;
}

static void close_directory(DIR **slot)
{
    if (*slot != NULL) {
        closedir(*slot);
    }
}

/* Nobody else can put a link here, and none is followed. */
static void empty(int parent, const char *name, unsigned depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CVM_CLEANUP(close_directory)
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0) {
        close(fd);
    }
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        const char *item = entry->d_name;
        if (strcmp(item, ".") == 0 || strcmp(item, "..") == 0 || unlinkat(fd, item, 0) == 0) {
            continue;
        }
        if (depth > 0) {
            empty(fd, item, depth - 1);
        }
        unlinkat(fd, item, AT_REMOVEDIR);
    }
}

void cvm_private_dir_delete(struct cvm_private_dir *dir)
{
    if (dir->path[0] != '\0') {
        empty(AT_FDCWD, dir->path, 1);
        rmdir(dir->path);
    }
    dir->path[0] = '\0';
}
