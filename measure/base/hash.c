#include "measure/base/hash.h"

#include "measure/base/openssl_error.h"

#include <openssl/evp.h>

static bool digest(const EVP_MD *md, const void *data, size_t size, uint8_t *out,
                   struct cvm_error *err)
{
    if (EVP_Digest(data, size, out, NULL, md, NULL) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "EVP_Digest");
    }
    return true;
}

bool cvm_sha384(const void *data, size_t size, struct cvm_sha384 *out, struct cvm_error *err)
{
    return digest(EVP_sha384(), data, size, out->bytes, err);
}

bool cvm_sha256(const void *data, size_t size, struct cvm_sha256 *out, struct cvm_error *err)
{
    return digest(EVP_sha256(), data, size, out->bytes, err);
}

bool cvm_sha384_pair(const struct cvm_sha384 *a, const struct cvm_sha384 *b, struct cvm_sha384 *out,
                     struct cvm_error *err)
{
    uint8_t both[2 * sizeof a->bytes];
    memcpy(both, a->bytes, sizeof a->bytes);
    memcpy(both + sizeof a->bytes, b->bytes, sizeof b->bytes);
    return cvm_sha384(both, sizeof both, out, err);
}

bool cvm_hash_init(struct cvm_hash *h, enum cvm_hash_kind kind, struct cvm_error *err)
{
    const EVP_MD *md = kind == CVM_HASH_SHA256 ? EVP_sha256() : EVP_sha384();
    h->context = EVP_MD_CTX_new();
    if (h->context == NULL) {
        return cvm_fail_nomem(err, "hash context", 0);
    }
    if (EVP_DigestInit_ex(h->context, md, NULL) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "EVP_DigestInit_ex");
    }
    return true;
}

bool cvm_hash_update(struct cvm_hash *h, const void *data, size_t size, struct cvm_error *err)
{
    return EVP_DigestUpdate(h->context, data, size) == 1 ||
           cvm_fail_openssl(err, CVM_ERR_SYSTEM, "EVP_DigestUpdate");
}

bool cvm_hash_final(struct cvm_hash *h, uint8_t *out, struct cvm_error *err)
{
    return EVP_DigestFinal_ex(h->context, out, NULL) == 1 ||
           cvm_fail_openssl(err, CVM_ERR_SYSTEM, "EVP_DigestFinal_ex");
}

void cvm_hash_free(struct cvm_hash *h)
{
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
}
