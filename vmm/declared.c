#include "vmm/declared.h"

#include "vmm/measure_base.h"

static bool load(const struct cvm_host *host, struct cvm_declared *d, struct cvm_error *err)
{
    if (!cvm_vm_config_decode(d->declaration.vm_config, &d->config, err)) {
        return cvm_context(err, "vm_config");
    }
    d->resolution.qemu_version_source = "vm_config";
    if (d->declaration.qemu_version != NULL) {
        d->config.qemu_version = d->declaration.qemu_version;
        d->resolution.qemu_version_source = "option";
    }
    if (d->declaration.image != NULL &&
        !cvm_measured_bundle_open(host, d->declaration.image, &d->bundle, d->bundle_hash,
                                  &d->warnings, err)) {
        return false;
    }
    d->has_bundle = d->declaration.image != NULL;
    if (d->config.tdx_measurement != NULL) {
        d->has_carried = cvm_tdx_measurement_decode(&d->config, &d->carried, err);
        if (!d->has_carried) {
            return cvm_context(err, "vm_config");
        }
    }
    return d->has_bundle || d->has_carried
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "nothing to measure: give --image, or a vm_config that carries "
                          "tdx_measurement");
}

struct cvm_measure_evidence cvm_declared_evidence(const struct cvm_declared *d)
{
    return (struct cvm_measure_evidence){
        .bundle = d->has_bundle ? &d->bundle : NULL,
        .compact = d->has_carried ? &d->carried.compact : NULL,
        .declared = true,
        .trust_declared = d->trust_declared,
        .firmware = d->has_bundle ? &d->facts.record.facts.firmware : NULL,
        .variant_option = d->declaration.ovmf_variant,
        .page_add_order_option = d->declaration.page_add_order,
        .kernel_header_option = d->declaration.kernel_header,
    };
}

static bool fill_firmware(struct cvm_declared *d, struct cvm_error *err)
{
    const struct cvm_measure_evidence evidence = cvm_declared_evidence(d);
    return cvm_machine_fill_firmware(&d->config, &evidence, &d->machine, &d->resolution,
                                     &d->warnings, err);
}

/* Where the layout that is declared is not the one of the firmware file, the caller decides. */
static bool resolve(struct cvm_declared *d, struct cvm_error *err)
{
    if (fill_firmware(d, err)) {
        return true;
    }
    if (!d->declaration.accept_contradiction || d->facts.bundle == NULL) {
        return false;
    }
    *err = (struct cvm_error){ 0 };
    d->trust_declared = true;
    return fill_firmware(d, err);
}

bool cvm_declared_open(const struct cvm_host *host, const struct cvm_declaration *declaration,
                       cvm_bundle_progress *progress, struct cvm_declared *out,
                       struct cvm_error *err)
{
    out->declaration = *declaration;
    return load(host, out, err) && cvm_machine_fill_platform(&out->config, &out->machine, err) &&
           (!out->has_bundle ||
            cvm_bundle_facts_open(&out->bundle, NULL, progress, &out->facts, err)) &&
           resolve(out, err);
}

void cvm_declared_free(struct cvm_declared *d)
{
    cvm_bundle_facts_free(&d->facts);
    cvm_bundle_free(&d->bundle);
    cvm_tdx_measurement_free(&d->carried);
    cvm_warnings_free(&d->warnings);
}

bool cvm_declared_hash_differs(const struct cvm_declared *d)
{
    return d->bundle_hash[0] != '\0' && d->config.os_image_hash != NULL &&
           strcasecmp(d->bundle_hash, d->config.os_image_hash) != 0;
}

bool cvm_declared_measure(struct cvm_declared *d, struct cvm_expectation *out,
                          struct cvm_error *err)
{
    if (!d->has_bundle) {
        return cvm_measure_compact(&d->machine, &d->carried.compact, out, err);
    }
    return cvm_bundle_facts_complete(&d->facts, &d->machine, err) &&
           cvm_bundle_facts_measure(&d->facts, &d->machine, out, err);
}
