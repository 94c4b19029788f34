#include "tests/support/check.h"
#include "tests/support/keys.h"

#include "measure/dsse.h"
#include "measure/manifest.h"

#include <stdio.h>

static const struct cvm_bytes TYPE = { (const uint8_t *)"text/plain", 10 };
static const struct cvm_bytes BODY = { (const uint8_t *)"hello world", 11 };

static struct cvm_bytes bytes_of(const struct cvm_buf *b)
{
    return (struct cvm_bytes){ b->data, b->len };
}

/* The keys of most tests, private and public. */
enum { ED25519, P256, RSA, NUM_KEYS };
static const char *const key_names[] = { "ed25519", "p256", "rsa2048" };
struct keys {
    struct cvm_key *private_keys[NUM_KEYS];
    struct cvm_key *public_keys[NUM_KEYS];
};

static int load_keys(void **state)
{
    static struct keys keys;
    for (size_t i = 0; i < NUM_KEYS; i++) {
        keys.private_keys[i] = load_vector_key(key_names[i], CVM_KEY_PRIVATE);
        keys.public_keys[i] = load_vector_key(key_names[i], CVM_KEY_PUBLIC);
    }
    *state = &keys;
    return 0;
}

static int free_keys(void **state)
{
    struct keys *keys = *state;
    for (size_t i = 0; i < NUM_KEYS; i++) {
        cvm_key_free(keys->private_keys[i]);
        cvm_key_free(keys->public_keys[i]);
    }
    return 0;
}

static void sign_with(const struct keys *keys, const size_t *which, size_t count,
                      struct cvm_buf *out)
{
    struct cvm_error err = { 0 };
    const struct cvm_key *list[NUM_KEYS];
    for (size_t i = 0; i < count; i++) {
        list[i] = keys->private_keys[which[i]];
    }
    must(cvm_dsse_sign(TYPE, BODY, list, count, CVM_DSSE_ENVELOPE, out, &err), &err);
}

static struct cvm_envelope *must_parse(struct cvm_bytes json)
{
    struct cvm_error err = { 0 };
    struct cvm_envelope *e = NULL;
    must(cvm_envelope_parse(json, &e, &err), &err);
    return e;
}

/* --- PAE --- */

