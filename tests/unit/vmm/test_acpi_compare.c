#include "tests/support/check.h"

#include "vmm/acpi_compare.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)

/* --- files made by hand --- */

/* Signature, length, then content; files are padded to 128 bytes. */
struct sample {
    struct cvm_buf tables;
    struct cvm_buf loader;
    struct cvm_buf rsdp;
};

static void free_sample(struct sample *s)
{
    cvm_buf_free(&s->tables);
    cvm_buf_free(&s->loader);
    cvm_buf_free(&s->rsdp);
}

static void put_table(struct sample *s, const char *signature, const char *content)
{
    cvm_put_text(&s->tables, signature);
    cvm_put_le(&s->tables, 8 + strlen(content), 4);
    cvm_put_text(&s->tables, content);
}

static void put_name(struct sample *s, const char *name)
{
    cvm_put_text(&s->loader, name);
    cvm_put_zeros(&s->loader, 56 - strlen(name));
}

static void put_command(struct sample *s, unsigned which, const char *a, const char *b,
                        const uint32_t *numbers, size_t count, uint8_t last)
{
    cvm_put_le(&s->loader, which, 4);
    put_name(s, a);
    if (b != NULL) {
        put_name(s, b);
    }
    for (size_t i = 0; i < count; i++) {
        cvm_put_le(&s->loader, numbers[i], 4);
    }
    cvm_put_u8(&s->loader, last);
    cvm_put_padding(&s->loader, CVM_LOADER_COMMAND_SIZE);
}

static struct cvm_acpi_files files_of(const struct sample *s)
{
    return (struct cvm_acpi_files){ {
        [CVM_ACPI_FILE_LOADER] = { s->loader.data, s->loader.len },
        [CVM_ACPI_FILE_RSDP] = { s->rsdp.data, s->rsdp.len },
        [CVM_ACPI_FILE_TABLES] = { s->tables.data, s->tables.len },
    } };
}

static struct sample make_sample(void)
{
    struct sample s = { 0 };
    put_table(&s, "FACS", "facs");
    put_table(&s, "DSDT", "a long definition block");
    put_table(&s, "APIC", "interrupts");
    cvm_put_padding(&s.tables, 128);
    put_command(&s, 1, "etc/acpi/rsdp", NULL, (const uint32_t[]){ 16 }, 1, 2);
    put_command(&s, 2, "etc/acpi/tables", "etc/acpi/tables", (const uint32_t[]){ 0x24 }, 1, 4);
    cvm_put_zeros(&s.loader, 256);
    cvm_put_text(&s.rsdp, "RSD PTR ");
    assert_false(s.tables.failed || s.loader.failed || s.rsdp.failed);
    return s;
}

static void compare(const struct sample *a, const struct sample *b, struct cvm_acpi_comparison *c)
{
    const struct cvm_acpi_files ours = files_of(a);
    const struct cvm_acpi_files theirs = files_of(b);
    cvm_acpi_compare(&ours, &theirs, c);
}

static void assert_phrase(const struct cvm_acpi_comparison *c, const char *want)
{
    cvm_autobuf struct cvm_buf phrase = { 0 };
    cvm_acpi_comparison_phrase(c, &phrase);
    cvm_put_u8(&phrase, '\0');
    assert_string_equal(phrase.data, want);
}

static void assert_table(const struct cvm_acpi_comparison *c, size_t i, const char *signature,
                         enum cvm_table_state state)
{
    assert_true(i < c->num_tables);
    assert_string_equal(c->tables[i].signature, signature);
    assert_string_equal(cvm_table_state_word(c->tables[i].state), cvm_table_state_word(state));
}

/* --- tables --- */

static void test_equal(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample s = make_sample();
    struct cvm_acpi_comparison c;
    (void)state;
    compare(&s, &s, &c);
    assert_true(c.equal);
    assert_int_equal(c.num_tables, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c.tables[i].state, CVM_TABLE_EQUAL);
    }
    assert_string_equal(c.unreadable, "");
    assert_phrase(&c, "");
}

static void test_every_byte_of_the_tables(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    CVM_CLEANUP(free_sample)
    struct sample b = make_sample();
    (void)state;
    for (size_t i = 0; i < a.tables.len; i++) {
        struct cvm_acpi_comparison c;
        b.tables.data[i] ^= 0x80;
        compare(&a, &b, &c);
        b.tables.data[i] ^= 0x80;
        assert_false(c.equal);
        assert_int_equal(c.files[CVM_ACPI_FILE_TABLES].first_difference, i);
        assert_true(c.files[CVM_ACPI_FILE_RSDP].equal && c.files[CVM_ACPI_FILE_LOADER].equal);
    }
}

