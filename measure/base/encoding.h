/*
 * Bytes that came as hex, base64 or raw: whoever hands them over rarely says which.
 */
#ifndef CVM_BASE_ENCODING_H
#define CVM_BASE_ENCODING_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

/*
 * Appends the bytes that `text` stands for. Hex (either case, a leading 0x) and base64 (standard
 * or URL-safe alphabet, padding may be missing) may have blanks and line ends anywhere; what has
 * other characters is raw. Hex is tried first: what is both is taken as hex.
 *
 * @return false with CVM_ERR_MALFORMED for text that is neither, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_decode_bytes(struct cvm_bytes text, struct cvm_buf *out,
                                     struct cvm_error *err);

#endif
