#include "measure/dsse.h"

#include "measure/base/base64.h"
#include "measure/base/slice.h"

#define SIGSTORE_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"

struct cvm_envelope {
    struct cvm_buf type;
    struct cvm_buf payload;
    struct cvm_buf signatures[CVM_DSSE_MAX_SIGNATURES];
    size_t num_signatures;
};

void cvm_put_pae(struct cvm_buf *out, struct cvm_bytes type, struct cvm_bytes body)
{
    cvm_put_format(out, "DSSEv1 %zu ", type.size);
    cvm_put_bytes(out, type.data, type.size);
    cvm_put_format(out, " %zu ", body.size);
    cvm_put_bytes(out, body.data, body.size);
}

/* --- reading --- */

/* The bytes of a member that holds base64; at least one, at most max. */
static bool read_base64(struct cvm_slice object, const char *key, size_t max, struct cvm_buf *out,
                        struct cvm_error *err)
{
    struct cvm_slice value = cvm_slice_member(object, key);
    cvm_autobuf struct cvm_buf text = { 0 };
    if (!cvm_slice_is_string(value)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s' is %s", key,
                        value.size == 0 ? "missing" : "not a string");
    }
    cvm_put_slice_text(&text, value);
    if (!cvm_buf_finish(&text, key, err)) {
        return false;
    }
    if (!cvm_base64_decode_either((const char *)text.data, text.len, out, err)) {
        return cvm_context(err, "key '%s'", key);
    }
    return out->len != 0 && out->len <= max
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "key '%s': %zu bytes, 1 to %zu are allowed", key,
                          out->len, max);
}

static bool read_type(struct cvm_slice object, struct cvm_buf *out, struct cvm_error *err)
{
    char type[CVM_DSSE_MAX_TYPE + 1];
    struct cvm_slice value = cvm_slice_member(object, "payloadType");
    if (value.size == 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'payloadType' is missing");
    }
    if (!cvm_slice_copy(value, type, sizeof type, err)) {
        return cvm_context(err, "key 'payloadType'");
    }
    cvm_put_text(out, type);
    return cvm_buf_finish(out, "payloadType", err);
}

static bool read_signatures(struct cvm_slice object, struct cvm_envelope *e, struct cvm_error *err)
{
    struct cvm_slice list = cvm_slice_member(object, "signatures");
    struct cvm_slice_iter it = cvm_slice_items(list);
    struct cvm_slice ignored;
    struct cvm_slice item;
    size_t count = cvm_slice_count(list);
    if (!cvm_slice_is_array(list)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'signatures' is %s",
                        list.size == 0 ? "missing" : "not an array");
    }
    if (count == 0 || count > CVM_DSSE_MAX_SIGNATURES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%zu signatures, 1 to %d are allowed", count,
                        CVM_DSSE_MAX_SIGNATURES);
    }
    while (cvm_slice_next(&it, &ignored, &item)) {
        size_t i = e->num_signatures++;
        if (!read_base64(item, "sig", CVM_DSSE_MAX_SIGNATURE, &e->signatures[i], err)) {
            return cvm_context(err, "signatures[%zu]", i);
        }
    }
    return true;
}

/* A bundle has one signature, and names its key nowhere: otherwise other readers refuse it. */
static bool check_bundle(struct cvm_slice bundle, struct cvm_slice envelope, struct cvm_error *err)
{
    struct cvm_slice list = cvm_slice_member(envelope, "signatures");
    struct cvm_slice_iter it = cvm_slice_items(list);
    struct cvm_slice ignored;
    struct cvm_slice item;
    if (!cvm_slice_equals(cvm_slice_member(bundle, "mediaType"), SIGSTORE_MEDIA_TYPE)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a bundle whose mediaType is not '%s'",
                        SIGSTORE_MEDIA_TYPE);
    }
    if (cvm_slice_is_array(list) && cvm_slice_count(list) != 1) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a bundle with %zu signatures, not 1",
                        cvm_slice_count(list));
    }
    if (cvm_slice_next(&it, &ignored, &item)) {
        struct cvm_slice keyid = cvm_slice_member(item, "keyid");
        if (keyid.size != 0 && !cvm_slice_equals(keyid, "")) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "a bundle whose signature has a keyid");
        }
    }
    return true;
}