static void test_a_table_differs(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    CVM_CLEANUP(free_sample)
    struct sample b = make_sample();
    struct cvm_acpi_comparison c;
    (void)state;
    b.tables.data[12 + 8 + 7] ^= 1;
    compare(&a, &b, &c);
    assert_table(&c, 1, "DSDT", CVM_TABLE_DIFFERS);
    assert_int_equal(c.tables[1].first_difference, 8 + 7);
    assert_int_equal(c.tables[1].ours.size, 31);
    assert_table(&c, 2, "APIC", CVM_TABLE_EQUAL);
    assert_bytes(c.tables[2].ours.data, c.tables[2].ours.size, c.tables[2].theirs.data, 18);
    assert_phrase(&c, "table DSDT differs at 0xf");
}

static void test_missing_and_surplus(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = { 0 };
    CVM_CLEANUP(free_sample)
    struct sample b = { 0 };
    struct cvm_acpi_comparison c;
    (void)state;
    put_table(&a, "FACS", "facs");
    put_table(&a, "SSDT", "one");
    put_table(&a, "SSDT", "two");
    put_table(&a, "TPM2", "tpm");
    put_table(&b, "FACS", "facs");
    put_table(&b, "SSDT", "one");
    put_table(&b, "SRAT", "nodes");
    compare(&a, &b, &c);
    assert_int_equal(c.num_tables, 5);
    assert_table(&c, 1, "SSDT", CVM_TABLE_EQUAL);
    assert_table(&c, 2, "SSDT", CVM_TABLE_SURPLUS);
    assert_int_equal(c.tables[2].instance, 1);
    assert_table(&c, 3, "TPM2", CVM_TABLE_SURPLUS);
    assert_table(&c, 4, "SRAT", CVM_TABLE_MISSING);
    assert_int_equal(c.tables[4].theirs.size, 13);
    assert_phrase(&c, "table SSDT is surplus, table TPM2 is surplus, table SRAT is missing");
}

/* The same tables in another order: every table is equal, the file is not. */
static void test_another_order(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = { 0 };
    CVM_CLEANUP(free_sample)
    struct sample b = { 0 };
    struct cvm_acpi_comparison c;
    (void)state;
    put_table(&a, "WAET", "x");
    put_table(&a, "MCFG", "y");
    put_table(&b, "MCFG", "y");
    put_table(&b, "WAET", "x");
    compare(&a, &b, &c);
    assert_false(c.equal);
    assert_int_equal(c.tables[0].state, CVM_TABLE_EQUAL);
    assert_phrase(&c, "the tables file differs at 0x0");
}

/* --- files that are none --- */

static void test_unreadable_tables(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *why;
    } cases[] = {
        { "FACS", 4, "table: needs 4 bytes at offset 0x4, 0 left" },
        { "FACS\7\0\0\0", 8, "no table at offset 0x0: signature 46 41 43 53, length 7" },
        { "FACS\11\0\0\0", 8, "no table at offset 0x0: signature 46 41 43 53, length 9" },
        { "FACS\xff\xff\xff\xff", 8, "length 4294967295" },
        { "fACS\10\0\0\0", 8, "no table at offset 0x0: signature 66 41 43 53, length 8" },
        { "FACS\10\0\0\0\0\0\0\0\0\1", 14, "table: needs" },
    };
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CVM_CLEANUP(free_sample)
        struct sample b = { 0 };
        struct cvm_acpi_comparison c;
        cvm_put_bytes(&b.tables, cases[i].bytes, cases[i].size);
        compare(&a, &b, &c);
        assert_false(c.equal);
        assert_non_null(strstr(c.unreadable, cases[i].why));
        assert_true(c.num_tables >= 3);
    }
}

static void test_too_many_tables(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    CVM_CLEANUP(free_sample)
    struct sample b = { 0 };
    struct cvm_acpi_comparison c;
    (void)state;
    for (unsigned i = 0; i <= CVM_MAX_TABLES; i++) {
        put_table(&b, "SSDT", "");
    }
    compare(&a, &b, &c);
    assert_string_equal(c.unreadable, "more than 32 tables");
    assert_int_equal(c.num_tables, CVM_MAX_TABLES); /* no more fit, and none is written behind */
}

