/**
 * The compact measurement of an image: measurement.tdx.cbor, version 3.
 *
 * It holds what a verifier needs of an image without the image: the digests of kernel,
 * command line and initrd, MRTD in both page-add orders, and the firmware's memory ranges.
 *
 * Source:  docs/measurement.md, "Compact measurement"; RFC 8949 (CBOR).
 * Threads: no global state.
 */
#ifndef CVM_COMPACT_H
#define CVM_COMPACT_H

#include "cvm/layout.h"
#include "cvm/tdvf.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CVM_COMPACT_MAX_SIZE = 65536, CVM_COMPACT_MAX_OVMF = 64 };

struct cvm_compact {
    struct cvm_sha384 cmdline;             /**< first event of RTMR2 */
    struct cvm_sha384 kernel_authenticode; /**< first event of RTMR1, header rewritten for
                                                at least 2 GiB of low memory */
    struct cvm_sha384 initrd;              /**< second event of RTMR2 */
    char ovmf[CVM_COMPACT_MAX_OVMF];       /**< name of the layout, as it stands */
    struct cvm_sha384 mrtd_single_pass;
    struct cvm_sha384 mrtd_two_pass;
    struct cvm_td_ranges ranges;
};

/**
 * Parses a document; strict: version 3, exactly the known keys in their order, definite
 * lengths, nothing behind the end.
 *
 * @param cbor  borrowed for the call, at most CVM_COMPACT_MAX_SIZE bytes.
 * @return false with CVM_ERR_MALFORMED naming the field, CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_compact_parse(struct cvm_bytes cbor, struct cvm_compact *out,
                                              struct cvm_error *err);

/**
 * Builds the document.
 *
 * @param data  set to malloc()ed bytes, to be released with free(); *size to their count.
 * @return false with CVM_ERR_MALFORMED for a name or ranges that parsing would refuse,
 *         CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_compact_build(const struct cvm_compact *compact, uint8_t **data,
                                              size_t *size, struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
