/*
 * Where firmware puts what is behind root ports: the rules one by one. Whole machines are
 * compared with what guests saw in test_acpi_golden.c.
 */
#include "tests/support/check.h"
#include "tests/support/fault.h"

#include "measure/acpi/dsdt.h"
#include "measure/acpi/pci_ranges.h"
#include "measure/include/cvm/acpi.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define WINDOW64 CVM_PCI_WINDOW64_BASE

static const struct cvm_port_bars small_bars = {
    .known = true,
    .count = 2,
    .bars = { { 4 * KIB, CVM_BAR_MEM32 }, { 16 * KIB, CVM_BAR_MEM64 } },
};

/* Data disk, vsock and share on the root bus, and one expander on bus 5 with GPUs. */
static struct cvm_machine machine_with(uint32_t gpus, const struct cvm_port_bars *bars)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 10, 0, 0 },
        .cpu_count = 2,
        .memory_size = 2 * GIB,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = WINDOW64,
        .numa_nodes = { { 2, 2 * GIB, true, 5, gpus } },
        .num_numa_nodes = 1,
        .gpu_bars = *bars,
    };
    const struct cvm_device_counts counts = { .expanders = 1 };
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    return m;
}

static void assert_range(const struct acpi_range_list *list, size_t index, uint64_t first,
                         uint64_t last)
{
    assert_true(index < list->count);
    assert_int_equal(list->items[index].first, first);
    assert_int_equal(list->items[index].last, last);
}

static void test_add_joins_what_touches(void **state)
{
    (void)state;
    struct acpi_range_list list = { 0 };
    acpi_range_add(&list, (struct acpi_range){ 30, 39 });
    acpi_range_add(&list, (struct acpi_range){ 10, 19 });
    acpi_range_add(&list, (struct acpi_range){ 50, 59 });
    assert_int_equal(list.count, 3);
    assert_range(&list, 0, 10, 19);
    acpi_range_add(&list, (struct acpi_range){ 20, 29 });
    assert_int_equal(list.count, 2);
    assert_range(&list, 0, 10, 39);
    assert_range(&list, 1, 50, 59);
    acpi_range_add(&list, (struct acpi_range){ 41, 48 });
    assert_int_equal(list.count, 3);
    acpi_range_add(&list, (struct acpi_range){ 5, 60 });
    assert_int_equal(list.count, 1);
    assert_range(&list, 0, 5, 60);
}

static void test_unknown_bars_decode_nothing(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct acpi_pci_ranges ranges;
    const struct cvm_port_bars unknown = { 0 };
    const struct cvm_machine m = machine_with(2, &unknown);
    must(acpi_pci_ranges_assign(&m, &ranges, &err), &err);
    assert_int_equal(ranges.nodes[0].spaces[ACPI_MEM32].count, 0);
    assert_int_equal(ranges.nodes[0].spaces[ACPI_MEM64].count, 0);
    assert_int_equal(ranges.nodes[0].last_bus, 5);
    assert_int_equal(ranges.root_mem64_end, 0);
}

/* A port keeps 2 MiB and 32 GiB free at least; its own BAR follows the windows. */
static void test_padding(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct acpi_pci_ranges ranges;
    const struct cvm_machine m = machine_with(2, &small_bars);
    must(acpi_pci_ranges_assign(&m, &ranges, &err), &err);
    const struct acpi_expander_ranges *r = &ranges.nodes[0];
    assert_int_equal(r->spaces[ACPI_MEM32].count, 1);
    assert_range(&r->spaces[ACPI_MEM32], 0, 0x80200000, 0x80601fff);
    assert_int_equal(r->spaces[ACPI_MEM64].count, 1);
    assert_range(&r->spaces[ACPI_MEM64], 0, WINDOW64 + 32 * GIB, WINDOW64 + 96 * GIB - 1);
    assert_int_equal(r->last_bus, 7);
    assert_int_equal(ranges.root_mem64_end, WINDOW64 + 3 * 16 * KIB);
}

/* Windows are laid out by the largest BAR: what is left between two of them stays free. */
static void test_large_bars_leave_gaps(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct acpi_pci_ranges ranges;
    const struct cvm_port_bars bars = {
        .known = true,
        .count = 4,
        .bars = { { 16 * MIB, CVM_BAR_MEM64 },
                  { 128 * GIB, CVM_BAR_MEM64 },
                  { 32 * MIB, CVM_BAR_MEM64 },
                  { 16 * MIB, CVM_BAR_MEM32 } },
    };
    const struct cvm_machine m = machine_with(2, &bars);
    must(acpi_pci_ranges_assign(&m, &ranges, &err), &err);
    const struct acpi_range_list *high = &ranges.nodes[0].spaces[ACPI_MEM64];
    assert_int_equal(high->count, 2);
    assert_range(high, 0, WINDOW64 + 128 * GIB, WINDOW64 + 256 * GIB + 48 * MIB - 1);
    assert_range(high, 1, WINDOW64 + 384 * GIB, WINDOW64 + 512 * GIB + 48 * MIB - 1);
    assert_range(&ranges.nodes[0].spaces[ACPI_MEM32], 0, 0x81000000, 0x83001fff);
}

