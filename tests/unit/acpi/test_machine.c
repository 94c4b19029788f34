#include "tests/support/check.h"

#include "measure/include/cvm/layout.h"
#include "measure/include/cvm/machine.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct cvm_machine small_machine(void)
{
    struct cvm_machine m = {
        .qemu = { 9, 2, 1 },
        .cpu_count = 2,
        .memory_size = 2 * GIB,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
    return m;
}

static void test_devices_are_placed_in_the_order_of_roles(void **state)
{
    static const enum cvm_device_role want[] = {
        CVM_DEVICE_ROOTFS, CVM_DEVICE_DATA_DISK, CVM_DEVICE_VOLUME,        CVM_DEVICE_VOLUME,
        CVM_DEVICE_NIC,    CVM_DEVICE_NIC,       CVM_DEVICE_NIC,           CVM_DEVICE_VSOCK,
        CVM_DEVICE_SHARE,  CVM_DEVICE_GPU_PORT,  CVM_DEVICE_NVSWITCH_PORT,
    };
    const struct cvm_device_counts counts = {
        .rootfs = 1,
        .volumes = 2,
        .nics = 3,
        .gpus = 1,
        .nvswitches = 1,
    };
    struct cvm_error err = { 0 };
    struct cvm_machine m = small_machine();
    (void)state;
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    assert_int_equal(m.num_devices, sizeof want / sizeof want[0]);
    for (uint32_t i = 0; i < m.num_devices; i++) {
        assert_int_equal(m.devices[i].role, want[i]);
        assert_int_equal(m.devices[i].slot, i + 1);
    }
    must(cvm_machine_check(&m, &err), &err);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_NIC), 3);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_VOLUME), 2);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_SHARE), 1);
}

static void test_placing_again_replaces(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = small_machine();
    const struct cvm_device_counts many = { .rootfs = 1, .nics = 20 };
    const struct cvm_device_counts none = { 0 };
    (void)state;
    must(cvm_machine_place_devices(&m, &many, &err), &err);
    must(cvm_machine_place_devices(&m, &none, &err), &err);
    assert_int_equal(m.num_devices, 3); /* data disk, vsock, share */
    assert_int_equal(m.devices[0].role, CVM_DEVICE_DATA_DISK);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_NIC), 0);
    assert_int_equal(m.devices[3].slot, 0);
    assert_int_equal(m.cpu_count, 2);
}

/* Data disk, vsock and share take three of the thirty slots. */
static void test_slots_run_out(void **state)
{
    (void)state;
    for (uint32_t nics = 25; nics <= 30; nics++) {
        struct cvm_error err = { 0 };
        struct cvm_machine m = small_machine();
        const struct cvm_device_counts counts = { .nics = nics };
        m.num_devices = 7;
        bool ok = cvm_machine_place_devices(&m, &counts, &err);
        assert_int_equal(ok, nics <= 27);
        assert_int_equal(m.num_devices, ok ? nics + 3 : 7);
        if (!ok) {
            assert_error(&err, CVM_ERR_UNSUPPORTED,
                         " devices and 0 expanders on the root bus, which has 30 slots");
        }
    }
    struct cvm_error err = { 0 };
    struct cvm_machine m = small_machine();
    const struct cvm_device_counts wrap = { .nics = UINT32_MAX, .volumes = UINT32_MAX };
    assert_false(cvm_machine_place_devices(&m, &wrap, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "8589934593 devices and 0 expanders on the root bus");
}

static void test_ram_split(void **state)
{
    static const struct {
        uint64_t memory;
        uint64_t below;
    } cases[] = {
        { 512 * MIB, 512 * MIB },
        { 2 * GIB, 2 * GIB },
        { UINT64_C(0xb0000000) - MIB, UINT64_C(0xb0000000) - MIB },
        { UINT64_C(0xb0000000), UINT64_C(0x80000000) },
        { 4 * GIB, UINT64_C(0x80000000) },
        { 2048 * GIB, UINT64_C(0x80000000) },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_machine m = small_machine();
        m.memory_size = cases[i].memory;
        assert_int_equal(cvm_machine_ram_below_4g(&m), cases[i].below);
    }
}

static void test_version_order(void **state)
{
    static const struct cvm_qemu_version ascending[] = {
        { 0, 0, 0 },     { 0, 0, 1 },  { 0, 1, 0 },   { 7, 2, 22 },    { 8, 0, 0 },
        { 8, 2, 2 },     { 9, 1, 0 },  { 9, 2, 0 },   { 9, 10, 0 },    { 9, 10, 65535 },
        { 9, 65535, 0 }, { 10, 0, 0 }, { 10, 0, 13 }, { 65535, 0, 0 }, { 65535, 65535, 65535 },
    };
    enum { COUNT = sizeof ascending / sizeof ascending[0] };
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            int order = cvm_qemu_version_compare(ascending[i], ascending[k]);
            assert_int_equal(order < 0, i < k);
            assert_int_equal(order > 0, i > k);
        }
    }
}

