/*
 * What json-c's strict mode lets through although RFC 8259 does not know it.
 */
#ifndef CVM_VMM_JSON_TEXT_H
#define CVM_VMM_JSON_TEXT_H

#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

/*
 * Looks over a document before it is parsed: single quotes, NaN and Infinity, control characters
 * in strings, and bytes in strings that are not UTF-8.
 *
 * @param members  set to how many members its objects have: the colons outside strings. A parsed
 *                 document with fewer had a key twice.
 * @return false with CVM_ERR_MALFORMED naming the offset.
 */
CVM_MUST_CHECK bool cvm_json_check_text(struct cvm_bytes text, size_t *members,
                                        struct cvm_error *err);

#endif
