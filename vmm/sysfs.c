#include "vmm/sysfs.h"

#include "measure/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

static bool join(const char *root, const char *path, char out[CVM_SYSFS_PATH],
                 struct cvm_error *err)
{
    int n = snprintf(out, CVM_SYSFS_PATH, "%s%s", root, path);
    return n >= 0 && n < CVM_SYSFS_PATH
               ? true
               : cvm_fail(err, CVM_ERR_USAGE, "'%.100s...%s': path too long", root, path);
}

/* Reads until the end or until the buffer is full; sysfs says no size beforehand. */
static bool read_up_to(int fd, char *out, size_t size, size_t *got)
{
    *got = 0;
    for (ssize_t n = 1; n != 0 && *got < size;) {
        n = read(fd, out + *got, size - *got);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        *got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool cvm_sysfs_text(const char *root, const char *path, char *out, size_t size,
                    struct cvm_error *err)
{
    char full[CVM_SYSFS_PATH];
    size_t got;
    if (!join(root, path, full, err)) {
        return false;
    }
    cvm_autoclose int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || !read_up_to(fd, out, size, &got)) {
        return cvm_fail_errno(err, errno, "read '%s'", full);
    }
    if (got == size || memchr(out, '\0', got) != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' is not a text of less than %zu characters",
                        full, size);
    }
    got -= got != 0 && out[got - 1] == '\n';
    out[got] = '\0';
    return true;
}

bool cvm_sysfs_has(const char *root, const char *path)
{
    struct cvm_error ignored = { 0 };
    char full[CVM_SYSFS_PATH];
    return join(root, path, full, &ignored) && access(full, F_OK) == 0;
}

bool cvm_sysfs_link(const char *root, const char *path, char out[CVM_SYSFS_NAME],
                    struct cvm_error *err)
{
    char full[CVM_SYSFS_PATH];
    char target[PATH_MAX];
    if (!join(root, path, full, err)) {
        return false;
    }
    ssize_t n = readlink(full, target, sizeof target - 1);
    if (n < 0 && errno != ENOENT) {
        return cvm_fail_errno(err, errno, "read link '%s'", full);
    }
    target[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(target, '/');
    const char *name = slash == NULL ? target : slash + 1;
    if (strlen(name) >= CVM_SYSFS_NAME) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "link '%s' leads to a name of %zu characters", full,
                        strlen(name));
    }
    memcpy(out, name, strlen(name) + 1);
    return true;
}

static void close_directory(DIR **slot)
{
    if (*slot != NULL) {
        closedir(*slot);
    }
}

static bool add_name(struct cvm_sysfs_names *names, const char *name, struct cvm_error *err)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return true;
    }
    if (strlen(name) >= CVM_SYSFS_NAME || names->count == CVM_SYSFS_MAX_NAMES) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "'%.64s': a name of %d characters or more, or more than %d of them", name,
                        CVM_SYSFS_NAME, CVM_SYSFS_MAX_NAMES);
    }
    char(*grown)[CVM_SYSFS_NAME] = realloc(names->items, (names->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, name, names->count);
    }
    names->items = grown;
    memcpy(names->items[names->count++], name, strlen(name) + 1);
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

bool cvm_sysfs_list(const char *root, const char *path, struct cvm_sysfs_names *out,
                    struct cvm_error *err)
{
    char full[CVM_SYSFS_PATH];
    CVM_CLEANUP(cvm_sysfs_names_free)
    struct cvm_sysfs_names names = { 0 };
    if (!join(root, path, full, err)) {
        return false;
    }
    CVM_CLEANUP(close_directory)
    DIR *dir = opendir(full);
    if (dir == NULL) {
        return cvm_fail_errno(err, errno, "read directory '%s'", full);
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!add_name(&names, entry->d_name, err)) {
            return cvm_context(err, "directory '%s'", full);
        }
    }
    if (names.count != 0) {
        qsort(names.items, names.count, sizeof *names.items, compare);
    }
    *out = names;
    names = (struct cvm_sysfs_names){ 0 };
    return true;
}

void cvm_sysfs_names_free(struct cvm_sysfs_names *names)
{
    free(names->items);
    *names = (struct cvm_sysfs_names){ 0 };
}
