#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "measure/base/file.h"
#include "vmm/launch_plan.h"

#include <stdio.h>
#include <sys/wait.h>

enum { CID_FIRST = 100, CID_COUNT = 64 };

static struct cvm_store open_store(const struct place *p)
{
    struct cvm_error err = { 0 };
    struct cvm_store s;
    must(cvm_store_open(p->path, true, &s, &err), &err);
    return s;
}

/* A record with these resources, as a launch writes it. */
static bool write_record(int dir_fd, const char *name, uint32_t cid, const struct cvm_resources *r,
                         struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "name", name);
    cvm_json_put_string(&b, "uuid", "00000000-0000-4000-8000-000000000000");
    cvm_json_put_string(&b, "image", "/i");
    cvm_json_put_string(&b, "emulator", "/e");
    cvm_json_put_string(&b, "libvirt_uri", "test:///default");
    cvm_json_put_string(&b, "created", "2025-01-01T00:00:00Z");
    cvm_json_put_u64(&b, "cid", cid);
    cvm_json_put_bool(&b, "no_tee", true);
    cvm_json_put_bool(&b, "has_vsock", true);
    if (!cvm_resources_put(r, &b, err)) {
        return false;
    }
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, err) &&
           cvm_file_write(dir_fd, "vm.json", text.data, text.len, 0644, err);
}

static void must_store(const struct cvm_store *s, const char *name, const struct cvm_resources *r)
{
    struct cvm_error err = { 0 };
    cvm_autoclaim struct cvm_claim c = CVM_CLAIM_NONE;
    must(cvm_store_claim(s, name, CID_FIRST, CID_COUNT, &c, &err), &err);
    must(cvm_claim_make(&c, &err), &err);
    must(write_record(c.fd, name, c.cid, r, &err), &err);
    must(cvm_claim_commit(&c, &err), &err);
}

static void test_what_is_written_is_read(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(*state);
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    struct cvm_resources read;
    struct cvm_resources r = {
        .gpus = { { .bus = 0x18 }, { .domain = 0x10000, .bus = 0x2a, .slot = 31, .function = 7 } },
        .num_gpus = 2,
        .nvswitches = { { .bus = 5 } },
        .num_nvswitches = 1,
        .huge_pages = { { true, 1, 2 << 20, 512 }, { false, 0, 1 << 30, 4 } },
        .num_huge_pages = 2,
        .stand_in = true,
    };
    cvm_cpu_set_add(&r.cpus, 3);
    cvm_cpu_set_add(&r.cpus, 200);
    must_store(&s, "web", &r);
    must(cvm_vm_open(&s, "web", false, &vm, &err), &err);
    must(cvm_resources_decode(vm.record.resources, &read, &err), &err);
    assert_memory_equal(&read, &r, sizeof r);
}

static void test_nothing_held_is_not_written(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(*state);
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    struct cvm_resources r = { 0 };
    must_store(&s, "web", &r);
    must(cvm_vm_open(&s, "web", false, &vm, &err), &err);
    assert_null(vm.record.resources);
    r.num_gpus = 9;
    must(cvm_resources_decode(NULL, &r, &err), &err);
    assert_int_equal(r.num_gpus, 0);
}

