/**
 * Events: what is extended into which register, in order.
 *
 * A register starts as 48 zero bytes; extending it with a digest d makes it
 * SHA-384(register || d).
 *
 * Source:  Intel TDX Module ABI specification, TDG.MR.RTMR.EXTEND; TCG PC Client
 *          Platform Firmware Profile for the event types.
 * Threads: no global state.
 */
#ifndef CVM_EVENT_LOG_H
#define CVM_EVENT_LOG_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CVM_NUM_RTMRS = 4, CVM_MAX_EVENTS = 64 };

/** Where an expected digest comes from. */
enum cvm_digest_source {
    CVM_DIGEST_COMPUTED,   /**< from the machine and the image's files */
    CVM_DIGEST_DECLARED,   /**< from the image's compact measurement */
    CVM_DIGEST_WELL_KNOWN, /**< that of an empty 4 MiB-build variable store (cfv), or of a build
                              with upstream's SMBIOS strings (smbios), file not at hand */
    CVM_DIGEST_CAPTURED,   /**< seen on somebody's host, not computed */
};

/** The word of a source as JSON shows it: "computed", "declared", "well-known", "captured". */
CVM_API const char *cvm_digest_source_word(enum cvm_digest_source source);

/** An expected event. */
struct cvm_event {
    unsigned rtmr;    /**< 0 to 3 */
    const char *name; /**< stable and unique within its register; a constant */
    struct cvm_sha384 digest;
    enum cvm_digest_source source;
};

/** Expected events: register by register, each in the order of extension. */
struct cvm_event_list {
    struct cvm_event events[CVM_MAX_EVENTS];
    uint32_t num_events;
};

/** Extends a register in place. @return false with CVM_ERR_SYSTEM from OpenSSL. */
CVM_API CVM_MUST_CHECK bool cvm_rtmr_extend(struct cvm_sha384 *rtmr,
                                            const struct cvm_sha384 *digest, struct cvm_error *err);

/** What register `rtmr` holds after all its events of the list. */
CVM_API CVM_MUST_CHECK bool cvm_event_list_replay(const struct cvm_event_list *list, unsigned rtmr,
                                                  struct cvm_sha384 *out, struct cvm_error *err);

/** The event type of what a guest extends RTMR3 with at run time. */
#define CVM_RUNTIME_EVENT_TYPE UINT32_C(0x08000001)

/**
 * The digest of a run-time event: SHA-384 of the type (u32, little-endian), ":", the name,
 * ":" and the payload.
 *
 * @param payload  borrowed for the call; may be empty.
 * @return false with CVM_ERR_NOMEM or CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_runtime_event_digest(uint32_t type, const char *name,
                                                     struct cvm_bytes payload,
                                                     struct cvm_sha384 *out, struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
