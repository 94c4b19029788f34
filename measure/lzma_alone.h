/*
 * Unpacking a stream in the LZMA "alone" format, which edk2 packs firmware volumes with.
 *
 * Source: LZMA SDK, lzma-specification.txt: properties, dictionary size, unpacked size, data.
 */
#ifndef CVM_LZMA_ALONE_H
#define CVM_LZMA_ALONE_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

/*
 * Appends what the stream unpacks to. Bytes behind its end are ignored.
 *
 * @param max  bytes that it may unpack to.
 * @return false with CVM_ERR_MALFORMED for a stream that is truncated, damaged, or larger than
 *         max, and for a dictionary that no such stream needs; CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool lzma_alone_unpack(struct cvm_bytes stream, size_t max, struct cvm_buf *out,
                                      struct cvm_error *err);

#endif
