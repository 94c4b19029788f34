/**
 * Manifests: signed expected measurements, from the file to the values.
 *
 * A manifest is a DSSE envelope around an in-toto statement that says which registers guests of
 * one image and some shapes (CPUs, memory, devices) report. What was not verified has no values:
 * cvm_envelope_parse() gives an object from which nothing can be read, and
 * cvm_manifest_verify() is the one way from it to a struct cvm_manifest, which has them.
 *
 *     struct cvm_envelope *envelope;       // well formed, nothing more
 *     struct cvm_manifest *manifest;       // signed by whom the caller trusts
 *     cvm_envelope_parse(file, &envelope, &err) &&
 *         cvm_manifest_verify(envelope, &check, &manifest, &err)
 *
 * Source:  docs/manifest.md; DSSE 1.0.2, in-toto Statement v1, sigstore bundle 0.3.
 * Threads: no global state; a verified manifest may be read by several threads.
 */
#ifndef CVM_MANIFEST_H
#define CVM_MANIFEST_H

#include "cvm/key.h"
#include "cvm/measure.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CVM_MANIFEST_MAX_SIZE = 1 << 25, /**< bytes of the whole file */
    CVM_MANIFEST_MAX_KEYS = 64,
    CVM_MANIFEST_MAX_SHAPES = 4096,
    CVM_MANIFEST_MAX_SUBJECTS = 8192,
};

/** What the statement's keys say in a manifest of this library. */
#define CVM_MANIFEST_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define CVM_MANIFEST_STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define CVM_MANIFEST_PREDICATE_TYPE "https://example.org/cvm/manifest/1"

struct cvm_envelope; /* opaque, and without any function that looks into it */
struct cvm_manifest; /* opaque: verified */

/**
 * Reads an envelope, or a sigstore bundle with one in it. Base64 may be standard or URL-safe;
 * unknown keys are ignored; a key that stands twice is an error.
 *
 * @param json  borrowed for the call; at most CVM_MANIFEST_MAX_SIZE bytes.
 * @param out   set to a new envelope, to be released with cvm_envelope_free().
 * @return false with CVM_ERR_MALFORMED saying what is wrong with its shape, CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_envelope_parse(struct cvm_bytes json, struct cvm_envelope **out,
                                               struct cvm_error *err);

/** Releases an envelope; NULL is allowed. */
CVM_API void cvm_envelope_free(struct cvm_envelope *envelope);

/** A file that the caller has and that the manifest has to be about. */
struct cvm_subject {
    const char *name; /**< for messages; the manifest may have another name for it */
    struct cvm_sha256 sha256;
    struct cvm_sha384 sha384;
};

/** Hashes a file's bytes (borrowed for the call). @return false with CVM_ERR_SYSTEM. */
CVM_API CVM_MUST_CHECK bool cvm_subject_of(const char *name, struct cvm_bytes file,
                                           struct cvm_subject *out, struct cvm_error *err);

/** What the caller asks of a manifest. All is borrowed for the call. */
struct cvm_manifest_check {
    const struct cvm_key *const *keys; /**< trusted; the same key twice counts once */
    size_t num_keys;                   /**< 1 to CVM_MANIFEST_MAX_KEYS */
    size_t threshold;                  /**< how many of them have to have signed; 0 means 1 */
    int64_t at; /**< when it has to be valid: seconds since 1970-01-01T00:00:00Z, above 0 */
    const struct cvm_subject *subjects; /**< each has to be one of the manifest's */
    size_t num_subjects;
};

/**
 * Verifies, in this order and reading nothing before the step before it held: signatures, payload
 * type, statement type, predicate type, time window, subjects; then the values are read.
 *
 * @param out  set to the verified manifest, to be released with cvm_manifest_free(). The envelope
 *             is not needed any more.
 * @return false with CVM_ERR_MISMATCH saying which step failed and why; CVM_ERR_MALFORMED where
 *         what was signed is not well formed; CVM_ERR_USAGE where the check asks for the
 *         impossible; CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_manifest_verify(const struct cvm_envelope *envelope,
                                                const struct cvm_manifest_check *check,
                                                struct cvm_manifest **out, struct cvm_error *err);

/** Releases a manifest; NULL is allowed. */
CVM_API void cvm_manifest_free(struct cvm_manifest *manifest);

/** One machine of the manifest. Everything is owned by the manifest and lives as long. */
struct cvm_manifest_shape {
    const char *name;
    const char *os_image_hash;       /**< hex; NULL where the manifest does not say */
    struct cvm_bytes vm_config;      /**< a JSON object as the statement has it; size 0: none */
    struct cvm_expectation expected; /**< registers, and events that replay to them */
};

/** How many shapes there are, at least one. */
CVM_API size_t cvm_manifest_num_shapes(const struct cvm_manifest *manifest);

/** Shape number `index`; NULL past the end. */
CVM_API const struct cvm_manifest_shape *cvm_manifest_shape_at(const struct cvm_manifest *manifest,
                                                               size_t index);

/** Which registers a verifier has to compare; the others are for information. */
struct cvm_manifest_policy {
    bool mrtd;
    bool rtmr[3];
};
CVM_API const struct cvm_manifest_policy *
cvm_manifest_policy_of(const struct cvm_manifest *manifest);

/**
 * The first shape whose policy registers are all equal to these; NULL where there is none.
 *
 * @param rtmr  exactly three: RTMR0, RTMR1 and RTMR2.
 */
CVM_API const struct cvm_manifest_shape *cvm_manifest_find(const struct cvm_manifest *manifest,
                                                           const struct cvm_sha384 *mrtd,
                                                           const struct cvm_sha384 *rtmr);

/** How many of the caller's keys signed it, at least the threshold. */
CVM_API size_t cvm_manifest_num_signers(const struct cvm_manifest *manifest);

/** Fingerprint of a key that signed; NULL past the end. */
CVM_API const struct cvm_sha256 *cvm_manifest_signer_at(const struct cvm_manifest *manifest,
                                                        size_t index);

/** The statement: the very bytes that were signed, JSON. Owned by the manifest. */
CVM_API struct cvm_bytes cvm_manifest_statement(const struct cvm_manifest *manifest);

#ifdef __cplusplus
}
#endif

#endif
