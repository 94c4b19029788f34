#include "vmm/domain_devices.h"

#include "vmm/template.h"

#include <stdio.h>

enum { MAX_CONTROLLERS = CVM_MAX_NUMA_NODES + 2 * CVM_MAX_GPUS, NUMBER = 24 };

/* An expander, or a root port with the device behind it. */
struct controller {
    bool is_expander;
    unsigned bus, slot; /* where it is: 0, or the index of an expander */
    uint32_t node;      /* of an expander */
    uint8_t bus_number;
    enum cvm_pool_kind kind; /* of the device behind a port */
    uint32_t device;         /* its number among those */
};

/* Controller i has the index i + 1; the root bus is 0. */
struct layout {
    struct controller items[MAX_CONTROLLERS];
    unsigned count;
    uint32_t gpus, nvswitches;
};

bool cvm_domain_is_controller(enum cvm_device_role role)
{
    return role == CVM_DEVICE_GPU_PORT || role == CVM_DEVICE_NVSWITCH_PORT ||
           role == CVM_DEVICE_EXPANDER;
}

/* --- the layout --- */

static bool add(struct layout *l, const struct controller *c, struct cvm_error *err)
{
    if (l->count == MAX_CONTROLLERS) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "more than %d PCI controllers", MAX_CONTROLLERS);
    }
    l->items[l->count++] = *c;
    return true;
}

static bool add_port(struct layout *l, unsigned bus, unsigned slot, enum cvm_pool_kind kind,
                     struct cvm_error *err)
{
    uint32_t *next = kind == CVM_POOL_GPU ? &l->gpus : &l->nvswitches;
    const struct controller port = { .bus = bus, .slot = slot, .kind = kind, .device = *next };
    ++*next;
    return add(l, &port, err);
}

/* The i-th expander belongs to the i-th node that has one. */
static uint32_t node_of_expander(const struct cvm_machine *m, uint32_t expander)
{
    uint32_t node = 0;
    for (uint32_t seen = 0; node < m->num_numa_nodes; node++) {
        seen += m->numa_nodes[node].has_expander;
        if (seen == expander + 1) {
            break;
        }
    }
    return node;
}

static bool add_expander(struct layout *l, const struct cvm_machine *m, uint32_t expander,
                         unsigned slot, struct cvm_error *err)
{
    uint32_t node = node_of_expander(m, expander);
    if (node == m->num_numa_nodes) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "expander %u belongs to no NUMA node", expander);
    }
    const struct controller c = {
        .is_expander = true,
        .slot = slot,
        .node = node,
        .bus_number = m->numa_nodes[node].expander_bus,
    };
    if (!add(l, &c, err)) {
        return false;
    }
    unsigned index = l->count;
    for (uint32_t i = 0; i < m->numa_nodes[node].num_gpus; i++) {
        if (!add_port(l, index, i, CVM_POOL_GPU, err)) {
            return false;
        }
    }
    return true;
}

static bool lay_out(struct layout *l, const struct cvm_machine *m, struct cvm_error *err)
{
    uint32_t expanders = 0;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        const struct cvm_pci_device *d = &m->devices[i];
        if (d->role == CVM_DEVICE_EXPANDER && !add_expander(l, m, expanders++, d->slot, err)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < m->num_devices; i++) {
        const struct cvm_pci_device *d = &m->devices[i];
        enum cvm_pool_kind kind = d->role == CVM_DEVICE_GPU_PORT ? CVM_POOL_GPU : CVM_POOL_NVSWITCH;
        bool is_port = cvm_domain_is_controller(d->role) && d->role != CVM_DEVICE_EXPANDER;
        if (is_port && !add_port(l, 0, d->slot, kind, err)) {
            return false;
        }
    }
    return true;
}

/* --- rendering --- */

struct number {
    char text[NUMBER];
};

static struct number decimal(uint64_t value)
{
    struct number n;
    snprintf(n.text, sizeof n.text, "%llu", (unsigned long long)value);
    return n;
}

static struct number hex(unsigned value, int digits)
{
    struct number n;
    snprintf(n.text, sizeof n.text, "%0*x", digits, value);
    return n;
}