static void test_defaults_by_version(void **state)
{
    enum { EDGE = CVM_TRIGGER_EDGE, LEVEL = CVM_TRIGGER_LEVEL };
    enum { TWO = CVM_PAGES_TWO_PASS, SINGLE = CVM_PAGES_SINGLE_PASS, NONE = -1 };
    enum { REWRITTEN = CVM_KERNEL_REWRITTEN, AS_IS = CVM_KERNEL_AS_IS };
    static const struct {
        struct cvm_qemu_version version;
        int trigger;
        bool pic;
        int order;
        int header;
    } cases[] = {
        { { 7, 2, 22 }, LEVEL, false, NONE, REWRITTEN },
        { { 7, 65535, 65535 }, LEVEL, false, NONE, REWRITTEN },
        { { 8, 0, 0 }, EDGE, true, TWO, REWRITTEN },
        { { 8, 2, 2 }, EDGE, true, TWO, REWRITTEN },
        { { 8, 65535, 65535 }, EDGE, true, TWO, REWRITTEN },
        { { 9, 0, 0 }, EDGE, false, SINGLE, REWRITTEN },
        { { 9, 1, 65535 }, EDGE, false, SINGLE, REWRITTEN },
        { { 9, 2, 0 }, LEVEL, false, SINGLE, REWRITTEN },
        { { 10, 1, 65535 }, LEVEL, false, SINGLE, REWRITTEN },
        { { 10, 2, 0 }, LEVEL, false, SINGLE, AS_IS },
        { { 11, 1, 2 }, LEVEL, false, SINGLE, AS_IS },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        enum cvm_page_add_order order = CVM_PAGES_SINGLE_PASS;
        assert_int_equal(cvm_qemu_default_trigger(cases[i].version), cases[i].trigger);
        assert_int_equal(cvm_qemu_default_pic(cases[i].version), cases[i].pic);
        assert_int_equal(cvm_qemu_default_kernel_header(cases[i].version), cases[i].header);
        bool ok = cvm_qemu_default_page_add_order(cases[i].version, &order, &err);
        assert_int_equal(ok, cases[i].order != NONE);
        if (ok) {
            assert_int_equal(order, cases[i].order);
        } else {
            assert_error(&err, CVM_ERR_UNSUPPORTED, "QEMU 7.");
        }
    }
}

/* A machine that was changed in one way, and what cvm_machine_check() says of it. */
static void assert_refused(const struct cvm_machine *m, enum cvm_error_code code, const char *text)
{
    struct cvm_error err = { 0 };
    assert_false(cvm_machine_check(m, &err));
    assert_error(&err, code, text);
}

static void assert_accepted(const struct cvm_machine *m)
{
    struct cvm_error err = { 0 };
    must(cvm_machine_check(m, &err), &err);
}

static void test_cpu_limits(void **state)
{
    struct cvm_machine m = small_machine();
    (void)state;
    m.cpu_count = 1;
    assert_accepted(&m);
    m.cpu_count = 1024;
    m.qemu = (struct cvm_qemu_version){ 8, 1, 0 };
    assert_accepted(&m);
    m.qemu = (struct cvm_qemu_version){ 8, 2, 65535 };
    m.cpu_count = 1025;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "cpu_count 1025, at most 1024 on QEMU 8.2.65535");
    m.qemu = (struct cvm_qemu_version){ 9, 0, 0 };
    m.cpu_count = CVM_MAX_CPUS;
    assert_accepted(&m);
    m.cpu_count = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "cpu_count is 0");
    m.cpu_count = CVM_MAX_CPUS + 1;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "cpu_count 4097, at most 4096 on QEMU 9.0.0");
    m.cpu_count = 288;
    m.qemu = (struct cvm_qemu_version){ 8, 0, 65535 };
    assert_accepted(&m);
    m.cpu_count = UINT32_MAX;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "cpu_count 4294967295, at most 288 on QEMU 8.0.65535");
}

static void test_memory_limits(void **state)
{
    struct cvm_machine m = small_machine();
    (void)state;
    m.memory_size = MIB;
    assert_accepted(&m);
    m.memory_size = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 0 is not a positive multiple of 1 MiB");
    m.memory_size = MIB - 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 1048575 is not a positive multiple");
    m.memory_size = 2 * GIB + 4096;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 2147487744 is not a positive multiple");
    m.memory_size = UINT64_MAX / MIB * MIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 18446744073708503040 exceeds 2^52 bytes");
    m.memory_size = (UINT64_C(1) << 52) + MIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "exceeds 2^52 bytes");
}

