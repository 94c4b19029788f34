#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "vmm/device_pool.h"

#include <stdio.h>

static struct cvm_device_selector by_id(uint16_t device, uint32_t count)
{
    return (struct cvm_device_selector){ .vendor = 0x10de, .device = device, .count = count };
}

static struct cvm_device_selector by_bus(uint8_t bus)
{
    return (
        struct cvm_device_selector){ .by_address = true, .address = { .bus = bus }, .count = 1 };
}

/* A host that gives away all H100 and all NVSwitches of a made-up one. */
static struct cvm_host_devices host_of(const struct place *p)
{
    return (struct cvm_host_devices){
        .gpus = { .items = { by_id(0x2335, 1) }, .count = 1 },
        .nvswitches = { .items = { by_id(0x22a3, 1) }, .count = 1 },
        .root = p->path,
    };
}

static struct cvm_held_device held_at(uint8_t bus, const char *owner)
{
    struct cvm_held_device d = { .address = { .bus = bus } };
    snprintf(d.owner, sizeof d.owner, "%s", owner);
    return d;
}

/* What is chosen of these selectors, as "10 20 50", or what is wrong. */
struct answer {
    char text[1024];
};

static struct answer choose(const struct place *p, const struct cvm_holdings *held,
                            enum cvm_pool_kind kind, const struct cvm_device_selectors *wanted)
{
    struct cvm_error err = { 0 };
    struct answer a = { "" };
    const struct cvm_host_devices host = host_of(p);
    cvm_autopool struct cvm_device_pool pool = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    struct cvm_pci_facts chosen[CVM_MAX_GPUS];
    uint32_t count = 0;
    must(cvm_device_pool_load(&host, held, &pool, &warnings, &err), &err);
    assert_int_equal(warnings.count, 0);
    if (!cvm_device_pool_choose(&pool, kind, wanted, chosen, &count, &err)) {
        snprintf(a.text, sizeof a.text, "%s: %.900s", cvm_error_word(err.code), err.msg);
        return a;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t n = strlen(a.text);
        snprintf(a.text + n, sizeof a.text - n, "%s%02x", i == 0 ? "" : " ", chosen[i].address.bus);
    }
    return a;
}

#define WANTED(...)                                                                                \
    &(const struct cvm_device_selectors)                                                           \
    {                                                                                              \
        .items = { __VA_ARGS__ }, .count = sizeof((struct cvm_device_selector[]){ __VA_ARGS__ }) / \
                                           sizeof(struct cvm_device_selector)                      \
    }

static void expect(const struct place *p, const struct cvm_holdings *held,
                   const struct cvm_device_selectors *wanted, const char *text)
{
    struct answer a = choose(p, held, CVM_POOL_GPU, wanted);
    assert_string_equal(a.text, text);
}

static const struct cvm_holdings nothing;

static void test_one_node_is_preferred(void **state)
{
    const struct place *p = *state;
    struct cvm_held_device one[] = { held_at(0x10, "a") };
    struct cvm_held_device three[] = { held_at(0x10, "a"), held_at(0x50, "b"), held_at(0x60, "b") };
    const struct cvm_holdings first = { .devices = one, .count = 1 };
    const struct cvm_holdings others = { .devices = three, .count = 3 };
    tree_hgx(p);
    expect(p, &nothing, WANTED(by_id(0x2335, 1)), "10");
    expect(p, &nothing, WANTED(by_id(0x2335, 4)), "10 20 30 40");
    expect(p, &nothing, WANTED(by_id(0x2335, 5)), "10 20 30 40 50");
    expect(p, &nothing, WANTED(by_id(0x2335, 8)), "10 20 30 40 50 60 70 80");
    /* With one of node 0 gone: what fits the smaller rest goes there, four go to node 1. */
    expect(p, &first, WANTED(by_id(0x2335, 3)), "20 30 40");
    expect(p, &first, WANTED(by_id(0x2335, 4)), "50 60 70 80");
    /* Three are free on node 0, two on node 1. */
    expect(p, &others, WANTED(by_id(0x2335, 1)), "70");
    expect(p, &others, WANTED(by_id(0x2335, 3)), "20 30 40");
    expect(p, &others, WANTED(by_id(0x2335, 4)), "20 30 40 70");
}

