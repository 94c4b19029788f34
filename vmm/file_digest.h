/*
 * Digests of files of any size, read once.
 */
#ifndef CVM_VMM_FILE_DIGEST_H
#define CVM_VMM_FILE_DIGEST_H

#include "measure/include/cvm/manifest.h"

/* Both digests of a file, by its path, which must live as long as out. */
CVM_MUST_CHECK bool cvm_file_digest(const char *path, struct cvm_subject *out,
                                    struct cvm_error *err);

#endif