static void test_pae(void **state)
{
    static const char want[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    static const struct cvm_bytes type = { (const uint8_t *)"http://example.com/HelloWorld", 29 };
    cvm_autobuf struct cvm_buf out = { 0 };
    cvm_autobuf struct cvm_buf empty = { 0 };
    cvm_autobuf struct cvm_buf raw = { 0 };
    (void)state;
    cvm_put_pae(&out, type, BODY);
    assert_bytes(out.data, out.len, want, sizeof want - 1);
    cvm_put_pae(&empty, (struct cvm_bytes){ 0 }, (struct cvm_bytes){ 0 });
    assert_bytes(empty.data, empty.len, "DSSEv1 0  0 ", 12);
    /* Lengths are bytes, and bytes are not looked at. */
    cvm_put_pae(&raw, (struct cvm_bytes){ (const uint8_t *)"\xc3\xa9", 2 },
                (struct cvm_bytes){ (const uint8_t *)"\0 \n", 3 });
    assert_bytes(raw.data, raw.len, "DSSEv1 2 \xc3\xa9 3 \0 \n", 17);
}

/* --- the shape --- */

#define SIGNED(sig) "{\"payload\":\"aGk=\",\"payloadType\":\"t\",\"signatures\":" sig "}"
#define BUNDLE(type, keyid)                                                                        \
    "{\"mediaType\":\"" type "\",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"\"}},"        \
    "\"dsseEnvelope\":{\"payload\":\"aGk=\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":"       \
    "\"AA==\"" keyid "}]}}"
#define BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"

static void test_shapes_that_are_right(void **state)
{
    static const char *const good[] = {
        SIGNED("[{\"sig\":\"AA==\"}]"),
        SIGNED("[{\"sig\":\"AA\",\"keyid\":\"x\",\"cert\":[1,{}]},{\"sig\":\"-_8=\"}]"),
        "{\"future\":{\"a\":[]},\"payloadType\":\"\\u0074\",\"payload\":\"aG\\u006b\\u003d\","
        "\"signatures\":[{\"sig\":\"+\\/8=\"}]}",
        BUNDLE(BUNDLE_TYPE, ""),
        BUNDLE(BUNDLE_TYPE, ",\"keyid\":\"\""),
        BUNDLE(BUNDLE_TYPE, ",\"keyid\":null"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cvm_envelope_free(
            must_parse((struct cvm_bytes){ (const uint8_t *)good[i], strlen(good[i]) }));
    }
}

static void test_shapes_that_are_wrong(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "", "envelope: not JSON at offset 0" },
        { "[]", "envelope: not a JSON object" },
        { "{}", "envelope: key 'payload' is missing" },
        { "{\"payload\":null}", "envelope: key 'payload' is missing" },
        { "{\"payload\":{}}", "envelope: key 'payload' is not a string" },
        { "{\"payload\":\"\"}", "envelope: key 'payload': 0 bytes, 1 to" },
        { "{\"payload\":\"a b=\"}", "envelope: key 'payload': base64: bad group at offset 0" },
        { "{\"payload\":\"aGk=\",\"payload\":\"aGk=\"}", "a key stands twice in one object" },
        { "{\"payload\":\"aGk=\",\"p\\u0061yload\":\"aG8=\"}", "a key stands twice in one object" },
        { "{\"payload\":\"aGk=\"}", "envelope: key 'payloadType' is missing" },
        { "{\"payload\":\"aGk=\",\"payloadType\":1}", "key 'payloadType': not a string" },
        { "{\"payload\":\"aGk=\",\"payloadType\":\"a\\u0000\"}", "key 'payloadType': a NUL" },
        { "{\"payload\":\"aGk=\",\"payloadType\":\"t\"}", "key 'signatures' is missing" },
        { SIGNED("{}"), "key 'signatures' is not an array" },
        { SIGNED("[]"), "envelope: 0 signatures, 1 to 32 are allowed" },
        { SIGNED("[1]"), "envelope: signatures[0]: key 'sig' is missing" },
        { SIGNED("[{\"sig\":\"AA\"},{}]"), "envelope: signatures[1]: key 'sig' is missing" },
        { SIGNED("[{\"sig\":17}]"), "signatures[0]: key 'sig' is not a string" },
        { SIGNED("[{\"sig\":\"\"}]"), "signatures[0]: key 'sig': 0 bytes, 1 to 4096" },
        { SIGNED("[{\"sig\":\"A\"}]"), "signatures[0]: key 'sig': base64" },
        { SIGNED("[{\"sig\":\"AA\"}]") "x", "something follows the value" },
        { BUNDLE("application/vnd.dev.sigstore.bundle+json;version=0.2", ""),
          "a bundle whose mediaType is not 'application/vnd.dev.sigstore.bundle.v0.3+json'" },
        { BUNDLE(BUNDLE_TYPE, ",\"keyid\":\"x\""), "a bundle whose signature has a keyid" },
        { "{\"mediaType\":\"" BUNDLE_TYPE "\",\"dsseEnvelope\":{\"signatures\":[{},{}]}}",
          "a bundle with 2 signatures, not 1" },
        { "{\"mediaType\":\"" BUNDLE_TYPE "\",\"dsseEnvelope\":[]}", "key 'payload' is missing" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_envelope *e = NULL;
        if (cvm_envelope_parse(
                (struct cvm_bytes){ (const uint8_t *)bad[i].text, strlen(bad[i].text) }, &e,
                &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_null(e);
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_size_limits(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_envelope *e = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    (void)state;
    cvm_put_text(&text, "{\"payload\":\"aGk=\",\"payloadType\":\"");
    for (unsigned i = 0; i <= CVM_DSSE_MAX_TYPE; i++) {
        cvm_put_text(&text, "t");
    }
    cvm_put_text(&text, "\",\"signatures\":[{\"sig\":\"AA\"}]}");
    assert_false(cvm_envelope_parse(bytes_of(&text), &e, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "key 'payloadType': more than 256 bytes of text");
    cvm_put_zeros(&text, CVM_MANIFEST_MAX_SIZE);
    assert_false(cvm_envelope_parse(bytes_of(&text), &e, &err));
    assert_error(&err, CVM_ERR_MALFORMED, " bytes, 33554432 are the most");
    assert_null(e);
}

static void test_short_input_at_every_length(void **state)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    sign_with(*state, (const size_t[]){ ED25519 }, 1, &text);
    for (size_t n = 0; n + 1 < text.len; n++) { /* the last byte is the newline */
        struct cvm_error err = { 0 };
        struct cvm_envelope *e = NULL;
        cvm_autofree uint8_t *copy = malloc(n + (n == 0));
        assert_non_null(copy);
        memcpy(copy, text.data, n);
        assert_false(cvm_envelope_parse((struct cvm_bytes){ copy, n }, &e, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "envelope: ");
    }
}

/* --- signatures --- */

static bool verify(const struct cvm_envelope *e, const struct cvm_key *const *keys, size_t count,
                   size_t threshold, struct cvm_dsse_verified *out, struct cvm_error *err)
{
    *out = (struct cvm_dsse_verified){ 0 };
    return cvm_dsse_verify(e, keys, count, threshold, out, err);
}

static void test_what_was_signed_comes_back(void **state)
{
    const struct keys *keys = *state;
    for (size_t i = 0; i < NUM_KEYS; i++) {
        struct cvm_error err = { 0 };
        struct cvm_sha256 fingerprint;
        struct cvm_dsse_verified v;
        cvm_autobuf struct cvm_buf text = { 0 };
        const struct cvm_key *trusted[] = { keys->public_keys[i] };
        sign_with(keys, &i, 1, &text);
        cvm_autoenvelope struct cvm_envelope *e = must_parse(bytes_of(&text));
        must(verify(e, trusted, 1, 1, &v, &err), &err);
        assert_bytes(v.payload.data, v.payload.len, BODY.data, BODY.size);
        assert_bytes(v.type.data, v.type.len, TYPE.data, TYPE.size);
        assert_int_equal(v.num_signers, 1);
        must(cvm_key_fingerprint(trusted[0], &fingerprint, &err), &err);
        assert_bytes(v.signers[0].fingerprint.bytes, 32, fingerprint.bytes, 32);
        cvm_dsse_verified_free(&v);
        trusted[0] = keys->public_keys[(i + 1) % NUM_KEYS];
        assert_false(verify(e, trusted, 1, 1, &v, &err));
        assert_error(&err, CVM_ERR_MISMATCH, "signature: none of the 1 signature is by a key that");
        assert_int_equal(v.payload.len, 0);
        cvm_dsse_verified_free(&v);
    }
}

static void test_same_input_same_document(void **state)
{
    struct cvm_buf texts[2] = { { 0 }, { 0 } };
    for (size_t i = 0; i < 2; i++) {
        sign_with(*state, (const size_t[]){ ED25519 }, 1, &texts[i]);
    }
    assert_bytes(texts[0].data, texts[0].len, texts[1].data, texts[1].len);
    cvm_buf_free(&texts[0]);
    cvm_buf_free(&texts[1]);
}

static void test_thresholds(void **state)
{
    const struct keys *keys = *state;
    static const struct {
        size_t signers[NUM_KEYS], num_signers;
        size_t trusted[4], num_trusted;
        size_t threshold;
        const char *message; /* NULL: it holds */
    } cases[] = {
        { { ED25519, P256 }, 2, { ED25519, P256 }, 2, 2, NULL },
        { { ED25519, P256 }, 2, { ED25519, P256, RSA }, 3, 2, NULL },
        { { ED25519, P256, RSA }, 3, { RSA }, 1, 1, NULL },
        { { ED25519, P256, RSA }, 3, { RSA, P256, ED25519, RSA }, 4, 3, NULL },
        { { ED25519 },
          1,
          { ED25519, P256 },
          2,
          2,
          "signature: 1 of the 2 keys signed, the thresh" },
        { { ED25519 }, 1, { P256, RSA }, 2, 1, "signature: none of the 1 signature is by a key" },
        { { ED25519, P256 },
          2,
          { RSA },
          1,
          1,
          "none of the 2 signatures is by a key that was giv" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_dsse_verified v;
        const struct cvm_key *trusted[4];
        cvm_autobuf struct cvm_buf text = { 0 };
        sign_with(keys, cases[i].signers, cases[i].num_signers, &text);
        cvm_autoenvelope struct cvm_envelope *e = must_parse(bytes_of(&text));
        for (size_t k = 0; k < cases[i].num_trusted; k++) {
            trusted[k] = keys->public_keys[cases[i].trusted[k]];
        }
        bool ok = verify(e, trusted, cases[i].num_trusted, cases[i].threshold, &v, &err);
        assert_int_equal(ok, cases[i].message == NULL);
        if (!ok) {
            assert_error(&err, CVM_ERR_MISMATCH, cases[i].message);
        }
        cvm_dsse_verified_free(&v);
    }
}

/* A key given twice, and a signature given twice, count once. */
static void test_the_same_key_counts_once(void **state)
{
    const struct keys *keys = *state;
    struct cvm_error err = { 0 };
    struct cvm_dsse_verified v;
    const struct cvm_key *twice[] = { keys->public_keys[ED25519], keys->public_keys[ED25519] };
    const struct cvm_key *two[] = { keys->public_keys[ED25519], keys->public_keys[P256] };
    const struct cvm_key *both[] = { keys->private_keys[P256], keys->private_keys[P256] };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuf struct cvm_buf doubled = { 0 };
    sign_with(keys, (const size_t[]){ ED25519 }, 1, &text);
    cvm_autoenvelope struct cvm_envelope *e = must_parse(bytes_of(&text));
    must(verify(e, twice, 2, 1, &v, &err), &err);
    assert_int_equal(v.num_signers, 1);
    cvm_dsse_verified_free(&v);
    assert_false(verify(e, twice, 2, 2, &v, &err));
    assert_error(&err, CVM_ERR_USAGE, "a threshold of 2 with 1 distinct keys");
    cvm_put_u8(&text, '\0');
    const char *signature = strstr((const char *)text.data, "{\"sig\":");
    int length = (int)strcspn(signature, "}") + 1;
    cvm_put_format(&doubled, "%.*s%.*s,%s", (int)(signature - (const char *)text.data), text.data,
                   length, signature, signature);
    cvm_autoenvelope struct cvm_envelope *d = must_parse(bytes_of(&doubled));
    assert_false(verify(d, two, 2, 2, &v, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "signature: 1 of the 2 keys signed, the threshold is 2");
    cvm_dsse_verified_free(&v);
    assert_false(cvm_dsse_sign(TYPE, BODY, both, 2, CVM_DSSE_ENVELOPE, &doubled, &err));
    assert_error(&err, CVM_ERR_USAGE, "a signing key was given twice");
}

static void test_keys_and_thresholds_that_cannot_be(void **state)
{
    const struct keys *keys = *state;
    struct cvm_error err = { 0 };
    struct cvm_dsse_verified v;
    const struct cvm_key *many[CVM_MANIFEST_MAX_KEYS + 1];
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuf struct cvm_buf none = { 0 };
    for (size_t i = 0; i <= CVM_MANIFEST_MAX_KEYS; i++) {
        many[i] = keys->public_keys[P256];
    }
    sign_with(keys, (const size_t[]){ P256 }, 1, &text);
    cvm_autoenvelope struct cvm_envelope *e = must_parse(bytes_of(&text));
    must(verify(e, many, CVM_MANIFEST_MAX_KEYS, 1, &v, &err), &err);
    cvm_dsse_verified_free(&v);
    assert_false(verify(e, many, CVM_MANIFEST_MAX_KEYS + 1, 1, &v, &err));
    assert_error(&err, CVM_ERR_USAGE, "65 keys, 1 to 64 are allowed");
    assert_false(verify(e, many, 0, 1, &v, &err));
    assert_error(&err, CVM_ERR_USAGE, "0 keys, 1 to 64 are allowed");
    assert_false(verify(e, many, 1, 0, &v, &err));
    assert_error(&err, CVM_ERR_USAGE, "a threshold of 0");
    assert_false(verify(e, many, 1, 2, &v, &err));
    assert_error(&err, CVM_ERR_USAGE, "a threshold of 2 with 1 distinct keys");
    assert_false(cvm_dsse_sign(TYPE, BODY, many, 0, CVM_DSSE_ENVELOPE, &none, &err));
    assert_error(&err, CVM_ERR_USAGE, "0 keys");
    assert_false(cvm_dsse_sign(TYPE, BODY, many, 33, CVM_DSSE_ENVELOPE, &none, &err));
    assert_error(&err, CVM_ERR_USAGE, "33 keys; at most 32 can sign");
    assert_false(cvm_dsse_sign(TYPE, BODY, many, 2, CVM_DSSE_SIGSTORE_BUNDLE, &none, &err));
    assert_error(&err, CVM_ERR_USAGE, "2 keys; a sigstore bundle has one signature");
    assert_false(cvm_dsse_sign(TYPE, BODY, many, 1, CVM_DSSE_ENVELOPE, &none, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "sign"); /* it is a public key */
    assert_int_equal(none.len, 0);
}

static void test_cosigning(void **state)
{
    const struct keys *keys = *state;
    struct cvm_error err = { 0 };
    struct cvm_dsse_verified v;
    const struct cvm_key *trusted[] = { keys->public_keys[P256], keys->public_keys[ED25519] };
    cvm_autobuf struct cvm_buf first = { 0 };
    cvm_autobuf struct cvm_buf second = { 0 };
    sign_with(keys, (const size_t[]){ P256 }, 1, &first);
    cvm_autoenvelope struct cvm_envelope *e = must_parse(bytes_of(&first));
    must(verify(e, trusted, 2, 1, &v, &err), &err);
    must(cvm_dsse_cosign(&v, keys->private_keys[ED25519], &second, &err), &err);
    assert_false(cvm_dsse_cosign(&v, keys->private_keys[P256], &second, &err));
    assert_error(&err, CVM_ERR_USAGE, "this key has signed it already");
    cvm_dsse_verified_free(&v);
    cvm_autoenvelope struct cvm_envelope *both = must_parse(bytes_of(&second));
    must(verify(both, trusted, 2, 2, &v, &err), &err);
    assert_bytes(v.payload.data, v.payload.len, BODY.data, BODY.size);
    cvm_dsse_verified_free(&v);
}

static bool sign_and_verify(struct cvm_error *err)
{
    static struct cvm_key *key;
    if (key == NULL) {
        key = load_vector_key("ed25519", CVM_KEY_PRIVATE); /* its allocations are test_sign's */
    }
    const struct cvm_key *keys[] = { key };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    CVM_CLEANUP(cvm_dsse_verified_free)
    struct cvm_dsse_verified v = { 0 };
    return cvm_dsse_sign(TYPE, BODY, keys, 1, CVM_DSSE_SIGSTORE_BUNDLE, &text, err) &&
           cvm_envelope_parse(bytes_of(&text), &e, err) && cvm_dsse_verify(e, keys, 1, 1, &v, err);
}

static void test_each_allocation_failing(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    must(sign_and_verify(&err), &err);
    assert_in_range(fail_each_allocation(sign_and_verify), 10, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pae),
        cmocka_unit_test(test_shapes_that_are_right),
        cmocka_unit_test(test_shapes_that_are_wrong),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_short_input_at_every_length),
        cmocka_unit_test(test_what_was_signed_comes_back),
        cmocka_unit_test(test_same_input_same_document),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_the_same_key_counts_once),
        cmocka_unit_test(test_keys_and_thresholds_that_cannot_be),
        cmocka_unit_test(test_cosigning),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, load_keys, free_keys);
}