/* Ports of the root bus come first and push the expanders' ranges up. */
static void test_root_ports_come_first(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct acpi_pci_ranges ranges;
    struct cvm_machine m = machine_with(1, &small_bars);
    const struct cvm_device_counts counts = { .expanders = 1, .nvswitches = 1 };
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    m.nvswitch_bars = small_bars;
    must(acpi_pci_ranges_assign(&m, &ranges, &err), &err);
    assert_int_equal(ranges.root_mem64_end, WINDOW64 + 32 * GIB + 3 * 16 * KIB);
    assert_range(&ranges.nodes[0].spaces[ACPI_MEM64], 0, WINDOW64 + 64 * GIB,
                 WINDOW64 + 96 * GIB - 1);
    assert_range(&ranges.nodes[0].spaces[ACPI_MEM32], 0, 0x80400000, 0x80600fff);
}

/* BARs of one kind of device only: the machine does not say what is behind all ports. */
static void test_half_known_is_unknown(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_machine m = machine_with(1, &small_bars);
    const struct cvm_device_counts counts = { .expanders = 1, .nvswitches = 1 };
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    assert_false(cvm_machine_knows_bars(&m));
    m.nvswitch_bars = small_bars;
    assert_true(cvm_machine_knows_bars(&m));
}

/* Memory between 2 GiB and 0xb0000000 moves the firmware's 32-bit ranges to 3 GiB. */
static void test_low_memory_moves_ranges(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct acpi_pci_ranges ranges;
    struct cvm_machine m = machine_with(1, &small_bars);
    m.memory_size = m.numa_nodes[0].memory_size = 2560 * MIB;
    must(acpi_pci_ranges_assign(&m, &ranges, &err), &err);
    assert_range(&ranges.nodes[0].spaces[ACPI_MEM32], 0, 0xc0200000, 0xc0400fff);
}

static void assert_unsupported(const struct cvm_machine *m, const char *says)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    assert_false(cvm_acpi_build(m, &acpi, &err));
    assert_int_equal(err.code, CVM_ERR_UNSUPPORTED);
    if (strstr(err.msg, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.msg, says);
    }
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    struct cvm_port_bars bars = { true, 1, { { 8 * 1024 * GIB, CVM_BAR_MEM64 } } };
    struct cvm_machine m = machine_with(1, &bars);
    assert_unsupported(&m, "64-bit memory would be needed up to 0x");
    bars.bars[0] = (struct cvm_bar){ GIB, CVM_BAR_MEM32 };
    m = machine_with(2, &bars);
    assert_unsupported(&m, "32-bit memory would be needed up to 0x");
    m = machine_with(1, &small_bars);
    m.pci_window64_base = UINT64_C(0x700000000000) - 64 * GIB;
    assert_unsupported(&m, "last eighth");
    m = machine_with(1, &small_bars);
    m.pciexbar_base = 0xb0000000;
    assert_unsupported(&m, "before 202302");
}

static void test_bars_are_checked(void **state)
{
    (void)state;
    static const struct cvm_bar wrong[] = {
        { 0, CVM_BAR_MEM64 },
        { 8, CVM_BAR_MEM32 },
        { 3 * KIB, CVM_BAR_MEM32 },
        { 2 * GIB, CVM_BAR_MEM32 },
        { UINT64_C(1) << 45, CVM_BAR_MEM64 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cvm_error err = { 0 };
        const struct cvm_port_bars bars = { true, 1, { wrong[i] } };
        const struct cvm_machine m = machine_with(1, &bars);
        assert_false(cvm_machine_check(&m, &err));
        assert_int_equal(err.code, CVM_ERR_MALFORMED);
        assert_non_null(strstr(err.msg, "gpu_bars: BAR 0"));
    }
}

static void test_running_out_of_memory(void **state)
{
    (void)state;
    const struct cvm_machine m = machine_with(3, &small_bars);
    unsigned n = 0;
    bool ok;
    do {
        struct cvm_error err = { 0 };
        struct cvm_acpi acpi = { 0 };
        fault_at(++n);
        ok = cvm_acpi_build(&m, &acpi, &err);
        assert_true(ok == !fault_hit() && (ok || err.code == CVM_ERR_NOMEM));
        cvm_acpi_free(&acpi);
    } while (!ok);
    assert_true(n > 3);
}

/* As QEMU 7.2, 8.2, 9.1, 10.0 and 11.1 write it for expanders without ports on these buses. */
static void test_last_root_bus(void **state)
{
    static const struct {
        uint8_t buses[4], last;
    } cases[] = {
        { { 254 }, 253 },   { { 255 }, 255 },      { { 254, 255 }, 253 },      { { 7, 9 }, 6 },
        { { 7, 8 }, 7 },    { { 1, 2 }, 1 },       { { 6, 7, 8 }, 5 },         { { 5, 7, 8 }, 4 },
        { { 5, 6, 8 }, 5 }, { { 5, 6, 7, 8 }, 5 }, { { 252, 253, 254 }, 251 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_machine m = { 0 };
        for (; m.num_numa_nodes < 4 && cases[i].buses[m.num_numa_nodes] != 0; m.num_numa_nodes++) {
            m.numa_nodes[m.num_numa_nodes] = (struct cvm_numa_node){
                .has_expander = true,
                .expander_bus = cases[i].buses[m.num_numa_nodes],
            };
        }
        assert_int_equal(dsdt_last_root_bus(&m), cases[i].last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_joins_what_touches),
        cmocka_unit_test(test_unknown_bars_decode_nothing),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_large_bars_leave_gaps),
        cmocka_unit_test(test_root_ports_come_first),
        cmocka_unit_test(test_half_known_is_unknown),
        cmocka_unit_test(test_low_memory_moves_ranges),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_bars_are_checked),
        cmocka_unit_test(test_running_out_of_memory),
        cmocka_unit_test(test_last_root_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
