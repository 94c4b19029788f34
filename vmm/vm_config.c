#include "vmm/vm_config.h"

#include "measure/base/base64.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "vmm/checksums.h"
#include "vmm/machine.h"
#include "vmm/machine_json.h"

#include <stdio.h>

#define FIELD(f) offsetof(struct cvm_vm_config, f)
#define GIB (UINT64_C(1) << 30)
#define MAX_MEMORY (UINT64_C(1) << 52)
/* clang-format off */
static const struct cvm_json_field vm_config_fields[] = {
    { "spec_version",               CVM_JSON_NUMBER, FIELD(spec_version), .min = 1, .max = 1 },
    { "os_image_hash",              CVM_JSON_STRING, FIELD(os_image_hash), .max = 64 },
    { "cpu_count",                  CVM_JSON_NUMBER, FIELD(cpu_count), .min = 1, .max = UINT32_MAX },
    { "memory_size",                CVM_JSON_SIZE,   FIELD(memory_size), .min = 1, .max = MAX_MEMORY },
    { "qemu_version",               CVM_JSON_STRING, FIELD(qemu_version), .max = 128 },
    { "image",                      CVM_JSON_STRING, FIELD(image), .max = 255 },
    { "host_share_mode",            CVM_JSON_STRING, FIELD(host_share_mode), .max = 16 },
    { "pci_hole64_size",            CVM_JSON_SIZE,   FIELD(pci_hole64_size), .max = MAX_MEMORY },
    { "hugepages",                  CVM_JSON_BOOL,   FIELD(hugepages) },
    { "hotplug_off",                CVM_JSON_BOOL,   FIELD(hotplug_off) },
    { "num_gpus",                   CVM_JSON_NUMBER, FIELD(num_gpus), .max = 255 },
    { "num_nvswitches",             CVM_JSON_NUMBER, FIELD(num_nvswitches), .max = 255 },
    { "ovmf_variant",               CVM_JSON_STRING, FIELD(ovmf_variant), .max = 64 },
    { "num_nics",                   CVM_JSON_NUMBER, FIELD(num_nics), .max = 255 },
    { "num_verity_volumes",         CVM_JSON_NUMBER, FIELD(num_verity_volumes), .max = 255 },
    { "swtpm",                      CVM_JSON_BOOL,   FIELD(swtpm) },
    { "pic",                        CVM_JSON_BOOL,   FIELD(pic) },
    { "qemu_single_pass_add_pages", CVM_JSON_BOOL,   FIELD(qemu_single_pass_add_pages) },
    { "tdx_attestation_variant",    CVM_JSON_STRING, FIELD(tdx_attestation_variant), .max = 16 },
    { "tdx_measurement",            CVM_JSON_OBJECT, FIELD(tdx_measurement) },
    { "interrupt_trigger",          CVM_JSON_STRING, FIELD(interrupt_trigger), .max = 16 },
    { "smm",                        CVM_JSON_BOOL,   FIELD(smm) },
    { "rootfs_device",              CVM_JSON_STRING, FIELD(rootfs_device), .max = 16 },
    { "numa_nodes",                 CVM_JSON_ARRAY,  FIELD(numa_nodes), .max = CVM_MAX_NUMA_NODES },
    { "gpu_bars",                   CVM_JSON_ARRAY,  FIELD(gpu_bars), .max = CVM_MAX_BARS },
    { "nvswitch_bars",              CVM_JSON_ARRAY,  FIELD(nvswitch_bars), .max = CVM_MAX_BARS },
    { "kernel_header",              CVM_JSON_STRING, FIELD(kernel_header), .max = 16 },
    { "cpu_signature",              CVM_JSON_NUMBER, FIELD(cpu_signature), .max = UINT32_MAX },
    { "cpu_features_edx",           CVM_JSON_NUMBER, FIELD(cpu_features_edx), .max = UINT32_MAX },
    { "pciexbar_base",              CVM_JSON_NUMBER, FIELD(pciexbar_base), .max = MAX_MEMORY },
    { "pci_window64_base",          CVM_JSON_NUMBER, FIELD(pci_window64_base), .max = MAX_MEMORY },
    { "smbios",                     CVM_JSON_OBJECT, FIELD(smbios_object) },
    { "boot_menu_wait",             CVM_JSON_NUMBER, FIELD(boot_menu_wait), .max = UINT16_MAX },
    { "reserved_memory_end",        CVM_JSON_NUMBER, FIELD(reserved_memory_end), .max = MAX_MEMORY },
    { "pci_mmio64_mb",              CVM_JSON_NUMBER, FIELD(pci_mmio64_mb), .max = UINT32_MAX },
    { 0 },
};
/* clang-format on */