/* 2 GiB lie below 4 GiB, so the rest may fill 4 GiB up to the window. */
static void test_memory_below_the_window(void **state)
{
    struct cvm_machine m = small_machine();
    (void)state;
    m.memory_size = CVM_PCI_WINDOW64_BASE - 2 * GIB;
    assert_accepted(&m);
    m.memory_size += MIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "reaches into the 64-bit PCI window at 0x380000000000");
    m.memory_size = GIB;
    m.pci_window64_base = 4 * GIB;
    assert_accepted(&m);
    m.pci_window64_base = 3 * GIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 1073741824 reaches into the 64-bit");
    m.pci_window64_base = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "reaches into the 64-bit PCI window at 0x0");
}

static void test_window_limits(void **state)
{
    struct cvm_machine m = small_machine();
    (void)state;
    m.pci_window64_base = (UINT64_C(1) << 52) - 32 * GIB; /* with the default size */
    assert_accepted(&m);
    m.pci_window64_base += GIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "a 64-bit PCI window of 34359738368 bytes");
    m.pci_hole64_size = 31 * GIB;
    assert_accepted(&m);
    m.pci_window64_base = UINT64_MAX - GIB + 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "ends above 2^52");
    m = small_machine();
    m.pci_hole64_size = UINT64_MAX - GIB + 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "ends above 2^52");
    m.pci_hole64_size = GIB + 1;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "pci_hole64_size 1073741825 or ");
    m.pci_hole64_size = 0;
    m.pci_window64_base += MIB;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "pci_window64_base 0x380000100000 is no multiple");
}

static void test_pciexbar_limits(void **state)
{
    static const uint64_t bad[] = { 0, 0x70000000, 0xd8000000, 0xf0000000, UINT64_C(0x100000000) };
    struct cvm_machine m = small_machine();
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        m.pciexbar_base = bad[i];
        assert_refused(&m, CVM_ERR_MALFORMED,
                       "is not a multiple of 256 MiB between the end of low memory and 0xe0000000");
    }
    m.pciexbar_base = 0x80000000; /* right behind the memory */
    assert_accepted(&m);
    m.memory_size += MIB;
    assert_refused(&m, CVM_ERR_MALFORMED, "pciexbar_base 0x80000000");
    m.pciexbar_base = 0xb0000000;
    assert_accepted(&m);
}

static void test_slot_limits(void **state)
{
    struct cvm_machine m = small_machine();
    (void)state;
    m.num_devices = 2;
    m.devices[0].slot = 1;
    m.devices[1].slot = 30;
    assert_accepted(&m);
    m.devices[1].slot = 31;
    assert_refused(&m, CVM_ERR_MALFORMED, "device 1 is in slot 31; slots ascend from 1 to 30");
    m.devices[1].slot = 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "device 1 is in slot 1;");
    m.devices[0].slot = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "device 0 is in slot 0;");
    m.num_devices = CVM_MAX_DEVICES + 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "31 devices, at most 30");
    m.num_devices = UINT32_MAX;
    assert_refused(&m, CVM_ERR_MALFORMED, "4294967295 devices, at most 30");
}

/* Two nodes, each with an expander, and ports on the root bus as well. */
static struct cvm_machine numa_machine(uint32_t gpus, uint32_t nvswitches)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = small_machine();
    const struct cvm_device_counts counts = {
        .gpus = gpus,
        .nvswitches = nvswitches,
        .expanders = 2,
    };
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    m.num_numa_nodes = 2;
    for (uint32_t i = 0; i < 2; i++) {
        m.numa_nodes[i].cpu_count = 1;
        m.numa_nodes[i].memory_size = GIB;
        m.numa_nodes[i].has_expander = true;
        m.numa_nodes[i].expander_bus = (uint8_t)(5 + 5 * i);
        m.numa_nodes[i].num_gpus = 1;
    }
    return m;
}

static void test_ports_behind_an_expander(void **state)
{
    struct cvm_machine m = numa_machine(0, 0);
    (void)state;
    m.numa_nodes[1].num_gpus = 32;
    assert_accepted(&m);
    m.numa_nodes[1].num_gpus = 33;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 1: num_gpus 33, but an expander's bus has 32 slots");
    m.numa_nodes[1].num_gpus = UINT32_MAX;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 1: num_gpus 4294967295, but");
}

