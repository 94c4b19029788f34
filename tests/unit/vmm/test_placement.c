#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "vmm/placement.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static const struct cvm_holdings nothing;

/* A request on a made-up host: what a test changes of it. */
struct setting {
    struct cvm_device_request request;
    struct cvm_host_devices host;
    uint32_t cpus;
    uint64_t memory;
};

static struct setting setting_of(const struct place *p, uint32_t gpus, uint32_t nvswitches)
{
    return (struct setting){
        .request = {
            .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335, .count = gpus } },
                      .count = gpus != 0 },
            .nvswitches = { .items = { { .vendor = 0x10de, .device = 0x22a3,
                                         .count = nvswitches } },
                            .count = nvswitches != 0 },
        },
        .host = {
            .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335 } }, .count = 1 },
            .nvswitches = { .items = { { .vendor = 0x10de, .device = 0x22a3 } }, .count = 1 },
            .hugepage_size = { true, 2 * MIB },
            .root = p->path,
        },
        .cpus = 8,
        .memory = 16 * GIB,
    };
}

static bool choose(const struct setting *s, const struct cvm_holdings *held,
                   struct cvm_placement *out, struct cvm_warnings *warnings, struct cvm_error *err)
{
    const struct cvm_placement_wish wish = {
        .request = &s->request,
        .host = &s->host,
        .cpu_count = s->cpus,
        .memory_size = s->memory,
    };
    return cvm_placement_choose(&wish, held, out, warnings, err);
}

static void must_choose(const struct setting *s, unsigned warnings, struct cvm_placement *out)
{
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    must(choose(s, &nothing, out, &w, &err), &err);
    assert_int_equal(w.count, warnings);
}

static void must_fail(const struct setting *s, const struct cvm_holdings *held,
                      enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_placement p;
    cvm_autowarnings struct cvm_warnings w = { 0 };
    assert_false(choose(s, held, &p, &w, &err));
    assert_error(&err, code, message);
}

static void test_nothing_is_asked_for(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 0, 0);
    must_choose(&s, 0, &p); /* of a host without any of it */
    assert_int_equal(p.num_gpus + p.num_nvswitches + p.num_nodes, 0);
    assert_int_equal(p.cpu_count, 8);
    assert_int_equal(p.memory_size, 16 * GIB);
    assert_int_equal(p.page_size, 0);
    assert_false(p.pinned);
}

static void test_devices_without_nodes(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 8, 4);
    tree_hgx(*state);
    s.cpus = 7;
    s.memory = 16 * GIB + MIB;
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_gpus, 8);
    assert_int_equal(p.num_nvswitches, 4);
    assert_int_equal(p.num_nodes, 0);
    assert_int_equal(p.cpu_count, 7);
    assert_int_equal(p.memory_size, 16 * GIB + MIB);
}

static void test_nodes_follow_gpus(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 8, 4);
    tree_hgx(*state);
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_nodes, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cvm_placed_node *n = &p.nodes[i];
        assert_true(n->bound);
        assert_int_equal(n->host_node, i);
        assert_int_equal(n->node.cpu_count, 4);
        assert_int_equal(n->node.memory_size, 8 * GIB);
        assert_true(n->node.has_expander);
        assert_int_equal(n->node.expander_bus, i == 0 ? 5 : 10);
        assert_int_equal(n->node.num_gpus, 4);
    }
    assert_int_equal(p.page_size, 2 * MIB);
    s.request.gpus.items[0].count = 2; /* of one node */
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_nodes, 1);
    assert_int_equal(p.nodes[0].node.num_gpus, 2);
    assert_int_equal(p.nodes[0].node.cpu_count, 8);
}

