/*
 * Registers for verifiers that do not read manifests. Only a verified manifest has any.
 *
 * What comes out is not signed any more, and whoever gets it has to trust the way it takes.
 *
 * Source: docs/manifest.md, "Exports".
 */
#ifndef CVM_VMM_MANIFEST_EXPORT_H
#define CVM_VMM_MANIFEST_EXPORT_H

#include "measure/include/cvm/manifest.h"
#include "vmm/json.h"

/*
 * Renders an export as one line.
 *
 * @param format  "plain", "rvps" or "policy".
 * @param shape   only the shape of this name; NULL: all of them.
 * @return false with CVM_ERR_USAGE for a format or a shape that does not exist.
 */
CVM_MUST_CHECK bool cvm_manifest_export(const struct cvm_manifest *manifest, const char *format,
                                        const char *shape, struct cvm_buf *out,
                                        struct cvm_error *err);

#endif
