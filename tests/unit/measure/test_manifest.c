#include "tests/support/check.h"
#include "tests/support/keys.h"

#include "measure/base/time.h"
#include "measure/manifest.h"

#include <stdio.h>

/*
 * Manifests in vectors/manifest were signed with the openssl command. Changed ones are signed here,
 * with a key that the check trusts, so that everything behind the signature is reached.
 */

#define OS_IMAGE_HASH "e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db"
#define JULY INT64_C(1784102950) /* 2026-07-15T08:09:10Z, within the vectors' window */

static struct cvm_bytes bytes_of(const struct cvm_buf *b)
{
    return (struct cvm_bytes){ b->data, b->len };
}

static struct cvm_envelope *load_envelope(const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_envelope *e = NULL;
    char path[128];
    snprintf(path, sizeof path, "manifest/%s.json", name);
    cvm_autobuf struct cvm_buf text = load_vector(path);
    must(cvm_envelope_parse(bytes_of(&text), &e, &err), &err);
    return e;
}

/* Verifies a vector with one key. */
static bool verify_vector(const char *name, const char *key_name, int64_t at,
                          struct cvm_manifest **out, struct cvm_error *err)
{
    cvm_autoenvelope struct cvm_envelope *e = load_envelope(name);
    cvm_autokey struct cvm_key *key = load_vector_key(key_name, CVM_KEY_PUBLIC);
    const struct cvm_key *keys[] = { key };
    const struct cvm_manifest_check check = { .keys = keys, .num_keys = 1, .at = at };
    return cvm_manifest_verify(e, &check, out, err);
}

/* --- manifests of others --- */

static const struct {
    const char *name, *key;
} foreign[] = {
    { "p256", "p256" },           { "p384", "p384" },
    { "rsa2048", "rsa2048" },     { "ed25519", "ed25519" },
    { "bundle", "p256" },         { "url-safe", "ed25519" },
    { "two-signatures", "p256" }, { "two-signatures", "ed25519" },
};

static void test_foreign_manifests(void **state)
{
    cvm_autobuf struct cvm_buf statement = load_vector("manifest/statement.json");
    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_automanifest struct cvm_manifest *m = NULL;
        must(verify_vector(foreign[i].name, foreign[i].key, JULY, &m, &err), &err);
        struct cvm_bytes got = cvm_manifest_statement(m);
        assert_bytes(got.data, got.size, statement.data, statement.len); /* the very bytes */
        assert_int_equal(cvm_manifest_num_signers(m), 1);
        assert_null(cvm_manifest_signer_at(m, 1));
        assert_int_equal(cvm_manifest_num_shapes(m), 1);
        assert_null(cvm_manifest_shape_at(m, 1));
    }
}

static void test_values(void **state)
{
    struct cvm_error err = { 0 };
    cvm_automanifest struct cvm_manifest *m = NULL;
    (void)state;
    must(verify_vector("p256", "p256", JULY, &m, &err), &err);
    const struct cvm_manifest_shape *shape = cvm_manifest_shape_at(m, 0);
    const struct cvm_expectation *e = &shape->expected;
    const struct cvm_manifest_policy *policy = cvm_manifest_policy_of(m);
    assert_string_equal(shape->name, "2 CPUs");
    assert_string_equal(shape->os_image_hash, OS_IMAGE_HASH);
    assert_int_equal(shape->vm_config.data[0], '{');
    assert_int_equal(shape->vm_config.data[shape->vm_config.size - 1], '}');
    assert_true(policy->mrtd && policy->rtmr[0] && policy->rtmr[1] && policy->rtmr[2]);
    assert_hex(
        e->rtmr[0].bytes, 48,
        "f8438db36b96f85d8752ff7f24a89ec05c79ec9eda2ba732c897fb970ca429365b7471b1c054cb84f17b"
        "1c2b23ba6640");
    for (unsigned i = 0; i < 3; i++) {
        struct cvm_sha384 replayed;
        must(cvm_event_list_replay(&e->events, i, &replayed, &err), &err);
        assert_bytes(replayed.bytes, 48, e->rtmr[i].bytes, 48);
    }
    assert_string_equal(e->events.events[1].name, "event 1");
    assert_int_equal(e->events.events[1].source, CVM_DIGEST_COMPUTED);
    assert_ptr_equal(cvm_manifest_find(m, &e->mrtd, e->rtmr), shape);
    struct cvm_sha384 other[3] = { e->rtmr[0], e->rtmr[1], e->rtmr[2] };
    for (size_t i = 0; i < 3; i++) {
        other[i].bytes[47] ^= 1;
        assert_null(cvm_manifest_find(m, &e->mrtd, other));
        other[i].bytes[47] ^= 1;
    }
    assert_null(cvm_manifest_find(m, &e->rtmr[0], e->rtmr));
}

