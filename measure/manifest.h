/*
 * What the project itself needs of a verified manifest, beside cvm/manifest.h.
 */
#ifndef CVM_MEASURE_MANIFEST_H
#define CVM_MEASURE_MANIFEST_H

#include "measure/dsse.h"

#define cvm_autoenvelope CVM_CLEANUP(cvm_envelope_free_at)
#define cvm_automanifest CVM_CLEANUP(cvm_manifest_free_at)

void cvm_envelope_free_at(struct cvm_envelope **slot);
void cvm_manifest_free_at(struct cvm_manifest **slot);

/* Payload and signatures, for adding another one. Borrowed. */
const struct cvm_dsse_verified *cvm_manifest_signed(const struct cvm_manifest *manifest);

#endif
