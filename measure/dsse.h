/*
 * DSSE: an envelope of JSON around signed bytes, and the same wrapped as a sigstore bundle.
 *
 * Signed is the pre-authentication encoding of type and payload, PAE. What was signed is handed on
 * as those bytes, and only to whoever had the signatures checked: struct cvm_envelope is opaque
 * here as well, and cvm_dsse_verify() is the one way to what is in it.
 *
 * Source: DSSE 1.0.2 (envelope, protocol), sigstore bundle 0.3.
 */
#ifndef CVM_DSSE_H
#define CVM_DSSE_H

#include "measure/base/sign.h"
#include "measure/include/cvm/manifest.h"

enum {
    CVM_DSSE_MAX_SIGNATURES = 32,
    CVM_DSSE_MAX_SIGNATURE = 4096, /* bytes */
    CVM_DSSE_MAX_TYPE = 256,       /* bytes */
};

/* Appends PAE(type, body). */
void cvm_put_pae(struct cvm_buf *out, struct cvm_bytes type, struct cvm_bytes body);

/* What was signed, and by whom. All owned. */
struct cvm_dsse_verified {
    struct cvm_buf type; /* payloadType */
    struct cvm_buf payload;
    struct cvm_dsse_signer {
        struct cvm_sha256 fingerprint;
        struct cvm_buf signature;
    } signers[CVM_MANIFEST_MAX_KEYS]; /* one per key that signed, in the order of the keys */
    size_t num_signers;
};

/*
 * Checks the signatures against keys.
 *
 * @param keys       the same key twice counts once.
 * @param threshold  how many of the keys have to have signed; at least 1.
 * @param out        starts as { 0 }; to be freed in any case.
 * @return false with CVM_ERR_MISMATCH where fewer did, saying how many and why; CVM_ERR_USAGE
 *         where fewer distinct keys were given.
 */
CVM_MUST_CHECK bool cvm_dsse_verify(const struct cvm_envelope *envelope,
                                    const struct cvm_key *const *keys, size_t num_keys,
                                    size_t threshold, struct cvm_dsse_verified *out,
                                    struct cvm_error *err);
void cvm_dsse_verified_free(struct cvm_dsse_verified *v);

enum cvm_dsse_form { CVM_DSSE_ENVELOPE, CVM_DSSE_SIGSTORE_BUNDLE };

/*
 * Signs a payload and appends the document, one line with a newline behind it. It has no clock and
 * no names in it: the same payload and Ed25519 keys give the same document.
 *
 * @param form  a bundle takes exactly one key.
 * @return false with CVM_ERR_USAGE for another number of keys or the same key twice,
 *         CVM_ERR_SYSTEM where signing fails.
 */
CVM_MUST_CHECK bool cvm_dsse_sign(struct cvm_bytes type, struct cvm_bytes payload,
                                  const struct cvm_key *const *keys, size_t num_keys,
                                  enum cvm_dsse_form form, struct cvm_buf *out,
                                  struct cvm_error *err);

/* Adds one key's signature to what others signed already, and appends the new envelope. */
CVM_MUST_CHECK bool cvm_dsse_cosign(const struct cvm_dsse_verified *verified,
                                    const struct cvm_key *key, struct cvm_buf *out,
                                    struct cvm_error *err);

#endif
