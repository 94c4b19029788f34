/*
 * OpenSSL's own account of a failure, for hash.c, sign.c and x509.c only.
 */
#ifndef CVM_BASE_OPENSSL_ERROR_H
#define CVM_BASE_OPENSSL_ERROR_H

#include "measure/base/error.h"

#include <openssl/err.h>

/* Fails with "<what>: <OpenSSL's last error>" and empties OpenSSL's queue. */
static inline bool cvm_fail_openssl(struct cvm_error *err, enum cvm_error_code code,
                                    const char *what)
{
    char text[256] = "no reason given";
    unsigned long reason = ERR_peek_last_error();
    if (reason != 0) {
        ERR_error_string_n(reason, text, sizeof text);
    }
    ERR_clear_error();
    return cvm_fail(err, code, "%s: %s", what, text);
}

#endif
