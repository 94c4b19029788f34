#include "measure/base/hash.h"
#include "measure/base/p256.h"
#include "measure/base/x509.h"
#include "measure/include/cvm/quote.h"

/* The extension that Intel's PCK certificates have and no other of its certificates does. */
#define SGX_EXTENSION "1.2.840.113741.1.13.1"

enum { CERT_PCK_CHAIN = 5, ENCLAVE_DEBUG = 2 };

/* report_data of the quoting enclave: SHA-256(attestation key || authentication data), zeros. */
static bool check_binding(const struct cvm_quote *q, struct cvm_error *err)
{
    cvm_autohash struct cvm_hash hash = { 0 };
    uint8_t want[sizeof q->qe.report_data] = { 0 };
    if (!cvm_hash_init(&hash, CVM_HASH_SHA256, err) ||
        !cvm_hash_update(&hash, q->attestation_key.data, q->attestation_key.size, err) ||
        !cvm_hash_update(&hash, q->qe_auth_data.data, q->qe_auth_data.size, err) ||
        !cvm_hash_final(&hash, want, err)) {
        return false;
    }
    return memcmp(want, q->qe.report_data, sizeof want) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "the quoting enclave's report does not bind the attestation key");
}

static bool check_enclave(const struct cvm_quote *q, struct cvm_error *err)
{
    return (q->qe.attributes & ENCLAVE_DEBUG) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH, "the quoting enclave is a debug enclave");
}

static bool check_leaf(const struct cvm_quote *q, const struct cvm_certs *certs,
                       struct cvm_error *err)
{
    cvm_autokey struct cvm_key *key = NULL;
    if (!cvm_certs_leaf_has(certs, SGX_EXTENSION)) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "the first certificate is no PCK certificate: it has no SGX extension");
    }
    if (!cvm_certs_leaf_key(certs, &key, err)) {
        return cvm_context(err, "PCK certificate");
    }
    return cvm_p256_verify(key, q->qe_report, q->qe_signature.data, err) ||
           cvm_context(err, "report of the quoting enclave, key of the PCK certificate");
}

static bool check_signature(const struct cvm_quote *q, struct cvm_error *err)
{
    cvm_autokey struct cvm_key *key = NULL;
    if (!cvm_p256_key(q->attestation_key.data, &key, err)) {
        return cvm_context(err, "attestation key");
    }
    return cvm_p256_verify(key, q->signed_part, q->signature.data, err) ||
           cvm_context(err, "quote, attestation key");
}

bool cvm_quote_verify(const struct cvm_quote *quote, const struct cvm_quote_anchor *anchor,
                      struct cvm_quote_check *out, struct cvm_error *err)
{
    cvm_autocerts struct cvm_certs *certs = NULL;
    struct cvm_certs_info info;
    struct cvm_quote_check check = { .rooted = anchor->root.size != 0 };
    if (quote->certification_type != CERT_PCK_CHAIN) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "certification data of type %u: the quote carries no certificates (5)",
                        quote->certification_type);
    }
    if (!cvm_certs_parse(quote->certification_data, &certs, err)) {
        return cvm_context(err, "certification data");
    }
    if (!check_binding(quote, err) || !check_enclave(quote, err) ||
        !check_leaf(quote, certs, err) || !check_signature(quote, err)) {
        return false;
    }
    if (check.rooted) {
        if (!cvm_certs_verify(certs, anchor->root, anchor->at, &info, err)) {
            return false;
        }
        check.root = info.root;
        check.not_before = info.not_before;
        check.not_after = info.not_after;
    }
    *out = check;
    return true;
}
