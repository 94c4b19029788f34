/**
 * Quotes of Intel TDX: what a TD reports of itself, signed by the platform's quoting enclave.
 *
 * Parsing a quote proves nothing. cvm_quote_verify() checks every signature in it, offline, and
 * the certificates up to a root that the caller brings along. Not checked by this library:
 * revocation, the TCB level of the platform, and the identity of the quoting enclave, which all
 * need documents that change over time.
 *
 * Source:  Intel TDX DCAP Quoting Library API, appendix "Quote Format" (versions 4 and 5); Intel
 *          TDX Module ABI specification, TDREPORT_STRUCT.
 * Threads: no global state.
 */
#ifndef CVM_QUOTE_H
#define CVM_QUOTE_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CVM_QUOTE_MAX_SIZE = 1 << 16 }; /**< bytes; real ones have about 5000 */

/** Which report the quote carries; the numbers are those of the format. */
enum cvm_quote_body {
    CVM_QUOTE_TD_1_0 = 2, /**< 584 bytes */
    CVM_QUOTE_TD_1_5 = 3, /**< 648 bytes */
};

/** A TD report: registers, attributes, and what the guest put in. */
struct cvm_td_report {
    uint8_t tee_tcb_svn[16];
    struct cvm_sha384 mr_seam; /**< the TDX module */
    struct cvm_sha384 mr_signer_seam;
    uint64_t seam_attributes;
    uint64_t td_attributes; /**< see cvm_td_is_debug() */
    uint64_t xfam;
    struct cvm_sha384 mrtd;
    struct cvm_sha384 mr_config_id;
    struct cvm_sha384 mr_owner;
    struct cvm_sha384 mr_owner_config;
    struct cvm_sha384 rtmr[4];
    uint8_t report_data[64];
    uint8_t tee_tcb_svn2[16];        /**< report 1.5; zeros in 1.0 */
    struct cvm_sha384 mr_service_td; /**< report 1.5; zeros in 1.0 */
};

/** Whether the VMM can read and write the TD: then its registers mean nothing. */
CVM_API bool cvm_td_is_debug(const struct cvm_td_report *report);

/** The quoting enclave, as its own report says. */
struct cvm_quoting_enclave {
    uint64_t attributes;
    struct cvm_sha256 mr_enclave;
    struct cvm_sha256 mr_signer;
    uint16_t product_id;
    uint16_t svn;
    uint8_t report_data[64];
};

/** A parsed quote. Everything of type struct cvm_bytes borrows from the bytes that were parsed. */
struct cvm_quote {
    uint16_t version; /**< 4 or 5 */
    enum cvm_quote_body body;
    uint8_t qe_vendor_id[16];
    uint8_t user_data[20];
    struct cvm_td_report report;
    struct cvm_bytes signed_part;     /**< header and body: what the signature is over */
    struct cvm_bytes signature;       /**< 64 bytes: r, s */
    struct cvm_bytes attestation_key; /**< 64 bytes: X, Y */
    struct cvm_bytes qe_report;       /**< 384 bytes */
    struct cvm_bytes qe_signature;    /**< 64 bytes: r, s */
    struct cvm_bytes qe_auth_data;
    struct cvm_quoting_enclave qe; /**< qe_report, parsed */
    uint16_t certification_type;   /**< of certification_data; 5: certificates in PEM */
    struct cvm_bytes certification_data;
};

/**
 * Parses a quote. Zeros behind it are accepted, since quoting services pad; nothing else is.
 *
 * @param raw  at most CVM_QUOTE_MAX_SIZE bytes; has to live as long as *out is used.
 * @return false with CVM_ERR_MALFORMED naming the field, the offset and the limit, or
 *         CVM_ERR_UNSUPPORTED for another version, attestation key, body (a quote of an SGX
 *         enclave, for example) or certification data than are known.
 */
CVM_API CVM_MUST_CHECK bool cvm_quote_parse(struct cvm_bytes raw, struct cvm_quote *out,
                                            struct cvm_error *err);

/** What a quote is held against. */
struct cvm_quote_anchor {
    struct cvm_bytes root; /**< one self-signed certificate, PEM or DER; size 0: none is trusted */
    int64_t at;            /**< seconds since the epoch: when certificates have to be valid */
};

/** What the check came to. */
struct cvm_quote_check {
    bool rooted;            /**< whether the chain was followed to a trusted root: only then is the
                                 quote more than self-consistent; what follows is set only then */
    struct cvm_sha256 root; /**< fingerprint: SHA-256 of the root's DER */
    int64_t not_before;     /**< seconds since the epoch: all certificates are valid from then */
    int64_t not_after;      /**< until then */
};

/**
 * Checks, in this order: the report of the quoting enclave binds the attestation key; the
 * enclave is no debug enclave; its report is signed by the key of the leaf certificate, which is
 * a PCK certificate; the attestation key signed header and body; with a root, the certificates
 * lead to it and are valid at the time given.
 *
 * @return false with CVM_ERR_MISMATCH and which link does not hold; CVM_ERR_MALFORMED for a key
 *         or certificate that is none; CVM_ERR_UNSUPPORTED where the quote carries no
 *         certificates; CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_quote_verify(const struct cvm_quote *quote,
                                             const struct cvm_quote_anchor *anchor,
                                             struct cvm_quote_check *out, struct cvm_error *err);

/**
 * Turns a quote as it came, in hex, base64 or raw, into raw bytes. Text may have blanks and line
 * ends around and in it, hex a leading 0x.
 *
 * @param data  set to malloc()ed bytes, to be released with free(); *size to their count.
 * @return false with CVM_ERR_MALFORMED where it is none of the three, CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_quote_decode(struct cvm_bytes text, uint8_t **data, size_t *size,
                                             struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
