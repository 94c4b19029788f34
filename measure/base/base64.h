/*
 * Base64 with the standard alphabet and padding.        Source: RFC 4648, section 4
 */
#ifndef CVM_BASE_BASE64_H
#define CVM_BASE_BASE64_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

/* Appends the text of data. */
void cvm_put_base64(struct cvm_buf *out, struct cvm_bytes data);

/*
 * Appends the bytes of a text; strict: full padding, nothing else than the alphabet, unused
 * bits zero.
 *
 * @return false with CVM_ERR_MALFORMED naming the offset, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_base64_decode(const char *text, size_t length, struct cvm_buf *out,
                                      struct cvm_error *err);

#endif
