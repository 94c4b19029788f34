/*
 * Base64 with the standard alphabet and padding, and reading the URL-safe one.
 *
 * Source: RFC 4648, sections 4 and 5
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

/*
 * The same for documents of others: either alphabet, but not both in one text; padding may be
 * left out altogether.
 */
CVM_MUST_CHECK bool cvm_base64_decode_either(const char *text, size_t length, struct cvm_buf *out,
                                             struct cvm_error *err);

#endif
