#include "vmm/launch_plan.h"

#include "measure/base/base64.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/include/cvm/layout.h"
#include "vmm/host_cpu.h"
#include "vmm/log.h"
#include "vmm/measure_bundle.h"

#include <stdio.h>

bool cvm_bundle_path(const struct cvm_host *host, const char *image, char **out,
                     struct cvm_error *err)
{
    bool is_path =
        strchr(image, '/') != NULL || strcmp(image, ".") == 0 || strcmp(image, "..") == 0;
    int n = is_path ? asprintf(out, "%s", image) : asprintf(out, "%s/%s", host->image_dir, image);
    if (n < 0) {
        *out = NULL;
        return cvm_fail_nomem(err, image, strlen(image));
    }
    return true;
}

static bool open_bundle(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (!cvm_bundle_path(plan->host, plan->request->image, &path, err) ||
        !cvm_bundle_open(path, &plan->bundle, err) || !cvm_bundle_launchable(&plan->bundle, err)) {
        return false;
    }
    if (!plan->bundle.has_hash) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "image '%s': no sha256sum.txt, so it has no identity to declare",
                        plan->bundle.path);
    }
    cvm_hex_encode(plan->bundle.os_image_hash.bytes, sizeof plan->bundle.os_image_hash.bytes,
                   plan->os_image_hash);
    return true;
}

static bool ask_emulator(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    static const struct cvm_qemu_version first_tdx = { 8, 0, 0 };
    struct cvm_qemu_version v;
    if (!cvm_emulator_version(plan->host->emulator, &v, err)) {
        return false;
    }
    snprintf(plan->qemu_version, sizeof plan->qemu_version, "%u.%u.%u", v.major, v.minor, v.micro);
    if (!plan->request->no_tee.value && cvm_qemu_version_compare(v, first_tdx) < 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "emulator '%s' is QEMU %s, which has no TDX; use a newer one, or say "
                        "\"no_tee\": true in the request to run the guest without",
                        plan->host->emulator, plan->qemu_version);
    }
    return true;
}

/* --- where on the host --- */

static struct cvm_placement_wish wish_of(const struct cvm_launch_plan *plan)
{
    return (struct cvm_placement_wish){
        .request = &plan->request->devices,
        .host = &plan->host->devices,
        .cpu_count = (uint32_t)plan->request->vcpu.value,
        .memory_size = plan->request->memory.value,
    };
}

static void log_placement(const struct cvm_placement *p)
{
    for (uint32_t i = 0; i < p->num_gpus; i++) {
        cvm_log("GPU %s, NUMA node %d", cvm_pci_address_text(p->gpus[i].address).text,
                p->gpus[i].numa_node);
    }
    for (uint32_t i = 0; i < p->num_nvswitches; i++) {
        cvm_log("NVSwitch %s", cvm_pci_address_text(p->nvswitches[i].address).text);
    }
}

/* Before anything is declared: nodes and rounding decide what is measured. */
static bool place(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const struct cvm_placement_wish wish = wish_of(plan);
    cvm_autoholdings struct cvm_holdings held = { 0 };
    if (plan->host->devices.gpu_stand_in != NULL && !plan->request->no_tee.value) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "the host configuration's 'gpu_stand_in' is for tests without TDX; say "
                        "\"no_tee\": true in the request");
    }
    if (!cvm_holdings_of_host(plan->host, &held, err) ||
        !cvm_placement_choose(&wish, &held, &plan->placement, &plan->warnings, err) ||
        !cvm_placement_declare(&plan->placement, &plan->placed, err)) {
        return false;
    }
    log_placement(&plan->placement);
    return true;
}

