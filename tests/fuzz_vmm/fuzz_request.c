/* What a request says is within its limits once it is accepted. */
#include "tests/fuzz/fuzz.h"

#include "vmm/request.h"

#include <string.h>

static void check_networks(const struct cvm_request *r)
{
    bool has_user = false;
    for (size_t i = 0; i < r->num_networks; i++) {
        const struct cvm_network *n = &r->networks[i];
        has_user |= n->mode == CVM_NETWORK_USER;
        fuzz_require((n->source != NULL) == (n->mode != CVM_NETWORK_USER), "source by mode");
        fuzz_require(n->mac == NULL || strlen(n->mac) == 17, "a whole MAC address");
    }
    fuzz_require(has_user || r->num_ports == 0, "ports lead somewhere");
}

static void check_devices(const struct cvm_device_request *d)
{
    const struct cvm_device_selectors *const lists[] = { &d->gpus, &d->nvswitches };
    for (size_t i = 0; i < 2; i++) {
        fuzz_require(lists[i]->count <= CVM_MAX_SELECTORS, "devices within their limits");
        fuzz_require(cvm_requested_count(lists[i]) <= CVM_MAX_GPUS, "not too many devices");
        for (size_t k = 0; k < lists[i]->count; k++) {
            fuzz_require(lists[i]->items[k].count >= 1, "at least one of a kind");
        }
    }
    for (uint32_t i = 1; i < d->numa.num_nodes; i++) {
        fuzz_require(d->numa.nodes[i] > d->numa.nodes[i - 1], "ascending nodes");
    }
}

static void check_request(const struct cvm_request *r)
{
    struct cvm_error err = { 0 };
    fuzz_require(cvm_check_name(r->name, &err), "a good name");
    fuzz_require(strchr(r->name, '/') == NULL && r->name[0] != '.', "a name that is no path");
    fuzz_require(r->vcpu.set && r->vcpu.value >= 1 && r->vcpu.value <= 4096, "vcpu in range");
    fuzz_require(r->memory.set && r->disk_size.set && r->app_compose != NULL, "what is required");
    fuzz_require(r->num_networks <= CVM_MAX_NETWORKS && r->num_ports <= CVM_MAX_PORTS &&
                     r->num_volumes <= CVM_MAX_VOLUMES,
                 "lists within their limits");
    for (size_t i = 0; i < r->num_volumes; i++) {
        fuzz_require(r->volumes[i].path[0] == '/', "absolute paths");
    }
    for (size_t i = 0; i < r->num_ports; i++) {
        const struct cvm_port *p = &r->ports[i];
        fuzz_require(p->host_port.value - 1 < 65535 && p->guest_port.value - 1 < 65535, "ports");
        fuzz_require(strspn(p->address, "0123456789.") == strlen(p->address), "an address");
    }
    for (size_t i = 0; cvm_smbios_name(i) != NULL; i++) {
        struct cvm_smbios s;
        cvm_smbios_fill(&r->smbios, &s);
        fuzz_require(strlen(cvm_smbios_value(&s, i)) < 64, "SMBIOS strings that end");
    }
    check_networks(r);
    check_devices(&r->devices);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct json_object *document = NULL;
    cvm_autorequest struct cvm_request r = { 0 };
    if (fuzz_accepted(cvm_json_parse("it", (struct cvm_bytes){ data, size }, &document, &err),
                      &err) &&
        fuzz_accepted(cvm_request_decode(document, &r, &err), &err)) {
        check_request(&r);
    }
    return 0;
}
