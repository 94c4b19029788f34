#include "vmm/placement.h"

/* An expander has the slots of one bus for its ports. */
enum { EXPANDER_SLOTS = 32, FIRST_EXPANDER_BUS = 5 };

/* --- nodes --- */

/* The node of the host that a GPU belongs to. */
static bool node_of_gpu(const struct cvm_placement_wish *wish, const struct cvm_pci_facts *gpu,
                        uint32_t *out, struct cvm_error *err)
{
    const struct cvm_numa_request *numa = &wish->request->numa;
    struct cvm_cpu_set online;
    if (gpu->numa_node >= 0) {
        *out = (uint32_t)gpu->numa_node;
        return true;
    }
    if (numa->num_nodes == 1) {
        *out = numa->nodes[0];
        return true;
    }
    if (!cvm_host_nodes(cvm_host_root(wish->host), &online, err)) {
        return false;
    }
    *out = 0;
    return cvm_cpu_set_count(&online) == 1 && cvm_cpu_set_has(&online, 0)
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "the kernel knows no NUMA node of GPU %s, and the host has several; name "
                          "one in the request's \"numa\": {\"nodes\": [N]}",
                          cvm_pci_address_text(gpu->address).text);
}

/* Adds a node of the host unless it is there; ascending. */
static bool add_node(struct cvm_placement *p, uint32_t host_node, struct cvm_error *err)
{
    uint32_t at = 0;
    while (at < p->num_nodes && p->nodes[at].host_node < host_node) {
        at++;
    }
    if (at < p->num_nodes && p->nodes[at].host_node == host_node) {
        return true;
    }
    if (p->num_nodes == CVM_MAX_NUMA_NODES) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "GPUs of more than %d NUMA nodes",
                        CVM_MAX_NUMA_NODES);
    }
    memmove(&p->nodes[at + 1], &p->nodes[at], (p->num_nodes - at) * sizeof p->nodes[0]);
    p->nodes[at] = (struct cvm_placed_node){ .bound = true, .host_node = host_node };
    p->num_nodes++;
    return true;
}

static struct cvm_placed_node *find_node(struct cvm_placement *p, uint32_t host_node)
{
    for (uint32_t i = 0; i < p->num_nodes; i++) {
        if (p->nodes[i].host_node == host_node) {
            return &p->nodes[i];
        }
    }
    return NULL;
}

static bool check_requested_nodes(const struct cvm_placement_wish *wish, struct cvm_error *err)
{
    const struct cvm_numa_request *numa = &wish->request->numa;
    struct cvm_cpu_set online;
    if (numa->num_nodes == 0) {
        return true;
    }
    if (!cvm_host_nodes(cvm_host_root(wish->host), &online, err)) {
        return false;
    }
    for (uint32_t i = 0; i < numa->num_nodes; i++) {
        if (!cvm_cpu_set_has(&online, numa->nodes[i])) {
            return cvm_fail(err, CVM_ERR_USAGE, "the host has no NUMA node %u", numa->nodes[i]);
        }
    }
    return true;
}

