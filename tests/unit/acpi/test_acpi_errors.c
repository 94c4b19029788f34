#include "tests/support/check.h"

#include "measure/include/cvm/acpi.h"

#include <malloc.h>

#define GIB (UINT64_C(1) << 30)

static struct cvm_machine sample_machine(void)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 9, 2, 1 },
        .cpu_count = 2,
        .memory_size = 2 * GIB,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .rootfs = 1, .nics = 1 }, &err),
         &err);
    return m;
}

/* Nothing may have been handed out. */
static void assert_refused(const struct cvm_machine *m, enum cvm_error_code code, const char *text)
{
    static const struct cvm_acpi untouched;
    struct cvm_error err = { 0 };
    struct cvm_acpi acpi = { 0 };
    assert_false(cvm_acpi_build(m, &acpi, &err));
    assert_bytes(&acpi, sizeof acpi, &untouched, sizeof untouched);
    assert_error(&err, code, text);
}

/* The checks themselves: test_machine.c. Here: that they are made. */
static void test_impossible_machines(void **state)
{
    struct cvm_machine m = sample_machine();
    (void)state;
    m.cpu_count = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "cpu_count is 0");
    m.cpu_count = 5000;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "cpu_count 5000, at most ");
    m = sample_machine();
    m.memory_size++;
    assert_refused(&m, CVM_ERR_MALFORMED, "memory_size 2147483649");
    m = sample_machine();
    m.pci_window64_base++;
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "pci_window64_base 0x380000000001");
    m = sample_machine();
    m.pciexbar_base = 0;
    assert_refused(&m, CVM_ERR_MALFORMED, "pciexbar_base 0x0");
    m = sample_machine();
    m.devices[1].slot = 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "device 1 is in slot 1");
    m.num_devices = UINT32_MAX;
    assert_refused(&m, CVM_ERR_MALFORMED, "4294967295 devices, at most 30");
}

/* Two nodes with all CPUs and memory between them, each with an expander. */
static struct cvm_machine numa_machine(void)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = sample_machine();
    m.cpu_count = 4;
    m.memory_size = UINT64_C(4) << 30;
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .expanders = 2 }, &err), &err);
    m.num_numa_nodes = 2;
    m.numa_nodes[0] = (struct cvm_numa_node){ 2, UINT64_C(2) << 30, true, 5, 3 };
    m.numa_nodes[1] = (struct cvm_numa_node){ 2, UINT64_C(2) << 30, true, 9, 0 };
    return m;
}

static void test_nodes(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_acpi acpi = { 0 };
    struct cvm_machine m = numa_machine();
    (void)state;
    must(cvm_acpi_build(&m, &acpi, &err), &err);
    cvm_acpi_free(&acpi);
    m.numa_nodes[1].cpu_count = 3;
    assert_refused(&m, CVM_ERR_MALFORMED, "the NUMA nodes have 5 CPUs");
    m = numa_machine();
    m.numa_nodes[0].memory_size += 4096;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 0: 2 CPUs and 2147487744 bytes of memory");
    m = numa_machine();
    m.numa_nodes[1].expander_bus = 8; /* three ports follow bus 5 */
    assert_refused(&m, CVM_ERR_MALFORMED,
                   "node 1: an expander on bus 8 with 0 ports; buses up to 8 are taken");
    m = numa_machine();
    m.numa_nodes[1].expander_bus = 224;
    m.numa_nodes[1].num_gpus = 32;
    assert_refused(&m, CVM_ERR_MALFORMED, "node 1: an expander on bus 224 with 32 ports");
    m = numa_machine();
    m.numa_nodes[1].has_expander = false;
    assert_refused(&m, CVM_ERR_MALFORMED, "1 nodes have an expander, 2 slots hold one");
    m.num_numa_nodes = CVM_MAX_NUMA_NODES + 1;
    assert_refused(&m, CVM_ERR_MALFORMED, "9 NUMA nodes, at most 8");
}

static void test_versions_without_profile(void **state)
{
    static const struct cvm_qemu_version old[] = {
        { 0, 0, 0 },
        { 6, 2, 0 },
        { 7, 1, 65535 },
    };
    struct cvm_machine m = sample_machine();
    (void)state;
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        m.qemu = old[i];
        assert_refused(&m, CVM_ERR_UNSUPPORTED, ": the oldest known version is 7.2.0");
    }
    assert_refused(&m, CVM_ERR_UNSUPPORTED, "ACPI tables of QEMU 7.1.65535: ");
}