static void test_every_length(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    struct cvm_acpi_files theirs = files_of(&a);
    const struct cvm_acpi_files ours = theirs;
    (void)state;
    for (size_t which = 0; which < CVM_NUM_ACPI_FILES; which++) {
        for (size_t n = 0; n < ours.file[which].size; n++) {
            struct cvm_acpi_comparison c;
            theirs.file[which].size = n;
            cvm_acpi_compare(&ours, &theirs, &c);
            assert_false(c.equal);
            assert_int_equal(c.files[which].first_difference, n);
        }
        theirs.file[which].size = ours.file[which].size;
    }
}

/* --- the loader --- */

static void test_loader_commands(void **state)
{
    CVM_CLEANUP(free_sample)
    struct sample a = make_sample();
    CVM_CLEANUP(free_sample)
    struct sample b = { 0 };
    struct cvm_acpi_comparison c;
    (void)state;
    put_command(&b, 1, "etc/acpi/rsdp", NULL, (const uint32_t[]){ 16 }, 1, 2);
    put_command(&b, 3, "etc/acpi/tables", NULL, (const uint32_t[]){ 0x49, 0x40, 0x2042 }, 3, 0);
    put_command(&b, 4, "etc/x", "etc/\ny", (const uint32_t[]){ 1, 2 }, 2, 8);
    compare(&a, &b, &c);
    assert_int_equal(c.loader.ours_count, 2);
    assert_int_equal(c.loader.theirs_count, 3);
    assert_int_equal(c.loader.command, 1);
    assert_string_equal(c.loader.ours,
                        "add_pointer etc/acpi/tables+0x24, 4 bytes -> etc/acpi/tables");
    assert_string_equal(c.loader.theirs,
                        "add_checksum etc/acpi/tables+0x49, over 0x2042 bytes from 0x40");
    memcpy(b.loader.data + CVM_LOADER_COMMAND_SIZE, a.loader.data + CVM_LOADER_COMMAND_SIZE,
           CVM_LOADER_COMMAND_SIZE);
    compare(&a, &b, &c);
    assert_int_equal(c.loader.command, 2);
    assert_string_equal(c.loader.ours, ""); /* it has ended */
    assert_string_equal(c.loader.theirs, "write_pointer etc/x+0x1, 8 bytes -> etc/?y+0x2");
    b.loader.data[0] = 9;
    b.loader.len = CVM_LOADER_COMMAND_SIZE;
    compare(&a, &b, &c);
    assert_string_equal(c.loader.ours, "allocate etc/acpi/rsdp, align 0x10, zone 2");
    assert_string_equal(c.loader.theirs, "unknown command 9");
    b.loader.len = 100;
    compare(&a, &b, &c);
    assert_string_equal(c.loader.theirs, "cut off after 100 bytes");
}

/* --- files that were generated --- */

static void test_generated_files(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 9, 2, 1 },
        .cpu_count = 2,
        .memory_size = 2 * GIB,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi a = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi b = { 0 };
    struct cvm_acpi_comparison c;
    (void)state;
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .nics = 1 }, &err), &err);
    must(cvm_acpi_build(&m, &a, &err), &err);
    m.tpm = true;
    must(cvm_acpi_build(&m, &b, &err), &err);
    const struct cvm_acpi_files ours = cvm_acpi_files_of(&a);
    const struct cvm_acpi_files theirs = cvm_acpi_files_of(&b);
    cvm_acpi_compare(&ours, &ours, &c);
    assert_true(c.equal);
    assert_int_equal(c.num_tables, 7);
    cvm_acpi_compare(&ours, &theirs, &c);
    assert_int_equal(c.num_tables, 8);
    assert_table(&c, 7, "TPM2", CVM_TABLE_MISSING);
    assert_true(c.loader.theirs_count > c.loader.ours_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),           cmocka_unit_test(test_every_byte_of_the_tables),
        cmocka_unit_test(test_a_table_differs), cmocka_unit_test(test_missing_and_surplus),
        cmocka_unit_test(test_another_order),   cmocka_unit_test(test_unreadable_tables),
        cmocka_unit_test(test_too_many_tables), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_loader_commands), cmocka_unit_test(test_generated_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
