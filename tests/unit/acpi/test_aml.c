#include "tests/support/check.h"

#include "measure/acpi/aml.h"
#include "measure/acpi/aml_internal.h"

/* Writes with `statements` and compares what they wrote: `a` is the writer. */
#define ASSERT_AML(want_hex, statements)                                                           \
    do {                                                                                           \
        struct cvm_error err_ = { 0 };                                                             \
        cvm_autobuf struct cvm_buf buf_ = { 0 };                                                   \
        struct aml writer_ = aml_on(&buf_);                                                        \
        struct aml *a = &writer_;                                                                  \
        statements;                                                                                \
        must(aml_finish(a, "AML", &err_), &err_);                                                  \
        assert_hex(buf_.data, buf_.len, want_hex);                                                 \
    } while (0)

/* The same for what has to be refused, with the reason. */
#define ASSERT_BROKEN(why, statements)                                                             \
    do {                                                                                           \
        struct cvm_error err_ = { 0 };                                                             \
        cvm_autobuf struct cvm_buf buf_ = { 0 };                                                   \
        struct aml writer_ = aml_on(&buf_);                                                        \
        struct aml *a = &writer_;                                                                  \
        statements;                                                                                \
        if (aml_finish(a, "AML", &err_)) {                                                         \
            fail_msg("accepted: %s", #statements);                                                 \
        }                                                                                          \
        assert_error(&err_, CVM_ERR_SYSTEM, "AML: bug in AML: " why);                              \
    } while (0)

static void test_pkg_length_boundaries(void **state)
{
    static const struct {
        size_t body;
        const char *encoding;
    } cases[] = {
        { 0, "01" },         { 62, "3f" },          { 63, "4104" },
        { 64, "4204" },      { 4093, "4fff" },      { 4094, "810001" },
        { 65536, "830010" }, { 1048572, "8fffff" }, { 1048573, "c1000001" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf b = { 0 };
        struct aml a = aml_on(&b);
        size_t n = strlen(cases[i].encoding) / 2;
        cvm_put_u8(&b, 0xaa); /* what stands before and after stays */
        aml_begin(&a);
        cvm_put_zeros(&b, cases[i].body);
        aml_end(&a);
        cvm_put_u8(&b, 0xbb);
        must(aml_finish(&a, "AML", &err), &err);
        assert_int_equal(b.len, 1 + n + cases[i].body + 1);
        assert_int_equal(b.data[0], 0xaa);
        assert_hex(b.data + 1, n, cases[i].encoding);
        assert_int_equal(b.data[b.len - 1], 0xbb);
    }
}

static void test_pkg_length_has_28_bits(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml a = aml_on(&b);
    (void)state;
    aml_begin(&a);
    cvm_put_zeros(&b, (1u << 28) - 4);
    aml_end(&a);
    assert_false(aml_finish(&a, "DSDT", &err));
    assert_error(&err, CVM_ERR_SYSTEM, "DSDT: bug in AML: a term longer than PkgLength can say");
}

/* Scope (\) { Package (1) { Buffer } }: the inner lengths count towards the outer ones. */
static void test_nested_lengths(void **state)
{
    static const uint8_t data[3] = { 0xd0, 0xd1, 0xd2 };
    (void)state;
    ASSERT_AML("1003"
               "5c00",
               {
                   aml_scope(a, "\\");
                   aml_end(a);
               });
    ASSERT_AML("100d"
               "5c00"
               "1209"
               "01"
               "1106"
               "0a03"
               "d0d1d2",
               {
                   aml_scope(a, "\\");
                   aml_package(a, 1);
                   aml_bytes(a, data, sizeof data);
                   aml_end(a);
                   aml_end(a);
               });
}

/* A body of 62 bytes keeps its length in one; the buffer in it grows and pushes it to two. */
static void test_inner_length_counts(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml a = aml_on(&b);
    (void)state;
    aml_begin(&a);
    aml_begin(&a);
    cvm_put_zeros(&b, 62);
    aml_end(&a); /* 63 bytes with its own length */
    aml_end(&a);
    assert_int_equal(b.len, 65);
    assert_hex(b.data, 3, "41043f");
}

static void test_integers_at_every_width(void **state)
{
    (void)state;
    ASSERT_AML("00", aml_int(a, 0));
    ASSERT_AML("01", aml_int(a, 1));
    ASSERT_AML("0a02", aml_int(a, 2));
    ASSERT_AML("0aff", aml_int(a, UINT8_MAX));
    ASSERT_AML("0b0001", aml_int(a, UINT8_MAX + 1));
    ASSERT_AML("0bffff", aml_int(a, UINT16_MAX));
    ASSERT_AML("0c00000100", aml_int(a, UINT16_MAX + 1));
    ASSERT_AML("0cffffffff", aml_int(a, UINT32_MAX));
    ASSERT_AML("0e0000000001000000", aml_int(a, UINT64_C(1) << 32));
    ASSERT_AML("0effffffffffffffff", aml_int(a, UINT64_MAX));
    ASSERT_AML("0e8877665544332211", aml_int(a, UINT64_C(0x1122334455667788)));
}

static void test_names(void **state)
{
    (void)state;
    ASSERT_AML("5f484944", aml_namestring(a, "_HID"));
    ASSERT_AML("415f5f5f", aml_namestring(a, "A"));
    ASSERT_AML("4142435f", aml_namestring(a, "ABC"));
    ASSERT_AML("00", aml_namestring(a, ""));
    ASSERT_AML("5c00", aml_namestring(a, "\\"));
    ASSERT_AML("5e4142435f", aml_namestring(a, "^ABC"));
    ASSERT_AML("5e5e41423031", aml_namestring(a, "^^AB01"));
    ASSERT_AML("5c2e5f53425f50434930", aml_namestring(a, "\\_SB.PCI0"));
    ASSERT_AML("2e5f53425f415f5f5f", aml_namestring(a, "_SB.A"));
    ASSERT_AML("2f035f53425f504349304953415f", aml_namestring(a, "_SB.PCI0.ISA"));
    ASSERT_AML("5c2f045f53425f504349304953415f434f4d31", aml_namestring(a, "\\_SB.PCI0.ISA.COM1"));
}

static void test_bad_names(void **state)
{
    (void)state;
    ASSERT_BROKEN("a name segment longer than four characters", aml_namestring(a, "ABCDE"));
    ASSERT_BROKEN("a name segment longer than four characters", aml_namestring(a, "_SB.PCI00"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "abcd"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "AB D"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "_SB..PCI0"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "._SB"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "_SB/PCI0"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "A\\B"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "A^"));
}

/* With two segments announced and one written, the bytes that follow would become a name. */
static void test_trailing_dot_is_a_bad_name(void **state)
{
    (void)state;
    ASSERT_BROKEN("a bad name", aml_namestring(a, "_SB."));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "_SB.PCI0."));
}

