#include "measure/include/cvm/tdvf.h"

#include "measure/base/file.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

#include <stdio.h>

enum { SIZE = 0x4000, MAX_FIRMWARE = 64 << 20 };

/* Whatever is wrong with a file, it is one of these, and is said. */
static void assert_refused(bool ok, struct cvm_error *err)
{
    assert_false(ok);
    assert_true(err->code == CVM_ERR_MALFORMED || err->code == CVM_ERR_UNSUPPORTED);
    assert_string_not_equal(err->msg, "");
    *err = (struct cvm_error){ 0 };
}

/* Parses a copy that ends where its allocation ends. */
static bool parse_exact(const uint8_t *data, size_t size, struct cvm_tdvf *out,
                        struct cvm_error *err)
{
    uint8_t *copy = exact_copy(data, size);
    bool ok = cvm_tdvf_parse((struct cvm_bytes){ copy, size }, out, err);
    free(copy);
    return ok;
}

static void parses_all_sections(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    must(cvm_tdvf_parse(bytes_of(&firmware), &tdvf, &err), &err);
    assert_int_equal(tdvf.num_sections, firmware_plain.num_sections);
    for (uint32_t i = 0; i < tdvf.num_sections; i++) {
        const struct cvm_tdvf_section *got = &tdvf.sections[i];
        const struct cvm_tdvf_section *want = &firmware_plain.sections[i];
        assert_int_equal(got->data_offset, want->data_offset);
        assert_int_equal(got->raw_size, want->raw_size);
        assert_int_equal(got->mem_addr, want->mem_addr);
        assert_int_equal(got->mem_size, want->mem_size);
        assert_int_equal(got->type, want->type);
        assert_int_equal(got->attributes, want->attributes);
    }
    cvm_buf_free(&firmware);
}

static void ranges_ascend_and_know_the_hob(void **state)
{
    (void)state;
    static const struct cvm_td_range want[] = {
        { 0x800000, 0x6000 }, { 0x809000, 0x2000 }, { 0x80b000, 0x2000 }, { 0x810000, 0x10000 }
    };
    struct cvm_error err = { 0 };
    struct cvm_td_ranges ranges;
    struct cvm_tdvf parsed;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    must(cvm_tdvf_parse(bytes_of(&firmware), &parsed, &err), &err);
    must(cvm_tdvf_ranges(&parsed, &ranges, &err), &err);
    assert_int_equal(ranges.td_hob, 0x809000);
    assert_int_equal(ranges.num_ranges, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(ranges.ranges[i].start, want[i].start);
        assert_int_equal(ranges.ranges[i].size, want[i].size);
    }
    cvm_buf_free(&firmware);
}

static void truncated_at_every_length(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    for (size_t n = 0; n < firmware.len; n++) {
        assert_refused(parse_exact(firmware.data, n, &tdvf, &err), &err);
    }
    cvm_buf_free(&firmware);
}

/* The other end: the table stays where it is looked for, and what it points to goes missing. */
static void start_missing_at_every_length(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    for (size_t n = 1; n <= firmware.len; n++) {
        assert_refused(parse_exact(firmware.data + n, firmware.len - n, &tdvf, &err), &err);
    }
    cvm_buf_free(&firmware);
}

/* Overwrites one field of the plain firmware. */
struct bad_field {
    size_t from_end;
    uint64_t value;
    size_t width;
    enum cvm_error_code code;
    const char *message;
};

