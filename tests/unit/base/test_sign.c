#include "tests/support/check.h"

#include "measure/base/sign.h"

#include <stdio.h>

/* Keys and signatures in vectors/keys were made with the openssl command. */
static const struct {
    const char *name;
    const char *fingerprint; /* openssl pkey -pubin -outform DER | sha256sum */
} accepted[] = {
    { "ed25519", "4a09898273245851a2e09e78d79a46cd229de826f86ac2b002e632e852d4673f" },
    { "p256", "50c650c4fd56d9cff98ab346670f0b7f84fcb0fb082ce8afbd747e90562fff71" },
    { "p384", "a381eebb012c8a366763ce4597682dd3f5e2332efd36f9e8c18ca039c38124b2" },
    { "rsa2048", "8ba096e956ff9d109ff49a20e280652f006f5922331bb4c8261e216de178ac92" },
    { "rsa8192", "56977878dd4c2a82b497cd74ab43dd69a3a5c42ba0085633b56f3ddc7507e6f1" },
};
enum { NUM_ACCEPTED = sizeof accepted / sizeof accepted[0], NUM_PRIVATE = NUM_ACCEPTED - 1 };

static struct cvm_buf load_key_file(const char *prefix, const char *name, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "keys/%s%s%s", prefix, name, suffix);
    return load_vector(path);
}

static struct cvm_bytes bytes_of(const struct cvm_buf *b)
{
    return (struct cvm_bytes){ b->data, b->len };
}

static struct cvm_key *load_public(const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_key *key = NULL;
    cvm_autobuf struct cvm_buf pem = load_key_file("accepted-", name, ".pub.pem");
    must(cvm_key_parse_public(bytes_of(&pem), &key, &err), &err);
    return key;
}

static struct cvm_key *load_private(const char *name, const char *passphrase)
{
    struct cvm_error err = { 0 };
    struct cvm_key *key = NULL;
    cvm_autobuf struct cvm_buf pem = load_key_file("accepted-", name, ".key.pem");
    must(cvm_key_parse_private(bytes_of(&pem), passphrase, &key, &err), &err);
    return key;
}

static void test_foreign_signatures_verify(void **state)
{
    cvm_autobuf struct cvm_buf message = load_key_file("", "message", ".txt");
    (void)state;
    for (size_t i = 0; i < NUM_ACCEPTED; i++) {
        struct cvm_error err = { 0 };
        struct cvm_sha256 fingerprint;
        cvm_autokey struct cvm_key *key = load_public(accepted[i].name);
        cvm_autobuf struct cvm_buf signature = load_key_file("accepted-", accepted[i].name, ".sig");
        must(cvm_key_verify(key, bytes_of(&message), bytes_of(&signature), &err), &err);
        must(cvm_key_fingerprint(key, &fingerprint, &err), &err);
        assert_hex(fingerprint.bytes, sizeof fingerprint.bytes, accepted[i].fingerprint);
    }
}

static void assert_mismatch(const struct cvm_key *key, struct cvm_bytes message,
                            struct cvm_bytes signature)
{
    struct cvm_error err = { 0 };
    assert_false(cvm_key_verify(key, message, signature, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "the signature is not this key's over this message");
}

/* Every bit of the message, and of the signature, counts; and so does every byte's presence. */
static void check_alterations(const struct cvm_key *key, struct cvm_buf *message,
                              struct cvm_buf *signature)
{
    struct cvm_buf *const altered[] = { message, signature };
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < altered[k]->len; i++) {
            altered[k]->data[i] ^= (uint8_t)(1 << i % 8);
            assert_mismatch(key, bytes_of(message), bytes_of(signature));
            altered[k]->data[i] ^= (uint8_t)(1 << i % 8);
        }
    }
    for (size_t n = 0; n < signature->len; n++) {
        cvm_autobuf struct cvm_buf cut = { 0 };
        cvm_put_bytes(&cut, signature->data, n);
        assert_mismatch(key, bytes_of(message), bytes_of(&cut));
    }
    for (size_t n = 0; n < message->len; n++) {
        assert_mismatch(key, (struct cvm_bytes){ message->data, n }, bytes_of(signature));
    }
}