/* ACPI 6.5, 20.2.2: LeadNameChar is a letter or '_'. */
static void test_name_does_not_start_with_a_digit(void **state)
{
    (void)state;
    ASSERT_BROKEN("a bad name", aml_namestring(a, "0ABC"));
    ASSERT_BROKEN("a bad name", aml_namestring(a, "_SB.1PCI"));
}

/* As iasl encodes them. */
static void test_eisa_identifiers(void **state)
{
    (void)state;
    ASSERT_AML("0c41d00a08", aml_eisaid(a, "PNP0A08"));
    ASSERT_AML("0c41d00a03", aml_eisaid(a, "PNP0A03"));
    ASSERT_AML("0c41d00c0f", aml_eisaid(a, "PNP0C0F"));
    ASSERT_AML("0c41d00103", aml_eisaid(a, "PNP0103"));
    ASSERT_AML("0c25d40800", aml_eisaid(a, "INT0800"));
    ASSERT_AML("0c043affff", aml_eisaid(a, "AAZFFFF"));
    ASSERT_AML("085f4849440c41d00c0f", aml_name_eisaid(a, "_HID", "PNP0C0F"));
}

static void test_bad_eisa_identifiers(void **state)
{
    (void)state;
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, ""));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "PNP0A0"));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "PNP0A080"));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "PNP0A0X"));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "PNPQA08"));
}

/* Five bits hold the letters A to Z and nothing else. */
static void test_eisa_vendor_is_three_letters(void **state)
{
    (void)state;
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "pnp0A08"));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "P1P0A08"));
    ASSERT_BROKEN("a bad EISA identifier", aml_eisaid(a, "PN_0A08"));
}

