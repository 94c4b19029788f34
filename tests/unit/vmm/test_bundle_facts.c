/* Measuring from what was kept gives what measuring from the files gives, or reads the files. */
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"
#include "tests/unit/vmm/place.h"

#include "measure/base/hash.h"
#include "vmm/bundle_facts.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)
#define INITRD "an initrd of some bytes"

static void make(const struct place *p)
{
    cvm_autobuf struct cvm_buf firmware = firmware_build(&firmware_plain);
    cvm_autobuf struct cvm_buf kernel = kernel_build(&kernel_modern);
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write(p, "bundle/ovmf.fd", firmware.data, firmware.len);
    place_write(p, "bundle/kernel", kernel.data, kernel.len);
    place_write_text(p, "bundle/initrd", INITRD);
    bundle_seal(p, "bundle");
}

static struct cvm_machine machine_of(uint64_t memory_size, enum cvm_page_add_order order,
                                     enum cvm_kernel_header header)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 9, 2, 1 },
        .cpu_count = 2,
        .memory_size = memory_size,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
        .page_add_order = order,
        .kernel_header = header,
        .layout = cvm_layout_find("pre202505"),
    };
    const struct cvm_device_counts counts = { .rootfs = 1, .nics = 1 };
    must(cvm_machine_place_devices(&m, &counts, &err), &err);
    return m;
}

/* What the library says of the files themselves. */
static struct cvm_expectation from_files(const struct cvm_machine *m)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    cvm_autobuf struct cvm_buf firmware = firmware_build(&firmware_plain);
    cvm_autobuf struct cvm_buf kernel = kernel_build(&kernel_modern);
    struct cvm_image image = {
        .firmware = bytes_of(&firmware),
        .kernel = bytes_of(&kernel),
        .cmdline = "console=ttyS0",
        .initrd_size = sizeof INITRD - 1,
    };
    must(cvm_sha384(INITRD, sizeof INITRD - 1, &image.initrd, &err), &err);
    must(cvm_measure_image(m, &image, &e, &err), &err);
    return e;
}

static void assert_same(const struct cvm_expectation *a, const struct cvm_expectation *b)
{
    assert_memory_equal(&a->mrtd, &b->mrtd, sizeof a->mrtd);
    assert_memory_equal(a->rtmr, b->rtmr, sizeof a->rtmr);
    assert_int_equal(a->events.num_events, b->events.num_events);
    for (uint32_t i = 0; i < a->events.num_events; i++) {
        const struct cvm_event *x = &a->events.events[i];
        const struct cvm_event *y = &b->events.events[i];
        assert_string_equal(x->name, y->name);
        assert_memory_equal(&x->digest, &y->digest, sizeof x->digest);
        assert_int_equal(x->source, y->source);
    }
    assert_int_equal(a->unknown_variables, b->unknown_variables);
    assert_int_equal(a->acpi_extrapolated, b->acpi_extrapolated);
}

/* One `cvm measure`; what it read is left in `need`. */
static struct cvm_expectation measure(const struct place *p, const char *state_dir,
                                      const struct cvm_machine *m, unsigned *need)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autobundlefacts struct cvm_bundle_facts f = { 0 };
    must(cvm_bundle_open(place_path(p, "bundle"), &b, &err), &err);
    b.opened_ns += 10 * CVM_DIGEST_MIN_AGE;
    must(cvm_bundle_facts_open(&b, state_dir, NULL, &f, &err), &err);
    must(cvm_bundle_facts_complete(&f, m, &err), &err);
    *need =
        (f.firmware.data == NULL ? 0 : NEED_FIRMWARE) | (f.kernel.data == NULL ? 0 : NEED_KERNEL);
    cvm_bundle_facts_keep(&f);
    must(image_facts_measure(&f.record.facts, m, b.metadata.cmdline, &e, &err), &err);
    return e;
}

static void test_every_machine_from_the_cache(void **state)
{
    static const uint64_t sizes[] = { 512 * MIB,  1024 * MIB, 2048 * MIB, 2815 * MIB,
                                      2816 * MIB, 4096 * MIB, 65536 * MIB };
    const struct place *p = *state;
    make(p);
    for (unsigned order = 0; order < 2; order++) {
        for (unsigned header = 0; header < 2; header++) {
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                const struct cvm_machine m = machine_of(sizes[i], (enum cvm_page_add_order)order,
                                                        (enum cvm_kernel_header)header);
                unsigned need;
                struct cvm_expectation want = from_files(&m);
                struct cvm_expectation got = measure(p, place_path(p, "state"), &m, &need);
                assert_same(&got, &want);
                got = measure(p, place_path(p, "state"), &m, &need);
                assert_same(&got, &want);
                assert_int_equal(need, 0);
                got = measure(p, NULL, &m, &need);
                assert_same(&got, &want);
                assert_int_equal(need, NEED_FIRMWARE | NEED_KERNEL);
            }
        }
    }
}

