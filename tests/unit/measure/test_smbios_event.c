/*
 * The SMBIOS event: filter, OVMF's own structures, digests of real guests; and the errors of the
 * builder.
 */
#include "tests/support/check.h"

#include "measure/base/hex.h"
#include "measure/smbios.h"

static const struct cvm_smbios_firmware upstream = { "EDK II", "unknown", "02/02/2022" };
static const struct cvm_smbios_firmware debian = { "Debian distribution of EDK II", "2026.08+ds-2",
                                                   "09/26/2026" };

static struct cvm_machine sample(void)
{
    return (struct cvm_machine){
        .qemu = { 9, 1, 0 },
        .cpu_count = 1,
        .memory_size = UINT64_C(2) << 30,
        .cpu_signature = { true, 0x00000663 },
        .cpu_features_edx = { true, 0x0fcbfbfd },
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
}

static void assert_event(const struct cvm_machine *machine,
                         const struct cvm_smbios_firmware *firmware, const char *want)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    must(cvm_smbios_build(machine, &tables, &err), &err);
    must(cvm_smbios_digest((struct cvm_bytes){ tables.data, tables.size }, firmware, &digest, &err),
         &err);
    assert_hex(digest.bytes, sizeof digest.bytes, want);
}

/* vectors/firmware/td-d-bios.extends, the 15th extend of RTMR0. */
static void test_emulated_td(void **state)
{
    (void)state;
    const struct cvm_machine machine = sample();
    assert_event(&machine, &debian,
                 "0774c54cb411b46700cab22a6f77f12adc6a8f4105846a63a4440ccc6168867054f0792cf727538a"
                 "5b69ebcb79e29c0c");
}

/*
 * Two TDs of the same kind of host: QEMU 8.2 of a TDX tree, Emerald Rapids, type 1 strings of
 * dstack-vmm, firmware built from edk2-stable202505. The first is the constant that deployed
 * verifiers carry; of the second only the first 16 bytes were published.
 */
static void test_real_tds(void **state)
{
    (void)state;
    struct cvm_machine machine = sample();
    machine.qemu = (struct cvm_qemu_version){ 8, 2, 2 };
    machine.smbios = (struct cvm_smbios){ .manufacturer = "dstack", .product = "dstack" };
    machine.cpu_signature.value = 0x000c06f2;
    machine.cpu_features_edx.value = 0x2fabfbff;
    assert_event(&machine, &upstream,
                 "fb66919801f1dfc9c4c273b6a739380790cb0fd3cb706a42f6ac050510ebc8618e7fba53a1564522"
                 "f5c6f0dc9e1f41a6");
    machine.cpu_count = 8;
    machine.memory_size = UINT64_C(16) << 30;
    assert_event(&machine, &upstream,
                 "17a566eb173b8f3011c5294e9d8c816e"
                 "5edc0d592e8a38fc7b0b87ddd0f569e5cf9fe9f95e57db5d1c706c48e8251cec");
}

/* Digests of two tables that differ in what is blanked are the same. */
static void test_blanked_facts(void **state)
{
    (void)state;
    const char *want = "0774c54cb411b46700cab22a6f77f12adc6a8f4105846a63a4440ccc6168867054f0792cf7"
                       "27538a5b69ebcb79e29c0c";
    struct cvm_machine machine = sample();
    machine.cpu_count = 200;
    assert_event(&machine, &debian, want);
}

static void digest_of(const struct cvm_machine *machine, struct cvm_sha384 *out)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    must(cvm_smbios_build(machine, &tables, &err), &err);
    must(cvm_smbios_digest((struct cvm_bytes){ tables.data, tables.size }, &upstream, out, &err),
         &err);
}

/* A serial number becomes blanks: its length shows, its characters do not. */
static void test_serial_numbers(void **state)
{
    struct cvm_sha384 none;
    struct cvm_sha384 one;
    struct cvm_sha384 other;
    struct cvm_sha384 longer;
    struct cvm_machine machine = sample();
    (void)state;
    digest_of(&machine, &none);
    machine.smbios = (struct cvm_smbios){ .serial = "1234" };
    digest_of(&machine, &one);
    machine.smbios = (struct cvm_smbios){ .serial = "abcd" };
    digest_of(&machine, &other);
    machine.smbios = (struct cvm_smbios){ .serial = "abcde" };
    digest_of(&machine, &longer);
    assert_memory_equal(&one, &other, sizeof one);
    assert_memory_not_equal(&one, &none, sizeof one);
    assert_memory_not_equal(&one, &longer, sizeof one);
}

