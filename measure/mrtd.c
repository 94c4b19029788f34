#include "measure/mrtd.h"

#include "measure/base/hash.h"

enum {
    PAGE = 4096,
    CHUNK = 256,
    RECORD = 128, /* the name in 16 bytes, u64 address, zeros */
    RECORD_ADDRESS_AT = 16,
};

/* A section on its way into the hash. */
struct section {
    struct cvm_hash *hash;
    const uint8_t *data; /* mem_size bytes where the section has contents, else none */
    const struct cvm_tdvf_section *info;
};

static bool hash_record(struct cvm_hash *hash, const char *name, uint64_t gpa,
                        struct cvm_error *err)
{
    uint8_t record[RECORD] = { 0 };
    memcpy(record, name, strlen(name));
    for (size_t i = 0; i < 8; i++) {
        record[RECORD_ADDRESS_AT + i] = (uint8_t)(gpa >> (8 * i));
    }
    return cvm_hash_update(hash, record, sizeof record, err);
}

static bool add_page(const struct section *s, uint64_t offset, struct cvm_error *err)
{
    return hash_record(s->hash, "MEM.PAGE.ADD", s->info->mem_addr + offset, err);
}

static bool extend_chunk(const struct section *s, uint64_t offset, struct cvm_error *err)
{
    static const uint8_t zeros[CHUNK] = { 0 };
    const uint8_t *chunk = s->info->raw_size == 0 ? zeros : s->data + offset;
    return hash_record(s->hash, "MR.EXTEND", s->info->mem_addr + offset, err) &&
           cvm_hash_update(s->hash, chunk, CHUNK, err);
}

static bool extend_page(const struct section *s, uint64_t offset, struct cvm_error *err)
{
    for (uint64_t at = offset; at < offset + PAGE; at += CHUNK) {
        if (!extend_chunk(s, at, err)) {
            return false;
        }
    }
    return true;
}

/* One pass over the section's pages that adds them, extends them, or does both page by page. */
static bool pass(const struct section *s, bool add, bool extend, struct cvm_error *err)
{
    for (uint64_t offset = 0; offset < s->info->mem_size; offset += PAGE) {
        if ((add && !add_page(s, offset, err)) || (extend && !extend_page(s, offset, err))) {
            return false;
        }
    }
    return true;
}

static bool hash_section(const struct section *s, enum cvm_page_add_order order,
                         struct cvm_error *err)
{
    bool add = (s->info->attributes & CVM_TDVF_PAGE_AUG) == 0;
    bool extend = (s->info->attributes & CVM_TDVF_MR_EXTEND) != 0;
    if (order == CVM_PAGES_SINGLE_PASS) {
        return pass(s, add, extend, err);
    }
    return pass(s, add, false, err) && pass(s, false, extend, err);
}

bool mrtd_compute(struct cvm_bytes firmware, const struct cvm_tdvf *tdvf,
                  enum cvm_page_add_order order, struct cvm_sha384 *out, struct cvm_error *err)
{
    cvm_autohash struct cvm_hash hash = { 0 };
    if (!cvm_hash_init(&hash, CVM_HASH_SHA384, err)) {
        return false;
    }
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *info = &tdvf->sections[i];
        struct section s = { &hash, firmware.data + info->data_offset, info };
        if (!hash_section(&s, order, err)) {
            return false;
        }
    }
    return cvm_hash_final(&hash, out->bytes, err);
}