static bool read_envelope(struct cvm_bytes json, struct cvm_envelope *e, struct cvm_error *err)
{
    struct cvm_slice root;
    if (!cvm_slice_parse(json, &root, err)) {
        return false;
    }
    if (!cvm_slice_is_object(root)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "not a JSON object");
    }
    struct cvm_slice object = cvm_slice_member(root, "dsseEnvelope");
    if (object.size == 0) {
        object = root;
    } else if (!check_bundle(root, object, err)) {
        return false;
    }
    return read_base64(object, "payload", CVM_MANIFEST_MAX_SIZE, &e->payload, err) &&
           read_type(object, &e->type, err) && read_signatures(object, e, err);
}

static void free_envelope(struct cvm_envelope **slot)
{
    cvm_envelope_free(*slot);
}

bool cvm_envelope_parse(struct cvm_bytes json, struct cvm_envelope **out, struct cvm_error *err)
{
    CVM_CLEANUP(free_envelope)
    struct cvm_envelope *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return cvm_fail_nomem(err, "envelope", sizeof *e);
    }
    if (json.size > CVM_MANIFEST_MAX_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "envelope: %zu bytes, %d are the most", json.size,
                        CVM_MANIFEST_MAX_SIZE);
    }
    if (!read_envelope(json, e, err)) {
        return cvm_context(err, "envelope");
    }
    *out = cvm_steal(&e);
    return true;
}

void cvm_envelope_free(struct cvm_envelope *envelope)
{
    if (envelope == NULL) {
        return;
    }
    cvm_buf_free(&envelope->type);
    cvm_buf_free(&envelope->payload);
    for (size_t i = 0; i < envelope->num_signatures; i++) {
        cvm_buf_free(&envelope->signatures[i]);
    }
    free(envelope);
}

/* --- verifying --- */

/* Keys without repetitions, each with its fingerprint. */
struct key_set {
    const struct cvm_key *keys[CVM_MANIFEST_MAX_KEYS];
    struct cvm_sha256 fingerprints[CVM_MANIFEST_MAX_KEYS];
    size_t count;
};

static bool collect_keys(const struct cvm_key *const *keys, size_t num_keys, struct key_set *out,
                         struct cvm_error *err)
{
    out->count = 0;
    if (num_keys == 0 || num_keys > CVM_MANIFEST_MAX_KEYS) {
        return cvm_fail(err, CVM_ERR_USAGE, "%zu keys, 1 to %d are allowed", num_keys,
                        CVM_MANIFEST_MAX_KEYS);
    }
    for (size_t i = 0; i < num_keys; i++) {
        struct cvm_sha256 *fingerprint = &out->fingerprints[out->count];
        size_t same = 0;
        if (!cvm_key_fingerprint(keys[i], fingerprint, err)) {
            return false;
        }
        while (memcmp(&out->fingerprints[same], fingerprint, sizeof *fingerprint) != 0) {
            same++;
        }
        out->keys[same] = keys[i];
        out->count += same == out->count;
    }
    return true;
}

/* The first signature that is this key's, or NULL; *why says what an unacceptable one was. */
static bool find_signature(const struct cvm_envelope *e, const struct cvm_key *key,
                           struct cvm_bytes pae, const struct cvm_buf **found, const char **why,
                           struct cvm_error *err)
{
    *found = NULL;
    for (size_t i = 0; i < e->num_signatures && *found == NULL; i++) {
        struct cvm_error problem = { 0 };
        if (cvm_key_verify(key, pae, cvm_buf_bytes(&e->signatures[i]), &problem)) {
            *found = &e->signatures[i];
        } else if (problem.code != CVM_ERR_MISMATCH) {
            *err = problem;
            return false;
        } else if (*why == NULL) {
            *why = cvm_key_explain(key, pae, cvm_buf_bytes(&e->signatures[i]));
        }
    }
    return true;
}

static bool add_signer(struct cvm_dsse_verified *out, const struct cvm_sha256 *fingerprint,
                       const struct cvm_buf *signature, struct cvm_error *err)
{
    struct cvm_dsse_signer *signer = &out->signers[out->num_signers++];
    signer->fingerprint = *fingerprint;
    cvm_put_bytes(&signer->signature, signature->data, signature->len);
    return cvm_buf_finish(&signer->signature, "signature", err);
}

