/*
 * vm_config: the JSON object that declares a guest to verifiers and key servers.
 *
 * The same keys describe a machine to `cvm acpi`; the launch side fills the struct from a
 * request, the command line from options. vmm/machine.c alone turns it into a struct
 * cvm_machine, and a vm_config is written from that machine.
 *
 * Source: docs/vm-config.md.
 */
#ifndef CVM_VMM_VM_CONFIG_H
#define CVM_VMM_VM_CONFIG_H

#include "measure/include/cvm/compact.h"
#include "vmm/smbios.h"

/* What somebody says of a machine. Absent values are resolved by vmm/machine.c. */
struct cvm_vm_config {
    struct cvm_opt_u64 spec_version;
    const char *os_image_hash;
    const char *image;

    struct cvm_opt_u64 cpu_count;
    struct cvm_opt_u64 memory_size; /* bytes */
    const char *qemu_version;
    const char *host_share_mode; /* 9p, vvfat, vhd */
    struct cvm_opt_u64 pci_hole64_size;
    struct cvm_opt_bool hugepages, hotplug_off, swtpm;
    struct cvm_opt_u64 num_gpus, num_nvswitches, num_nics, num_verity_volumes;
    const char *ovmf_variant;
    struct cvm_opt_bool pic;
    struct cvm_opt_bool qemu_single_pass_add_pages; /* true means two passes: see the docs */
    const char *tdx_attestation_variant;            /* legacy, lite */
    struct json_object *tdx_measurement;

    /* extensions */
    const char *interrupt_trigger; /* edge, level */
    struct cvm_opt_bool smm;
    const char *rootfs_device; /* virtio-blk, cdrom, none */
    struct json_object *numa_nodes;
    struct json_object *gpu_bars, *nvswitch_bars;
    const char *kernel_header; /* rewritten, as-is */
    struct cvm_opt_u64 cpu_signature, cpu_features_edx;
    struct cvm_opt_u64 pciexbar_base, pci_window64_base;
    struct json_object *smbios_object;
    struct cvm_smbios_text smbios;
    struct cvm_opt_u64 boot_menu_wait, reserved_memory_end, pci_mmio64_mb; /* fw_cfg items */
};

/*
 * Decodes a vm_config; unknown keys are ignored, as deployed readers do.
 *
 * @param object  borrowed: out's strings live as long as it does.
 * @return false with CVM_ERR_MALFORMED naming key, value and limit.
 */
CVM_MUST_CHECK bool cvm_vm_config_decode(const struct json_object *object,
                                         struct cvm_vm_config *out, struct cvm_error *err);

/* As above, for documents of our own: an unknown key is an error with the nearest known one. */
CVM_MUST_CHECK bool cvm_vm_config_decode_strict(const struct json_object *object,
                                                struct cvm_vm_config *out, struct cvm_error *err);

/* The rows of all keys, in the order of docs/vm-config.md; the last has a NULL key. */
const struct cvm_json_field *cvm_vm_config_fields(void);

/* Copies what `said` says over what `config` says, key by key. */
void cvm_vm_config_overlay(const struct cvm_vm_config *said, struct cvm_vm_config *config);

/* What a vm_config carries of an image's compact measurement. */
struct cvm_tdx_measurement {
    struct cvm_buf checksum_file; /* sha256sum.txt */
    struct cvm_buf measurement;   /* measurement.tdx.cbor */
    struct cvm_compact compact;   /* the latter, parsed */
};

/*
 * Decodes tdx_measurement: the checksum file must have os_image_hash as its SHA-256 and list
 * the measurement's digest, so that both are what the image's identity covers.
 *
 * @return false with CVM_ERR_MALFORMED or CVM_ERR_MISMATCH saying which link is broken.
 */
CVM_MUST_CHECK bool cvm_tdx_measurement_decode(const struct cvm_vm_config *config,
                                               struct cvm_tdx_measurement *out,
                                               struct cvm_error *err);
void cvm_tdx_measurement_free(struct cvm_tdx_measurement *m);

/*
 * Adds all keys to the open object of b: machine facts from the machine, the rest from config.
 * config->ovmf_variant is the resolved one, since a layout may have no name; NULL: the layout's.
 */
void cvm_vm_config_put(const struct cvm_machine *machine, const struct cvm_vm_config *config,
                       struct cvm_json_builder *b);

#endif
