/*
 * Many jobs on all cores, their results in order.
 */
#ifndef CVM_VMM_ORDERED_H
#define CVM_VMM_ORDERED_H

#include "measure/base/error.h"

#include <stddef.h>

/* Jobs 0 to count - 1. A slot is where a job leaves its result: zeroed, of slot_size bytes. */
struct cvm_ordered {
    size_t count;
    size_t slot_size;
    void *context; /* borrowed, for the three functions */

    /* Does one job, in any thread; failures are left in the slot. */
    void (*work)(void *context, size_t index, void *slot);
    /* Takes a result, in the calling thread and in order; false ends everything. */
    bool (*take)(void *context, size_t index, void *slot, struct cvm_error *err);
    /* Frees what a slot holds, taken or not; may be NULL. */
    void (*drop)(void *slot);
};

/*
 * Runs the jobs.
 *
 * @param threads  how many work at once; 0 means one per CPU that the process may use.
 * @return false with what `take` said, or CVM_ERR_NOMEM. No thread is left behind.
 */
CVM_MUST_CHECK bool cvm_ordered_run(const struct cvm_ordered *jobs, unsigned threads,
                                    struct cvm_error *err);

#endif
