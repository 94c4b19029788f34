#include "measure/td_hob.h"

enum {
    HOB_HANDOFF = 1, /* EFI_HOB_TYPE_HANDOFF */
    HOB_RESOURCE = 3,
    HOB_VERSION = 9,
    HANDOFF_SIZE = 56,
    RESOURCE_SIZE = 48,
    END_SIZE = 8,
    RESOURCE_SYSTEM_MEMORY = 0,
    RESOURCE_UNACCEPTED = 7,
    /* present, initialized, tested */
    RESOURCE_ATTRIBUTES = 7,
    PAGE = 4096,
};

#define FOUR_GIB (UINT64_C(1) << 32)

bool cvm_td_ranges_check(const struct cvm_td_ranges *ranges, struct cvm_error *err)
{
    bool has_hob = false;
    uint64_t end = 0;
    if (ranges->num_ranges > CVM_TD_MAX_RANGES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u memory ranges, at most %d", ranges->num_ranges,
                        CVM_TD_MAX_RANGES);
    }
    for (uint32_t i = 0; i < ranges->num_ranges; i++) {
        const struct cvm_td_range *r = &ranges->ranges[i];
        unsigned long long start = r->start;
        unsigned long long size = r->size;
        if (start % PAGE != 0 || size % PAGE != 0 || size == 0 || size > UINT64_MAX - start) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "memory range 0x%llx + 0x%llx is empty, wraps or is not in whole pages",
                            start, size);
        }
        if (start < end) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "memory range 0x%llx + 0x%llx overlaps the one before, which ends at "
                            "0x%llx",
                            start, size, (unsigned long long)end);
        }
        end = start + size;
        has_hob |= r->start == ranges->td_hob;
    }
    return has_hob ? true : cvm_fail(err, CVM_ERR_MALFORMED, "no memory range is the TD_HOB");
}

static void put_resource(struct cvm_buf *out, uint32_t type, uint64_t start, uint64_t end)
{
    if (start == end) {
        return;
    }
    cvm_put_le(out, HOB_RESOURCE, 2);
    cvm_put_le(out, RESOURCE_SIZE, 2);
    cvm_put_zeros(out, 4);  /* reserved */
    cvm_put_zeros(out, 16); /* owner */
    cvm_put_le(out, type, 4);
    cvm_put_le(out, RESOURCE_ATTRIBUTES, 4);
    cvm_put_le(out, start, 8);
    cvm_put_le(out, end - start, 8);
}

/* The end-of-list address is the last field; it is known when everything else is written. */
static void put_handoff(struct cvm_buf *out)
{
    cvm_put_le(out, HOB_HANDOFF, 2);
    cvm_put_le(out, HANDOFF_SIZE, 2);
    cvm_put_zeros(out, 4); /* reserved */
    cvm_put_le(out, HOB_VERSION, 4);
    cvm_put_zeros(out, 4);  /* boot mode: full configuration */
    cvm_put_zeros(out, 32); /* memory and free memory, top and bottom */
    cvm_put_zeros(out, 8);  /* end of list */
}

bool td_hob_build(const struct cvm_machine *machine, const struct cvm_td_ranges *ranges,
                  struct cvm_buf *out, struct cvm_error *err)
{
    if (!cvm_td_ranges_check(ranges, err)) {
        return cvm_context(err, "TD HOB"); /* they may come from a caller's own struct */
    }
    uint64_t low_end = cvm_machine_ram_below_4g(machine);
    uint64_t high_end = FOUR_GIB + (machine->memory_size - low_end);
    const struct cvm_td_range *last = &ranges->ranges[ranges->num_ranges - 1];
    if (last->start + last->size > low_end) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "firmware memory 0x%llx + 0x%llx lies past the end of low memory, 0x%llx",
                        (unsigned long long)last->start, (unsigned long long)last->size,
                        (unsigned long long)low_end);
    }
    size_t start = out->len;
    put_handoff(out);
    uint64_t at = 0;
    for (uint32_t i = 0; i < ranges->num_ranges; i++) {
        const struct cvm_td_range *r = &ranges->ranges[i];
        put_resource(out, RESOURCE_UNACCEPTED, at, r->start);
        put_resource(out, RESOURCE_SYSTEM_MEMORY, r->start, r->start + r->size);
        at = r->start + r->size;
    }
    put_resource(out, RESOURCE_UNACCEPTED, at, low_end);
    put_resource(out, RESOURCE_UNACCEPTED, FOUR_GIB, high_end);
    cvm_buf_patch_le(out, start + HANDOFF_SIZE - 8, ranges->td_hob + (out->len - start) + END_SIZE,
                     8);
    return cvm_buf_finish(out, "TD HOB", err);
}
