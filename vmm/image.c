#include "vmm/image.h"

#include "measure/base/hash.h"
#include "vmm/checksums.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

enum {
    MAX_CHECKSUMS = 1 << 20,
    MAX_DIGEST = 256,
    MAX_FIRMWARE = 64 << 20,
    MAX_KERNEL = 256 << 20,
    CHUNK = 256 << 10,
};

#define FIELD(f) offsetof(struct cvm_bundle_metadata, f)
/* clang-format off */
static const struct cvm_json_field metadata_fields[] = {
    { "cmdline",                  CVM_JSON_STRING, FIELD(cmdline),  .required = true, .max = 4096 },
    { "kernel",                   CVM_JSON_STRING, FIELD(kernel),   .required = true, .min = 1, .max = 255 },
    { "initrd",                   CVM_JSON_STRING, FIELD(initrd),   .required = true, .min = 1, .max = 255 },
    { "bios",                     CVM_JSON_STRING, FIELD(bios),     .required = true, .min = 1, .max = 255 },
    { "rootfs",                   CVM_JSON_STRING, FIELD(rootfs),       .max = 255 },
    { "hda",                      CVM_JSON_STRING, FIELD(hda),          .max = 255 },
    { "bios-sev",                 CVM_JSON_STRING, FIELD(bios_sev),     .max = 255 },
    { "rootfs_hash",              CVM_JSON_STRING, FIELD(rootfs_hash),  .max = 1024 },
    { "version",                  CVM_JSON_STRING, FIELD(version),      .max = 64 },
    { "ovmf_variant",             CVM_JSON_STRING, FIELD(ovmf_variant), .max = 64 },
    { "git_revision",             CVM_JSON_STRING, FIELD(git_revision), .max = 256 },
    { "shared_ro",                CVM_JSON_BOOL,   FIELD(shared_ro) },
    { "is_dev",                   CVM_JSON_BOOL,   FIELD(is_dev) },
    { "kernel_header_normalized", CVM_JSON_BOOL,   FIELD(kernel_header_normalized) },
    { 0 },
};
/* clang-format on */

/* --- opening --- */

static bool open_file(struct cvm_bundle *b, enum cvm_bundle_role role, const char *name,
                      struct cvm_error *err)
{
    struct cvm_bundle_file *f = &b->files[role];
    if (asprintf(&f->path, "%s/%s", b->path, name) < 0) {
        f->path = NULL;
        return cvm_fail_nomem(err, name, strlen(name));
    }
    f->name = name;
    return cvm_file_open_beneath(b->dir_fd, name, &f->fd, err) &&
           cvm_file_identify(f->fd, name, &f->id, err);
}

static bool load_metadata(struct cvm_bundle *b, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    const struct cvm_bundle_file *f = &b->files[CVM_BUNDLE_METADATA];
    if (!open_file(b, CVM_BUNDLE_METADATA, "metadata.json", err) ||
        !cvm_file_read(f->fd, f->name, CVM_JSON_MAX_SIZE, &text, err) ||
        !cvm_json_parse(f->name, cvm_buf_bytes(&text), &b->document, err)) {
        return false;
    }
    if (!cvm_json_decode(b->document, metadata_fields, CVM_JSON_IGNORE_UNKNOWN, &b->metadata,
                         err)) {
        return cvm_context(err, "metadata.json");
    }
    return true;
}

static bool open_named_files(struct cvm_bundle *b, struct cvm_error *err)
{
    const struct {
        const char *field;
        const char *name;
        enum cvm_bundle_role role;
    } named[] = {
        { "kernel", b->metadata.kernel, CVM_BUNDLE_KERNEL },
        { "initrd", b->metadata.initrd, CVM_BUNDLE_INITRD },
        { "bios", b->metadata.bios, CVM_BUNDLE_BIOS },
        { "rootfs", b->metadata.rootfs, CVM_BUNDLE_ROOTFS },
    };
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (named[i].name != NULL && *named[i].name != '\0' &&
            !open_file(b, named[i].role, named[i].name, err)) {
            return cvm_context(err, "metadata.json: %s", named[i].field);
        }
    }
    return true;
}

