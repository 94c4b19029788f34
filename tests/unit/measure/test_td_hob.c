#include "measure/td_hob.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

#define GIB (UINT64_C(1) << 30)

/* The example of docs/measurement.md. */
static const struct cvm_td_ranges example = {
    .ranges = { { 0x800000, 0x6000 },
                { 0x809000, 0x2000 },
                { 0x80b000, 0x2000 },
                { 0x810000, 0x10000 } },
    .num_ranges = 4,
    .td_hob = 0x809000,
};

static const struct cvm_td_ranges one_range = {
    .ranges = { { 0x809000, 0x2000 } },
    .num_ranges = 1,
    .td_hob = 0x809000,
};

static struct cvm_buf build(uint64_t memory_size, const struct cvm_td_ranges *ranges)
{
    struct cvm_error err = { 0 };
    struct cvm_buf hob = { 0 };
    const struct cvm_machine machine = { .memory_size = memory_size };
    must(td_hob_build(&machine, ranges, &hob, &err), &err);
    return hob;
}

static void known_digests(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    struct cvm_buf hob = build(2 * GIB, &example);
    must(cvm_sha384(hob.data, hob.len, &digest, &err), &err);
    assert_hex(digest.bytes, 48,
               "0b8772e5b0b41b83e6044a68397e02f49fb47066b4fbe4917ea2c45c64f323fd"
               "acbb37948f821ebaf8bc9c938ba8a749");
    cvm_buf_free(&hob);
    hob = build(64 * GIB, &example);
    must(cvm_sha384(hob.data, hob.len, &digest, &err), &err);
    assert_hex(digest.bytes, 16, "8ae1e425351df7992c444586eff99d35");
    cvm_buf_free(&hob);
}

/* Every byte, written down by hand: 16 MiB with one range. */
static void every_byte(void **state)
{
    (void)state;
    struct cvm_buf hob = build(16 << 20, &one_range);
    assert_hex(hob.data, hob.len,
               "01003800"         /* type 1, 56 bytes */
               "00000000"         /* reserved */
               "09000000"         /* version */
               "00000000"         /* boot mode */
               "0000000000000000" /* memory top and bottom, free memory top and bottom */
               "0000000000000000"
               "0000000000000000"
               "0000000000000000"
               "d090800000000000" /* end of list: 0x809000 + 56 + 3 * 48 + 8 */
               "0300300000000000"
               "00000000000000000000000000000000"
               "0700000007000000" /* unaccepted, attributes 7 */
               "0000000000000000"
               "0090800000000000"
               "0300300000000000"
               "00000000000000000000000000000000"
               "0000000007000000" /* system memory */
               "0090800000000000"
               "0020000000000000"
               "0300300000000000"
               "00000000000000000000000000000000"
               "0700000007000000"
               "00b0800000000000"
               "00507f0000000000");
    cvm_buf_free(&hob);
}

static uint64_t le(const uint8_t *p, size_t width)
{
    uint64_t value = 0;
    for (size_t i = width; i > 0; i--) {
        value = value << 8 | p[i - 1];
    }
    return value;
}

enum { MAX_RESOURCES = 9, SYSTEM = 0, UNACCEPTED = 7 };

struct resources {
    uint64_t memory_size;
    const struct cvm_td_ranges *ranges;
    uint32_t count;
    struct {
        uint32_t type;
        uint64_t start, size;
    } resources[MAX_RESOURCES];
};

static void check(const struct resources *want)
{
    struct cvm_buf hob = build(want->memory_size, want->ranges);
    assert_int_equal(hob.len, 56 + 48 * want->count);
    assert_int_equal(le(hob.data + 48, 8), want->ranges->td_hob + hob.len + 8);
    for (uint32_t i = 0; i < want->count; i++) {
        const uint8_t *p = hob.data + 56 + 48 * (size_t)i;
        assert_hex(p, 24, "030030000000000000000000000000000000000000000000");
        assert_int_equal(le(p + 24, 4), want->resources[i].type);
        assert_int_equal(le(p + 28, 4), 7);
        assert_int_equal(le(p + 32, 8), want->resources[i].start);
        assert_int_equal(le(p + 40, 8), want->resources[i].size);
    }
    cvm_buf_free(&hob);
}

