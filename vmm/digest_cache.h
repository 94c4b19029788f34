/*
 * What hashing a bundle's files came to, kept below the state directory.
 *
 *   cache/digests/DEVICE-INODE    one entry per bundle, named after its directory
 *
 * An entry counts only for the very files it was made of: device, inode, size, mtime and ctime
 * in nanoseconds, and the os_image_hash; and only for the very program that wrote it. Whatever
 * else it says is a miss, never an error: the files are read then and the entry is replaced.
 *
 * Source: docs/decisions/0015-digests-are-cached.md, which also says what an entry is made of.
 */
#ifndef CVM_VMM_DIGEST_CACHE_H
#define CVM_VMM_DIGEST_CACHE_H

#include "measure/facts.h"
#include "vmm/image.h"

enum {
    CVM_DIGEST_FORMAT = 3, /* older verifiers' caches stop at 2 */
    CVM_DIGEST_MAX_SIZE = 16384,
    CVM_DIGEST_MAX_KERNELS = 64, /* of the kernel's forms the newest are kept */
    CVM_DIGEST_MAX_ENTRIES = 256,
};

/* A file has to be this old (ns) to be kept: on no file system are times coarser. */
#define CVM_DIGEST_MIN_AGE INT64_C(2000000000)

/* Whose digests are kept; metadata.json is always read. */
enum { CVM_CACHED_ROLES = 3 };
extern const enum cvm_bundle_role cvm_cached_roles[CVM_CACHED_ROLES];

struct cvm_digest_record {
    struct cvm_sha256 os_image_hash;
    struct cvm_file_id files[CVM_BUNDLE_ROLES];  /* kernel, initrd, bios */
    struct cvm_sha256 digests[CVM_BUNDLE_ROLES]; /* theirs, as sha256sum.txt lists them */
    struct image_facts facts;
};

#define cvm_autorecord CVM_CLEANUP(cvm_digest_record_free)

void cvm_digest_record_free(struct cvm_digest_record *record);

/*
 * Reads an entry.
 *
 * @param tool  which program's entries are accepted: cvm_tool_identify().
 * @param out   zeroed; set on success.
 * @return false with CVM_ERR_UNSUPPORTED for another format or program, CVM_ERR_MALFORMED for
 *         one that is damaged or says what cannot be.
 */
CVM_MUST_CHECK bool cvm_digest_record_parse(struct cvm_bytes entry, const char *tool,
                                            struct cvm_digest_record *out, struct cvm_error *err);

/* Appends the entry; CVM_ERR_NOMEM, CVM_ERR_SYSTEM. */
CVM_MUST_CHECK bool cvm_digest_record_build(const struct cvm_digest_record *record,
                                            const char *tool, struct cvm_buf *out,
                                            struct cvm_error *err);

/*
 * Finds the entry of a bundle's open files.
 *
 * @return false with the reason of the miss.
 */
CVM_MUST_CHECK bool cvm_digest_cache_load(const char *state_dir, const struct cvm_bundle *bundle,
                                          struct cvm_digest_record *out, struct cvm_error *err);

/*
 * Writes it, with what files the bundle has open put in; the old entry is replaced as a whole.
 *
 * @param record  its files and os_image_hash are set here.
 * @return false with the reason why nothing was written, of which a file that is too young or
 *         that changed is CVM_ERR_UNSUPPORTED.
 */
CVM_MUST_CHECK bool cvm_digest_cache_store(const char *state_dir, const struct cvm_bundle *bundle,
                                           struct cvm_digest_record *record, struct cvm_error *err);

#endif
