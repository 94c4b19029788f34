/*
 * What the measuring functions share with cvm_firmware_inspect().
 */
#ifndef CVM_FIRMWARE_INTERNAL_H
#define CVM_FIRMWARE_INTERNAL_H

#include "measure/include/cvm/firmware.h"

/* The digest of an empty variable store of a 4 MiB build. */
CVM_MUST_CHECK bool firmware_hash_empty_cfv(struct cvm_sha384 *out, struct cvm_error *err);

#endif
