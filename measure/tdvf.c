#include "measure/include/cvm/tdvf.h"

#include "measure/base/guid.h"
#include "measure/base/reader.h"
#include "measure/td_hob.h"

#define TABLE_FOOTER_GUID "96b582de-1fb2-45f7-baea-a366c55a082d"
#define TDVF_OFFSET_GUID "e47a6535-984a-4798-865e-4685a7bf8ec2"

enum {
    TABLE_END_FROM_EOF = 32, /* the reset vector lies behind the GUIDed table */
    ENTRY_TRAILER = 18,      /* u16 length, GUID: at the end of each entry */
    DESCRIPTOR_SIZE = 16,
    SECTION_SIZE = 32,
    PAGE = 4096,
    MAX_SECTION_MEMORY = 64 << 20,
    MAX_MEMORY = 128 << 20, /* of all sections: a hash has to end some day */
};

/* Reads the trailer that ends at offset `end` of the file. */
static bool read_trailer(struct cvm_reader *file, uint64_t end, uint16_t *length,
                         const uint8_t **guid, struct cvm_error *err)
{
    if (end < ENTRY_TRAILER) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "GUIDed table: entry that ends at offset 0x%llx starts before the file",
                        (unsigned long long)end);
    }
    cvm_read_seek(file, end - ENTRY_TRAILER);
    *length = cvm_read_u16le(file);
    *guid = cvm_read_bytes(file, sizeof(struct cvm_guid));
    return cvm_reader_ok(file, "GUIDed table entry", err);
}

/* Walks the table backwards to the entry that says where the TDVF descriptor is. */
static bool find_descriptor(struct cvm_reader *file, uint64_t *offset, struct cvm_error *err)
{
    uint16_t length;
    const uint8_t *guid;
    if (file->size < TABLE_END_FROM_EOF + ENTRY_TRAILER) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%zu bytes are too few for firmware", file->size);
    }
    uint64_t end = file->size - TABLE_END_FROM_EOF;
    if (!read_trailer(file, end, &length, &guid, err)) {
        return false;
    }
    if (!cvm_guid_is(guid, TABLE_FOOTER_GUID)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "no GUIDed table at the end, at offset 0x%llx",
                        (unsigned long long)(end - sizeof(struct cvm_guid)));
    }
    if (length < ENTRY_TRAILER || length > end) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "GUIDed table: %u bytes long, %llu before its end",
                        length, (unsigned long long)end);
    }
    uint64_t start = end - length;
    end -= ENTRY_TRAILER;
    while (end - start >= ENTRY_TRAILER) {
        if (!read_trailer(file, end, &length, &guid, err)) {
            return false;
        }
        if (length < ENTRY_TRAILER || length > end - start) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "GUIDed table: entry of %u bytes ends at offset 0x%llx, %llu into it",
                            length, (unsigned long long)end, (unsigned long long)(end - start));
        }
        if (cvm_guid_is(guid, TDVF_OFFSET_GUID)) {
            cvm_read_seek(file, end - length);
            uint32_t from_end = cvm_read_u32le(file);
            if (length != ENTRY_TRAILER + 4 || from_end > file->size) {
                return cvm_fail(err, CVM_ERR_MALFORMED,
                                "TDVF offset entry: descriptor %u bytes before the end of %zu",
                                from_end, file->size);
            }
            *offset = file->size - from_end;
            return true;
        }
        end -= length;
    }
    return cvm_fail(err, CVM_ERR_UNSUPPORTED, "no TDVF metadata: not a firmware for TDX");
}

static void read_section(struct cvm_reader *r, struct cvm_tdvf_section *s)
{
    s->data_offset = cvm_read_u32le(r);
    s->raw_size = cvm_read_u32le(r);
    s->mem_addr = cvm_read_u64le(r);
    s->mem_size = cvm_read_u64le(r);
    s->type = cvm_read_u32le(r);
    s->attributes = cvm_read_u32le(r);
}

static bool check_memory(const struct cvm_tdvf_section *s, struct cvm_error *err)
{
    unsigned long long addr = s->mem_addr;
    unsigned long long size = s->mem_size;
    if (addr % PAGE != 0 || size % PAGE != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "memory 0x%llx + 0x%llx is not in whole pages",
                        addr, size);
    }
    if (size > UINT64_MAX - addr) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "memory 0x%llx + 0x%llx wraps around", addr, size);
    }
    if (size > MAX_SECTION_MEMORY) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "memory of 0x%llx bytes, at most 0x%x", size,
                        MAX_SECTION_MEMORY);
    }
    if (size < s->raw_size) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "0x%x bytes of data for 0x%llx bytes of memory",
                        s->raw_size, size);
    }
    return true;
}

static bool check_data(const struct cvm_tdvf_section *s, size_t file_size, struct cvm_error *err)
{
    bool has_data = s->type == CVM_TDVF_BFV || s->type == CVM_TDVF_CFV;
    if (has_data && s->raw_size == 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a firmware volume without data");
    }
    if (has_data && s->raw_size != s->mem_size) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a firmware volume of 0x%x bytes in 0x%llx bytes of memory: what fills the "
                        "rest depends on the VMM",
                        s->raw_size, (unsigned long long)s->mem_size);
    }
    if (!has_data && s->raw_size != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "0x%x bytes of data in a section without contents",
                        s->raw_size);
    }
    if (s->data_offset > file_size || s->raw_size > file_size - s->data_offset) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "data at offset 0x%x of 0x%x bytes lies past the end of the file, which "
                        "has 0x%zx",
                        s->data_offset, s->raw_size, file_size);
    }
    return true;
}

