/*
 * Guests through libvirt's C API. The only includer of libvirt is hypervisor.c.
 *
 * Domains are named by UUID. libvirt's last error becomes a cvm_error at once; libvirt itself
 * never prints. An event loop runs in a thread of its own while a connection is open, which
 * the embedded driver (qemu:///embed) needs as well.
 *
 * Source: libvirt's API reference; docs/operations.md for what the versions do.
 */
#ifndef CVM_VMM_HYPERVISOR_H
#define CVM_VMM_HYPERVISOR_H

#include "measure/base/buf.h"

struct cvm_hypervisor; /* opaque: a connection */

#define cvm_autohypervisor CVM_CLEANUP(cvm_hypervisor_close_at)

/*
 * Connects. An embedded root that another such process holds is waited for, up to half a minute.
 *
 * @return false with CVM_ERR_SYSTEM and libvirt's reason.
 */
CVM_MUST_CHECK bool cvm_hypervisor_open(const char *uri, struct cvm_hypervisor **out,
                                        struct cvm_error *err);
void cvm_hypervisor_close(struct cvm_hypervisor *h);
void cvm_hypervisor_close_at(struct cvm_hypervisor **slot);

/* libvirt's version as 1000000 * major + 1000 * minor + release. */
CVM_MUST_CHECK bool cvm_hypervisor_version(struct cvm_hypervisor *h, unsigned long *out,
                                           struct cvm_error *err);

/* Whether libvirt's QEMU driver runs within this process. */
bool cvm_hypervisor_is_embedded(const struct cvm_hypervisor *h);

/* Whether domains with this emulator can be TDs: <launchSecurity> reports the sectype tdx. */
CVM_MUST_CHECK bool cvm_hypervisor_has_tdx(struct cvm_hypervisor *h, const char *emulator,
                                           bool *out, struct cvm_error *err);

/* Whether domains with this emulator can have a tpm-tis that libvirt runs swtpm for. */
CVM_MUST_CHECK bool cvm_hypervisor_has_tpm(struct cvm_hypervisor *h, const char *emulator,
                                           bool *out, struct cvm_error *err);

/*
 * Whether libvirt reports that domains with this emulator cannot use iommufd. Versions that report
 * nothing about it refuse nothing here.
 */
CVM_MUST_CHECK bool cvm_hypervisor_refuses_iommufd(struct cvm_hypervisor *h, const char *emulator,
                                                   bool *out, struct cvm_error *err);

enum cvm_domain_state {
    CVM_DOMAIN_ABSENT, /* libvirt does not know it */
    CVM_DOMAIN_OFF,
    CVM_DOMAIN_RUNNING,
    CVM_DOMAIN_PAUSED,
    CVM_DOMAIN_CRASHED,
};

/* The word of a state: "absent", "off", "running", "paused", "crashed". */
const char *cvm_domain_state_word(enum cvm_domain_state state);

CVM_MUST_CHECK bool cvm_hypervisor_state(struct cvm_hypervisor *h, const char *uuid,
                                         enum cvm_domain_state *out, struct cvm_error *err);

/* Whether a domain of this name exists. */
CVM_MUST_CHECK bool cvm_hypervisor_has_name(struct cvm_hypervisor *h, const char *name, bool *out,
                                            struct cvm_error *err);

/* Defines a domain, or replaces the definition of one with the same name and UUID. */
CVM_MUST_CHECK bool cvm_hypervisor_define(struct cvm_hypervisor *h, const char *xml,
                                          struct cvm_error *err);

/* Starts a defined domain with its CPUs stopped: QEMU has read firmware, kernel and initrd. */
CVM_MUST_CHECK bool cvm_hypervisor_start_paused(struct cvm_hypervisor *h, const char *uuid,
                                                struct cvm_error *err);
CVM_MUST_CHECK bool cvm_hypervisor_resume(struct cvm_hypervisor *h, const char *uuid,
                                          struct cvm_error *err);

/* Leads a port of the host to one of the guest, behind user network number `nic`. */
CVM_MUST_CHECK bool cvm_hypervisor_forward(struct cvm_hypervisor *h, const char *uuid, unsigned nic,
                                           const char *protocol, const char *address,
                                           unsigned host_port, unsigned guest_port,
                                           struct cvm_error *err);

/*
 * Presses the power button and waits for the domain to be off; after `patience` seconds it is
 * ended by force. 0 means by force at once. A domain that is off already is no error.
 *
 * @param graceful  set to whether the guest went by itself.
 */
CVM_MUST_CHECK bool cvm_hypervisor_stop(struct cvm_hypervisor *h, const char *uuid,
                                        unsigned patience, bool *graceful, struct cvm_error *err);

/* Forgets a domain that is off; one that libvirt does not know is no error. */
CVM_MUST_CHECK bool cvm_hypervisor_undefine(struct cvm_hypervisor *h, const char *uuid,
                                            struct cvm_error *err);

/*
 * Waits until a domain is no longer running, or `seconds` have passed (0: for ever).
 *
 * @param stopped  set to whether it is off.
 */
CVM_MUST_CHECK bool cvm_hypervisor_wait(struct cvm_hypervisor *h, const char *uuid,
                                        unsigned seconds, bool *stopped, struct cvm_error *err);

#endif
