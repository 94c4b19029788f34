#include "vmm/measure_base.h"

#include "measure/base/hex.h"
#include "vmm/launch_plan.h"

#include <stdio.h>

void cvm_measure_base_free(struct cvm_measure_base *base)
{
    cvm_bundle_free(&base->bundle);
    cvm_json_free(base->document);
    cvm_tdx_measurement_free(&base->carried);
    cvm_warnings_free(&base->warnings);
}

/* The version: an option, the vm_config, or the emulator that was named. Never a guess. */
static bool find_qemu_version(struct cvm_measure_base *base, const char *emulator,
                              struct cvm_error *err)
{
    struct cvm_qemu_version v;
    base->qemu_version_source = base->request->config.qemu_version != NULL ? "option" : "vm_config";
    if (base->config.qemu_version != NULL || emulator == NULL) {
        return true;
    }
    if (!cvm_emulator_version(emulator, &v, err)) {
        return false;
    }
    snprintf(base->emulator_version, sizeof base->emulator_version, "%u.%u.%u", v.major, v.minor,
             v.micro);
    base->config.qemu_version = base->emulator_version;
    base->qemu_version_source = "emulator";
    return true;
}

bool cvm_measured_bundle_open(const struct cvm_host *host, const char *image,
                              struct cvm_bundle *out, char hash[65], struct cvm_warnings *warnings,
                              struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (!cvm_bundle_path(host, image, &path, err) || !cvm_bundle_open(path, out, err)) {
        return false;
    }
    hash[0] = '\0';
    if (out->has_hash) {
        cvm_hex_encode(out->os_image_hash.bytes, sizeof out->os_image_hash.bytes, hash);
    } else {
        cvm_warn(warnings,
                 "image '%s' has no sha256sum.txt: its os_image_hash is unknown and its files "
                 "were not verified",
                 out->name);
    }
    return true;
}

static bool open_bundle(struct cvm_measure_base *base, const struct cvm_host *host,
                        struct cvm_error *err)
{
    if (!cvm_measured_bundle_open(host, base->request->image, &base->bundle, base->os_image_hash,
                                  &base->warnings, err)) {
        return false;
    }
    base->has_bundle = true;
    const char *declared = base->config.os_image_hash;
    if (base->bundle.has_hash && declared != NULL && strcmp(declared, base->os_image_hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "the vm_config declares os_image_hash %s, image '%s' has %s", declared,
                        base->bundle.name, base->os_image_hash);
    }
    return true;
}

/* What a bundle says where the declaration is silent. */
static void complete_from_bundle(struct cvm_measure_base *base)
{
    if (base->config.rootfs_device == NULL && base->document == NULL) {
        base->config.rootfs_device = cvm_bundle_rootfs_device(&base->bundle);
    }
    if (base->config.image == NULL) {
        base->config.image = base->bundle.name;
    }
    if (base->config.os_image_hash == NULL && base->bundle.has_hash) {
        base->config.os_image_hash = base->os_image_hash;
    }
}

bool cvm_measure_base_load(const struct cvm_measure_request *request, const struct cvm_host *host,
                           const char *emulator, struct cvm_measure_base *out,
                           struct cvm_error *err)
{
    out->request = request;
    if (request->vm_config != NULL) {
        if (!cvm_json_load(request->vm_config, &out->document, err)) {
            return false;
        }
        if (!cvm_vm_config_decode(out->document, &out->config, err)) {
            return cvm_context(err, "vm_config '%s'", request->vm_config);
        }
    }
    cvm_vm_config_overlay(&request->config, &out->config);
    if (request->image != NULL && !open_bundle(out, host, err)) {
        return false;
    }
    if (out->has_bundle) {
        complete_from_bundle(out);
    }
    if (out->config.tdx_measurement != NULL &&
        !cvm_tdx_measurement_decode(&out->config, &out->carried, err)) {
        return cvm_context(err, "vm_config '%s'", request->vm_config);
    }
    if (!out->has_bundle && out->config.tdx_measurement == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "nothing to measure: give --image, or a --vm-config that carries "
                        "tdx_measurement");
    }
    return find_qemu_version(out, emulator, err);
}

bool cvm_measure_base_fill(const struct cvm_measure_base *base, const struct cvm_vm_config *config,
                           struct cvm_machine *machine, struct cvm_resolution *resolution,
                           struct cvm_warnings *warnings, struct cvm_error *err)
{
    const struct cvm_measure_evidence evidence = {
        .bundle = base->has_bundle ? &base->bundle : NULL,
        .compact = config->tdx_measurement != NULL ? &base->carried.compact : NULL,
        .declared = true,
        .trust_declared = base->request->trust_declared,
        .firmware = base->firmware,
        .variant_option = base->request->ovmf_variant,
        .page_add_order_option = base->request->page_add_order,
        .kernel_header_option = base->request->kernel_header,
        .kernel_measures_option = base->request->kernel_measures,
    };
    resolution->qemu_version_source = base->qemu_version_source;
    return cvm_machine_fill_platform(config, machine, err) &&
           cvm_machine_fill_firmware(config, &evidence, machine, resolution, warnings, err);
}
