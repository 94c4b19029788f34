#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "vmm/pci_host.h"

#include <stdio.h>

#define GPU "sys/bus/pci/devices/0000:18:00.0/"

static struct cvm_pci_address at(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_pci_address a;
    must(cvm_pci_address_parse(text, &a, &err), &err);
    return a;
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        struct cvm_pci_address address;
        const char *printed;
    } good[] = {
        { "0000:18:00.0", { 0, 0x18, 0, 0 }, "0000:18:00.0" },
        { "18:00.0", { 0, 0x18, 0, 0 }, "0000:18:00.0" },
        { "FFFF:fF:1f.7", { 0xffff, 0xff, 31, 7 }, "ffff:ff:1f.7" },
        { "10001:00:02.3", { 0x10001, 0, 2, 3 }, "10001:00:02.3" },
        { "ffffffff:00:00.0", { 0xffffffff, 0, 0, 0 }, "ffffffff:00:00.0" },
    };
    static const char *const bad[] = {
        "",
        "18",
        "18:00",
        "18:00.",
        "18:00.8",
        "18:20.0",
        "1:00.0",
        "018:00.0",
        "000:18:00.0",
        "0000:18:00.0 ",
        " 0000:18:00.0",
        "0000:18:00.00",
        "0000:18:0.0",
        "fffffffff:18:00.0",
        "0000-18:00.0",
        "0000:18:00:0",
        "g000:18:00.0",
        "0000:18:00.0\n",
        ":18:00.0",
        "::.",
        "10de:2335",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_pci_address a = at(good[i].text);
        assert_int_equal(cvm_pci_address_compare(a, good[i].address), 0);
        assert_string_equal(cvm_pci_address_text(a).text, good[i].printed);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_pci_address a;
        if (cvm_pci_address_parse(bad[i], &a, &err)) {
            fail_msg("accepted: '%s'", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "is not a PCI address like 0000:18:00.0");
    }
}

static void test_order(void **state)
{
    static const char *const ascending[] = { "0000:00:00.0", "0000:00:00.7", "0000:00:01.0",
                                             "0000:01:00.0", "0000:ff:1f.7", "0001:00:00.0" };
    (void)state;
    for (size_t i = 1; i < sizeof ascending / sizeof ascending[0]; i++) {
        assert_true(cvm_pci_address_compare(at(ascending[i - 1]), at(ascending[i])) < 0);
        assert_true(cvm_pci_address_compare(at(ascending[i]), at(ascending[i - 1])) > 0);
    }
}

static void test_ids(void **state)
{
    static const char *const bad[] = { "",          "10de",       "10de:",
                                       "10de:233",  "10de:23355", "x0de:2335",
                                       "10de-2335", "10de:2335 ", "0x10de:2335" };
    struct cvm_error err = { 0 };
    uint16_t vendor;
    uint16_t device;
    (void)state;
    must(cvm_pci_id_parse("10DE:22a3", &vendor, &device, &err), &err);
    assert_int_equal(vendor, 0x10de);
    assert_int_equal(device, 0x22a3);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cvm_pci_id_parse(bad[i], &vendor, &device, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "is not VENDOR:DEVICE like 10de:2335");
    }
}

static void add_gpu(const struct place *p)
{
    tree_add(
        p, &(struct tree_device){
               .address = "0000:18:00.0", .id = "10de:2335", .node = 1, .group = 42, .gib = 128 });
}

static void test_a_device(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_pci_facts f;
    add_gpu(p);
    assert_true(cvm_pci_exists(p->path, at("18:00.0")));
    assert_false(cvm_pci_exists(p->path, at("19:00.0")));
    must(cvm_pci_read(p->path, at("18:00.0"), &f, &err), &err);
    assert_int_equal(f.vendor, 0x10de);
    assert_int_equal(f.device, 0x2335);
    assert_int_equal(f.class, 0x030200);
    assert_int_equal(f.numa_node, 1);
    assert_string_equal(f.driver, "vfio-pci");
    assert_true(f.has_group);
    assert_int_equal(f.iommu_group, 42);
    assert_int_equal(f.bars[0].size, 16 << 20);
    assert_int_equal(f.bars[0].kind, CVM_PCI_BAR_MEM32);
    assert_int_equal(f.bars[1].kind, CVM_PCI_BAR_NONE);
    assert_int_equal(f.bars[1].size, 0);
    assert_int_equal(f.bars[2].size, UINT64_C(128) << 30);
    assert_int_equal(f.bars[2].kind, CVM_PCI_BAR_MEM64);
}

static void test_what_a_device_may_lack(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_pci_facts f;
    add_gpu(p);
    place_delete(p, GPU "driver");
    place_delete(p, GPU "iommu_group");
    tree_write(p, GPU "numa_node", "-1\n");
    must(cvm_pci_read(p->path, at("18:00.0"), &f, &err), &err);
    assert_string_equal(f.driver, "");
    assert_false(f.has_group);
    assert_int_equal(f.numa_node, -1);
    place_delete(p, GPU "numa_node");
    must(cvm_pci_read(p->path, at("18:00.0"), &f, &err), &err);
    assert_int_equal(f.numa_node, -1);
}