/* Within `smbios` an unknown key is an error for all: it would be a measured string we miss. */
static bool decode(const struct json_object *object, enum cvm_json_unknown unknown,
                   struct cvm_vm_config *out, struct cvm_error *err)
{
    return cvm_json_decode(object, vm_config_fields, unknown, out, err) &&
           cvm_smbios_decode(out->smbios_object, &out->smbios, err);
}

bool cvm_vm_config_decode(const struct json_object *object, struct cvm_vm_config *out,
                          struct cvm_error *err)
{
    return decode(object, CVM_JSON_IGNORE_UNKNOWN, out, err);
}

bool cvm_vm_config_decode_strict(const struct json_object *object, struct cvm_vm_config *out,
                                 struct cvm_error *err)
{
    return decode(object, CVM_JSON_REJECT_UNKNOWN, out, err);
}

const struct cvm_json_field *cvm_vm_config_fields(void)
{
    return vm_config_fields;
}

void cvm_vm_config_overlay(const struct cvm_vm_config *said, struct cvm_vm_config *config)
{
    for (const struct cvm_json_field *f = vm_config_fields; f->key != NULL; f++) {
        const void *from = (const char *)said + f->offset;
        if (cvm_json_is_set(f->kind, from)) {
            memcpy((char *)config + f->offset, from, cvm_json_value_size(f->kind));
        }
    }
}

/* --- tdx_measurement --- */

struct measurement_text {
    const char *checksum_file;
    const char *measurement;
};

static const struct cvm_json_field measurement_fields[] = {
    { "checksum_file", CVM_JSON_STRING, offsetof(struct measurement_text, checksum_file),
      .required = true },
    { "measurement", CVM_JSON_STRING, offsetof(struct measurement_text, measurement),
      .required = true },
    { 0 },
};

static bool decode_base64(const char *key, const char *text, struct cvm_buf *out,
                          struct cvm_error *err)
{
    return cvm_base64_decode(text, strlen(text), out, err) || cvm_context(err, "key '%s'", key);
}

static bool check_identity(const char *os_image_hash, const struct cvm_buf *checksum_file,
                           struct cvm_error *err)
{
    struct cvm_sha256 declared;
    struct cvm_sha256 actual;
    if (os_image_hash == NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'os_image_hash' is missing");
    }
    if (!cvm_hex_decode(os_image_hash, strlen(os_image_hash), declared.bytes, sizeof declared.bytes,
                        err)) {
        return cvm_context(err, "key 'os_image_hash'");
    }
    if (!cvm_sha256(checksum_file->data, checksum_file->len, &actual, err)) {
        return false;
    }
    return memcmp(&declared, &actual, sizeof actual) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "os_image_hash is not the SHA-256 of checksum_file");
}

static bool check_listed(const struct cvm_tdx_measurement *m, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    struct cvm_sha256 digest;
    struct cvm_bytes text = { m->checksum_file.data, m->checksum_file.len };
    if (!cvm_checksums_parse(text, &list, err) ||
        !cvm_sha256(m->measurement.data, m->measurement.len, &digest, err)) {
        return false;
    }
    const struct cvm_checksum *listed = cvm_checksums_find(&list, "measurement.tdx.cbor");
    return listed != NULL && memcmp(&listed->digest, &digest, sizeof digest) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "checksum_file does not list this measurement as measurement.tdx.cbor");
}

bool cvm_tdx_measurement_decode(const struct cvm_vm_config *config, struct cvm_tdx_measurement *out,
                                struct cvm_error *err)
{
    struct measurement_text text = { 0 };
    if (!cvm_json_decode(config->tdx_measurement, measurement_fields, CVM_JSON_IGNORE_UNKNOWN,
                         &text, err) ||
        !decode_base64("checksum_file", text.checksum_file, &out->checksum_file, err) ||
        !decode_base64("measurement", text.measurement, &out->measurement, err) ||
        !check_identity(config->os_image_hash, &out->checksum_file, err) ||
        !check_listed(out, err) ||
        !cvm_compact_parse(cvm_buf_bytes(&out->measurement), &out->compact, err)) {
        return cvm_context(err, "tdx_measurement");
    }
    return true;
}

void cvm_tdx_measurement_free(struct cvm_tdx_measurement *m)
{
    cvm_buf_free(&m->checksum_file);
    cvm_buf_free(&m->measurement);
}

/* --- writing --- */

