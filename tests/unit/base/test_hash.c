#include "tests/support/check.h"

#include "measure/base/hash.h"

/* FIPS 180-4 examples, and the empty message. */
static const struct {
    const char *message;
    const char *sha256;
    const char *sha384;
} known[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
      "274edebfe76f65fbd51ad2f14898b95b" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      "8086072ba1e7cc2358baeca134c825a7" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6"
      "b0455a8520bc4e6f5fe95b1fe3c8452b" },
};

static void test_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_sha256 small;
        struct cvm_sha384 large;
        size_t size = strlen(known[i].message);
        must(cvm_sha256(known[i].message, size, &small, &err), &err);
        must(cvm_sha384(known[i].message, size, &large, &err), &err);
        assert_hex(small.bytes, sizeof small.bytes, known[i].sha256);
        assert_hex(large.bytes, sizeof large.bytes, known[i].sha384);
    }
}

static void test_nothing_may_be_null(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    (void)state;
    must(cvm_sha384(NULL, 0, &digest, &err), &err);
    assert_hex(digest.bytes, sizeof digest.bytes, known[0].sha384);
}

static void check_split(enum cvm_hash_kind kind, const char *message, size_t at, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autohash struct cvm_hash h = { 0 };
    uint8_t digest[48];
    must(cvm_hash_init(&h, kind, &err), &err);
    must(cvm_hash_update(&h, message, at, &err), &err);
    must(cvm_hash_update(&h, message, 0, &err), &err);
    must(cvm_hash_update(&h, message + at, strlen(message) - at, &err), &err);
    must(cvm_hash_final(&h, digest, &err), &err);
    assert_hex(digest, kind == CVM_HASH_SHA256 ? 32 : 48, want);
}

static void test_running_equals_one_shot_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        for (size_t at = 0; at <= strlen(known[i].message); at++) {
            check_split(CVM_HASH_SHA256, known[i].message, at, known[i].sha256);
            check_split(CVM_HASH_SHA384, known[i].message, at, known[i].sha384);
        }
    }
}

static void test_running_hash_may_be_dropped(void **state)
{
    struct cvm_error err = { 0 };
    (void)state;
    cvm_autohash struct cvm_hash never_started = { 0 };
    cvm_autohash struct cvm_hash unfinished = { 0 };
    must(cvm_hash_init(&unfinished, CVM_HASH_SHA384, &err), &err);
    must(cvm_hash_update(&unfinished, "a", 1, &err), &err);
    cvm_hash_free(&unfinished);
    assert_null(unfinished.context);
    cvm_hash_free(&unfinished); /* twice is fine */
    assert_null(never_started.context);
}

/* An RTMR that was extended once with SHA-384 of "abc": python3 hashlib. */
static const char extended_once[] =
    "93732e3733514a841c982cfa75ea76ab55fe011acb9cd980ef4523913c65be1b"
    "0998e04d77f8c174f81a82151619ca40";

static void test_pair_is_the_hash_of_both(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 zero = { { 0 } };
    struct cvm_sha384 event;
    struct cvm_sha384 got;
    struct cvm_sha384 swapped;
    (void)state;
    must(cvm_sha384("abc", 3, &event, &err), &err);
    must(cvm_sha384_pair(&zero, &event, &got, &err), &err);
    must(cvm_sha384_pair(&event, &zero, &swapped, &err), &err);
    assert_hex(got.bytes, sizeof got.bytes, extended_once);
    assert_memory_not_equal(got.bytes, swapped.bytes, sizeof got.bytes);
    must(cvm_sha384_pair(&zero, &event, &zero, &err), &err); /* in place */
    assert_hex(zero.bytes, sizeof zero.bytes, extended_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_nothing_may_be_null),
        cmocka_unit_test(test_running_equals_one_shot_at_every_split),
        cmocka_unit_test(test_running_hash_may_be_dropped),
        cmocka_unit_test(test_pair_is_the_hash_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
