/*
 * What is said of GPUs and NVSwitches: by the host configuration, which of them may be given to
 * guests; by a request, which of those a guest is to get; and where it is to be on the host.
 *
 * Source: docs/host-config.md and docs/request.md.
 */
#ifndef CVM_VMM_DEVICE_REQUEST_H
#define CVM_VMM_DEVICE_REQUEST_H

#include "measure/include/cvm/machine.h"
#include "vmm/json.h"
#include "vmm/pci_host.h"

enum {
    CVM_MAX_SELECTORS = 64,
    CVM_MAX_GPUS = 64, /* of a guest; NVSwitches likewise */
};

/* One device by its address, or devices by what they are. */
struct cvm_device_selector {
    bool by_address;
    struct cvm_pci_address address;
    uint16_t vendor, device;
    uint32_t count; /* of a request: 1 for an address */
};

struct cvm_device_selectors {
    struct cvm_device_selector items[CVM_MAX_SELECTORS];
    size_t count;
};

/*
 * Decodes a list of the host configuration: addresses and "VENDOR:DEVICE".
 *
 * @param key    names the list in messages.
 * @param value  NULL counts as an empty list.
 * @return false with CVM_ERR_MALFORMED naming key and item.
 */
CVM_MUST_CHECK bool cvm_host_devices_decode(const char *key, const struct json_object *value,
                                            struct cvm_device_selectors *out,
                                            struct cvm_error *err);

/* The same of a request: addresses and {"device", "count"}, or a single such object. */
CVM_MUST_CHECK bool cvm_requested_devices_decode(const char *key, const struct json_object *value,
                                                 struct cvm_device_selectors *out,
                                                 struct cvm_error *err);

/* How many devices a request wants. */
uint32_t cvm_requested_count(const struct cvm_device_selectors *s);

/* A request's "numa". */
struct cvm_numa_request {
    struct json_object *nodes_array;
    struct cvm_opt_bool pin_cpus;
    uint32_t nodes[CVM_MAX_NUMA_NODES]; /* of the host, ascending */
    uint32_t num_nodes;
};

/* @param value  NULL counts as an empty object. */
CVM_MUST_CHECK bool cvm_numa_request_decode(const struct json_object *value,
                                            struct cvm_numa_request *out, struct cvm_error *err);

/* What a request says of devices and nodes: keys gpus, nvswitches, hugepages and numa. */
struct cvm_device_request {
    struct json_object *gpus_value, *nvswitches_value, *numa_object;
    struct cvm_opt_bool hugepages;
    struct cvm_device_selectors gpus, nvswitches;
    struct cvm_numa_request numa;
};

/* The rows of these keys in the table of a request. */
#define CVM_DEVICE_REQUEST_FIELDS(base)                                                            \
    { "gpus", CVM_JSON_ANY, (base) + offsetof(struct cvm_device_request, gpus_value) },            \
        { "nvswitches", CVM_JSON_ANY,                                                              \
          (base) + offsetof(struct cvm_device_request, nvswitches_value) },                        \
        { "hugepages", CVM_JSON_BOOL, (base) + offsetof(struct cvm_device_request, hugepages) },   \
    {                                                                                              \
        "numa", CVM_JSON_OBJECT, (base) + offsetof(struct cvm_device_request, numa_object)         \
    }

/* Decodes what the rows picked out. */
CVM_MUST_CHECK bool cvm_device_request_decode(struct cvm_device_request *r, struct cvm_error *err);

/* Whether and how guests' devices use iommufd; words of the host configuration. */
enum cvm_iommufd_use { CVM_IOMMUFD_AUTO, CVM_IOMMUFD_ON, CVM_IOMMUFD_OFF };

/* What the host configuration says of devices and nodes. */
struct cvm_host_devices {
    struct json_object *gpus_array, *nvswitches_array;
    struct cvm_device_selectors gpus, nvswitches;
    struct cvm_opt_u64 hugepage_size; /* bytes; after decoding 2 MiB or 1 GiB */
    struct cvm_opt_bool pin_cpus;
    const char *iommufd_word;
    enum cvm_iommufd_use iommufd;
    const char *gpu_stand_in; /* for tests: a made-up tree in place of the host's; NULL */
    const char *root;         /* where the facts are read; NULL: the host itself */
};

#define CVM_HOST_DEVICE_FIELDS(base)                                                               \
    { "gpus", CVM_JSON_ARRAY, (base) + offsetof(struct cvm_host_devices, gpus_array),              \
      .max = CVM_MAX_SELECTORS },                                                                  \
        { "nvswitches", CVM_JSON_ARRAY,                                                            \
          (base) + offsetof(struct cvm_host_devices, nvswitches_array),                            \
          .max = CVM_MAX_SELECTORS },                                                              \
        { "hugepage_size", CVM_JSON_SIZE,                                                          \
          (base) + offsetof(struct cvm_host_devices, hugepage_size) },                             \
        { "pin_cpus", CVM_JSON_BOOL, (base) + offsetof(struct cvm_host_devices, pin_cpus) },       \
        { "iommufd", CVM_JSON_STRING, (base) + offsetof(struct cvm_host_devices, iommufd_word),    \
          .max = 16 },                                                                             \
    {                                                                                              \
        "gpu_stand_in", CVM_JSON_STRING, (base) + offsetof(struct cvm_host_devices, gpu_stand_in), \
            .min = 1, .max = 512                                                                   \
    }

CVM_MUST_CHECK bool cvm_host_device_keys_decode(struct cvm_host_devices *h, struct cvm_error *err);

/* Where the facts about devices and nodes are read: see vmm/sysfs.h. */
const char *cvm_host_root(const struct cvm_host_devices *h);

#endif
