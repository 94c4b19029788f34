/*
 * Every machine of vectors/acpi, byte for byte as an unmodified QEMU served it.
 */
#include "tests/support/cases.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/base/reader.h"
#include "measure/include/cvm/acpi.h"

/*
 * guest-*: what a guest was given, whose firmware had numbered the buses and programmed what is
 * on them; qemu-*: what QEMU writes before any firmware ran.
 */
static const struct {
    const char *name;
    size_t cases; /* so that nobody loses one unnoticed */
} families[] = {
    { "qemu-7.2", 57 },         { "qemu-8.2-tdx", 57 },     { "qemu-9.1-tdx", 57 },
    { "qemu-9.2", 57 },         { "qemu-10.0", 57 },        { "qemu-11.1", 57 },
    { "qemu-7.2-shapes", 14 },  { "qemu-8.2", 14 },         { "qemu-9.1", 14 },
    { "qemu-10.0-shapes", 14 }, { "qemu-11.1-shapes", 14 }, { "guest-7.2", 11 },
    { "guest-10.0", 11 },       { "guest-11.1", 11 },
};

/* A member that may be left out. */
static uint64_t get_number_or(json_object *o, const char *key, uint64_t absent)
{
    return json_object_object_get_ex(o, key, NULL) ? get_number(o, key) : absent;
}

static struct cvm_qemu_version parse_version(const char *text)
{
    uint16_t parts[3];
    char *at = NULL;
    for (size_t i = 0; i < 3; i++) {
        parts[i] = (uint16_t)strtoul(text, &at, 10);
        assert_int_equal(*at, i < 2 ? '.' : '\0');
        text = at + 1;
    }
    return (struct cvm_qemu_version){ parts[0], parts[1], parts[2] };
}

/* NUMA nodes; GPUs behind an expander leave the root bus. */
static void add_nodes(json_object *m, struct cvm_machine *machine, struct cvm_device_counts *counts)
{
    json_object *nodes = json_object_object_get(m, "numa_nodes");
    size_t count = nodes == NULL ? 0 : json_object_array_length(nodes);
    for (size_t i = 0; i < count; i++) {
        json_object *node = json_object_array_get_idx(nodes, i);
        json_object *bus = json_object_object_get(node, "pxb_bus");
        machine->numa_nodes[machine->num_numa_nodes++] = (struct cvm_numa_node){
            .cpu_count = (uint32_t)get_number(node, "cpu_count"),
            .memory_size = get_number(node, "memory_size"),
            .has_expander = bus != NULL,
            .expander_bus = (uint8_t)(bus == NULL ? 0 : json_object_get_int(bus)),
            .num_gpus = (uint32_t)get_number(node, "num_gpus"),
        };
        counts->expanders += bus != NULL;
        counts->gpus -= bus == NULL ? 0 : (uint32_t)get_number(node, "num_gpus");
    }
}

static struct cvm_port_bars bars_of(json_object *m, const char *key)
{
    json_object *array = json_object_object_get(m, key);
    struct cvm_port_bars bars = { .known = array != NULL };
    for (size_t i = 0; array != NULL && i < json_object_array_length(array); i++) {
        json_object *bar = json_object_array_get_idx(array, i);
        bars.bars[bars.count++] = (struct cvm_bar){
            .size = get_number(bar, "size"),
            .kind = strcmp(get_text(bar, "kind"), "mem64") == 0 ? CVM_BAR_MEM64 : CVM_BAR_MEM32,
        };
    }
    return bars;
}

static struct cvm_machine machine_of(json_object *m)
{
    struct cvm_error err = { 0 };
    struct cvm_machine machine = {
        .qemu = parse_version(get_text(m, "qemu_version")),
        .interrupt_trigger = strcmp(get_text(m, "interrupt_trigger"), "edge") == 0
                                 ? CVM_TRIGGER_EDGE
                                 : CVM_TRIGGER_LEVEL,
        .cpu_count = (uint32_t)get_number(m, "cpu_count"),
        .memory_size = get_number(m, "memory_size"),
        .pic = get_flag(m, "pic"),
        .smm = get_flag(m, "smm"),
        .hotplug_off = get_flag(m, "hotplug_off"),
        .tpm = get_flag(m, "swtpm"),
        .pci_hole64_size = get_number(m, "pci_hole64_size"),
        .pciexbar_base = get_number_or(m, "pciexbar_base", CVM_PCIEXBAR_BASE),
        .pci_window64_base = get_number_or(m, "pci_window64_base", CVM_PCI_WINDOW64_BASE),
        .gpu_bars = bars_of(m, "gpu_bars"),
        .nvswitch_bars = bars_of(m, "nvswitch_bars"),
    };
    struct cvm_device_counts counts = {
        .rootfs = strcmp(get_text(m, "rootfs_device"), "virtio-blk") == 0,
        .volumes = (uint32_t)get_number(m, "num_verity_volumes"),
        .nics = (uint32_t)get_number(m, "num_nics"),
        .gpus = (uint32_t)get_number(m, "num_gpus"),
        .nvswitches = (uint32_t)get_number(m, "num_nvswitches"),
    };
    add_nodes(m, &machine, &counts);
    must(cvm_machine_place_devices(&machine, &counts, &err), &err);
    return machine;
}

