/**
 * Events: what is extended into which register, in order; expected ones, and logs of guests.
 *
 * A register starts as 48 zero bytes; extending it with a digest d makes it
 * SHA-384(register || d).
 *
 * Source:  Intel TDX Module ABI specification, TDG.MR.RTMR.EXTEND; TCG PC Client
 *          Platform Firmware Profile for the event types and the binary log; UEFI
 *          specification, EFI_CC_MEASUREMENT_PROTOCOL for the numbers of registers in it.
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

/* --- logs of guests --- */

enum {
    CVM_EVENT_LOG_MAX_SIZE = 1 << 24, /**< bytes of a binary log, padding included */
    CVM_EVENT_LOG_MAX_EVENTS = 4096,
};

/** What the data in a log is worth. A digest is worth what the register it leads to is worth. */
enum cvm_event_data {
    CVM_EVENT_DATA_NONE,        /**< the log holds none */
    CVM_EVENT_DATA_PROVEN,      /**< the digest is that of the data */
    CVM_EVENT_DATA_UNPROVEN,    /**< the digest is of something else: the data is only a label */
    CVM_EVENT_DATA_CONTRADICTS, /**< a run-time event whose digest is not that of its name and
                                     payload: the log lies */
};

/** An event of a log. */
struct cvm_logged_event {
    unsigned rtmr; /**< 0 to 3 */
    bool extended; /**< false for what only informs: EV_NO_ACTION, and events of MRTD */
    uint32_t type; /**< of the TCG, or CVM_RUNTIME_EVENT_TYPE */
    struct cvm_sha384 digest;
    bool digest_computed;  /**< the log left it out; it was worked out from name and payload */
    const char *name;      /**< of a run-time event, or what the log calls it; never NULL */
    struct cvm_bytes data; /**< payload, or the event's data */
    enum cvm_event_data worth;
};

/** A log. Starts as { 0 }; owns what its events point to. */
struct cvm_event_log {
    struct cvm_logged_event *events;
    uint32_t num_events;
    uint32_t capacity;
};

/**
 * Appends a copy of an event; `worth` is worked out.
 *
 * @param has_digest  where false, event is a run-time event and its digest is computed.
 * @return false with CVM_ERR_MALFORMED for a register above 3, too many events, or an event of
 *         another type without a digest; CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_event_log_add(struct cvm_event_log *log,
                                              const struct cvm_logged_event *event, bool has_digest,
                                              struct cvm_error *err);

/**
 * Parses a binary log with SHA-384 digests, as the CCEL table of a guest points to it: a Spec ID
 * event, then TCG_PCR_EVENT2 records up to the end or to padding (zeros, or 0xff). Register 0 is
 * MRTD, 1 to 4 are RTMR0 to RTMR3.
 *
 * @param binary  at most CVM_EVENT_LOG_MAX_SIZE bytes, borrowed for the call.
 * @param out     { 0 }; to be released with cvm_event_log_free(), also after a failure.
 * @return false with CVM_ERR_MALFORMED naming the event, the field and the offset;
 *         CVM_ERR_UNSUPPORTED for a log without SHA-384; CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_event_log_parse(struct cvm_bytes binary, struct cvm_event_log *out,
                                                struct cvm_error *err);

/** What register `rtmr` holds after all extended events of the log. */
CVM_API CVM_MUST_CHECK bool cvm_event_log_replay(const struct cvm_event_log *log, unsigned rtmr,
                                                 struct cvm_sha384 *out, struct cvm_error *err);

CVM_API void cvm_event_log_free(struct cvm_event_log *log);

enum { CVM_EVENT_TEXT_SIZE = 512 };

/** An event for people: printable ASCII, cut with "..." where it is longer. */
struct cvm_event_text {
    char type[40];                  /**< "EV_EFI_VARIABLE_BOOT", "0x80000099" */
    char text[CVM_EVENT_TEXT_SIZE]; /**< what the data says; "" where there is none */
};

/**
 * Decodes the data of an event: EFI variables, boot options, device paths, ACPI and fw_cfg files,
 * SMBIOS, image loads, actions, run-time events. What cannot be decoded is shown in hex: logs are
 * untrusted, and a label that makes no sense is no reason to stop.
 */
CVM_API void cvm_logged_event_describe(const struct cvm_logged_event *event,
                                       struct cvm_event_text *out);

#ifdef __cplusplus
}
#endif

#endif
