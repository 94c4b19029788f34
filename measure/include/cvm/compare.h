/**
 * Holding a guest's event log against expected events, one by one.
 *
 * The two lists are aligned, so that one event too many shows as one event too many and not as
 * a difference in everything that follows.
 *
 * Threads: no global state.
 */
#ifndef CVM_COMPARE_H
#define CVM_COMPARE_H

#include "cvm/event_log.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cvm_difference {
    CVM_SAME,      /**< both have it, with the same digest */
    CVM_DIFFERENT, /**< both have such an event, with different digests */
    CVM_MISSING,   /**< expected, and not in the log */
    CVM_SURPLUS,   /**< in the log, and not expected */
};

/** The word of a difference: "equal", "different", "missing", "surplus". */
CVM_API const char *cvm_difference_word(enum cvm_difference difference);

#define CVM_NO_EVENT UINT32_MAX

/** A row of the comparison: indices into the two lists, CVM_NO_EVENT where there is none. */
struct cvm_compared_event {
    enum cvm_difference difference;
    uint32_t expected;
    uint32_t seen;
};

/** One register's events side by side, in the order of extension. Starts as { 0 }. */
struct cvm_comparison {
    struct cvm_compared_event *rows; /**< owned */
    uint32_t num_rows;
    uint32_t first; /**< the first row that is not the same; num_rows where all are */
};

/**
 * Compares the events of one register. Events of the log that are not extended do not take part.
 *
 * The alignment has as few differences as can be; events stand side by side as different only
 * where they are of the same kind, by type and by the name of the variable or file.
 *
 * @param out  { 0 }; to be released with cvm_comparison_free().
 * @return false with CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_compare_events(const struct cvm_event_list *expected,
                                               const struct cvm_event_log *seen, unsigned rtmr,
                                               struct cvm_comparison *out, struct cvm_error *err);

CVM_API void cvm_comparison_free(struct cvm_comparison *comparison);

#ifdef __cplusplus
}
#endif

#endif