/* Reads a file that a bundle may lack; *out stays empty then. */
static bool read_optional(const struct cvm_bundle *b, const char *name, size_t max,
                          struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    if (faccessat(b->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        return true;
    }
    return cvm_file_open_beneath(b->dir_fd, name, &fd, err) &&
           cvm_file_read(fd, name, max, out, err);
}

/* digest.txt holds the hex SHA-256 of sha256sum.txt; the latter is the image's identity. */
static bool load_identity(struct cvm_bundle *b, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf digest = { 0 };
    if (!read_optional(b, "sha256sum.txt", MAX_CHECKSUMS, &b->checksums, err) ||
        !read_optional(b, "digest.txt", MAX_DIGEST, &digest, err)) {
        return false;
    }
    if (b->checksums.len == 0) {
        return true;
    }
    if (!cvm_sha256(b->checksums.data, b->checksums.len, &b->os_image_hash, err)) {
        return false;
    }
    b->has_hash = true;
    return digest.len == 0 || cvm_digest_check(cvm_buf_bytes(&digest), &b->os_image_hash, err);
}

static bool resolve_path(const char *path, struct cvm_bundle *b, struct cvm_error *err)
{
    b->path = realpath(path, NULL);
    if (b->path == NULL) {
        return cvm_fail_errno(err, errno, "open directory");
    }
    b->name = strrchr(b->path, '/') + 1;
    return cvm_dir_open(b->path, &b->dir_fd, err);
}

bool cvm_bundle_open(const char *path, struct cvm_bundle *out, struct cvm_error *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->opened_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (!resolve_path(path, out, err) || !load_metadata(out, err) || !open_named_files(out, err) ||
        !load_identity(out, err) ||
        !read_optional(out, "measurement.tdx.cbor", CVM_COMPACT_MAX_SIZE, &out->measurement, err)) {
        return cvm_context(err, "image '%s'", path);
    }
    return true;
}

void cvm_bundle_free(struct cvm_bundle *b)
{
    for (size_t i = 0; i < CVM_BUNDLE_ROLES; i++) {
        cvm_close_at(&b->files[i].fd);
        free(b->files[i].path);
    }
    cvm_close_at(&b->dir_fd);
    cvm_json_free(b->document);
    cvm_buf_free(&b->checksums);
    cvm_buf_free(&b->measurement);
    free(b->path);
    *b = (struct cvm_bundle)CVM_BUNDLE_NONE;
}

/* --- hashing --- */

/* One pass over a file from its start; the file must still be as large as when it was opened. */
static bool hash_file(int fd, const char *name, enum cvm_hash_kind kind,
                      cvm_bundle_progress *progress, uint8_t *digest, struct cvm_error *err)
{
    cvm_autohash struct cvm_hash hash = { 0 };
    cvm_autofree uint8_t *chunk = malloc(CHUNK);
    struct cvm_file_id id;
    if (chunk == NULL) {
        return cvm_fail_nomem(err, name, CHUNK);
    }
    if (!cvm_file_identify(fd, name, &id, err) || !cvm_hash_init(&hash, kind, err)) {
        return false;
    }
    uint64_t done = 0;
    size_t n = 1;
    while (n != 0) {
        if (!cvm_file_read_at(fd, name, chunk, CHUNK, done, &n, err) ||
            !cvm_hash_update(&hash, chunk, n, err)) {
            return false;
        }
        done += n;
        if (progress != NULL) {
            progress(name, done, id.size);
        }
    }
    return cvm_hash_final(&hash, digest, err);
}

static bool is_role(const struct cvm_bundle *b, enum cvm_bundle_role role, const char *name)
{
    return b->files[role].name != NULL && strcmp(b->files[role].name, name) == 0;
}

/* The open file for a name: the one that will be used, where the bundle uses it. */
static bool open_listed(const struct cvm_bundle *b, const char *name, int *fd,
                        struct cvm_error *err)
{
    for (int role = 0; role < CVM_BUNDLE_ROLES; role++) {
        if (is_role(b, (enum cvm_bundle_role)role, name)) {
            *fd = fcntl(b->files[role].fd, F_DUPFD_CLOEXEC, 0);
            return *fd >= 0 ? true : cvm_fail_errno(err, errno, "duplicate descriptor");
        }
    }
    return cvm_file_open_beneath(b->dir_fd, name, fd, err);
}

static bool differs(const char *name, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MISMATCH, "'%s' does not have the digest in sha256sum.txt", name);
}

