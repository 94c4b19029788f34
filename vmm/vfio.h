/*
 * Whether devices of the host are ready to be given to a guest through VFIO: each bound to
 * vfio-pci, the rest of its IOMMU group out of the way, and the kernel's interfaces there.
 *
 * Nothing is rebound: the messages say what to run.
 *
 * Source: the kernel's documentation of VFIO (driver-api/vfio).
 */
#ifndef CVM_VMM_VFIO_H
#define CVM_VMM_VFIO_H

#include "vmm/resources.h"

/* How the document of a guest asks libvirt for iommufd. */
enum cvm_iommufd_form {
    CVM_IOMMUFD_NONE,
    CVM_IOMMUFD_PER_DEVICE, /* since libvirt 12.1 */
    CVM_IOMMUFD_PER_DOMAIN, /* since libvirt 12.2 */
};

/*
 * Whether a device can be given to a guest.
 *
 * @param what     "GPU", "NVSwitch": for messages.
 * @return false with CVM_ERR_SYSTEM naming the device, its driver and what to do.
 */
CVM_MUST_CHECK bool cvm_vfio_check(const char *root, const char *what,
                                   struct cvm_pci_address address, struct cvm_error *err);

/* Whether the host has what a guest holds of it: devices that are ready, free huge pages. */
CVM_MUST_CHECK bool cvm_resources_check(const struct cvm_resources *r, const char *root,
                                        struct cvm_error *err);

/*
 * The form that a libvirt offers; none where the host has no /dev/iommu or libvirt no support.
 *
 * @param libvirt   version as 1000000 * major + 1000 * minor + release; 0: not known.
 * @param refused   whether libvirt reports that this emulator cannot.
 * @return false with CVM_ERR_UNSUPPORTED where `use` is "on" and the host cannot.
 */
CVM_MUST_CHECK bool cvm_iommufd_choose(enum cvm_iommufd_use use, const char *root,
                                       unsigned long libvirt, bool refused,
                                       enum cvm_iommufd_form *out, struct cvm_error *err);

#endif
