/*
 * Text in XML and HTML.
 */
#ifndef CVM_VMM_MARKUP_H
#define CVM_VMM_MARKUP_H

#include "measure/base/buf.h"

/* Appends text so that it is nothing but text, between tags and in attributes. */
void cvm_put_escaped(struct cvm_buf *out, const char *text);

#endif