static bool verify_file(const struct cvm_bundle *b, const struct cvm_checksum *listed,
                        cvm_bundle_progress *progress, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    struct cvm_sha256 digest;
    if (!open_listed(b, listed->name, &fd, err) ||
        !hash_file(fd, listed->name, CVM_HASH_SHA256, progress, digest.bytes, err)) {
        return false;
    }
    return memcmp(&digest, &listed->digest, sizeof digest) == 0 || differs(listed->name, err);
}

static bool is_measured(const struct cvm_bundle *b, const char *name)
{
    return is_role(b, CVM_BUNDLE_METADATA, name) || is_role(b, CVM_BUNDLE_KERNEL, name) ||
           is_role(b, CVM_BUNDLE_INITRD, name) || is_role(b, CVM_BUNDLE_BIOS, name);
}

static bool not_listed(const char *name, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MISMATCH, "'%s' is not listed in sha256sum.txt", name);
}

/* The identity of an image covers its measured files, or it would be no identity. */
static bool check_coverage(const struct cvm_bundle *b, const struct cvm_checksums *list,
                           struct cvm_error *err)
{
    for (int role = CVM_BUNDLE_METADATA; role <= CVM_BUNDLE_BIOS; role++) {
        const char *name = b->files[role].name;
        if (cvm_checksums_find(list, name) == NULL) {
            return not_listed(name, err);
        }
    }
    return true;
}

bool cvm_bundle_verify(const struct cvm_bundle *b, bool measured_only,
                       cvm_bundle_progress *progress, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    if (!b->has_hash) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "image '%s': no sha256sum.txt to verify against",
                        b->path);
    }
    if (!cvm_checksums_parse(cvm_buf_bytes(&b->checksums), &list, err) ||
        !check_coverage(b, &list, err)) {
        return cvm_context(err, "image '%s'", b->path);
    }
    for (size_t i = 0; i < list.count; i++) {
        if ((!measured_only || is_measured(b, list.items[i].name)) &&
            !verify_file(b, &list.items[i], progress, err)) {
            return cvm_context(err, "image '%s'", b->path);
        }
    }
    return true;
}

bool cvm_bundle_listed_digest(const struct cvm_bundle *b, enum cvm_bundle_role role,
                              struct cvm_sha256 *out, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    if (!cvm_checksums_parse(cvm_buf_bytes(&b->checksums), &list, err)) {
        return cvm_context(err, "image '%s'", b->path);
    }
    const struct cvm_checksum *listed = cvm_checksums_find(&list, b->files[role].name);
    if (listed == NULL) {
        return not_listed(b->files[role].name, err) || cvm_context(err, "image '%s'", b->path);
    }
    *out = listed->digest;
    return true;
}

bool cvm_bundle_verify_bytes(const struct cvm_bundle *b, enum cvm_bundle_role role,
                             struct cvm_bytes bytes, struct cvm_error *err)
{
    struct cvm_sha256 listed;
    struct cvm_sha256 digest;
    if (!cvm_bundle_listed_digest(b, role, &listed, err) ||
        !cvm_sha256(bytes.data, bytes.size, &digest, err)) {
        return false;
    }
    return memcmp(&listed, &digest, sizeof digest) == 0 || differs(b->files[role].name, err) ||
           cvm_context(err, "image '%s'", b->path);
}

/* The path must still lead to the directory that was opened: libvirt and QEMU go by the path. */
static bool same_directory(const struct cvm_bundle *b, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    struct cvm_file_id opened;
    struct cvm_file_id named;
    if (!cvm_dir_open(b->path, &fd, err) || !cvm_file_identify(fd, b->path, &named, err) ||
        !cvm_file_identify(b->dir_fd, b->path, &opened, err)) {
        return false;
    }
    return named.device == opened.device && named.inode == opened.inode
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "image '%s' is another directory than the one that was verified; nothing "
                          "was started",
                          b->path);
}