/* Nodes named by the request, else those of the GPUs, else one that is bound to none. */
static bool make_nodes(const struct cvm_placement_wish *wish, struct cvm_placement *p,
                       uint32_t gpu_nodes[CVM_MAX_GPUS], struct cvm_error *err)
{
    const struct cvm_numa_request *numa = &wish->request->numa;
    if (!check_requested_nodes(wish, err)) {
        return false;
    }
    for (uint32_t i = 0; i < numa->num_nodes; i++) {
        if (!add_node(p, numa->nodes[i], err)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < p->num_gpus; i++) {
        if (!node_of_gpu(wish, &p->gpus[i], &gpu_nodes[i], err)) {
            return false;
        }
        if (numa->num_nodes != 0 && find_node(p, gpu_nodes[i]) == NULL) {
            return cvm_fail(err, CVM_ERR_USAGE,
                            "GPU %s is on NUMA node %u of the host, which the request's \"numa\" "
                            "does not name",
                            cvm_pci_address_text(p->gpus[i].address).text, gpu_nodes[i]);
        }
        if (!add_node(p, gpu_nodes[i], err)) {
            return false;
        }
    }
    if (p->num_nodes == 0) {
        p->nodes[p->num_nodes++] = (struct cvm_placed_node){ .bound = false };
    }
    return true;
}

/* GPUs follow each other by node, those of one node in the order they had. */
static void sort_gpus(struct cvm_placement *p, const uint32_t gpu_nodes[CVM_MAX_GPUS])
{
    struct cvm_pci_facts sorted[CVM_MAX_GPUS];
    uint32_t count = 0;
    for (uint32_t n = 0; n < p->num_nodes; n++) {
        for (uint32_t i = 0; i < p->num_gpus; i++) {
            if (gpu_nodes[i] == p->nodes[n].host_node) {
                p->nodes[n].node.num_gpus++;
                sorted[count++] = p->gpus[i];
            }
        }
    }
    memcpy(p->gpus, sorted, count * sizeof sorted[0]);
}

/*
 * Each expander's bus number leaves room for a bus per port of the one before. The first is 5, or
 * more where the ports of the root bus, which firmware numbers from 1 on, need more.
 */
static bool number_expanders(struct cvm_placement *p, struct cvm_error *err)
{
    uint32_t bus = FIRST_EXPANDER_BUS;
    if (p->num_nvswitches >= bus) {
        bus = p->num_nvswitches + 1;
    }
    for (uint32_t i = 0; i < p->num_nodes; i++) {
        struct cvm_numa_node *n = &p->nodes[i].node;
        if (n->num_gpus == 0) {
            continue;
        }
        if (n->num_gpus > EXPANDER_SLOTS || bus + n->num_gpus > UINT8_MAX) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "%u GPUs of one NUMA node, on bus %u; %d, and bus %d, are the most",
                            n->num_gpus, bus, EXPANDER_SLOTS, UINT8_MAX);
        }
        n->has_expander = true;
        n->expander_bus = (uint8_t)bus;
        bus += n->num_gpus + 1;
    }
    return true;
}

/* --- rounding --- */

static bool round_up(uint64_t value, uint64_t multiple, uint64_t *out, struct cvm_error *err)
{
    uint64_t rest = value % multiple;
    return !__builtin_add_overflow(value, rest == 0 ? 0 : multiple - rest, out)
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "%llu is too large to be rounded up to %llu",
                          (unsigned long long)value, (unsigned long long)multiple);
}

static bool divide(const struct cvm_placement_wish *wish, struct cvm_placement *p,
                   struct cvm_warnings *warnings, struct cvm_error *err)
{
    const uint64_t mib = UINT64_C(1) << 20;
    uint64_t unit = (p->page_size == 0 ? mib : p->page_size) * p->num_nodes;
    uint64_t cpus;
    if (!round_up(wish->cpu_count, p->num_nodes, &cpus, err) ||
        !round_up(wish->memory_size, unit, &p->memory_size, err)) {
        return false;
    }
    p->cpu_count = (uint32_t)cpus;
    if (p->cpu_count != wish->cpu_count) {
        cvm_warn(warnings, "%u vCPUs are rounded up to %u, which %u NUMA nodes can share equally",
                 wish->cpu_count, p->cpu_count, p->num_nodes);
    }
    if (p->memory_size != wish->memory_size) {
        cvm_warn(warnings,
                 "%llu MiB of memory are rounded up to %llu MiB, for %u NUMA node%s of whole pages "
                 "of %llu MiB",
                 (unsigned long long)(wish->memory_size / mib),
                 (unsigned long long)(p->memory_size / mib), p->num_nodes,
                 p->num_nodes == 1 ? "" : "s", (unsigned long long)(unit / p->num_nodes / mib));
    }
    for (uint32_t i = 0; i < p->num_nodes; i++) {
        p->nodes[i].node.cpu_count = p->cpu_count / p->num_nodes;
        p->nodes[i].node.memory_size = p->memory_size / p->num_nodes;
    }
    return true;
}

/* --- CPUs --- */

static bool wants_pinning(const struct cvm_placement_wish *wish, const struct cvm_placement *p,
                          bool *out, struct cvm_error *err)
{
    const struct cvm_opt_bool asked = wish->request->numa.pin_cpus;
    bool possible = p->num_nodes != 0 && p->nodes[0].bound;
    if (asked.value && !possible) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "pin_cpus needs NUMA nodes of the host: name them in \"nodes\", or ask for "
                        "GPUs and huge pages");
    }
    *out = asked.set ? asked.value : wish->host->pin_cpus.value && possible;
    return true;
}

