/*
 * JSON in place, and the envelope: what is accepted can be walked, and every part of it is accepted
 * by itself; an envelope gives its payload to the key that signed it and to nobody else.
 */
#include "tests/fuzz/fuzz.h"

#include "measure/base/slice.h"
#include "measure/manifest.h"

#include <string.h>

/* The key of tests/vectors/manifest/ed25519.json. */
static const char trusted[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEAlcyBW6+ZVraJfGyJnLmLEUfS+vN8StNMq5DCsPU4s70=\n"
                              "-----END PUBLIC KEY-----\n";

static void walk(struct cvm_slice value)
{
    struct cvm_error err = { 0 };
    struct cvm_slice again;
    struct cvm_slice key;
    struct cvm_slice child;
    struct cvm_slice_iter it = cvm_slice_items(value);
    fuzz_require(cvm_slice_parse((struct cvm_bytes){ value.data, value.size }, &again, &err),
                 "a part is JSON by itself");
    fuzz_require(again.data == value.data && again.size == value.size, "a part has no blanks");
    size_t count = 0;
    for (; cvm_slice_next(&it, &key, &child); count++) {
        fuzz_require(cvm_slice_is_object(value) == cvm_slice_is_string(key), "objects have keys");
        fuzz_require(child.data > value.data && child.size < value.size, "children lie within");
        walk(child);
    }
    fuzz_require(count == cvm_slice_count(value), "counted as often as walked");
}

static void check_string(struct cvm_slice value)
{
    struct cvm_error err = { 0 };
    char text[256];
    cvm_autobuf struct cvm_buf whole = { 0 };
    if (!cvm_slice_is_string(value)) {
        return;
    }
    cvm_put_slice_text(&whole, value);
    fuzz_require(whole.len <= value.size - 2, "meanings are no longer than what is written");
    if (cvm_slice_copy(value, text, sizeof text, &err)) {
        fuzz_require(strlen(text) == whole.len, "both ways of reading a string agree");
        fuzz_require(cvm_slice_equals(value, text), "a string equals itself");
    }
}

static void check_envelope(struct cvm_bytes json)
{
    struct cvm_error err = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    cvm_autokey struct cvm_key *key = NULL;
    CVM_CLEANUP(cvm_dsse_verified_free)
    struct cvm_dsse_verified v = { 0 };
    if (!fuzz_accepted(cvm_envelope_parse(json, &e, &err), &err)) {
        fuzz_require(e == NULL, "nothing on failure");
        return;
    }
    const struct cvm_bytes pem = { (const uint8_t *)trusted, sizeof trusted - 1 };
    fuzz_require(cvm_key_parse_public(pem, &key, &err), "the key is one");
    const struct cvm_key *keys[] = { key };
    if (cvm_dsse_verify(e, keys, 1, 1, &v, &err)) {
        fuzz_require(v.num_signers == 1 && v.payload.len != 0, "verified means signed");
    } else {
        fuzz_require(err.code == CVM_ERR_MISMATCH, err.msg);
        fuzz_require(v.payload.len == 0, "nothing of what was not signed");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_slice root;
    if (fuzz_accepted(cvm_slice_parse((struct cvm_bytes){ data, size }, &root, &err), &err)) {
        walk(root);
        check_string(root);
    }
    check_envelope((struct cvm_bytes){ data, size });
    return 0;
}