bool cvm_launch_plan_place_again(struct cvm_launch_plan *plan, const struct cvm_store *store,
                                 struct cvm_error *err)
{
    const struct cvm_placement_wish wish = wish_of(plan);
    cvm_autoholdings struct cvm_holdings held = { 0 };
    cvm_autowarnings struct cvm_warnings repeated = { 0 };
    struct cvm_placement now;
    if (!cvm_holdings_load(store, &held, err) ||
        !cvm_placement_choose(&wish, &held, &now, &repeated, err)) {
        return false;
    }
    if (!cvm_placement_same_machine(&now, &plan->placement)) {
        return cvm_fail(err, CVM_ERR_SYSTEM,
                        "another launch took devices that this one had chosen, and with those that "
                        "are left it would be another machine; launch it again");
    }
    plan->placement = now;
    log_placement(&now);
    return true;
}

/* --- attestation without the image --- */

/* Both documents in base64, as vm_config carries them. */
static bool build_tdx_measurement(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const struct cvm_bundle *b = &plan->bundle;
    cvm_autobuf struct cvm_buf checksums = { 0 };
    cvm_autobuf struct cvm_buf measurement = { 0 };
    cvm_put_base64(&checksums, cvm_buf_bytes(&b->checksums));
    cvm_put_base64(&measurement, cvm_buf_bytes(&b->measurement));
    cvm_put_u8(&checksums, '\0');
    cvm_put_u8(&measurement, '\0');
    if (!cvm_buf_finish(&checksums, "checksum_file", err) ||
        !cvm_buf_finish(&measurement, "measurement", err)) {
        return false;
    }
    cvm_autobuilder struct cvm_json_builder json = { 0 };
    cvm_json_begin_object(&json, NULL);
    cvm_json_put_string(&json, "checksum_file", (const char *)checksums.data);
    cvm_json_put_string(&json, "measurement", (const char *)measurement.data);
    cvm_json_end(&json);
    return cvm_json_take(&json, &plan->tdx_measurement, err);
}

/* legacy or lite: what the request says, else the host, whose "auto" takes lite where it can. */
static bool choose_attestation(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const struct cvm_request *r = plan->request;
    const char *wanted =
        r->attestation_variant != NULL ? r->attestation_variant : plan->host->attestation_variant;
    bool has_measurement = plan->bundle.measurement.len != 0;
    bool possible = has_measurement && cvm_compact_fits_memory(plan->placement.memory_size);
    if (has_measurement && !build_tdx_measurement(plan, err)) {
        return false;
    }
    plan->config.tdx_measurement = plan->tdx_measurement;
    if (strcmp(wanted, "auto") == 0) {
        wanted = possible ? "lite" : "legacy";
    }
    if (strcmp(wanted, "legacy") != 0 && strcmp(wanted, "lite") != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "attestation_variant '%.32s' is none of 'auto', 'legacy', 'lite'", wanted);
    }
    if (strcmp(wanted, "lite") == 0 && !possible) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "attestation_variant 'lite' needs %s",
                        has_measurement ? "exactly 2 GiB or at least 2816 MiB of memory"
                                        : "an image with measurement.tdx.cbor");
    }
    plan->config.tdx_attestation_variant = wanted;
    return true;
}

/* --- the declaration --- */

static struct cvm_opt_bool either_bool(struct cvm_opt_bool first, struct cvm_opt_bool second)
{
    return first.set ? first : second;
}

static struct cvm_opt_u64 either_u64(struct cvm_opt_u64 first, struct cvm_opt_u64 second)
{
    return first.set ? first : second;
}

static struct cvm_opt_u64 some(uint64_t value)
{
    return (struct cvm_opt_u64){ true, value };
}

