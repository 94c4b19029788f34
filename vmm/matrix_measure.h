/*
 * Measuring every shape of a matrix: files are read and hashed once, shapes on all cores.
 */
#ifndef CVM_VMM_MATRIX_MEASURE_H
#define CVM_VMM_MATRIX_MEASURE_H

#include "vmm/bundle_facts.h"
#include "vmm/matrix.h"
#include "vmm/measure_base.h"

struct cvm_matrix_job {
    const struct cvm_matrix *matrix;
    const struct cvm_measure_base *base;
    struct cvm_bundle_facts *facts; /* opened; NULL where base has no bundle. Completed here */
    unsigned threads;               /* 0: as many as there are CPUs */

    /* Gets the line of each shape, one JSON object without a newline, in order. */
    bool (*line)(void *context, size_t shape, struct cvm_bytes text, struct cvm_error *err);
    void *context;
};

/* How many shapes could not be measured, and why the first of them could not. */
struct cvm_matrix_outcome {
    size_t failed;
    size_t first; /* shape, where failed is not 0 */
    struct cvm_error why;
};

/*
 * Measures. A shape that cannot be (CVM_ERR_MALFORMED, CVM_ERR_UNSUPPORTED) has a line that says
 * so, and the others go on.
 *
 * @return false with what ended it: CVM_ERR_USAGE where something is missing that no shape has,
 *         before any line; CVM_ERR_NOMEM, CVM_ERR_SYSTEM; a file of the image that is no good;
 *         what `line` said.
 */
CVM_MUST_CHECK bool cvm_matrix_measure(const struct cvm_matrix_job *job,
                                       struct cvm_matrix_outcome *out, struct cvm_error *err);

#endif
