/*
 * A growing byte buffer whose failure is sticky.
 *
 * Builders write without looking; out of memory (or the size cap) is kept and
 * reported once, by cvm_buf_finish(). After a failure nothing is written and
 * len stays where it was.
 */
#ifndef CVM_BASE_BUF_H
#define CVM_BASE_BUF_H

#include "measure/base/cleanup.h"
#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

#include <stddef.h>
#include <stdint.h>

/* No document this project builds comes near; a builder that does has lost its way. */
enum { CVM_BUF_MAX = 1 << 28 };

struct cvm_buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;    /* bytes written */
    size_t cap;    /* bytes allocated */
    bool failed;   /* out of memory or over CVM_BUF_MAX */
};

#define cvm_autobuf CVM_CLEANUP(cvm_buf_free)

/* What was written, borrowed until the next write. */
static inline struct cvm_bytes cvm_buf_bytes(const struct cvm_buf *b)
{
    return (struct cvm_bytes){ b->data, b->len };
}

void cvm_buf_free(struct cvm_buf *b); /* leaves an empty buffer, ready for use */
void cvm_buf_wipe(struct cvm_buf *b); /* the same, and its bytes are gone: for secrets */

void cvm_put_bytes(struct cvm_buf *b, const void *data, size_t size);
void cvm_put_zeros(struct cvm_buf *b, size_t count);
void cvm_put_u8(struct cvm_buf *b, uint8_t value);

/* The low `width` bytes of value, little-endian; width 1 to 8. */
void cvm_put_le(struct cvm_buf *b, uint64_t value, size_t width);

/* The characters of an ASCII string as UTF-16LE, without terminator. */
void cvm_put_utf16(struct cvm_buf *b, const char *ascii);

/* The characters of a string, without its NUL. */
void cvm_put_text(struct cvm_buf *b, const char *text);
void cvm_put_format(struct cvm_buf *b, const char *fmt, ...) CVM_PRINTF(2, 3);

/* Makes room for size bytes at offset `at` (<= len) and copies them there. */
void cvm_buf_insert(struct cvm_buf *b, size_t at, const void *data, size_t size);

/* Overwrites width bytes at offset `at`, which must lie within what was written. */
void cvm_buf_patch_le(struct cvm_buf *b, size_t at, uint64_t value, size_t width);

/* Zeros up to the next multiple of alignment (not 0). */
void cvm_put_padding(struct cvm_buf *b, size_t alignment);

/* Whether everything was written; else false with CVM_ERR_NOMEM naming `what`. */
CVM_MUST_CHECK bool cvm_buf_finish(const struct cvm_buf *b, const char *what,
                                   struct cvm_error *err);

#endif