/* Bus numbers as in the golden machines: 5, 8, 11, 14 for two GPUs on each of four nodes. */
static void test_numbers_of_expanders(void **state)
{
    const struct place *place = *state;
    struct cvm_placement p;
    struct setting s = setting_of(place, 8, 0);
    char address[16];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(address, sizeof address, "0000:%u0:00.0", i + 1);
        tree_add(place, &(struct tree_device){
                            .address = address, .id = "10de:2335", .node = (int)(i % 4) * 2 });
    }
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_nodes, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(p.nodes[i].host_node, 2 * i);
        assert_int_equal(p.nodes[i].node.expander_bus, 5 + 3 * i);
        /* The GPUs come by node, each node's in ascending order. */
        assert_int_equal(p.gpus[2 * i].address.bus, (i + 1) << 4);
        assert_int_equal(p.gpus[2 * i + 1].address.bus, (i + 5) << 4);
    }
}

/* Ports of the root bus take the buses from 1 on. */
static void test_many_nvswitches_move_expanders(void **state)
{
    const struct place *place = *state;
    struct cvm_placement p;
    struct setting s = setting_of(place, 1, 6);
    char address[16];
    tree_hgx(place);
    for (unsigned i = 5; i <= 6; i++) {
        snprintf(address, sizeof address, "0000:0%u:00.0", i);
        tree_add(place, &(struct tree_device){ .address = address, .id = "10de:22a3", .gib = 1 });
    }
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p);
    assert_int_equal(p.nodes[0].node.expander_bus, 7);
}

static void test_rounding(void **state)
{
    static const struct {
        uint32_t cpus;
        uint64_t memory, page;
        uint32_t want_cpus;
        uint64_t want_memory;
        unsigned warnings;
    } cases[] = {
        { 8, 16 * GIB, 2 * MIB, 8, 16 * GIB, 0 },
        { 7, 16 * GIB, 2 * MIB, 8, 16 * GIB, 1 },
        { 1, 64 * MIB, 2 * MIB, 2, 64 * MIB, 1 },
        { 2, 66 * MIB, 2 * MIB, 2, 68 * MIB, 1 },
        { 3, 65 * MIB, 2 * MIB, 4, 68 * MIB, 2 },
        { 4, 3 * GIB, GIB, 4, 4 * GIB, 1 },
        { 4, 64 * MIB, GIB, 4, 2 * GIB, 1 },
        { 4, 64 * MIB + 1, 0, 4, 66 * MIB, 1 }, /* without huge pages: whole MiB */
    };
    struct setting s = setting_of(*state, 0, 0);
    tree_nodes(*state, 2, 4);
    s.request.numa = (struct cvm_numa_request){ .nodes = { 0, 1 }, .num_nodes = 2 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_placement p;
        s.cpus = cases[i].cpus;
        s.memory = cases[i].memory;
        s.request.hugepages = (struct cvm_opt_bool){ true, cases[i].page != 0 };
        s.host.hugepage_size.value = cases[i].page;
        must_choose(&s, cases[i].warnings, &p);
        assert_int_equal(p.cpu_count, cases[i].want_cpus);
        assert_int_equal(p.memory_size, cases[i].want_memory);
        assert_int_equal(p.nodes[1].node.memory_size * 2, cases[i].want_memory);
        assert_int_equal(p.nodes[1].node.cpu_count * 2, cases[i].want_cpus);
        assert_false(p.nodes[1].node.has_expander);
    }
}

static void test_what_rounding_says(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_placement p;
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct setting s = setting_of(*state, 0, 0);
    tree_nodes(*state, 2, 4);
    s.request.numa = (struct cvm_numa_request){ .nodes = { 0, 1 }, .num_nodes = 2 };
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    s.cpus = 3;
    s.memory = 513 * MIB;
    must(choose(&s, &nothing, &p, &w, &err), &err);
    assert_string_equal(w.items[0],
                        "3 vCPUs are rounded up to 4, which 2 NUMA nodes can share equally");
    assert_string_equal(w.items[1], "513 MiB of memory are rounded up to 516 MiB, for 2 NUMA nodes "
                                    "of whole pages of 2 MiB");
}

