/*
 * The request: the JSON file in which a user says which guest to launch.
 *
 * Source: docs/request.md lists every key.
 */
#ifndef CVM_VMM_REQUEST_H
#define CVM_VMM_REQUEST_H

#include "vmm/device_request.h"
#include "vmm/host.h"

enum { CVM_MAX_NETWORKS = 16, CVM_MAX_PORTS = 64, CVM_MAX_VOLUMES = 16, CVM_MAX_NAME = 63 };

enum cvm_network_mode {
    CVM_NETWORK_USER,
    CVM_NETWORK_BRIDGE,
    CVM_NETWORK_NETWORK,
    CVM_NETWORK_DIRECT
};

/* A NIC. */
struct cvm_network {
    const char *mode_word;
    enum cvm_network_mode mode;
    const char *source; /* bridge, network or host interface; NULL for user */
    const char *mac;    /* NULL: libvirt chooses */
};

/* A port of the host that leads into the guest, through its first user network. */
struct cvm_port {
    const char *protocol; /* tcp, udp */
    const char *address;  /* of the host; default 127.0.0.1 */
    struct cvm_opt_u64 host_port, guest_port;
};

struct cvm_volume {
    const char *path; /* absolute; a raw image, attached read-only */
};

struct cvm_request {
    struct json_object *document; /* owned */
    const char *name;
    const char *image;
    struct cvm_opt_u64 vcpu;
    struct cvm_opt_u64 memory;    /* bytes */
    struct cvm_opt_u64 disk_size; /* bytes */
    struct json_object *networks_array, *ports_array, *volumes_array;
    struct json_object *app_compose; /* a path, or an object */
    const char *user_config;         /* path */
    const char *encrypted_env;       /* path */
    const char *app_id;              /* 40 hex digits */
    struct json_object *kms_urls, *gateway_urls;
    struct cvm_device_request devices;
    struct cvm_opt_bool no_tee;
    struct cvm_opt_bool swtpm;
    struct json_object *smbios_object;
    struct cvm_smbios_text smbios;
    const char *attestation_variant;
    const char *ovmf_variant;
    const char *kernel_header;
    const char *acpi_check; /* off, warn, require; NULL: the host's */
    struct json_object *overrides_object;
    struct cvm_qemu_overrides overrides;

    struct cvm_network networks[CVM_MAX_NETWORKS];
    size_t num_networks;
    struct cvm_port ports[CVM_MAX_PORTS];
    size_t num_ports;
    struct cvm_volume volumes[CVM_MAX_VOLUMES];
    size_t num_volumes;
};

#define cvm_autorequest CVM_CLEANUP(cvm_request_free)

/*
 * Decodes a request; takes the document over, also when it fails.
 *
 * @param out  zeroed.
 * @return false with CVM_ERR_MALFORMED naming key, value and limit.
 */
CVM_MUST_CHECK bool cvm_request_decode(struct json_object *document, struct cvm_request *out,
                                       struct cvm_error *err);

/* Loads a request from a file; "-" is standard input. */
CVM_MUST_CHECK bool cvm_request_load(const char *path, struct cvm_request *out,
                                     struct cvm_error *err);
void cvm_request_free(struct cvm_request *r);

/* Whether a guest can have this name: letters, digits, '-', '_', '.', starting with the former. */
CVM_MUST_CHECK bool cvm_check_name(const char *name, struct cvm_error *err);

#endif
