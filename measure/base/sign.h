/*
 * Signing and checking signatures. The only includer of OpenSSL's key functions is sign.c.
 *
 * Accepted keys are those that verify everywhere in the field: ECDSA over P-256 and P-384,
 * both with SHA-256 and DER signatures; Ed25519 over the message itself; RSA (2048 to 8192
 * bits) PKCS#1 v1.5 with SHA-256. Any other key is CVM_ERR_UNSUPPORTED with the reason.
 */
#ifndef CVM_BASE_SIGN_H
#define CVM_BASE_SIGN_H

#include "measure/base/buf.h"
#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

struct cvm_key; /* opaque: a private or a public key */

enum cvm_key_kind { CVM_KEY_P256, CVM_KEY_ED25519 };

#define cvm_autokey CVM_CLEANUP(cvm_key_free_at)

/* A new private key. */
CVM_MUST_CHECK bool cvm_key_generate(enum cvm_key_kind kind, struct cvm_key **out,
                                     struct cvm_error *err);

/*
 * Keys from PEM text (borrowed). A private key may be encrypted: passphrase then is its
 * NUL-terminated passphrase, else NULL. CVM_ERR_MALFORMED where the text holds no such key.
 */
CVM_MUST_CHECK bool cvm_key_parse_private(struct cvm_bytes pem, const char *passphrase,
                                          struct cvm_key **out, struct cvm_error *err);
CVM_MUST_CHECK bool cvm_key_parse_public(struct cvm_bytes pem, struct cvm_key **out,
                                         struct cvm_error *err);

/* Appends PKCS#8 PEM (encrypted with AES-256 where passphrase is not NULL), or SPKI PEM. */
CVM_MUST_CHECK bool cvm_key_build_private(const struct cvm_key *key, const char *passphrase,
                                          struct cvm_buf *pem, struct cvm_error *err);
CVM_MUST_CHECK bool cvm_key_build_public(const struct cvm_key *key, struct cvm_buf *pem,
                                         struct cvm_error *err);

/* SHA-256 of the DER SubjectPublicKeyInfo: the key's fingerprint. */
CVM_MUST_CHECK bool cvm_key_fingerprint(const struct cvm_key *key, struct cvm_sha256 *out,
                                        struct cvm_error *err);

/* Appends the signature of message. */
CVM_MUST_CHECK bool cvm_key_sign(const struct cvm_key *key, struct cvm_bytes message,
                                 struct cvm_buf *signature, struct cvm_error *err);

/* CVM_ERR_MISMATCH where the signature is not this key's over this message. */
CVM_MUST_CHECK bool cvm_key_verify(const struct cvm_key *key, struct cvm_bytes message,
                                   struct cvm_bytes signature, struct cvm_error *err);

void cvm_key_free(struct cvm_key *key);
void cvm_key_free_at(struct cvm_key **slot);

#endif