static void test_huge_pages_alone(void **state)
{
    struct cvm_placement p;
    struct cvm_resources r;
    struct setting s = setting_of(*state, 0, 0);
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p); /* without any fact of the host */
    assert_int_equal(p.num_nodes, 1);
    assert_false(p.nodes[0].bound);
    assert_false(p.nodes[0].node.has_expander);
    cvm_placement_resources(&p, &r);
    assert_int_equal(r.num_huge_pages, 1);
    assert_false(r.huge_pages[0].bound);
    assert_int_equal(r.huge_pages[0].count, 16 * GIB / (2 * MIB));
}

static void test_nodes_that_are_named(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 2, 0);
    tree_hgx(*state);
    tree_nodes(*state, 3, 4);
    s.request.numa = (struct cvm_numa_request){ .nodes = { 0, 2 }, .num_nodes = 2 };
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_nodes, 2);
    assert_int_equal(p.nodes[1].host_node, 2);
    assert_int_equal(p.nodes[0].node.num_gpus, 2);
    assert_false(p.nodes[1].node.has_expander);
    s.request.numa = (struct cvm_numa_request){ .nodes = { 1 }, .num_nodes = 1 };
    must_fail(&s, &nothing, CVM_ERR_USAGE,
              "GPU 0000:10:00.0 is on NUMA node 0 of the host, which the request's \"numa\" does "
              "not name");
    s.request.numa = (struct cvm_numa_request){ .nodes = { 0, 3 }, .num_nodes = 2 };
    must_fail(&s, &nothing, CVM_ERR_USAGE, "the host has no NUMA node 3");
}

static void test_gpus_without_a_node(void **state)
{
    const struct place *place = *state;
    struct cvm_placement p;
    struct setting s = setting_of(place, 1, 0);
    tree_add(place,
             &(struct tree_device){ .address = "0000:10:00.0", .id = "10de:2335", .node = -1 });
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    tree_nodes(place, 2, 4);
    must_fail(&s, &nothing, CVM_ERR_USAGE,
              "the kernel knows no NUMA node of GPU 0000:10:00.0, and the host has several");
    s.request.numa = (struct cvm_numa_request){ .nodes = { 1 }, .num_nodes = 1 };
    must_choose(&s, 0, &p);
    assert_int_equal(p.nodes[0].host_node, 1);
    s.request.numa = (struct cvm_numa_request){ 0 };
    tree_nodes(place, 1, 4);
    must_choose(&s, 0, &p);
    assert_int_equal(p.num_nodes, 1);
    assert_int_equal(p.nodes[0].host_node, 0);
    assert_int_equal(p.nodes[0].node.num_gpus, 1);
}

static void test_too_many_nodes(void **state)
{
    const struct place *place = *state;
    struct setting s = setting_of(place, 9, 0);
    char address[16];
    for (unsigned i = 0; i < 9; i++) {
        snprintf(address, sizeof address, "0000:%u0:00.0", i + 1);
        tree_add(place,
                 &(struct tree_device){ .address = address, .id = "10de:2335", .node = (int)i });
    }
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_fail(&s, &nothing, CVM_ERR_UNSUPPORTED, "GPUs of more than 8 NUMA nodes");
}

/* --- CPUs --- */

static void test_pinning(void **state)
{
    const struct place *place = *state;
    struct cvm_placement p;
    struct cvm_resources r;
    struct setting s = setting_of(place, 0, 0);
    struct cvm_holdings held = { 0 };
    tree_nodes(place, 2, 6);
    s.request.numa = (struct cvm_numa_request){
        .nodes = { 0, 1 },
        .num_nodes = 2,
        .pin_cpus = { true, true },
    };
    must_choose(&s, 0, &p);
    assert_true(p.pinned);
    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(p.cpus[i], i);
        assert_int_equal(p.cpus[4 + i], 6 + i);
    }
    cvm_placement_resources(&p, &r);
    assert_int_equal(cvm_cpu_set_count(&r.cpus), 8);
    held.cpus = r.cpus;
    must_fail(&s, &held, CVM_ERR_SYSTEM,
              "4 vCPUs are to be pinned to NUMA node 0 of the host, which has 6 CPUs, 2 of them "
              "without a guest");
    s.cpus = 4;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    must(choose(&s, &held, &p, &w, &err), &err);
    assert_int_equal(p.cpus[0], 4);
    assert_int_equal(p.cpus[3], 11);
}

