#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/request.h"

#include <stdio.h>

/* --- requests --- */

#define BASE                                                                                       \
    "\"name\":\"web\",\"image\":\"i\",\"vcpu\":2,\"memory\":\"2G\",\"disk_size\":\"1G\","          \
    "\"app_compose\":{}"

static bool decode(const char *keys, struct cvm_request *out, struct cvm_error *err)
{
    struct json_object *o = NULL;
    char text[8192];
    *out = (struct cvm_request){ 0 };
    int n = snprintf(text, sizeof text, "{" BASE "%s}", keys);
    assert_true(n > 0 && (size_t)n < sizeof text);
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, (size_t)n }, &o, err),
         err);
    return cvm_request_decode(o, out, err);
}

static void test_requests(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    (void)state;
    must(decode(",\"gpus\":[\"0000:18:00.0\",{\"device\":\"10de:2335\",\"count\":7}],"
                "\"nvswitches\":{\"device\":\"10DE:22A3\",\"count\":4},\"hugepages\":true,"
                "\"numa\":{\"nodes\":[0,2,1023],\"pin_cpus\":true}",
                &r, &err),
         &err);
    const struct cvm_device_request *d = &r.devices;
    assert_int_equal(d->gpus.count, 2);
    assert_true(d->gpus.items[0].by_address);
    assert_int_equal(d->gpus.items[0].address.bus, 0x18);
    assert_false(d->gpus.items[1].by_address);
    assert_int_equal(d->gpus.items[1].vendor, 0x10de);
    assert_int_equal(d->gpus.items[1].device, 0x2335);
    assert_int_equal(cvm_requested_count(&d->gpus), 8);
    assert_int_equal(d->nvswitches.count, 1);
    assert_int_equal(d->nvswitches.items[0].device, 0x22a3);
    assert_int_equal(cvm_requested_count(&d->nvswitches), 4);
    assert_true(d->hugepages.value);
    assert_int_equal(d->numa.num_nodes, 3);
    assert_int_equal(d->numa.nodes[2], 1023);
    assert_true(d->numa.pin_cpus.value);
}

static void test_requests_without(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    (void)state;
    must(decode(",\"gpus\":[],\"nvswitches\":null,\"numa\":{}", &r, &err), &err);
    assert_int_equal(cvm_requested_count(&r.devices.gpus), 0);
    assert_int_equal(cvm_requested_count(&r.devices.nvswitches), 0);
    assert_int_equal(r.devices.numa.num_nodes, 0);
    assert_false(r.devices.numa.pin_cpus.set);
}

static const struct {
    const char *keys, *message;
} bad_requests[] = {
    { ",\"gpus\":8", "key 'gpus' is neither a list nor an object like" },
    { ",\"gpus\":\"all\"", "key 'gpus' is neither a list nor an object like" },
    { ",\"gpus\":[\"10de:2335\"]",
      "gpus[0]: '10de:2335' is not a PCI address like 0000:18:00.0; devices by what they are are" },
    { ",\"gpus\":[\"18:00.0\",\"0000:18:00.0\"]",
      "key 'gpus': 0000:18:00.0 stands in the list twice" },
    { ",\"gpus\":[\"18:00.0\",\"18:00.9\"]", "gpus[1]: '18:00.9' is not a PCI address" },
    { ",\"gpus\":[7]", "gpus[0]: not a JSON object" },
    { ",\"gpus\":[null]", "gpus[0]: not a JSON object" },
    { ",\"gpus\":{\"count\":1}", "key 'gpus': key 'device' is missing" },
    { ",\"gpus\":{\"device\":\"10de:2335\"}", "key 'gpus': key 'count' is missing" },
    { ",\"gpus\":{\"device\":\"10de\",\"count\":1}", "key 'gpus': '10de' is not VENDOR:DEVICE" },
    { ",\"gpus\":{\"device\":\"10de:2335\",\"count\":0}",
      "key 'gpus': key 'count': 0 is not within 1 to 64" },
    { ",\"gpus\":{\"device\":\"10de:2335\",\"counts\":1}",
      "key 'gpus': unknown key 'counts', did you mean 'count'?" },
    { ",\"gpus\":[{\"device\":\"10de:2335\",\"count\":64},\"18:00.0\"]",
      "key 'gpus': 65 devices, at most 64" },
    { ",\"nvswitches\":[\"x\"]", "nvswitches[0]: 'x' is not a PCI address" },
    { ",\"gpu\":[]", "unknown key 'gpu', did you mean 'gpus'?" },
    { ",\"hugepages\":1", "key 'hugepages' is not true or false" },
    { ",\"numa\":[0]", "key 'numa' is not an object" },
    { ",\"numa\":{\"node\":[0]}", "key 'numa': unknown key 'node', did you mean 'nodes'?" },
    { ",\"numa\":{\"nodes\":[1,0]}", "key 'numa': nodes[1] is not a node of the host" },
    { ",\"numa\":{\"nodes\":[1,1]}", "key 'numa': nodes[1] is not a node of the host" },
    { ",\"numa\":{\"nodes\":[1024]}", "key 'numa': nodes[0] is not a node of the host" },
    { ",\"numa\":{\"nodes\":[-1]}", "key 'numa': nodes[0] is not a node of the host" },
    { ",\"numa\":{\"nodes\":[\"0\"]}", "key 'numa': nodes[0] is not a node of the host" },
    { ",\"numa\":{\"nodes\":[0,1,2,3,4,5,6,7,8]}", "key 'nodes': a length of 9" },
};

