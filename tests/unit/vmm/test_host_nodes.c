#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "vmm/host_nodes.h"

#include <stdio.h>

static void expect_set(const char *text, const char *printed, unsigned count)
{
    struct cvm_error err = { 0 };
    struct cvm_cpu_set set;
    cvm_autobuf struct cvm_buf out = { 0 };
    must(cvm_cpu_set_parse(text, &set, &err), &err);
    assert_int_equal(cvm_cpu_set_count(&set), count);
    cvm_cpu_set_put(&set, &out);
    cvm_put_u8(&out, '\0');
    assert_string_equal((const char *)out.data, printed);
}

static void test_sets(void **state)
{
    static const char *const bad[] = {
        ",",     "0,", ",0", "0-",   "-1",     "3-1",     "0,,1",
        "0 ",    " 0", "a",  "8192", "0-8192", "0000000", "99999999999999999999",
        "0-1-2", "0x1"
    };
    (void)state;
    expect_set("", "", 0);
    expect_set("0", "0", 1);
    expect_set("0-3,8", "0-3,8", 5);
    expect_set("8,3,2,1,0,1-2", "0-3,8", 5);
    expect_set("0-55,112-167", "0-55,112-167", 112);
    expect_set("62-65,8191", "62-65,8191", 5);
    expect_set("0-8191", "0-8191", 8192);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_cpu_set set = { { 7 } };
        if (cvm_cpu_set_parse(bad[i], &set, &err)) {
            fail_msg("accepted: '%s'", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "is not a list like 0-3,8 below 8192");
        assert_int_equal(set.words[0], 7);
    }
}

static void test_members(void **state)
{
    struct cvm_cpu_set set = { 0 };
    (void)state;
    cvm_cpu_set_add(&set, 64);
    cvm_cpu_set_add(&set, CVM_MAX_HOST_CPUS);
    assert_true(cvm_cpu_set_has(&set, 64));
    assert_false(cvm_cpu_set_has(&set, 0));
    assert_false(cvm_cpu_set_has(&set, CVM_MAX_HOST_CPUS));
    assert_int_equal(cvm_cpu_set_count(&set), 1);
}

static void test_nodes(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_cpu_set set;
    assert_false(cvm_host_nodes(p->path, &set, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "NUMA nodes of the host: read '");
    tree_nodes(p, 2, 56);
    must(cvm_host_nodes(p->path, &set, &err), &err);
    assert_int_equal(cvm_cpu_set_count(&set), 2);
    must(cvm_host_node_cpus(p->path, 1, &set, &err), &err);
    assert_int_equal(cvm_cpu_set_count(&set), 56);
    assert_true(cvm_cpu_set_has(&set, 56) && cvm_cpu_set_has(&set, 111));
    assert_false(cvm_host_node_cpus(p->path, 2, &set, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "CPUs of host node 2: read '");
    tree_write(p, "sys/devices/system/node/node0/cpulist", "all\n");
    assert_false(cvm_host_node_cpus(p->path, 0, &set, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "node0/cpulist': 'all' is not a list");
}

static void test_huge_pages(void **state)
{
    static const struct cvm_huge_pages of_node = { true, 1, 2 << 20, 512 };
    static const struct cvm_huge_pages of_host = { false, 0, 1 << 30, 16 };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    assert_false(cvm_huge_pages_check(p->path, &of_node, &err));
    assert_error(&err, CVM_ERR_SYSTEM,
                 "host node 1 has 0 free huge pages of 2048 KiB, and the guest needs 512; write a "
                 "larger number into /sys/devices/system/node/node1/hugepages/hugepages-2048kB/"
                 "nr_hugepages, or reserve them when the host boots");
    tree_pages(p, 1, 511);
    assert_false(cvm_huge_pages_check(p->path, &of_node, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "host node 1 has 511 free huge pages");
    tree_pages(p, 1, 512);
    must(cvm_huge_pages_check(p->path, &of_node, &err), &err);
    assert_false(cvm_huge_pages_check(p->path, &of_host, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "the host has 0 free huge pages of 1048576 KiB");
    tree_write(p, "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "16\n");
    must(cvm_huge_pages_check(p->path, &of_host, &err), &err);
}

static void test_counters_that_are_none(void **state)
{
    static const struct cvm_huge_pages of_node = { true, 0, 2 << 20, 1 };
    static const char *const bad[] = { "", "-1\n", "many\n", "1 \n", "9999999999999999\n" };
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        tree_write(p, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
                   bad[i]);
        assert_false(cvm_huge_pages_check(p->path, &of_node, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "free_hugepages' says '");
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets), cmocka_unit_test(test_members),    TEST(test_nodes),
        TEST(test_huge_pages),       TEST(test_counters_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
