/*
 * What is measured of a bundle: from its verified files, or from what was kept of them.
 *
 * First the part that needs no machine, then what each machine needs more. Files are read only
 * where the cache does not have the answer, and whatever is read is compared with sha256sum.txt.
 */
#ifndef CVM_VMM_BUNDLE_FACTS_H
#define CVM_VMM_BUNDLE_FACTS_H

#include "vmm/digest_cache.h"

struct cvm_bundle_facts {
    const struct cvm_bundle *bundle; /* borrowed */
    const char *state_dir;           /* borrowed; NULL: nothing is cached */
    struct cvm_digest_record record; /* record.facts is what this is about */
    struct cvm_buf firmware, kernel; /* what was read; empty where that was not needed */
    bool changed;                    /* there is something to keep */
};

#define cvm_autobundlefacts CVM_CLEANUP(cvm_bundle_facts_free)

/*
 * Takes what needs no machine.
 *
 * @param state_dir  where digests are cached; NULL to read the files and keep nothing.
 * @param out        zeroed; borrows bundle and state_dir for its life.
 * @return false with CVM_ERR_MISMATCH where a file is not the one that sha256sum.txt lists, or
 *         as image_facts_take_firmware() says.
 */
CVM_MUST_CHECK bool cvm_bundle_facts_open(const struct cvm_bundle *bundle, const char *state_dir,
                                          cvm_bundle_progress *progress,
                                          struct cvm_bundle_facts *out, struct cvm_error *err);
void cvm_bundle_facts_free(struct cvm_bundle_facts *f);

/* Has the files at hand that `need` (enum image_facts_need) names. */
CVM_MUST_CHECK bool cvm_bundle_facts_read(struct cvm_bundle_facts *f, unsigned need,
                                          struct cvm_error *err);

/* Completes the facts for a machine. */
CVM_MUST_CHECK bool cvm_bundle_facts_complete(struct cvm_bundle_facts *f,
                                              const struct cvm_machine *machine,
                                              struct cvm_error *err);

/*
 * Computes the expectation; the facts must be complete for the machine.
 *
 * @return false as image_facts_measure(), naming the image.
 */
CVM_MUST_CHECK bool cvm_bundle_facts_measure(const struct cvm_bundle_facts *f,
                                             const struct cvm_machine *machine,
                                             struct cvm_expectation *out, struct cvm_error *err);

/* Keeps what was worked out, where something was; a failure is told with -v and is none. */
void cvm_bundle_facts_keep(struct cvm_bundle_facts *f);

#endif
