/*
 * MRTD: what the TDX module reports for a TD that was built this way.
 *
 * Source:  Intel TDX Module ABI specification, leaf functions TDH.MEM.PAGE.ADD,
 *          TDH.MR.EXTEND, TDH.MR.FINALIZE.
 */
#ifndef CVM_MRTD_H
#define CVM_MRTD_H

#include "measure/include/cvm/machine.h"
#include "measure/include/cvm/tdvf.h"

/*
 * @param firmware  the file that tdvf was parsed from.
 * @return false with CVM_ERR_SYSTEM from OpenSSL, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool mrtd_compute(struct cvm_bytes firmware, const struct cvm_tdvf *tdvf,
                                 enum cvm_page_add_order order, struct cvm_sha384 *out,
                                 struct cvm_error *err);

#endif
