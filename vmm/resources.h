/*
 * What a guest holds of the host alone: devices, CPUs it is pinned to, huge pages.
 *
 * It is remembered in the guest's record, and held until the guest is removed, whether it runs
 * or not.
 */
#ifndef CVM_VMM_RESOURCES_H
#define CVM_VMM_RESOURCES_H

#include "vmm/host.h"
#include "vmm/host_nodes.h"
#include "vmm/store.h"

struct cvm_resources {
    struct cvm_pci_address gpus[CVM_MAX_GPUS], nvswitches[CVM_MAX_GPUS];
    size_t num_gpus, num_nvswitches;
    struct cvm_cpu_set cpus;
    struct cvm_huge_pages huge_pages[CVM_MAX_NUMA_NODES]; /* needed at each start */
    size_t num_huge_pages;
    bool stand_in; /* others stand in for the devices: a test's guest */
};

/*
 * Decodes a record's "resources".
 *
 * @param object  NULL counts as nothing held.
 * @return false with CVM_ERR_MALFORMED naming the key.
 */
CVM_MUST_CHECK bool cvm_resources_decode(const struct json_object *object,
                                         struct cvm_resources *out, struct cvm_error *err);

/* Adds the object "resources", or nothing where nothing is held. */
CVM_MUST_CHECK bool cvm_resources_put(const struct cvm_resources *r, struct cvm_json_builder *b,
                                      struct cvm_error *err);

/* The addresses, as an array of strings. */
void cvm_resources_put_devices(const char *key, const struct cvm_pci_address *devices, size_t count,
                               struct cvm_json_builder *b);

/* Appends the same for people: a line for each device, and one for CPUs. */
void cvm_resources_print(const struct cvm_resources *r, struct cvm_buf *out);

/* --- of all guests --- */

struct cvm_held_device {
    struct cvm_pci_address address;
    char owner[64]; /* name of the guest */
};

struct cvm_holdings {
    struct cvm_held_device *devices; /* owned */
    size_t count;
    struct cvm_cpu_set cpus;
};

#define cvm_autoholdings CVM_CLEANUP(cvm_holdings_free)

/*
 * Collects what the guests of a store hold. It stays true while the store's lock is held.
 *
 * @return false where the record of a guest cannot be read: it may hold anything.
 */
CVM_MUST_CHECK bool cvm_holdings_load(const struct cvm_store *store, struct cvm_holdings *out,
                                      struct cvm_error *err);

/* The same for a host's state directory; nothing is held where there was never a guest. */
CVM_MUST_CHECK bool cvm_holdings_of_host(const struct cvm_host *host, struct cvm_holdings *out,
                                         struct cvm_error *err);

/* The guest that holds a device; NULL where none does. */
const char *cvm_holdings_owner(const struct cvm_holdings *h, struct cvm_pci_address address);
void cvm_holdings_free(struct cvm_holdings *h);

#endif
