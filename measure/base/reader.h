/*
 * A cursor over borrowed, untrusted bytes.
 *
 * The first read that does not fit poisons the reader: that read and every
 * later one yields 0 (or NULL), pos stays where it was, and cvm_reader_ok()
 * says so once. A parser therefore reads like the table in the specification,
 * and checks before it acts on a value.
 *
 * A length that comes from input is never added to anything: read a sub-reader
 * of that length and ask it to be at its end.
 */
#ifndef CVM_BASE_READER_H
#define CVM_BASE_READER_H

#include "measure/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct cvm_reader {
    const uint8_t *data;
    size_t size; /* bytes */
    size_t pos;  /* invariant: pos <= size */
    size_t base; /* where data[0] lies in the whole file, for messages */
    size_t want; /* bytes the failed read asked for; 0 while good */
};

/* A reader over size bytes at data, which are borrowed for its life. */
struct cvm_reader cvm_reader_of(const void *data, size_t size);

uint8_t cvm_read_u8(struct cvm_reader *r);
uint16_t cvm_read_u16le(struct cvm_reader *r);
uint32_t cvm_read_u32le(struct cvm_reader *r);
uint64_t cvm_read_u64le(struct cvm_reader *r);

/* The next n bytes, borrowed from the input; NULL where fewer are left (or n is 0). */
const uint8_t *cvm_read_bytes(struct cvm_reader *r, size_t n);

/* A reader over the next n bytes; poisoned like its parent where fewer are left. */
struct cvm_reader cvm_read_sub(struct cvm_reader *r, size_t n);

void cvm_read_skip(struct cvm_reader *r, size_t n);

/* Moves to an absolute offset within this reader's bytes; poisons where it is past the end. */
void cvm_read_seek(struct cvm_reader *r, uint64_t offset);

/* Bytes not read yet. */
size_t cvm_reader_left(const struct cvm_reader *r);

/*
 * Whether every read so far fitted.
 *
 * @return false with CVM_ERR_MALFORMED "<what>: needs N bytes at offset 0xM, K left".
 */
CVM_MUST_CHECK bool cvm_reader_ok(const struct cvm_reader *r, const char *what,
                                  struct cvm_error *err);

/* As cvm_reader_ok(), and nothing may be left over. */
CVM_MUST_CHECK bool cvm_reader_end(const struct cvm_reader *r, const char *what,
                                   struct cvm_error *err);

#endif