static bool declare(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const struct cvm_request *r = plan->request;
    const struct cvm_qemu_overrides *mine = &r->overrides;
    const struct cvm_qemu_overrides *hosts = &plan->host->qemu;
    plan->config = (struct cvm_vm_config){
        .os_image_hash = plan->os_image_hash,
        .image = plan->bundle.name,
        .cpu_count = some(plan->placement.cpu_count),
        .memory_size = some(plan->placement.memory_size),
        .qemu_version = plan->qemu_version,
        .host_share_mode =
            mine->host_share_mode != NULL ? mine->host_share_mode : hosts->host_share_mode,
        .pci_hole64_size = either_u64(mine->pci_hole64_size, hosts->pci_hole64_size),
        .hugepages = r->devices.hugepages,
        .hotplug_off = either_bool(mine->hotplug_off, hosts->hotplug_off),
        .swtpm = r->swtpm,
        .num_gpus = some(plan->placement.num_gpus),
        .num_nvswitches = some(plan->placement.num_nvswitches),
        .numa_nodes = plan->placed.numa_nodes,
        .gpu_bars = plan->placed.gpu_bars,
        .nvswitch_bars = plan->placed.nvswitch_bars,
        .num_nics = some(r->num_networks),
        .num_verity_volumes = some(r->num_volumes),
        .pic = either_bool(mine->pic, hosts->pic),
        .smm = either_bool(mine->smm, hosts->smm),
        .qemu_single_pass_add_pages =
            either_bool(mine->qemu_single_pass_add_pages, hosts->qemu_single_pass_add_pages),
        .rootfs_device = cvm_bundle_rootfs_device(&plan->bundle),
        .kernel_header = r->kernel_header,
        .pciexbar_base = either_u64(mine->pciexbar_base, hosts->pciexbar_base),
        .pci_window64_base = either_u64(mine->pci_window64_base, hosts->pci_window64_base),
        .smbios = cvm_smbios_either(&r->smbios, &plan->host->smbios),
        .cpu_signature = either_u64(mine->cpu_signature, hosts->cpu_signature),
        .cpu_features_edx = either_u64(mine->cpu_features_edx, hosts->cpu_features_edx),
        /* Only TDX trees of QEMU declare edges, and they do so for TDs alone. */
        .interrupt_trigger = r->no_tee.value ? "level" : NULL,
    };
    return choose_attestation(plan, err);
}

/* Firmware that measures SMBIOS depends on the CPU, which is the host's but under emulation. */
static void complete_cpu(struct cvm_launch_plan *plan)
{
    const struct cvm_layout *layout = plan->machine.layout;
    bool emulated = plan->request->no_tee.value && strcmp(plan->host->accelerator, "kvm") != 0;
    bool measured = false;
    uint32_t eax;
    uint32_t edx;
    for (uint32_t i = 0; i < layout->num_events; i++) {
        measured |= layout->events[i] == CVM_LAYOUT_SMBIOS;
    }
    if (measured && !emulated && cvm_host_cpu_read(&eax, &edx)) {
        cvm_host_cpu_fill(eax, edx, !plan->request->no_tee.value, &plan->machine, &plan->warnings);
    }
}

static bool fill(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const struct cvm_measure_evidence evidence = {
        .bundle = &plan->bundle,
        .no_tee = plan->request->no_tee.value,
        .firmware = &plan->firmware,
        .variant_option = plan->request->ovmf_variant,
    };
    if (!cvm_machine_fill_platform(&plan->config, &plan->machine, err) ||
        !cvm_bundle_inspect(&plan->bundle, &plan->firmware, err) ||
        !cvm_machine_fill_firmware(&plan->config, &evidence, &plan->machine, &plan->resolution,
                                   &plan->warnings, err)) {
        return false;
    }
    complete_cpu(plan);
    plan->resolution.qemu_version_source = "emulator";
    cvm_placement_warn(&plan->placement, &plan->machine, &plan->warnings);
    plan->config.ovmf_variant = plan->resolution.variant.layout->name;
    return true;
}

static bool write_vm_config(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_vm_config_put(&plan->machine, &plan->config, &b);
    cvm_json_end(&b);
    return cvm_json_take(&b, &plan->vm_config, err);
}

