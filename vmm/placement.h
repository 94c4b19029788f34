/*
 * Where a guest is placed on the host: the devices it gets, its NUMA nodes and the host's nodes
 * behind them, the CPUs it is pinned to. Decided before anything is declared or measured, since
 * nodes, rounded CPUs and rounded memory are measured.
 *
 * Like everything else that is declared, nodes become part of struct cvm_machine by way of struct
 * cvm_vm_config; what is here beside them does not reach a measurement.
 *
 * Source: docs/operations.md, "GPUs, NUMA nodes and huge pages".
 */
#ifndef CVM_VMM_PLACEMENT_H
#define CVM_VMM_PLACEMENT_H

#include "vmm/device_pool.h"
#include "vmm/machine.h"

struct cvm_placed_node {
    bool bound; /* to one node of the host; false: memory may come from all of them */
    uint32_t host_node;
    struct cvm_numa_node node;
};

struct cvm_placement {
    struct cvm_pci_facts gpus[CVM_MAX_GPUS]; /* where there are nodes, in the order of these */
    uint32_t num_gpus;
    struct cvm_pci_facts nvswitches[CVM_MAX_GPUS];
    uint32_t num_nvswitches;
    struct cvm_port_bars gpu_bars, nvswitch_bars; /* of each of them */
    struct cvm_placed_node nodes[CVM_MAX_NUMA_NODES];
    uint32_t num_nodes;
    uint32_t cpu_count;   /* after rounding */
    uint64_t memory_size; /* bytes, after rounding */
    uint64_t page_size;   /* of huge pages, in bytes; 0: without them */
    bool pinned;
    uint16_t cpus[CVM_MAX_CPUS]; /* of the host, one per vCPU, where pinned */
    bool stand_in;               /* nothing of it is really taken from the host */
};

/* What is asked for. All borrowed. */
struct cvm_placement_wish {
    const struct cvm_device_request *request;
    const struct cvm_host_devices *host;
    uint32_t cpu_count;
    uint64_t memory_size;
};

/*
 * Decides the placement, with a warning for each number that was rounded.
 *
 * @param held  what other guests hold.
 * @return false with CVM_ERR_USAGE, CVM_ERR_SYSTEM or CVM_ERR_MALFORMED saying what cannot be had.
 */
CVM_MUST_CHECK bool cvm_placement_choose(const struct cvm_placement_wish *wish,
                                         const struct cvm_holdings *held, struct cvm_placement *out,
                                         struct cvm_warnings *warnings, struct cvm_error *err);

/* Whether both make the same machine, on whatever devices, nodes and CPUs of the host. */
bool cvm_placement_same_machine(const struct cvm_placement *a, const struct cvm_placement *b);

/* What a vm_config declares of a placement; NULL where there is none. */
struct cvm_placement_arrays {
    struct json_object *numa_nodes, *gpu_bars, *nvswitch_bars; /* owned */
};

CVM_MUST_CHECK bool cvm_placement_declare(const struct cvm_placement *p,
                                          struct cvm_placement_arrays *out, struct cvm_error *err);
void cvm_placement_arrays_free(struct cvm_placement_arrays *a);

/*
 * Warns of machines whose tables depend on the BARs behind root ports: verifiers that do not read
 * gpu_bars and nvswitch_bars expect other ones.
 */
void cvm_placement_warn(const struct cvm_placement *p, const struct cvm_machine *machine,
                        struct cvm_warnings *warnings);

/* Adds the arrays gpus and nvswitches, of addresses, where there are any devices. */
void cvm_placement_put(const struct cvm_placement *p, struct cvm_json_builder *b);

/* What the guest holds of the host by it. */
void cvm_placement_resources(const struct cvm_placement *p, struct cvm_resources *out);

#endif