/* Every port needs a bus of its own: those of the root bus come first, from 1 on. */
static void test_bus_numbers(void **state)
{
    struct cvm_machine m = numa_machine(2, 2);
    (void)state;
    assert_accepted(&m); /* ports 1 to 4, expander 5 */
    m = numa_machine(3, 2);
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 0: an expander on bus 5 with 1 ports; buses up to 5 are taken");
    m = numa_machine(0, 0);
    m.numa_nodes[0].expander_bus = 1;
    assert_accepted(&m);
    m.numa_nodes[0].expander_bus = 0;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 0: an expander on bus 0 with 1 ports; buses up to 0");
    m = numa_machine(0, 0);
    m.numa_nodes[0].num_gpus = 4; /* 6 to 9, next expander 10 */
    assert_accepted(&m);
    m.numa_nodes[0].num_gpus = 5;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 1: an expander on bus 10 with 1 ports; buses up to 10");
    m.numa_nodes[0].num_gpus = 1;
    m.numa_nodes[1].expander_bus = 5;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 1: an expander on bus 5 with 1 ports; buses up to 6");
    m.numa_nodes[1].expander_bus = 254;
    assert_accepted(&m);
    m.numa_nodes[1].expander_bus = 255;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 1: an expander on bus 255 with 1 ports; ");
    m.numa_nodes[1].num_gpus = 0;
    assert_accepted(&m);
}

static void test_node_limits(void **state)
{
    struct cvm_machine m = numa_machine(0, 0);
    (void)state;
    m.numa_nodes[0].cpu_count = 2;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "the NUMA nodes have 3 CPUs and 2147483648 bytes of memory, the machine 2 and");
    m.numa_nodes[0].cpu_count = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 0: 0 CPUs and 1073741824 bytes of memory");
    m = numa_machine(0, 0);
    m.numa_nodes[1].memory_size = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 1: 1 CPUs and 0 bytes of memory");
    m.numa_nodes[1].memory_size = GIB - MIB;
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "2146435072 bytes of memory, the machine 2 and 2147483648");
    m.num_numa_nodes = CVM_MAX_NUMA_NODES + 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "9 NUMA nodes, at most 8");
    m = numa_machine(0, 0);
    m.numa_nodes[1].has_expander = false;
    assert_refused(&m, CVM_ERR_MALFORMED, "1 nodes have an expander, 2 slots hold one");
}

static void test_slots_run_out_beside_expanders(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = small_machine();
    (void)state;
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .nics = 12, .expanders = 8 },
                                   &err),
         &err);
    assert_int_equal(m.devices[15].slot, 16);
    assert_int_equal(m.devices[22].slot, 23);
    assert_false(cvm_machine_place_devices(
        &m, &(struct cvm_device_counts){ .nics = 9, .gpus = 4, .expanders = 1 }, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED,
                 "16 devices and 1 expanders on the root bus, which has 15 slots for the former "
                 "and 8 for the latter: volumes 0, NICs 9, GPUs 4, NVSwitches 0");
    err = (struct cvm_error){ 0 };
    assert_false(
        cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .expanders = 9 }, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "3 devices and 9 expanders on the root bus");
}

static void test_equality_is_of_contents(void **state)
{
    (void)state;
    struct cvm_machine a = small_machine();
    struct cvm_machine b = a;
    struct cvm_layout layout = *cvm_layout_find("pre202505");
    a.layout = cvm_layout_find("pre202505");
    assert_false(cvm_machine_equal(&a, &b)); /* b has none */
    b.layout = &layout;
    assert_true(cvm_machine_equal(&a, &b));
    layout.cmdline_form = CVM_CMDLINE_PREFIX;
    assert_false(cvm_machine_equal(&a, &b));
    b = a;
    b.pci_mmio64_mb = 1;
    assert_false(cvm_machine_equal(&a, &b));
    b = a;
    b.boot_menu_wait = 1;
    assert_false(cvm_machine_equal(&a, &b));
    b = a;
    b.reserved_memory_end = 1;
    assert_false(cvm_machine_equal(&a, &b));
    b = a;
    b.kernel_measures = CVM_KERNEL_MEASURES_NOTHING;
    assert_false(cvm_machine_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_are_placed_in_the_order_of_roles),
        cmocka_unit_test(test_placing_again_replaces),
        cmocka_unit_test(test_slots_run_out),
        cmocka_unit_test(test_ram_split),
        cmocka_unit_test(test_version_order),
        cmocka_unit_test(test_defaults_by_version),
        cmocka_unit_test(test_cpu_limits),
        cmocka_unit_test(test_memory_limits),
        cmocka_unit_test(test_memory_below_the_window),
        cmocka_unit_test(test_window_limits),
        cmocka_unit_test(test_pciexbar_limits),
        cmocka_unit_test(test_slot_limits),
        cmocka_unit_test(test_ports_behind_an_expander),
        cmocka_unit_test(test_bus_numbers),
        cmocka_unit_test(test_node_limits),
        cmocka_unit_test(test_slots_run_out_beside_expanders),
        cmocka_unit_test(test_equality_is_of_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
