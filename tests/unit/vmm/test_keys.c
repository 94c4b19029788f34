#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/keys.h"

#include <stdio.h>
#include <sys/stat.h>

/* --- passphrases --- */

static void check_line(const struct place *p, const char *text, size_t size, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autopassphrase struct cvm_passphrase phrase = { 0 };
    place_write(p, "phrase", text, size);
    bool ok = cvm_passphrase_load(place_path(p, "phrase"), &phrase, &err);
    assert_int_equal(ok, want != NULL);
    if (ok) {
        assert_string_equal(cvm_passphrase_text(&phrase), want);
    } else {
        assert_null(cvm_passphrase_text(&phrase));
        assert_error(&err, CVM_ERR_MALFORMED, "1 to 1023 are allowed, without NUL");
    }
}

static void test_the_first_line_of_a_file(void **state)
{
    const struct place *p = *state;
    char longest[CVM_PASSPHRASE_SIZE + 1];
    check_line(p, "correct horse", 13, "correct horse");
    check_line(p, "correct horse\nbattery\n", 22, "correct horse");
    check_line(p, " blanks \r\n", 10, " blanks ");
    check_line(p, "", 0, NULL);
    check_line(p, "\nsecond", 7, NULL);
    check_line(p, "\r\n", 2, NULL);
    check_line(p, "a\0b\n", 4, NULL);
    memset(longest, 'x', sizeof longest);
    check_line(p, longest, CVM_PASSPHRASE_SIZE, NULL);
    place_write(p, "phrase", longest, CVM_PASSPHRASE_SIZE - 1);
    longest[CVM_PASSPHRASE_SIZE - 1] = '\0';
    check_line(p, longest, CVM_PASSPHRASE_SIZE - 1, longest);
}

static void test_a_file_wins_over_the_variable(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_passphrase phrase = { 0 };
    place_write_text(p, "phrase", "from the file\n");
    assert_int_equal(setenv(CVM_PASSPHRASE_VARIABLE, "from the variable", 1), 0);
    must(cvm_passphrase_load(place_path(p, "phrase"), &phrase, &err), &err);
    assert_string_equal(phrase.text, "from the file");
    must(cvm_passphrase_load(NULL, &phrase, &err), &err);
    assert_string_equal(phrase.text, "from the variable");
    cvm_passphrase_clear(&phrase);
    assert_int_equal(setenv(CVM_PASSPHRASE_VARIABLE, "", 1), 0);
    must(cvm_passphrase_load(NULL, &phrase, &err), &err);
    assert_false(phrase.set);
    assert_int_equal(unsetenv(CVM_PASSPHRASE_VARIABLE), 0);
    must(cvm_passphrase_load(NULL, &phrase, &err), &err);
    assert_false(phrase.set);
    assert_false(cvm_passphrase_load(place_path(p, "absent"), &phrase, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "absent");
}

/* --- files --- */

static void save(const struct place *p, const char *name, const char *passphrase)
{
    struct cvm_error err = { 0 };
    cvm_autokey struct cvm_key *key = NULL;
    must(cvm_key_generate(CVM_KEY_ED25519, &key, &err), &err);
    must(cvm_key_save(key, place_path(p, name), passphrase, &err), &err);
}

static void test_what_is_saved_loads(void **state)
{
    const struct place *p = *state;
    static const char *const passphrases[] = { NULL, "correct horse" };
    place_write_text(p, "phrase", "correct horse\n");
    for (size_t i = 0; i < 2; i++) {
        struct cvm_error err = { 0 };
        struct stat st;
        struct cvm_sha256 ids[2];
        cvm_autokey struct cvm_key *private_key = NULL;
        cvm_autokey struct cvm_key *public_key = NULL;
        const char *name = i == 0 ? "plain" : "encrypted";
        save(p, name, passphrases[i]);
        must(cvm_key_load(place_path(p, name), CVM_KEY_PRIVATE,
                          i == 0 ? NULL : place_path(p, "phrase"), &private_key, &err),
             &err);
        must(cvm_key_load(place_path(p, i == 0 ? "plain.pub" : "encrypted.pub"), CVM_KEY_PUBLIC,
                          NULL, &public_key, &err),
             &err);
        must(cvm_key_fingerprint(private_key, &ids[0], &err), &err);
        must(cvm_key_fingerprint(public_key, &ids[1], &err), &err);
        assert_bytes(ids[1].bytes, 32, ids[0].bytes, 32);
        assert_int_equal(stat(place_path(p, name), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

static void test_nothing_is_overwritten(void **state)
{
    const struct place *p = *state;
    static const char *const taken[] = { "key", "key.pub" };
    cvm_autokey struct cvm_key *key = NULL;
    struct cvm_error err = { 0 };
    must(cvm_key_generate(CVM_KEY_P256, &key, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        place_write_text(p, taken[i], "precious");
        assert_false(cvm_key_save(key, place_path(p, "key"), NULL, &err));
        assert_error(&err, CVM_ERR_USAGE, "exists and is not overwritten");
        cvm_autobuf struct cvm_buf text = place_read(p, taken[i]);
        assert_string_equal((const char *)text.data, "precious");
        assert_int_equal(place_count(p, "."), 1); /* and nothing beside it */
        place_delete(p, taken[i]);
    }
    place_symlink(p, "nowhere", "key");
    assert_false(cvm_key_save(key, place_path(p, "key"), NULL, &err));
    assert_error(&err, CVM_ERR_USAGE, "'key' exists and is not overwritten");
    assert_false(place_has(p, "nowhere"));
    assert_false(cvm_key_save(key, place_path(p, "no/such/key"), NULL, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "No such file or directory");
    assert_false(cvm_key_save(key, place_path(p, ""), NULL, &err));
    assert_error(&err, CVM_ERR_USAGE, "is not the name of a file");
}

static void test_what_is_no_key(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_keys keys = { 0 };
    save(p, "key", NULL);
    const char *const where[] = { place_path(p, "key.pub"), place_path(p, "key") };
    assert_false(cvm_keys_load(where, 2, CVM_KEY_PUBLIC, NULL, &keys, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no public key in PEM form");
    assert_int_equal(keys.count, 1); /* the first one */
    cvm_keys_free(&keys);
    assert_false(cvm_keys_load(where, 1, CVM_KEY_PRIVATE, NULL, &keys, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no private key in PEM form");
    cvm_keys_free(&keys);
    const char *const uri[] = { "pkcs11:token=x?pin-value=1234" };
    assert_false(cvm_keys_load(uri, 1, CVM_KEY_PRIVATE, NULL, &keys, &err));
    assert_null(strstr(err.msg, "1234"));
    assert_error(&err, CVM_ERR_USAGE, "a key's URI has the PIN in it");
    cvm_keys_free(&keys);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_line_of_a_file), TEST(test_a_file_wins_over_the_variable),
        TEST(test_what_is_saved_loads),      TEST(test_nothing_is_overwritten),
        TEST(test_what_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
