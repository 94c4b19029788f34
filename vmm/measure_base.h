/*
 * What is measured, before a machine is chosen: an image bundle or the measurement that a
 * vm_config carries, with everything that the vm_config and the options say of the machine.
 */
#ifndef CVM_VMM_MEASURE_BASE_H
#define CVM_VMM_MEASURE_BASE_H

#include "vmm/host.h"
#include "vmm/machine.h"

/* What was asked for; strings are borrowed, NULL where nothing was said. */
struct cvm_measure_request {
    const char *image;     /* name or path of a bundle */
    const char *vm_config; /* file */
    const char *ovmf_variant, *page_add_order, *kernel_header, *kernel_measures;
    bool trust_declared;         /* by the declared layout, where the firmware has another */
    struct cvm_vm_config config; /* what options say of the machine; wins over the file */
};

struct cvm_measure_base {
    const struct cvm_measure_request *request; /* borrowed */
    struct cvm_bundle bundle;
    bool has_bundle;
    struct json_object *document; /* the vm_config file; NULL where none was given */
    struct cvm_vm_config config;  /* borrows from all of this */
    char os_image_hash[65];
    char emulator_version[20];
    const char *qemu_version_source; /* option, vm_config, emulator */
    struct cvm_tdx_measurement carried;
    const struct cvm_firmware *firmware; /* the bundle's, borrowed; set by whoever inspected it */
    struct cvm_warnings warnings;
};

#define CVM_MEASURE_BASE_NONE                                                                      \
    {                                                                                              \
        .bundle = CVM_BUNDLE_NONE                                                                  \
    }
#define cvm_automeasurebase CVM_CLEANUP(cvm_measure_base_free)

/*
 * Opens a bundle by name or path; that it has no identity is a warning.
 *
 * @param hash  set to the os_image_hash; "" where there is no sha256sum.txt.
 */
CVM_MUST_CHECK bool cvm_measured_bundle_open(const struct cvm_host *host, const char *image,
                                             struct cvm_bundle *out, char hash[65],
                                             struct cvm_warnings *warnings, struct cvm_error *err);

/*
 * Loads it. The QEMU version comes from the request, the vm_config, or the emulator of `host`
 * where one is named, in this order; it may be unknown still.
 *
 * @param emulator  the emulator that was named for this call; NULL.
 * @param out       initialised with CVM_MEASURE_BASE_NONE; borrows request for its life.
 * @return false with CVM_ERR_USAGE where nothing is to be measured, CVM_ERR_MISMATCH where the
 *         vm_config names another image.
 */
CVM_MUST_CHECK bool cvm_measure_base_load(const struct cvm_measure_request *request,
                                          const struct cvm_host *host, const char *emulator,
                                          struct cvm_measure_base *out, struct cvm_error *err);
void cvm_measure_base_free(struct cvm_measure_base *base);

/*
 * Fills the machine that `config` describes, which is base->config or made from it. Its layout may
 * be that of base->firmware.
 */
CVM_MUST_CHECK bool cvm_measure_base_fill(const struct cvm_measure_base *base,
                                          const struct cvm_vm_config *config,
                                          struct cvm_machine *machine,
                                          struct cvm_resolution *resolution,
                                          struct cvm_warnings *warnings, struct cvm_error *err);

#endif
