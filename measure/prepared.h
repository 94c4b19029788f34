/*
 * An image whose large files were hashed once, so that many machines can be measured with it:
 * what is left is the work of one machine, well below a millisecond.
 *
 * Threads: several may measure with one prepared image at the same time.
 */
#ifndef CVM_PREPARED_H
#define CVM_PREPARED_H

#include "measure/include/cvm/measure.h"

struct cvm_prepared; /* opaque */

/*
 * Prepares an image.
 *
 * @param image        borrowed as long as the result lives: for a machine whose low memory ends
 *                     elsewhere the kernel is hashed again.
 * @param memory_size  bytes: of the machine that is expected most.
 * @return false as cvm_measure_image() for files that cannot be.
 */
CVM_MUST_CHECK bool cvm_prepare_image(const struct cvm_image *image, uint64_t memory_size,
                                      struct cvm_prepared **out, struct cvm_error *err);

/* The same for a compact measurement, which is copied. */
CVM_MUST_CHECK bool cvm_prepare_compact(const struct cvm_compact *compact,
                                        struct cvm_prepared **out, struct cvm_error *err);

/* What cvm_measure_image() or cvm_measure_compact() gives. */
CVM_MUST_CHECK bool cvm_measure_prepared(const struct cvm_machine *machine,
                                         const struct cvm_prepared *prepared,
                                         struct cvm_expectation *out, struct cvm_error *err);

void cvm_prepared_free(struct cvm_prepared *prepared); /* takes NULL as well */

#endif