/* Compares one table, naming it: a difference in bytes is told with its offset in the table. */
static void compare_table(const char *label, const uint8_t *signature, struct cvm_bytes got,
                          struct cvm_bytes want, size_t start)
{
    size_t left = start < got.size ? got.size - start : 0;
    size_t size = left < want.size ? left : want.size;
    if (size == want.size && memcmp(got.data + start, want.data, size) == 0) {
        return;
    }
    print_error("%s: table %.4s at offset 0x%zx of the file differs:\n", label,
                (const char *)signature, start);
    assert_bytes(size == 0 ? NULL : got.data + start, size, want.data, want.size);
}

/* Walks over the golden tables: signature, length, and what follows. */
static void compare_tables(const char *label, struct cvm_bytes got, struct cvm_bytes want)
{
    struct cvm_error err = { 0 };
    struct cvm_reader r = cvm_reader_of(want.data, want.size);
    while (cvm_reader_left(&r) != 0) {
        size_t start = r.pos;
        const uint8_t *signature = cvm_read_bytes(&r, 4);
        uint32_t length = cvm_read_u32le(&r);
        cvm_read_seek(&r, start);
        const uint8_t *table = cvm_read_bytes(&r, length);
        must(cvm_reader_ok(&r, label, &err), &err);
        compare_table(label, signature, got, (struct cvm_bytes){ table, length }, start);
    }
    assert_bytes(got.data, got.size, want.data, want.size);
}

static void compare_digest(const char *label, const char *file, json_object *digests,
                           const struct cvm_acpi_file *got)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    char hex[2 * sizeof digest.bytes + 1];
    must(cvm_sha384(got->data, got->size, &digest, &err), &err);
    cvm_hex_encode(digest.bytes, sizeof digest.bytes, hex);
    if (strcmp(hex, get_text(digests, file)) != 0) {
        fail_msg("%s: SHA-384 of %s is %s, want %s", label, file, hex, get_text(digests, file));
    }
}

static void check_padding(const struct cvm_acpi *acpi)
{
    for (size_t i = acpi->tables_used; i < acpi->tables.size; i++) {
        assert_int_equal(acpi->tables.data[i], 0);
    }
}

static void check_case(const char *family, json_object *c)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    char label[64];
    char path[96];
    const struct cvm_machine machine = machine_of(get(c, "machine", json_type_object));
    snprintf(label, sizeof label, "%s/%s", family, get_text(c, "name"));
    snprintf(path, sizeof path, "acpi/%s.tables.bin.gz", label);
    cvm_autobuf struct cvm_buf want = load_vector_gz(path);
    must(cvm_acpi_build(&machine, &acpi, &err), &err);
    compare_tables(label, (struct cvm_bytes){ acpi.tables.data, acpi.tables_used },
                   (struct cvm_bytes){ want.data, want.len });
    assert_int_equal(acpi.tables_used, get_number(c, "tables_used"));
    assert_int_equal(acpi.tables.size, get_number(c, "tables_size"));
    check_padding(&acpi);
    json_object *digests = get(c, "sha384", json_type_object);
    compare_digest(label, "tables", digests, &acpi.tables);
    compare_digest(label, "rsdp", digests, &acpi.rsdp);
    compare_digest(label, "loader", digests, &acpi.loader);
    assert_false(acpi.extrapolated);
}

static void test_every_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        autocases json_object *cases = load_cases("acpi", families[i].name);
        assert_int_equal(json_object_array_length(cases), families[i].cases);
        for (size_t k = 0; k < families[i].cases; k++) {
            check_case(families[i].name, json_object_array_get_idx(cases, k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
