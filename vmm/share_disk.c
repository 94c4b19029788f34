#include "vmm/share_disk.h"

#include "vmm/program.h"
#include "vmm/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Where the image lies until it is whole. */
#define UNFINISHED ".share.img.new"

bool cvm_share_disk_needed(const char *mode)
{
    return mode != NULL && strcmp(mode, "vhd") == 0;
}

static bool find_programs(char **mkfs, char **mcopy, struct cvm_error *err)
{
    return (cvm_program_find("mkfs.vfat", "dosfstools", mkfs, err) &&
            cvm_program_find("mcopy", "mtools", mcopy, err)) ||
           cvm_context(err, "host_share_mode 'vhd'");
}

bool cvm_share_disk_possible(struct cvm_error *err)
{
    cvm_autofree char *mkfs = NULL;
    cvm_autofree char *mcopy = NULL;
    return find_programs(&mkfs, &mcopy, err);
}

/* --- the files --- */

/* Paths of the files that exist, below the guest's directory. */
struct files {
    char paths[CVM_SHARE_FILES][64];
    size_t count;
    uint64_t clusters; /* that they take */
};

enum { CLUSTER = 512 };

/* A FIFO or a link would have mcopy wait, or read what is not the guest's. */
static bool add_file(int dir_fd, const char *name, struct files *out, struct cvm_error *err)
{
    char *path = out->paths[out->count];
    struct stat st;
    snprintf(path, sizeof out->paths[0], "shared/%s", name);
    if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? true : cvm_fail_errno(err, errno, "'%s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s' is not a regular file", path);
    }
    out->clusters += ((uint64_t)st.st_size + CLUSTER - 1) / CLUSTER;
    out->count++;
    return true;
}

static bool find_files(int dir_fd, struct files *out, struct cvm_error *err)
{
    for (size_t i = 0; i < CVM_SHARE_FILES; i++) {
        if (!add_file(dir_fd, cvm_share_names[i], out, err)) {
            return false;
        }
    }
    return true;
}

/* --- the image --- */

/*
 * Its size in bytes, whole MiB. With clusters of a sector FAT16 has 4085 to 65524 of them, which
 * spares a choice between kinds of FAT; each takes two entries of two bytes besides.
 */
static bool choose_size(uint64_t clusters, uint64_t *out, struct cvm_error *err)
{
    enum { LEAST = 4500, MOST = 60000, MIB = 1 << 20, ROOT_DIRECTORY_AND_MORE = 65536 };
    if (clusters > MOST) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "the share's files take %llu sectors; its disk holds %d",
                        (unsigned long long)clusters, MOST);
    }
    uint64_t bytes =
        (clusters < LEAST ? LEAST : clusters) * (CLUSTER + 4) + ROOT_DIRECTORY_AND_MORE;
    *out = (bytes + MIB - 1) / MIB * MIB;
    return true;
}

/* A new file that belongs to whom the share belongs to. */
static bool create_image(int dir_fd, uint64_t size, int *fd, struct cvm_error *err)
{
    struct stat st;
    unlinkat(dir_fd, UNFINISHED, 0);
    *fd = openat(dir_fd, UNFINISHED, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (*fd < 0 || ftruncate(*fd, (off_t)size) != 0 || fstatat(dir_fd, "shared", &st, 0) != 0 ||
        (geteuid() == 0 && fchown(*fd, st.st_uid, st.st_gid) != 0)) {
        return cvm_fail_errno(err, errno, "create '%s'", UNFINISHED);
    }
    return true;
}

/* Nothing of this process's environment, its user's ~/.mtoolsrc or the time reaches the image. */
static bool run(int dir_fd, const char *const *argv, struct cvm_error *err)
{
    static const char *const environment[] = {
        "PATH=/usr/bin:/bin",
        "LC_ALL=C",
        "TZ=UTC",
        "SOURCE_DATE_EPOCH=315532800",
        "MTOOLSRC=/dev/null",
        "MTOOLS_SKIP_CHECK=1",
        NULL,
    };
    const struct cvm_program program = {
        .argv = argv,
        .environment = environment,
        .dir_fd = dir_fd,
        .errors = true,
    };
    char text[256];
    if (cvm_program_run(&program, text, sizeof text, err)) {
        return true;
    }
    for (char *p = text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            *p = ' ';
        }
    }
    return cvm_context(err, "'%s' said '%s'", argv[0], text);
}

static bool make_file_system(int dir_fd, const char *mkfs, struct cvm_error *err)
{
    const char *const argv[] = { mkfs, "--invariant",   "-F",       "16", "-s", "1",
                                 "-n", CVM_SHARE_LABEL, UNFINISHED, NULL };
    return run(dir_fd, argv, err);
}

static bool copy_files(int dir_fd, const char *mcopy, const struct files *files,
                       struct cvm_error *err)
{
    enum { WORDS_AROUND = 6 };
    const char *argv[CVM_SHARE_FILES + WORDS_AROUND] = { mcopy, "-i", UNFINISHED, "--" };
    size_t n = 4;
    for (size_t i = 0; i < files->count; i++) {
        argv[n++] = files->paths[i];
    }
    argv[n] = "::/";
    return run(dir_fd, argv, err);
}

static bool fill_image(int dir_fd, const struct files *files, struct cvm_error *err)
{
    cvm_autofree char *mkfs = NULL;
    cvm_autofree char *mcopy = NULL;
    cvm_autoclose int fd = -1;
    uint64_t size = 0;
    if (!find_programs(&mkfs, &mcopy, err) || !choose_size(files->clusters, &size, err) ||
        !create_image(dir_fd, size, &fd, err) || !make_file_system(dir_fd, mkfs, err) ||
        !copy_files(dir_fd, mcopy, files, err)) {
        return false;
    }
    return fsync(fd) == 0 && renameat(dir_fd, UNFINISHED, dir_fd, CVM_SHARE_IMAGE) == 0 &&
                   fsync(dir_fd) == 0
               ? true
               : cvm_fail_errno(err, errno, "write");
}

bool cvm_share_disk_make(int dir_fd, struct cvm_error *err)
{
    struct files files = { 0 };
    if (find_files(dir_fd, &files, err) && fill_image(dir_fd, &files, err)) {
        return true;
    }
    unlinkat(dir_fd, UNFINISHED, 0);
    return cvm_context(err, "'%s'", CVM_SHARE_IMAGE);
}
