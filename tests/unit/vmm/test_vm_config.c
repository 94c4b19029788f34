#include "tests/support/check.h"

#include "measure/base/base64.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "vmm/machine.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
#define HW_VECTOR "hw/tdx-lite-2cpu-2g.json"

static struct json_object *parse(const char *text)
{
    struct cvm_error err = { 0 };
    struct json_object *o = NULL;
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, &o, &err),
         &err);
    return o;
}

/* --- decoding --- */

struct vector {
    struct json_object *vm_config;
};

static const struct cvm_json_field vector_fields[] = {
    { "vm_config", CVM_JSON_OBJECT, offsetof(struct vector, vm_config), .required = true },
    { 0 },
};

/* The vm_config of the captured quote; *document is to be freed. */
static struct cvm_vm_config load_hw(struct json_object **document)
{
    struct cvm_error err = { 0 };
    struct vector v = { 0 };
    struct cvm_vm_config config = { 0 };
    cvm_autobuf struct cvm_buf text = load_vector(HW_VECTOR);
    must(cvm_json_parse("it", (struct cvm_bytes){ text.data, text.len }, document, &err), &err);
    must(cvm_json_decode(*document, vector_fields, CVM_JSON_IGNORE_UNKNOWN, &v, &err), &err);
    must(cvm_vm_config_decode(v.vm_config, &config, &err), &err);
    return config;
}

static void test_the_captured_vm_config(void **state)
{
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config c = load_hw(&document);
    (void)state;
    assert_true(c.spec_version.set && c.spec_version.value == 1);
    assert_string_equal(c.os_image_hash,
                        "e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db");
    assert_string_equal(c.image, "dstack-0.6.0");
    assert_true(c.cpu_count.set && c.cpu_count.value == 2);
    assert_true(c.memory_size.set && c.memory_size.value == 2 * GIB);
    assert_string_equal(c.qemu_version, "8.2.2");
    assert_string_equal(c.host_share_mode, "9p");
    assert_true(c.pci_hole64_size.set && c.pci_hole64_size.value == 0);
    assert_true(c.hugepages.set && !c.hugepages.value);
    assert_true(c.hotplug_off.set && !c.hotplug_off.value);
    assert_true(c.num_gpus.set && c.num_nvswitches.set);
    assert_false(c.num_nics.set || c.num_verity_volumes.set || c.pic.set || c.smm.set);
    assert_string_equal(c.ovmf_variant, "pre202505");
    assert_string_equal(c.tdx_attestation_variant, "lite");
    assert_non_null(c.tdx_measurement);
    assert_null(c.interrupt_trigger);
    assert_null(c.numa_nodes);
}

