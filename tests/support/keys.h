/*
 * The keys of tests/vectors/keys.
 */
#ifndef CVM_TESTS_KEYS_H
#define CVM_TESTS_KEYS_H

#include "measure/base/sign.h"

/* Half of an accepted key ("p256"), for the caller to free; whatever goes wrong fails the test. */
struct cvm_key *load_vector_key(const char *name, enum cvm_key_part part);

#endif
