/*
 * PCI devices of the host, as the kernel describes them in /sys/bus/pci/devices.
 *
 * Source: the kernel's ABI documentation of sysfs-bus-pci and of /sys/kernel/iommu_groups.
 */
#ifndef CVM_VMM_PCI_HOST_H
#define CVM_VMM_PCI_HOST_H

#include "measure/base/error.h"
#include "vmm/sysfs.h"

#include <stdint.h>

/* DOMAIN:BUS:SLOT.FUNCTION */
struct cvm_pci_address {
    uint32_t domain;
    uint8_t bus;
    uint8_t slot;     /* to 31 */
    uint8_t function; /* to 7 */
};

enum { CVM_PCI_TEXT = 24, CVM_PCI_NUM_BARS = 6 };

/*
 * "0000:18:00.0", or "18:00.0" in domain 0; hex digits of either case, no blanks.
 *
 * @return false with CVM_ERR_MALFORMED showing the text.
 */
CVM_MUST_CHECK bool cvm_pci_address_parse(const char *text, struct cvm_pci_address *out,
                                          struct cvm_error *err);

/* "10de:2335": four hex digits each; CVM_ERR_MALFORMED showing the text. */
CVM_MUST_CHECK bool cvm_pci_id_parse(const char *text, uint16_t *vendor, uint16_t *device,
                                     struct cvm_error *err);

struct cvm_pci_text {
    char text[CVM_PCI_TEXT];
};

/* As the kernel writes it, domain included. */
struct cvm_pci_text cvm_pci_address_text(struct cvm_pci_address address);

/* Negative, zero or positive as a is before, equal to or behind b. */
int cvm_pci_address_compare(struct cvm_pci_address a, struct cvm_pci_address b);

/* Which window of a bridge a range of a device lies in. */
enum cvm_pci_bar_kind {
    CVM_PCI_BAR_NONE,
    CVM_PCI_BAR_IO,
    CVM_PCI_BAR_MEM32, /* memory that is not both 64-bit and prefetchable */
    CVM_PCI_BAR_MEM64,
};

/* A range of a device. */
struct cvm_pci_bar {
    enum cvm_pci_bar_kind kind;
    uint64_t size; /* bytes; 0: none */
};

struct cvm_pci_facts {
    struct cvm_pci_address address;
    uint16_t vendor;
    uint16_t device;
    uint32_t class;              /* 24 bits: base class, subclass, interface */
    int numa_node;               /* -1: the kernel knows none */
    char driver[CVM_SYSFS_NAME]; /* "": none */
    bool has_group;
    uint32_t iommu_group;
    struct cvm_pci_bar bars[CVM_PCI_NUM_BARS];
};

/* Whether the host has a device at this address. */
bool cvm_pci_exists(const char *root, struct cvm_pci_address address);

/* Reads what kind of device it is, and nothing else. */
CVM_MUST_CHECK bool cvm_pci_read_id(const char *root, struct cvm_pci_address address,
                                    uint16_t *vendor, uint16_t *device, struct cvm_error *err);

/*
 * Reads what the kernel says of a device.
 *
 * @param root  see vmm/sysfs.h.
 * @return false with CVM_ERR_SYSTEM where something cannot be read, CVM_ERR_MALFORMED naming file
 *         and text for what is not as the kernel writes it.
 */
CVM_MUST_CHECK bool cvm_pci_read(const char *root, struct cvm_pci_address address,
                                 struct cvm_pci_facts *out, struct cvm_error *err);

/* Addresses of devices, ascending. */
struct cvm_pci_addresses {
    struct cvm_pci_address *items; /* owned */
    size_t count;
};

/* All devices of the host. */
CVM_MUST_CHECK bool cvm_pci_list(const char *root, struct cvm_pci_addresses *out,
                                 struct cvm_error *err);

/* The devices of an IOMMU group. */
CVM_MUST_CHECK bool cvm_pci_list_group(const char *root, uint32_t group,
                                       struct cvm_pci_addresses *out, struct cvm_error *err);
void cvm_pci_addresses_free(struct cvm_pci_addresses *addresses);

/* Reads the six ranges out of the text of a "resource" file; for cvm_pci_read() and tests. */
CVM_MUST_CHECK bool cvm_pci_parse_bars(const char *text, struct cvm_pci_bar out[CVM_PCI_NUM_BARS],
                                       struct cvm_error *err);

#endif
