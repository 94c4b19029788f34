/*
 * Measuring a bundle and verifying it in one go.
 */
#ifndef CVM_VMM_MEASURE_BUNDLE_H
#define CVM_VMM_MEASURE_BUNDLE_H

#include "vmm/image.h"

enum cvm_verify_extent { CVM_VERIFY_NOTHING, CVM_VERIFY_MEASURED, CVM_VERIFY_ALL };

/*
 * Reads what is measured of a bundle while a second thread compares its files with
 * sha256sum.txt: both hash the same bytes, with two functions.
 *
 * @param extent  CVM_VERIFY_NOTHING for a bundle without sha256sum.txt.
 * @return false as cvm_bundle_verify() and cvm_bundle_read() say; a digest that differs is
 *         reported before anything else.
 */
CVM_MUST_CHECK bool cvm_bundle_read_verified(const struct cvm_bundle *bundle,
                                             enum cvm_verify_extent extent,
                                             cvm_bundle_progress *progress,
                                             struct cvm_bundle_contents *out,
                                             struct cvm_error *err);

#endif