static void test_altered_message_or_signature(void **state)
{
    cvm_autobuf struct cvm_buf message = load_key_file("", "message", ".txt");
    (void)state;
    for (size_t i = 0; i < NUM_PRIVATE; i++) { /* 8192 bits of RSA would take long */
        cvm_autokey struct cvm_key *key = load_public(accepted[i].name);
        cvm_autobuf struct cvm_buf signature = load_key_file("accepted-", accepted[i].name, ".sig");
        check_alterations(key, &message, &signature);
    }
}

static void test_signature_of_another_key(void **state)
{
    cvm_autobuf struct cvm_buf message = load_key_file("", "message", ".txt");
    (void)state;
    for (size_t i = 0; i < NUM_ACCEPTED; i++) {
        cvm_autobuf struct cvm_buf signature = load_key_file("accepted-", accepted[i].name, ".sig");
        for (size_t k = 0; k < NUM_ACCEPTED; k++) {
            cvm_autokey struct cvm_key *key = load_public(accepted[k].name);
            if (k != i) {
                assert_mismatch(key, bytes_of(&message), bytes_of(&signature));
            }
        }
    }
}

static void check_signing(const struct cvm_key *private_key, const struct cvm_key *public_key)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf message = { 0 };
    for (unsigned n = 0; n < 3; n++) { /* the empty message first */
        cvm_autobuf struct cvm_buf signature = { 0 };
        cvm_put_text(&signature, "> ");
        must(cvm_key_sign(private_key, bytes_of(&message), &signature, &err), &err);
        assert_memory_equal(signature.data, "> ", 2); /* appended */
        const struct cvm_bytes only = { signature.data + 2, signature.len - 2 };
        must(cvm_key_verify(public_key, bytes_of(&message), only, &err), &err);
        must(cvm_key_verify(private_key, bytes_of(&message), only, &err), &err);
        cvm_put_zeros(&message, 1 << (8 * n));
        assert_mismatch(public_key, bytes_of(&message), only);
    }
}

static void test_signing_with_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUM_PRIVATE; i++) {
        cvm_autokey struct cvm_key *private_key = load_private(accepted[i].name, NULL);
        cvm_autokey struct cvm_key *public_key = load_public(accepted[i].name);
        check_signing(private_key, public_key);
    }
}

static void test_signing_needs_a_private_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUM_ACCEPTED; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        cvm_autokey struct cvm_key *key = load_public(accepted[i].name);
        assert_false(cvm_key_sign(key, (struct cvm_bytes){ 0 }, &out, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "sign");
        assert_false(cvm_key_build_private(key, NULL, &out, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "write private key");
        assert_int_equal(out.len, 0);
    }
}

/* generate, write, read back, sign with one, verify with the other */
static void check_round_trip(enum cvm_key_kind kind, const char *passphrase, const char *label)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 ids[3];
    cvm_autokey struct cvm_key *made = NULL;
    cvm_autokey struct cvm_key *back = NULL;
    cvm_autokey struct cvm_key *public_key = NULL;
    cvm_autobuf struct cvm_buf pem = { 0 };
    cvm_autobuf struct cvm_buf public_pem = { 0 };
    must(cvm_key_generate(kind, &made, &err), &err);
    must(cvm_key_build_private(made, passphrase, &pem, &err), &err);
    must(cvm_key_build_public(made, &public_pem, &err), &err);
    assert_true(pem.len > strlen(label));
    assert_memory_equal(pem.data, label, strlen(label));
    must(cvm_key_parse_private(bytes_of(&pem), passphrase, &back, &err), &err);
    must(cvm_key_parse_public(bytes_of(&public_pem), &public_key, &err), &err);
    must(cvm_key_fingerprint(made, &ids[0], &err), &err);
    must(cvm_key_fingerprint(back, &ids[1], &err), &err);
    must(cvm_key_fingerprint(public_key, &ids[2], &err), &err);
    assert_bytes(ids[1].bytes, 32, ids[0].bytes, 32);
    assert_bytes(ids[2].bytes, 32, ids[0].bytes, 32);
    check_signing(back, public_key);
}

