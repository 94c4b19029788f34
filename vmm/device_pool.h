/*
 * The devices of the host that may be given to guests, and choosing from them.
 *
 * The choice is a function of what the host has and what guests hold: asked twice, it gives the
 * same answer.
 */
#ifndef CVM_VMM_DEVICE_POOL_H
#define CVM_VMM_DEVICE_POOL_H

#include "vmm/resources.h"
#include "vmm/warnings.h"

enum cvm_pool_kind { CVM_POOL_GPU, CVM_POOL_NVSWITCH };

/* "GPU", "NVSwitch" */
const char *cvm_pool_word(enum cvm_pool_kind kind);

struct cvm_pool_device {
    struct cvm_pci_facts facts;
    enum cvm_pool_kind kind;
    const char *owner; /* the guest that holds it, borrowed from the holdings; NULL: free */
    bool chosen;
};

/* Ascending addresses. */
struct cvm_device_pool {
    struct cvm_pool_device *items; /* owned */
    size_t count;
};

#define cvm_autopool CVM_CLEANUP(cvm_device_pool_free)

/*
 * Finds the devices that the host configuration lists. One that is listed and not there is a
 * warning; one that is listed as GPU and as NVSwitch is an error.
 *
 * @param held  borrowed for the pool's life.
 */
CVM_MUST_CHECK bool cvm_device_pool_load(const struct cvm_host_devices *host,
                                         const struct cvm_holdings *held,
                                         struct cvm_device_pool *out, struct cvm_warnings *warnings,
                                         struct cvm_error *err);

/*
 * Chooses what a request asks for. An address is that device. A number of a kind comes, in
 * ascending addresses, from one NUMA node if one has enough of them free: of such nodes the one
 * with the fewest, of equals the lowest; if none has, from all.
 *
 * @param out    room for CVM_MAX_GPUS.
 * @param count  of devices in out.
 * @return false with CVM_ERR_USAGE for a device that the configuration does not list,
 *         CVM_ERR_SYSTEM for one that is held, naming the guest, and where too few are free.
 */
CVM_MUST_CHECK bool cvm_device_pool_choose(struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                                           const struct cvm_device_selectors *wanted,
                                           struct cvm_pci_facts *out, uint32_t *count,
                                           struct cvm_error *err);

void cvm_device_pool_free(struct cvm_device_pool *pool);

#endif
