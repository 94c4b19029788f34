#include "measure/base/sign.h"

#include "measure/base/hash.h"
#include "measure/base/openssl_error.h"

#include <openssl/bio.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

struct cvm_key {
    EVP_PKEY *pkey;
    EVP_PKEY *copy; /* of a token key's public half: tokens sign, OpenSSL itself verifies */
};

/* What verifies. */
static EVP_PKEY *public_half(const struct cvm_key *key)
{
    return key->copy != NULL ? key->copy : key->pkey;
}

static void free_bio(BIO **slot)
{
    BIO_free_all(*slot);
}

static void free_md_context(EVP_MD_CTX **slot)
{
    EVP_MD_CTX_free(*slot);
}

/* Which digest goes with a key; NULL with *known for the kinds that hash by themselves. */
static const EVP_MD *digest_of(const EVP_PKEY *pkey, bool *known)
{
    static const struct {
        const char *type;
        const char *group; /* OpenSSL's name of the curve; NULL where the type says it all */
        int min_bits, max_bits;
        bool sha256;
    } accepted[] = {
        { "EC", "prime256v1", 256, 256, true },
        { "EC", "secp384r1", 384, 384, true },
        { "RSA", NULL, 2048, 8192, true },
        { "ED25519", NULL, 253, 256, false },
    };
    int bits = EVP_PKEY_get_bits(pkey);
    char group[64] = "";
    (void)EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL);
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        if (EVP_PKEY_is_a(pkey, accepted[i].type) && bits >= accepted[i].min_bits &&
            bits <= accepted[i].max_bits &&
            (accepted[i].group == NULL || strcmp(accepted[i].group, group) == 0)) {
            *known = true;
            return accepted[i].sha256 ? EVP_sha256() : NULL;
        }
    }
    *known = false;
    return NULL;
}

/* Takes ownership of pkey. */
static bool adopt(EVP_PKEY *pkey, struct cvm_key **out, struct cvm_error *err)
{
    bool known;
    (void)digest_of(pkey, &known);
    if (!known) {
        const char *type = EVP_PKEY_get0_type_name(pkey);
        cvm_fail(err, CVM_ERR_UNSUPPORTED,
                 "a key of type %s with %d bits; use ECDSA P-256 or P-384, Ed25519, or RSA of "
                 "2048 to 8192 bits",
                 type == NULL ? "unknown" : type, EVP_PKEY_get_bits(pkey));
        EVP_PKEY_free(pkey);
        return false;
    }
    struct cvm_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return cvm_fail_nomem(err, "key", sizeof *key);
    }
    key->pkey = pkey;
    *out = key;
    return true;
}

bool cvm_key_generate(enum cvm_key_kind kind, struct cvm_key **out, struct cvm_error *err)
{
    EVP_PKEY *pkey =
        kind == CVM_KEY_P256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (pkey == NULL) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "generate key");
    }
    return adopt(pkey, out, err);
}

static bool open_pem(struct cvm_bytes pem, BIO **out, struct cvm_error *err)
{
    if (pem.size == 0 || pem.size > 1 << 16) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "PEM text of %zu bytes (1 to 65536)", pem.size);
    }
    *out = BIO_new_mem_buf(pem.data, (int)pem.size);
    return *out != NULL ? true : cvm_fail_nomem(err, "PEM reader", pem.size);
}

/* Never asks a terminal: without a passphrase an encrypted key is an error. */
static int give_passphrase(char *buf, int size, int writing, void *passphrase)
{
    (void)writing;
    if (passphrase == NULL || strlen(passphrase) > (size_t)size) {
        return -1;
    }
    size_t length = strlen(passphrase);
    memcpy(buf, passphrase, length);
    return (int)length;
}

bool cvm_key_parse_private(struct cvm_bytes pem, const char *passphrase, struct cvm_key **out,
                           struct cvm_error *err)
{
    CVM_CLEANUP(free_bio)
    BIO *bio = NULL;
    if (!open_pem(pem, &bio, err)) {
        return false;
    }
    EVP_PKEY *pkey =
        PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)(uintptr_t)passphrase);
    if (pkey == NULL) {
        return cvm_fail_openssl(err, CVM_ERR_MALFORMED,
                                "no private key in PEM form, or not its passphrase");
    }
    return adopt(pkey, out, err);
}

