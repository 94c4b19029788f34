/*
 * NUMA nodes of the host: their CPUs and their huge pages; and sets of CPUs.
 *
 * Source: the kernel's ABI documentation of /sys/devices/system/node.
 */
#ifndef CVM_VMM_HOST_NODES_H
#define CVM_VMM_HOST_NODES_H

#include "measure/base/buf.h"

enum { CVM_MAX_HOST_CPUS = 8192, CVM_MAX_HOST_NODES = 1024 };

/* A set of CPUs, or of nodes. */
struct cvm_cpu_set {
    uint64_t words[CVM_MAX_HOST_CPUS / 64];
};

/*
 * Reads a list as the kernel and libvirt write it: "0-3,8"; "" is the empty set.
 *
 * @return false with CVM_ERR_MALFORMED showing the text.
 */
CVM_MUST_CHECK bool cvm_cpu_set_parse(const char *text, struct cvm_cpu_set *out,
                                      struct cvm_error *err);
/* Appends the same without a NUL. */
void cvm_cpu_set_put(const struct cvm_cpu_set *set, struct cvm_buf *out);
bool cvm_cpu_set_has(const struct cvm_cpu_set *set, unsigned cpu);
void cvm_cpu_set_add(struct cvm_cpu_set *set, unsigned cpu);
unsigned cvm_cpu_set_count(const struct cvm_cpu_set *set);

/* The nodes that are online; CVM_ERR_SYSTEM where the kernel has none. */
CVM_MUST_CHECK bool cvm_host_nodes(const char *root, struct cvm_cpu_set *out,
                                   struct cvm_error *err);

/* The CPUs of a node that are online. */
CVM_MUST_CHECK bool cvm_host_node_cpus(const char *root, uint32_t node, struct cvm_cpu_set *out,
                                       struct cvm_error *err);

/* Huge pages that somebody wants. */
struct cvm_huge_pages {
    bool bound;    /* to one node; false: pages of any */
    uint32_t node; /* of the host */
    uint64_t size; /* bytes of a page */
    uint64_t count;
};

/*
 * Whether the host has these pages free now.
 *
 * @return false with CVM_ERR_SYSTEM saying how many are free and how to get more.
 */
CVM_MUST_CHECK bool cvm_huge_pages_check(const char *root, const struct cvm_huge_pages *wanted,
                                         struct cvm_error *err);

/* How many are free, on the node or on the whole host. */
CVM_MUST_CHECK bool cvm_huge_pages_free(const char *root, const struct cvm_huge_pages *of,
                                        uint64_t *out, struct cvm_error *err);

#endif