/* Every type that is blanked, each with what must not matter; the last two bytes end the table. */
static void test_filter_by_type(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } pairs[] = {
        /* type 2: serial number is string 1, location string 2 */
        { "020b000000000001000002 6161006262 0000", "020b000000000001000002 7878007979 0000",
          true },
        { "020b000001000001000000 616100 00", "020b000001000001000000 626100 00", true },
        /* type 3: asset tag */
        { "0309000001000000 01 6100 00", "0309000001000000 01 6200 00", true },
        { "0309000001000000 01 6100 00", "0309000002000000 01 6100 00", false },
        /* types of which only the header is left, and a neighbour */
        { "0b050000 01 6100 00", "0b050000 02 6200 00", true },
        { "0f050000 01 0000", "0f050000 02 0000", true },
        { "12050000 01 0000", "12050000 02 0000", true },
        { "1f050000 01 0000", "1f050000 02 0000", true },
        { "21050000 01 0000", "21050000 02 0000", true },
        { "80050000 01 0000", "80050000 02 0000", true },
        { "ff050000 01 0000", "ff050000 02 0000", true },
        { "0c050000 01 0000", "0c050000 02 0000", false },
        { "0b050000 01 0000", "0b050100 01 0000", false },
        /* types 22, 23, 27, 39 */
        { "16140000000000010000000000000000 11112222 6100 00",
          "16140000000000010000000000000000 33334444 6200 00", true },
        { "17070000 00 1111 0000", "17070000 00 2222 0000", true },
        { "1b0e0000 0000000000000000 1111 0000", "1b0e0000 0000000000000000 2222 0000", true },
        { "270b0000 00000000 010203 610062006300 00", "270b0000 00000000 010203 780079007a00 00",
          true },
        /* a structure that ends before the field keeps what it has; no string has number 9 */
        { "17060000 00 11 0000", "17060000 00 22 0000", false },
        { "0309000001000000 09 6100 00", "0309000001000000 09 6200 00", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *const texts[] = { pairs[i].one, pairs[i].other };
        struct cvm_sha384 digests[2];
        for (size_t k = 0; k < 2; k++) {
            struct cvm_error err = { 0 };
            uint8_t bytes[64];
            char hex[sizeof bytes * 2 + 1] = { 0 };
            size_t length = 0;
            for (const char *p = texts[k]; *p != '\0'; p++) {
                hex[length] = *p;
                length += *p != ' ';
            }
            memcpy(hex + length, "7f0400000000", sizeof "7f0400000000");
            length += sizeof "7f0400000000" - 1;
            must(cvm_hex_decode(hex, length, bytes, length / 2, &err), &err);
            must(cvm_smbios_digest((struct cvm_bytes){ bytes, length / 2 }, &upstream, &digests[k],
                                   &err),
                 &err);
        }
        bool same = memcmp(&digests[0], &digests[1], sizeof digests[0]) == 0;
        if (same != pairs[i].same) {
            fail_msg("pair %zu: %s | %s", i, pairs[i].one, pairs[i].other);
        }
    }
}