static void test_uuids(void **state)
{
    (void)state;
    /* the UUID of PCI's _OSC, as in every disassembly */
    ASSERT_AML("11130a105b4ddb33f71f1c4096577441c03dd766",
               aml_uuid(a, "33db4d5b-1ff7-401c-9657-7441c03dd766"));
    ASSERT_BROKEN("a bad UUID", aml_uuid(a, "33db4d5b-1ff7-401c-9657-7441c03dd76"));
}

static void test_objects_without_a_body(void **state)
{
    (void)state;
    ASSERT_AML("085f5549440a04", aml_name_int(a, "_UID", 4));
    ASSERT_AML("085f4849440d414200", aml_name_string(a, "_HID", "AB"));
    ASSERT_AML("0d00", aml_string(a, ""));
    ASSERT_AML("110301ff", aml_bytes(a, (const uint8_t[]){ 0xff }, 1));
    ASSERT_AML("110200", aml_bytes(a, NULL, 0));
    ASSERT_AML("5b014d55545800", aml_mutex(a, "MUTX"));
    ASSERT_AML("5b234d555458ffff", aml_acquire(a, "MUTX"));
    ASSERT_AML("5b804442475f010b020401", aml_region(a, "DBG", AML_SYSTEM_IO, 0x402, 1));
}

#define ASSERT_TERM(want_hex, opening)                                                             \
    ASSERT_AML(want_hex, {                                                                         \
        opening;                                                                                   \
        aml_end(a);                                                                                \
    })

static void test_objects_with_a_body(void **state)
{
    (void)state;
    ASSERT_TERM("10055f53425f", aml_scope(a, "_SB"));
    ASSERT_TERM("5b82054c4e4b53", aml_device(a, "LNKS"));
    ASSERT_TERM("5b830b433030301f0000000000", aml_processor(a, "C000", 31));
    ASSERT_TERM("120203", aml_package(a, 3));
    ASSERT_TERM("14065f53544100", aml_method(a, "_STA", 0, AML_NOT_SERIALIZED));
    ASSERT_TERM("14065f44534d0c", aml_method(a, "_DSM", 4, AML_SERIALIZED));
}

static void test_fields(void **state)
{
    static const struct aml_field_entry one[] = { { "DBGB", 8 }, { 0 } };
    static const struct aml_field_entry gap[] = { { "A", 8 }, { NULL, 64 }, { "B", 1 }, { 0 } };
    static const struct aml_field_entry wide[] = { { "A", 63 }, { "B", 64 }, { "C", 4095 }, { 0 } };
    static const struct aml_field_entry too_wide[] = { { "A", 4096 }, { 0 } };
    static const struct aml_field_entry backwards[] = { { "A", 32 }, { NULL, 16 }, { 0 } };
    (void)state;
    ASSERT_AML("5b810b4442475f01"
               "4442474208",
               aml_field(a, "DBG", AML_BYTE_ACC | AML_PRESERVE, one));
    ASSERT_AML("5b81124442475f43"
               "415f5f5f08"
               "0038"
               "425f5f5f01",
               aml_field(a, "DBG", AML_DWORD_ACC | AML_WRITE_AS_ZEROS, gap));
    ASSERT_AML("5b81174442475f00"
               "415f5f5f3f"
               "425f5f5f4004"
               "435f5f5f4fff",
               aml_field(a, "DBG", AML_ANY_ACC, wide));
    ASSERT_BROKEN("a field longer than 4095 bits", aml_field(a, "DBG", AML_ANY_ACC, too_wide));
    ASSERT_BROKEN("a field longer than 4095 bits", aml_field(a, "DBG", AML_ANY_ACC, backwards));
}

#define ASSERT_RESOURCES(want_hex, descriptors)                                                    \
    ASSERT_AML(want_hex, {                                                                         \
        aml_resources(a);                                                                          \
        descriptors;                                                                               \
        aml_resources_end(a);                                                                      \
    })

