/*
 * Points in time as text: RFC 3339 in UTC and whole seconds, "2026-01-31T23:59:59Z".
 */
#ifndef CVM_BASE_TIME_H
#define CVM_BASE_TIME_H

#include "measure/base/error.h"

#include <stdint.h>

enum { CVM_TIME_TEXT_SIZE = 21 };

/*
 * Seconds since 1970-01-01T00:00:00Z of a text that has exactly this form; years 1970 to 9999.
 *
 * @return false with CVM_ERR_MALFORMED showing the text.
 */
CVM_MUST_CHECK bool cvm_time_parse(const char *text, int64_t *out, struct cvm_error *err);

/* The text of a time within these years, into CVM_TIME_TEXT_SIZE characters. */
void cvm_time_render(int64_t seconds, char *out);

/* The last second that has such a text. */
#define CVM_TIME_MAX INT64_C(253402300799)

#endif
