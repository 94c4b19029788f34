/*
 * The statement behind a right signature: what is accepted has values that fit together.
 */
#include "tests/fuzz/fuzz.h"

#include "measure/manifest.h"

#include <string.h>

#define JULY_2026 INT64_C(1784102950)

static void check_shape(const struct cvm_manifest *m, const struct cvm_manifest_shape *shape)
{
    struct cvm_error err = { 0 };
    const struct cvm_expectation *e = &shape->expected;
    bool present[CVM_NUM_RTMRS] = { false };
    fuzz_require(strlen(shape->name) < 256, "a name within its limit");
    fuzz_require(shape->vm_config.size == 0 || shape->vm_config.data[0] == '{', "an object");
    for (uint32_t i = 0; i < e->events.num_events; i++) {
        fuzz_require(e->events.events[i].rtmr < CVM_NUM_RTMRS, "a register that exists");
        fuzz_require(strlen(e->events.events[i].name) < 64, "a name within its limit");
        present[e->events.events[i].rtmr] = true;
    }
    for (unsigned i = 0; i < 3; i++) {
        struct cvm_sha384 replayed;
        fuzz_require(cvm_event_list_replay(&e->events, i, &replayed, &err), "replays");
        fuzz_require(!present[i] || memcmp(&replayed, &e->rtmr[i], sizeof replayed) == 0,
                     "events replay to their register");
    }
    fuzz_require(cvm_manifest_find(m, &e->mrtd, e->rtmr) != NULL, "a shape is found");
}

static void check_manifest(const struct cvm_manifest *m, struct cvm_bytes statement)
{
    struct cvm_bytes signed_bytes = cvm_manifest_statement(m);
    size_t count = cvm_manifest_num_shapes(m);
    fuzz_require(signed_bytes.size == statement.size &&
                     memcmp(signed_bytes.data, statement.data, statement.size) == 0,
                 "the very bytes that were signed");
    fuzz_require(count >= 1 && cvm_manifest_shape_at(m, count) == NULL, "at least one shape");
    for (size_t i = 0; i < count; i++) {
        check_shape(m, cvm_manifest_shape_at(m, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cvm_bytes type = { (const uint8_t *)CVM_MANIFEST_PAYLOAD_TYPE,
                                           sizeof CVM_MANIFEST_PAYLOAD_TYPE - 1 };
    static struct cvm_key *key;
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf document = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    cvm_automanifest struct cvm_manifest *m = NULL;
    const struct cvm_bytes statement = { data, size };
    if (size == 0) {
        return 0; /* no payload */
    }
    fuzz_require(key != NULL || cvm_key_generate(CVM_KEY_ED25519, &key, &err), "a key");
    const struct cvm_key *keys[] = { key };
    const struct cvm_manifest_check check = { .keys = keys, .num_keys = 1, .at = JULY_2026 };
    fuzz_require(cvm_dsse_sign(type, statement, keys, 1, CVM_DSSE_ENVELOPE, &document, &err),
                 "anything can be signed");
    fuzz_require(cvm_envelope_parse((struct cvm_bytes){ document.data, document.len }, &e, &err),
                 "what was signed is an envelope");
    if (cvm_manifest_verify(e, &check, &m, &err)) {
        check_manifest(m, statement);
    } else {
        fuzz_require(err.code == CVM_ERR_MALFORMED || err.code == CVM_ERR_MISMATCH, err.msg);
        fuzz_require(m == NULL && strncmp(err.msg, "signature: ", 11) != 0, "it was signed");
    }
    return 0;
}
