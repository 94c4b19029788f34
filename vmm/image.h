/*
 * Image bundles: a directory with metadata.json, the files it names, sha256sum.txt and
 * digest.txt.
 *
 * Every file is opened once, beneath the directory, and must be regular; what was hashed is
 * what is used. cvm_bundle_unchanged() says whether the files are still the ones that were
 * opened.
 *
 * Source: docs/vm-config.md, "Image bundle".
 */
#ifndef CVM_VMM_IMAGE_H
#define CVM_VMM_IMAGE_H

#include "measure/base/file.h"
#include "measure/include/cvm/measure.h"
#include "vmm/ovmf_variant.h"

enum cvm_bundle_role {
    CVM_BUNDLE_METADATA,
    CVM_BUNDLE_KERNEL,
    CVM_BUNDLE_INITRD,
    CVM_BUNDLE_BIOS,
    CVM_BUNDLE_ROOTFS, /* optional */
    CVM_BUNDLE_ROLES,
};

struct cvm_bundle_file {
    const char *name; /* relative to the bundle; NULL where the bundle has none */
    char *path;       /* absolute, for libvirt; owned */
    int fd;
    struct cvm_file_id id;
};

struct cvm_bundle_metadata {
    const char *cmdline;
    const char *kernel, *initrd, *bios;
    const char *rootfs, *hda, *rootfs_hash, *bios_sev;
    const char *version, *ovmf_variant, *git_revision;
    struct cvm_opt_bool shared_ro, is_dev, kernel_header_normalized;
};

struct cvm_bundle {
    char *path;       /* absolute */
    const char *name; /* last component of path */
    int dir_fd;
    int64_t opened_ns;            /* time of day just before the first file was looked at */
    struct json_object *document; /* metadata.json; the strings of metadata borrow from it */
    struct cvm_bundle_metadata metadata;
    struct cvm_bundle_file files[CVM_BUNDLE_ROLES];
    struct cvm_buf checksums;   /* sha256sum.txt; empty where there is none */
    struct cvm_buf measurement; /* measurement.tdx.cbor; empty where there is none */
    bool has_hash;
    struct cvm_sha256 os_image_hash; /* of sha256sum.txt, where there is one */
};

#define cvm_autobundle CVM_CLEANUP(cvm_bundle_free)

/* A bundle with nothing in it, ready for cvm_bundle_free(). */
#define CVM_BUNDLE_NONE                                                                            \
    {                                                                                              \
        .dir_fd = -1, .files = { [0 ... CVM_BUNDLE_ROLES - 1] = { .fd = -1 } }                     \
    }

/*
 * Opens a bundle: metadata.json is read and checked, the files it names are opened, digest.txt
 * is compared with sha256sum.txt. The files' own digests are checked by cvm_bundle_verify().
 *
 * @param out  initialised with CVM_BUNDLE_NONE.
 * @return false with CVM_ERR_MALFORMED naming bundle, file and field; CVM_ERR_MISMATCH where
 *         digest.txt is not the digest of sha256sum.txt; CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_bundle_open(const char *path, struct cvm_bundle *out,
                                    struct cvm_error *err);
void cvm_bundle_free(struct cvm_bundle *b);

/* Called now and then while files are hashed; may be NULL. */
typedef void cvm_bundle_progress(const char *file, uint64_t done, uint64_t size);

/*
 * Hashes files of sha256sum.txt and compares.
 *
 * @param measured_only  only the files that are measured: metadata.json, kernel, initrd, bios.
 * @return false with CVM_ERR_MISMATCH naming the file that differs, or a measured file that is
 *         not listed; CVM_ERR_MALFORMED for a bad list.
 */
CVM_MUST_CHECK bool cvm_bundle_verify(const struct cvm_bundle *b, bool measured_only,
                                      cvm_bundle_progress *progress, struct cvm_error *err);

/*
 * The digest that sha256sum.txt lists for a file.
 *
 * @return false with CVM_ERR_MISMATCH where it lists none, CVM_ERR_MALFORMED for a bad list.
 */
CVM_MUST_CHECK bool cvm_bundle_listed_digest(const struct cvm_bundle *b, enum cvm_bundle_role role,
                                             struct cvm_sha256 *out, struct cvm_error *err);

/* Whether bytes that were read of a file have that digest; CVM_ERR_MISMATCH where not. */
CVM_MUST_CHECK bool cvm_bundle_verify_bytes(const struct cvm_bundle *b, enum cvm_bundle_role role,
                                            struct cvm_bytes bytes, struct cvm_error *err);

/* Whether the opened files still are what their names lead to, unchanged; CVM_ERR_MISMATCH. */
CVM_MUST_CHECK bool cvm_bundle_unchanged(const struct cvm_bundle *b, struct cvm_error *err);

/* Firmware, kernel and initrd's digest, read from the open files. */
struct cvm_bundle_contents {
    struct cvm_buf firmware;
    struct cvm_buf kernel;
    struct cvm_image image; /* borrows from the two above and from the bundle */
};

/* Reads metadata.json, bios or kernel whole. */
CVM_MUST_CHECK bool cvm_bundle_read_file(const struct cvm_bundle *b, enum cvm_bundle_role role,
                                         struct cvm_buf *out, struct cvm_error *err);

/*
 * Reads the firmware from its open file, compares it with sha256sum.txt where there is one, and
 * inspects it.
 *
 * @return false with CVM_ERR_MISMATCH where it is not the file that is listed; otherwise as
 *         cvm_firmware_inspect().
 */
CVM_MUST_CHECK bool cvm_bundle_inspect(const struct cvm_bundle *b, struct cvm_firmware *out,
                                       struct cvm_error *err);

#define cvm_autocontents CVM_CLEANUP(cvm_bundle_contents_free)

CVM_MUST_CHECK bool cvm_bundle_read(const struct cvm_bundle *b, struct cvm_bundle_contents *out,
                                    struct cvm_error *err);
void cvm_bundle_contents_free(struct cvm_bundle_contents *c);

/* Whether the image can be launched: version 0.5.0 or newer, no CD-ROM root file system. */
CVM_MUST_CHECK bool cvm_bundle_launchable(const struct cvm_bundle *b, struct cvm_error *err);

/* "virtio-blk", "cdrom" or "none": how the root file system is attached. */
const char *cvm_bundle_rootfs_device(const struct cvm_bundle *b);

#endif