static bool too_few(const struct cvm_envelope *e, const struct key_set *set, size_t signers,
                    size_t threshold, const char *why, struct cvm_error *err)
{
    const char *plural = e->num_signatures == 1 ? "" : "s";
    if (why != NULL) {
        return cvm_fail(err, CVM_ERR_MISMATCH, "signature: it is of a kind that is refused: %s",
                        why);
    }
    if (signers == 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "signature: none of the %zu signature%s is by a key that was given (%zu "
                        "tried): signed by another key, or changed after signing",
                        e->num_signatures, plural, set->count);
    }
    return cvm_fail(err, CVM_ERR_MISMATCH,
                    "signature: %zu of the %zu keys signed, the threshold is %zu", signers,
                    set->count, threshold);
}

bool cvm_dsse_verify(const struct cvm_envelope *e, const struct cvm_key *const *keys,
                     size_t num_keys, size_t threshold, struct cvm_dsse_verified *out,
                     struct cvm_error *err)
{
    struct key_set set;
    cvm_autobuf struct cvm_buf pae = { 0 };
    const char *why = NULL;
    if (!collect_keys(keys, num_keys, &set, err)) {
        return false;
    }
    if (threshold == 0 || threshold > set.count) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "a threshold of %zu with %zu distinct keys: 1 to %zu are possible",
                        threshold, set.count, set.count);
    }
    cvm_put_pae(&pae, cvm_buf_bytes(&e->type), cvm_buf_bytes(&e->payload));
    if (!cvm_buf_finish(&pae, "envelope", err)) {
        return false;
    }
    for (size_t i = 0; i < set.count; i++) {
        const struct cvm_buf *found;
        if (!find_signature(e, set.keys[i], cvm_buf_bytes(&pae), &found, &why, err) ||
            (found != NULL && !add_signer(out, &set.fingerprints[i], found, err))) {
            return false;
        }
    }
    if (out->num_signers < threshold) {
        return too_few(e, &set, out->num_signers, threshold, why, err);
    }
    cvm_put_bytes(&out->type, e->type.data, e->type.len);
    cvm_put_bytes(&out->payload, e->payload.data, e->payload.len);
    return cvm_buf_finish(&out->type, "payloadType", err) &&
           cvm_buf_finish(&out->payload, "payload", err);
}

void cvm_dsse_verified_free(struct cvm_dsse_verified *v)
{
    cvm_buf_free(&v->type);
    cvm_buf_free(&v->payload);
    for (size_t i = 0; i < v->num_signers; i++) {
        cvm_buf_free(&v->signers[i].signature);
    }
    v->num_signers = 0;
}

/* --- writing --- */

/* A string that was read may have any character; the types we write need no escapes. */
static void put_envelope(struct cvm_buf *out, struct cvm_bytes type, struct cvm_bytes payload,
                         const struct cvm_buf *signatures, size_t count)
{
    cvm_put_text(out, "{\"payload\":\"");
    cvm_put_base64(out, payload);
    cvm_put_text(out, "\",\"payloadType\":\"");
    cvm_put_bytes(out, type.data, type.size);
    cvm_put_text(out, "\",\"signatures\":[");
    for (size_t i = 0; i < count; i++) {
        cvm_put_text(out, i == 0 ? "{\"sig\":\"" : ",{\"sig\":\"");
        cvm_put_base64(out, cvm_buf_bytes(&signatures[i]));
        cvm_put_text(out, "\"}");
    }
    cvm_put_text(out, "]}");
}

/* Signs, and looks whether it verifies: what a token returns is somebody else's work. */
static bool sign_pae(const struct cvm_key *key, struct cvm_bytes pae, struct cvm_buf *out,
                     struct cvm_error *err)
{
    if (!cvm_key_sign(key, pae, out, err)) {
        return false;
    }
    struct cvm_error problem = { 0 };
    return cvm_key_verify(key, pae, cvm_buf_bytes(out), &problem)
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM, "sign: the signature does not verify: %s",
                          problem.msg);
}