/* clang-format off */
static const struct bad_field bad_fields[] = {
    /* the GUIDed table */
    { FW_FOOTER_GUID, 0, 1, CVM_ERR_MALFORMED, "no GUIDed table at the end, at offset 0x3fd0" },
    { FW_FOOTER_LENGTH, 0, 2, CVM_ERR_MALFORMED, "GUIDed table: 0 bytes long" },
    { FW_FOOTER_LENGTH, 17, 2, CVM_ERR_MALFORMED, "GUIDed table: 17 bytes long" },
    { FW_FOOTER_LENGTH, 0xffff, 2, CVM_ERR_MALFORMED,
      "GUIDed table: 65535 bytes long, 16352 before its end" },
    { FW_FOOTER_LENGTH, 18, 2, CVM_ERR_UNSUPPORTED, "no TDVF metadata" },
    { FW_OTHER_LENGTH, 0, 2, CVM_ERR_MALFORMED, "GUIDed table: entry of 0 bytes" },
    { FW_OTHER_LENGTH, 17, 2, CVM_ERR_MALFORMED, "GUIDed table: entry of 17 bytes" },
    { FW_OTHER_LENGTH, 45, 2, CVM_ERR_MALFORMED, "GUIDed table: entry of 45 bytes" },
    { FW_OFFSET_LENGTH, 0, 2, CVM_ERR_MALFORMED,
      "GUIDed table: entry of 0 bytes ends at offset 0x3fb8" },
    { FW_OFFSET_LENGTH, 18, 2, CVM_ERR_MALFORMED, "TDVF offset entry" },
    { FW_OFFSET_LENGTH, 23, 2, CVM_ERR_MALFORMED, "GUIDed table: entry of 23 bytes" },
    /* the offset of the descriptor */
    { FW_OFFSET, 0xffffffff, 4, CVM_ERR_MALFORMED,
      "TDVF offset entry: descriptor 4294967295 bytes before the end of 16384" },
    { FW_OFFSET, SIZE + 1, 4, CVM_ERR_MALFORMED, "descriptor 16385 bytes before the end" },
    { FW_OFFSET, 0, 4, CVM_ERR_MALFORMED, "TDVF descriptor: needs 4 bytes at offset 0x4000" },
    { FW_OFFSET, 15, 4, CVM_ERR_MALFORMED, "TDVF descriptor: needs 4 bytes at offset 0x3ffd" },
    { FW_OFFSET, FW_DESCRIPTOR + 4, 4, CVM_ERR_MALFORMED,
      "TDVF descriptor: no signature at offset 0x36fc" },
    /* the descriptor */
    { FW_DESCRIPTOR, 'X', 1, CVM_ERR_MALFORMED, "no signature at offset 0x3700" },
    { FW_VERSION, 0, 4, CVM_ERR_UNSUPPORTED, "TDVF descriptor: version 0" },
    { FW_VERSION, 2, 4, CVM_ERR_UNSUPPORTED, "TDVF descriptor: version 2" },
    { FW_COUNT, 0xffffffff, 4, CVM_ERR_MALFORMED, "4294967295 sections (at most 64)" },
    { FW_COUNT, 65, 4, CVM_ERR_MALFORMED, "65 sections (at most 64)" },
    { FW_COUNT, 5, 4, CVM_ERR_MALFORMED, "5 sections (at most 64) in 208 bytes" },
    { FW_LENGTH, 0, 4, CVM_ERR_MALFORMED, "6 sections (at most 64) in 0 bytes" },
    { FW_LENGTH, 16 + 32 * 6 + 1, 4, CVM_ERR_MALFORMED, "6 sections (at most 64) in 209 bytes" },
    /* sections: what they are */
    { FW_SECTION(3, FW_TYPE), 4, 4, CVM_ERR_UNSUPPORTED, "TDVF section 3: section type 4" },
    { FW_SECTION(3, FW_TYPE), 0xffffffff, 4, CVM_ERR_UNSUPPORTED, "section type 4294967295" },
    { FW_SECTION(1, FW_ATTRIBUTES), 4, 4, CVM_ERR_UNSUPPORTED, "TDVF section 1: attributes 0x4" },
    { FW_SECTION(0, FW_ATTRIBUTES), 3, 4, CVM_ERR_MALFORMED,
      "TDVF section 0: pages that are extended but never added" },
    /* sections: their memory */
    { FW_SECTION(2, FW_MEM_ADDR), 0x810001, 8, CVM_ERR_MALFORMED,
      "TDVF section 2: memory 0x810001 + 0x10000 is not in whole pages" },
    { FW_SECTION(2, FW_MEM_SIZE), 0x10800, 8, CVM_ERR_MALFORMED,
      "memory 0x810000 + 0x10800 is not in whole pages" },
    { FW_SECTION(2, FW_MEM_ADDR), 0xffffffffffff1000, 8, CVM_ERR_MALFORMED,
      "memory 0xffffffffffff1000 + 0x10000 wraps around" },
    { FW_SECTION(2, FW_MEM_SIZE), 0xfffffffffffff000, 8, CVM_ERR_MALFORMED,
      "memory 0x810000 + 0xfffffffffffff000 wraps around" },
    { FW_SECTION(2, FW_MEM_SIZE), 0x4001000, 8, CVM_ERR_MALFORMED,
      "memory of 0x4001000 bytes, at most 0x4000000" },
    { FW_SECTION(0, FW_MEM_SIZE), 0x2000, 8, CVM_ERR_MALFORMED,
      "0x3000 bytes of data for 0x2000 bytes of memory" },
    /* sections: their data */
    { FW_SECTION(1, FW_RAW_SIZE), 0, 4, CVM_ERR_MALFORMED,
      "TDVF section 1: a firmware volume without data" },
    { FW_SECTION(4, FW_RAW_SIZE), 0x1000, 4, CVM_ERR_MALFORMED,
      "TDVF section 4: 0x1000 bytes of data in a section without contents" },
    { FW_SECTION(0, FW_DATA_OFFSET), 0x1001, 4, CVM_ERR_MALFORMED,
      "TDVF section 0: data at offset 0x1001 of 0x3000 bytes lies past the end of the file, which "
      "has 0x4000" },
    { FW_SECTION(0, FW_DATA_OFFSET), 0x4001, 4, CVM_ERR_MALFORMED, "data at offset 0x4001" },
    { FW_SECTION(0, FW_DATA_OFFSET), 0xffffe000, 4, CVM_ERR_MALFORMED, /* wraps in 32 bits */
      "data at offset 0xffffe000 of 0x3000 bytes lies past the end" },
    { FW_SECTION(3, FW_DATA_OFFSET), 0x4001, 4, CVM_ERR_MALFORMED,
      "data at offset 0x4001 of 0x0 bytes" },
};
/* clang-format on */

