#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/request.h"

#include <fcntl.h>
#include <stdio.h>

#define BASE                                                                                       \
    "\"name\":\"web\",\"image\":\"dstack-0.5.11\",\"vcpu\":2,\"memory\":\"2G\","                   \
    "\"disk_size\":\"10G\",\"app_compose\":{\"runner\":\"none\"}"

static bool decode(const char *text, struct cvm_request *out, struct cvm_error *err)
{
    struct json_object *o = NULL;
    *out = (struct cvm_request){ 0 };
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, &o, err),
         err);
    return cvm_request_decode(o, out, err);
}

static void test_the_least_that_can_be_said(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    (void)state;
    must(decode("{" BASE "}", &r, &err), &err);
    assert_string_equal(r.name, "web");
    assert_string_equal(r.image, "dstack-0.5.11");
    assert_int_equal(r.vcpu.value, 2);
    assert_int_equal(r.memory.value, UINT64_C(2) << 30);
    assert_int_equal(r.disk_size.value, UINT64_C(10) << 30);
    assert_true(cvm_json_is_object(r.app_compose));
    assert_int_equal(r.num_networks, 1);
    assert_int_equal(r.networks[0].mode, CVM_NETWORK_USER);
    assert_null(r.networks[0].source);
    assert_null(r.networks[0].mac);
    assert_int_equal(r.num_ports + r.num_volumes, 0);
    assert_false(r.no_tee.set);
    assert_null(r.ovmf_variant);
    assert_null(r.overrides.host_share_mode);
    assert_false(r.swtpm.set);
    assert_null(r.smbios.product);
}

static void test_everything_that_can_be_said(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    (void)state;
    must(decode("{" BASE
                ",\"networks\":[{\"mode\":\"bridge\",\"source\":\"br0\"},{\"mode\":\"user\","
                "\"mac\":\"52:54:00:AB:cd:ef\"},{\"mode\":\"network\",\"source\":\"default\"},"
                "{\"mode\":\"direct\",\"source\":\"eth0\"}],\"ports\":[{\"host_port\":8080,"
                "\"guest_port\":80},{\"protocol\":\"udp\",\"address\":\"0.0.0.0\",\"host_port\":"
                "65535,\"guest_port\":1}],\"volumes\":[{\"path\":\"/srv/a.img\"},{\"path\":"
                "\"/b\"}],\"user_config\":\"u\",\"encrypted_env\":\"e\",\"app_id\":"
                "\"00112233445566778899aabbccddeeff00112233\",\"kms_urls\":[\"https://k\"],"
                "\"gateway_urls\":[],\"no_tee\":true,\"swtpm\":true,"
                "\"smbios\":{\"product\":\"p\",\"sku\":\"\"},\"attestation_variant\":\"legacy\","
                "\"ovmf_variant\":\"stable202505\",\"kernel_header\":\"as-is\",\"overrides\":{"
                "\"pic\":false,\"smm\":true,\"hotplug_off\":true,\"qemu_single_pass_add_pages\":"
                "true,\"pci_hole64_size\":\"64G\",\"pciexbar_base\":2952790016,"
                "\"pci_window64_base\":1099511627776,\"host_share_mode\":\"vvfat\"}}",
                &r, &err),
         &err);
    assert_int_equal(r.num_networks, 4);
    assert_int_equal(r.networks[0].mode, CVM_NETWORK_BRIDGE);
    assert_string_equal(r.networks[0].source, "br0");
    assert_int_equal(r.networks[1].mode, CVM_NETWORK_USER);
    assert_string_equal(r.networks[1].mac, "52:54:00:AB:cd:ef");
    assert_int_equal(r.networks[2].mode, CVM_NETWORK_NETWORK);
    assert_int_equal(r.networks[3].mode, CVM_NETWORK_DIRECT);
    assert_int_equal(r.num_ports, 2);
    assert_string_equal(r.ports[0].protocol, "tcp");
    assert_string_equal(r.ports[0].address, "127.0.0.1");
    assert_int_equal(r.ports[0].host_port.value, 8080);
    assert_string_equal(r.ports[1].protocol, "udp");
    assert_string_equal(r.ports[1].address, "0.0.0.0");
    assert_int_equal(r.num_volumes, 2);
    assert_string_equal(r.volumes[1].path, "/b");
    assert_true(r.no_tee.value);
    assert_true(r.swtpm.value);
    assert_string_equal(r.smbios.product, "p");
    assert_string_equal(r.smbios.sku, "");
    assert_null(r.smbios.serial);
    assert_int_equal(cvm_json_array_length(r.kms_urls), 1);
    assert_true(r.overrides.pic.set && !r.overrides.pic.value);
    assert_true(r.overrides.qemu_single_pass_add_pages.value);
    assert_int_equal(r.overrides.pci_hole64_size.value, UINT64_C(64) << 30);
    assert_string_equal(r.overrides.host_share_mode, "vvfat");
}