static void test_unknown_keys(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_vm_config c = { 0 };
    cvm_autojson struct json_object *o = parse("{\"cpu_count\":1,\"cpu_cuont\":2}");
    (void)state;
    must(cvm_vm_config_decode(o, &c, &err), &err);
    assert_int_equal(c.cpu_count.value, 1);
    c = (struct cvm_vm_config){ 0 };
    assert_false(cvm_vm_config_decode_strict(o, &c, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "unknown key 'cpu_cuont', did you mean 'cpu_count'?");
}

static void test_ranges(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"spec_version\":2}", "key 'spec_version': 2 is not within 1 to 1" },
        { "{\"cpu_count\":0}", "key 'cpu_count': 0 is not within 1 to" },
        { "{\"cpu_count\":4294967296}", "key 'cpu_count': 4294967296 is not within" },
        { "{\"cpu_count\":\"2\"}", "key 'cpu_count' is not a whole number" },
        { "{\"cpu_count\":2.0}", "key 'cpu_count' is not a whole number" },
        { "{\"memory_size\":0}", "key 'memory_size': 0 is not within 1 to" },
        { "{\"memory_size\":4503599627370497}", "key 'memory_size': 4503599627370497 is not" },
        { "{\"memory_size\":-1}", "key 'memory_size' is not a size" },
        { "{\"qemu_version\":9.2}", "key 'qemu_version' is not a string" },
        { "{\"num_nics\":256}", "key 'num_nics': 256 is not within 0 to 255" },
        { "{\"num_gpus\":-1}", "key 'num_gpus' is not a whole number" },
        { "{\"hotplug_off\":0}", "key 'hotplug_off' is not true or false" },
        { "{\"hugepages\":\"no\"}", "key 'hugepages' is not true or false" },
        { "{\"tdx_measurement\":\"x\"}", "key 'tdx_measurement' is not an object" },
        { "{\"numa_nodes\":{}}", "key 'numa_nodes' is not an array" },
        { "{\"numa_nodes\":[1,2,3,4,5,6,7,8,9]}", "a length of 9 is not within 0 to 8" },
        { "{\"cpu_features_edx\":4294967296}", "key 'cpu_features_edx'" },
        { "{\"os_image_hash\":"
          "\"00000000000000000000000000000000000000000000000000000000000000000\"}",
          "key 'os_image_hash': a length of 65" },
        { "{\"smbios\":\"x\"}", "key 'smbios' is not an object" },
        { "{\"smbios\":{\"prodct\":\"x\"}}",
          "key 'smbios': unknown key 'prodct', did you mean 'product'?" },
        { "[]", "not a JSON object" },
        { "\"vm_config\"", "not a JSON object" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_vm_config c = { 0 };
        cvm_autojson struct json_object *o = parse(bad[i].text);
        if (cvm_vm_config_decode(o, &c, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* --- tdx_measurement --- */

static void test_the_captured_measurement(void **state)
{
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config c = load_hw(&document);
    struct cvm_error err = { 0 };
    struct cvm_tdx_measurement m = { 0 };
    (void)state;
    must(cvm_tdx_measurement_decode(&c, &m, &err), &err);
    assert_string_equal(m.compact.ovmf, "pre202505");
    assert_int_equal(m.compact.ranges.num_ranges, 4);
    cvm_tdx_measurement_free(&m);
}

/* A vm_config that carries these two documents, declared as the given identity, or their own. */
static struct json_object *carry(const struct cvm_buf *checksums, const struct cvm_buf *measurement,
                                 const char *identity)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    cvm_autobuf struct cvm_buf list = { 0 };
    cvm_autobuf struct cvm_buf cbor = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    struct json_object *o = NULL;
    cvm_put_base64(&list, (struct cvm_bytes){ checksums->data, checksums->len });
    cvm_put_base64(&cbor, (struct cvm_bytes){ measurement->data, measurement->len });
    cvm_put_u8(&list, 0);
    cvm_put_u8(&cbor, 0);
    must(cvm_sha256(checksums->data, checksums->len, &digest, &err), &err);
    cvm_json_begin_object(&b, NULL);
    if (identity != NULL) {
        cvm_json_put_string(&b, "os_image_hash", identity);
    } else {
        cvm_json_put_hex(&b, "os_image_hash", digest.bytes, sizeof digest.bytes);
    }
    cvm_json_begin_object(&b, "tdx_measurement");
    cvm_json_put_string(&b, "checksum_file", (const char *)list.data);
    cvm_json_put_string(&b, "measurement", (const char *)cbor.data);
    cvm_json_end(&b);
    cvm_json_end(&b);
    must(cvm_json_take(&b, &o, &err), &err);
    return o;
}

/* sha256sum.txt with the digest of these bytes under this name. */
static struct cvm_buf list_as(const struct cvm_buf *bytes, const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    struct cvm_sha256 digest;
    char hex[65];
    must(cvm_sha256(bytes->data, bytes->len, &digest, &err), &err);
    cvm_hex_encode(digest.bytes, sizeof digest.bytes, hex);
    cvm_put_format(&out, "%s  %s\n", hex, name);
    return out;
}

static void expect(struct json_object *document, enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_vm_config c = { 0 };
    struct cvm_tdx_measurement m = { 0 };
    cvm_autojson struct json_object *owned = document;
    must(cvm_vm_config_decode(owned, &c, &err), &err);
    bool ok = cvm_tdx_measurement_decode(&c, &m, &err);
    assert_int_equal(ok, code == CVM_OK);
    if (!ok) {
        assert_error(&err, code, message);
    }
    cvm_tdx_measurement_free(&m);
}

static void test_each_broken_link(void **state)
{
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config c = load_hw(&document);
    struct cvm_error err = { 0 };
    struct cvm_tdx_measurement m = { 0 };
    char other[65];
    (void)state;
    must(cvm_tdx_measurement_decode(&c, &m, &err), &err);
    snprintf(other, sizeof other, "0%s", c.os_image_hash + 1);
    cvm_autobuf struct cvm_buf good = list_as(&m.measurement, "measurement.tdx.cbor");
    cvm_autobuf struct cvm_buf elsewhere = list_as(&m.measurement, "measurement.cbor");
    cvm_autobuf struct cvm_buf of_another = list_as(&good, "measurement.tdx.cbor");
    cvm_autobuf struct cvm_buf no_list = { 0 };
    cvm_put_text(&no_list, "not a list");

    expect(carry(&good, &m.measurement, NULL), CVM_OK, NULL);
    expect(carry(&good, &m.measurement, other), CVM_ERR_MISMATCH,
           "tdx_measurement: os_image_hash is not the SHA-256 of checksum_file");
    expect(carry(&good, &m.measurement, "e6"), CVM_ERR_MALFORMED,
           "tdx_measurement: key 'os_image_hash'");
    expect(carry(&elsewhere, &m.measurement, NULL), CVM_ERR_MISMATCH,
           "checksum_file does not list this measurement as measurement.tdx.cbor");
    expect(carry(&of_another, &m.measurement, NULL), CVM_ERR_MISMATCH,
           "checksum_file does not list this measurement as measurement.tdx.cbor");
    expect(carry(&no_list, &m.measurement, NULL), CVM_ERR_MALFORMED,
           "tdx_measurement: sha256sum.txt: line 1: not a line of sha256sum");

    cvm_put_u8(&m.measurement, 0); /* trailing byte, listed correctly */
    cvm_autobuf struct cvm_buf trailing = list_as(&m.measurement, "measurement.tdx.cbor");
    expect(carry(&trailing, &m.measurement, NULL), CVM_ERR_MALFORMED, "tdx_measurement: ");
    m.measurement.data[0] = 0xbf; /* indefinite */
    cvm_autobuf struct cvm_buf indefinite = list_as(&m.measurement, "measurement.tdx.cbor");
    expect(carry(&indefinite, &m.measurement, NULL), CVM_ERR_MALFORMED, "tdx_measurement: ");
    cvm_tdx_measurement_free(&m);
}

static void test_what_tdx_measurement_lacks(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "{\"tdx_measurement\":{}}", "tdx_measurement: key 'checksum_file' is missing" },
        { "{\"tdx_measurement\":{\"checksum_file\":\"\"}}", "key 'measurement' is missing" },
        { "{\"tdx_measurement\":{\"checksum_file\":1,\"measurement\":\"\"}}",
          "key 'checksum_file' is not a string" },
        { "{\"tdx_measurement\":{\"checksum_file\":\"YQ\",\"measurement\":\"\"}}",
          "tdx_measurement: key 'checksum_file': " },
        { "{\"tdx_measurement\":{\"checksum_file\":\"YQ==\",\"measurement\":\"Y Q==\"}}",
          "tdx_measurement: key 'measurement': " },
        { "{\"tdx_measurement\":{\"checksum_file\":\"YQ==\",\"measurement\":\"YQ==\"}}",
          "tdx_measurement: key 'os_image_hash' is missing" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect(parse(bad[i].text), CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* --- writing and reading back --- */

/* The text of the vm_config for a declaration, and the machine it came to. */
static struct json_object *write_config(const struct cvm_vm_config *config, bool no_tee,
                                        struct cvm_machine *machine)
{
    struct cvm_error err = { 0 };
    const struct cvm_measure_evidence e = { .no_tee = no_tee };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_resolution r = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    struct json_object *o = NULL;
    must(cvm_machine_fill_platform(config, machine, &err), &err);
    must(cvm_machine_fill_firmware(config, &e, machine, &r, &w, &err), &err);
    cvm_json_begin_object(&b, NULL);
    cvm_vm_config_put(machine, config, &b);
    cvm_json_end(&b);
    must(cvm_json_take(&b, &o, &err), &err);
    return o;
}

static void check_round_trip(const char *declaration, const char *version, bool no_tee)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *said = parse(declaration);
    struct cvm_vm_config config = { 0 };
    struct cvm_vm_config read = { 0 };
    struct cvm_machine launched;
    struct cvm_machine declared;
    must(cvm_vm_config_decode_strict(said, &config, &err), &err);
    config.cpu_count = config.cpu_count.set ? config.cpu_count : (struct cvm_opt_u64){ true, 4 };
    config.memory_size =
        config.memory_size.set ? config.memory_size : (struct cvm_opt_u64){ true, 4 * GIB };
    config.qemu_version = version;
    config.os_image_hash = "00";
    config.image = "dstack-0.5.10";
    cvm_autojson struct json_object *written = write_config(&config, no_tee, &launched);
    must(cvm_vm_config_decode_strict(written, &read, &err), &err);
    cvm_autojson struct json_object *again = write_config(&read, no_tee, &declared);
    assert_non_null(again);
    if (!cvm_machine_equal(&launched, &declared)) {
        fail_msg("%s with QEMU %s does not come back", declaration, version);
    }
}

/* Declared equals launched: the vm_config of a machine describes that machine. */
static void test_round_trips(void **state)
{
    static const char *const versions[] = { "8.0.0",   "8.2.2",  "9.0.0",  "9.1.0", "9.2.1",
                                            "10.0.13", "10.1.0", "10.2.0", "11.1.2" };
    static const char *const declarations[] = {
        "{}",
        "{\"cpu_count\":1,\"memory_size\":\"2G\"}",
        "{\"cpu_count\":255,\"memory_size\":\"512G\"}",
        "{\"num_nics\":0}",
        "{\"num_nics\":3,\"num_verity_volumes\":4}",
        "{\"host_share_mode\":\"vvfat\"}",
        "{\"host_share_mode\":\"vhd\"}",
        "{\"rootfs_device\":\"cdrom\"}",
        "{\"rootfs_device\":\"none\"}",
        "{\"hotplug_off\":true,\"pci_hole64_size\":\"64G\"}",
        "{\"pic\":true,\"smm\":true}",
        "{\"pic\":false,\"smm\":false}",
        "{\"swtpm\":true}",
        "{\"smbios\":{}}",
        "{\"smbios\":{\"product\":\"p \\\"1\\\"\"}}",
        "{\"smbios\":{\"manufacturer\":\"a\",\"product\":\"b\",\"version\":\"c\",\"serial\":"
        "\"d\",\"sku\":\"e\",\"family\":\"f\"}}",
        "{\"interrupt_trigger\":\"edge\"}",
        "{\"interrupt_trigger\":\"level\"}",
        "{\"qemu_single_pass_add_pages\":true}",
        "{\"qemu_single_pass_add_pages\":false}",
        "{\"kernel_header\":\"as-is\"}",
        "{\"kernel_header\":\"rewritten\"}",
        "{\"ovmf_variant\":\"stable202505\"}",
        "{\"pciexbar_base\":2952790016,\"pci_window64_base\":1099511627776}",
        "{\"boot_menu_wait\":1000,\"reserved_memory_end\":4294967296,\"pci_mmio64_mb\":262144}",
        "{\"num_gpus\":2,\"num_nvswitches\":1}",
        "{\"cpu_signature\":788210}",
        "{\"cpu_signature\":788210,\"cpu_features_edx\":799800319}",
        "{\"hugepages\":true}",
        "{\"hugepages\":true,\"num_gpus\":2}",
        "{\"num_gpus\":1,\"numa_nodes\":[{\"cpu_count\":3,\"memory_size\":\"1G\",\"pxb_bus\":10,"
        "\"num_gpus\":1},{\"cpu_count\":1,\"memory_size\":\"3G\",\"pxb_bus\":null}]}",
        "{\"hugepages\":true,\"numa_nodes\":[{\"cpu_count\":2,\"memory_size\":\"2G\"},"
        "{\"cpu_count\":2,\"memory_size\":\"2G\"}]}",
        "{\"hugepages\":true,\"num_gpus\":1,\"numa_nodes\":[{\"cpu_count\":4,\"memory_size\":"
        "\"4G\",\"pxb_bus\":7,\"num_gpus\":1}]}",
    };
    (void)state;
    for (size_t v = 0; v < sizeof versions / sizeof versions[0]; v++) {
        for (size_t d = 0; d < sizeof declarations / sizeof declarations[0]; d++) {
            check_round_trip(declarations[d], versions[v], false);
            check_round_trip(declarations[d], versions[v], true);
        }
    }
    check_round_trip("{\"interrupt_trigger\":\"level\"}", "7.2.22", true);
}

static void assert_writes(const struct cvm_vm_config *config, const char *want)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autojson struct json_object *o = write_config(config, false, &m);
    cvm_json_put_any(&b, NULL, o);
    must(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &err), &err);
    assert_bytes(text.data, text.len, want, strlen(want));
}

/* What is always written, and nothing else for a machine without exceptions. */
static void test_what_is_always_written(void **state)
{
    const struct cvm_vm_config config = {
        .os_image_hash = "abcd",
        .image = "dstack-0.5.11",
        .cpu_count = { true, 2 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "9.2.1 (Debian 1:9.2.1)",
        .ovmf_variant = "stable202505",
    };
    (void)state;
    assert_writes(&config,
                  "{\"spec_version\":1,\"os_image_hash\":\"abcd\",\"cpu_count\":2,"
                  "\"memory_size\":2147483648,\"qemu_version\":\"9.2.1\","
                  "\"image\":\"dstack-0.5.11\",\"host_share_mode\":\"9p\","
                  "\"pci_hole64_size\":0,\"hugepages\":false,\"hotplug_off\":false,"
                  "\"num_gpus\":0,\"num_nvswitches\":0,\"ovmf_variant\":\"stable202505\"}");
}

static void test_exceptions_are_written(void **state)
{
    const struct cvm_vm_config config = {
        .os_image_hash = "abcd",
        .image = "x",
        .cpu_count = { true, 1 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "8.2.2",
        .host_share_mode = "vvfat",
        .hotplug_off = { true, true },
        .num_nics = { true, 0 },
        .num_verity_volumes = { true, 2 },
        .swtpm = { true, true },
        .pic = { true, true }, /* as the version says, but somebody set it */
        .smm = { true, true },
        .qemu_single_pass_add_pages = { true, false },
        .interrupt_trigger = "level",
        .rootfs_device = "none",
        .kernel_header = "as-is",
        .pciexbar_base = { true, 0xb0000000 },
        .smbios = { .manufacturer = "m", .product = "", .serial = "s" },
        .tdx_attestation_variant = "lite",
        .ovmf_variant = "pre202505",
    };
    (void)state;
    assert_writes(&config,
                  "{\"spec_version\":1,\"os_image_hash\":\"abcd\",\"cpu_count\":1,"
                  "\"memory_size\":2147483648,\"qemu_version\":\"8.2.2\",\"image\":\"x\","
                  "\"host_share_mode\":\"vvfat\",\"pci_hole64_size\":0,\"hugepages\":false,"
                  "\"hotplug_off\":true,\"num_gpus\":0,\"num_nvswitches\":0,"
                  "\"ovmf_variant\":\"pre202505\",\"qemu_single_pass_add_pages\":false,"
                  "\"num_nics\":0,\"num_verity_volumes\":2,\"pciexbar_base\":2952790016,"
                  "\"swtpm\":true,\"pic\":true,\"smm\":true,\"interrupt_trigger\":\"level\","
                  "\"rootfs_device\":\"none\",\"kernel_header\":\"as-is\","
                  "\"smbios\":{\"manufacturer\":\"m\",\"serial\":\"s\"},"
                  "\"tdx_attestation_variant\":\"lite\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_captured_vm_config),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_the_captured_measurement),
        cmocka_unit_test(test_each_broken_link),
        cmocka_unit_test(test_what_tdx_measurement_lacks),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_what_is_always_written),
        cmocka_unit_test(test_exceptions_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
