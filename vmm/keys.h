/*
 * Keys by where they are: PEM files, and PKCS#11 tokens by their URI ("pkcs11:...").
 */
#ifndef CVM_VMM_KEYS_H
#define CVM_VMM_KEYS_H

#include "measure/base/sign.h"
#include "vmm/passphrase.h"

/*
 * Loads one half of a key. A passphrase or PIN that is needed comes from passphrase_file (NULL: the
 * variable), and for private keys at last from the terminal.
 *
 * @return false with CVM_ERR_USAGE for a URI with the PIN in it, or where a passphrase is needed
 *         and nobody is there to be asked; otherwise as reading files and keys says.
 */
CVM_MUST_CHECK bool cvm_key_load(const char *where, enum cvm_key_part part,
                                 const char *passphrase_file, struct cvm_key **out,
                                 struct cvm_error *err);

/* Several keys. Starts as { 0 }. */
struct cvm_keys {
    struct cvm_key **items; /* owned */
    size_t count;
};

#define cvm_autokeys CVM_CLEANUP(cvm_keys_free)

CVM_MUST_CHECK bool cvm_keys_load(const char *const *where, size_t count, enum cvm_key_part part,
                                  const char *passphrase_file, struct cvm_keys *out,
                                  struct cvm_error *err);
void cvm_keys_free(struct cvm_keys *keys);

/* The keys as the library takes them. */
const struct cvm_key *const *cvm_keys_list(const struct cvm_keys *keys);

/*
 * Writes a private key to `path`, mode 0600, and its public half to `path`.pub. Neither is written
 * over what is there.
 *
 * @param passphrase  NULL: the private key is not encrypted.
 * @return false with CVM_ERR_USAGE where one of them exists; nothing of it is left then.
 */
CVM_MUST_CHECK bool cvm_key_save(const struct cvm_key *key, const char *path,
                                 const char *passphrase, struct cvm_error *err);

#endif
