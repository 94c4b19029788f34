#include "tests/support/check.h"

#include "vmm/matrix.h"

#include <stdio.h>

static struct json_object *parse_json(const char *text)
{
    struct cvm_error err = { 0 };
    struct json_object *document = NULL;
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, &document,
                        &err),
         &err);
    return document;
}

static struct cvm_matrix parse(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_matrix m = { 0 };
    cvm_autojson struct json_object *document = parse_json(text);
    must(cvm_matrix_parse(document, &m, &err), &err);
    return m;
}

static void expect_error(const char *text, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_automatrix struct cvm_matrix m = { 0 };
    cvm_autojson struct json_object *document = parse_json(text);
    if (cvm_matrix_parse(document, &m, &err)) {
        fail_msg("accepted: %s", text);
    }
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

/* The shapes as text, one behind the other. */
static void expect_shapes(const char *text, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_automatrix struct cvm_matrix m = parse(text);
    cvm_autobuf struct cvm_buf got = { 0 };
    for (size_t i = 0; i < m.num_shapes; i++) {
        cvm_autobuf struct cvm_buf line = { 0 };
        cvm_autobuilder struct cvm_json_builder b = { 0 };
        cvm_json_begin_object(&b, NULL);
        cvm_matrix_put_shape(&m, i, &b);
        cvm_json_end(&b);
        must(cvm_json_finish(&b, CVM_JSON_ONE_LINE, &line, &err), &err);
        /* {"shape":...} */
        cvm_put_bytes(&got, line.data + 9, line.len - 10);
    }
    assert_bytes(got.data, got.len, want, strlen(want));
}

static void test_the_product(void **state)
{
    (void)state;
    expect_shapes("{}", "{}");
    expect_shapes("{\"cpu_count\": 2}", "{\"cpu_count\":2}");
    expect_shapes("{\"cpu_count\": [3, 1]}", "{\"cpu_count\":3}{\"cpu_count\":1}");
    expect_shapes("{\"cpu_count\": null}", "{}");
    expect_shapes("{\"cpu_count\": [1, 1]}", "{\"cpu_count\":1}{\"cpu_count\":1}");
    expect_shapes(
        "{\"cpu_count\": [1, 2], \"memory_size\": [\"2G\", 4096]}",
        "{\"cpu_count\":1,\"memory_size\":2147483648}{\"cpu_count\":1,\"memory_size\":4096}"
        "{\"cpu_count\":2,\"memory_size\":2147483648}{\"cpu_count\":2,\"memory_size\":4096}");
}

/* The order of keys in the file does not count. */
static void test_the_order_is_the_tables(void **state)
{
    (void)state;
    static const char want[] = "{\"cpu_count\":1,\"qemu_version\":\"8.2.2\",\"pic\":true}"
                               "{\"cpu_count\":1,\"qemu_version\":\"8.2.2\",\"pic\":false}"
                               "{\"cpu_count\":1,\"qemu_version\":\"9.2.0\",\"pic\":true}"
                               "{\"cpu_count\":1,\"qemu_version\":\"9.2.0\",\"pic\":false}";
    expect_shapes("{\"cpu_count\": 1, \"qemu_version\": [\"8.2.2\", \"9.2.0\"], "
                  "\"pic\": [true, false]}",
                  want);
    expect_shapes("{\"pic\": [true, false], \"qemu_version\": [\"8.2.2\", \"9.2.0\"], "
                  "\"cpu_count\": [1]}",
                  want);
}

static void test_values_that_are_lists(void **state)
{
    (void)state;
    expect_shapes("{\"numa_nodes\": [{\"cpu_count\": 1}]}", "{\"numa_nodes\":[{\"cpu_count\":1}]}");
    expect_shapes("{\"numa_nodes\": []}", "{\"numa_nodes\":[]}");
    expect_shapes("{\"numa_nodes\": [[], [{\"cpu_count\": 1}]]}",
                  "{\"numa_nodes\":[]}{\"numa_nodes\":[{\"cpu_count\":1}]}");
    expect_shapes("{\"numa_nodes\": [null, []]}", "{\"numa_nodes\":null}{\"numa_nodes\":[]}");
}

static void test_null_is_what_the_base_says(void **state)
{
    (void)state;
    cvm_automatrix struct cvm_matrix m = parse("{\"pic\": [null, true], \"cpu_count\": [1, 4]}");
    struct cvm_vm_config config = { .pic = { true, false }, .cpu_count = { true, 9 } };
    assert_int_equal(m.num_shapes, 4);
    assert_false(cvm_matrix_says(&m, 0, "pic"));
    assert_true(cvm_matrix_says(&m, 1, "pic"));
    assert_true(cvm_matrix_says(&m, 0, "cpu_count"));
    assert_false(cvm_matrix_says(&m, 0, "memory_size"));
    assert_non_null(cvm_matrix_find(&m, "pic"));
    assert_null(cvm_matrix_find(&m, "smm"));
    cvm_matrix_apply(&m, 2, &config);
    assert_int_equal(config.cpu_count.value, 4);
    assert_false(config.pic.value);
    cvm_matrix_apply(&m, 1, &config);
    assert_int_equal(config.cpu_count.value, 1);
    assert_true(config.pic.value);
}

static void test_every_kind_is_applied(void **state)
{
    (void)state;
    cvm_automatrix struct cvm_matrix m = parse(
        "{\"cpu_count\": 2, \"memory_size\": \"4G\", \"qemu_version\": \"9.2.1\", "
        "\"num_gpus\": 8, \"num_nics\": 2, \"num_nvswitches\": 4, \"num_verity_volumes\": 3, "
        "\"host_share_mode\": \"vhd\", \"hugepages\": true, \"pic\": false, "
        "\"ovmf_variant\": \"pre202505\", \"numa_nodes\": [{}], \"kernel_header\": \"as-is\"}");
    struct cvm_vm_config config = { 0 };
    assert_int_equal(m.num_shapes, 1);
    cvm_matrix_apply(&m, 0, &config);
    assert_int_equal(config.cpu_count.value, 2);
    assert_true(config.memory_size.value == UINT64_C(4) << 30);
    assert_string_equal(config.qemu_version, "9.2.1");
    assert_int_equal(config.num_gpus.value, 8);
    assert_int_equal(config.num_nics.value, 2);
    assert_int_equal(config.num_nvswitches.value, 4);
    assert_int_equal(config.num_verity_volumes.value, 3);
    assert_string_equal(config.host_share_mode, "vhd");
    assert_true(config.hugepages.value);
    assert_true(config.pic.set && !config.pic.value);
    assert_string_equal(config.ovmf_variant, "pre202505");
    assert_int_equal(cvm_json_array_length(config.numa_nodes), 1);
    assert_string_equal(config.kernel_header, "as-is");
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "[]", "not a JSON object" },
        { "{\"cpu_cuont\": 1}", "unknown key 'cpu_cuont', did you mean 'cpu_count'?" },
        { "{\"nonsense\": 1}", "unknown key 'nonsense'" },
        { "{\"cpu_count\": []}", "key 'cpu_count' is a list of 0 values" },
        { "{\"cpu_count\": 0}", "key 'cpu_count': 0 is not within 1 to" },
        { "{\"cpu_count\": [1, 0]}", "value 1: key 'cpu_count': 0 is not within" },
        { "{\"cpu_count\": [1, [2]]}", "value 1: key 'cpu_count' is not a whole number" },
        { "{\"cpu_count\": {\"from\": 1}}", "key 'cpu_count' is not a whole number" },
        { "{\"memory_size\": [\"2G\", \"2X\"]}", "value 1: key 'memory_size' is not a size" },
        { "{\"pic\": [\"on\"]}", "value 0: key 'pic' is not true or false" },
        { "{\"numa_nodes\": 1}", "key 'numa_nodes' is not an array" },
        { "{\"image\": \"x\"}", "key 'image' does not describe a machine" },
        { "{\"spec_version\": 1}", "key 'spec_version' does not describe a machine" },
        { "{\"os_image_hash\": [\"00\"]}", "key 'os_image_hash' does not describe a machine" },
        { "{\"tdx_measurement\": {}}", "key 'tdx_measurement' does not describe a machine" },
        { "{\"tdx_attestation_variant\": \"lite\"}", "does not describe a machine" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_error(cases[i].text, cases[i].message);
    }
}