typedef struct cvm_buf signature_list[CVM_DSSE_MAX_SIGNATURES];

static void free_signatures(signature_list *list)
{
    for (size_t i = 0; i < CVM_DSSE_MAX_SIGNATURES; i++) {
        cvm_buf_free(&(*list)[i]);
    }
}

bool cvm_dsse_sign(struct cvm_bytes type, struct cvm_bytes payload,
                   const struct cvm_key *const *keys, size_t num_keys, enum cvm_dsse_form form,
                   struct cvm_buf *out, struct cvm_error *err)
{
    bool bundle = form == CVM_DSSE_SIGSTORE_BUNDLE;
    struct key_set set;
    cvm_autobuf struct cvm_buf pae = { 0 };
    CVM_CLEANUP(free_signatures)
    signature_list signatures = { 0 };
    if (num_keys > CVM_DSSE_MAX_SIGNATURES || (bundle && num_keys != 1)) {
        return cvm_fail(err, CVM_ERR_USAGE, "%zu keys; %s", num_keys,
                        bundle ? "a sigstore bundle has one signature" : "at most 32 can sign");
    }
    if (!collect_keys(keys, num_keys, &set, err)) {
        return false;
    }
    if (set.count != num_keys) {
        return cvm_fail(err, CVM_ERR_USAGE, "a signing key was given twice");
    }
    cvm_put_pae(&pae, type, payload);
    if (!cvm_buf_finish(&pae, "envelope", err)) {
        return false;
    }
    for (size_t i = 0; i < num_keys; i++) {
        if (!sign_pae(keys[i], cvm_buf_bytes(&pae), &signatures[i], err)) {
            return false;
        }
    }
    if (bundle) {
        cvm_put_text(out, "{\"mediaType\":\"" SIGSTORE_MEDIA_TYPE "\",\"verificationMaterial\":"
                          "{\"publicKey\":{\"hint\":\"\"},\"tlogEntries\":[]},\"dsseEnvelope\":");
    }
    put_envelope(out, type, payload, signatures, num_keys);
    cvm_put_text(out, bundle ? "}\n" : "\n");
    return cvm_buf_finish(out, "envelope", err);
}

/* Who signed already, with one place left. */
static bool copy_signatures(const struct cvm_dsse_verified *verified, const struct cvm_key *key,
                            struct cvm_buf *signatures, struct cvm_error *err)
{
    struct cvm_sha256 fingerprint;
    if (verified->num_signers >= CVM_DSSE_MAX_SIGNATURES) {
        return cvm_fail(err, CVM_ERR_USAGE, "it has %zu signatures already", verified->num_signers);
    }
    if (!cvm_key_fingerprint(key, &fingerprint, err)) {
        return false;
    }
    for (size_t i = 0; i < verified->num_signers; i++) {
        const struct cvm_dsse_signer *signer = &verified->signers[i];
        if (memcmp(&signer->fingerprint, &fingerprint, sizeof fingerprint) == 0) {
            return cvm_fail(err, CVM_ERR_USAGE, "this key has signed it already");
        }
        cvm_put_bytes(&signatures[i], signer->signature.data, signer->signature.len);
        if (!cvm_buf_finish(&signatures[i], "signature", err)) {
            return false;
        }
    }
    return true;
}

bool cvm_dsse_cosign(const struct cvm_dsse_verified *verified, const struct cvm_key *key,
                     struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf pae = { 0 };
    CVM_CLEANUP(free_signatures)
    signature_list signatures = { 0 };
    struct cvm_bytes type = cvm_buf_bytes(&verified->type);
    cvm_put_pae(&pae, type, cvm_buf_bytes(&verified->payload));
    if (!cvm_buf_finish(&pae, "envelope", err) ||
        !copy_signatures(verified, key, signatures, err) ||
        !sign_pae(key, cvm_buf_bytes(&pae), &signatures[verified->num_signers], err)) {
        return false;
    }
    put_envelope(out, type, cvm_buf_bytes(&verified->payload), signatures,
                 verified->num_signers + 1);
    cvm_put_text(out, "\n");
    return cvm_buf_finish(out, "envelope", err);
}
