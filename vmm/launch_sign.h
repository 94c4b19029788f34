/*
 * Signing what a launch expects, with the key that the host configuration names.
 */
#ifndef CVM_VMM_LAUNCH_SIGN_H
#define CVM_VMM_LAUNCH_SIGN_H

#include "vmm/launch_plan.h"

/*
 * Appends the signed manifest of a plan that was measured; nothing where the host names no key.
 * Comes before anything is claimed or written: a terminal may be asked for a passphrase.
 *
 * @param vm_config  the declaration's text, as the guest's directory gets it.
 */
CVM_MUST_CHECK bool cvm_launch_sign(const struct cvm_launch_plan *plan,
                                    const struct cvm_buf *vm_config, struct cvm_buf *out,
                                    struct cvm_error *err);

#endif
