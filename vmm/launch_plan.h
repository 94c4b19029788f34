/*
 * What a request comes to on this host, worked out before anything is written: image, machine,
 * vm_config and expectation.
 *
 * "Declared equals launched" is checked here: the vm_config that was written is read back, and
 * the machine it describes must be the one that will be launched.
 */
#ifndef CVM_VMM_LAUNCH_PLAN_H
#define CVM_VMM_LAUNCH_PLAN_H

#include "vmm/placement.h"
#include "vmm/report.h"
#include "vmm/request.h"

struct cvm_launch_plan {
    const struct cvm_request *request; /* borrowed */
    const struct cvm_host *host;       /* borrowed */
    struct cvm_bundle bundle;
    char os_image_hash[65];
    char qemu_version[20];
    struct json_object *tdx_measurement; /* owned; NULL where the bundle has none */
    struct cvm_placement placement;      /* devices, nodes and CPUs of the host */
    struct cvm_placement_arrays placed;  /* what is declared of it */
    struct cvm_vm_config config;         /* what the request says, completed from the host */
    struct cvm_firmware firmware;        /* of the bundle's file; the machine's layout is in it */
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_warnings warnings;
    struct json_object *vm_config;      /* owned: the document */
    struct cvm_expectation expectation; /* after cvm_launch_plan_measure() */
};

#define CVM_LAUNCH_PLAN_NONE                                                                       \
    {                                                                                              \
        .bundle = CVM_BUNDLE_NONE                                                                  \
    }
#define cvm_autoplan CVM_CLEANUP(cvm_launch_plan_free)

/*
 * Resolves a request: opens the bundle, asks the emulator for its version, fills the machine,
 * writes the vm_config and reads it back.
 *
 * @param out  initialised with CVM_LAUNCH_PLAN_NONE; borrows request and host for its life.
 */
CVM_MUST_CHECK bool cvm_launch_plan_resolve(const struct cvm_request *request,
                                            const struct cvm_host *host,
                                            struct cvm_launch_plan *out, struct cvm_error *err);

/*
 * Decides the placement again, now that the store is locked and nobody else can claim what it
 * has. Where another launch was faster, other devices and CPUs take the place of those that are
 * gone, as long as the machine stays the one that was measured.
 *
 * @return false with CVM_ERR_SYSTEM where it does not, or where the host has not enough left.
 */
CVM_MUST_CHECK bool cvm_launch_plan_place_again(struct cvm_launch_plan *plan,
                                                const struct cvm_store *store,
                                                struct cvm_error *err);

/* Verifies the bundle's files and computes the expectation from them. */
CVM_MUST_CHECK bool cvm_launch_plan_measure(struct cvm_launch_plan *plan,
                                            cvm_bundle_progress *progress, struct cvm_error *err);

/* The plan's report; valid as long as the plan. */
struct cvm_report cvm_launch_plan_report(const struct cvm_launch_plan *plan);

void cvm_launch_plan_free(struct cvm_launch_plan *plan);

/*
 * The path of a bundle, malloc()ed: what has a slash, "." and ".." are paths, everything else is a
 * name below the image directory.
 */
CVM_MUST_CHECK bool cvm_bundle_path(const struct cvm_host *host, const char *image, char **out,
                                    struct cvm_error *err);

#endif