static void test_resource_templates(void **state)
{
    static const uint32_t irqs[] = { 5, 10, 11 };
    (void)state;
    ASSERT_RESOURCES("11050a027900", (void)0);
    ASSERT_RESOURCES("110d0a0a"
                     "470110051005010c"
                     "7900",
                     aml_io(a, 0x510, 1, 12));
    ASSERT_RESOURCES("11080a05"
                     "220001"
                     "7900",
                     aml_irq_no_flags(a, 8));
    ASSERT_RESOURCES("11090a06"
                     "23100018"
                     "7900",
                     aml_irq_level_low_shared(a, 4));
    ASSERT_RESOURCES("11160a13"
                     "890e000b03"
                     "050000000a0000000b000000"
                     "7900",
                     aml_interrupts(a, true, irqs, 3));
    ASSERT_RESOURCES("110e0a0b"
                     "890600"
                     "0901"
                     "05000000"
                     "7900",
                     aml_interrupts(a, false, irqs, 1));
    ASSERT_BROKEN("a resource template closed that was never opened", aml_resources_end(a));
}

static void test_address_ranges(void **state)
{
    (void)state;
    ASSERT_RESOURCES("11150a12"
                     "880d00020c00"
                     "00000000ff0000000001"
                     "7900",
                     aml_range(a, 2, AML_RANGE_BUS, 0, 0, 255));
    ASSERT_RESOURCES("111f0a1c"
                     "871700000c03"
                     "00000000"
                     "00000080"
                     "ffffffdf"
                     "00000000"
                     "00000060"
                     "7900",
                     aml_range(a, 4, AML_RANGE_MEMORY, AML_MEM_READ_WRITE | AML_MEM_CACHEABLE,
                               0x80000000, 0xdfffffff));
    ASSERT_RESOURCES("11330a30"
                     "8a2b00000c01"
                     "0000000000000000"
                     "0000000000380000"
                     "ffffffff07380000"
                     "0000000000000000"
                     "0000000008000000"
                     "7900",
                     aml_range(a, 8, AML_RANGE_MEMORY, AML_MEM_READ_WRITE, UINT64_C(0x380000000000),
                               UINT64_C(0x3807ffffffff)));
}

/* Enough descriptors that the buffer's size needs a word and its length two bytes. */
static void test_long_resource_template(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml a = aml_on(&b);
    (void)state;
    aml_resources(&a);
    for (unsigned i = 0; i < 40; i++) {
        aml_io(&a, 0, 1, 1);
    }
    aml_resources_end(&a);
    must(aml_finish(&a, "AML", &err), &err);
    assert_hex(b.data, 6, "1147140b4201"); /* 327 bytes in all, of which 322 are the content */
    assert_int_equal(b.len, 1 + 0x147);
}