static bool render(const char *template, const struct cvm_template_value *values,
                   struct cvm_buf *out, struct cvm_error *err)
{
    return cvm_template_render(template, cvm_template_find(template), values, out, err);
}

/* Ends a part, so that it is a C string. */
static bool end(struct cvm_buf *part, struct cvm_error *err)
{
    cvm_put_u8(part, '\0');
    return cvm_buf_finish(part, "domain document", err);
}

/* Markup that goes as a value into another template. */
static bool wrap(const char *template, const char *name, struct cvm_buf *markup,
                 struct cvm_buf *out, struct cvm_error *err)
{
    if (!end(markup, err)) {
        return false;
    }
    const struct cvm_template_value values[] = {
        { name, .markup = (const char *)markup->data },
        { 0 },
    };
    return render(template, values, out, err);
}

static bool render_controllers(const struct layout *l, struct cvm_buf *out, struct cvm_error *err)
{
    for (unsigned i = 0; i < l->count; i++) {
        const struct controller *c = &l->items[i];
        const struct number index = decimal(i + 1);
        const struct number bus = hex(c->bus, 2);
        const struct number slot = hex(c->slot, 2);
        const struct number bus_number = decimal(c->bus_number);
        const struct number node = decimal(c->node);
        const struct cvm_template_value expander[] = {
            { "index", index.text },
            { "bus_number", bus_number.text },
            { "node", node.text },
            { "slot", slot.text },
            { 0 },
        };
        const struct cvm_template_value port[] = {
            { "index", index.text },
            { "bus", bus.text },
            { "slot", slot.text },
            { 0 },
        };
        if (c->is_expander ? !render("expander", expander, out, err)
                           : !render("port", port, out, err)) {
            return false;
        }
    }
    return true;
}

static bool render_device(const struct controller *c, unsigned index, const struct cvm_placement *p,
                          enum cvm_iommufd_form iommufd, struct cvm_buf *out, struct cvm_error *err)
{
    bool is_gpu = c->kind == CVM_POOL_GPU;
    const struct cvm_pci_address at =
        is_gpu ? p->gpus[c->device].address : p->nvswitches[c->device].address;
    const struct number bus = hex(index, 2);
    const struct number domain = hex(at.domain, 4);
    const struct number host_bus = hex(at.bus, 2);
    const struct number host_slot = hex(at.slot, 2);
    const struct number host_function = hex(at.function, 1);
    char alias[NUMBER];
    snprintf(alias, sizeof alias, "%s%u", is_gpu ? "ua-gpu" : "ua-nvswitch", c->device);
    const struct cvm_template_value stand_in[] = {
        { "alias", alias },
        { "bus", bus.text },
        { 0 },
    };
    const struct cvm_template_value hostdev[] = {
        { "alias", alias },
        { "bus", bus.text },
        { "domain", domain.text },
        { "host_bus", host_bus.text },
        { "host_slot", host_slot.text },
        { "host_function", host_function.text },
        { "iommufd", .markup = iommufd == CVM_IOMMUFD_PER_DEVICE ? " iommufd='yes'" : "" },
        { 0 },
    };
    return p->stand_in ? render("hostdev_stand_in", stand_in, out, err)
                       : render("hostdev", hostdev, out, err);
}

static bool render_hostdevs(const struct layout *l, const struct cvm_placement *p,
                            enum cvm_iommufd_form iommufd, struct cvm_buf *out,
                            struct cvm_error *err)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (!l->items[i].is_expander && !render_device(&l->items[i], i + 1, p, iommufd, out, err)) {
            return false;
        }
    }
    return true;
}

static bool render_numa(const struct cvm_machine *m, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf cells = { 0 };
    uint32_t cpu = 0;
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *n = &m->numa_nodes[i];
        const struct number id = decimal(i);
        const struct number first = decimal(cpu);
        const struct number last = decimal(cpu + n->cpu_count - 1);
        const struct number memory = decimal(n->memory_size >> 10);
        const struct cvm_template_value cell[] = {
            { "id", id.text },
            { "first_cpu", first.text },
            { "last_cpu", last.text },
            { "memory_kib", memory.text },
            { 0 },
        };
        if (!render("numa_cell", cell, &cells, err)) {
            return false;
        }
        cpu += n->cpu_count;
    }
    if (m->num_numa_nodes == 0) {
        return true;
    }
    if (!wrap("numa", "cells", &cells, out, err)) {
        return false;
    }
    out->len--; /* it stands within a line */
    return true;
}