/* The fields that are written where they differ from what their absence means. */
static void put_exceptions(const struct cvm_machine *m, const struct cvm_vm_config *config,
                           struct cvm_json_builder *b)
{
    const struct {
        const char *key;
        uint64_t value;
        uint64_t absent;
    } counts[] = {
        { "num_nics", cvm_machine_count(m, CVM_DEVICE_NIC), 1 },
        { "num_verity_volumes", cvm_machine_count(m, CVM_DEVICE_VOLUME), 0 },
        { "pciexbar_base", m->pciexbar_base, CVM_PCIEXBAR_BASE },
        { "pci_window64_base", m->pci_window64_base, CVM_PCI_WINDOW64_BASE },
        { "boot_menu_wait", m->boot_menu_wait, 0 },
        { "reserved_memory_end", m->reserved_memory_end, 0 },
        { "pci_mmio64_mb", m->pci_mmio64_mb, 0 },
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i].value != counts[i].absent) {
            cvm_json_put_u64(b, counts[i].key, counts[i].value);
        }
    }
    if (m->tpm) {
        cvm_json_put_bool(b, "swtpm", true);
    }
    if (config->pic.set || m->pic != cvm_qemu_default_pic(m->qemu)) {
        cvm_json_put_bool(b, "pic", m->pic);
    }
    if (m->smm) {
        cvm_json_put_bool(b, "smm", true);
    }
    if (m->interrupt_trigger != cvm_qemu_default_trigger(m->qemu)) {
        cvm_json_put_string(b, "interrupt_trigger", cvm_trigger_word(m->interrupt_trigger));
    }
    if (config->rootfs_device != NULL && strcmp(config->rootfs_device, "virtio-blk") != 0) {
        cvm_json_put_string(b, "rootfs_device", config->rootfs_device);
    }
    if (m->cpu_signature.set) {
        cvm_json_put_u64(b, "cpu_signature", m->cpu_signature.value);
    }
    if (m->cpu_features_edx.set) {
        cvm_json_put_u64(b, "cpu_features_edx", m->cpu_features_edx.value);
    }
    if (config->kernel_header != NULL) {
        cvm_json_put_string(b, "kernel_header", cvm_kernel_header_word(m->kernel_header));
    }
    if (!cvm_machine_has_implied_nodes(m, config->hugepages.value)) {
        cvm_machine_put_nodes(m, b);
    }
    cvm_smbios_put(&m->smbios, b);
    cvm_machine_put_bars("gpu_bars", &m->gpu_bars, b);
    cvm_machine_put_bars("nvswitch_bars", &m->nvswitch_bars, b);
}

static void put_attestation(const struct cvm_vm_config *config, struct cvm_json_builder *b)
{
    if (config->tdx_attestation_variant != NULL &&
        strcmp(config->tdx_attestation_variant, "legacy") != 0) {
        cvm_json_put_string(b, "tdx_attestation_variant", config->tdx_attestation_variant);
    }
    if (config->tdx_measurement != NULL) {
        cvm_json_put_any(b, "tdx_measurement", config->tdx_measurement);
    }
}

void cvm_vm_config_put(const struct cvm_machine *machine, const struct cvm_vm_config *config,
                       struct cvm_json_builder *b)
{
    char version[32];
    snprintf(version, sizeof version, "%u.%u.%u", machine->qemu.major, machine->qemu.minor,
             machine->qemu.micro);
    cvm_json_put_u64(b, "spec_version", 1);
    cvm_json_put_string(b, "os_image_hash", config->os_image_hash);
    cvm_json_put_u64(b, "cpu_count", machine->cpu_count);
    cvm_json_put_u64(b, "memory_size", machine->memory_size);
    cvm_json_put_string(b, "qemu_version", version);
    cvm_json_put_string(b, "image", config->image);
    cvm_json_put_string(b, "host_share_mode",
                        config->host_share_mode == NULL ? "9p" : config->host_share_mode);
    cvm_json_put_u64(b, "pci_hole64_size", machine->pci_hole64_size);
    cvm_json_put_bool(b, "hugepages", config->hugepages.value);
    cvm_json_put_bool(b, "hotplug_off", machine->hotplug_off);
    cvm_json_put_u64(b, "num_gpus", cvm_machine_num_gpus(machine));
    cvm_json_put_u64(b, "num_nvswitches", cvm_machine_count(machine, CVM_DEVICE_NVSWITCH_PORT));
    cvm_json_put_string(b, "ovmf_variant",
                        config->ovmf_variant != NULL ? config->ovmf_variant
                                                     : machine->layout->name);
    if (config->qemu_single_pass_add_pages.set) {
        cvm_json_put_bool(b, "qemu_single_pass_add_pages",
                          machine->page_add_order == CVM_PAGES_TWO_PASS);
    }
    put_exceptions(machine, config, b);
    put_attestation(config, b);
}
