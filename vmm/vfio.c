#include "vmm/vfio.h"

#include "vmm/device_pool.h"

#include <stdio.h>

/* Drivers of vendors are named like nvgrace-gpu-vfio-pci or mlx5_vfio_pci. */
static bool is_vfio_driver(const char *driver)
{
    static const char *const endings[] = { "vfio-pci", "vfio_pci" };
    size_t n = strlen(driver);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t m = strlen(endings[i]);
        if (n >= m && strcmp(driver + n - m, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Bridges belong to the host, and do not hinder VFIO. */
static bool is_bridge(const struct cvm_pci_facts *f)
{
    enum { BRIDGE_CLASS = 0x06 };
    return f->class >> 16 == BRIDGE_CLASS;
}

static bool check_driver(const char *what, const struct cvm_pci_facts *f, struct cvm_error *err)
{
    const struct cvm_pci_text at = cvm_pci_address_text(f->address);
    if (is_vfio_driver(f->driver)) {
        return true;
    }
    return f->driver[0] == '\0'
               ? cvm_fail(
                     err, CVM_ERR_SYSTEM,
                     "%s %s has no driver, and must have vfio-pci; run: driverctl set-override "
                     "%s vfio-pci",
                     what, at.text, at.text)
               : cvm_fail(err, CVM_ERR_SYSTEM,
                          "%s %s belongs to the host's driver '%s', and must have vfio-pci; stop "
                          "what uses it, then run: driverctl set-override %s vfio-pci",
                          what, at.text, f->driver, at.text);
}

static bool check_member(const char *root, const char *what, const struct cvm_pci_facts *f,
                         struct cvm_pci_address member, struct cvm_error *err)
{
    const struct cvm_pci_text at = cvm_pci_address_text(member);
    struct cvm_pci_facts other;
    if (!cvm_pci_read(root, member, &other, err)) {
        return false;
    }
    return other.driver[0] == '\0' || is_vfio_driver(other.driver) || is_bridge(&other)
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM,
                          "%s %s shares IOMMU group %u with %s, which belongs to the host's driver "
                          "'%s'; all of a group goes to guests or none; run: driverctl "
                          "set-override %s vfio-pci",
                          what, cvm_pci_address_text(f->address).text, f->iommu_group, at.text,
                          other.driver, at.text);
}

static bool check_group(const char *root, const char *what, const struct cvm_pci_facts *f,
                        struct cvm_error *err)
{
    CVM_CLEANUP(cvm_pci_addresses_free)
    struct cvm_pci_addresses members = { 0 };
    if (!f->has_group) {
        return cvm_fail(
            err, CVM_ERR_SYSTEM,
            "%s %s is in no IOMMU group: the host's IOMMU is off; switch VT-d on in the "
            "BIOS and boot the kernel with intel_iommu=on",
            what, cvm_pci_address_text(f->address).text);
    }
    if (!cvm_pci_list_group(root, f->iommu_group, &members, err)) {
        return false;
    }
    for (size_t i = 0; i < members.count; i++) {
        if (!check_member(root, what, f, members.items[i], err)) {
            return false;
        }
    }
    return true;
}

static bool check_interface(const char *root, const char *what, const struct cvm_pci_facts *f,
                            struct cvm_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/%u", f->iommu_group);
    if (!cvm_sysfs_has(root, "/dev/vfio/vfio")) {
        return cvm_fail(err, CVM_ERR_SYSTEM,
                        "%s/dev/vfio/vfio does not exist; run: modprobe vfio-pci", root);
    }
    return cvm_sysfs_has(root, path)
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM,
                          "%s%s, the IOMMU group of %s %s, does not exist; bind the device to "
                          "vfio-pci again",
                          root, path, what, cvm_pci_address_text(f->address).text);
}

bool cvm_vfio_check(const char *root, const char *what, struct cvm_pci_address address,
                    struct cvm_error *err)
{
    struct cvm_pci_facts f;
    if (!cvm_pci_exists(root, address)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "%s %s: the host has no such device any more", what,
                        cvm_pci_address_text(address).text);
    }
    return cvm_pci_read(root, address, &f, err) && check_driver(what, &f, err) &&
           check_group(root, what, &f, err) && check_interface(root, what, &f, err);
}

static bool check_devices(const char *root, enum cvm_pool_kind kind,
                          const struct cvm_pci_address *devices, size_t count,
                          struct cvm_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!cvm_vfio_check(root, cvm_pool_word(kind), devices[i], err)) {
            return false;
        }
    }
    return true;
}

bool cvm_resources_check(const struct cvm_resources *r, const char *root, struct cvm_error *err)
{
    for (size_t i = 0; i < r->num_huge_pages; i++) {
        if (!cvm_huge_pages_check(root, &r->huge_pages[i], err)) {
            return false;
        }
    }
    return check_devices(root, CVM_POOL_GPU, r->gpus, r->num_gpus, err) &&
           check_devices(root, CVM_POOL_NVSWITCH, r->nvswitches, r->num_nvswitches, err);
}

bool cvm_iommufd_choose(enum cvm_iommufd_use use, const char *root, unsigned long libvirt,
                        bool refused, enum cvm_iommufd_form *out, struct cvm_error *err)
{
    enum { PER_DEVICE = 12001000, PER_DOMAIN = 12002000 };
    bool has_device = cvm_sysfs_has(root, "/dev/iommu");
    *out = CVM_IOMMUFD_NONE;
    if (use == CVM_IOMMUFD_OFF) {
        return true;
    }
    if (has_device && !refused && libvirt >= PER_DEVICE) {
        *out = libvirt >= PER_DOMAIN ? CVM_IOMMUFD_PER_DOMAIN : CVM_IOMMUFD_PER_DEVICE;
        return true;
    }
    return use == CVM_IOMMUFD_AUTO
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED, "the host configuration wants iommufd, but %s",
                          !has_device ? "the host has no /dev/iommu"
                          : refused   ? "libvirt reports that this emulator has none"
                                      : "libvirt is older than 12.1");
}