static void test_addresses_and_kinds(void **state)
{
    const struct place *p = *state;
    tree_hgx(p);
    expect(p, &nothing, WANTED(by_bus(0x80), by_bus(0x10)), "80 10");
    expect(p, &nothing, WANTED(by_id(0x2335, 2), by_bus(0x10)), "10 20 30");
    expect(p, &nothing, WANTED(by_id(0x2335, 2), by_id(0x2335, 2)), "10 20 30 40");
    expect(p, &nothing, WANTED(by_bus(0x90)),
           "usage: GPU 0000:90:00.0 is not among the host configuration's 'gpus', or not on this "
           "host");
    expect(p, &nothing, WANTED(by_bus(0x01)),
           "usage: GPU 0000:01:00.0 is not among the host configuration's 'gpus', or not on this "
           "host");
    struct answer a = choose(p, &nothing, CVM_POOL_NVSWITCH, WANTED(by_id(0x22a3, 4)));
    assert_string_equal(a.text, "01 02 03 04");
    a = choose(p, &nothing, CVM_POOL_NVSWITCH, WANTED(by_id(0x2335, 1)));
    assert_non_null(strstr(a.text, "1 of NVSwitch 10de:2335 are wanted, and 0 are free"));
}

static void test_what_is_held(void **state)
{
    const struct place *p = *state;
    struct cvm_held_device devices[] = { held_at(0x10, "web"), held_at(0x20, "db") };
    const struct cvm_holdings held = { .devices = devices, .count = 2 };
    tree_hgx(p);
    expect(p, &held, WANTED(by_bus(0x20)),
           "system: GPU 0000:20:00.0 is held by guest 'db', until that is removed");
    expect(p, &held, WANTED(by_id(0x2335, 7)),
           "system: 7 of GPU 10de:2335 are wanted, and 6 are free: the host has 8 that may be "
           "given to guests, and guests hold 2");
    expect(p, &held, WANTED(by_id(0x2335, 6), by_id(0x2335, 1)),
           "system: 1 of GPU 10de:2335 are wanted, and 0 are free: the host has 8 that may be "
           "given to guests, and guests hold 2");
}

static void test_what_the_configuration_lists(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_host_devices host = host_of(p);
    cvm_autopool struct cvm_device_pool pool = { 0 };
    cvm_autopool struct cvm_device_pool failed = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    tree_hgx(p);
    host.gpus = *WANTED(by_bus(0x50), by_id(0x2335, 1), by_bus(0x50), by_bus(0x99));
    must(cvm_device_pool_load(&host, &nothing, &pool, &warnings, &err), &err);
    assert_int_equal(pool.count, 12);
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.items[0], "the host configuration lists GPU 0000:99:00.0, which "
                                           "this host does not have");
    host.nvswitches = *WANTED(by_bus(0x10));
    assert_false(cvm_device_pool_load(&host, &nothing, &failed, &warnings, &err));
    assert_error(&err, CVM_ERR_MALFORMED,
                 "host configuration: 0000:10:00.0 is listed in 'gpus' and in 'nvswitches'");
}

static struct cvm_host_devices fault_host;

static bool load(struct cvm_error *err)
{
    cvm_autopool struct cvm_device_pool pool = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    return cvm_device_pool_load(&fault_host, &nothing, &pool, &warnings, err);
}

static void test_out_of_memory(void **state)
{
    tree_hgx(*state);
    fault_host = host_of(*state);
    assert_true(fail_each_allocation(load) >= 12);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_node_is_preferred), TEST(test_addresses_and_kinds),
        TEST(test_what_is_held),          TEST(test_what_the_configuration_lists),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
