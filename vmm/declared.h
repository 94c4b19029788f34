/*
 * A declared guest and what it is expected to measure: a vm_config with an image bundle, or with
 * the compact measurement that the vm_config carries.
 *
 * A bundle is what a verifier has; the measurement that a vm_config carries is worth something
 * only to who knows the os_image_hash from elsewhere.
 */
#ifndef CVM_VMM_DECLARED_H
#define CVM_VMM_DECLARED_H

#include "vmm/bundle_facts.h"
#include "vmm/host.h"
#include "vmm/machine.h"

/* Who says what. All borrowed for the life of the result. */
struct cvm_declaration {
    const struct json_object *vm_config;
    const char *image;        /* name or directory of a bundle; NULL: the carried measurement */
    const char *qemu_version; /* NULL: as vm_config says; so are all below */
    const char *ovmf_variant;
    const char *page_add_order;
    const char *kernel_header;
    bool accept_contradiction; /* of the layout that is declared and the firmware file: what is
                                  declared is then taken for true, with a warning */
};

struct cvm_declared {
    struct cvm_declaration declaration;
    struct cvm_vm_config config;
    struct cvm_bundle bundle;
    bool has_bundle;
    struct cvm_bundle_facts facts; /* of the bundle's files, which are read and verified */
    bool trust_declared;           /* there was a contradiction, and it was accepted */
    char bundle_hash[65]; /* os_image_hash of the bundle; "" where it has no sha256sum.txt */
    struct cvm_tdx_measurement carried;
    bool has_carried;
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_warnings warnings;
};

#define CVM_DECLARED_NONE                                                                          \
    {                                                                                              \
        .bundle = CVM_BUNDLE_NONE                                                                  \
    }
#define cvm_autodeclared CVM_CLEANUP(cvm_declared_free)

/*
 * Opens the bundle, verifies its measured files, decodes the vm_config and fills the machine. That
 * the bundle is the one that the vm_config declares is for the caller to judge:
 * cvm_declared_hash_differs().
 *
 * @param out  initialised with CVM_DECLARED_NONE.
 * @return false with CVM_ERR_USAGE where there is neither bundle nor carried measurement, or a
 *         fact of the machine is missing; CVM_ERR_MALFORMED, CVM_ERR_MISMATCH, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_declared_open(const struct cvm_host *host,
                                      const struct cvm_declaration *declaration,
                                      cvm_bundle_progress *progress, struct cvm_declared *out,
                                      struct cvm_error *err);
void cvm_declared_free(struct cvm_declared *d);

/* What resolving goes by; borrows from d. */
struct cvm_measure_evidence cvm_declared_evidence(const struct cvm_declared *d);

/* Whether both the bundle and the vm_config say an os_image_hash, and not the same. */
bool cvm_declared_hash_differs(const struct cvm_declared *d);

/* Computes the expectation. */
CVM_MUST_CHECK bool cvm_declared_measure(struct cvm_declared *d, struct cvm_expectation *out,
                                         struct cvm_error *err);

#endif