static void test_round_trip(void **state)
{
    static const enum cvm_key_kind kinds[] = { CVM_KEY_P256, CVM_KEY_ED25519 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        check_round_trip(kinds[i], NULL, "-----BEGIN PRIVATE KEY-----\n");
        check_round_trip(kinds[i], "s", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
        check_round_trip(kinds[i], "p\xc3\xa4ss phrase", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    }
}

static void test_generated_keys_differ(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 ids[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cvm_autokey struct cvm_key *key = NULL;
        must(cvm_key_generate(CVM_KEY_P256, &key, &err), &err);
        must(cvm_key_fingerprint(key, &ids[i], &err), &err);
    }
    assert_memory_not_equal(ids[0].bytes, ids[1].bytes, 32);
}

static void assert_not_private(struct cvm_bytes pem, const char *passphrase)
{
    struct cvm_error err = { 0 };
    struct cvm_key *key = NULL;
    assert_false(cvm_key_parse_private(pem, passphrase, &key, &err));
    assert_null(key);
    assert_error(&err, CVM_ERR_MALFORMED, "no private key in PEM form, or not its passphrase");
}

static void test_passphrases(void **state)
{
    cvm_autobuf struct cvm_buf pem = load_key_file("accepted-", "p256-encrypted", ".key.pem");
    char endless[5000];
    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    cvm_autokey struct cvm_key *key = load_private("p256-encrypted", "correct horse");
    cvm_autokey struct cvm_key *plain = load_private("p256", "not asked for");
    cvm_autokey struct cvm_key *sec1 = load_private("p256-sec1", NULL); /* BEGIN EC PRIVATE KEY */
    check_signing(key, plain);
    check_signing(sec1, key);
    assert_not_private(bytes_of(&pem), NULL); /* and no terminal is asked */
    assert_not_private(bytes_of(&pem), "");
    assert_not_private(bytes_of(&pem), "correct hors");
    assert_not_private(bytes_of(&pem), "correct horse ");
    assert_not_private(bytes_of(&pem), endless);
}

static void assert_unsupported(bool ok, struct cvm_key *key, struct cvm_error *err,
                               const char *name)
{
    if (ok) {
        cvm_key_free(key);
        fail_msg("a key that is not to be accepted was: %s", name);
    }
    assert_null(key);
    assert_error(err, CVM_ERR_UNSUPPORTED,
                 "; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits");
}

static void test_refused_kinds(void **state)
{
    static const char *const names[] = {
        "rsa1024", "rsa2047", "rsapss2048", "dsa2048", "p224", "p521", "ed448", "x25519",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_key *key = NULL;
        cvm_autobuf struct cvm_buf pem = load_key_file("refused-", names[i], ".pub.pem");
        bool ok = cvm_key_parse_public(bytes_of(&pem), &key, &err);
        assert_unsupported(ok, key, &err, names[i]);
    }
}

/* Of 256 or 384 bits as well, but neither P-256 nor P-384. */
static void test_refused_curves_of_the_right_size(void **state)
{
    static const char *const names[] = { "secp256k1", "brainpoolP256r1", "brainpoolP384r1", "sm2" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_key *key = NULL;
        cvm_autobuf struct cvm_buf pem = load_key_file("refused-", names[i], ".pub.pem");
        bool ok = cvm_key_parse_public(bytes_of(&pem), &key, &err);
        assert_unsupported(ok, key, &err, names[i]);
    }
}

static void test_refused_private_keys(void **state)
{
    static const char *const names[] = { "rsa1024", "dsa2048", "p521", "x25519", "secp256k1" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_key *key = NULL;
        cvm_autobuf struct cvm_buf pem = load_key_file("refused-", names[i], ".key.pem");
        bool ok = cvm_key_parse_private(bytes_of(&pem), NULL, &key, &err);
        assert_unsupported(ok, key, &err, names[i]);
    }
}

typedef bool parse_fn(struct cvm_bytes pem, struct cvm_key **out, struct cvm_error *err);

static bool parse_unencrypted(struct cvm_bytes pem, struct cvm_key **out, struct cvm_error *err)
{
    return cvm_key_parse_private(pem, NULL, out, err);
}

static bool parse_encrypted(struct cvm_bytes pem, struct cvm_key **out, struct cvm_error *err)
{
    return cvm_key_parse_private(pem, "correct horse", out, err);
}

/* Only the final newline may be missing. The copy ends where the text does, for ASan. */
static void check_every_length(const struct cvm_buf *pem, parse_fn *parse)
{
    for (size_t n = 0; n <= pem->len; n++) {
        struct cvm_error err = { 0 };
        cvm_autokey struct cvm_key *key = NULL;
        cvm_autofree uint8_t *text = malloc(n + (n == 0));
        assert_non_null(text);
        memcpy(text, pem->data, n);
        bool ok = parse((struct cvm_bytes){ text, n }, &key, &err);
        assert_int_equal(ok, n + 1 >= pem->len);
        if (!ok) {
            assert_null(key);
            assert_error(&err, CVM_ERR_MALFORMED, "PEM");
        }
    }
}

static void test_short_pem_at_every_length(void **state)
{
    cvm_autobuf struct cvm_buf encrypted = load_key_file("accepted-", "p256-encrypted", ".key.pem");
    (void)state;
    for (size_t i = 0; i < NUM_PRIVATE; i++) {
        cvm_autobuf struct cvm_buf pem = load_key_file("accepted-", accepted[i].name, ".key.pem");
        cvm_autobuf struct cvm_buf spki = load_key_file("accepted-", accepted[i].name, ".pub.pem");
        check_every_length(&pem, parse_unencrypted);
        check_every_length(&spki, cvm_key_parse_public);
    }
    check_every_length(&encrypted, parse_encrypted);
}

static void test_other_text_is_malformed(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_key *key = NULL;
    cvm_autobuf struct cvm_buf public_pem = load_key_file("accepted-", "p256", ".pub.pem");
    cvm_autobuf struct cvm_buf private_pem = load_key_file("accepted-", "p256", ".key.pem");
    cvm_autobuf struct cvm_buf large = { 0 };
    (void)state;
    assert_not_private(bytes_of(&public_pem), NULL);
    assert_false(cvm_key_parse_public(bytes_of(&private_pem), &key, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no public key in PEM form");
    cvm_put_zeros(&large, (1 << 16) + 1);
    assert_false(cvm_key_parse_public(bytes_of(&large), &key, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "PEM text of 65537 bytes (1 to 65536)");
    assert_false(cvm_key_parse_public((struct cvm_bytes){ large.data, 1 << 16 }, &key, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no public key in PEM form");
    assert_null(key);
}

static bool use_keys(struct cvm_error *err)
{
    static const struct cvm_bytes message = { (const uint8_t *)"m", 1 };
    cvm_autokey struct cvm_key *key = NULL;
    cvm_autokey struct cvm_key *back = NULL;
    cvm_autobuf struct cvm_buf pem = { 0 };
    cvm_autobuf struct cvm_buf public_pem = { 0 };
    cvm_autobuf struct cvm_buf signature = { 0 };
    return cvm_key_generate(CVM_KEY_ED25519, &key, err) &&
           cvm_key_build_private(key, "secret", &pem, err) &&
           cvm_key_build_public(key, &public_pem, err) &&
           cvm_key_parse_private(bytes_of(&pem), "secret", &back, err) &&
           cvm_key_sign(back, message, &signature, err) &&
           cvm_key_verify(key, message, bytes_of(&signature), err);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    assert_in_range(fail_each_allocation(use_keys), 6, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_signatures_verify),
        cmocka_unit_test(test_altered_message_or_signature),
        cmocka_unit_test(test_signature_of_another_key),
        cmocka_unit_test(test_signing_with_every_kind),
        cmocka_unit_test(test_signing_needs_a_private_key),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_generated_keys_differ),
        cmocka_unit_test(test_passphrases),
        cmocka_unit_test(test_refused_kinds),
        cmocka_unit_test(test_refused_curves_of_the_right_size),
        cmocka_unit_test(test_refused_private_keys),
        cmocka_unit_test(test_short_pem_at_every_length),
        cmocka_unit_test(test_other_text_is_malformed),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