static void test_asl_words(void **state)
{
    static const struct {
        const char *word;
        const char *opcode; /* ACPI 6.5, table 20.9 */
    } words[] = {
        { "Local0", "60" },
        { "Local1", "61" },
        { "Local2", "62" },
        { "Local3", "63" },
        { "Local4", "64" },
        { "Local5", "65" },
        { "Arg0", "68" },
        { "Arg1", "69" },
        { "Arg2", "6a" },
        { "Arg3", "6b" },
        { "Arg4", "6c" },
        { "Zero", "00" },
        { "One", "01" },
        { "Store", "70" },
        { "Add", "72" },
        { "Subtract", "74" },
        { "Increment", "75" },
        { "ShiftLeft", "79" },
        { "And", "7b" },
        { "Or", "7d" },
        { "DerefOf", "83" },
        { "Notify", "86" },
        { "SizeOf", "87" },
        { "Index", "88" },
        { "LAnd", "90" },
        { "LOr", "91" },
        { "LNot", "92" },
        { "LEqual", "93" },
        { "LGreater", "94" },
        { "LLess", "95" },
        { "ToBuffer", "96" },
        { "Return", "a4" },
        { "ToHexString", "98" },
        { "Break", "a5" },
        { "Release", "5b27" },
        { "Debug", "5b31" },
        { "CreateDWordField", "8a" },
        { "If {}", "a001" },
        { "Else {}", "a101" },
        { "While {}", "a201" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ASSERT_AML(words[i].opcode, aml_asl(a, "%s", words[i].word));
    }
}

static void test_asl_statements(void **state)
{
    (void)state;
    ASSERT_AML("", aml_asl(a, "%s", ""));
    ASSERT_AML("704344573360", aml_asl(a, "Store (CDW3, Local0)"));
    ASSERT_AML("a006936801a400", aml_asl(a, "If (LEqual (Arg0, One)) { Return (Zero) }"));
    ASSERT_AML("a0026800a102a5", aml_asl(a, "If (Arg0) {} Zero Else { Break }"));
    ASSERT_AML("a2069562617562", aml_asl(a, "While (LLess (Local2, Local1)) {"
                                            "\n    Increment (Local2)\n}"));
    ASSERT_AML("12060401010000", aml_asl(a, "Package (4) { One, One, Zero, Zero }"));
    ASSERT_AML("1207020a020b0001", aml_asl(a, "Package (2) { 2, 0x100 }"));
    ASSERT_AML("120200", aml_asl(a, "Package (0) {}"));
    ASSERT_AML("120501120200", aml_asl(a, "Package (1) { Package (0) {} }"));
    ASSERT_AML("700d612062005b31", aml_asl(a, "Store (\"a b\", Debug)"));
    ASSERT_AML("5b274d555458", aml_asl(a, "Release (MUTX)"));
    ASSERT_AML("86680a03", aml_asl(a, "Notify (Arg0, 3)"));
    ASSERT_AML("700a1061", aml_asl(a, "Store (0x%x, Local%d)", 0x10u, 1));
}

static void test_asl_in_pieces(void **state)
{
    (void)state;
    ASSERT_AML("a006936801a400", {
        aml_asl(a, "If (LEqual (Arg0, ");
        aml_asl(a, "One))");
        aml_asl(a, "{ Return (");
        aml_asl(a, "Zero) }");
    });
    ASSERT_AML("a005680d4100a4", { /* mixed with the functions */
                                   aml_asl(a, "If (Arg0) {");
                                   aml_string(a, "A");
                                   aml_end(a);
                                   aml_asl(a, "Return");
    });
}

/* A count is a raw byte, even where a call ends before it: written so or refused, but not wrong. */
static void test_asl_split_behind_package(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml a = aml_on(&b);
    (void)state;
    aml_asl(&a, "Package (");
    aml_asl(&a, "2) { Zero, Zero }");
    if (aml_finish(&a, "AML", &err)) {
        assert_hex(b.data, b.len, "1204020000");
    } else {
        assert_error(&err, CVM_ERR_SYSTEM, "bug in AML");
    }
}

static void test_asl_long_text(void **state)
{
    char text[2049];
    (void)state;
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "One", 3);
    text[2047] = '\0';
    ASSERT_AML("01", aml_asl(a, "%s", text));
    text[2047] = ' ';
    text[2048] = '\0';
    ASSERT_BROKEN("a piece of ASL longer than 2 KiB", aml_asl(a, "%s", text));
}

static void test_asl_long_words(void **state)
{
    char text[80] = "\"";
    (void)state;
    memset(text + 1, 's', 64);
    text[64] = '"';
    text[65] = '\0';
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml writer = aml_on(&b);
    aml_asl(&writer, "%s", text);
    must(aml_finish(&writer, "AML", &err), &err);
    assert_int_equal(b.len, 1 + 63 + 1);
    memcpy(text + 64, "s\"", 3);
    ASSERT_BROKEN("a word of ASL longer than 63 characters", aml_asl(a, "%s", text));
    ASSERT_BROKEN("a word of ASL longer than 63 characters", aml_asl(a, "Store (%064u)", 1u));
}

static void test_asl_errors(void **state)
{
    (void)state;
    ASSERT_BROKEN("a bad name", aml_asl(a, "Sotre (Zero, Local0)"));
    ASSERT_BROKEN("a bad name", aml_asl(a, "Store (Zero, Local8)"));
    ASSERT_BROKEN("a bad name", aml_asl(a, "Store (Zero; Local0)"));
    ASSERT_BROKEN("a bad UUID", aml_asl(a, "ToUUID (\"x\")"));
    ASSERT_BROKEN("a term left open", aml_asl(a, "If (One) { Return (Zero)"));
    ASSERT_BROKEN("a term closed that was never opened", aml_asl(a, "Return (Zero) }"));
}

static void test_asl_uuid(void **state)
{
    (void)state;
    ASSERT_AML("936811130a105b4ddb33f71f1c4096577441c03dd766",
               aml_asl(a, "LEqual (Arg0, ToUUID (\"33DB4D5B-1FF7-401C-9657-7441C03DD766\"))"));
}