static void assert_refused(const char *name, const char *key, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_manifest *m = NULL;
    assert_false(verify_vector(name, key, JULY, &m, &err));
    assert_null(m);
    assert_error(&err, CVM_ERR_MISMATCH, message);
}

static void test_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused("refused-p384-sha384", "p384",
                   "signature: it is of a kind that is refused: ECDSA with SHA-384; only SHA-256");
    assert_refused("refused-rsa-pss", "rsa2048",
                   "signature: it is of a kind that is refused: RSA-PSS; only PKCS#1 v1.5");
    assert_refused("refused-payload-type", "p256",
                   "payload type: it is 'application/vnd.other+json', not "
                   "'application/vnd.in-toto+json'");
    assert_refused("p256", "ed25519", "signature: none of the 1 signature is by a key");
    assert_refused("refused-rsa-pss", "p256", "signature: none of the 1 signature is by a key");
}

static void test_time_window(void **state)
{
    static const struct {
        const char *at, *message; /* NULL: within */
    } cases[] = {
        { "2025-12-31T23:59:59Z",
          "time window: not valid before 2026-01-01T00:00:00Z, and it is 2025-12-31T23:59:59Z" },
        { "2026-01-01T00:00:00Z", NULL },
        { "2027-01-01T00:00:00Z", NULL },
        { "2027-01-01T00:00:01Z",
          "time window: not valid after 2027-01-01T00:00:00Z, and it is 2027-01-01T00:00:01Z" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_automanifest struct cvm_manifest *m = NULL;
        int64_t at;
        must(cvm_time_parse(cases[i].at, &at, &err), &err);
        bool ok = verify_vector("p256", "p256", at, &m, &err);
        assert_int_equal(ok, cases[i].message == NULL);
        if (!ok) {
            assert_null(m);
            assert_error(&err, CVM_ERR_MISMATCH, cases[i].message);
        }
    }
}

static void test_a_time_has_to_be_given(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_manifest *m = NULL;
    (void)state;
    assert_false(verify_vector("p256", "p256", 0, &m, &err));
    assert_error(&err, CVM_ERR_USAGE, "no time to check");
    assert_false(verify_vector("p256", "p256", CVM_TIME_MAX + 1, &m, &err));
    assert_error(&err, CVM_ERR_USAGE, "no time to check");
}

/* --- statements of our own making, rightly signed --- */

static bool verify_text(struct cvm_bytes statement, const struct cvm_subject *subject,
                        struct cvm_manifest **out, struct cvm_error *err)
{
    static const struct cvm_bytes type = { (const uint8_t *)CVM_MANIFEST_PAYLOAD_TYPE,
                                           sizeof CVM_MANIFEST_PAYLOAD_TYPE - 1 };
    static struct cvm_key *key;
    if (key == NULL) {
        key = load_vector_key("ed25519", CVM_KEY_PRIVATE);
    }
    const struct cvm_key *keys[] = { key };
    const struct cvm_manifest_check check = { .keys = keys,
                                              .num_keys = 1,
                                              .at = JULY,
                                              .subjects = subject,
                                              .num_subjects = subject != NULL };
    cvm_autobuf struct cvm_buf envelope = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    return cvm_dsse_sign(type, statement, keys, 1, CVM_DSSE_ENVELOPE, &envelope, err) &&
           cvm_envelope_parse(bytes_of(&envelope), &e, err) &&
           cvm_manifest_verify(e, &check, out, err);
}

/* The vectors' statement with its first `from` replaced. */
static struct cvm_buf changed(const char *from, const char *to)
{
    struct cvm_buf out = { 0 };
    cvm_autobuf struct cvm_buf text = load_vector("manifest/statement.json");
    cvm_put_u8(&text, '\0');
    const char *start = (const char *)text.data;
    const char *found = strstr(start, from);
    if (found == NULL) {
        fail_msg("the statement has no %s", from);
    }
    cvm_put_format(&out, "%.*s%s%s", (int)(found - start), start, to, found + strlen(from));
    return out;
}

static void test_statements_that_are_wrong(void **state)
{
    static const struct {
        const char *from, *to;
        enum cvm_error_code code;
        const char *message;
    } cases[] = {
        { "{", "[", CVM_ERR_MALFORMED, "statement: not JSON" },
        { "{", "{}{", CVM_ERR_MALFORMED, "statement: not JSON" },
        { "\"predicate\"", "\"_type\"", CVM_ERR_MALFORMED, "statement: a key stands twice" },
        { "\"_type\"", "\"type\"", CVM_ERR_MISMATCH, "statement: key '_type' is missing" },
        { "Statement/v1", "Statement/v0.1", CVM_ERR_MISMATCH,
          "statement: _type is 'https://in-toto.io/Statement/v0.1', not "
          "'https://in-toto.io/Statement/v1'" },
        { "\"predicateType\"", "\"type\"", CVM_ERR_MISMATCH, "key 'predicateType' is missing" },
        { "cvm/manifest/1", "cvm/manifest/2", CVM_ERR_MISMATCH,
          "statement: predicateType is 'https://example.org/cvm/manifest/2', not" },
        { "\"2026-01-01T00:00:00Z\"", "\"2026-01-01\"", CVM_ERR_MALFORMED,
          "time window: not_before: '2026-01-01' is not a time in UTC" },
        { "\"2027-01-01T00:00:00Z\"", "1", CVM_ERR_MALFORMED, "time window: not_after: not a st" },
        { "\"validity\": {", "\"validity\": 1, \"x\": {", CVM_ERR_MALFORMED,
          "time window: 'validity' is not an object" },
        { "\"subject\"", "\"subjects\"", CVM_ERR_MALFORMED, "subject: not an array of 1 to 8192" },
        { "\"mrtd\": \"policy\"", "\"mrtd\": \"maybe\"", CVM_ERR_MALFORMED,
          "predicate: registers: 'mrtd' is neither policy nor information" },
        { "\"shapes\"", "\"machines\"", CVM_ERR_MALFORMED,
          "predicate: key 'shapes' is not an arr" },
        { "\"name\": \"2 CPUs\"", "\"name\": 2", CVM_ERR_MALFORMED,
          "predicate: shapes[0]: key 'name': not a string" },
        { "\"rtmr1\": \"2023546e", "\"rtmr1\": \"02023546e", CVM_ERR_MALFORMED,
          "shapes[0]: key 'rtmr1': more than 96 bytes of text" },
        { "\"rtmr2\": \"4c1b739e", "\"rtmr2\": \"", CVM_ERR_MALFORMED, "shapes[0]: key 'rtmr2': " },
        { "\"events\": [", "\"events\": 1, \"x\": [", CVM_ERR_MALFORMED,
          "shapes[0]: key 'events' is not an array of at most 64" },
        { "\"register\": \"rtmr0\"", "\"register\": \"rtmr4\"", CVM_ERR_MALFORMED,
          "shapes[0]: events[0]: key 'register' is none of rtmr0 to rtmr3" },
        { "\"name\": \"event 0\"", "\"name\": null", CVM_ERR_MALFORMED,
          "shapes[0]: events[0]: key 'name': missing" },
        { "\"register\": \"rtmr0\"", "\"register\": \"rtmr1\"", CVM_ERR_MALFORMED,
          "predicate: shapes[0]: its events do not replay to rtmr0" },
        { "\"vm_config\": {", "\"vm_config\": 1, \"x\": {", CVM_ERR_MALFORMED,
          "shapes[0]: key 'vm_config' is not an object" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_manifest *m = NULL;
        cvm_autobuf struct cvm_buf statement = changed(cases[i].from, cases[i].to);
        if (verify_text(bytes_of(&statement), NULL, &m, &err)) {
            fail_msg("accepted: %s instead of %s", cases[i].to, cases[i].from);
        }
        assert_null(m);
        assert_error(&err, cases[i].code, cases[i].message);
    }
}

static void test_statements_with_less(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        { "\"validity\"", "\"unknown\"" },
        { "\"registers\"", "\"unknown\"" },
        { "\"events\"", "\"unknown\"" },
        { "\"vm_config\"", "\"unknown\"" },
        { "\"os_image_hash\"", "\"unknown\"" },
        { "\"not_before\"", "\"unknown\"" },
        { "\"source\": \"computed\"", "\"source\": \"a word of the future\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_automanifest struct cvm_manifest *m = NULL;
        cvm_autobuf struct cvm_buf statement = changed(cases[i].from, cases[i].to);
        must(verify_text(bytes_of(&statement), NULL, &m, &err), &err);
        assert_true(cvm_manifest_policy_of(m)->mrtd); /* what is not listed is policy */
    }
}

/* Registers for information are not compared; with none to compare, nothing would be. */
static void test_information(void **state)
{
    struct cvm_error err = { 0 };
    cvm_automanifest struct cvm_manifest *m = NULL;
    cvm_autobuf struct cvm_buf some =
        changed("\"rtmr0\": \"policy\"", "\"rtmr0\": \"information\"");
    cvm_autobuf struct cvm_buf all =
        changed("\"registers\": {", "\"registers\": {\"mrtd\":\"information\",\"rtmr0\":"
                                    "\"information\",\"rtmr1\":\"information\",\"rtmr2\":"
                                    "\"information\"}, \"unknown\": {");
    (void)state;
    must(verify_text(bytes_of(&some), NULL, &m, &err), &err);
    const struct cvm_manifest_shape *shape = cvm_manifest_shape_at(m, 0);
    struct cvm_sha384 rtmr[3] = { { { 0 } }, shape->expected.rtmr[1], shape->expected.rtmr[2] };
    assert_false(cvm_manifest_policy_of(m)->rtmr[0]);
    assert_ptr_equal(cvm_manifest_find(m, &shape->expected.mrtd, rtmr), shape);
    rtmr[1] = rtmr[0];
    assert_null(cvm_manifest_find(m, &shape->expected.mrtd, rtmr));
    struct cvm_manifest *none = NULL;
    assert_false(verify_text(bytes_of(&all), NULL, &none, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "predicate: registers: none of them is policy");
}

/* --- subjects --- */

#define SUBJECT "\"digest\": {\n    \"sha256\": \"" OS_IMAGE_HASH "\"\n   }"
#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_384                                                                                    \
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c"  \
    "825a7"

static void check_subject_case(const char *digest, const char *name, const char *message)
{
    static const struct cvm_bytes abc = { (const uint8_t *)"abc", 3 };
    struct cvm_error err = { 0 };
    struct cvm_subject subject;
    cvm_automanifest struct cvm_manifest *m = NULL;
    cvm_autobuf struct cvm_buf statement = changed(SUBJECT, digest);
    must(cvm_subject_of(name, abc, &subject, &err), &err);
    bool ok = verify_text(bytes_of(&statement), &subject, &m, &err);
    assert_int_equal(ok, message == NULL);
    if (!ok) {
        assert_error(&err, CVM_ERR_MISMATCH, message);
    }
}

static void test_subjects(void **state)
{
    static const char wrong_name[] = "subject: 'x' is none of the files that the manifest is about";
    (void)state;
    check_subject_case("\"digest\": {\"sha256\": \"" ABC_256 "\"}", "x", NULL);
    check_subject_case("\"digest\": {\"sha384\": \"" ABC_384 "\"}", "x", NULL);
    check_subject_case("\"digest\": {\"sha256\": \"" ABC_256 "\", \"sha384\": \"" ABC_384 "\"}",
                       "x", NULL);
    check_subject_case("\"digest\": {\"sha256\": \"" ABC_256 "\", \"sha384\": \"" ABC_384 "\","
                       " \"md5\": \"\"}",
                       "x", NULL);
    /* One digest that is right does not make up for one that is not. */
    check_subject_case("\"digest\": {\"sha256\": \"" ABC_256 "\", \"sha384\": \"00\"}", "x",
                       wrong_name);
    check_subject_case("\"digest\": {\"md5\": \"900150983cd24fb0d6963f7d28e17f72\"}", "x",
                       wrong_name);
    check_subject_case("\"digest\": {}", "x", wrong_name);
    check_subject_case("\"digest\": 1", "x", wrong_name);
    check_subject_case(SUBJECT, "x", wrong_name);
    check_subject_case(
        SUBJECT, "sha256sum.txt",
        "subject: 'sha256sum.txt' is not the file of this name that the manifest is");
}

/* --- memory --- */

static bool verify_all(struct cvm_error *err)
{
    static struct cvm_buf text;
    static const struct cvm_bytes abc = { (const uint8_t *)"abc", 3 };
    static struct cvm_subject subject;
    if (text.len == 0) {
        text = changed(SUBJECT, "\"digest\": {\"sha256\": \"" ABC_256 "\"}");
        must(cvm_subject_of("abc", abc, &subject, err), err);
    }
    cvm_automanifest struct cvm_manifest *m = NULL;
    return verify_text(bytes_of(&text), &subject, &m, err);
}

static void test_each_allocation_failing(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    must(verify_all(&err), &err);
    assert_in_range(fail_each_allocation(verify_all), 20, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_manifests),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused_with_the_reason),
        cmocka_unit_test(test_time_window),
        cmocka_unit_test(test_a_time_has_to_be_given),
        cmocka_unit_test(test_statements_that_are_wrong),
        cmocka_unit_test(test_statements_with_less),
        cmocka_unit_test(test_information),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
