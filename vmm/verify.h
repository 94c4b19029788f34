/*
 * Holding evidence against an expectation.
 *
 * The expectation comes from somewhere else than the evidence: from an image bundle, from a
 * measurement whose os_image_hash the caller knows, or from a signed manifest. Whoever made it
 * names the anchor; every check carries the name of the one that it rests on.
 *
 * Source: docs/verify.md.
 */
#ifndef CVM_VMM_VERIFY_H
#define CVM_VMM_VERIFY_H

#include "measure/include/cvm/compare.h"
#include "measure/include/cvm/measure.h"
#include "vmm/evidence.h"
#include "vmm/warnings.h"

/* The words of every line that rests on a quote which was not followed to a root. */
#define CVM_UNVERIFIED_QUOTE "unverified quote"

/* What is expected, and on whose word. All borrowed. */
struct cvm_expected {
    const struct cvm_expectation *expectation; /* registers; events where has_events */
    bool has_events;
    const char *anchor;   /* "os_image_hash 3c00... of the bundle '/srv/x'", "manifest key ..." */
    bool not_compared[4]; /* MRTD, RTMR0 to RTMR2: those that are for information only */
};

/* What the caller wants to see beside; NULL or 0 bytes where it was not asked for. */
struct cvm_wanted {
    struct cvm_bytes compose_hash, app_id, key_provider; /* payloads of RTMR3 events */
    struct cvm_bytes report_data;                        /* at most 64 bytes; the rest is zeros */
    struct cvm_bytes mr_config_id;                       /* 48 bytes */
    bool allow_debug;
};

/* One answer. */
struct cvm_check {
    const char *name; /* a constant: "quote-signature", "rtmr0", ... */
    bool passed;
    bool rests_on_quote;
    char anchor[200]; /* on whose word the expected value is */
    char detail[400]; /* one phrase: what was found */
};

enum { CVM_MAX_CHECKS = 24, CVM_NUM_REGISTERS = 5 };

/* MRTD and RTMR0 to RTMR3, in this order. */
struct cvm_register_verdict {
    const char *name;       /* "mrtd", "rtmr0", ... */
    struct cvm_sha384 seen; /* in the quote */
    bool has_expected;      /* not for RTMR3 */
    struct cvm_sha384 expected;
    bool has_replayed;          /* there is a log, and the register has events */
    struct cvm_sha384 replayed; /* what the log's events come to */
    bool has_comparison;
    struct cvm_comparison comparison;
};

struct cvm_verdict {
    struct cvm_check checks[CVM_MAX_CHECKS];
    unsigned num_checks;
    struct cvm_register_verdict registers[CVM_NUM_REGISTERS];
    struct cvm_quote_check quote;        /* quote.rooted: whether the quote is verified */
    bool passed;                         /* everything that was asked for */
    const struct cvm_evidence *evidence; /* borrowed */
    const struct cvm_expected *expected; /* borrowed */
    int64_t at;                          /* when certificates had to be valid */
};

#define cvm_autoverdict CVM_CLEANUP(cvm_verdict_free)

/*
 * Runs all checks; that one fails is an answer, not an error.
 *
 * @param evidence  has a quote; borrowed as long as out lives, as is expected.
 * @param root      size 0 where no root is trusted.
 * @param out       zeroed; to be released with cvm_verdict_free().
 * @return false with CVM_ERR_NOMEM, CVM_ERR_SYSTEM, or CVM_ERR_MALFORMED for a bad root.
 */
CVM_MUST_CHECK bool cvm_verify(const struct cvm_evidence *evidence,
                               const struct cvm_expected *expected, const struct cvm_wanted *wanted,
                               const struct cvm_quote_anchor *anchor, struct cvm_verdict *out,
                               struct cvm_error *err);
void cvm_verdict_free(struct cvm_verdict *v);

/* Adds a check of the caller's to a verdict: what it knows beside the evidence. */
void cvm_verdict_add(struct cvm_verdict *v, const char *name, bool passed, bool rests_on_quote,
                     const char *anchor, const char *fmt, ...) CVM_PRINTF(6, 7);

/* The first row that differs, over all registers; NULL where there is none. */
const struct cvm_compared_event *cvm_verdict_first(const struct cvm_verdict *v,
                                                   const struct cvm_register_verdict **reg);

/* --- the answer --- */

/* Appends it for people; with the escapes of a terminal where asked for. */
void cvm_verdict_print(const struct cvm_verdict *v, bool colour, struct cvm_buf *out);

/* Adds its keys to the open object of b. */
void cvm_verdict_put(const struct cvm_verdict *v, struct cvm_json_builder *b);

/* Appends a page of its own: no scripts, nothing from elsewhere. */
void cvm_verdict_html(const struct cvm_verdict *v, const struct cvm_warnings *warnings,
                      struct cvm_buf *out);

/* What is never checked here, and said so: one phrase per item, NULL behind the last. */
extern const char *const cvm_verify_not_checked[];

/* CVM_UNVERIFIED_QUOTE where the line rests on a quote without a root; "" otherwise. */
const char *cvm_verdict_reserve(const struct cvm_verdict *v, bool rests_on_quote);

#endif
