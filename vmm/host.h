/*
 * The host: its configuration file, and what can be found out about it.
 *
 * Places come from, in this order: an option, a CVM_* variable, the configuration, a default.
 *
 * Source: docs/host-config.md lists every key.
 */
#ifndef CVM_VMM_HOST_H
#define CVM_VMM_HOST_H

#include "vmm/device_request.h"
#include "vmm/emulator.h"
#include "vmm/smbios.h"

#define CVM_HOST_CONFIG "/etc/cvm/host.json"

/* Values for the guests' QEMU where a request says nothing. */
struct cvm_qemu_overrides {
    struct cvm_opt_bool pic, smm, hotplug_off;
    struct cvm_opt_bool qemu_single_pass_add_pages; /* wire meaning: true means two passes */
    struct cvm_opt_u64 pci_hole64_size, pciexbar_base, pci_window64_base;
    struct cvm_opt_u64 cpu_signature, cpu_features_edx; /* instead of what the host's CPU says */
    const char *host_share_mode;
};

/* Keys of both the host's "qemu" object and a request's "overrides"; ends with a NULL key. */
#define CVM_QEMU_OVERRIDE_FIELDS(base)                                                             \
    { "pic", CVM_JSON_BOOL, (base) + offsetof(struct cvm_qemu_overrides, pic) },                   \
        { "smm", CVM_JSON_BOOL, (base) + offsetof(struct cvm_qemu_overrides, smm) },               \
        { "hotplug_off", CVM_JSON_BOOL,                                                            \
          (base) + offsetof(struct cvm_qemu_overrides, hotplug_off) },                             \
        { "qemu_single_pass_add_pages", CVM_JSON_BOOL,                                             \
          (base) + offsetof(struct cvm_qemu_overrides, qemu_single_pass_add_pages) },              \
        { "pci_hole64_size", CVM_JSON_SIZE,                                                        \
          (base) + offsetof(struct cvm_qemu_overrides, pci_hole64_size) },                         \
        { "pciexbar_base", CVM_JSON_NUMBER,                                                        \
          (base) + offsetof(struct cvm_qemu_overrides, pciexbar_base) },                           \
        { "pci_window64_base", CVM_JSON_NUMBER,                                                    \
          (base) + offsetof(struct cvm_qemu_overrides, pci_window64_base) },                       \
        { "cpu_signature", CVM_JSON_NUMBER,                                                        \
          (base) + offsetof(struct cvm_qemu_overrides, cpu_signature), .max = UINT32_MAX },        \
        { "cpu_features_edx", CVM_JSON_NUMBER,                                                     \
          (base) + offsetof(struct cvm_qemu_overrides, cpu_features_edx), .max = UINT32_MAX },     \
    {                                                                                              \
        "host_share_mode", CVM_JSON_STRING,                                                        \
            (base) + offsetof(struct cvm_qemu_overrides, host_share_mode), .max = 16               \
    }

struct cvm_host {
    struct json_object *document; /* owned; strings borrow from it or live for ever */
    const char *libvirt_uri;
    const char *emulator;
    const char *accelerator; /* kvm, tcg: for guests without TDX */
    const char *image_dir;
    const char *state_dir;
    struct json_object *kms_urls, *gateway_urls; /* arrays of strings; NULL where absent */
    const char *pccs_url;
    const char *docker_registry;
    struct cvm_opt_u64 host_api_port;
    struct cvm_opt_u64 cid_first, cid_count;
    const char *qgs_socket;
    const char *attestation_variant; /* auto, legacy, lite */
    struct cvm_opt_u64 guest_address_bits;
    const char *acpi_check;  /* off, warn, require */
    const char *run_as;      /* "+0:+0": user and group of QEMU; NULL: libvirt's choice */
    const char *signing_key; /* launches are signed with it; a file or a pkcs11: URI; NULL: not */
    const char *signing_passphrase_file; /* its passphrase or PIN; NULL */
    struct cvm_host_devices devices;
    struct json_object *qemu_object;
    struct cvm_qemu_overrides qemu;
    struct json_object *smbios_object;
    struct cvm_smbios_text smbios; /* of guests whose request says nothing */
};

#define cvm_autohost CVM_CLEANUP(cvm_host_free)

/* What options said; NULL where they said nothing. */
struct cvm_host_options {
    const char *config;
    const char *connect;
    const char *image_dir;
    const char *state_dir;
    const char *emulator;
};

/*
 * Loads the configuration (the default file only where it exists) and applies variables and
 * options.
 *
 * @return false with CVM_ERR_MALFORMED naming file and key, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_host_load(const struct cvm_host_options *options, struct cvm_host *out,
                                  struct cvm_error *err);
void cvm_host_free(struct cvm_host *host);

#endif
