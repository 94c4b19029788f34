#include "measure/pe.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

enum { PE_AT = 0x80, SIZE = 0x1800 };

/* Sections in another order than their data, one without; then a tail and a certificate table. */
static const struct pe_sample pe32_plus = {
    .plus = true,
    .e_lfanew = PE_AT,
    .size_of_headers = 0x400,
    .certificate_size = 0x200,
    .num_directories = 16,
    .num_sections = 4,
    .sections = { { 0x1000, 0x400 }, { 0, 0 }, { 0x400, 0x600 }, { 0xa00, 0x600 } },
    .size = SIZE,
};

enum { MAX_RANGES = 8 };

/* What is hashed: from, to; ends with { 0, 0 }. */
struct range {
    size_t from, to;
};

/* The digest with the ranges written out one behind the other. */
static struct cvm_sha384 hash_ranges(const struct cvm_buf *file, const struct range *ranges)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    struct cvm_buf joined = { 0 };
    for (size_t i = 0; ranges[i].to != 0; i++) {
        cvm_put_bytes(&joined, file->data + ranges[i].from, ranges[i].to - ranges[i].from);
    }
    must(cvm_sha384(joined.data, joined.len, &digest, &err), &err);
    cvm_buf_free(&joined);
    return digest;
}

static bool digest_exact(const uint8_t *data, size_t size, struct cvm_sha384 *out,
                         struct cvm_error *err)
{
    uint8_t *copy = exact_copy(data, size);
    bool ok = pe_authenticode((struct cvm_bytes){ copy, size }, out, err);
    free(copy);
    return ok;
}

static void check(const struct pe_sample *sample, const struct range *ranges)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 got;
    struct cvm_buf file = pe_build(sample);
    must(digest_exact(file.data, file.len, &got, &err), &err);
    const struct cvm_sha384 want = hash_ranges(&file, ranges);
    assert_bytes(got.bytes, sizeof got.bytes, want.bytes, sizeof want.bytes);
    cvm_buf_free(&file);
}

static void pe32_plus_out_of_order(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = {
        { 0, 0xd8 },      /* up to CheckSum */
        { 0xdc, 0x128 },  /* up to the certificate table's entry */
        { 0x130, 0x400 }, /* up to SizeOfHeaders */
        { 0x400, 0xa00 },   { 0xa00, 0x1000 },
        { 0x1000, 0x1400 }, { 0x1400, 0x1600 }, /* the tail, without the last 0x200 bytes */
    };
    check(&pe32_plus, ranges);
}

static void pe32_out_of_order(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = {
        { 0, 0xd8 },       { 0xdc, 0x118 },    { 0x120, 0x400 },   { 0x400, 0xa00 },
        { 0xa00, 0x1000 }, { 0x1000, 0x1400 }, { 0x1400, 0x1600 },
    };
    struct pe_sample sample = pe32_plus;
    sample.plus = false;
    check(&sample, ranges);
}

static void no_certificate_table(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = {
        { 0, 0xd8 }, { 0xdc, 0x128 }, { 0x130, SIZE }, /* sections follow each other */
    };
    struct pe_sample sample = pe32_plus;
    sample.certificate_size = 0;
    check(&sample, ranges);
}

/* With four directories there is no entry to leave out. */
static void no_certificate_directory(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = { { 0, 0xd8 }, { 0xdc, SIZE } };
    struct pe_sample sample = pe32_plus;
    sample.num_directories = 4;
    check(&sample, ranges);
    static const struct range with_five[MAX_RANGES] = { { 0, 0xd8 },
                                                        { 0xdc, 0x128 },
                                                        { 0x130, SIZE - 0x200 } };
    sample.num_directories = 5;
    check(&sample, with_five);
}

static void headers_only(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = { { 0, 0xd8 },
                                                     { 0xdc, 0x128 },
                                                     { 0x130, SIZE } };
    struct pe_sample sample = pe32_plus;
    sample.certificate_size = 0;
    sample.num_sections = 0;
    sample.size_of_headers = SIZE;
    check(&sample, ranges);
    sample.size_of_headers = PE_AT + PE32_PLUS_SECTIONS; /* the least there can be */
    check(&sample, ranges);
}

/* What follows is counted from the bytes hashed so far, as the specification and edk2 do. */
static void gap_between_sections(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = {
        { 0, 0xd8 }, { 0xdc, 0x128 }, { 0x130, 0x400 }, { 0x800, 0xa00 }, { 0x600, SIZE - 0x200 },
    };
    struct pe_sample sample = pe32_plus;
    sample.num_sections = 1;
    sample.sections[0].raw_offset = 0x800;
    sample.sections[0].raw_size = 0x200;
    check(&sample, ranges);
}

