/**
 * Errors: a code that programs act on, and one sentence that people read.
 *
 * Every function that can fail takes a struct cvm_error as its last parameter
 * and returns false. The error lives on the caller's stack, starts as { 0 } and
 * is never NULL: reporting a failure must not be able to fail.
 *
 * Threads: no global state.
 */
#ifndef CVM_ERROR_H
#define CVM_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks what the shared library exports. */
#define CVM_API __attribute__((visibility("default")))
/** Marks a function whose result decides whether its outputs exist. */
#define CVM_MUST_CHECK __attribute__((warn_unused_result))
/** Lets the compiler check a format string against its arguments. */
#define CVM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** One table: the name in code, the exit status of programs, the word in JSON. */
/* clang-format off */
#define CVM_ERROR_CODES(X)                                                \
    X(CVM_ERR_MISMATCH,    1, "mismatch")    /* the answer is no */       \
    X(CVM_ERR_USAGE,       2, "usage")       /* the caller's mistake */   \
    X(CVM_ERR_MALFORMED,   3, "malformed")   /* untrusted input */        \
    X(CVM_ERR_UNSUPPORTED, 4, "unsupported") /* understood, not known how */ \
    X(CVM_ERR_SYSTEM,      5, "system")      /* OS, libvirt, OpenSSL */   \
    X(CVM_ERR_NOMEM,       6, "no-memory")
/* clang-format on */

enum cvm_error_code {
    CVM_OK = 0,
#define CVM_ERROR_ENUM(name, status, word) name = (status),
    CVM_ERROR_CODES(CVM_ERROR_ENUM)
#undef CVM_ERROR_ENUM
};

/** Size of a message with its final NUL, in bytes. Longer ones are cut. */
enum { CVM_ERROR_MSG_SIZE = 1024 };

struct cvm_error {
    enum cvm_error_code code;
    char msg[CVM_ERROR_MSG_SIZE]; /* one phrase, without a full stop */
};

/**
 * The word of a code as JSON output shows it ("malformed"), "ok" for CVM_OK.
 *
 * @return a static string, never NULL.
 */
CVM_API const char *cvm_error_word(enum cvm_error_code code);

#ifdef __cplusplus
}
#endif

#endif
