/*
 * What every fuzz target shares: the entry point that libFuzzer and replay.c call, and what
 * must hold for any input.
 */
#ifndef CVM_TESTS_FUZZ_H
#define CVM_TESTS_FUZZ_H

#include "measure/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input. Returns 0; a finding ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding unless ok; not assert(), which release builds leave out. */
static inline void fuzz_require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz: does not hold: %s\n", what);
        abort();
    }
}

/* Whether a parser accepted its input; where it did not, the input is to blame, and it says so. */
static inline bool fuzz_accepted(bool ok, const struct cvm_error *err)
{
    if (ok) {
        fuzz_require(err->code == CVM_OK, "success sets no error");
        return true;
    }
    fuzz_require(err->code == CVM_ERR_MALFORMED || err->code == CVM_ERR_UNSUPPORTED, err->msg);
    fuzz_require(err->msg[0] != '\0', "an error has a message");
    return false;
}

#endif