static void test_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        if (decode(bad_requests[i].keys, &r, &err)) {
            fail_msg("accepted: %s", bad_requests[i].keys);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad_requests[i].message);
    }
}

/* A list that is longer than there is room for is refused before it is read. */
static void test_a_long_list(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    char keys[4096] = ",\"gpus\":[\"0000:01:00.0\"";
    (void)state;
    for (unsigned i = 0; i < CVM_MAX_SELECTORS; i++) {
        size_t n = strlen(keys);
        snprintf(keys + n, sizeof keys - n, ",\"0000:02:%02x.%u\"", i / 8, i % 8);
    }
    strcat(keys, "]");
    assert_false(decode(keys, &r, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "key 'gpus': 65 items, at most 64");
}

/* --- the host configuration --- */

static bool load(const struct place *p, const char *text, struct cvm_host *out,
                 struct cvm_error *err)
{
    place_write_text(p, "host.json", text);
    const struct cvm_host_options options = { .config = place_path(p, "host.json") };
    *out = (struct cvm_host){ 0 };
    return cvm_host_load(&options, out, err);
}

static void test_host_keys(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    must(load(*state,
              "{\"gpus\":[\"10de:2335\",\"0001:18:00.0\"],\"nvswitches\":[\"10de:22a3\"],"
              "\"hugepage_size\":\"1G\",\"pin_cpus\":true,\"iommufd\":\"off\","
              "\"gpu_stand_in\":\"/srv/tree\"}",
              &h, &err),
         &err);
    assert_int_equal(h.devices.gpus.count, 2);
    assert_false(h.devices.gpus.items[0].by_address);
    assert_int_equal(h.devices.gpus.items[1].address.domain, 1);
    assert_int_equal(h.devices.nvswitches.items[0].device, 0x22a3);
    assert_int_equal(h.devices.hugepage_size.value, 1 << 30);
    assert_true(h.devices.pin_cpus.value);
    assert_int_equal(h.devices.iommufd, CVM_IOMMUFD_OFF);
    assert_string_equal(cvm_host_root(&h.devices), "/srv/tree");
}

static void test_host_defaults(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    must(load(*state, "{}", &h, &err), &err);
    assert_int_equal(h.devices.gpus.count, 0);
    assert_int_equal(h.devices.hugepage_size.value, 2 << 20);
    assert_false(h.devices.pin_cpus.value);
    assert_int_equal(h.devices.iommufd, CVM_IOMMUFD_AUTO);
    assert_string_equal(cvm_host_root(&h.devices), "");
}

static void test_bad_host_keys(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"gpus\":\"10de:2335\"}", "key 'gpus' is not an array" },
        { "{\"gpus\":[{\"device\":\"10de:2335\"}]}", "gpus[0] is not a string" },
        { "{\"gpus\":[\"18:00\"]}", "gpus[0]: '18:00' is not VENDOR:DEVICE like 10de:2335" },
        { "{\"gpus\":[\"10de:2335\",\"18:00.x\"]}", "gpus[1]: '18:00.x' is not a PCI address" },
        { "{\"nvswitches\":[1]}", "nvswitches[0] is not a string" },
        { "{\"hugepage_size\":\"4K\"}", "key 'hugepage_size': 4096 is neither 2M nor 1G" },
        { "{\"iommufd\":\"maybe\"}", "key 'iommufd': 'maybe' is none of: auto on off" },
        { "{\"gpu_stand_in\":\"tree\"}", "key 'gpu_stand_in': 'tree' is not absolute" },
        { "{\"gpu_stand_in\":true}", "key 'gpu_stand_in' is not a string" },
        { "{\"gpuss\":[]}", "unknown key 'gpuss', did you mean 'gpus'?" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autohost struct cvm_host h = { 0 };
        if (load(*state, bad[i].text, &h, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_without),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_a_long_list),
        TEST(test_host_keys),
        TEST(test_host_defaults),
        TEST(test_bad_host_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