static void test_who_wants_pinning(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 0, 0);
    tree_nodes(*state, 1, 8);
    s.host.pin_cpus = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p); /* no nodes: the host's wish has no meaning */
    assert_false(p.pinned);
    s.request.numa = (struct cvm_numa_request){ .nodes = { 0 }, .num_nodes = 1 };
    must_choose(&s, 0, &p);
    assert_true(p.pinned);
    s.request.numa.pin_cpus = (struct cvm_opt_bool){ true, false };
    must_choose(&s, 0, &p);
    assert_false(p.pinned);
    s.request.numa = (struct cvm_numa_request){ .pin_cpus = { true, true } };
    must_fail(&s, &nothing, CVM_ERR_USAGE, "pin_cpus needs NUMA nodes of the host");
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_fail(&s, &nothing, CVM_ERR_USAGE, "pin_cpus needs NUMA nodes of the host");
}

/* --- what follows from it --- */

static void must_fill(const struct cvm_placement *p, bool hugepages, struct cvm_machine *m)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_placement_arrays_free)
    struct cvm_placement_arrays arrays = { 0 };
    must(cvm_placement_declare(p, &arrays, &err), &err);
    const struct cvm_vm_config config = {
        .cpu_count = { true, p->cpu_count },
        .memory_size = { true, p->memory_size },
        .qemu_version = "9.2.1",
        .hugepages = { true, hugepages },
        .num_gpus = { true, p->num_gpus },
        .num_nvswitches = { true, p->num_nvswitches },
        .numa_nodes = arrays.numa_nodes,
        .gpu_bars = arrays.gpu_bars,
        .nvswitch_bars = arrays.nvswitch_bars,
    };
    must(cvm_machine_fill_platform(&config, m, &err), &err);
}

static void test_the_declaration(void **state)
{
    struct cvm_placement p;
    struct cvm_machine m;
    struct setting s = setting_of(*state, 8, 4);
    tree_hgx(*state);
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p);
    must_fill(&p, true, &m);
    assert_int_equal(m.num_numa_nodes, 2);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_EXPANDER), 2);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_GPU_PORT), 0);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_NVSWITCH_PORT), 4);
    assert_int_equal(cvm_machine_num_gpus(&m), 8);
    assert_false(cvm_machine_has_implied_nodes(&m, true));
    assert_true(cvm_machine_knows_bars(&m));
    assert_int_equal(m.gpu_bars.count, 2);
    assert_int_equal(m.gpu_bars.bars[0].size, 16 * MIB);
    assert_int_equal(m.gpu_bars.bars[0].kind, CVM_BAR_MEM32);
    assert_int_equal(m.gpu_bars.bars[1].size, 128 * GIB);
    assert_int_equal(m.gpu_bars.bars[1].kind, CVM_BAR_MEM64);
    assert_int_equal(m.nvswitch_bars.bars[1].size, GIB);
}

static void test_bars_of_stand_ins(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 1, 0);
    tree_hgx(*state);
    s.host.gpu_stand_in = s.host.root;
    must_choose(&s, 0, &p);
    assert_true(p.stand_in && p.gpu_bars.known && !p.nvswitch_bars.known);
    assert_int_equal(p.gpu_bars.bars[0].size, 4096);
    assert_int_equal(p.gpu_bars.bars[1].size, 16384);
}