/* The lowest CPUs of the host's node that no guest has; a CPU never runs two vCPUs. */
static bool pin_node(const struct cvm_placement_wish *wish, const struct cvm_holdings *held,
                     const struct cvm_placed_node *n, uint16_t *cpus, struct cvm_error *err)
{
    struct cvm_cpu_set of_node;
    uint32_t taken = 0;
    if (!cvm_host_node_cpus(cvm_host_root(wish->host), n->host_node, &of_node, err)) {
        return false;
    }
    for (unsigned i = 0; i < CVM_MAX_HOST_CPUS && taken < n->node.cpu_count; i++) {
        if (cvm_cpu_set_has(&of_node, i) && !cvm_cpu_set_has(&held->cpus, i)) {
            cpus[taken++] = (uint16_t)i;
        }
    }
    return taken == n->node.cpu_count
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM,
                          "%u vCPUs are to be pinned to NUMA node %u of the host, which has %u "
                          "CPUs, %u of them without a guest",
                          n->node.cpu_count, n->host_node, cvm_cpu_set_count(&of_node), taken);
}

static bool pin(const struct cvm_placement_wish *wish, const struct cvm_holdings *held,
                struct cvm_placement *p, struct cvm_error *err)
{
    uint32_t first = 0;
    if (!wants_pinning(wish, p, &p->pinned, err)) {
        return false;
    }
    for (uint32_t i = 0; i < p->num_nodes && p->pinned; i++) {
        if (p->nodes[i].node.cpu_count > CVM_MAX_CPUS - first) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED, "%u vCPUs, at most %d", p->cpu_count,
                            CVM_MAX_CPUS);
        }
        if (!pin_node(wish, held, &p->nodes[i], &p->cpus[first], err)) {
            return false;
        }
        first += p->nodes[i].node.cpu_count;
    }
    return true;
}

/* --- the whole --- */

static bool choose_devices(const struct cvm_placement_wish *wish, const struct cvm_holdings *held,
                           struct cvm_placement *p, struct cvm_warnings *warnings,
                           struct cvm_error *err)
{
    const struct cvm_device_request *r = wish->request;
    cvm_autopool struct cvm_device_pool pool = { 0 };
    if (r->gpus.count == 0 && r->nvswitches.count == 0) {
        return true;
    }
    return cvm_device_pool_load(wish->host, held, &pool, warnings, err) &&
           cvm_device_pool_choose(&pool, CVM_POOL_GPU, &r->gpus, p->gpus, &p->num_gpus, err) &&
           cvm_device_pool_choose(&pool, CVM_POOL_NVSWITCH, &r->nvswitches, p->nvswitches,
                                  &p->num_nvswitches, err);
}

static bool place_on_nodes(const struct cvm_placement_wish *wish, struct cvm_placement *p,
                           struct cvm_warnings *warnings, struct cvm_error *err)
{
    uint32_t gpu_nodes[CVM_MAX_GPUS];
    if (!make_nodes(wish, p, gpu_nodes, err)) {
        return false;
    }
    sort_gpus(p, gpu_nodes);
    return number_expanders(p, err) && divide(wish, p, warnings, err);
}

bool cvm_placement_choose(const struct cvm_placement_wish *wish, const struct cvm_holdings *held,
                          struct cvm_placement *out, struct cvm_warnings *warnings,
                          struct cvm_error *err)
{
    bool hugepages = wish->request->hugepages.value;
    bool has_nodes = hugepages || wish->request->numa.num_nodes != 0;
    *out = (struct cvm_placement){
        .cpu_count = wish->cpu_count,
        .memory_size = wish->memory_size,
        .page_size = hugepages ? wish->host->hugepage_size.value : 0,
        .stand_in = wish->host->gpu_stand_in != NULL,
    };
    return choose_devices(wish, held, out, warnings, err) &&
           (!has_nodes || place_on_nodes(wish, out, warnings, err)) && pin(wish, held, out, err);
}

