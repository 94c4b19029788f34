#include "tests/unit/measure/samples.h"

#include "measure/base/guid.h"
#include "measure/base/hex.h"
#include "tests/support/check.h"

/* clang-format off */
const struct firmware_sample firmware_plain = {
    .size = 0x4000,
    .num_sections = 6,
    .sections = {
        { 0x1000, 0x3000, 0xffffd000, 0x3000, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
        { 0, 0x1000, 0xffffc000, 0x1000, CVM_TDVF_CFV, 0 },
        { 0, 0, 0x810000, 0x10000, CVM_TDVF_TEMP_MEM, 0 },
        { 0, 0, 0x80b000, 0x2000, CVM_TDVF_TEMP_MEM, 0 },
        { 0, 0, 0x809000, 0x2000, CVM_TDVF_TD_HOB, 0 },
        { 0, 0, 0x800000, 0x6000, CVM_TDVF_TEMP_MEM, 0 },
    },
};
/* clang-format on */

uint8_t sample_byte(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13 + 5);
}

struct cvm_buf sample_fill(size_t size)
{
    struct cvm_buf b = { 0 };
    for (size_t i = 0; i < size; i++) {
        cvm_put_u8(&b, sample_byte(i));
    }
    assert_false(b.failed);
    return b;
}

struct cvm_bytes bytes_of(const struct cvm_buf *b)
{
    return (struct cvm_bytes){ b->data, b->len };
}

uint8_t *exact_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    assert_true(copy != NULL || size == 0);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static void put_section(struct cvm_buf *b, const struct cvm_tdvf_section *s)
{
    cvm_put_le(b, s->data_offset, 4);
    cvm_put_le(b, s->raw_size, 4);
    cvm_put_le(b, s->mem_addr, 8);
    cvm_put_le(b, s->mem_size, 8);
    cvm_put_le(b, s->type, 4);
    cvm_put_le(b, s->attributes, 4);
}

/* Overwrites what lies from_end bytes before the end. */
static void overwrite(struct cvm_buf *firmware, size_t from_end, struct cvm_buf *with)
{
    assert_true(!with->failed && with->len <= from_end && from_end <= firmware->len);
    memcpy(firmware->data + (firmware->len - from_end), with->data, with->len);
    cvm_buf_free(with);
}

struct cvm_buf firmware_build(const struct firmware_sample *sample)
{
    struct cvm_buf firmware = sample_fill(sample->size);
    struct cvm_buf descriptor = { 0 };
    cvm_put_text(&descriptor, "TDVF");
    cvm_put_le(&descriptor, 16 + 32 * sample->num_sections, 4);
    cvm_put_le(&descriptor, 1, 4); /* version */
    cvm_put_le(&descriptor, sample->num_sections, 4);
    for (uint32_t i = 0; i < sample->num_sections; i++) {
        put_section(&descriptor, &sample->sections[i]);
    }
    overwrite(&firmware, FW_DESCRIPTOR, &descriptor);

    struct cvm_buf table = { 0 };
    cvm_put_le(&table, FW_DESCRIPTOR, 4);
    cvm_put_le(&table, 22, 2);
    cvm_put_guid(&table, "e47a6535-984a-4798-865e-4685a7bf8ec2"); /* TDVF offset */
    cvm_put_le(&table, 0x12345678, 4);
    cvm_put_le(&table, 22, 2);
    cvm_put_guid(&table, "dc886566-984a-4798-a75e-5585a7bf67cc"); /* SEV metadata offset */
    cvm_put_le(&table, FW_TABLE_LENGTH, 2);
    cvm_put_guid(&table, "96b582de-1fb2-45f7-baea-a366c55a082d"); /* footer */
    overwrite(&firmware, 32 + FW_TABLE_LENGTH, &table);
    return firmware;
}

void firmware_patch(struct cvm_buf *firmware, size_t from_end, uint64_t value, size_t width)
{
    assert_true(from_end <= firmware->len && width <= from_end);
    cvm_buf_patch_le(firmware, firmware->len - from_end, value, width);
}

/*
 * What OvmfPkg/Include/Fdf/VarStore.fdf.inc gives for FD_SIZE_IN_KB=4096: a volume header, a
 * variable store header, 0x40000 bytes further a working block header; all else is erased
 * flash. Debian's OVMF_VARS_4M.fd is the same file.
 */
static void put_empty_store(uint8_t *store)
{
    static const char volume[] = "00000000000000000000000000000000"
                                 "8d2bf1ff96768b4ca9852747075b4f50"
                                 "00400800000000005f465648fffe0400"
                                 "4800afb8000000028400000000100000"
                                 "0000000000000000782cf3aa7b949a43"
                                 "a1802e144ec37792b8ff03005afe0000"
                                 "00000000";
    static const char working_block[] = "2b29589e687c7d49a0ce6500fd9f1b95"
                                        "2caf2c64feffffffe00f000000000000";
    struct cvm_error err = { 0 };
    memset(store, 0xff, 0x84000);
    must(cvm_hex_decode(volume, sizeof volume - 1, store, sizeof volume / 2, &err), &err);
    must(cvm_hex_decode(working_block, sizeof working_block - 1, store + 0x41000,
                        sizeof working_block / 2, &err),
         &err);
}

struct cvm_buf firmware_build_empty_store(void)
{
    /* clang-format off */
    static const struct firmware_sample sample = {
        .size = 0x88000,
        .num_sections = 6,
        .sections = {
            { 0x84000, 0x4000, 0xffffc000, 0x4000, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
            { 0, 0x84000, 0xfff78000, 0x84000, CVM_TDVF_CFV, 0 },
            { 0, 0, 0x810000, 0x10000, CVM_TDVF_TEMP_MEM, 0 },
            { 0, 0, 0x80b000, 0x2000, CVM_TDVF_TEMP_MEM, 0 },
            { 0, 0, 0x809000, 0x2000, CVM_TDVF_TD_HOB, 0 },
            { 0, 0, 0x800000, 0x6000, CVM_TDVF_TEMP_MEM, 0 },
        },
    };
    /* clang-format on */
    struct cvm_buf firmware = firmware_build(&sample);
    put_empty_store(firmware.data);
    return firmware;
}
