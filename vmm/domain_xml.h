/*
 * The libvirt domain document of a guest.
 *
 * Rendered from templates/, each device at the slot that the machine says. What the document
 * must not have, since it would show in the ACPI tables, is listed in docs/architecture.md.
 */
#ifndef CVM_VMM_DOMAIN_XML_H
#define CVM_VMM_DOMAIN_XML_H

#include "vmm/placement.h"
#include "vmm/request.h"
#include "vmm/vfio.h"

/* Everything the document says that is not in the machine. All borrowed. */
struct cvm_domain {
    const char *name;
    const char *uuid;
    const char *os_image_hash;
    const char *emulator;
    const char *firmware, *kernel, *initrd, *cmdline; /* absolute paths; text */
    const char *rootfs;      /* absolute path; NULL where the machine has no such device */
    const char *data_disk;   /* absolute path */
    const char *share_dir;   /* absolute path */
    const char *share_mode;  /* 9p, vhd, vvfat */
    const char *share_image; /* absolute path of the disk image; for vhd */
    bool share_readonly;
    const struct cvm_volume *volumes;
    const struct cvm_network *networks;
    uint32_t cid;
    bool vsock_stand_in; /* the host has no vhost-vsock: another device takes the slot */
    bool tdx;
    bool kvm;
    uint64_t address_bits;                 /* of an emulated CPU */
    const char *mr_config_id;              /* base64, for TDX */
    const char *qgs_socket;                /* NULL: libvirt's default */
    const char *console_log;               /* absolute path */
    const char *run_as;                    /* NULL: libvirt's choice */
    const struct cvm_placement *placement; /* NULL: nothing of the host's is given */
    enum cvm_iommufd_form iommufd;
};

/* Appends the document; CVM_ERR_UNSUPPORTED for what it cannot say, CVM_ERR_NOMEM. */
CVM_MUST_CHECK bool cvm_domain_xml_render(const struct cvm_machine *machine,
                                          const struct cvm_domain *domain, struct cvm_buf *out,
                                          struct cvm_error *err);

#endif