static bool render_memory_backing(const struct cvm_placement *p, struct cvm_buf *out,
                                  struct cvm_error *err)
{
    const struct number kib = decimal(p->page_size >> 10);
    const struct cvm_template_value values[] = { { "page_kib", kib.text }, { 0 } };
    return p->page_size == 0 || render("memory_backing", values, out, err);
}

static bool render_numatune(const struct cvm_placement *p, struct cvm_buf *out,
                            struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf memnodes = { 0 };
    for (uint32_t i = 0; i < p->num_nodes; i++) {
        const struct number id = decimal(i);
        const struct number host_node = decimal(p->nodes[i].host_node);
        const struct cvm_template_value values[] = {
            { "id", id.text },
            { "host_node", host_node.text },
            { 0 },
        };
        if (p->nodes[i].bound && !render("memnode", values, &memnodes, err)) {
            return false;
        }
    }
    return memnodes.len == 0 || wrap("numatune", "memnodes", &memnodes, out, err);
}

static bool render_cputune(const struct cvm_placement *p, struct cvm_buf *out,
                           struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf pins = { 0 };
    for (uint32_t i = 0; p->pinned && i < p->cpu_count; i++) {
        const struct number vcpu = decimal(i);
        const struct number cpu = decimal(p->cpus[i]);
        const struct cvm_template_value values[] = {
            { "vcpu", vcpu.text },
            { "cpu", cpu.text },
            { 0 },
        };
        if (!render("vcpupin", values, &pins, err)) {
            return false;
        }
    }
    return pins.len == 0 || wrap("cputune", "pins", &pins, out, err);
}

/* --- the whole --- */

static const struct cvm_placement no_placement;

static bool check_devices(const struct layout *l, const struct cvm_placement *p,
                          struct cvm_error *err)
{
    return l->gpus == p->num_gpus && l->nvswitches == p->num_nvswitches
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "the machine has ports for %u GPUs and %u NVSwitches, and %u and %u are "
                          "given to it",
                          l->gpus, l->nvswitches, p->num_gpus, p->num_nvswitches);
}

/* What of the host is really taken: not where devices are stood in for. */
static bool render_host(const struct cvm_placement *p, struct cvm_domain_parts *out,
                        struct cvm_error *err)
{
    return p->stand_in ||
           (render_memory_backing(p, &out->memory_backing, err) &&
            render_numatune(p, &out->numatune, err) && render_cputune(p, &out->cputune, err));
}

static bool end_parts(struct cvm_domain_parts *p, struct cvm_error *err)
{
    return end(&p->controllers, err) && end(&p->hostdevs, err) && end(&p->numa, err) &&
           end(&p->memory_backing, err) && end(&p->numatune, err) && end(&p->cputune, err) &&
           end(&p->iommufd, err);
}

bool cvm_domain_parts_render(const struct cvm_machine *machine, const struct cvm_domain *domain,
                             struct cvm_domain_parts *out, struct cvm_error *err)
{
    const struct cvm_placement *p = domain->placement == NULL ? &no_placement : domain->placement;
    struct layout l = { .count = 0 };
    if (!lay_out(&l, machine, err) || !check_devices(&l, p, err) ||
        !render_controllers(&l, &out->controllers, err) ||
        !render_hostdevs(&l, p, domain->iommufd, &out->hostdevs, err) ||
        !render_numa(machine, &out->numa, err) || !render_host(p, out, err)) {
        return false;
    }
    if (domain->iommufd == CVM_IOMMUFD_PER_DOMAIN && !p->stand_in && l.count != 0) {
        cvm_put_text(&out->iommufd, "  <iommufd enabled='yes'/>\n");
    }
    return end_parts(out, err);
}

void cvm_domain_parts_free(struct cvm_domain_parts *p)
{
    struct cvm_buf *const all[] = { &p->controllers, &p->hostdevs, &p->numa,   &p->memory_backing,
                                    &p->numatune,    &p->cputune,  &p->iommufd };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cvm_buf_free(all[i]);
    }
}