static const struct {
    const char *text, *message;
} bad_requests[] = {
    { "[]", "not a JSON object" },
    { "{\"name\":\"web\"}", "key 'image' is missing" },
    { "{" BASE ",\"memry\":\"2G\"}", "unknown key 'memry', did you mean 'memory'?" },
    { "{" BASE ",\"volume\":[]}", "unknown key 'volume', did you mean 'volumes'?" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\",\"source\":\"x\"}]}",
      "networks[0]: mode 'user' takes no source" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\"},{\"mode\":\"bridge\"}]}",
      "networks[1]: mode 'bridge' needs a source" },
    { "{" BASE ",\"networks\":[{\"mode\":\"nat\"}]}",
      "networks[0]: mode 'nat' is none of 'user', 'bridge', 'network', 'direct'" },
    { "{" BASE ",\"networks\":[{}]}", "networks[0]: key 'mode' is missing" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\",\"modl\":1}]}",
      "networks[0]: unknown key 'modl', did you mean 'mode'?" },
    { "{" BASE ",\"networks\":[7]}", "networks[0]: not a JSON object" },
    { "{" BASE ",\"networks\":[null]}", "networks[0]: not a JSON object" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\",\"mac\":\"52:54:00:12:34\"}]}",
      "key 'mac': a length of 14" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\",\"mac\":\"52-54-00-12-34-56\"}]}",
      "networks[0]: mac '52-54-00-12-34-56' is not like 52:54:00:12:34:56" },
    { "{" BASE ",\"networks\":[{\"mode\":\"user\",\"mac\":\"52:54:00:12:34:5g\"}]}", "mac '52" },
    { "{" BASE ",\"networks\":[],\"ports\":[{\"host_port\":1,\"guest_port\":1}]}",
      "ports need a network of mode 'user' to lead into" },
    { "{" BASE ",\"ports\":[{\"host_port\":0,\"guest_port\":1}]}",
      "ports[0]: key 'host_port': 0 is not within 1 to 65535" },
    { "{" BASE ",\"ports\":[{\"host_port\":1,\"guest_port\":65536}]}",
      "ports[0]: key 'guest_port': 65536 is not within 1 to 65535" },
    { "{" BASE ",\"ports\":[{\"host_port\":1}]}", "ports[0]: key 'guest_port' is missing" },
    { "{" BASE ",\"ports\":[{\"host_port\":1,\"guest_port\":1,\"protocol\":\"icmp\"}]}",
      "ports[0]: protocol 'icmp' is neither 'tcp' nor 'udp'" },
    { "{" BASE ",\"volumes\":[{\"path\":\"a.img\"}]}", "volumes[0]: path 'a.img' is not absolute" },
    { "{" BASE ",\"volumes\":[\"/a\"]}", "volumes[0]: not a JSON object" },
    { "{" BASE ",\"kms_urls\":[\"a\",1]}", "kms_urls[1] is not a string" },
    { "{" BASE ",\"gateway_urls\":[null]}", "gateway_urls[0] is not a string" },
    { "{" BASE ",\"app_id\":\"xx112233445566778899aabbccddeeff00112233\"}", "key 'app_id'" },
    { "{" BASE ",\"app_id\":\"00\"}", "key 'app_id': a length of 2" },
    { "{" BASE ",\"no_tee\":\"yes\"}", "key 'no_tee' is not true or false" },
    { "{" BASE ",\"swtpm\":{}}", "key 'swtpm' is not true or false" },
    { "{" BASE ",\"smbios\":{\"vendor\":\"x\"}}", "key 'smbios': unknown key 'vendor'" },
    { "{" BASE ",\"overrides\":{\"pick\":true}}",
      "key 'overrides': unknown key 'pick', did you mean 'pic'?" },
    { "{" BASE ",\"overrides\":{\"pciexbar_base\":\"0xb0000000\"}}",
      "key 'overrides': key 'pciexbar_base' is not a whole number" },
};