bool cvm_placement_same_machine(const struct cvm_placement *a, const struct cvm_placement *b)
{
    bool same = a->num_gpus == b->num_gpus && a->num_nvswitches == b->num_nvswitches &&
                a->num_nodes == b->num_nodes && a->cpu_count == b->cpu_count &&
                a->memory_size == b->memory_size;
    for (uint32_t i = 0; same && i < a->num_nodes; i++) {
        const struct cvm_numa_node *x = &a->nodes[i].node;
        const struct cvm_numa_node *y = &b->nodes[i].node;
        same = x->num_gpus == y->num_gpus && x->expander_bus == y->expander_bus &&
               x->cpu_count == y->cpu_count && x->memory_size == y->memory_size;
    }
    return same;
}

bool cvm_placement_nodes(const struct cvm_placement *p, struct json_object **out,
                         struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    *out = NULL;
    if (p->num_nodes == 0) {
        return true;
    }
    cvm_json_begin_array(&b, NULL);
    for (uint32_t i = 0; i < p->num_nodes; i++) {
        cvm_numa_node_put(&p->nodes[i].node, &b);
    }
    cvm_json_end(&b);
    return cvm_json_take(&b, out, err);
}

/* What the ports in front of these devices take: powers of two, and the reserve at least. */
static uint64_t windows_of(const struct cvm_pci_facts *devices, uint32_t count, uint64_t reserve)
{
    const uint64_t limit = UINT64_C(1) << 52;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bars = 0;
        uint64_t window = reserve;
        for (unsigned bar = 0; bar < CVM_PCI_NUM_BARS; bar++) {
            const struct cvm_pci_bar *r = &devices[i].bars[bar];
            bars += r->window64 && r->size < limit ? r->size : 0;
        }
        while (window < bars) {
            window <<= 1;
        }
        sum += window;
    }
    return sum;
}

bool cvm_placement_check_window(const struct cvm_placement *p, const struct cvm_machine *machine,
                                struct cvm_error *err)
{
    const uint64_t gib = UINT64_C(1) << 30;
    uint64_t hole = cvm_machine_hole64_size(machine);
    uint64_t reserve = cvm_machine_port_reserve(machine);
    bool gpus_on_root_bus = p->num_nodes == 0;
    uint64_t need = windows_of(p->gpus, gpus_on_root_bus ? p->num_gpus : 0, reserve) +
                    windows_of(p->nvswitches, p->num_nvswitches, reserve);
    uint64_t enough = gib;
    while (enough <= need) { /* the other devices take less than what is left then */
        enough <<= 1;
    }
    return need < hole
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "firmware places %llu GiB for the GPUs and NVSwitches in the 64-bit PCI "
                          "window, which has %llu GiB: QEMU would declare a larger one than was "
                          "measured; set \"pci_hole64_size\": \"%lluG\" in the request's overrides "
                          "or the host's qemu",
                          (unsigned long long)(need / gib), (unsigned long long)(hole / gib),
                          (unsigned long long)(enough / gib));
}

static size_t copy_addresses(const struct cvm_pci_facts *devices, uint32_t count,
                             struct cvm_pci_address *out)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = devices[i].address;
    }
    return count;
}

void cvm_placement_resources(const struct cvm_placement *p, struct cvm_resources *out)
{
    *out = (struct cvm_resources){ .stand_in = p->stand_in };
    out->num_gpus = copy_addresses(p->gpus, p->num_gpus, out->gpus);
    out->num_nvswitches = copy_addresses(p->nvswitches, p->num_nvswitches, out->nvswitches);
    for (uint32_t i = 0; p->pinned && i < p->cpu_count; i++) {
        cvm_cpu_set_add(&out->cpus, p->cpus[i]);
    }
    for (uint32_t i = 0; p->page_size != 0 && i < p->num_nodes; i++) {
        out->huge_pages[out->num_huge_pages++] = (struct cvm_huge_pages){
            .bound = p->nodes[i].bound,
            .node = p->nodes[i].host_node,
            .size = p->page_size,
            .count = p->nodes[i].node.memory_size / p->page_size,
        };
    }
}

void cvm_placement_put(const struct cvm_placement *p, struct cvm_json_builder *b)
{
    struct cvm_resources r;
    cvm_placement_resources(p, &r);
    if (r.num_gpus + r.num_nvswitches == 0) {
        return;
    }
    cvm_resources_put_devices("gpus", r.gpus, r.num_gpus, b);
    cvm_resources_put_devices("nvswitches", r.nvswitches, r.num_nvswitches, b);
}
