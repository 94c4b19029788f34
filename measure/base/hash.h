/*
 * Hashing. The only includer of OpenSSL's digest functions is hash.c.
 *
 * One-shot functions for what lies in memory, and a running hash that works out
 * several digests of one stream in a single pass.
 */
#ifndef CVM_BASE_HASH_H
#define CVM_BASE_HASH_H

#include "measure/base/cleanup.h"
#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

#include <string.h>

/* size bytes at data, which may be NULL where size is 0. CVM_ERR_SYSTEM from OpenSSL. */
CVM_MUST_CHECK bool cvm_sha384(const void *data, size_t size, struct cvm_sha384 *out,
                               struct cvm_error *err);
CVM_MUST_CHECK bool cvm_sha256(const void *data, size_t size, struct cvm_sha256 *out,
                               struct cvm_error *err);

/* SHA-384 of the two values one behind the other: how a register is extended. */
CVM_MUST_CHECK bool cvm_sha384_pair(const struct cvm_sha384 *a, const struct cvm_sha384 *b,
                                    struct cvm_sha384 *out, struct cvm_error *err);

static inline bool cvm_sha384_equal(const struct cvm_sha384 *a, const struct cvm_sha384 *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

enum cvm_hash_kind { CVM_HASH_SHA256, CVM_HASH_SHA384 };

/* A running hash; owns OpenSSL's context. Starts as { 0 }. */
struct cvm_hash {
    void *context;
};

#define cvm_autohash CVM_CLEANUP(cvm_hash_free)

CVM_MUST_CHECK bool cvm_hash_init(struct cvm_hash *h, enum cvm_hash_kind kind,
                                  struct cvm_error *err);
CVM_MUST_CHECK bool cvm_hash_update(struct cvm_hash *h, const void *data, size_t size,
                                    struct cvm_error *err);
/* Writes the digest (32 or 48 bytes by kind); the hash is then spent. */
CVM_MUST_CHECK bool cvm_hash_final(struct cvm_hash *h, uint8_t *digest, struct cvm_error *err);
void cvm_hash_free(struct cvm_hash *h);

#endif
