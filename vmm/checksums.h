/*
 * sha256sum.txt and digest.txt.
 *
 * Source: the output of sha256sum(1): 64 hex digits, a blank, a blank or "*", a name, a newline.
 */
#ifndef CVM_VMM_CHECKSUMS_H
#define CVM_VMM_CHECKSUMS_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

enum { CVM_MAX_CHECKSUMS = 4096 };

struct cvm_checksum {
    struct cvm_sha256 digest;
    char *name; /* owned */
};

struct cvm_checksums {
    struct cvm_checksum *items; /* owned */
    size_t count;
};

/* @return false with CVM_ERR_MALFORMED naming the line; a name listed twice is one of those. */
CVM_MUST_CHECK bool cvm_checksums_parse(struct cvm_bytes text, struct cvm_checksums *out,
                                        struct cvm_error *err);
const struct cvm_checksum *cvm_checksums_find(const struct cvm_checksums *list, const char *name);
void cvm_checksums_free(struct cvm_checksums *list);

/* Whether digest.txt (hex, blanks around it allowed) says this; CVM_ERR_MISMATCH where not. */
CVM_MUST_CHECK bool cvm_digest_check(struct cvm_bytes digest_txt, const struct cvm_sha256 *want,
                                     struct cvm_error *err);

#endif
