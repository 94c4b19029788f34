/*
 * What every cmocka program includes: cmocka with the headers it wants before it, and two
 * assertions on functions that report a struct cvm_error.
 */
#ifndef CVM_TESTS_CHECK_H
#define CVM_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/bytes.h"
#include "tests/support/fault.h"

/* For a call that has to succeed: fails the test with its message otherwise. */
static inline void must(bool ok, const struct cvm_error *err)
{
    if (!ok) {
        fail_msg("%s: %s", cvm_error_word(err->code), err->msg);
    }
    assert_int_equal(err->code, CVM_OK);
}

/*
 * Runs `run` with its 1st, 2nd, 3rd, ... allocation failing, until it makes fewer than that and
 * succeeds. Each failure has to be reported as CVM_ERR_NOMEM; what it leaked, ASan reports.
 * Returns how many allocations there are to fail.
 */
static inline unsigned fail_each_allocation(bool (*run)(struct cvm_error *err))
{
    for (unsigned n = 1;; n++) {
        struct cvm_error err = { 0 };
        fault_at(n);
        bool ok = run(&err);
        bool hit = fault_hit();
        if (ok == hit || (hit && err.code != CVM_ERR_NOMEM)) {
            fail_msg("allocation %u %s, result: %s '%s'", n, hit ? "failed" : "was never made",
                     cvm_error_word(err.code), err.msg);
        }
        if (ok) {
            return n - 1;
        }
    }
}

#endif