static void test_bars_that_cannot_be_declared(void **state)
{
    struct setting s = setting_of(*state, 2, 0);
    tree_hgx(*state);
    tree_add(*state,
             &(struct tree_device){ .address = "0000:20:00.0", .id = "10de:2335", .gib = 64 });
    must_fail(
        &s, &nothing, CVM_ERR_UNSUPPORTED,
        "0000:10:00.0 and 0000:20:00.0 have different BARs, which a vm_config cannot declare");
    tree_write(*state, "sys/bus/pci/devices/0000:10:00.0/resource",
               "0x6000 0x607f 0x40101\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n"
               "0x0 0x0 0x0\n");
    struct cvm_placement p;
    s.request.gpus.items[0].count = 1;
    must_choose(&s, 0, &p);
    assert_int_equal(p.gpus[0].bars[0].kind, CVM_PCI_BAR_IO);
    assert_int_equal(p.gpu_bars.count, 0);
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_fail(&s, &nothing, CVM_ERR_UNSUPPORTED, "GPU 0000:10:00.0 has I/O ports");
}

static void test_the_same_machine(void **state)
{
    struct cvm_placement a;
    struct cvm_placement b;
    struct setting s = setting_of(*state, 2, 0);
    tree_hgx(*state);
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &a);
    s.request.gpus = (struct cvm_device_selectors){
        .items = { { .by_address = true, .address = { .bus = 0x70 }, .count = 1 },
                   { .by_address = true, .address = { .bus = 0x80 }, .count = 1 } },
        .count = 2,
    };
    must_choose(&s, 0, &b); /* others, on another node */
    assert_true(cvm_placement_same_machine(&a, &b));
    s.request.gpus.items[0].address.bus = 0x10;
    must_choose(&s, 0, &b);
    assert_int_equal(b.num_nodes, 2);
    assert_false(cvm_placement_same_machine(&a, &b));
}

static void expect_warnings(const struct cvm_placement *p, uint64_t hole64_size, bool hugepages,
                            unsigned count, const char *first)
{
    struct cvm_machine m;
    cvm_autowarnings struct cvm_warnings w = { 0 };
    must_fill(p, hugepages, &m);
    m.pci_hole64_size = hole64_size;
    cvm_placement_warn(p, &m, &w);
    assert_int_equal(w.count, count);
    if (count != 0) {
        assert_non_null(strstr(w.items[0], first));
    }
}

static void test_the_window(void **state)
{
    struct cvm_placement p;
    struct setting s = setting_of(*state, 8, 4);
    tree_hgx(*state);
    must_choose(&s, 0, &p);
    /* 8 x 128 GiB, and 32 GiB that firmware reserves for each port of an NVSwitch. */
    expect_warnings(&p, 0, false, 1,
                    "firmware opens 1152 GiB of windows for root ports, and pci_hole64_size is 32 "
                    "GiB: verifiers that do not read gpu_bars and nvswitch_bars expect other ACPI "
                    "tables; with \"pci_hole64_size\": \"2048G\" all agree");
    expect_warnings(&p, 1152 * GIB, false, 1, "and pci_hole64_size is 1152 GiB");
    expect_warnings(&p, 2048 * GIB, false, 0, NULL);
    /* GPUs behind expanders are in windows of their own. */
    s.request.hugepages = (struct cvm_opt_bool){ true, true };
    must_choose(&s, 0, &p);
    expect_warnings(&p, 128 * GIB, true, 2, "firmware opens 128 GiB of windows");
    expect_warnings(&p, 129 * GIB, true, 1,
                    "verifiers that do not read gpu_bars expect other ACPI tables for GPUs behind");
    s = setting_of(*state, 0, 0);
    must_choose(&s, 0, &p);
    expect_warnings(&p, 0, false, 0, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_asked_for),
        TEST(test_devices_without_nodes),
        TEST(test_nodes_follow_gpus),
        TEST(test_numbers_of_expanders),
        TEST(test_many_nvswitches_move_expanders),
        TEST(test_rounding),
        TEST(test_what_rounding_says),
        TEST(test_huge_pages_alone),
        TEST(test_nodes_that_are_named),
        TEST(test_gpus_without_a_node),
        TEST(test_too_many_nodes),
        TEST(test_pinning),
        TEST(test_who_wants_pinning),
        TEST(test_the_declaration),
        TEST(test_bars_of_stand_ins),
        TEST(test_bars_that_cannot_be_declared),
        TEST(test_the_same_machine),
        TEST(test_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
