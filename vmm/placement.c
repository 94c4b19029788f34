#include "vmm/placement.h"

#include "vmm/machine_json.h"

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

/* An expander's windows for I/O ports show, and where firmware puts them is not known. */
static bool check_io_ports(const struct cvm_placement *p, struct cvm_error *err)
{
    for (uint32_t i = 0; i < p->num_gpus; i++) {
        for (unsigned bar = 0; bar < CVM_PCI_NUM_BARS; bar++) {
            if (p->gpus[i].bars[bar].kind == CVM_PCI_BAR_IO) {
                return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                                "GPU %s has I/O ports, whose place behind an expander is not "
                                "known; launch it without hugepages and numa",
                                cvm_pci_address_text(p->gpus[i].address).text);
            }
        }
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

/* --- what is behind the ports --- */

/* A modern virtio-rng: the MSI-X table, and the registers. */
static const struct cvm_port_bars stand_in_bars = {
    .known = true,
    .count = 2,
    .bars = { { 4 << 10, CVM_BAR_MEM32 }, { 16 << 10, CVM_BAR_MEM64 } },
};

/* I/O ports do not show on the root bus; see check_io_ports() for expanders. */
static struct cvm_port_bars bars_of(const struct cvm_pci_facts *f)
{
    struct cvm_port_bars bars = { .known = true };
    for (unsigned i = 0; i < CVM_PCI_NUM_BARS; i++) {
        const struct cvm_pci_bar *r = &f->bars[i];
        if (r->kind == CVM_PCI_BAR_MEM32 || r->kind == CVM_PCI_BAR_MEM64) {
            bars.bars[bars.count++] = (struct cvm_bar){
                .size = r->size,
                .kind = r->kind == CVM_PCI_BAR_MEM64 ? CVM_BAR_MEM64 : CVM_BAR_MEM32,
            };
        }
    }
    return bars;
}

/* All devices of a kind must be alike: a vm_config describes them once. */
static bool collect_bars(const struct cvm_pci_facts *devices, uint32_t count, bool stand_in,
                         struct cvm_port_bars *out, struct cvm_error *err)
{
    if (count == 0) {
        return true;
    }
    if (stand_in) {
        *out = stand_in_bars;
        return true;
    }
    *out = bars_of(&devices[0]);
    for (uint32_t i = 1; i < count; i++) {
        const struct cvm_port_bars other = bars_of(&devices[i]);
        if (!cvm_port_bars_equal(out, &other)) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "%s and %s have different BARs, which a vm_config cannot declare",
                            cvm_pci_address_text(devices[0].address).text,
                            cvm_pci_address_text(devices[i].address).text);
        }
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
                                  &p->num_nvswitches, err) &&
           collect_bars(p->gpus, p->num_gpus, p->stand_in, &p->gpu_bars, err) &&
           collect_bars(p->nvswitches, p->num_nvswitches, p->stand_in, &p->nvswitch_bars, err);
}

static bool place_on_nodes(const struct cvm_placement_wish *wish, struct cvm_placement *p,
                           struct cvm_warnings *warnings, struct cvm_error *err)
{
    uint32_t gpu_nodes[CVM_MAX_GPUS];
    if (!check_io_ports(p, err) || !make_nodes(wish, p, gpu_nodes, err)) {
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
                a->memory_size == b->memory_size &&
                cvm_port_bars_equal(&a->gpu_bars, &b->gpu_bars) &&
                cvm_port_bars_equal(&a->nvswitch_bars, &b->nvswitch_bars);
    for (uint32_t i = 0; same && i < a->num_nodes; i++) {
        const struct cvm_numa_node *x = &a->nodes[i].node;
        const struct cvm_numa_node *y = &b->nodes[i].node;
        same = x->num_gpus == y->num_gpus && x->expander_bus == y->expander_bus &&
               x->cpu_count == y->cpu_count && x->memory_size == y->memory_size;
    }
    return same;
}

static bool declare_nodes(const struct cvm_placement *p, struct json_object **out,
                          struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
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

static bool declare_bars(const struct cvm_port_bars *bars, struct json_object **out,
                         struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (!bars->known) {
        return true;
    }
    cvm_port_bars_put(NULL, bars, &b);
    return cvm_json_take(&b, out, err);
}

bool cvm_placement_declare(const struct cvm_placement *p, struct cvm_placement_arrays *out,
                           struct cvm_error *err)
{
    return declare_nodes(p, &out->numa_nodes, err) &&
           declare_bars(&p->gpu_bars, &out->gpu_bars, err) &&
           declare_bars(&p->nvswitch_bars, &out->nvswitch_bars, err);
}

void cvm_placement_arrays_free(struct cvm_placement_arrays *a)
{
    cvm_json_free(a->numa_nodes);
    cvm_json_free(a->gpu_bars);
    cvm_json_free(a->nvswitch_bars);
    *a = (struct cvm_placement_arrays){ 0 };
}

/* What a port takes of the 64-bit window: powers of two, and what firmware reserves at least. */
static uint64_t window_of_port(const struct cvm_port_bars *bars, uint64_t reserve)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < bars->count; i++) {
        sum += bars->bars[i].kind == CVM_BAR_MEM64 ? bars->bars[i].size : 0;
    }
    while (reserve < sum) {
        reserve <<= 1;
    }
    return reserve;
}

static void warn_window(const struct cvm_placement *p, const struct cvm_machine *m,
                        struct cvm_warnings *warnings)
{
    enum { RESERVED_SHARE = 7 * 256 }; /* of the window, which is a seventh of its own base */
    const uint64_t gib = UINT64_C(1) << 30;
    uint64_t reserve = m->pci_window64_base / RESERVED_SHARE;
    uint64_t hole = m->pci_hole64_size == 0 ? 32 * gib : m->pci_hole64_size;
    uint64_t need =
        cvm_machine_count(m, CVM_DEVICE_GPU_PORT) * window_of_port(&p->gpu_bars, reserve) +
        cvm_machine_count(m, CVM_DEVICE_NVSWITCH_PORT) * window_of_port(&p->nvswitch_bars, reserve);
    uint64_t enough = gib;
    while (enough <= need && enough < UINT64_C(1) << 52) {
        enough <<= 1;
    }
    if (need >= hole) {
        cvm_warn(warnings,
                 "firmware opens %llu GiB of windows for root ports, and pci_hole64_size is %llu "
                 "GiB: verifiers that do not read gpu_bars and nvswitch_bars expect other ACPI "
                 "tables; with \"pci_hole64_size\": \"%lluG\" all agree",
                 (unsigned long long)(need / gib), (unsigned long long)(hole / gib),
                 (unsigned long long)(enough / gib));
    }
}

void cvm_placement_warn(const struct cvm_placement *p, const struct cvm_machine *machine,
                        struct cvm_warnings *warnings)
{
    if (p->num_gpus + p->num_nvswitches == 0) {
        return;
    }
    warn_window(p, machine, warnings);
    if (cvm_machine_count(machine, CVM_DEVICE_EXPANDER) != 0) {
        cvm_warn(warnings, "verifiers that do not read gpu_bars expect other ACPI tables for GPUs "
                           "behind expanders");
    }
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
