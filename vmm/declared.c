#include "vmm/declared.h"

#include "measure/base/hex.h"
#include "vmm/launch_plan.h"
#include "vmm/measure_bundle.h"

static bool open_bundle(const struct cvm_host *host, struct cvm_declared *d, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (!cvm_bundle_path(host, d->declaration.image, &path, err) ||
        !cvm_bundle_open(path, &d->bundle, err)) {
        return false;
    }
    d->has_bundle = true;
    if (!d->bundle.has_hash) {
        cvm_warn(&d->warnings,
                 "image '%s' has no sha256sum.txt: its os_image_hash is unknown and its files "
                 "were not verified",
                 d->bundle.name);
        return true;
    }
    cvm_hex_encode(d->bundle.os_image_hash.bytes, sizeof d->bundle.os_image_hash.bytes,
                   d->bundle_hash);
    return true;
}

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
    if (d->declaration.image != NULL && !open_bundle(host, d, err)) {
        return false;
    }
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
        .variant_option = d->declaration.ovmf_variant,
        .page_add_order_option = d->declaration.page_add_order,
        .kernel_header_option = d->declaration.kernel_header,
    };
}

bool cvm_declared_open(const struct cvm_host *host, const struct cvm_declaration *declaration,
                       struct cvm_declared *out, struct cvm_error *err)
{
    out->declaration = *declaration;
    if (!load(host, out, err)) {
        return false;
    }
    const struct cvm_measure_evidence evidence = cvm_declared_evidence(out);
    return cvm_machine_fill_platform(&out->config, &out->machine, err) &&
           cvm_machine_fill_firmware(&out->config, &evidence, &out->machine, &out->resolution,
                                     &out->warnings, err);
}

void cvm_declared_free(struct cvm_declared *d)
{
    cvm_bundle_free(&d->bundle);
    cvm_tdx_measurement_free(&d->carried);
    cvm_warnings_free(&d->warnings);
}

bool cvm_declared_hash_differs(const struct cvm_declared *d)
{
    return d->bundle_hash[0] != '\0' && d->config.os_image_hash != NULL &&
           strcasecmp(d->bundle_hash, d->config.os_image_hash) != 0;
}

bool cvm_declared_measure(struct cvm_declared *d, cvm_bundle_progress *progress,
                          struct cvm_expectation *out, struct cvm_error *err)
{
    cvm_autocontents struct cvm_bundle_contents contents = { 0 };
    if (!d->has_bundle) {
        return cvm_measure_compact(&d->machine, &d->carried.compact, out, err);
    }
    if (!cvm_bundle_read_verified(&d->bundle,
                                  d->bundle.has_hash ? CVM_VERIFY_MEASURED : CVM_VERIFY_NOTHING,
                                  progress, &contents, err)) {
        return false;
    }
    return cvm_measure_image(&d->machine, &contents.image, out, err) ||
           cvm_context(err, "image '%s'", d->bundle.path);
}
