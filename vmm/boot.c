#include "vmm/boot.h"

#include "vmm/log.h"

static bool forward_ports(struct cvm_hypervisor *h, const struct cvm_request *r, const char *uuid,
                          struct cvm_error *err)
{
    unsigned nic = 0;
    while (nic < r->num_networks && r->networks[nic].mode != CVM_NETWORK_USER) {
        nic++;
    }
    for (size_t i = 0; i < r->num_ports; i++) {
        const struct cvm_port *p = &r->ports[i];
        if (!cvm_hypervisor_forward(h, uuid, nic, p->protocol, p->address,
                                    (unsigned)p->host_port.value, (unsigned)p->guest_port.value,
                                    err)) {
            return false;
        }
    }
    return true;
}

bool cvm_boot(struct cvm_hypervisor *h, const struct cvm_bundle *bundle,
              const struct cvm_request *request, const char *uuid, struct cvm_error *err)
{
    cvm_log("starting domain %s, its CPUs stopped", uuid);
    return cvm_bundle_unchanged(bundle, err) && cvm_hypervisor_start_paused(h, uuid, err) &&
           cvm_bundle_unchanged(bundle, err) && forward_ports(h, request, uuid, err) &&
           cvm_hypervisor_resume(h, uuid, err);
}

void cvm_boot_take_back(struct cvm_hypervisor *h, const char *uuid, bool undefine)
{
    struct cvm_error ignored = { 0 };
    bool graceful;
    (void)!cvm_hypervisor_stop(h, uuid, 0, &graceful, &ignored);
    ignored = (struct cvm_error){ 0 };
    if (undefine) {
        (void)!cvm_hypervisor_undefine(h, uuid, &ignored);
    }
}
