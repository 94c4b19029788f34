/*
 * Signing and checking signatures. The only includer of OpenSSL's key functions is sign.c.
 *
 * Which keys are accepted, public ones from PEM text, and fingerprints: cvm/key.h. Here is what
 * the library does not export: private keys, and using keys.
 */
#ifndef CVM_BASE_SIGN_H
#define CVM_BASE_SIGN_H

#include "measure/base/buf.h"
#include "measure/base/error.h"
#include "measure/include/cvm/key.h"

enum cvm_key_kind { CVM_KEY_P256, CVM_KEY_ED25519 };

#define cvm_autokey CVM_CLEANUP(cvm_key_free_at)

/* A new private key. */
CVM_MUST_CHECK bool cvm_key_generate(enum cvm_key_kind kind, struct cvm_key **out,
                                     struct cvm_error *err);

/*
 * A private key from PEM text (borrowed). It may be encrypted: passphrase then is its
 * NUL-terminated passphrase, else NULL. CVM_ERR_MALFORMED where the text holds no such key.
 */
CVM_MUST_CHECK bool cvm_key_parse_private(struct cvm_bytes pem, const char *passphrase,
                                          struct cvm_key **out, struct cvm_error *err);

enum cvm_key_part { CVM_KEY_PUBLIC, CVM_KEY_PRIVATE };

/*
 * A key that lies in a PKCS#11 token, by its URI ("pkcs11:token=...;object=..."). The private
 * key stays in the token. It is looked for through OpenSSL's provider for PKCS#11, and where
 * there is none through OpenSSL's engine for it; which token library those use is configured
 * for them, not here.
 *
 * @param pin  NUL-terminated, or NULL where the URI or the configuration says it.
 * @return false with CVM_ERR_UNSUPPORTED where OpenSSL has neither, CVM_ERR_SYSTEM where there
 *         is no such key, the PIN is wrong, or the token fails.
 */
CVM_MUST_CHECK bool cvm_key_open_token(const char *uri, const char *pin, enum cvm_key_part part,
                                       struct cvm_key **out, struct cvm_error *err);

/* Appends PKCS#8 PEM (encrypted with AES-256 where passphrase is not NULL), or SPKI PEM. */
CVM_MUST_CHECK bool cvm_key_build_private(const struct cvm_key *key, const char *passphrase,
                                          struct cvm_buf *pem, struct cvm_error *err);
CVM_MUST_CHECK bool cvm_key_build_public(const struct cvm_key *key, struct cvm_buf *pem,
                                         struct cvm_error *err);

/* Appends the signature of message. */
CVM_MUST_CHECK bool cvm_key_sign(const struct cvm_key *key, struct cvm_bytes message,
                                 struct cvm_buf *signature, struct cvm_error *err);

/* CVM_ERR_MISMATCH where the signature is not this key's over this message. */
CVM_MUST_CHECK bool cvm_key_verify(const struct cvm_key *key, struct cvm_bytes message,
                                   struct cvm_bytes signature, struct cvm_error *err);

/*
 * Why a signature that does not verify is refused, where it is this key's over this message but
 * made in a way that is not accepted ("RSA-PSS ..."); else NULL.
 */
const char *cvm_key_explain(const struct cvm_key *key, struct cvm_bytes message,
                            struct cvm_bytes signature);

void cvm_key_free_at(struct cvm_key **slot);

#endif
