/*
 * Which machine of a verified manifest evidence is held against.
 */
#ifndef CVM_VMM_MANIFEST_EXPECT_H
#define CVM_VMM_MANIFEST_EXPECT_H

#include "measure/include/cvm/manifest.h"
#include "vmm/evidence.h"
#include "vmm/verify.h"

/*
 * The machine by name; without one, the machine that the quote's registers are of, or the one that
 * comes nearest: all are expected on the same word.
 *
 * @param manifest, evidence  borrowed; the evidence has a quote.
 * @param name    NULL for any machine.
 * @param shape   set to the machine: the manifest's.
 * @param anchor  set to the words that out->anchor points to.
 * @param out     borrows from manifest and anchor.
 * @return false with CVM_ERR_USAGE where the manifest has no machine of this name.
 */
CVM_MUST_CHECK bool cvm_expect_manifest(const struct cvm_manifest *manifest, const char *name,
                                        const struct cvm_evidence *evidence,
                                        const struct cvm_manifest_shape **shape, char anchor[200],
                                        struct cvm_expected *out, struct cvm_error *err);

#endif
