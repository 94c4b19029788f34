#include "tests/unit/vmm/place.h"

#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "tests/support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

enum { MAX_FILE = 8 << 20 };

static int delete_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int place_setup(void **state)
{
    const char *parent = getenv("TMPDIR");
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    snprintf(p->path, sizeof p->path, "%.40s/cvm-test.XXXXXX", parent == NULL ? "/tmp" : parent);
    assert_non_null(mkdtemp(p->path));
    p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->fd >= 0);
    *state = p;
    return 0;
}

int place_teardown(void **state)
{
    struct place *p = *state;
    close(p->fd);
    nftw(p->path, delete_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

const char *place_path(const struct place *p, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", p->path, name);
    return path;
}

void place_write(const struct place *p, const char *name, const void *data, size_t size)
{
    cvm_autoclose int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        fail_msg("cannot write '%s'", name);
    }
}

void place_write_text(const struct place *p, const char *name, const char *text)
{
    place_write(p, name, text, strlen(text));
}

void place_mkdir(const struct place *p, const char *name)
{
    assert_int_equal(mkdirat(p->fd, name, 0755), 0);
}

void place_symlink(const struct place *p, const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, p->fd, name), 0);
}

struct cvm_buf place_read(const struct place *p, const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    must(cvm_file_load(place_path(p, name), MAX_FILE, &out, &err), &err);
    cvm_put_u8(&out, '\0');
    assert_false(out.failed);
    return out;
}

bool place_has(const struct place *p, const char *name)
{
    struct stat st;
    return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned place_count(const struct place *p, const char *name)
{
    unsigned count = 0;
    DIR *dir = opendir(place_path(p, name));
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

void place_delete(const struct place *p, const char *name)
{
    if (place_has(p, name)) {
        assert_int_equal(nftw(place_path(p, name), delete_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
}

/* --- bundles --- */

static void write_in(const struct place *p, const char *bundle, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", bundle, name);
    place_write_text(p, path, text);
}

void bundle_make(const struct place *p, const char *name, const char *metadata)
{
    place_mkdir(p, name);
    write_in(p, name, "metadata.json", metadata);
    write_in(p, name, "kernel", "a kernel");
    write_in(p, name, "initrd", "an initrd");
    write_in(p, name, "ovmf.fd", "a firmware");
    write_in(p, name, "rootfs.img.verity", "a root file system");
    bundle_seal(p, name);
}

static void put_line(const struct place *p, const char *bundle, const char *name,
                     struct cvm_buf *out)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    char hex[2 * sizeof digest + 1];
    char path[256];
    snprintf(path, sizeof path, "%s/%s", bundle, name);
    cvm_autobuf struct cvm_buf text = place_read(p, path);
    must(cvm_sha256(text.data, text.len - 1, &digest, &err), &err);
    cvm_hex_encode(digest.bytes, sizeof digest.bytes, hex);
    cvm_put_format(out, "%s  %s\n", hex, name);
}

void bundle_seal(const struct place *p, const char *name)
{
    static const char *const files[] = { "metadata.json", "kernel", "initrd", "ovmf.fd",
                                         "rootfs.img.verity" };
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf sums = { 0 };
    struct cvm_sha256 digest;
    char hex[2 * sizeof digest + 2];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        put_line(p, name, files[i], &sums);
    }
    cvm_put_u8(&sums, '\0');
    assert_false(sums.failed);
    write_in(p, name, "sha256sum.txt", (const char *)sums.data);
    must(cvm_sha256(sums.data, sums.len - 1, &digest, &err), &err);
    cvm_hex_encode(digest.bytes, sizeof digest.bytes, hex);
    write_in(p, name, "digest.txt", strcat(hex, "\n"));
}