static void test_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        if (decode(bad_requests[i].text, &r, &err)) {
            fail_msg("accepted: %s", bad_requests[i].text);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad_requests[i].message);
    }
}

static void test_addresses(void **state)
{
    static const char *const good[] = { "127.0.0.1", "0.0.0.0", "255.255.255.255" };
    static const char *const bad[] = { "::1", "localhost", "1.2.3.4,x", "127.1",   "1.2.3.256",
                                       "...", "1.2.3.4.5", "1.2.3.",    " 1.2.3.4" };
    static const char format[] =
        "{" BASE ",\"ports\":[{\"host_port\":1,\"guest_port\":1,\"address\":\"%s\"}]}";
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        snprintf(text, sizeof text, format, good[i]);
        must(decode(text, &r, &err), &err);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        snprintf(text, sizeof text, format, bad[i]);
        if (decode(text, &r, &err)) {
            fail_msg("accepted: '%s'", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "is not an IPv4 address");
    }
}

/* One value of the base replaced. */
static void test_bad_values(void **state)
{
    static const struct {
        const char *name, *vcpu, *memory, *disk_size, *app_compose, *message;
    } bad[] = {
        { "\"\"", "1", "\"2G\"", "\"1G\"", "{}", "key 'name': a length of 0" },
        { "\"a b\"", "1", "\"2G\"", "\"1G\"", "{}", "name 'a b': letters, digits" },
        { "\"../x\"", "1", "\"2G\"", "\"1G\"", "{}", "name '../x': letters, digits" },
        { "7", "1", "\"2G\"", "\"1G\"", "{}", "key 'name' is not a string" },
        { "\"a\"", "0", "\"2G\"", "\"1G\"", "{}", "key 'vcpu': 0 is not within 1 to 4096" },
        { "\"a\"", "1.5", "\"2G\"", "\"1G\"", "{}", "key 'vcpu' is not a whole number" },
        { "\"a\"", "1", "\"2 G\"", "\"1G\"", "{}", "key 'memory' is not a size" },
        { "\"a\"", "1", "1024", "\"1G\"", "{}", "key 'memory': 1024 is not within 67108864" },
        { "\"a\"", "1", "\"65T\"", "\"1G\"", "{}", "key 'memory': 71468255805440 is not within" },
        { "\"a\"", "1", "\"2G\"", "512", "{}", "key 'disk_size': 512 is not within 1048576" },
        { "\"a\"", "1", "\"2G\"", "\"2048T\"", "{}", "key 'disk_size': " },
        { "\"a\"", "1", "\"2G\"", "\"1G\"", "[]", "key 'app_compose' is neither a path nor an" },
        { "\"a\"", "1", "\"2G\"", "\"1G\"", "5", "key 'app_compose' is neither a path nor an" },
        { "\"a\"", "1", "\"2G\"", "\"1G\"", "null", "key 'app_compose' is missing" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        char text[512];
        snprintf(text, sizeof text,
                 "{\"name\":%s,\"image\":\"i\",\"vcpu\":%s,\"memory\":%s,\"disk_size\":%s,"
                 "\"app_compose\":%s}",
                 bad[i].name, bad[i].vcpu, bad[i].memory, bad[i].disk_size, bad[i].app_compose);
        if (decode(text, &r, &err)) {
            fail_msg("accepted: %s", text);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* A list of `count` times the same item. */
static void repeated(char *text, size_t size, const char *key, const char *item, unsigned count)
{
    size_t n = (size_t)snprintf(text, size, "{" BASE ",\"%s\":[", key);
    for (unsigned i = 0; i < count; i++) {
        n += (size_t)snprintf(text + n, size - n, "%s%s", i == 0 ? "" : ",", item);
    }
    snprintf(text + n, size - n, "]}");
}

static void test_limits_of_lists(void **state)
{
    static const struct {
        const char *key, *item;
        unsigned max;
    } lists[] = {
        { "networks", "{\"mode\":\"user\"}", CVM_MAX_NETWORKS },
        { "ports", "{\"host_port\":1,\"guest_port\":2}", CVM_MAX_PORTS },
        { "volumes", "{\"path\":\"/x\"}", CVM_MAX_VOLUMES },
        { "kms_urls", "\"u\"", 64 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_request r = { 0 };
        char text[8192];
        repeated(text, sizeof text, lists[i].key, lists[i].item, lists[i].max);
        must(decode(text, &r, &err), &err);
        cvm_request_free(&r);
        repeated(text, sizeof text, lists[i].key, lists[i].item, lists[i].max + 1);
        assert_false(decode(text, &r, &err));
        assert_non_null(strstr(err.msg, lists[i].key));
        assert_error(&err, CVM_ERR_MALFORMED, "a length of");
        cvm_request_free(&r);
    }
}

static void test_names(void **state)
{
    static const char *const good[] = {
        "a",
        "0",
        "web-1",
        "A_b.c",
        "x..y",
        "9-",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"
    };
    static const char *const bad[] = {
        "",         ".",
        "..",       ".a",
        "-a",       "_a",
        "a/b",      "a b",
        "a\n",      "a\\",
        "\xc3\xa9", "a'b",
        "a,b",      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678901"
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        must(cvm_check_name(good[i], &err), &err);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        if (cvm_check_name(bad[i], &err)) {
            fail_msg("accepted: '%s'", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "name");
    }
}

static void test_files(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_request r = { 0 };
    place_write_text(p, "good", "{" BASE "}");
    place_write_text(p, "bad", "{" BASE ",\"memry\":1}");
    place_write_text(p, "nonsense", "hello");
    must(cvm_request_load(place_path(p, "good"), &r, &err), &err);
    assert_string_equal(r.name, "web");
    cvm_request_free(&r);
    assert_null(r.document);
    assert_false(cvm_request_load(place_path(p, "bad"), &r, &err));
    assert_non_null(strstr(err.msg, "request '/"));
    assert_error(&err, CVM_ERR_MALFORMED, "bad': unknown key 'memry'");
    cvm_request_free(&r);
    assert_false(cvm_request_load(place_path(p, "nonsense"), &r, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "not JSON at offset 0");
    assert_false(cvm_request_load(place_path(p, "absent"), &r, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "absent");
    assert_false(cvm_request_load(p->path, &r, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "is not a regular file");
}

/* Standard input, as a pipe would give it. */
static void test_standard_input(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_request r = { 0 };
    cvm_autofree char *large = malloc(CVM_JSON_MAX_SIZE + 2);
    assert_non_null(large);
    memset(large, ' ', CVM_JSON_MAX_SIZE + 2);
    place_write_text(p, "good", "{" BASE "}");
    place_write(p, "large", large, CVM_JSON_MAX_SIZE + 2);
    assert_non_null(freopen(place_path(p, "good"), "r", stdin));
    must(cvm_request_load("-", &r, &err), &err);
    assert_string_equal(r.name, "web");
    cvm_request_free(&r);
    assert_non_null(freopen(place_path(p, "large"), "r", stdin));
    assert_false(cvm_request_load("-", &r, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "more than 1048576 bytes on standard input");
    assert_non_null(freopen("/dev/null", "r", stdin));
    assert_false(cvm_request_load("-", &r, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "request '-'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_that_can_be_said),
        cmocka_unit_test(test_everything_that_can_be_said),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_limits_of_lists),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_files, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(test_standard_input, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
