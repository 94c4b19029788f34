/*
 * Writing manifests: from measured machines to a signed document.
 *
 * The statement is rendered once, those bytes are signed, and the document is read back as a
 * verifier reads it before anybody gets it. It has no clock in it: the same input and Ed25519 keys
 * give the same document.
 *
 * Source: docs/manifest.md.
 */
#ifndef CVM_VMM_MANIFEST_DRAFT_H
#define CVM_VMM_MANIFEST_DRAFT_H

#include "measure/dsse.h"
#include "vmm/keys.h"
#include "vmm/report.h"

/* A machine of the manifest. All borrowed. */
struct cvm_draft_shape {
    const char *name;           /* unique within the manifest */
    struct cvm_bytes vm_config; /* the declaration's own bytes */
    struct cvm_report report;
};

/* Registers, for the set of those that are for information. */
enum {
    CVM_REGISTER_MRTD = 1 << 0,
    CVM_REGISTER_RTMR0 = 1 << 1,
    CVM_REGISTER_RTMR1 = 1 << 2,
    CVM_REGISTER_RTMR2 = 1 << 3,
    CVM_REGISTERS = 4,
};

/* "mrtd", "rtmr0", ...: the word of bit number `index`. */
const char *cvm_register_word(unsigned index);

/* What is to be signed. All borrowed. */
struct cvm_manifest_draft {
    const struct cvm_bundle
        *bundle; /* verified: what its sha256sum.txt lists is what was measured */
    const struct cvm_draft_shape *shapes;
    size_t num_shapes;
    const char *emulator;               /* its file is hashed; NULL where it is not known */
    const char *not_before, *not_after; /* RFC 3339 in UTC; NULL: no limit */
    unsigned information;               /* CVM_REGISTER_* that verifiers need not compare */
};

/*
 * Signs, and appends the document.
 *
 * @return false with CVM_ERR_USAGE for a window that ends before it starts, names that are not
 *         unique, or no register to compare; CVM_ERR_SYSTEM where signing fails.
 */
CVM_MUST_CHECK bool cvm_manifest_draft_sign(const struct cvm_manifest_draft *draft,
                                            const struct cvm_keys *keys, enum cvm_dsse_form form,
                                            struct cvm_buf *out, struct cvm_error *err);

#endif