bool cvm_bundle_unchanged(const struct cvm_bundle *b, struct cvm_error *err)
{
    if (!same_directory(b, err)) {
        return false;
    }
    for (int role = 0; role < CVM_BUNDLE_ROLES; role++) {
        const struct cvm_bundle_file *f = &b->files[role];
        cvm_autoclose int fd = -1;
        struct cvm_file_id opened;
        struct cvm_file_id named;
        if (f->name == NULL) {
            continue;
        }
        if (!cvm_file_open_beneath(b->dir_fd, f->name, &fd, err) ||
            !cvm_file_identify(fd, f->name, &named, err) ||
            !cvm_file_identify(f->fd, f->name, &opened, err)) {
            return cvm_context(err, "image '%s'", b->path);
        }
        if (!cvm_file_id_equal(&f->id, &opened) || !cvm_file_id_equal(&f->id, &named)) {
            return cvm_fail(err, CVM_ERR_MISMATCH,
                            "image '%s': '%s' changed after it was verified; nothing was started",
                            b->path, f->name);
        }
    }
    return true;
}

bool cvm_bundle_read_file(const struct cvm_bundle *b, enum cvm_bundle_role role,
                          struct cvm_buf *out, struct cvm_error *err)
{
    static const size_t max[CVM_BUNDLE_ROLES] = {
        [CVM_BUNDLE_METADATA] = CVM_JSON_MAX_SIZE,
        [CVM_BUNDLE_KERNEL] = MAX_KERNEL,
        [CVM_BUNDLE_BIOS] = MAX_FIRMWARE,
    };
    const struct cvm_bundle_file *f = &b->files[role];
    return cvm_file_read(f->fd, f->name, max[role], out, err) ||
           cvm_context(err, "image '%s'", b->path);
}

bool cvm_bundle_read(const struct cvm_bundle *b, struct cvm_bundle_contents *out,
                     struct cvm_error *err)
{
    const struct cvm_bundle_file *initrd = &b->files[CVM_BUNDLE_INITRD];
    if (!cvm_bundle_read_file(b, CVM_BUNDLE_BIOS, &out->firmware, err) ||
        !cvm_bundle_read_file(b, CVM_BUNDLE_KERNEL, &out->kernel, err)) {
        return false;
    }
    if (!hash_file(initrd->fd, initrd->name, CVM_HASH_SHA384, NULL, out->image.initrd.bytes, err)) {
        return cvm_context(err, "image '%s'", b->path);
    }
    out->image.firmware = cvm_buf_bytes(&out->firmware);
    out->image.kernel = cvm_buf_bytes(&out->kernel);
    out->image.cmdline = b->metadata.cmdline;
    out->image.initrd_size = initrd->id.size;
    return true;
}

bool cvm_bundle_inspect(const struct cvm_bundle *b, struct cvm_firmware *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf firmware = { 0 };
    if (!cvm_bundle_read_file(b, CVM_BUNDLE_BIOS, &firmware, err)) {
        return false;
    }
    const struct cvm_bytes bytes = { firmware.data, firmware.len };
    if (b->has_hash && !cvm_bundle_verify_bytes(b, CVM_BUNDLE_BIOS, bytes, err)) {
        return false;
    }
    if (!cvm_firmware_inspect(bytes, out, err)) {
        cvm_context(err, "firmware");
        return cvm_context(err, "image '%s'", b->path);
    }
    return true;
}

void cvm_bundle_contents_free(struct cvm_bundle_contents *c)
{
    cvm_buf_free(&c->firmware);
    cvm_buf_free(&c->kernel);
}

/* --- what it can be used for --- */

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text);
    size_t m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

const char *cvm_bundle_rootfs_device(const struct cvm_bundle *b)
{
    const char *rootfs = b->files[CVM_BUNDLE_ROOTFS].name;
    if (rootfs == NULL) {
        return "none";
    }
    return ends_with(rootfs, ".iso") ? "cdrom" : "virtio-blk";
}

bool cvm_bundle_launchable(const struct cvm_bundle *b, struct cvm_error *err)
{
    static const struct cvm_image_version oldest = { { 0, 5, 0 } };
    struct cvm_image_version version;
    const char *text = b->metadata.version;
    if (text != NULL && cvm_image_version_parse(text, &version) &&
        cvm_image_version_compare(&version, &oldest) < 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "image '%s': version %s; images below 0.5.0 can be measured but not "
                        "launched",
                        b->path, text);
    }
    if (strcmp(cvm_bundle_rootfs_device(b), "cdrom") == 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "image '%s': a CD-ROM root file system ('%s') belongs to versions below "
                        "0.5.0",
                        b->path, b->files[CVM_BUNDLE_ROOTFS].name);
    }
    return true;
}
