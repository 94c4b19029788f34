#include "vmm/host.h"

#include <stdio.h>

#define FIELD(f) offsetof(struct cvm_host, f)
/* clang-format off */
static const struct cvm_json_field host_fields[] = {
    { "libvirt_uri",         CVM_JSON_STRING, FIELD(libvirt_uri), .min = 1, .max = 1024 },
    { "emulator",            CVM_JSON_STRING, FIELD(emulator), .min = 1, .max = 1024 },
    { "accelerator",         CVM_JSON_STRING, FIELD(accelerator), .max = 16 },
    { "image_dir",           CVM_JSON_STRING, FIELD(image_dir), .min = 1, .max = 1024 },
    { "state_dir",           CVM_JSON_STRING, FIELD(state_dir), .min = 1, .max = 1024 },
    { "kms_urls",            CVM_JSON_ARRAY,  FIELD(kms_urls), .max = 64 },
    { "gateway_urls",        CVM_JSON_ARRAY,  FIELD(gateway_urls), .max = 64 },
    { "pccs_url",            CVM_JSON_STRING, FIELD(pccs_url), .max = 1024 },
    { "docker_registry",     CVM_JSON_STRING, FIELD(docker_registry), .max = 1024 },
    { "host_api_port",       CVM_JSON_NUMBER, FIELD(host_api_port), .min = 1, .max = UINT32_MAX },
    { "cid_first",           CVM_JSON_NUMBER, FIELD(cid_first), .min = 3, .max = UINT32_MAX - 1 },
    { "cid_count",           CVM_JSON_NUMBER, FIELD(cid_count), .min = 1, .max = 1 << 20 },
    { "qgs_socket",          CVM_JSON_STRING, FIELD(qgs_socket), .max = 107 },
    { "attestation_variant", CVM_JSON_STRING, FIELD(attestation_variant), .max = 16 },
    { "guest_address_bits",  CVM_JSON_NUMBER, FIELD(guest_address_bits), .min = 36, .max = 52 },
    { "acpi_check",          CVM_JSON_STRING, FIELD(acpi_check), .max = 16 },
    { "run_as",              CVM_JSON_STRING, FIELD(run_as), .min = 1, .max = 128 },
    CVM_HOST_DEVICE_FIELDS(FIELD(devices)),
    { "signing_key",         CVM_JSON_STRING, FIELD(signing_key), .min = 1, .max = 1024 },
    { "signing_passphrase_file", CVM_JSON_STRING, FIELD(signing_passphrase_file), .min = 1, .max = 1024 },
    { "qemu",                CVM_JSON_OBJECT, FIELD(qemu_object) },
    { "smbios",              CVM_JSON_OBJECT, FIELD(smbios_object) },
    { 0 },
};
static const struct cvm_json_field qemu_fields[] = { CVM_QEMU_OVERRIDE_FIELDS(0), { 0 } };
/* clang-format on */

static bool check_words(const struct cvm_host *h, struct cvm_error *err)
{
    static const struct {
        const char *key;
        size_t offset;
        const char *words; /* each between blanks */
    } rules[] = {
        { "accelerator", FIELD(accelerator), " kvm tcg " },
        { "attestation_variant", FIELD(attestation_variant), " auto legacy lite " },
        { "acpi_check", FIELD(acpi_check), " off warn require " },
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *word;
        char spaced[32];
        memcpy(&word, (const char *)h + rules[i].offset, sizeof word);
        if (word == NULL) {
            continue;
        }
        snprintf(spaced, sizeof spaced, " %s ", word);
        if (strchr(word, ' ') != NULL || strstr(rules[i].words, spaced) == NULL) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s': '%.16s' is none of:%s", rules[i].key,
                            word, rules[i].words);
        }
    }
    return true;
}

static bool decode(const char *path, struct cvm_host *out, struct cvm_error *err)
{
    if (!cvm_json_load(path, &out->document, err)) {
        return cvm_context(err, "host configuration");
    }
    if (!cvm_json_decode(out->document, host_fields, CVM_JSON_REJECT_UNKNOWN, out, err) ||
        (out->qemu_object != NULL && !cvm_json_decode(out->qemu_object, qemu_fields,
                                                      CVM_JSON_REJECT_UNKNOWN, &out->qemu, err)) ||
        !cvm_smbios_decode(out->smbios_object, &out->smbios, err) || !check_words(out, err) ||
        !cvm_json_check_strings("kms_urls", out->kms_urls, err) ||
        !cvm_json_check_strings("gateway_urls", out->gateway_urls, err) ||
        !cvm_host_device_keys_decode(&out->devices, err)) {
        return cvm_context(err, "host configuration '%s'", path);
    }
    return true;
}

/* The first that is given: option, variable, what the configuration said, default. */
static const char *choose(const char *option, const char *variable, const char *configured,
                          const char *fallback)
{
    const char *from_environment = getenv(variable);
    if (option != NULL) {
        return option;
    }
    if (from_environment != NULL && *from_environment != '\0') {
        return from_environment;
    }
    return configured != NULL ? configured : fallback;
}

bool cvm_host_load(const struct cvm_host_options *options, struct cvm_host *out,
                   struct cvm_error *err)
{
    const char *path = choose(options->config, "CVM_CONFIG", NULL, NULL);
    if (path == NULL && access(CVM_HOST_CONFIG, F_OK) == 0) {
        path = CVM_HOST_CONFIG;
    }
    if (path != NULL ? !decode(path, out, err) : !cvm_host_device_keys_decode(&out->devices, err)) {
        return false;
    }
    out->libvirt_uri = choose(options->connect, "CVM_CONNECT", out->libvirt_uri, "qemu:///system");
    out->image_dir =
        choose(options->image_dir, "CVM_IMAGE_DIR", out->image_dir, "/var/lib/cvm/images");
    out->state_dir = choose(options->state_dir, "CVM_STATE_DIR", out->state_dir, "/var/lib/cvm");
    out->emulator =
        choose(options->emulator, "CVM_EMULATOR", out->emulator, "/usr/bin/qemu-system-x86_64");
    out->accelerator = out->accelerator == NULL ? "kvm" : out->accelerator;
    out->attestation_variant = out->attestation_variant == NULL ? "auto" : out->attestation_variant;
    out->acpi_check = out->acpi_check == NULL ? "warn" : out->acpi_check;
    return true;
}

void cvm_host_free(struct cvm_host *host)
{
    cvm_json_free(host->document);
    *host = (struct cvm_host){ 0 };
}
