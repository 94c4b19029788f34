/*
 * Which firmware layout an image has: one resolution order for every command.
 *
 * Source: docs/vm-config.md, "ovmf_variant".
 */
#ifndef CVM_VMM_OVMF_VARIANT_H
#define CVM_VMM_OVMF_VARIANT_H

#include "measure/include/cvm/firmware.h"
#include "vmm/warnings.h"

/* What there is to go by, in the order in which it decides; NULL or "" where there is nothing. */
struct cvm_variant_evidence {
    const char *option;      /* an explicit choice for this call */
    const char *vm_config;   /* the vm_config that is being verified */
    const char *metadata;    /* metadata.json: ovmf_variant */
    const char *measurement; /* compact measurement: tdvf.ovmf */
    bool has_bundle;         /* then the compact measurement decides nothing */
    const char *version;     /* metadata.json: version */
    const char *image_name;  /* name of the bundle's directory */
};

struct cvm_variant {
    const struct cvm_layout *layout;
    const char *rule;   /* option, vm_config, metadata, measurement, version, image-name, default */
    const char *source; /* the same, but metadata for the rule version: where the value stands */
};

/*
 * Resolves the variant. Rules that infer instead of reading a declaration add a warning that
 * says what was inferred from what, and how to declare it.
 *
 * @return false with CVM_ERR_MALFORMED where a declared name is not known (naming the known
 *         ones), or a vm_config contradicts the compact measurement it carries.
 */
CVM_MUST_CHECK bool cvm_ovmf_variant_resolve(const struct cvm_variant_evidence *evidence,
                                             struct cvm_warnings *warnings, struct cvm_variant *out,
                                             struct cvm_error *err);

/* By which events a machine is measured, and who says so. */
struct cvm_layout_choice {
    const struct cvm_layout *layout; /* constant, or the one in the firmware that was given */
    const char *source;              /* verified, derived: from the file; declared: by its name */
};

/* How a variant is held against the firmware file. */
struct cvm_layout_evidence {
    const struct cvm_firmware *firmware; /* borrowed; NULL where the file is not at hand */
    bool trust_declared;                 /* measure by the name whatever the file says */
    bool no_tee;                         /* the guest is no TD: nothing is measured anyway */
};

/*
 * Chooses the layout: the file's own, which the resolved variant must not contradict.
 *
 * A layout without a name contradicts nothing. Where the file does not tell its layout, or is not
 * at hand, the variant's is taken, with a warning in the former case.
 *
 * @return false with CVM_ERR_MISMATCH where the file is of another variant, saying how to settle
 *         it; CVM_ERR_UNSUPPORTED where it measures nothing in a TD.
 */
CVM_MUST_CHECK bool cvm_layout_choose(const struct cvm_variant *variant,
                                      const struct cvm_layout_evidence *evidence,
                                      struct cvm_warnings *warnings, struct cvm_layout_choice *out,
                                      struct cvm_error *err);

/* An image version MAJOR.MINOR.PATCH with an optional .SUFFIX, which is dropped. */
struct cvm_image_version {
    uint32_t parts[3];
};

/* False for anything else: "0.5", "v0.5.10", "0.5.10-dev", "0.5.10.", "0.5.10.1.2". */
CVM_MUST_CHECK bool cvm_image_version_parse(const char *text, struct cvm_image_version *out);

/* Negative, zero or positive as a is older than, equal to or newer than b. */
int cvm_image_version_compare(const struct cvm_image_version *a, const struct cvm_image_version *b);

#endif
