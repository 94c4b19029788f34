#include "vmm/request.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "vmm/acpi_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define FIELD(f) offsetof(struct cvm_request, f)
#define MIB (UINT64_C(1) << 20)
#define MAX_DISK (UINT64_C(1) << 50)
/* clang-format off */
static const struct cvm_json_field request_fields[] = {
    { "name",                CVM_JSON_STRING, FIELD(name), .required = true, .min = 1, .max = CVM_MAX_NAME },
    { "image",               CVM_JSON_STRING, FIELD(image), .required = true, .min = 1, .max = 1024 },
    { "vcpu",                CVM_JSON_NUMBER, FIELD(vcpu), .required = true, .min = 1, .max = 4096 },
    { "memory",              CVM_JSON_SIZE,   FIELD(memory), .required = true, .min = 64 * MIB, .max = UINT64_C(1) << 46 },
    { "disk_size",           CVM_JSON_SIZE,   FIELD(disk_size), .required = true, .min = MIB, .max = MAX_DISK },
    { "networks",            CVM_JSON_ARRAY,  FIELD(networks_array), .max = CVM_MAX_NETWORKS },
    { "ports",               CVM_JSON_ARRAY,  FIELD(ports_array), .max = CVM_MAX_PORTS },
    { "volumes",             CVM_JSON_ARRAY,  FIELD(volumes_array), .max = CVM_MAX_VOLUMES },
    { "app_compose",         CVM_JSON_ANY,    FIELD(app_compose), .required = true },
    { "user_config",         CVM_JSON_STRING, FIELD(user_config), .min = 1, .max = 4096 },
    { "encrypted_env",       CVM_JSON_STRING, FIELD(encrypted_env), .min = 1, .max = 4096 },
    { "app_id",              CVM_JSON_STRING, FIELD(app_id), .min = 40, .max = 40 },
    { "kms_urls",            CVM_JSON_ARRAY,  FIELD(kms_urls), .max = 64 },
    { "gateway_urls",        CVM_JSON_ARRAY,  FIELD(gateway_urls), .max = 64 },
    CVM_DEVICE_REQUEST_FIELDS(FIELD(devices)),
    { "no_tee",              CVM_JSON_BOOL,   FIELD(no_tee) },
    { "swtpm",               CVM_JSON_BOOL,   FIELD(swtpm) },
    { "smbios",              CVM_JSON_OBJECT, FIELD(smbios_object) },
    { "attestation_variant", CVM_JSON_STRING, FIELD(attestation_variant), .max = 16 },
    { "ovmf_variant",        CVM_JSON_STRING, FIELD(ovmf_variant), .max = 64 },
    { "kernel_header",       CVM_JSON_STRING, FIELD(kernel_header), .max = 16 },
    { "acpi_check",          CVM_JSON_STRING, FIELD(acpi_check), .max = 16 },
    { "overrides",           CVM_JSON_OBJECT, FIELD(overrides_object) },
    { 0 },
};
static const struct cvm_json_field override_fields[] = { CVM_QEMU_OVERRIDE_FIELDS(0), { 0 } };
static const struct cvm_json_field network_fields[] = {
    { "mode",   CVM_JSON_STRING, offsetof(struct cvm_network, mode_word), .required = true },
    { "source", CVM_JSON_STRING, offsetof(struct cvm_network, source), .min = 1, .max = 64 },
    { "mac",    CVM_JSON_STRING, offsetof(struct cvm_network, mac), .min = 17, .max = 17 },
    { 0 },
};
static const struct cvm_json_field port_fields[] = {
    { "protocol",   CVM_JSON_STRING, offsetof(struct cvm_port, protocol) },
    { "address",    CVM_JSON_STRING, offsetof(struct cvm_port, address), .min = 1, .max = 45 },
    { "host_port",  CVM_JSON_NUMBER, offsetof(struct cvm_port, host_port), .required = true, .min = 1, .max = 65535 },
    { "guest_port", CVM_JSON_NUMBER, offsetof(struct cvm_port, guest_port), .required = true, .min = 1, .max = 65535 },
    { 0 },
};
static const struct cvm_json_field volume_fields[] = {
    { "path", CVM_JSON_STRING, offsetof(struct cvm_volume, path), .required = true, .min = 1, .max = 4096 },
    { 0 },
};
/* clang-format on */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool cvm_check_name(const char *name, struct cvm_error *err)
{
    size_t n = 0;
    for (; name[n] != '\0'; n++) {
        if (!is_alnum(name[n]) && (n == 0 || strchr("-_.", name[n]) == NULL)) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "name '%.64s': letters, digits, '-', '_' and '.' only, starting with a "
                            "letter or digit",
                            name);
        }
    }
    if (n == 0 || n > CVM_MAX_NAME) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a name of %zu characters; 1 to %d", n,
                        CVM_MAX_NAME);
    }
    return true;
}

static bool resolve_mode(struct cvm_network *n, struct cvm_error *err)
{
    static const char *const words[] = { "user", "bridge", "network", "direct" };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], n->mode_word) == 0) {
            n->mode = (enum cvm_network_mode)i;
            bool needs_source = n->mode != CVM_NETWORK_USER;
            return needs_source == (n->source != NULL)
                       ? true
                       : cvm_fail(err, CVM_ERR_MALFORMED, "mode '%s' %s source", words[i],
                                  needs_source ? "needs a" : "takes no");
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED,
                    "mode '%.32s' is none of 'user', 'bridge', 'network', 'direct'", n->mode_word);
}