static bool check_section(const struct cvm_tdvf_section *s, size_t file_size, struct cvm_error *err)
{
    if (s->type > CVM_TDVF_TEMP_MEM) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "section type %u", s->type);
    }
    if ((s->attributes & ~(uint32_t)(CVM_TDVF_MR_EXTEND | CVM_TDVF_PAGE_AUG)) != 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "attributes 0x%x", s->attributes);
    }
    if (s->attributes == (CVM_TDVF_MR_EXTEND | CVM_TDVF_PAGE_AUG)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "pages that are extended but never added");
    }
    return check_memory(s, err) && check_data(s, file_size, err);
}

/*
 * A split CODE file carries the metadata of the whole image, whose variable store it lacks:
 * offsets then count from a start that lies before this file's.
 */
static bool explain_split_file(const struct cvm_tdvf *tdvf, size_t file_size, struct cvm_error *err)
{
    uint64_t described = 0;
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        described += tdvf->sections[i].raw_size;
    }
    if (described <= file_size) {
        return false;
    }
    return cvm_context(err,
                       "the metadata describes %llu bytes of firmware, the file has %zu: a split "
                       "CODE file cannot be measured, use the whole image",
                       (unsigned long long)described, file_size);
}

/* The descriptor, up to its section table, which *table then is. */
static bool open_descriptor(struct cvm_bytes firmware, struct cvm_reader *table, uint32_t *count,
                            struct cvm_error *err)
{
    struct cvm_reader file = cvm_reader_of(firmware.data, firmware.size);
    uint64_t offset = 0;
    if (!find_descriptor(&file, &offset, err)) {
        return false;
    }
    cvm_read_seek(&file, offset);
    const uint8_t *signature = cvm_read_bytes(&file, 4);
    uint32_t length = cvm_read_u32le(&file);
    uint32_t version = cvm_read_u32le(&file);
    *count = cvm_read_u32le(&file);
    if (!cvm_reader_ok(&file, "TDVF descriptor", err)) {
        return false;
    }
    if (memcmp(signature, "TDVF", 4) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "TDVF descriptor: no signature at offset 0x%llx",
                        (unsigned long long)offset);
    }
    if (version != 1) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "TDVF descriptor: version %u", version);
    }
    if (*count > CVM_TDVF_MAX_SECTIONS || length != DESCRIPTOR_SIZE + SECTION_SIZE * *count) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "TDVF descriptor: %u sections (at most %d) in %u bytes", *count,
                        CVM_TDVF_MAX_SECTIONS, length);
    }
    *table = cvm_read_sub(&file, (size_t)SECTION_SIZE * *count);
    return cvm_reader_ok(table, "TDVF section table", err);
}

static bool check_sections(const struct cvm_tdvf *tdvf, size_t file_size, struct cvm_error *err)
{
    uint64_t memory = 0;
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        if (!check_section(&tdvf->sections[i], file_size, err)) {
            cvm_context(err, "TDVF section %u", i);
            return explain_split_file(tdvf, file_size, err);
        }
        memory += tdvf->sections[i].mem_size; /* at most 2^6 times 2^26 */
    }
    return memory <= MAX_MEMORY ? true
                                : cvm_fail(err, CVM_ERR_MALFORMED,
                                           "TDVF sections: 0x%llx bytes of memory, at most 0x%x",
                                           (unsigned long long)memory, MAX_MEMORY);
}

bool cvm_tdvf_parse(struct cvm_bytes firmware, struct cvm_tdvf *out, struct cvm_error *err)
{
    struct cvm_tdvf tdvf = { 0 };
    struct cvm_reader table;
    uint32_t count = 0;
    if (!open_descriptor(firmware, &table, &count, err)) {
        return false;
    }
    for (; tdvf.num_sections < count; tdvf.num_sections++) {
        read_section(&table, &tdvf.sections[tdvf.num_sections]);
    }
    if (!cvm_reader_end(&table, "TDVF section table", err) ||
        !check_sections(&tdvf, firmware.size, err)) {
        return false;
    }
    *out = tdvf;
    return true;
}

/* Inserts a range in address order. */
static bool add_range(struct cvm_td_ranges *out, const struct cvm_tdvf_section *s,
                      struct cvm_error *err)
{
    if (out->num_ranges == CVM_TD_MAX_RANGES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d TD_HOB and TempMem sections",
                        CVM_TD_MAX_RANGES);
    }
    uint32_t at = out->num_ranges;
    for (; at > 0 && out->ranges[at - 1].start > s->mem_addr; at--) {
        out->ranges[at] = out->ranges[at - 1];
    }
    out->ranges[at] = (struct cvm_td_range){ s->mem_addr, s->mem_size };
    out->num_ranges++;
    return true;
}

bool cvm_tdvf_ranges(const struct cvm_tdvf *tdvf, struct cvm_td_ranges *out, struct cvm_error *err)
{
    struct cvm_td_ranges ranges = { 0 };
    unsigned hobs = 0;
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *s = &tdvf->sections[i];
        if (s->type != CVM_TDVF_TD_HOB && s->type != CVM_TDVF_TEMP_MEM) {
            continue;
        }
        if (s->type == CVM_TDVF_TD_HOB) {
            ranges.td_hob = s->mem_addr;
            hobs++;
        }
        if (!add_range(&ranges, s, err)) {
            return false;
        }
    }
    if (hobs != 1) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u TD_HOB sections instead of one", hobs);
    }
    if (!cvm_td_ranges_check(&ranges, err)) {
        return false;
    }
    *out = ranges;
    return true;
}
