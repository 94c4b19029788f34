/*
 * What is measured of an image's files, apart from the files: once taken, every machine that
 * starts the image is measured from it, exactly as from the files.
 *
 * The kernel's digest depends on the machine, by the form in which QEMU serves the file, and is
 * worked out when a machine first needs it.
 *
 * Threads: no global state; reading one object from several threads is fine.
 */
#ifndef CVM_FACTS_H
#define CVM_FACTS_H

#include "measure/include/cvm/measure.h"
#include "measure/kernel.h"

/* What QEMU makes of the kernel file. */
struct kernel_form {
    enum cvm_kernel_header header;
    uint32_t initrd_address; /* in a rewritten header; else 0 */
};

struct kernel_digest {
    struct kernel_form form;
    struct cvm_sha384 digest; /* Authenticode */
};

/* Starts as { 0 }, with the initrd's two values set by the caller, who has the file. */
struct image_facts {
    struct cvm_sha384 initrd;
    uint64_t initrd_size; /* bytes */

    bool has_firmware;
    struct cvm_firmware firmware;

    struct cvm_kernel_info kernel;
    bool has_setup; /* false for a kernel without a Linux setup header */
    struct kernel_setup setup;
    struct kernel_digest *kernels; /* owned; one per form that was asked for, in that order */
    size_t num_kernels;
};

#define autofacts CVM_CLEANUP(image_facts_free)

void image_facts_free(struct image_facts *facts);

/* Takes everything from the firmware file: the one place that does. */
CVM_MUST_CHECK bool image_facts_take_firmware(struct image_facts *facts, struct cvm_bytes firmware,
                                              struct cvm_error *err);

/*
 * Takes what needs no machine from the kernel file. One without setup header may do as it is; one
 * that is no PE image is told when it is hashed.
 */
void image_facts_take_kernel(struct image_facts *facts, struct cvm_bytes kernel);

/*
 * The form of the kernel on a machine.
 *
 * @return false as kernel_place_initrd() says; also where a rewritten header is asked for and
 *         facts have no setup.
 */
CVM_MUST_CHECK bool image_facts_kernel_form(const struct image_facts *facts,
                                            const struct cvm_machine *machine, const char *cmdline,
                                            struct kernel_form *out, struct cvm_error *err);

/* The kernel's digest in a form; NULL where it was not worked out yet. */
const struct cvm_sha384 *image_facts_find_kernel(const struct image_facts *facts,
                                                 const struct kernel_form *form);

/* Works it out; facts stay as they are, so that several threads may do it at once. */
CVM_MUST_CHECK bool image_facts_hash_kernel(const struct image_facts *facts,
                                            struct cvm_bytes kernel, const struct kernel_form *form,
                                            struct cvm_sha384 *out, struct cvm_error *err);

/* Remembers it; CVM_ERR_NOMEM. */
CVM_MUST_CHECK bool image_facts_add_kernel(struct image_facts *facts,
                                           const struct kernel_digest *kernel,
                                           struct cvm_error *err);

/* Which files have to be read before a machine can be measured. */
enum image_facts_need { NEED_FIRMWARE = 1, NEED_KERNEL = 2 };
unsigned image_facts_need(const struct image_facts *facts, const struct cvm_machine *machine,
                          const char *cmdline);

/*
 * Works out what a machine needs and facts lack.
 *
 * @param firmware, kernel  the whole files; read only where image_facts_need() says so.
 */
CVM_MUST_CHECK bool image_facts_complete(struct image_facts *facts, struct cvm_bytes firmware,
                                         struct cvm_bytes kernel, const struct cvm_machine *machine,
                                         const char *cmdline, struct cvm_error *err);

/* Computes the expectation; facts must be complete for the machine. In measure.c. */
CVM_MUST_CHECK bool image_facts_measure(const struct image_facts *facts,
                                        const struct cvm_machine *machine, const char *cmdline,
                                        struct cvm_expectation *out, struct cvm_error *err);

#endif
