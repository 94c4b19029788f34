/*
 * Text for people in a buffer of fixed size: what does not fit is cut and ends in "...".
 * Nothing here fails, since a label is not worth failing for.
 */
#ifndef CVM_TEXT_H
#define CVM_TEXT_H

#include "measure/base/reader.h"
#include "measure/include/cvm/types.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *out;
    size_t size; /* with the NUL; at least 4 */
    size_t len;
    bool cut;
};

struct text text_of(char *out, size_t size);
void text_put(struct text *t, const char *fmt, ...) CVM_PRINTF(2, 3);

/* Printable ASCII as it is, everything else as \xNN. */
void text_put_ascii(struct text *t, struct cvm_bytes ascii);

/* UTF-16LE up to a NUL or the end; everything that is not printable ASCII as \uNNNN. */
void text_put_utf16(struct text *t, struct cvm_reader *r);

/* The first bytes in hex. */
void text_put_hex(struct text *t, struct cvm_bytes data);

/* A GUID that is read here; "?" where there is none. */
void text_put_guid(struct text *t, struct cvm_reader *r);

#endif
