/*
 * JSON in place: a document is checked once as a whole, and then read as slices of its own bytes.
 *
 * No tree is built and nothing is allocated but the strings that are asked for. It is for the
 * documents that the library itself has to judge; whoever writes JSON does it elsewhere.
 *
 * Strict: one value and nothing behind it, UTF-8, no key twice in one object, depth and number of
 * members capped. Keys and strings are compared by what they mean, escapes resolved.
 *
 * Source: RFC 8259.
 */
#ifndef CVM_BASE_SLICE_H
#define CVM_BASE_SLICE_H

#include "measure/base/buf.h"
#include "measure/base/reader.h"
#include "measure/include/cvm/types.h"

enum {
    CVM_SLICE_MAX_DEPTH = 16,    /* containers within each other */
    CVM_SLICE_MAX_MEMBERS = 128, /* of one object */
};

/* One value of a checked document, borrowed; size 0 where there is none. */
struct cvm_slice {
    const uint8_t *data;
    size_t size;
};

/*
 * Checks a whole document.
 *
 * @param text  borrowed for as long as its slices are used.
 * @return false with CVM_ERR_MALFORMED naming the offset.
 */
CVM_MUST_CHECK bool cvm_slice_parse(struct cvm_bytes text, struct cvm_slice *root,
                                    struct cvm_error *err);

bool cvm_slice_is_object(struct cvm_slice value);
bool cvm_slice_is_array(struct cvm_slice value);
bool cvm_slice_is_string(struct cvm_slice value);

/* Whether it is a string and says exactly this. */
bool cvm_slice_equals(struct cvm_slice value, const char *text);

/* A member of an object; what is no object has none, and null counts as none. */
struct cvm_slice cvm_slice_member(struct cvm_slice object, const char *key);

/* Walks the items of an array or the members of an object. */
struct cvm_slice_iter {
    struct cvm_reader reader;
};
struct cvm_slice_iter cvm_slice_items(struct cvm_slice container);

/* The next value, and its key (size 0 in arrays); false at the end. */
bool cvm_slice_next(struct cvm_slice_iter *it, struct cvm_slice *key, struct cvm_slice *value);

/* How many items or members there are. */
size_t cvm_slice_count(struct cvm_slice container);

/* Appends what a string says. The caller has made sure that it is one. */
void cvm_put_slice_text(struct cvm_buf *out, struct cvm_slice string);

/*
 * Copies what a string says into a buffer of `size` characters, with a NUL.
 *
 * @return false with CVM_ERR_MALFORMED where it is no string, has a NUL inside or is too long.
 */
CVM_MUST_CHECK bool cvm_slice_copy(struct cvm_slice value, char *out, size_t size,
                                   struct cvm_error *err);

#endif