/* What the reader of the source would take for something else than what is written. */
static void test_asl_unterminated_string(void **state)
{
    (void)state;
    ASSERT_BROKEN("", aml_asl(a, "Store (\"abc, Local0)"));
}

static void test_asl_count_that_is_none(void **state)
{
    (void)state;
    ASSERT_BROKEN("", aml_asl(a, "Package (Local0) { Zero }"));
    ASSERT_BROKEN("", aml_asl(a, "Package (256) { Zero }"));
}

static void test_asl_uuid_without_its_string(void **state)
{
    (void)state;
    ASSERT_BROKEN("", aml_asl(a, "Return (ToUUID (Local0))"));
}

static void test_asl_number_that_is_none(void **state)
{
    (void)state;
    ASSERT_BROKEN("", aml_asl(a, "Return (0x12G4)"));
    ASSERT_BROKEN("", aml_asl(a, "Return (0x1FFFFFFFFFFFFFFFF)"));
}

static void test_unbalanced(void **state)
{
    (void)state;
    ASSERT_BROKEN("a term left open", aml_scope(a, "\\"));
    ASSERT_BROKEN("a term closed that was never opened", aml_end(a));
    ASSERT_BROKEN("a term closed that was never opened", {
        aml_end(a);
        aml_scope(a, "\\"); /* the first mistake is the one that is told */
    });
}

static void test_depth(void **state)
{
    (void)state;
    ASSERT_AML("122f01122c01122901122601122301122001121d01121a01121701121401121101"
               "120e01120b01120801120501120200",
               {
                   for (unsigned i = 0; i < AML_MAX_DEPTH; i++) {
                       aml_package(a, i + 1 < AML_MAX_DEPTH);
                   }
                   for (unsigned i = 0; i < AML_MAX_DEPTH; i++) {
                       aml_end(a);
                   }
               });
    ASSERT_BROKEN("terms nested too deep", {
        for (unsigned i = 0; i <= AML_MAX_DEPTH; i++) {
            aml_package(a, 0);
        }
        for (unsigned i = 0; i <= AML_MAX_DEPTH; i++) {
            aml_end(a);
        }
    });
}

static bool write_some(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    struct aml a = aml_on(&b);
    aml_scope(&a, "\\_SB");
    for (unsigned i = 0; i < 30; i++) {
        aml_asl(&a, "Package (2) { %u, \"a string that makes the buffer grow\" }", i);
        aml_resources(&a);
        aml_range(&a, 8, AML_RANGE_MEMORY, 0, 0, i);
        aml_resources_end(&a);
    }
    aml_end(&a);
    return aml_finish(&a, "AML", err);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    assert_in_range(fail_each_allocation(write_some), 4, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkg_length_boundaries),
        cmocka_unit_test(test_pkg_length_has_28_bits),
        cmocka_unit_test(test_nested_lengths),
        cmocka_unit_test(test_inner_length_counts),
        cmocka_unit_test(test_integers_at_every_width),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_trailing_dot_is_a_bad_name),
        cmocka_unit_test(test_name_does_not_start_with_a_digit),
        cmocka_unit_test(test_eisa_identifiers),
        cmocka_unit_test(test_bad_eisa_identifiers),
        cmocka_unit_test(test_eisa_vendor_is_three_letters),
        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_objects_without_a_body),
        cmocka_unit_test(test_objects_with_a_body),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_resource_templates),
        cmocka_unit_test(test_address_ranges),
        cmocka_unit_test(test_long_resource_template),
        cmocka_unit_test(test_asl_words),
        cmocka_unit_test(test_asl_statements),
        cmocka_unit_test(test_asl_in_pieces),
        cmocka_unit_test(test_asl_split_behind_package),
        cmocka_unit_test(test_asl_long_text),
        cmocka_unit_test(test_asl_long_words),
        cmocka_unit_test(test_asl_errors),
        cmocka_unit_test(test_asl_uuid),
        cmocka_unit_test(test_asl_unterminated_string),
        cmocka_unit_test(test_asl_count_that_is_none),
        cmocka_unit_test(test_asl_uuid_without_its_string),
        cmocka_unit_test(test_asl_number_that_is_none),
        cmocka_unit_test(test_unbalanced),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