bool cvm_key_parse_public(struct cvm_bytes pem, struct cvm_key **out, struct cvm_error *err)
{
    CVM_CLEANUP(free_bio)
    BIO *bio = NULL;
    if (!open_pem(pem, &bio, err)) {
        return false;
    }
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, give_passphrase, NULL);
    if (pkey == NULL) {
        return cvm_fail_openssl(err, CVM_ERR_MALFORMED, "no public key in PEM form");
    }
    return adopt(pkey, out, err);
}

static bool drain(BIO *bio, struct cvm_buf *out, struct cvm_error *err)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    cvm_put_bytes(out, data, size > 0 ? (size_t)size : 0);
    return cvm_buf_finish(out, "PEM", err);
}

bool cvm_key_build_private(const struct cvm_key *key, const char *passphrase, struct cvm_buf *pem,
                           struct cvm_error *err)
{
    CVM_CLEANUP(free_bio)
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase == NULL ? NULL : EVP_aes_256_cbc();
    int length = passphrase == NULL ? 0 : (int)strlen(passphrase);
    if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, cipher, passphrase, length,
                                                     NULL, NULL) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "write private key");
    }
    return drain(bio, pem, err);
}

bool cvm_key_build_public(const struct cvm_key *key, struct cvm_buf *pem, struct cvm_error *err)
{
    CVM_CLEANUP(free_bio)
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "write public key");
    }
    return drain(bio, pem, err);
}

bool cvm_key_fingerprint(const struct cvm_key *key, struct cvm_sha256 *out, struct cvm_error *err)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(public_half(key), &der);
    if (size <= 0) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "encode public key");
    }
    bool ok = cvm_sha256(der, (size_t)size, out, err);
    OPENSSL_free(der);
    return ok;
}

bool cvm_key_sign(const struct cvm_key *key, struct cvm_bytes message, struct cvm_buf *signature,
                  struct cvm_error *err)
{
    bool known;
    const EVP_MD *md = digest_of(key->pkey, &known);
    CVM_CLEANUP(free_md_context)
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = 0;
    if (context == NULL || EVP_DigestSignInit(context, NULL, md, NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, NULL, &size, message.data, message.size) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "sign");
    }
    cvm_autofree uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return cvm_fail_nomem(err, "signature", size);
    }
    if (EVP_DigestSign(context, bytes, &size, message.data, message.size) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "sign");
    }
    cvm_put_bytes(signature, bytes, size);
    return cvm_buf_finish(signature, "signature", err);
}

bool cvm_key_verify(const struct cvm_key *key, struct cvm_bytes message, struct cvm_bytes signature,
                    struct cvm_error *err)
{
    bool known;
    const EVP_MD *md = digest_of(public_half(key), &known);
    CVM_CLEANUP(free_md_context)
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestVerifyInit(context, NULL, md, NULL, public_half(key)) != 1) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "verify");
    }
    if (EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size) !=
        1) {
        ERR_clear_error();
        return cvm_fail(err, CVM_ERR_MISMATCH, "the signature is not this key's over this message");
    }
    return true;
}

const char *cvm_key_explain(const struct cvm_key *key, struct cvm_bytes message,
                            struct cvm_bytes signature)
{
    static const struct {
        const char *type, *digest;
        bool pss;
        const char *why;
    } refused[] = {
        { "EC", "SHA384", false, "ECDSA with SHA-384; only SHA-256 is accepted" },
        { "EC", "SHA512", false, "ECDSA with SHA-512; only SHA-256 is accepted" },
        { "RSA", "SHA256", true, "RSA-PSS; only PKCS#1 v1.5 with SHA-256 is accepted" },
        { "RSA", "SHA384", true,
          "RSA-PSS with SHA-384; only PKCS#1 v1.5 with SHA-256 is accepted" },
        { "RSA", "SHA512", true,
          "RSA-PSS with SHA-512; only PKCS#1 v1.5 with SHA-256 is accepted" },
        { "RSA", "SHA384", false, "RSA with SHA-384; only SHA-256 is accepted" },
        { "RSA", "SHA512", false, "RSA with SHA-512; only SHA-256 is accepted" },
    };
    const char *found = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && found == NULL; i++) {
        if (!EVP_PKEY_is_a(public_half(key), refused[i].type)) {
            continue;
        }
        CVM_CLEANUP(free_md_context)
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *how = NULL; /* the context's */
        if (context != NULL &&
            EVP_DigestVerifyInit_ex(context, &how, refused[i].digest, NULL, NULL, public_half(key),
                                    NULL) == 1 &&
            (!refused[i].pss || EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1) &&
            EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size) ==
                1) {
            found = refused[i].why;
        }
    }
    ERR_clear_error();
    return found;
}

