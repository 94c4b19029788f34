#include "measure/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

bool cvm_dir_open(const char *path, int *fd, struct cvm_error *err)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? true : cvm_fail_errno(err, errno, "open directory '%s'", path);
}

bool cvm_dir_make(const char *path, mode_t mode, struct cvm_error *err)
{
    cvm_autofree char *copy = strdup(path);
    if (copy == NULL) {
        return cvm_fail_nomem(err, path, strlen(path));
    }
    if (*copy == '\0') {
        return cvm_fail_errno(err, ENOENT, "create directory ''");
    }
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char kept = *p;
        *p = '\0';
        if (mkdir(copy, mode) != 0 && errno != EEXIST) {
            return cvm_fail_errno(err, errno, "create directory '%s'", copy);
        }
        *p = kept;
        if (kept == '\0') {
            return true;
        }
    }
}

DIR *cvm_dir_read(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL && copy >= 0) {
        close(copy);
    }
    return dir;
}

void cvm_dir_stop_at(DIR **slot)
{
    if (*slot != NULL) {
        closedir(*slot);
    }
}

/* Takes ownership of *fd: hands it on when it is a regular file, else closes it. */
static bool only_regular(int opened, const char *name, int *fd, struct cvm_error *err)
{
    cvm_autoclose int file = opened;
    struct stat st;
    if (fstat(file, &st) != 0) {
        return cvm_fail_errno(err, errno, "stat '%s'", name);
    }
    if (!S_ISREG(st.st_mode)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' is not a regular file", name);
    }
    *fd = cvm_steal_fd(&file);
    return true;
}

bool cvm_file_open_beneath(int dir_fd, const char *name, int *fd, struct cvm_error *err)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, /* a FIFO must not hang us */
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long opened = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (opened < 0 && errno == EXDEV) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' leads out of its directory", name);
    }
    if (opened < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO)) {
        int why = errno;
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' cannot be opened: %s", name,
                        why == ENOENT ? "no such file" : "not a regular file");
    }
    if (opened < 0) {
        return cvm_fail_errno(err, errno, "open '%s'", name);
    }
    return only_regular((int)opened, name, fd, err);
}

bool cvm_file_open(const char *path, int *fd, struct cvm_error *err)
{
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0) {
        return cvm_fail_errno(err, errno, "open '%s'", path);
    }
    return only_regular(opened, path, fd, err);
}

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

bool cvm_file_identify(int fd, const char *name, struct cvm_file_id *out, struct cvm_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return cvm_fail_errno(err, errno, "stat '%s'", name);
    }
    *out = (struct cvm_file_id){
        .device = st.st_dev,
        .inode = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_ns = nanoseconds(&st.st_mtim),
        .ctime_ns = nanoseconds(&st.st_ctim),
    };
    return true;
}

bool cvm_file_id_equal(const struct cvm_file_id *a, const struct cvm_file_id *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool cvm_file_settle(int fd, const char *name, struct cvm_error *err)
{
    unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    return sync_file_range(fd, 0, 0, all) == 0 ? true
                                               : cvm_fail_errno(err, errno, "write out '%s'", name);
}

bool cvm_file_read_at(int fd, const char *name, void *buffer, size_t size, uint64_t offset,
                      size_t *got, struct cvm_error *err)
{
    ssize_t n;
    do {
        n = pread(fd, buffer, size, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    *got = n < 0 ? 0 : (size_t)n;
    return n >= 0 ? true : cvm_fail_errno(err, errno, "read '%s'", name);
}

static bool too_large(const char *name, size_t max, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' is larger than the limit of %zu bytes", name,
                    max);
}

bool cvm_file_read(int fd, const char *name, size_t max, struct cvm_buf *out, struct cvm_error *err)
{
    struct cvm_file_id id = { 0 };
    if (!cvm_file_identify(fd, name, &id, err)) {
        return false;
    }
    if (id.size > max) {
        return too_large(name, max, err);
    }
    /* Room for one byte more than expected: the read that returns 0 proves the end. */
    cvm_autofree uint8_t *bytes = malloc((size_t)id.size + 1);
    if (bytes == NULL) {
        return cvm_fail_nomem(err, name, id.size);
    }
    size_t got = 0;
    size_t n = 1;
    while (n != 0 && got <= id.size) {
        if (!cvm_file_read_at(fd, name, bytes + got, (size_t)id.size + 1 - got, got, &n, err)) {
            return false;
        }
        got += n;
    }
    if (got != id.size) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' changed its size while it was read", name);
    }
    bool fresh = out->data == NULL && !out->failed;
    if (fresh) { /* the usual case: hand the bytes over instead of copying them */
        *out = (struct cvm_buf){ .data = cvm_steal(&bytes), .len = got, .cap = got + 1 };
        return true;
    }
    cvm_put_bytes(out, bytes, got);
    return cvm_buf_finish(out, name, err);
}

bool cvm_file_load(const char *path, size_t max, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    return cvm_file_open(path, &fd, err) && cvm_file_read(fd, path, max, out, err);
}

/* Standard input may be a pipe, which has no size to go by. */
static bool read_standard_input(size_t max, struct cvm_buf *out, struct cvm_error *err)
{
    uint8_t chunk[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno != EINTR) {
            return cvm_fail_errno(err, errno, "read standard input");
        }
        cvm_put_bytes(out, chunk, n > 0 ? (size_t)n : 0);
        if (out->len > max) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %zu bytes on standard input", max);
        }
    }
    return cvm_buf_finish(out, "standard input", err);
}

