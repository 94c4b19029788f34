/*
 * The parts of the domain document that give a guest what is the host's: expanders and root ports
 * with GPUs and NVSwitches behind them, NUMA nodes, huge pages, CPUs.
 *
 * Controllers are numbered in the order in which QEMU is to meet them, since that is how it
 * numbers hot-plug buses: expanders in the order of their nodes, each followed by the ports
 * behind it, then the ports of the root bus by slot.
 */
#ifndef CVM_VMM_DOMAIN_DEVICES_H
#define CVM_VMM_DOMAIN_DEVICES_H

#include "vmm/domain_xml.h"

/* Markup, each with a NUL at its end. */
struct cvm_domain_parts {
    struct cvm_buf controllers;
    struct cvm_buf hostdevs;
    struct cvm_buf numa; /* within <cpu> */
    struct cvm_buf memory_backing;
    struct cvm_buf numatune;
    struct cvm_buf cputune;
    struct cvm_buf iommufd;
};

/*
 * Renders what the machine has of them.
 *
 * @return false with CVM_ERR_UNSUPPORTED where the machine has other GPUs and NVSwitches than the
 *         domain's placement, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_domain_parts_render(const struct cvm_machine *machine,
                                            const struct cvm_domain *domain,
                                            struct cvm_domain_parts *out, struct cvm_error *err);
void cvm_domain_parts_free(struct cvm_domain_parts *parts);

/* Whether a device of the root bus is rendered here. */
bool cvm_domain_is_controller(enum cvm_device_role role);

#endif