/* --- tokens --- */

static void free_store(OSSL_STORE_CTX **slot)
{
    OSSL_STORE_close(*slot);
}

static void free_ui_method(UI_METHOD **slot)
{
    UI_destroy_method(*slot);
}

static EVP_PKEY *key_of(const OSSL_STORE_INFO *info, enum cvm_key_part part)
{
    return part == CVM_KEY_PRIVATE ? OSSL_STORE_INFO_get1_PKEY(info)
                                   : OSSL_STORE_INFO_get1_PUBKEY(info);
}

/* What a provider for this kind of URI has; NULL where there is none, or no such key. */
static EVP_PKEY *load_from_store(const char *uri, UI_METHOD *ui, void *pin, enum cvm_key_part part)
{
    CVM_CLEANUP(free_store)
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, pin, NULL, NULL);
    int kind = part == CVM_KEY_PRIVATE ? OSSL_STORE_INFO_PKEY : OSSL_STORE_INFO_PUBKEY;
    EVP_PKEY *pkey = NULL;
    if (store == NULL || OSSL_STORE_expect(store, kind) != 1) {
        return NULL;
    }
    while (pkey == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info == NULL) {
            break;
        }
        pkey = key_of(info, part);
        OSSL_STORE_INFO_free(info);
    }
    return pkey;
}

#ifndef OPENSSL_NO_ENGINE
/* Deprecated, and all that distributions without the provider have. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* *known is whether there is an engine. The key keeps it alive. */
static EVP_PKEY *load_from_engine(const char *uri, UI_METHOD *ui, void *pin, enum cvm_key_part part,
                                  bool *known)
{
    ENGINE_load_builtin_engines();
    ENGINE *engine = ENGINE_by_id("pkcs11");
    EVP_PKEY *pkey = NULL;
    *known = engine != NULL;
    if (engine != NULL && ENGINE_init(engine) == 1) {
        pkey = part == CVM_KEY_PRIVATE ? ENGINE_load_private_key(engine, uri, ui, pin)
                                       : ENGINE_load_public_key(engine, uri, ui, pin);
        ENGINE_finish(engine);
    }
    ENGINE_free(engine);
    return pkey;
}
#pragma GCC diagnostic pop
#else
static EVP_PKEY *load_from_engine(const char *uri, UI_METHOD *ui, void *pin, enum cvm_key_part part,
                                  bool *known)
{
    (void)uri, (void)ui, (void)pin, (void)part;
    *known = false;
    return NULL;
}
#endif

/* Takes ownership of pkey. */
static bool adopt_token_key(EVP_PKEY *pkey, struct cvm_key **out, struct cvm_error *err)
{
    cvm_autokey struct cvm_key *key = NULL;
    unsigned char *der = NULL;
    if (!adopt(pkey, &key, err) || key == NULL) {
        return false;
    }
    int size = i2d_PUBKEY(pkey, &der);
    const unsigned char *p = der;
    key->copy = size <= 0 ? NULL : d2i_PUBKEY(NULL, &p, size);
    OPENSSL_free(der);
    if (key->copy == NULL) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "the token does not show the public half");
    }
    *out = cvm_steal(&key);
    return true;
}

bool cvm_key_open_token(const char *uri, const char *pin, enum cvm_key_part part,
                        struct cvm_key **out, struct cvm_error *err)
{
    void *data = (void *)(uintptr_t)pin;
    CVM_CLEANUP(free_ui_method)
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_passphrase, 0);
    if (ui == NULL) {
        return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "ask for the PIN");
    }
    bool provided = OSSL_PROVIDER_try_load(NULL, "pkcs11", 1) != NULL;
    ERR_clear_error();
    EVP_PKEY *pkey = load_from_store(uri, ui, data, part);
    bool engine = false;
    if (pkey == NULL && !provided) {
        ERR_clear_error();
        pkey = load_from_engine(uri, ui, data, part, &engine);
    }
    if (pkey != NULL) {
        ERR_clear_error();
        return adopt_token_key(pkey, out, err);
    }
    if (!provided && !engine) {
        ERR_clear_error();
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "OpenSSL has neither a provider nor an engine 'pkcs11' here");
    }
    return cvm_fail_openssl(err, CVM_ERR_SYSTEM, "no such key in a token, or not its PIN");
}

void cvm_key_free(struct cvm_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        EVP_PKEY_free(key->copy);
        free(key);
    }
}

void cvm_key_free_at(struct cvm_key **slot)
{
    cvm_key_free(*slot);
}
