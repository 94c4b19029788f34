/*
 * Hexadecimal text: lower case without prefix when written, either case when read.
 */
#ifndef CVM_BASE_HEX_H
#define CVM_BASE_HEX_H

#include "measure/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * size digits and a NUL; out has room for 2 * size + 1 characters. */
void cvm_hex_encode(const uint8_t *data, size_t size, char *out);

/*
 * Reads exactly size bytes from text, which holds 2 * size digits and nothing else.
 *
 * @return false with CVM_ERR_MALFORMED naming the count or the first character that is
 *         no digit; out is then unspecified.
 */
CVM_MUST_CHECK bool cvm_hex_decode(const char *text, size_t length, uint8_t *out, size_t size,
                                   struct cvm_error *err);

#endif