static void test_bad_records(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"gpus\":[1]}", "key 'resources': gpus[0] is not a string" },
        { "{\"gpus\":[\"18:00.0\",\"x\"]}", "key 'resources': gpus[1]: 'x' is not a PCI address" },
        { "{\"nvswitches\":[\"10de:22a3\"]}", "nvswitches[0]: '10de:22a3' is not a PCI address" },
        { "{\"cpus\":\"0-\"}", "key 'resources': '0-' is not a list like 0-3,8" },
        { "{\"huge_pages\":[{}]}", "huge_pages[0]: key 'size' is missing" },
        { "{\"huge_pages\":[{\"size\":2097152,\"count\":1,\"node\":1024}]}",
          "huge_pages[0]: key 'node': 1024 is not within 0 to 1023" },
        { "{\"gpu\":[]}", "key 'resources': unknown key 'gpu', did you mean 'gpus'?" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_resources r;
        cvm_autojson struct json_object *o = NULL;
        must(cvm_json_parse("it",
                            (struct cvm_bytes){ (const uint8_t *)bad[i].text, strlen(bad[i].text) },
                            &o, &err),
             &err);
        assert_false(cvm_resources_decode(o, &r, &err));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_holdings(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    cvm_autoholdings struct cvm_holdings h = { 0 };
    struct cvm_resources web = { .gpus = { { .bus = 0x18 } }, .num_gpus = 1 };
    struct cvm_resources db = { .nvswitches = { { .bus = 5 }, { .bus = 6 } }, .num_nvswitches = 2 };
    const struct cvm_resources none = { 0 };
    cvm_cpu_set_add(&web.cpus, 0);
    cvm_cpu_set_add(&db.cpus, 1);
    must_store(&s, "web", &web);
    must_store(&s, "db", &db);
    must_store(&s, "small", &none);
    must(cvm_holdings_load(&s, &h, &err), &err);
    assert_int_equal(h.count, 3);
    assert_string_equal(cvm_holdings_owner(&h, web.gpus[0]), "web");
    assert_string_equal(cvm_holdings_owner(&h, db.nvswitches[1]), "db");
    assert_null(cvm_holdings_owner(&h, (struct cvm_pci_address){ .bus = 7 }));
    assert_int_equal(cvm_cpu_set_count(&h.cpus), 2);
    must(cvm_store_delete(&s, "db", &err), &err);
    cvm_holdings_free(&h);
    must(cvm_holdings_load(&s, &h, &err), &err);
    assert_null(cvm_holdings_owner(&h, db.nvswitches[1]));
    /* A record that cannot be read may hold anything. */
    place_write_text(p, "vms/web/vm.json", "{\"name\":");
    cvm_holdings_free(&h);
    assert_false(cvm_holdings_load(&s, &h, &err));
    assert_non_null(strstr(err.msg, "guest 'web': "));
    assert_error(&err, CVM_ERR_MALFORMED, "vm.json: not JSON");
}

static void test_a_host_without_guests(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autoholdings struct cvm_holdings h = { 0 };
    const struct cvm_host host = { .state_dir = place_path(p, "absent") };
    must(cvm_holdings_of_host(&host, &h, &err), &err);
    assert_int_equal(h.count, 0);
    assert_false(place_has(p, "absent"));
}

/* --- several processes --- */

/* A launch, as far as devices and CPUs go: whoever has the store's lock chooses. */
static bool launch_one(const struct place *p, const char *name, struct cvm_error *err)
{
    const struct cvm_device_request request = {
        .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335, .count = 1 } }, .count = 1 },
        .hugepages = { true, true },
        .numa = { .pin_cpus = { true, true } },
    };
    const struct cvm_host_devices host = {
        .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335 } }, .count = 1 },
        .hugepage_size = { true, 2 << 20 },
        .root = p->path,
    };
    const struct cvm_placement_wish wish = { &request, &host, 2, 64 << 20 };
    cvm_autostore struct cvm_store s = { .fd = -1 };
    cvm_autoclaim struct cvm_claim c = CVM_CLAIM_NONE;
    cvm_autoholdings struct cvm_holdings held = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    struct cvm_placement placement;
    struct cvm_resources r;
    if (!cvm_store_open(p->path, true, &s, err) ||
        !cvm_store_claim(&s, name, CID_FIRST, CID_COUNT, &c, err) ||
        !cvm_holdings_load(&s, &held, err) ||
        !cvm_placement_choose(&wish, &held, &placement, &warnings, err)) {
        return false;
    }
    cvm_placement_resources(&placement, &r);
    return cvm_claim_make(&c, err) && write_record(c.fd, name, c.cid, &r, err) &&
           cvm_claim_commit(&c, err);
}

static pid_t start_launch(const struct place *p, unsigned number)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct cvm_error err = { 0 };
        char name[16];
        snprintf(name, sizeof name, "guest%u", number);
        bool ok = launch_one(p, name, &err);
        bool used_up = err.code == CVM_ERR_SYSTEM && strstr(err.msg, "0 are free") != NULL;
        _exit(ok ? 0 : used_up ? 1 : 2);
    }
    return pid;
}

