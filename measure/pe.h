/*
 * The Authenticode digest of a PE image: what firmware measures when it loads one.
 *
 * Source: Microsoft PE and COFF Specification; Windows Authenticode Portable Executable
 *         Signature Format, "Calculating the PE image hash".
 */
#ifndef CVM_PE_H
#define CVM_PE_H

#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

/*
 * @param image  the whole file, borrowed for the call.
 * @return false with CVM_ERR_MALFORMED naming field, value and limit; CVM_ERR_UNSUPPORTED for
 *         an optional header that is neither PE32 nor PE32+.
 */
CVM_MUST_CHECK bool pe_authenticode(struct cvm_bytes image, struct cvm_sha384 *out,
                                    struct cvm_error *err);

/* Whether the image has a certificate table; by whom it is signed is not looked at. Fails as above.
 */
CVM_MUST_CHECK bool pe_is_signed(struct cvm_bytes image, bool *out, struct cvm_error *err);

#endif
