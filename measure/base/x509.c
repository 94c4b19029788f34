#include "measure/base/x509.h"

#include "measure/base/hash.h"
#include "measure/base/openssl_error.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <time.h>

struct cvm_certs {
    X509 *items[CVM_MAX_CERTS];
    int count;
};

static void free_bio(BIO **slot)
{
    BIO_free_all(*slot);
}

static void free_store(X509_STORE **slot)
{
    X509_STORE_free(*slot);
}

static void free_context(X509_STORE_CTX **slot)
{
    X509_STORE_CTX_free(*slot);
}

static void free_stack(STACK_OF(X509) * *slot)
{
    sk_X509_free(*slot); /* the certificates belong to the chain */
}

/* --- reading --- */

static bool read_pem(BIO *bio, struct cvm_certs *certs, struct cvm_error *err)
{
    X509 *cert;
    char no_passphrase[] = ""; /* or OpenSSL asks the terminal for one */
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase)) != NULL) {
        if (certs->count == CVM_MAX_CERTS) {
            X509_free(cert);
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d certificates", CVM_MAX_CERTS);
        }
        certs->items[certs->count++] = cert;
    }
    unsigned long why = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
    if (!at_end) {
        return cvm_fail_openssl(err, CVM_ERR_MALFORMED, "certificate in PEM form");
    }
    ERR_clear_error();
    return true;
}

static bool read_certs(struct cvm_bytes text, struct cvm_certs *certs, struct cvm_error *err)
{
    if (text.size == 0 || text.size > CVM_MAX_CERTS_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "certificates of %zu bytes (1 to %d)", text.size,
                        CVM_MAX_CERTS_SIZE);
    }
    const unsigned char *der = text.data;
    if (text.data[0] == 0x30) { /* a SEQUENCE */
        certs->items[0] = d2i_X509(NULL, &der, (long)text.size);
        certs->count = certs->items[0] != NULL;
        if (certs->count == 0 || der != text.data + text.size) {
            return cvm_fail_openssl(err, CVM_ERR_MALFORMED, "certificate in DER form");
        }
        return true;
    }
    CVM_CLEANUP(free_bio)
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    if (bio == NULL) {
        return cvm_fail_nomem(err, "certificate reader", text.size);
    }
    return read_pem(bio, certs, err) &&
           (certs->count != 0 || cvm_fail(err, CVM_ERR_MALFORMED, "no certificate in PEM form"));
}

bool cvm_certs_parse(struct cvm_bytes text, struct cvm_certs **out, struct cvm_error *err)
{
    cvm_autocerts struct cvm_certs *certs = calloc(1, sizeof *certs);
    if (certs == NULL) {
        return cvm_fail_nomem(err, "certificates", sizeof *certs);
    }
    if (!read_certs(text, certs, err)) {
        return false;
    }
    *out = certs;
    certs = NULL;
    return true;
}

void cvm_certs_free(struct cvm_certs *certs)
{
    for (int i = 0; certs != NULL && i < certs->count; i++) {
        X509_free(certs->items[i]);
    }
    free(certs);
}

void cvm_certs_free_at(struct cvm_certs **slot)
{
    cvm_certs_free(*slot);
}

/* --- the leaf --- */

bool cvm_certs_leaf_key(const struct cvm_certs *certs, struct cvm_key **out, struct cvm_error *err)
{
    CVM_CLEANUP(free_bio)
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *pkey = X509_get0_pubkey(certs->items[0]);
    char *data = NULL;
    if (bio == NULL || pkey == NULL || PEM_write_bio_PUBKEY(bio, pkey) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_MALFORMED, "public key of the certificate");
    }
    long size = BIO_get_mem_data(bio, &data);
    return cvm_key_parse_public((struct cvm_bytes){ (const uint8_t *)data, (size_t)size }, out,
                                err);
}

bool cvm_certs_leaf_has(const struct cvm_certs *certs, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    bool found = object != NULL && X509_get_ext_by_OBJ(certs->items[0], object, -1) >= 0;
    ASN1_OBJECT_free(object);
    ERR_clear_error();
    return found;
}

/* --- verifying --- */

static bool to_epoch(const ASN1_TIME *value, int64_t *out, struct cvm_error *err)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(value, &tm) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_MALFORMED, "validity of a certificate");
    }
    *out = (int64_t)timegm(&tm);
    return true;
}

/* The time in which every certificate of the verified chain is valid. */
static bool intersect(const STACK_OF(X509) * chain, struct cvm_certs_info *out,
                      struct cvm_error *err)
{
    out->not_before = INT64_MIN;
    out->not_after = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *cert = sk_X509_value(chain, i);
        int64_t from = 0;
        int64_t until = 0;
        if (!to_epoch(X509_get0_notBefore(cert), &from, err) ||
            !to_epoch(X509_get0_notAfter(cert), &until, err)) {
            return false;
        }
        out->not_before = from > out->not_before ? from : out->not_before;
        out->not_after = until < out->not_after ? until : out->not_after;
    }
    return true;
}

static bool fingerprint(const X509 *cert, struct cvm_sha256 *out, struct cvm_error *err)
{
    unsigned char *der = NULL;
    int size = i2d_X509(cert, &der);
    if (size <= 0) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "encode certificate");
    }
    bool ok = cvm_sha256(der, (size_t)size, out, err);
    OPENSSL_free(der);
    return ok;
}

static bool verify(const struct cvm_certs *certs, X509 *root, int64_t at,
                   struct cvm_certs_info *out, struct cvm_error *err)
{
    CVM_CLEANUP(free_store)
    X509_STORE *store = X509_STORE_new();
    CVM_CLEANUP(free_context)
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    CVM_CLEANUP(free_stack)
    STACK_OF(X509) *others = sk_X509_new_null();
    bool ok = store != NULL && context != NULL && others != NULL;
    for (int i = 1; ok && i < certs->count; i++) {
        ok = sk_X509_push(others, certs->items[i]) > 0;
    }
    if (!ok || X509_STORE_add_cert(store, root) != 1 ||
        X509_STORE_CTX_init(context, store, certs->items[0], others) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "verify certificates");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)at);
    X509_VERIFY_PARAM_set_depth(param, CVM_MAX_CERTS);
    int result = X509_verify_cert(context);
    int why = X509_STORE_CTX_get_error(context);
    int depth = X509_STORE_CTX_get_error_depth(context);
    ERR_clear_error();
    if (result != 1) {
        return cvm_fail(err, CVM_ERR_MISMATCH, "certificate %d of the chain: %s", depth,
                        X509_verify_cert_error_string(why));
    }
    return intersect(X509_STORE_CTX_get0_chain(context), out, err);
}

bool cvm_certs_verify(const struct cvm_certs *certs, struct cvm_bytes root, int64_t at,
                      struct cvm_certs_info *out, struct cvm_error *err)
{
    cvm_autocerts struct cvm_certs *trusted = NULL;
    struct cvm_certs_info info;
    if (!cvm_certs_parse(root, &trusted, err)) {
        return cvm_context(err, "root certificate");
    }
    int count = trusted == NULL ? 0 : trusted->count;
    if (count != 1) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "root certificate: %d certificates instead of one",
                        count);
    }
    if (!verify(certs, trusted->items[0], at, &info, err) ||
        !fingerprint(trusted->items[0], &info.root, err)) {
        return false;
    }
    *out = info;
    return true;
}
