/*
 * Passphrases of private keys, and PINs of tokens: from a file, a variable, or a terminal. Never
 * from the command line, which others can read.
 */
#ifndef CVM_VMM_PASSPHRASE_H
#define CVM_VMM_PASSPHRASE_H

#include "measure/base/cleanup.h"
#include "measure/base/error.h"

#define CVM_PASSPHRASE_VARIABLE "CVM_KEY_PASSPHRASE"

enum { CVM_PASSPHRASE_SIZE = 1024 };

struct cvm_passphrase {
    bool set;
    char text[CVM_PASSPHRASE_SIZE];
};

#define cvm_autopassphrase CVM_CLEANUP(cvm_passphrase_clear)

/* Forgets it, for good. */
void cvm_passphrase_clear(struct cvm_passphrase *p);

/* The text, or NULL where it is not set. */
const char *cvm_passphrase_text(const struct cvm_passphrase *p);

/*
 * Takes it from the first line of a file, or where file is NULL from the variable, which may be
 * empty or not set.
 *
 * @return false with CVM_ERR_MALFORMED for an empty, cut or overlong line, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_passphrase_load(const char *file, struct cvm_passphrase *out,
                                        struct cvm_error *err);

/*
 * Asks at the terminal, without showing what is typed; a new one is asked for twice.
 *
 * @return false with CVM_ERR_USAGE where there is no terminal, or the two differ.
 */
CVM_MUST_CHECK bool cvm_passphrase_ask(const char *what, bool is_new, struct cvm_passphrase *out,
                                       struct cvm_error *err);

#endif
