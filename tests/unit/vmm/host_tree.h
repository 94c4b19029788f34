/*
 * A made-up host in a test's directory: what the kernel says of PCI devices, NUMA nodes and huge
 * pages. Whatever goes wrong here fails the test.
 */
#ifndef CVM_TESTS_HOST_TREE_H
#define CVM_TESTS_HOST_TREE_H

#include "tests/unit/vmm/place.h"

/* Makes a file with all directories on the way to it, or replaces it. */
void tree_write(const struct place *p, const char *path, const char *text);

/* The same for a link. */
void tree_link(const struct place *p, const char *path, const char *target);

/* Nodes 0 to count - 1, with so many CPUs each, numbered over the nodes, and no huge pages. */
void tree_nodes(const struct place *p, unsigned count, unsigned cpus);

/* Free huge pages of 2 MiB of a node. */
void tree_pages(const struct place *p, unsigned node, unsigned free_pages);

struct tree_device {
    const char *address;
    const char *id;     /* "10de:2335" */
    int node;           /* -1: the kernel knows none */
    const char *driver; /* NULL: vfio-pci; "": none */
    unsigned group;     /* 0: none */
    unsigned gib;       /* of 64-bit, prefetchable memory */
};

/* A device, and /dev/vfio for it. */
void tree_add(const struct place *p, const struct tree_device *d);

/* Eight GPUs 10de:2335 (0000:10:00.0 to 0000:80:00.0; the first four on node 0, the others on 1),
 * and four NVSwitches 10de:22a3 (0000:01:00.0 to 0000:04:00.0, node 0). */
void tree_hgx(const struct place *p);

#endif
