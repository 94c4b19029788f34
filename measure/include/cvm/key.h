/**
 * Public keys: what signatures are checked with.
 *
 * Accepted are the keys that verify everywhere in the field: ECDSA over P-256 and P-384, both
 * with SHA-256 and DER signatures; Ed25519 over the message itself; RSA (2048 to 8192 bits)
 * PKCS#1 v1.5 with SHA-256. Any other key is CVM_ERR_UNSUPPORTED with the reason.
 *
 * Source:  RFC 5958, RFC 5280 (SubjectPublicKeyInfo), RFC 7468 (PEM).
 * Threads: no global state; a key may be used by several threads at the same time.
 */
#ifndef CVM_KEY_H
#define CVM_KEY_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cvm_key; /* opaque */

/**
 * Reads a public key from PEM text ("-----BEGIN PUBLIC KEY-----").
 *
 * @param pem  borrowed for the call.
 * @param out  set to a new key, to be released with cvm_key_free().
 * @return false with CVM_ERR_MALFORMED where the text holds no such key, CVM_ERR_UNSUPPORTED
 *         for a key of another kind, CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_key_parse_public(struct cvm_bytes pem, struct cvm_key **out,
                                                 struct cvm_error *err);

/** SHA-256 of the DER SubjectPublicKeyInfo: the key's fingerprint. @return false with
 * CVM_ERR_SYSTEM from OpenSSL. */
CVM_API CVM_MUST_CHECK bool cvm_key_fingerprint(const struct cvm_key *key, struct cvm_sha256 *out,
                                                struct cvm_error *err);

/** Releases a key; NULL is allowed. */
CVM_API void cvm_key_free(struct cvm_key *key);

#ifdef __cplusplus
}
#endif

#endif
