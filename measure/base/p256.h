/*
 * Points and signatures of the curve P-256 as quotes hold them, in the forms that sign.h takes.
 *
 * Source: Intel TDX DCAP Quoting Library API, appendix "Quote Format": X and Y, r and s, 32 bytes
 *         each and big-endian; RFC 5480 (SubjectPublicKeyInfo); RFC 3279, 2.2.3 (Ecdsa-Sig-Value).
 */
#ifndef CVM_BASE_P256_H
#define CVM_BASE_P256_H

#include "measure/base/sign.h"

enum { CVM_P256_SIZE = 64 }; /* bytes of a point or a signature */

/* The public key with the point X || Y; CVM_ERR_MALFORMED where it is none of the curve. */
CVM_MUST_CHECK bool cvm_p256_key(const uint8_t point[CVM_P256_SIZE], struct cvm_key **out,
                                 struct cvm_error *err);

/* cvm_key_verify() of a signature r || s. */
CVM_MUST_CHECK bool cvm_p256_verify(const struct cvm_key *key, struct cvm_bytes message,
                                    const uint8_t signature[CVM_P256_SIZE], struct cvm_error *err);

#endif