enum { NUM_BAD_FIELDS = sizeof bad_fields / sizeof bad_fields[0] };

static void each_bad_field_has_its_message(void **state)
{
    (void)state;
    static char messages[NUM_BAD_FIELDS][CVM_ERROR_MSG_SIZE];
    for (size_t i = 0; i < NUM_BAD_FIELDS; i++) {
        const struct bad_field *bad = &bad_fields[i];
        struct cvm_error err = { 0 };
        struct cvm_tdvf tdvf;
        struct cvm_buf firmware = firmware_build(&firmware_plain);
        firmware_patch(&firmware, bad->from_end, bad->value, bad->width);
        assert_false(parse_exact(firmware.data, firmware.len, &tdvf, &err));
        memcpy(messages[i], err.msg, sizeof messages[i]);
        assert_error(&err, bad->code, bad->message);
        for (size_t earlier = 0; earlier < i; earlier++) {
            assert_string_not_equal(messages[earlier], messages[i]);
        }
        cvm_buf_free(&firmware);
    }
}

static void no_entry_for_tdvf(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    firmware_patch(&firmware, FW_OFFSET_GUID, 0, 1);
    assert_false(cvm_tdvf_parse(bytes_of(&firmware), &tdvf, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "no TDVF metadata: not a firmware for TDX");
    cvm_buf_free(&firmware);
}

static void assert_count_refused(uint32_t count, uint32_t length, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    firmware_patch(&firmware, FW_COUNT, count, 4);
    firmware_patch(&firmware, FW_LENGTH, length, 4);
    assert_false(cvm_tdvf_parse(bytes_of(&firmware), &tdvf, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
    cvm_buf_free(&firmware);
}

/* Their lengths agree, the second because 16 + 32 * 0x08000000 is 16 in 32 bits. */
static void too_many_sections(void **state)
{
    (void)state;
    assert_count_refused(65, 16 + 32 * 65, "65 sections (at most 64) in 2096 bytes");
    assert_count_refused(0x08000000, 16, "134217728 sections (at most 64) in 16 bytes");
}

/* A good descriptor at the very end of the file, whose table then has no room. */
static void section_table_past_the_end(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    for (size_t left = 16; left < 32; left++) {
        firmware_patch(&firmware, FW_OFFSET, left, 4);
        firmware_patch(&firmware, left, 0x46564454, 4); /* TDVF */
        firmware_patch(&firmware, left - 4, 16 + 32 * 6, 4);
        firmware_patch(&firmware, left - 8, 1, 4);
        firmware_patch(&firmware, left - 12, 6, 4);
        assert_false(parse_exact(firmware.data, firmware.len, &tdvf, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "TDVF section table: needs 192 bytes at offset");
    }
    cvm_buf_free(&firmware);
}

static void as_many_sections_as_fit(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct firmware_sample sample = { .size = SIZE, .num_sections = CVM_TDVF_MAX_SECTIONS };
    for (uint32_t i = 0; i < CVM_TDVF_MAX_SECTIONS; i++) {
        sample.sections[i] =
            (struct cvm_tdvf_section){ 0, 0, UINT64_C(0x1000) * i, 0x1000, CVM_TDVF_TEMP_MEM, 0 };
    }
    struct cvm_buf firmware = firmware_build(&sample);
    must(cvm_tdvf_parse(bytes_of(&firmware), &tdvf, &err), &err);
    assert_int_equal(tdvf.num_sections, CVM_TDVF_MAX_SECTIONS);
    assert_int_equal(tdvf.sections[63].mem_addr, 0x3f000);
    cvm_buf_free(&firmware);
}

static void split_code_file_is_explained(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_buf firmware = firmware_build(&firmware_plain);
    assert_false(parse_exact(firmware.data + 0x1000, firmware.len - 0x1000, &tdvf, &err));
    assert_non_null(strstr(err.msg, "past the end of the file, which has 0x3000"));
    assert_error(&err, CVM_ERR_MALFORMED,
                 "the metadata describes 16384 bytes of firmware, the file has 12288: a split CODE "
                 "file cannot be measured, use the whole image");
    cvm_buf_free(&firmware);
}

static void assert_no_ranges(const struct cvm_tdvf_section *sections, uint32_t count,
                             const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_td_ranges ranges;
    struct cvm_tdvf tdvf = { .num_sections = count };
    for (uint32_t i = 0; i < count; i++) {
        tdvf.sections[i] = sections[i];
    }
    assert_false(cvm_tdvf_ranges(&tdvf, &ranges, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

static void bad_ranges(void **state)
{
    (void)state;
    const struct cvm_tdvf_section hob = { 0, 0, 0x809000, 0x2000, CVM_TDVF_TD_HOB, 0 };
    const struct cvm_tdvf_section second = { 0, 0, 0x900000, 0x1000, CVM_TDVF_TD_HOB, 0 };
    const struct cvm_tdvf_section overlap = { 0, 0, 0x80a000, 0x1000, CVM_TDVF_TEMP_MEM, 0 };
    const struct cvm_tdvf_section around = { 0, 0, 0x800000, 0x9001000, CVM_TDVF_TEMP_MEM, 0 };
    const struct cvm_tdvf_section empty = { 0, 0, 0x900000, 0, CVM_TDVF_TEMP_MEM, 0 };
    assert_no_ranges(NULL, 0, "0 TD_HOB sections instead of one");
    assert_no_ranges(&overlap, 1, "0 TD_HOB sections instead of one");
    assert_no_ranges((const struct cvm_tdvf_section[]){ hob, second }, 2,
                     "2 TD_HOB sections instead of one");
    assert_no_ranges((const struct cvm_tdvf_section[]){ hob, overlap }, 2,
                     "0x80a000 + 0x1000 overlaps the one before, which ends at 0x80b000");
    assert_no_ranges((const struct cvm_tdvf_section[]){ hob, around }, 2,
                     "0x809000 + 0x2000 overlaps the one before");
    assert_no_ranges((const struct cvm_tdvf_section[]){ hob, hob }, 2, "2 TD_HOB sections");
    assert_no_ranges((const struct cvm_tdvf_section[]){ hob, empty }, 2, "0x900000 + 0x0 is empty");
}

static void too_many_ranges(void **state)
{
    (void)state;
    struct cvm_tdvf_section sections[CVM_TD_MAX_RANGES + 1];
    for (uint32_t i = 0; i <= CVM_TD_MAX_RANGES; i++) {
        sections[i] = (struct cvm_tdvf_section){
            0, 0, UINT64_C(0x1000) * i, 0x1000, i == 0 ? CVM_TDVF_TD_HOB : CVM_TDVF_TEMP_MEM, 0
        };
    }
    assert_no_ranges(sections, CVM_TD_MAX_RANGES + 1, "more than 32 TD_HOB and TempMem sections");
}

/* At the ends every length, in between a prime apart. */
static size_t next_length(size_t n, size_t size)
{
    return n < 512 || size - n <= 4096 ? n + 1 : n + 65521 < size - 4096 ? n + 65521 : size - 4096;
}

static void debian_firmware(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_td_ranges ranges;
    struct cvm_buf file = { 0 };
    if (!cvm_file_load("/usr/share/ovmf/OVMF.fd", MAX_FIRMWARE, &file, &err)) {
        print_message("not checked: %s\n", err.msg);
        skip();
    }
    must(cvm_tdvf_parse(bytes_of(&file), &tdvf, &err), &err);
    must(cvm_tdvf_ranges(&tdvf, &ranges, &err), &err);
    assert_int_equal(ranges.num_ranges, 4);
    assert_int_equal(ranges.td_hob, 0x809000);
    for (size_t n = 0; n < file.len; n = next_length(n, file.len)) {
        assert_refused(cvm_tdvf_parse((struct cvm_bytes){ file.data, n }, &tdvf, &err), &err);
    }
    for (size_t n = 1; n <= file.len; n = next_length(n, file.len)) {
        const struct cvm_bytes rest = { file.data + n, file.len - n };
        assert_refused(cvm_tdvf_parse(rest, &tdvf, &err), &err);
    }
    cvm_buf_free(&file);
}

/* Code without its variable store; some builds leave the metadata out of it. */
static void debian_split_firmware(void **state)
{
    (void)state;
    static const char *const paths[] = { "/usr/share/OVMF/OVMF_CODE.fd",
                                         "/usr/share/OVMF/OVMF_CODE_4M.fd" };
    for (size_t i = 0; i < 2; i++) {
        struct cvm_error err = { 0 };
        struct cvm_tdvf tdvf;
        struct cvm_buf file = { 0 };
        if (!cvm_file_load(paths[i], MAX_FIRMWARE, &file, &err)) {
            print_message("not checked: %s\n", err.msg);
            continue;
        }
        assert_false(cvm_tdvf_parse(bytes_of(&file), &tdvf, &err));
        if (err.code == CVM_ERR_UNSUPPORTED) {
            assert_error(&err, CVM_ERR_UNSUPPORTED, "no TDVF metadata");
        } else {
            assert_error(&err, CVM_ERR_MALFORMED, "a split CODE file cannot be measured");
        }
        for (size_t n = 0; n < file.len; n = next_length(n, file.len)) {
            const struct cvm_bytes start = { file.data, n };
            assert_refused(cvm_tdvf_parse(start, &tdvf, &err), &err);
        }
        cvm_buf_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_all_sections),
        cmocka_unit_test(ranges_ascend_and_know_the_hob),
        cmocka_unit_test(truncated_at_every_length),
        cmocka_unit_test(start_missing_at_every_length),
        cmocka_unit_test(each_bad_field_has_its_message),
        cmocka_unit_test(no_entry_for_tdvf),
        cmocka_unit_test(too_many_sections),
        cmocka_unit_test(section_table_past_the_end),
        cmocka_unit_test(as_many_sections_as_fit),
        cmocka_unit_test(split_code_file_is_explained),
        cmocka_unit_test(bad_ranges),
        cmocka_unit_test(too_many_ranges),
        cmocka_unit_test(debian_firmware),
        cmocka_unit_test(debian_split_firmware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