/* clang-format off */
static const struct resources sizes[] = {
    /* below the split: one piece of RAM */
    { 512 << 20, &one_range, 3,
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0x20000000 - 0x80b000 } } },
    { 2 * GIB, &one_range, 3,
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0x80000000 - 0x80b000 } } },
    { 0xaff00000, &one_range, 3, /* the last MiB below it */
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0xaff00000 - 0x80b000 } } },
    /* at and above it */
    { 0xb0000000, &one_range, 4,
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0x80000000 - 0x80b000 },
        { UNACCEPTED, 0x100000000, 0x30000000 } } },
    { 0xb0100000, &one_range, 4,
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0x80000000 - 0x80b000 },
        { UNACCEPTED, 0x100000000, 0x30100000 } } },
    { 2048 * GIB, &one_range, 4,
      { { UNACCEPTED, 0, 0x809000 }, { SYSTEM, 0x809000, 0x2000 },
        { UNACCEPTED, 0x80b000, 0x80000000 - 0x80b000 },
        { UNACCEPTED, 0x100000000, 2046 * GIB } } },
    /* neighbours stay apart */
    { 64 * GIB, &example, 9,
      { { UNACCEPTED, 0, 0x800000 }, { SYSTEM, 0x800000, 0x6000 },
        { UNACCEPTED, 0x806000, 0x3000 }, { SYSTEM, 0x809000, 0x2000 },
        { SYSTEM, 0x80b000, 0x2000 }, { UNACCEPTED, 0x80d000, 0x3000 },
        { SYSTEM, 0x810000, 0x10000 }, { UNACCEPTED, 0x820000, 0x80000000 - 0x820000 },
        { UNACCEPTED, 0x100000000, 62 * GIB } } },
};
/* clang-format on */

static void sizes_around_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check(&sizes[i]);
    }
}

static void ranges_at_both_ends_of_memory(void **state)
{
    (void)state;
    static const struct cvm_td_ranges ends = {
        .ranges = { { 0, 0x1000 }, { 0xfff000, 0x1000 } },
        .num_ranges = 2,
        .td_hob = 0xfff000,
    };
    static const struct resources want = {
        16 << 20,
        &ends,
        3,
        { { SYSTEM, 0, 0x1000 }, { UNACCEPTED, 0x1000, 0xffe000 }, { SYSTEM, 0xfff000, 0x1000 } },
    };
    check(&want);
}

static void appends_to_what_is_there(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf alone = build(2 * GIB, &example);
    struct cvm_buf behind = { 0 };
    const struct cvm_machine machine = { .memory_size = 2 * GIB };
    cvm_put_text(&behind, "0123456789abcde");
    must(td_hob_build(&machine, &example, &behind, &err), &err);
    assert_bytes(behind.data + 15, behind.len - 15, alone.data, alone.len);
    cvm_buf_free(&alone);
    cvm_buf_free(&behind);
}

static void assert_outside(uint64_t memory_size, uint64_t start, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_buf hob = { 0 };
    const struct cvm_machine machine = { .memory_size = memory_size };
    const struct cvm_td_ranges ranges = { { { start, 0x2000 } }, 1, start };
    assert_false(td_hob_build(&machine, &ranges, &hob, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
    cvm_buf_free(&hob);
}

static void range_outside_memory(void **state)
{
    (void)state;
    assert_outside(8 << 20, 0x7ff000,
                   "0x7ff000 + 0x2000 lies past the end of low memory, 0x800000");
    assert_outside(8 << 20, 0x809000, "past the end of low memory");
    assert_outside(0xb0000000, 0x7ffff000, "past the end of low memory, 0x80000000");
    assert_outside(4 * GIB, 0x100000000, "past the end of low memory, 0x80000000");
}

static void assert_bad_ranges(const struct cvm_td_ranges *ranges, const char *message)
{
    struct cvm_error err = { 0 };
    assert_false(cvm_td_ranges_check(ranges, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

static void ranges_that_cannot_be(void **state)
{
    (void)state;
    struct cvm_td_ranges bad = example;
    bad.ranges[1].size = 0x3000;
    assert_bad_ranges(&bad, "0x80b000 + 0x2000 overlaps the one before, which ends at 0x80c000");
    bad = example;
    bad.ranges[2].start = 0x801000;
    assert_bad_ranges(&bad, "0x801000 + 0x2000 overlaps the one before, which ends at 0x80b000");
    bad = example;
    bad.ranges[3].start = 0x810800;
    assert_bad_ranges(&bad, "0x810800 + 0x10000 is empty, wraps or is not in whole pages");
    bad = example;
    bad.ranges[3].size = 0x10001;
    assert_bad_ranges(&bad, "0x810000 + 0x10001 is empty, wraps or is not in whole pages");
    bad = example;
    bad.ranges[0].size = 0;
    assert_bad_ranges(&bad, "0x800000 + 0x0 is empty");
    bad = example;
    bad.ranges[3] = (struct cvm_td_range){ 0xfffffffffffff000, 0x2000 };
    assert_bad_ranges(&bad, "0xfffffffffffff000 + 0x2000 is empty, wraps");
    bad = example;
    bad.td_hob = 0x80a000;
    assert_bad_ranges(&bad, "no memory range is the TD_HOB");
    bad = (struct cvm_td_ranges){ 0 };
    assert_bad_ranges(&bad, "no memory range is the TD_HOB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(sizes_around_the_split),
        cmocka_unit_test(ranges_at_both_ends_of_memory),
        cmocka_unit_test(appends_to_what_is_there),
        cmocka_unit_test(range_outside_memory),
        cmocka_unit_test(ranges_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
