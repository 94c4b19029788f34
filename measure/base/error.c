#include "measure/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cvm_error_word(enum cvm_error_code code)
{
    switch (code) {
#define CVM_ERROR_CASE(name, status, word)                                                         \
    case name:                                                                                     \
        return word;
        CVM_ERROR_CODES(CVM_ERROR_CASE)
#undef CVM_ERROR_CASE
    case CVM_OK:
        break;
    }
    return "ok";
}

bool cvm_fail(struct cvm_error *err, enum cvm_error_code code, const char *fmt, ...)
{
    assert(err->code == CVM_OK && code != CVM_OK);
    err->code = code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    return false;
}

bool cvm_fail_errno(struct cvm_error *err, int os_errno, const char *fmt, ...)
{
    char what[CVM_ERROR_MSG_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    char why[128];
    const char *text = strerror_r(os_errno, why, sizeof why); /* the GNU form: thread-safe */
    return cvm_fail(err, os_errno == ENOMEM ? CVM_ERR_NOMEM : CVM_ERR_SYSTEM, "%s: %s", what, text);
}

bool cvm_context(struct cvm_error *err, const char *fmt, ...)
{
    assert(err->code != CVM_OK);
    char context[CVM_ERROR_MSG_SIZE];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    size_t message = strlen(err->msg);
    if (n < 0 || (size_t)n + 2 + message >= sizeof err->msg) {
        return false; /* the root cause is worth more than where it happened */
    }
    memmove(err->msg + n + 2, err->msg, message + 1);
    memcpy(err->msg, context, (size_t)n);
    memcpy(err->msg + n, ": ", 2);
    return false;
}

bool cvm_fail_nomem(struct cvm_error *err, const char *what, unsigned long long bytes)
{
    return cvm_fail(err, CVM_ERR_NOMEM, "%s: out of memory (%llu bytes)", what, bytes);
}