/* Only the file is read whose form is not known yet. */
static void test_what_is_read_for_a_new_shape(void **state)
{
    const struct place *p = *state;
    const struct cvm_machine first =
        machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN);
    const struct cvm_machine large =
        machine_of(8192 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN);
    const struct cvm_machine small =
        machine_of(1024 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN);
    const struct cvm_machine other =
        machine_of(1024 * MIB, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_REWRITTEN);
    unsigned need;
    make(p);
    (void)measure(p, place_path(p, "state"), &first, &need);
    assert_int_equal(need, NEED_FIRMWARE | NEED_KERNEL);
    (void)measure(p, place_path(p, "state"), &large, &need);
    assert_int_equal(need, 0);
    (void)measure(p, place_path(p, "state"), &small, &need);
    assert_int_equal(need, NEED_KERNEL);
    (void)measure(p, place_path(p, "state"), &other, &need);
    assert_int_equal(need, 0); /* the firmware is read once, for both orders */
}

static void expect_open(const struct place *p, enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autobundlefacts struct cvm_bundle_facts f = { 0 };
    must(cvm_bundle_open(place_path(p, "bundle"), &b, &err), &err);
    bool ok = cvm_bundle_facts_open(&b, place_path(p, "state"), NULL, &f, &err);
    assert_int_equal(ok, code == CVM_OK);
    if (!ok) {
        assert_error(&err, code, message);
    }
}

/* With a warm cache a file that is not the listed one is noticed as without. */
static void test_files_that_changed(void **state)
{
    static const struct {
        const char *file, *text;
    } cases[] = {
        { "bundle/kernel", "another kernel" },
        { "bundle/initrd", "AN INITRD OF SOME BYTES" },
        { "bundle/ovmf.fd", "a firmware" },
        { "bundle/metadata.json", "{\"cmdline\": \"other\", \"kernel\": \"kernel\", "
                                  "\"initrd\": \"initrd\", \"bios\": \"ovmf.fd\"}" },
    };
    const struct place *p = *state;
    const struct cvm_machine m = machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_AS_IS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned need;
        place_delete(p, "bundle");
        make(p);
        (void)measure(p, place_path(p, "state"), &m, &need);
        expect_open(p, CVM_OK, NULL);
        place_write_text(p, cases[i].file, cases[i].text);
        expect_open(p, CVM_ERR_MISMATCH, "does not have the digest in sha256sum.txt");
    }
}

/* Named by metadata.json under another name, listed or not. */
static void test_metadata_that_names_others(void **state)
{
    const struct place *p = *state;
    const struct cvm_machine m = machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_AS_IS);
    unsigned need;
    make(p);
    (void)measure(p, place_path(p, "state"), &m, &need);
    assert_int_equal(linkat(p->fd, "bundle/kernel", p->fd, "bundle/kernel2", 0), 0);
    place_write_text(p, "bundle/metadata.json",
                     "{\"cmdline\": \"console=ttyS0\", \"kernel\": \"kernel2\", "
                     "\"initrd\": \"initrd\", \"bios\": \"ovmf.fd\"}");
    expect_open(p, CVM_ERR_MISMATCH, "'kernel2' is not listed");
}

static void test_a_state_that_cannot_be_written(void **state)
{
    const struct place *p = *state;
    const struct cvm_machine m = machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_AS_IS);
    const struct cvm_expectation want = from_files(&m);
    unsigned need;
    make(p);
    place_write_text(p, "state", "a file");
    struct cvm_expectation got = measure(p, place_path(p, "state"), &m, &need);
    assert_same(&got, &want);
}

static void test_without_a_list(void **state)
{
    const struct place *p = *state;
    const struct cvm_machine m = machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_AS_IS);
    const struct cvm_expectation want = from_files(&m);
    unsigned need;
    make(p);
    place_delete(p, "bundle/sha256sum.txt");
    place_delete(p, "bundle/digest.txt");
    for (unsigned i = 0; i < 2; i++) {
        struct cvm_expectation got = measure(p, place_path(p, "state"), &m, &need);
        assert_same(&got, &want);
        assert_int_equal(need, NEED_FIRMWARE | NEED_KERNEL);
    }
    assert_false(place_has(p, "state"));
}

/* A kernel without setup header can be measured as it is, from the cache as well. */
static void test_a_kernel_without_setup_header(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    const struct cvm_machine as_is = machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_AS_IS);
    const struct cvm_machine rewritten =
        machine_of(2048 * MIB, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN);
    unsigned need;
    cvm_autobuf struct cvm_buf kernel = kernel_build(&kernel_modern);
    make(p);
    memcpy(kernel.data + 0x202, "none", 4);
    place_write(p, "bundle/kernel", kernel.data, kernel.len);
    bundle_seal(p, "bundle");
    (void)measure(p, place_path(p, "state"), &as_is, &need);
    (void)measure(p, place_path(p, "state"), &as_is, &need);
    assert_int_equal(need, 0);
    for (unsigned i = 0; i < 2; i++) {
        cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
        cvm_autobundlefacts struct cvm_bundle_facts f = { 0 };
        must(cvm_bundle_open(place_path(p, "bundle"), &b, &err), &err);
        must(cvm_bundle_facts_open(&b, i == 0 ? NULL : place_path(p, "state"), NULL, &f, &err),
             &err);
        assert_false(cvm_bundle_facts_complete(&f, &rewritten, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "kernel: no Linux setup header at offset 0x202");
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_machine_from_the_cache),
        TEST(test_what_is_read_for_a_new_shape),
        TEST(test_files_that_changed),
        TEST(test_metadata_that_names_others),
        TEST(test_a_state_that_cannot_be_written),
        TEST(test_without_a_list),
        TEST(test_a_kernel_without_setup_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