/* Reads the vm_config back as a verifier does: it must describe the machine that is launched. */
static bool check_declared(const struct cvm_launch_plan *plan, struct cvm_error *err)
{
    struct cvm_vm_config read = { 0 };
    struct cvm_machine declared;
    struct cvm_resolution ignored;
    cvm_autowarnings struct cvm_warnings repeated = { 0 };
    CVM_CLEANUP(cvm_tdx_measurement_free)
    struct cvm_tdx_measurement m = { 0 };
    if (!cvm_vm_config_decode_strict(plan->vm_config, &read, err) ||
        !cvm_machine_fill_platform(&read, &declared, err) ||
        (read.tdx_measurement != NULL && !cvm_tdx_measurement_decode(&read, &m, err))) {
        return false;
    }
    const struct cvm_measure_evidence evidence = {
        .bundle = &plan->bundle,
        .compact = read.tdx_measurement == NULL ? NULL : &m.compact,
        .declared = true,
        .no_tee = plan->request->no_tee.value,
        .firmware = &plan->firmware,
    };
    if (!cvm_machine_fill_firmware(&read, &evidence, &declared, &ignored, &repeated, err)) {
        return false;
    }
    return cvm_machine_equal(&declared, &plan->machine)
               ? true
               : cvm_fail(
                     err, CVM_ERR_UNSUPPORTED,
                     "the vm_config does not describe the machine that would be launched; this "
                     "machine cannot be declared");
}

bool cvm_launch_plan_resolve(const struct cvm_request *request, const struct cvm_host *host,
                             struct cvm_launch_plan *out, struct cvm_error *err)
{
    out->request = request;
    out->host = host;
    if (!open_bundle(out, err) || !ask_emulator(out, err) || !place(out, err) ||
        !declare(out, err) || !fill(out, err) || !write_vm_config(out, err)) {
        return false;
    }
    return check_declared(out, err) || cvm_context(err, "vm_config");
}

/* --- the expectation --- */

/* A compact measurement that says something else than the image's files would mislead verifiers. */
static bool check_compact(const struct cvm_launch_plan *plan, const struct cvm_image *image,
                          struct cvm_error *err)
{
    struct cvm_compact actual;
    cvm_autofree uint8_t *cbor = NULL;
    size_t size = 0;
    const struct cvm_buf *declared = &plan->bundle.measurement;
    enum cvm_kernel_header header = plan->bundle.metadata.kernel_header_normalized.value
                                        ? CVM_KERNEL_AS_IS
                                        : CVM_KERNEL_REWRITTEN;
    if (declared->len == 0) {
        return true;
    }
    if (!cvm_compact_from_image(image, plan->machine.layout, header, &actual, err) ||
        !cvm_compact_build(&actual, &cbor, &size, err)) {
        return false;
    }
    return size == declared->len && memcmp(cbor, declared->data, size) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "image '%s': measurement.tdx.cbor is not the measurement of its files",
                          plan->bundle.path);
}

bool cvm_launch_plan_measure(struct cvm_launch_plan *plan, cvm_bundle_progress *progress,
                             struct cvm_error *err)
{
    cvm_autocontents struct cvm_bundle_contents contents = { 0 };
    cvm_log("verifying and measuring image '%s'", plan->bundle.path);
    if (!cvm_bundle_read_verified(&plan->bundle, CVM_VERIFY_ALL, progress, &contents, err)) {
        return false;
    }
    contents.image.inspected = &plan->firmware;
    if (!check_compact(plan, &contents.image, err)) {
        return false;
    }
    if (!cvm_measure_image(&plan->machine, &contents.image, &plan->expectation, err)) {
        return cvm_context(err, "image '%s'", plan->bundle.path);
    }
    cvm_report_warn(&plan->expectation, &plan->machine, &plan->warnings);
    return true;
}

struct cvm_report cvm_launch_plan_report(const struct cvm_launch_plan *plan)
{
    return (struct cvm_report){
        .machine = &plan->machine,
        .resolution = &plan->resolution,
        .firmware = &plan->firmware,
        .expectation = &plan->expectation,
        .os_image_hash = plan->os_image_hash,
        .vm_config = plan->vm_config,
        .warnings = &plan->warnings,
    };
}

void cvm_launch_plan_free(struct cvm_launch_plan *plan)
{
    cvm_bundle_free(&plan->bundle);
    cvm_json_free(plan->tdx_measurement);
    cvm_placement_arrays_free(&plan->placed);
    cvm_json_free(plan->vm_config);
    cvm_warnings_free(&plan->warnings);
    plan->tdx_measurement = NULL;
    plan->vm_config = NULL;
}
