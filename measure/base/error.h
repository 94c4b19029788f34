/*
 * Reporting failures.
 *
 * All functions return false, so that `return cvm_fail(...)` is the whole branch.
 * Whoever starts an operation on a named thing prepends its name with
 * cvm_context(); the leaf says what and where (value, offset, limit).
 */
#ifndef CVM_BASE_ERROR_H
#define CVM_BASE_ERROR_H

#include "measure/include/cvm/error.h"

/* Sets code and message. It is a bug to call it on an error that is set already. */
bool cvm_fail(struct cvm_error *err, enum cvm_error_code code, const char *fmt, ...)
    CVM_PRINTF(3, 4);

/* CVM_ERR_SYSTEM (CVM_ERR_NOMEM for ENOMEM) with ": <text of os_errno>" appended. */
bool cvm_fail_errno(struct cvm_error *err, int os_errno, const char *fmt, ...) CVM_PRINTF(3, 4);

/* Prepends "<context>: "; keeps the message as it was where the whole does not fit. */
bool cvm_context(struct cvm_error *err, const char *fmt, ...) CVM_PRINTF(2, 3);

/* CVM_ERR_NOMEM, saying what the memory was for and how many bytes. */
bool cvm_fail_nomem(struct cvm_error *err, const char *what, unsigned long long bytes);

#endif
