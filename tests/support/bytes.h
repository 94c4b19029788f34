/*
 * Comparing bytes, and reading vectors.
 */
#ifndef CVM_TESTS_BYTES_H
#define CVM_TESTS_BYTES_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

/* Fails the test with the first difference, its offset and a hex dump of both around it. */
void assert_bytes(const void *got, size_t got_size, const void *want, size_t want_size);

/* As above, with the expected bytes in hex. */
void assert_hex(const void *got, size_t got_size, const char *want_hex);

/* Fails the test unless err has this code and its message contains text; then clears err. */
void assert_error(struct cvm_error *err, enum cvm_error_code code, const char *text);

/* A file below tests/vectors, whole; the caller frees the buffer. */
struct cvm_buf load_vector(const char *name);

/* The same, gunzipped. */
struct cvm_buf load_vector_gz(const char *name);

#endif