static void test_processes_at_once(void **state)
{
    enum { PROCESSES = 12, GPUS = 8 };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    pid_t pids[PROCESSES];
    unsigned ended[3] = { 0 };
    cvm_autoholdings struct cvm_holdings h = { 0 };
    tree_hgx(p);
    tree_nodes(p, 2, 8);
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = start_launch(p, i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 3);
        ended[WEXITSTATUS(status)]++;
    }
    assert_int_equal(ended[0], GPUS);
    assert_int_equal(ended[1], PROCESSES - GPUS);
    cvm_autostore struct cvm_store s = open_store(p);
    must(cvm_holdings_load(&s, &h, &err), &err);
    assert_int_equal(h.count, GPUS);
    for (size_t i = 0; i < h.count; i++) {
        assert_string_equal(cvm_holdings_owner(&h, h.devices[i].address), h.devices[i].owner);
    }
    assert_int_equal(cvm_cpu_set_count(&h.cpus), 2 * GPUS); /* none has two vCPUs */
}

/* --- a launch that another one overtook --- */

/* A plan whose placement was decided while nobody held anything. */
struct overtaken {
    struct cvm_request request;
    struct cvm_host host;
    struct cvm_launch_plan plan;
    struct cvm_store store;
};

static void plan_first(struct overtaken *o, const struct place *p, uint32_t gpus)
{
    struct cvm_error err = { 0 };
    const struct cvm_holdings nothing = { 0 };
    tree_hgx(p);
    *o = (struct overtaken){
        .request = {
            .vcpu = { true, 4 },
            .memory = { true, 64 << 20 },
            .devices = {
                .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335, .count = gpus } },
                          .count = 1 },
                .hugepages = { true, true },
            },
        },
        .host = {
            .devices = {
                .gpus = { .items = { { .vendor = 0x10de, .device = 0x2335 } }, .count = 1 },
                .hugepage_size = { true, 2 << 20 },
                .root = p->path,
            },
        },
        .plan = CVM_LAUNCH_PLAN_NONE,
        .store = open_store(p),
    };
    const struct cvm_placement_wish wish = { &o->request.devices, &o->host.devices, 4, 64 << 20 };
    o->plan.request = &o->request;
    o->plan.host = &o->host;
    must(cvm_placement_choose(&wish, &nothing, &o->plan.placement, &o->plan.warnings, &err), &err);
}

static void free_overtaken(struct overtaken *o)
{
    cvm_launch_plan_free(&o->plan);
    cvm_store_close(&o->store);
}

static void test_others_take_the_place_of_what_is_gone(void **state)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(free_overtaken)
    struct overtaken o;
    const struct cvm_resources first = { .gpus = { { .bus = 0x10 } }, .num_gpus = 1 };
    plan_first(&o, *state, 4);
    assert_int_equal(o.plan.placement.gpus[0].address.bus, 0x10);
    must(cvm_launch_plan_place_again(&o.plan, &o.store, &err), &err);
    assert_int_equal(o.plan.placement.gpus[0].address.bus, 0x10);
    must_store(&o.store, "faster", &first);
    must(cvm_launch_plan_place_again(&o.plan, &o.store, &err), &err);
    assert_int_equal(o.plan.placement.num_gpus, 4);
    assert_int_equal(o.plan.placement.gpus[0].address.bus, 0x50); /* all of node 1 */
    assert_int_equal(o.plan.placement.nodes[0].host_node, 1);
    assert_int_equal(o.plan.warnings.count, 0);
}

static void test_another_machine_is_not_launched(void **state)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(free_overtaken)
    struct overtaken o;
    const struct cvm_resources taken = { .gpus = { { .bus = 0x10 }, { .bus = 0x80 } },
                                         .num_gpus = 2 };
    const struct cvm_resources more = {
        .gpus = { { .bus = 0x20 }, { .bus = 0x30 }, { .bus = 0x40 } }, .num_gpus = 3
    };
    plan_first(&o, *state, 4);
    must_store(&o.store, "faster", &taken); /* three are left on each node */
    assert_false(cvm_launch_plan_place_again(&o.plan, &o.store, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "another launch took devices that this one had chosen");
    assert_int_equal(o.plan.placement.gpus[0].address.bus, 0x10);
    must_store(&o.store, "too", &more);
    assert_false(cvm_launch_plan_place_again(&o.plan, &o.store, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "4 of GPU 10de:2335 are wanted, and 3 are free");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_written_is_read),
        TEST(test_nothing_held_is_not_written),
        cmocka_unit_test(test_bad_records),
        TEST(test_holdings),
        TEST(test_a_host_without_guests),
        TEST(test_processes_at_once),
        TEST(test_others_take_the_place_of_what_is_gone),
        TEST(test_another_machine_is_not_launched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
