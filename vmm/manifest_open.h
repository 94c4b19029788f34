/*
 * From the file of a manifest to what it says: read, verified with keys, as the caller asks.
 */
#ifndef CVM_VMM_MANIFEST_OPEN_H
#define CVM_VMM_MANIFEST_OPEN_H

#include "measure/manifest.h"
#include "vmm/warnings.h"

/* All borrowed for the call. */
struct cvm_manifest_request {
    const char *file;        /* "-": standard input */
    const char *const *keys; /* files and URIs of public keys */
    size_t num_keys;
    struct cvm_opt_u64 threshold; /* at least 1; one where it is not set */
    const char *at;               /* RFC 3339 in UTC; NULL: now */
    const char *const *subjects;  /* files that the manifest has to be about */
    size_t num_subjects;
    const char *passphrase_file; /* for tokens that want a PIN for public keys as well */
};

/*
 * @param at  set to the time that the manifest was checked for, in seconds since 1970.
 * @return false with CVM_ERR_MISMATCH for everything that is wrong with the manifest itself, from
 *         its shape to its values: the answer to "is this a good manifest" is no. CVM_ERR_USAGE,
 *         CVM_ERR_MALFORMED and CVM_ERR_UNSUPPORTED are about keys and what was asked for.
 */
CVM_MUST_CHECK bool cvm_manifest_open(const struct cvm_manifest_request *request,
                                      struct cvm_manifest **out, int64_t *at,
                                      struct cvm_error *err);

/* Adds what should be known of the values although they were signed, each once. */
CVM_MUST_CHECK bool cvm_manifest_warnings(const struct cvm_manifest *manifest,
                                          struct cvm_warnings *out, struct cvm_error *err);

#endif