static void build(const struct cvm_machine *m, struct cvm_acpi *out)
{
    struct cvm_error err = { 0 };
    must(cvm_acpi_build(m, out, &err), &err);
}

static void assert_same_files(const struct cvm_acpi *a, const struct cvm_acpi *b)
{
    assert_bytes(a->tables.data, a->tables.size, b->tables.data, b->tables.size);
    assert_bytes(a->rsdp.data, a->rsdp.size, b->rsdp.data, b->rsdp.size);
    assert_bytes(a->loader.data, a->loader.size, b->loader.data, b->loader.size);
    assert_int_equal(a->tables_used, b->tables_used);
}

/* A newer QEMU gets the newest profile, and the result says so. */
static void test_extrapolated_is_said(void **state)
{
    struct cvm_machine m = sample_machine();
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi known = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi newer = { 0 };
    (void)state;
    m.qemu = (struct cvm_qemu_version){ 11, 1, 2 };
    build(&m, &known);
    m.qemu = (struct cvm_qemu_version){ 13, 0, 0 };
    build(&m, &newer);
    assert_false(known.extrapolated);
    assert_true(newer.extrapolated);
    assert_same_files(&newer, &known);
}

/* The same whatever the heap held before: glibc fills fresh memory with another byte each time. */
static void test_determinism(void **state)
{
    const struct cvm_machine m = sample_machine();
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi first = { 0 };
    (void)state;
    build(&m, &first);
    for (int fill = 0x55; fill <= 0xaa; fill += 0x55) {
        CVM_CLEANUP(cvm_acpi_free)
        struct cvm_acpi again = { 0 };
        mallopt(M_PERTURB, fill);
        build(&m, &again);
        mallopt(M_PERTURB, 0);
        assert_same_files(&again, &first);
    }
}

/* Facts that reach no table must not change one; facts that do must. */
static void test_what_reaches_the_tables(void **state)
{
    const struct cvm_machine base = sample_machine();
    struct cvm_machine other[8] = { base, base, base, base, base, base, base, base };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi want = { 0 };
    (void)state;
    build(&base, &want);
    other[0].page_add_order = CVM_PAGES_TWO_PASS;
    other[1].kernel_header = CVM_KERNEL_AS_IS;
    other[2].devices[0].role = CVM_DEVICE_VOLUME;
    other[3].cpu_count++;
    other[4].memory_size /= 2;
    other[5].hotplug_off = true;
    other[6].pci_window64_base += GIB;
    other[7].interrupt_trigger = CVM_TRIGGER_EDGE;
    for (size_t i = 0; i < 8; i++) {
        CVM_CLEANUP(cvm_acpi_free)
        struct cvm_acpi got = { 0 };
        build(&other[i], &got);
        assert_int_equal(got.tables.size, want.tables.size);
        assert_int_equal(memcmp(got.tables.data, want.tables.data, want.tables.size) != 0, i >= 3);
    }
}

static void test_largest_machine(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = sample_machine();
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    (void)state;
    m.cpu_count = 255;
    m.memory_size = 1024 * GIB;
    m.pci_hole64_size = 16384 * GIB;
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .nics = 27 }, &err), &err);
    build(&m, &acpi);
    assert_int_equal(acpi.tables.size % 0x20000, 0);
    assert_int_equal(acpi.loader.size % 4096, 0);
    assert_int_equal(acpi.rsdp.size, 20);
    assert_in_range(acpi.tables_used, 1, acpi.tables.size);
}

static void test_free_may_be_repeated(void **state)
{
    const struct cvm_machine m = sample_machine();
    struct cvm_acpi acpi = { 0 };
    (void)state;
    cvm_acpi_free(&acpi);
    build(&m, &acpi);
    cvm_acpi_free(&acpi);
    assert_null(acpi.tables.data);
    cvm_acpi_free(&acpi);
}

static bool build_largest(struct cvm_error *err)
{
    struct cvm_machine m = sample_machine();
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    m.cpu_count = 255;
    return cvm_acpi_build(&m, &acpi, err);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    /* tables 256 to 128 KiB in doublings, RSDP, loader 256 to 4 KiB, and its allocations */
    assert_in_range(fail_each_allocation(build_largest), 12, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_machines),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_versions_without_profile),
        cmocka_unit_test(test_extrapolated_is_said),
        cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_what_reaches_the_tables),
        cmocka_unit_test(test_largest_machine),
        cmocka_unit_test(test_free_may_be_repeated),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
