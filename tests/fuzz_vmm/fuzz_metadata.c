/* A bundle whose metadata.json is accepted has its files open, all inside of it, and no others. */
#include "tests/fuzz/fuzz.h"

#include "vmm/image.h"

#include <fcntl.h>
#include <sys/stat.h>

static char directory[] = "/tmp/cvm-fuzz.XXXXXX";
static int metadata_fd = -1;

static const char *const files[] = { "kernel", "initrd", "ovmf.fd", "rootfs.iso", "sub/kernel" };

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void remove_directory(void)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        unlink(path_of(files[i]));
    }
    unlink(path_of("metadata.json"));
    unlink(path_of("link"));
    rmdir(path_of("sub"));
    rmdir(directory);
}

static void make_directory(void)
{
    fuzz_require(mkdtemp(directory) != NULL, "makes a directory");
    fuzz_require(mkdir(path_of("sub"), 0755) == 0, "makes a directory in it");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cvm_autoclose int fd = open(path_of(files[i]), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        fuzz_require(fd >= 0 && write(fd, "x", 1) == 1, "makes a file");
    }
    fuzz_require(symlink("../../etc/passwd", path_of("link")) == 0, "makes a link that leads out");
    metadata_fd = open(path_of("metadata.json"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    fuzz_require(metadata_fd >= 0, "makes metadata.json");
    atexit(remove_directory);
}

static void check_bundle(const struct cvm_bundle *b)
{
    struct cvm_error err = { 0 };
    for (int role = 0; role < CVM_BUNDLE_ROLES; role++) {
        const struct cvm_bundle_file *f = &b->files[role];
        fuzz_require((f->fd >= 0) == (f->name != NULL), "files that are named are open");
        fuzz_require(role == CVM_BUNDLE_ROOTFS || f->fd >= 0, "what is required is there");
        fuzz_require(role == CVM_BUNDLE_METADATA || f->fd < 0 || f->id.size == 1 ||
                         f->id.inode == b->files[CVM_BUNDLE_METADATA].id.inode,
                     "files lie in the bundle");
    }
    fuzz_require(!b->has_hash, "has no identity without sha256sum.txt");
    fuzz_require(cvm_bundle_unchanged(b, &err), "is unchanged");
    (void)!fuzz_accepted(cvm_bundle_launchable(b, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    if (metadata_fd < 0) {
        make_directory();
    }
    fuzz_require(ftruncate(metadata_fd, 0) == 0 &&
                     pwrite(metadata_fd, data, size, 0) == (ssize_t)size,
                 "writes metadata.json");
    if (fuzz_accepted(cvm_bundle_open(directory, &b, &err), &err)) {
        check_bundle(&b);
    }
    return 0;
}