/* More hashed than the file has: nothing follows. */
static void sections_over_each_other(void **state)
{
    (void)state;
    static const struct range ranges[MAX_RANGES] = {
        { 0, 0xd8 }, { 0xdc, 0x128 }, { 0x130, 0x400 }, { 0x400, 0x1400 }, { 0x400, SIZE },
    };
    struct pe_sample sample = pe32_plus;
    sample.num_sections = 2;
    sample.sections[0].raw_offset = 0x400;
    sample.sections[0].raw_size = 0x1000;
    sample.sections[1].raw_offset = 0x400;
    sample.sections[1].raw_size = SIZE - 0x400;
    check(&sample, ranges);
}

/* Neither CheckSum nor the certificate table reach the digest; everything else does. */
static void each_byte_counts_or_not(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf file = pe_build(&pe32_plus);
    struct cvm_sha384 before;
    struct cvm_sha384 after;
    must(digest_exact(file.data, file.len, &before, &err), &err);
    for (size_t at = 0x400; at < SIZE; at += 0x7f) {
        file.data[at] ^= 1;
        must(digest_exact(file.data, file.len, &after, &err), &err);
        bool same = memcmp(&before, &after, sizeof before) == 0;
        assert_int_equal(same, at >= SIZE - 0x200);
        file.data[at] ^= 1;
    }
    cvm_buf_patch_le(&file, PE_AT + PE_CHECKSUM, 0, 4);
    cvm_buf_patch_le(&file, PE_AT + PE32_PLUS_CERTIFICATE_DIR, 0, 4); /* its address */
    must(digest_exact(file.data, file.len, &after, &err), &err);
    assert_bytes(after.bytes, sizeof after.bytes, before.bytes, sizeof before.bytes);
    cvm_buf_free(&file);
}

static void truncated_at_every_length(void **state)
{
    (void)state;
    struct pe_sample sample = pe32_plus;
    sample.certificate_size = 0;
    sample.sections[0].raw_size = SIZE - 0x1000; /* no tail: every byte is needed */
    struct cvm_buf file = pe_build(&sample);
    struct cvm_sha384 digest;
    struct cvm_error err = { 0 };
    for (size_t n = 0; n < file.len; n++) {
        assert_false(digest_exact(file.data, n, &digest, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "");
    }
    must(digest_exact(file.data, file.len, &digest, &err), &err);
    cvm_buf_free(&file);
}

struct bad_field {
    size_t at;
    uint64_t value;
    size_t width;
    enum cvm_error_code code;
    const char *message;
};

enum { SECTION_0 = PE_AT + PE32_PLUS_SECTIONS, RAW_SIZE = 16, RAW_OFFSET = 20 };

/* clang-format off */
static const struct bad_field bad_fields[] = {
    { 0, 'X', 1, CVM_ERR_MALFORMED, "not a PE image: no MZ signature" },
    { 0x3c, SIZE, 4, CVM_ERR_MALFORMED, "PE header at e_lfanew: needs 4 bytes at offset 0x1800" },
    { 0x3c, SIZE + 1, 4, CVM_ERR_MALFORMED,
      "PE header at e_lfanew: lies past the end, at 6144 bytes" },
    { 0x3c, 0xffffffff, 4, CVM_ERR_MALFORMED, "PE header at e_lfanew: lies past the end" },
    { 0x3c, 0x84, 4, CVM_ERR_MALFORMED, "no PE signature at e_lfanew, offset 0x84" },
    { PE_AT, 'X', 1, CVM_ERR_MALFORMED, "no PE signature at e_lfanew, offset 0x80" },
    { PE_AT + PE_NUM_SECTIONS, 97, 2, CVM_ERR_MALFORMED, "PE header: 97 sections, at most 96" },
    { PE_AT + PE_NUM_SECTIONS, 0xffff, 2, CVM_ERR_MALFORMED, "65535 sections, at most 96" },
    { PE_AT + PE_OPTIONAL_SIZE, 0, 2, CVM_ERR_MALFORMED, "PE optional header: needs 2 bytes" },
    { PE_AT + PE_OPTIONAL_SIZE, 63, 2, CVM_ERR_MALFORMED, "PE optional header: needs 4 bytes" },
    { PE_AT + PE_OPTIONAL_SIZE, 64, 2, CVM_ERR_MALFORMED, "PE data directories: lies past" },
    { PE_AT + PE_OPTIONAL_SIZE, 111, 2, CVM_ERR_MALFORMED,
      "PE data directories: needs 4 bytes at offset 0x104, 3 left" },
    { PE_AT + PE_OPTIONAL_SIZE, 151, 2, CVM_ERR_MALFORMED,
      "PE data directories: needs 4 bytes at offset 0x12c, 3 left" },
    { PE_AT + PE_OPTIONAL_SIZE, 0xffff, 2, CVM_ERR_MALFORMED, "PE optional header: needs 65535" },
    { PE_AT + PE_OPTIONAL_SIZE, 0x1760, 2, CVM_ERR_MALFORMED,
      "PE section table: needs 16 bytes at offset 0x17f8, 8 left" },
    { PE_AT + PE_MAGIC, 0x107, 2, CVM_ERR_UNSUPPORTED, "PE optional header: magic 0x107" },
    { PE_AT + PE_SIZE_OF_HEADERS, 0, 4, CVM_ERR_MALFORMED,
      "PE SizeOfHeaders 0x0 is not between the end of the headers, 0x228" },
    { PE_AT + PE_SIZE_OF_HEADERS, 0x227, 4, CVM_ERR_MALFORMED, "PE SizeOfHeaders 0x227 is not" },
    { PE_AT + PE_SIZE_OF_HEADERS, SIZE + 1, 4, CVM_ERR_MALFORMED, "SizeOfHeaders 0x1801 is not" },
    { PE_AT + PE_SIZE_OF_HEADERS, 0xfffffff0, 4, CVM_ERR_MALFORMED,
      "PE SizeOfHeaders 0xfffffff0 is not between the end of the headers, 0x228, and that of the "
      "file, 0x1800" },
    { SECTION_0 + RAW_OFFSET, 0x1401, 4, CVM_ERR_MALFORMED,
      "PE section 0: data at offset 0x1401 of 0x400 bytes lies past the end of the file, which "
      "has 0x1800" },
    { SECTION_0 + RAW_OFFSET, 0xfffffc00, 4, CVM_ERR_MALFORMED, /* wraps in 32 bits */
      "PE section 0: data at offset 0xfffffc00 of 0x400 bytes lies past the end" },
    { SECTION_0 + 80 + RAW_SIZE, 0xffffffff, 4, CVM_ERR_MALFORMED,
      "PE section 2: data at offset 0x400 of 0xffffffff bytes lies past the end" },
    { PE_AT + PE32_PLUS_CERTIFICATE_DIR + 4, 0x401, 4, CVM_ERR_MALFORMED,
      "PE certificate table of 0x401 bytes, but only 0x400 follow the sections" },
    { PE_AT + PE32_PLUS_CERTIFICATE_DIR + 4, 0xffffffff, 4, CVM_ERR_MALFORMED,
      "PE certificate table of 0xffffffff bytes" },
};
/* clang-format on */

static void each_bad_field_has_its_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_fields / sizeof bad_fields[0]; i++) {
        const struct bad_field *bad = &bad_fields[i];
        struct cvm_error err = { 0 };
        struct cvm_sha384 digest;
        struct cvm_buf file = pe_build(&pe32_plus);
        cvm_buf_patch_le(&file, bad->at, bad->value, bad->width);
        assert_false(digest_exact(file.data, file.len, &digest, &err));
        assert_error(&err, bad->code, bad->message);
        cvm_buf_free(&file);
    }
}