static bool check_mac(const char *mac, struct cvm_error *err)
{
    uint8_t byte;
    for (size_t i = 0; mac != NULL && i < 17; i += 3) {
        struct cvm_error ignored = { 0 };
        if (!cvm_hex_decode(mac + i, 2, &byte, 1, &ignored) || (i < 15 && mac[i + 2] != ':')) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "mac '%.17s' is not like 52:54:00:12:34:56",
                            mac);
        }
    }
    return true;
}

/* Without the key there is one NIC, on a user network. */
static bool decode_networks(struct cvm_request *r, struct cvm_error *err)
{
    if (r->networks_array == NULL) {
        r->networks[0] = (struct cvm_network){ .mode_word = "user" };
        r->num_networks = 1;
        return true;
    }
    size_t count = cvm_json_array_length(r->networks_array);
    for (; r->num_networks < count; r->num_networks++) {
        struct cvm_network *n = &r->networks[r->num_networks];
        const struct json_object *item = cvm_json_array_at(r->networks_array, r->num_networks);
        if (!cvm_json_decode(item, network_fields, CVM_JSON_REJECT_UNKNOWN, n, err) ||
            !resolve_mode(n, err) || !check_mac(n->mac, err)) {
            return cvm_context(err, "networks[%zu]", r->num_networks);
        }
    }
    return true;
}

static bool check_port(struct cvm_port *p, struct cvm_error *err)
{
    p->protocol = p->protocol == NULL ? "tcp" : p->protocol;
    p->address = p->address == NULL ? "127.0.0.1" : p->address;
    if (strcmp(p->protocol, "tcp") != 0 && strcmp(p->protocol, "udp") != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "protocol '%.16s' is neither 'tcp' nor 'udp'",
                        p->protocol);
    }
    struct in_addr address;
    return inet_pton(AF_INET, p->address, &address) == 1
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "address '%s' is not an IPv4 address",
                          p->address);
}

static bool decode_ports(struct cvm_request *r, struct cvm_error *err)
{
    size_t count = cvm_json_array_length(r->ports_array);
    for (; r->num_ports < count; r->num_ports++) {
        struct cvm_port *p = &r->ports[r->num_ports];
        const struct json_object *item = cvm_json_array_at(r->ports_array, r->num_ports);
        if (!cvm_json_decode(item, port_fields, CVM_JSON_REJECT_UNKNOWN, p, err) ||
            !check_port(p, err)) {
            return cvm_context(err, "ports[%zu]", r->num_ports);
        }
    }
    for (size_t i = 0; i < r->num_networks; i++) {
        if (r->networks[i].mode == CVM_NETWORK_USER) {
            return true;
        }
    }
    return count == 0 ? true
                      : cvm_fail(err, CVM_ERR_MALFORMED,
                                 "ports need a network of mode 'user' to lead into");
}

static bool decode_volumes(struct cvm_request *r, struct cvm_error *err)
{
    size_t count = cvm_json_array_length(r->volumes_array);
    for (; r->num_volumes < count; r->num_volumes++) {
        struct cvm_volume *v = &r->volumes[r->num_volumes];
        const struct json_object *item = cvm_json_array_at(r->volumes_array, r->num_volumes);
        if (!cvm_json_decode(item, volume_fields, CVM_JSON_REJECT_UNKNOWN, v, err)) {
            return cvm_context(err, "volumes[%zu]", r->num_volumes);
        }
        if (v->path[0] != '/') {
            return cvm_fail(err, CVM_ERR_MALFORMED, "volumes[%zu]: path '%.100s' is not absolute",
                            r->num_volumes, v->path);
        }
    }
    return true;
}

static bool check_values(const struct cvm_request *r, struct cvm_error *err)
{
    uint8_t app_id[20];
    enum cvm_acpi_check check;
    if (r->acpi_check != NULL && !cvm_acpi_check_parse(r->acpi_check, &check, err)) {
        return false;
    }
    if (!cvm_check_name(r->name, err) || !cvm_json_check_strings("kms_urls", r->kms_urls, err) ||
        !cvm_json_check_strings("gateway_urls", r->gateway_urls, err)) {
        return false;
    }
    if (!cvm_json_is_string(r->app_compose) && !cvm_json_is_object(r->app_compose)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "key 'app_compose' is neither a path nor an object");
    }
    if (r->app_id != NULL && !cvm_hex_decode(r->app_id, 40, app_id, sizeof app_id, err)) {
        return cvm_context(err, "key 'app_id'");
    }
    return true;
}

bool cvm_request_decode(struct json_object *document, struct cvm_request *out,
                        struct cvm_error *err)
{
    out->document = document;
    if (!cvm_json_decode(document, request_fields, CVM_JSON_REJECT_UNKNOWN, out, err)) {
        return false;
    }
    if (out->overrides_object != NULL &&
        !cvm_json_decode(out->overrides_object, override_fields, CVM_JSON_REJECT_UNKNOWN,
                         &out->overrides, err)) {
        return cvm_context(err, "key 'overrides'");
    }
    return cvm_smbios_decode(out->smbios_object, &out->smbios, err) && check_values(out, err) &&
           decode_networks(out, err) && decode_ports(out, err) && decode_volumes(out, err) &&
           cvm_device_request_decode(&out->devices, err);
}

bool cvm_request_load(const char *path, struct cvm_request *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    struct json_object *document = NULL;
    if (!cvm_input_load(path, CVM_JSON_MAX_SIZE, &text, err) ||
        !cvm_json_parse("JSON", cvm_buf_bytes(&text), &document, err) ||
        !cvm_request_decode(document, out, err)) {
        return cvm_context(err, "request '%s'", path);
    }
    return true;
}

void cvm_request_free(struct cvm_request *r)
{
    cvm_json_free(r->document);
    *r = (struct cvm_request){ 0 };
}