static void test_unexpected_contents(void **state)
{
    static const struct {
        const char *file, *text, *message;
    } bad[] = {
        { GPU "vendor", "", "vendor' says ''" },
        { GPU "vendor", "10de\n", "vendor' says '10de'" },
        { GPU "vendor", "0x10de0\n", "vendor' says '0x10de0'" },
        { GPU "vendor", "0x10de\n\n", "vendor' says" },
        { GPU "vendor", "0x\n", "vendor' says '0x'" },
        { GPU "device", "0x23x5\n", "device' says '0x23x5'" },
        { GPU "class", "0x0302000\n", "class' says" },
        { GPU "class", "                                                                         ",
          "is not a text of less than 64 characters" },
        { GPU "numa_node", "-2\n", "numa_node' says '-2'" },
        { GPU "numa_node", "one\n", "numa_node' says 'one'" },
        { GPU "numa_node", "9999999999\n", "numa_node' says" },
        { GPU "resource", "", "resource': line 1 is not a range" },
        { GPU "resource", "0x0 0x0\n", "line 1 is not a range" },
        { GPU "resource", "0x2 0x1 0x200\n", "line 1 is not a range" },
        { GPU "resource", "0x0 0xffffffffffffffff 0x200\n", "line 1 is not a range" },
        { GPU "resource", "0x0 0x0 0x0\n0x0 0x0 0x0 \n", "line 2 is not a range" },
        { GPU "resource", "0x0 0x0 0x0\n0x0 0x0 0x00000000000000000\n", "line 2 is not a range" },
    };
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_pci_facts f;
        add_gpu(p);
        tree_write(p, bad[i].file, bad[i].text);
        if (cvm_pci_read(p->path, at("18:00.0"), &f, &err)) {
            fail_msg("accepted: '%s' in '%s'", bad[i].text, bad[i].file);
        }
        assert_non_null(strstr(err.msg, "PCI device 0000:18:00.0: "));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_links_that_lead_elsewhere(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_pci_facts f;
    add_gpu(p);
    tree_link(p, GPU "iommu_group", "../nonsense");
    assert_false(cvm_pci_read(p->path, at("18:00.0"), &f, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "iommu_group' says 'nonsense'");
    add_gpu(p);
    tree_link(p, GPU "driver", "a/driver-with-a-name-of-more-than-thirty-one-characters");
    assert_false(cvm_pci_read(p->path, at("18:00.0"), &f, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "leads to a name of 53 characters");
    place_delete(p, GPU "driver");
    tree_write(p, GPU "driver", "a file");
    assert_false(cvm_pci_read(p->path, at("18:00.0"), &f, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "read link '");
    place_delete(p, GPU "driver");
    place_delete(p, GPU "vendor");
    place_mkdir(p, GPU "vendor");
    assert_false(cvm_pci_read(p->path, at("18:00.0"), &f, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "read '");
}

/* Six lines are read, whole; what follows them is not looked at. */
static void test_ranges_at_every_length(void **state)
{
    static const char text[] = "0x1 0x2 0x200\n0x0 0x0 0x0\n0x10 0x1f 0x10220c\n0x0 0x0 0x0\n"
                               "0x0 0x0 0x0\n0x0 0x0 0x0";
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct cvm_error err = { 0 };
        struct cvm_pci_bar bars[CVM_PCI_NUM_BARS] = { { .size = 77 } };
        char part[sizeof text];
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        bool whole = n == sizeof text - 1;
        assert_int_equal(cvm_pci_parse_bars(part, bars, &err), whole);
        assert_int_equal(bars[0].size, whole ? 2 : 77);
        if (!whole) {
            assert_error(&err, CVM_ERR_MALFORMED, "is not a range");
        }
    }
}

static void test_lists(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_pci_addresses_free)
    struct cvm_pci_addresses all = { 0 };
    CVM_CLEANUP(cvm_pci_addresses_free)
    struct cvm_pci_addresses group = { 0 };
    assert_false(cvm_pci_list(p->path, &all, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "read directory '");
    tree_hgx(p);
    tree_add(p, &(struct tree_device){ .address = "10000:01:00.0", .id = "10de:2335", .group = 4 });
    must(cvm_pci_list(p->path, &all, &err), &err);
    assert_int_equal(all.count, 13);
    assert_string_equal(cvm_pci_address_text(all.items[0]).text, "0000:01:00.0");
    assert_string_equal(cvm_pci_address_text(all.items[12]).text, "10000:01:00.0");
    must(cvm_pci_list_group(p->path, 4, &group, &err), &err);
    assert_int_equal(group.count, 2);
    assert_false(cvm_pci_list_group(p->path, 5, &group, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "read directory '");
    tree_write(p, "sys/bus/pci/devices/strange", "");
    CVM_CLEANUP(cvm_pci_addresses_free)
    struct cvm_pci_addresses none = { 0 };
    assert_false(cvm_pci_list(p->path, &none, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "devices': 'strange' is not a PCI address");
}

static const char *tree_path;

static bool list_all(struct cvm_error *err)
{
    CVM_CLEANUP(cvm_pci_addresses_free)
    struct cvm_pci_addresses all = { 0 };
    return cvm_pci_list(tree_path, &all, err);
}

static void test_out_of_memory(void **state)
{
    const struct place *p = *state;
    tree_hgx(p);
    tree_path = p->path;
    assert_true(fail_each_allocation(list_all) >= 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_ranges_at_every_length),
        TEST(test_a_device),
        TEST(test_what_a_device_may_lack),
        TEST(test_unexpected_contents),
        TEST(test_links_that_lead_elsewhere),
        TEST(test_lists),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