bool cvm_input_load(const char *path, size_t max, struct cvm_buf *out, struct cvm_error *err)
{
    return strcmp(path, "-") == 0 ? read_standard_input(max, out, err)
                                  : cvm_file_load(path, max, out, err);
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* Gives a written file its name; a name that exists is kept or replaced. */
static bool give_name(int dir_fd, const char *temporary, const char *name,
                      enum cvm_file_existing existing)
{
    if (existing == CVM_FILE_REPLACE) {
        return renameat(dir_fd, temporary, dir_fd, name) == 0;
    }
    return linkat(dir_fd, temporary, dir_fd, name, 0) == 0 && unlinkat(dir_fd, temporary, 0) == 0;
}

static bool write_named(int dir_fd, const char *name, struct cvm_bytes data, mode_t mode,
                        enum cvm_file_existing existing, struct cvm_error *err)
{
    char temporary[256];
    uint64_t salt; /* not the process number: it comes round again, and a dead one's file stays */
    if (getrandom(&salt, sizeof salt, 0) != sizeof salt) {
        return cvm_fail_errno(err, errno, "random name beside '%s'", name);
    }
    int n =
        snprintf(temporary, sizeof temporary, ".%s.%016llx.new", name, (unsigned long long)salt);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return cvm_fail(err, CVM_ERR_USAGE, "file name '%s' is too long", name);
    }
    cvm_autoclose int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "create '%s'", temporary);
    }
    if (!write_all(fd, data.data, data.size) || !give_name(dir_fd, temporary, name, existing)) {
        int why = errno;
        unlinkat(dir_fd, temporary, 0);
        return why == EEXIST
                   ? cvm_fail(err, CVM_ERR_USAGE, "'%s' exists and is not overwritten", name)
                   : cvm_fail_errno(err, why, "write '%s'", name);
    }
    return fsync(dir_fd) == 0 ? true : cvm_fail_errno(err, errno, "sync directory of '%s'", name);
}

bool cvm_file_write(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
                    struct cvm_error *err)
{
    return write_named(dir_fd, name, (struct cvm_bytes){ data, size }, mode, CVM_FILE_REPLACE, err);
}

bool cvm_file_save(const char *path, const void *data, size_t size, mode_t mode,
                   enum cvm_file_existing existing, struct cvm_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    cvm_autofree char *parent = slash == NULL ? strdup(".") : strndup(path, (size_t)(name - path));
    cvm_autoclose int fd = -1;
    if (parent == NULL) {
        return cvm_fail_nomem(err, path, strlen(path));
    }
    if (*name == '\0') {
        return cvm_fail(err, CVM_ERR_USAGE, "'%s' is not the name of a file", path);
    }
    if (cvm_dir_open(parent, &fd, err) &&
        write_named(fd, name, (struct cvm_bytes){ data, size }, mode, existing, err)) {
        return true;
    }
    return slash != NULL && cvm_context(err, "'%s'", path);
}
