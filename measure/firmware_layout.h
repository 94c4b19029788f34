/*
 * From what lies in the firmware's volumes to the layout it measures by.
 *
 * Source: docs/measurement.md, "Layouts".
 */
#ifndef CVM_FIRMWARE_LAYOUT_H
#define CVM_FIRMWARE_LAYOUT_H

#include "measure/include/cvm/firmware.h"

/*
 * Reads the features of a file, and the layout that follows from them: sets features,
 * layout_state, layout_reason and layout of firmware, whose metadata were parsed before.
 *
 * @param bytes  the whole file, borrowed for the call.
 * @return false with CVM_ERR_MALFORMED for volumes that cannot be, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool firmware_derive_layout(struct cvm_bytes bytes, struct cvm_firmware *firmware,
                                           struct cvm_error *err);

/*
 * The layout of a build with these features.
 *
 * @param reason  set where the answer is false: one phrase.
 * @return false where no such build was ever seen, and it is not known what it measures.
 */
bool firmware_layout_of(const struct cvm_firmware_features *features, struct cvm_layout *out,
                        char reason[CVM_LAYOUT_REASON_SIZE]);

#endif