static void test_short_input(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    const struct cvm_machine machine = sample();
    (void)state;
    must(cvm_smbios_build(&machine, &tables, &err), &err);
    for (size_t n = 0; n < tables.size; n++) {
        assert_false(
            cvm_smbios_digest((struct cvm_bytes){ tables.data, n }, &upstream, &digest, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "SMBIOS structure");
    }
}

static void assert_refused(const uint8_t *bytes, size_t size, const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    assert_false(cvm_smbios_digest((struct cvm_bytes){ bytes, size }, &upstream, &digest, &err));
    assert_error(&err, CVM_ERR_MALFORMED, text);
}

static void test_damaged_tables(void **state)
{
    static const uint8_t short_header[] = { 1, 3, 0, 0, 0, 0, 127, 4, 0, 0, 0, 0 };
    static const uint8_t trailing[] = { 127, 4, 0, 0, 0, 0, 0 };
    static const uint8_t no_end[] = { 32, 4, 0, 0, 0, 0 };
    static const uint8_t past[] = { 127, 200, 0, 0, 0, 0 };
    cvm_autofree uint8_t *large = calloc(1, (1 << 20) + 1);
    (void)state;
    assert_refused(short_header, sizeof short_header, "type 1 at offset 0x0: length 3");
    assert_refused(trailing, sizeof trailing, "after type 127");
    assert_refused(no_end, sizeof no_end, "needs 1 bytes at offset 0x6");
    assert_refused(past, sizeof past, "needs 200 bytes");
    assert_refused(large, (1 << 20) + 1, "at most 1048576");
}

static void assert_unsupported(const struct cvm_machine *machine, const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_tables tables = { 0 };
    assert_false(cvm_smbios_build(machine, &tables, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, text);
}

static void test_builder_errors(void **state)
{
    (void)state;
    struct cvm_machine machine = sample();
    machine.cpu_signature.set = false;
    assert_unsupported(&machine, "cpu_signature (CPUID");
    machine.cpu_features_edx.set = false;
    assert_unsupported(&machine, "cpu_signature and cpu_features_edx (CPUID");
    machine.cpu_signature.set = true;
    assert_unsupported(&machine, ": cpu_features_edx (CPUID");
    machine = sample();
    machine.qemu = (struct cvm_qemu_version){ 7, 1, 0 };
    assert_unsupported(&machine, "oldest known version is 7.2.0");
    /* 7.2.22 says of this one that the table length exceeds 65535, and ends. */
    machine.qemu = (struct cvm_qemu_version){ 7, 2, 22 };
    machine.memory_size = UINT64_C(20) << 40;
    assert_unsupported(&machine, "starts no machine with more than 65535");
    machine.qemu = (struct cvm_qemu_version){ 8, 2, 0 };
    machine.pci_window64_base = UINT64_C(1) << 51;
    machine.memory_size = UINT64_C(60) << 40;
    assert_unsupported(&machine, "cannot hold memory_size");
}

static void test_htt(void **state)
{
    (void)state;
    struct cvm_machine machine = sample();
    machine.cpu_count = 2;
    assert_int_equal(cvm_smbios_features_edx(&machine), 0x0fcbfbfd);
    machine.qemu = (struct cvm_qemu_version){ 10, 0, 0 };
    assert_int_equal(cvm_smbios_features_edx(&machine), 0x1fcbfbfd);
    machine.cpu_count = 1;
    assert_int_equal(cvm_smbios_features_edx(&machine), 0x0fcbfbfd);
    machine.cpu_features_edx.set = false;
    assert_int_equal(cvm_smbios_features_edx(&machine), 0);
}

static void test_extrapolated(void **state)
{
    static const struct {
        struct cvm_qemu_version version;
        bool extrapolated;
    } cases[] = {
        { { 7, 2, 0 }, false },  { { 8, 0, 5 }, false }, { { 8, 2, 2 }, false },
        { { 9, 0, 1 }, true },   { { 9, 1, 0 }, false }, { { 10, 1, 0 }, false },
        { { 11, 1, 9 }, false }, { { 11, 2, 0 }, true }, { { 12, 0, 0 }, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        CVM_CLEANUP(cvm_smbios_tables_free)
        struct cvm_smbios_tables tables = { 0 };
        struct cvm_machine machine = sample();
        machine.qemu = cases[i].version;
        must(cvm_smbios_build(&machine, &tables, &err), &err);
        assert_int_equal(tables.extrapolated, cases[i].extrapolated);
    }
}

static bool build_and_digest(struct cvm_error *err)
{
    struct cvm_sha384 digest;
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    const struct cvm_machine machine = sample();
    return cvm_smbios_build(&machine, &tables, err) &&
           cvm_smbios_digest((struct cvm_bytes){ tables.data, tables.size }, &debian, &digest, err);
}

static void test_each_allocation(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(build_and_digest) >= 2);
}

/* Each byte of tables lies in a structure, and none behind them. */
static void test_places(void **state)
{
    /* clang-format off */
    static const uint8_t tables[] = {
        1, 5, 0x00, 0x01, 9, 'a', 0, 'b', 0, 0, /* with two strings */
        4, 4, 0x34, 0x12, 0, 0,
        127, 4, 0x00, 0x7f, 0, 0,
    };
    static const struct { size_t at; struct smbios_place place; } cases[] = {
        { 0, { 1, 0x100, 0 } }, { 4, { 1, 0x100, 4 } }, { 9, { 1, 0x100, 9 } },
        { 10, { 4, 0x1234, 0 } }, { 15, { 4, 0x1234, 5 } },
        { 16, { 127, 0x7f00, 0 } }, { 21, { 127, 0x7f00, 5 } },
    };
    /* clang-format on */
    struct smbios_place place;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(
            smbios_locate((struct cvm_bytes){ tables, sizeof tables }, cases[i].at, &place));
        assert_int_equal(place.type, cases[i].place.type);
        assert_int_equal(place.handle, cases[i].place.handle);
        assert_int_equal(place.offset, cases[i].place.offset);
    }
    assert_false(smbios_locate((struct cvm_bytes){ tables, sizeof tables }, 22, &place));
    for (size_t n = 0; n < 16; n++) { /* cut off before the end of the second */
        assert_false(smbios_locate((struct cvm_bytes){ tables, n }, 10, &place));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),         cmocka_unit_test(test_emulated_td),
        cmocka_unit_test(test_real_tds),       cmocka_unit_test(test_blanked_facts),
        cmocka_unit_test(test_serial_numbers), cmocka_unit_test(test_filter_by_type),
        cmocka_unit_test(test_short_input),    cmocka_unit_test(test_damaged_tables),
        cmocka_unit_test(test_builder_errors), cmocka_unit_test(test_htt),
        cmocka_unit_test(test_extrapolated),   cmocka_unit_test(test_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
