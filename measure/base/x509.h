/*
 * Chains of X.509 certificates, checked offline. The only includer of OpenSSL's certificate
 * functions is x509.c.
 *
 * A chain is what a quote carries: it proves nothing until it was verified up to a root that the
 * caller brought along. Revocation is not looked at.
 *
 * Source: RFC 5280.
 */
#ifndef CVM_BASE_X509_H
#define CVM_BASE_X509_H

#include "measure/base/sign.h"

enum { CVM_MAX_CERTS = 8, CVM_MAX_CERTS_SIZE = 1 << 16 };

struct cvm_certs; /* opaque: certificates, the leaf first */

#define cvm_autocerts CVM_CLEANUP(cvm_certs_free_at)

/*
 * Reads certificates in PEM, or one in DER; NULs and blanks may follow.
 *
 * @return false with CVM_ERR_MALFORMED where there are none or more than CVM_MAX_CERTS,
 *         CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_certs_parse(struct cvm_bytes text, struct cvm_certs **out,
                                    struct cvm_error *err);

/* The public key of the leaf; CVM_ERR_UNSUPPORTED as sign.h says. */
CVM_MUST_CHECK bool cvm_certs_leaf_key(const struct cvm_certs *certs, struct cvm_key **out,
                                       struct cvm_error *err);

/* Whether the leaf has an extension with this object identifier ("1.2.840.113741.1.13.1"). */
bool cvm_certs_leaf_has(const struct cvm_certs *certs, const char *oid);

/* What a verified chain says of itself. */
struct cvm_certs_info {
    int64_t not_before;     /* seconds since the epoch: when all certificates are valid */
    int64_t not_after;      /* from and until, both inclusive */
    struct cvm_sha256 root; /* SHA-256 of the root's DER: its fingerprint */
};

/*
 * Verifies the leaf up to a root, at a time.
 *
 * @param root  the one certificate that is trusted, self-signed; the others of the chain may be
 *              missing from it, and what it holds beside is not trusted.
 * @param at    seconds since the epoch.
 * @return false with CVM_ERR_MISMATCH and the reason where the chain does not hold,
 *         CVM_ERR_MALFORMED where root is not one certificate, CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_certs_verify(const struct cvm_certs *certs, struct cvm_bytes root,
                                     int64_t at, struct cvm_certs_info *out, struct cvm_error *err);

void cvm_certs_free(struct cvm_certs *certs);
void cvm_certs_free_at(struct cvm_certs **slot);

#endif