/* A list of so many numbers. */
static void put_numbers(struct cvm_buf *b, const char *key, unsigned count)
{
    cvm_put_format(b, "\"%s\": [", key);
    for (unsigned i = 1; i <= count; i++) {
        cvm_put_format(b, "%s%u", i == 1 ? "" : ",", i);
    }
    cvm_put_text(b, "]");
}

static struct cvm_buf large(unsigned cpus, unsigned sizes, unsigned holes)
{
    struct cvm_buf b = { 0 };
    cvm_put_text(&b, "{");
    put_numbers(&b, "cpu_count", cpus);
    cvm_put_text(&b, ",");
    put_numbers(&b, "memory_size", sizes);
    cvm_put_text(&b, ",");
    put_numbers(&b, "pci_hole64_size", holes);
    cvm_put_text(&b, "}");
    cvm_put_u8(&b, '\0');
    assert_false(b.failed);
    return b;
}

static void test_how_many_shapes_there_may_be(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf most = large(256, 128, 2);
    cvm_autobuf struct cvm_buf one_more = large(65537, 1, 1);
    cvm_autobuf struct cvm_buf product = large(257, 128, 2);
    cvm_autobuf struct cvm_buf huge = large(4096, 4096, 4096);
    cvm_automatrix struct cvm_matrix m = parse((const char *)most.data);
    assert_int_equal(m.num_shapes, CVM_MATRIX_MAX_SHAPES);
    struct cvm_vm_config last = { 0 };
    cvm_matrix_apply(&m, m.num_shapes - 1, &last);
    assert_int_equal(last.cpu_count.value, 256);
    assert_int_equal(last.memory_size.value, 128);
    assert_int_equal(last.pci_hole64_size.value, 2);
    expect_error((const char *)one_more.data, "key 'cpu_count' is a list of 65537 values");
    expect_error((const char *)product.data,
                 "key 'pci_hole64_size': with its 2 values there are more than 65536 shapes");
    expect_error((const char *)huge.data,
                 "key 'memory_size': with its 4096 values there are more than 65536 shapes");
}

static struct json_object *some;

static bool parse_some(struct cvm_error *err)
{
    cvm_automatrix struct cvm_matrix m = { 0 };
    return cvm_matrix_parse(some, &m, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    some = parse_json("{\"cpu_count\": [1, 2], \"memory_size\": \"2G\"}");
    assert_int_equal(fail_each_allocation(parse_some), 2);
    cvm_json_free(some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_product),
        cmocka_unit_test(test_the_order_is_the_tables),
        cmocka_unit_test(test_values_that_are_lists),
        cmocka_unit_test(test_null_is_what_the_base_says),
        cmocka_unit_test(test_every_kind_is_applied),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_how_many_shapes_there_may_be),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
