/*
 * Every machine of vectors/smbios, byte for byte as an unmodified QEMU served it.
 */
#include "tests/support/cases.h"

#include "measure/include/cvm/smbios.h"

static const struct {
    const char *name;
    struct cvm_qemu_version version; /* whose machine type the cases have */
    size_t num_cases;
} families[] = {
    { "qemu-7.2", { 7, 2, 22 }, 80 },  { "type-8.0", { 8, 0, 0 }, 10 },
    { "qemu-8.2", { 8, 2, 0 }, 83 },   { "type-9.0", { 9, 0, 0 }, 11 },
    { "qemu-9.1", { 9, 1, 0 }, 83 },   { "qemu-10.0", { 10, 0, 13 }, 83 },
    { "type-10.1", { 10, 1, 0 }, 10 }, { "type-10.2", { 10, 2, 0 }, 10 },
    { "qemu-11.1", { 11, 1, 2 }, 88 },
};

static void fill_smbios(json_object *settings, struct cvm_smbios *out)
{
    const struct {
        const char *key;
        char *target;
    } fields[] = {
        { "manufacturer", out->manufacturer },
        { "product", out->product },
        { "version", out->version },
        { "serial", out->serial },
        { "sku", out->sku },
        { "family", out->family },
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        json_object *value = NULL;
        if (json_object_object_get_ex(settings, fields[i].key, &value)) {
            snprintf(fields[i].target, sizeof out->product, "%s", json_object_get_string(value));
        }
    }
}

static void fill_nodes(json_object *nodes, struct cvm_machine *machine)
{
    for (size_t i = 0; i < json_object_array_length(nodes); i++) {
        json_object *node = json_object_array_get_idx(nodes, i);
        machine->numa_nodes[machine->num_numa_nodes++] = (struct cvm_numa_node){
            .cpu_count = (uint32_t)get_number(node, "cpu_count"),
            .memory_size = get_number(node, "memory_size"),
        };
    }
}

static struct cvm_machine machine_of(json_object *c, struct cvm_qemu_version version)
{
    json_object *m = get(c, "machine", json_type_object);
    json_object *part = NULL;
    struct cvm_machine machine = {
        .qemu = version,
        .cpu_count = (uint32_t)get_number(m, "cpu_count"),
        .memory_size = get_number(m, "memory_size"),
        .cpu_signature = { true, (uint32_t)get_number(c, "cpu_signature") },
        .cpu_features_edx = { true, (uint32_t)get_number(c, "cpu_features_edx") },
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
    if (json_object_object_get_ex(m, "smbios", &part)) {
        fill_smbios(part, &machine.smbios);
    }
    if (json_object_object_get_ex(m, "numa_nodes", &part)) {
        fill_nodes(part, &machine);
    }
    return machine;
}

/* A UUID that the emulator was given is no fact of the machine: it is not measured. */
static void clear_uuid(struct cvm_buf *tables)
{
    assert_true(tables->len > 24 && tables->data[0] == 1);
    memset(tables->data + 8, 0, 16);
}

static bool has_option(json_object *options, const char *option)
{
    for (size_t i = 0; i < json_object_array_length(options); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(options, i)), option) == 0) {
            return true;
        }
    }
    return false;
}

static void check_tables(const struct cvm_machine *machine, const struct cvm_buf *want,
                         const char *label)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables got = { 0 };
    must(cvm_smbios_build(machine, &got, &err), &err);
    if (got.size != want->len || memcmp(got.data, want->data, want->len) != 0) {
        print_error("%s differs:\n", label);
        assert_bytes(got.data, got.size, want->data, want->len);
    }
}

/* Bit 28 is the emulator's doing: it follows from the number of CPUs. */
static void check_htt(json_object *c, struct cvm_machine machine, const struct cvm_buf *want,
                      const char *label)
{
    const uint32_t htt = UINT32_C(1) << 28;
    bool is_given =
        strstr(json_object_to_json_string(get(c, "options", json_type_array)), "ht") != NULL;
    machine.cpu_features_edx.value &= ~htt;
    if (!is_given) {
        check_tables(&machine, want, label);
    }
}

static void check_case(const char *family, struct cvm_qemu_version version, json_object *c)
{
    char label[96];
    char path[128];
    const char *name = get_text(c, "name");
    struct cvm_machine machine = machine_of(c, version);
    snprintf(label, sizeof label, "%s/%s", family, name);
    snprintf(path, sizeof path, "smbios/%s.bin.gz", label);
    cvm_autobuf struct cvm_buf want = load_vector_gz(path);
    if (has_option(get(c, "options", json_type_array), "-uuid")) {
        clear_uuid(&want);
    }
    check_tables(&machine, &want, label);
    check_htt(c, machine, &want, label);
}

static void check_family(size_t index)
{
    const char *family = families[index].name;
    autocases json_object *cases = load_cases("smbios", family);
    assert_int_equal(json_object_array_length(cases), families[index].num_cases);
    for (size_t i = 0; i < families[index].num_cases; i++) {
        check_case(family, families[index].version, json_object_array_get_idx(cases, i));
    }
}

static void test_every_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        check_family(i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