/* 96 sections are read, each of them; the first that is not there is named. */
static void as_many_sections_as_fit(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    struct pe_sample sample = pe32_plus;
    sample.size_of_headers = 0x1200;
    sample.num_sections = 0;
    struct cvm_buf file = pe_build(&sample);
    memset(file.data + SECTION_0, 0, (size_t)40 * 97);
    cvm_buf_patch_le(&file, PE_AT + PE_NUM_SECTIONS, 96, 2);
    must(digest_exact(file.data, file.len, &digest, &err), &err);
    cvm_buf_patch_le(&file, SECTION_0 + 40 * 95 + RAW_OFFSET, 0x1801, 4);
    assert_false(digest_exact(file.data, file.len, &digest, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "PE section 95: data at offset 0x1801");
    cvm_buf_free(&file);
}

static void signed_or_not(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        struct cvm_error err = { 0 };
        const struct pe_sample sample = {
            .plus = true,
            .e_lfanew = 0x40,
            .size_of_headers = 0x400,
            .certificate_size = with == 1 ? 0x80 : 0,
            .num_directories = 16,
            .num_sections = 1,
            .sections = { { 0x400, 0x200 } },
            .size = 0x680,
        };
        bool is_signed = with == 0;
        struct cvm_buf image = pe_build(&sample);
        must(pe_is_signed(bytes_of(&image), &is_signed, &err), &err);
        assert_int_equal(is_signed, with == 1);
        assert_false(pe_is_signed((struct cvm_bytes){ image.data, 0x40 }, &is_signed, &err));
        assert_int_equal(err.code, CVM_ERR_MALFORMED);
        cvm_buf_free(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pe32_plus_out_of_order),
        cmocka_unit_test(pe32_out_of_order),
        cmocka_unit_test(no_certificate_table),
        cmocka_unit_test(no_certificate_directory),
        cmocka_unit_test(headers_only),
        cmocka_unit_test(gap_between_sections),
        cmocka_unit_test(sections_over_each_other),
        cmocka_unit_test(each_byte_counts_or_not),
        cmocka_unit_test(truncated_at_every_length),
        cmocka_unit_test(each_bad_field_has_its_message),
        cmocka_unit_test(signed_or_not),
        cmocka_unit_test(as_many_sections_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
