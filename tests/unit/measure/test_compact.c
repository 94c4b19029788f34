#include "measure/include/cvm/compact.h"

#include "measure/base/hex.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

/* Where the items of the captured document lie. */
enum {
    DOCUMENT = 0,
    VERSION_KEY = 1,
    VERSION = 9,
    IMAGE = 16,
    CMDLINE = 32, /* head of 2 bytes, 48 bytes */
    KERNEL_KEY = 82,
    KERNEL = 102,
    INITRD_KEY = 152,
    INITRD = 166,
    TDVF = 221,
    OVMF = 227, /* head, 9 characters */
    MRTD = 242,
    SINGLE_PASS_KEY = 243,
    SINGLE_PASS = 255,
    TWO_PASS_KEY = 305,
    TWO_PASS = 314,
    TD_HOB_KEY = 364,
    TD_HOB = 371, /* head, 12 bytes */
    END = 384,
};

static struct hw_sample hw;
static struct cvm_compact parsed; /* for the allocation failures */

static int load_hw(void **state)
{
    (void)state;
    hw_load(&hw);
    return 0;
}

static int unload_hw(void **state)
{
    (void)state;
    hw_free(&hw);
    return 0;
}

static bool parse_exact(const uint8_t *data, size_t size, struct cvm_compact *out,
                        struct cvm_error *err)
{
    uint8_t *copy = exact_copy(data, size);
    bool ok = cvm_compact_parse((struct cvm_bytes){ copy, size }, out, err);
    free(copy);
    return ok;
}

static void assert_rebuilds(const struct cvm_compact *compact, const uint8_t *want, size_t size)
{
    struct cvm_error err = { 0 };
    uint8_t *data;
    size_t got;
    must(cvm_compact_build(compact, &data, &got, &err), &err);
    assert_bytes(data, got, want, size);
    free(data);
}

static void real_document(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_compact c;
    const uint8_t *cbor = hw.compact.data;
    assert_int_equal(hw.compact.len, END);
    must(parse_exact(cbor, END, &c, &err), &err);
    assert_bytes(c.cmdline.bytes, 48, cbor + CMDLINE + 2, 48);
    assert_bytes(c.kernel_authenticode.bytes, 48, cbor + KERNEL + 2, 48);
    assert_bytes(c.initrd.bytes, 48, cbor + INITRD + 2, 48);
    assert_string_equal(c.ovmf, "pre202505");
    assert_bytes(c.mrtd_single_pass.bytes, 48, cbor + SINGLE_PASS + 2, 48);
    assert_bytes(c.mrtd_two_pass.bytes, 48, cbor + TWO_PASS + 2, 48);
    assert_bytes(c.mrtd_two_pass.bytes, 48, hw.mrtd.bytes, 48);
    static const struct cvm_td_range want[] = {
        { 0x800000, 0x6000 }, { 0x809000, 0x2000 }, { 0x80b000, 0x2000 }, { 0x810000, 0x10000 }
    };
    assert_int_equal(c.ranges.td_hob, 0x809000);
    assert_int_equal(c.ranges.num_ranges, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(c.ranges.ranges[i].start, want[i].start);
        assert_int_equal(c.ranges.ranges[i].size, want[i].size);
    }
    assert_rebuilds(&c, cbor, END);
}

static void truncated_at_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < hw.compact.len; n++) {
        struct cvm_error err = { 0 };
        struct cvm_compact c;
        assert_false(parse_exact(hw.compact.data, n, &c, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "compact measurement: ");
    }
}

/* What is accepted means what it says: building it again gives the same bytes. */
static void every_single_byte_mutation(void **state)
{
    (void)state;
    unsigned accepted = 0;
    for (size_t at = 0; at < END; at++) {
        uint8_t original = hw.compact.data[at];
        for (unsigned value = 0; value < 256; value++) {
            struct cvm_error err = { 0 };
            struct cvm_compact c;
            hw.compact.data[at] = (uint8_t)value;
            if (parse_exact(hw.compact.data, END, &c, &err)) {
                assert_rebuilds(&c, hw.compact.data, END);
                accepted++;
            } else if (err.code != CVM_ERR_UNSUPPORTED) {
                assert_error(&err, CVM_ERR_MALFORMED, "compact measurement: ");
            }
        }
        hw.compact.data[at] = original;
    }
    assert_true(accepted > 5 * 48 * 256); /* the digests may be anything */
}

/* Replaces `remove` bytes at `at` by these, given in hex; nothing where hex is NULL. */
struct edit {
    size_t at, remove;
    const char *hex;
};

struct bad {
    struct edit edits[3]; /* the later place first */
    enum cvm_error_code code;
    const char *message;
};

static void apply(struct cvm_buf *b, const struct edit *edit)
{
    struct cvm_error err = { 0 };
    uint8_t bytes[128];
    size_t size = strlen(edit->hex) / 2;
    assert_true(size <= sizeof bytes);
    must(cvm_hex_decode(edit->hex, 2 * size, bytes, size, &err), &err);
    memmove(b->data + edit->at, b->data + edit->at + edit->remove,
            b->len - edit->at - edit->remove);
    b->len -= edit->remove;
    cvm_buf_insert(b, edit->at, bytes, size);
}

static void assert_refused(const struct bad *bad)
{
    struct cvm_error err = { 0 };
    struct cvm_compact c;
    struct cvm_buf document = { 0 };
    cvm_put_bytes(&document, hw.compact.data, hw.compact.len);
    for (size_t i = 0; i < 3 && bad->edits[i].hex != NULL; i++) {
        apply(&document, &bad->edits[i]);
    }
    assert_false(parse_exact(document.data, document.len, &c, &err));
    assert_error(&err, bad->code, bad->message);
    cvm_buf_free(&document);
}

/* clang-format off */
static const struct bad bad_shapes[] = {
    /* indefinite lengths: map, text, bytes; a break and reserved heads */
    { { { DOCUMENT, 1, "bf" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 0" },
    { { { VERSION_KEY, 1, "7f" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 1" },
    { { { TDVF, 1, "bf" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 221" },
    { { { CMDLINE, 2, "5f" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 32" },
    { { { END, 0, "ff" }, { DOCUMENT, 1, "bf" } }, CVM_ERR_MALFORMED, "indefinite length" },
    { { { VERSION, 1, "1c" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 9" },
    /* something behind the end */
    { { { END, 0, "00" } }, CVM_ERR_MALFORMED, "1 bytes left over at offset 384" },
    { { { END, 0, "0000" } }, CVM_ERR_MALFORMED, "2 bytes left over at offset 384" },
    { { { END, 0, "ff" } }, CVM_ERR_MALFORMED, "indefinite length or bad head at offset 384" },
    { { { END, 0, "18" } }, CVM_ERR_MALFORMED, "CBOR: needs 1 bytes at offset 0x181" },
    /* version */
    { { { VERSION, 1, "02" } }, CVM_ERR_MALFORMED, "version 2; only 3 is known" },
    { { { VERSION, 1, "04" } }, CVM_ERR_MALFORMED, "version 4; only 3 is known" },
    { { { VERSION, 1, "1bffffffffffffffff" } }, CVM_ERR_MALFORMED,
      "version 18446744073709551615; only 3 is known" },
    { { { VERSION, 1, "1b0000000100000003" } }, CVM_ERR_MALFORMED, "version 4294967299" },
    { { { VERSION, 1, "6133" } }, CVM_ERR_MALFORMED, "version is not an unsigned integer" },
    { { { VERSION, 1, "4103" } }, CVM_ERR_MALFORMED, "version is not an unsigned integer" },
    { { { VERSION, 1, "22" } }, CVM_ERR_MALFORMED, "unexpected item of type 1 at offset 9" },
    /* items that have no place in it */
    { { { VERSION, 1, "80" } }, CVM_ERR_MALFORMED, "unexpected item of type 4 at offset 9" },
    { { { VERSION, 0, "c0" } }, CVM_ERR_MALFORMED, "unexpected item of type 6 at offset 9" },
    { { { VERSION, 1, "f6" } }, CVM_ERR_MALFORMED, "unexpected item of type 7 at offset 9" },
    { { { VERSION, 1, "fb4008000000000000" } }, CVM_ERR_MALFORMED, "unexpected item of type 7" },
    { { { DOCUMENT, END, "03" } }, CVM_ERR_MALFORMED, "the document is not a map" },
    { { { DOCUMENT, END, "" } }, CVM_ERR_MALFORMED, "not CBOR from offset 0 on" },
    /* counts that nothing follows */
    { { { DOCUMENT, 1, "bbffffffffffffffff" } }, CVM_ERR_MALFORMED,
      "unexpected item of type 5 at offset 0" },
    { { { DOCUMENT, 1, "b11f" } }, CVM_ERR_MALFORMED, "unexpected item of type 5 at offset 0" },
    { { { DOCUMENT, 1, "b0" } }, CVM_ERR_MALFORMED, "not CBOR from offset 384 on" },
    { { { CMDLINE, 2, "5bffffffffffffffff" } }, CVM_ERR_MALFORMED,
      "unexpected item of type 2 at offset 32" },
    { { { CMDLINE, 2, "5a7fffffff" } }, CVM_ERR_MALFORMED, "unexpected item of type 2" },
    { { { OVMF, 1, "7affffffff" } }, CVM_ERR_MALFORMED, "unexpected item of type 3 at offset 227" },
};

static const struct bad bad_keys[] = {
    { { { IMAGE - 6, END - IMAGE + 6, "" }, { DOCUMENT, 1, "a1" } }, CVM_ERR_MALFORMED,
      "the document has 1 keys instead of 3" },
    { { { END, 0, "617800" }, { DOCUMENT, 1, "a4" } }, CVM_ERR_MALFORMED,
      "the document has 4 keys instead of 3" },
    { { { KERNEL_KEY, INITRD_KEY - KERNEL_KEY, "" }, { IMAGE, 1, "a2" } }, CVM_ERR_MALFORMED,
      "image has 2 keys instead of 3" },
    { { { KERNEL_KEY, 0, "617800" }, { IMAGE, 1, "a4" } }, CVM_ERR_MALFORMED,
      "image has 4 keys instead of 3" },
    { { { TD_HOB_KEY, END - TD_HOB_KEY, "" }, { TDVF, 1, "a2" } }, CVM_ERR_MALFORMED,
      "tdvf has 2 keys instead of 3" },
    { { { SINGLE_PASS_KEY, TWO_PASS_KEY - SINGLE_PASS_KEY, "" }, { MRTD, 1, "a1" } },
      CVM_ERR_MALFORMED, "tdvf.mrtd has 1 keys instead of 2" },
    { { { VERSION_KEY + 1, 1, "56" } }, CVM_ERR_MALFORMED, "the document: key 0 is not 'version'" },
    { { { VERSION_KEY, 8, "6876657273696f6e73" } }, CVM_ERR_MALFORMED, "key 0 is not 'version'" },
    { { { VERSION_KEY, 8, "6676657273696f" } }, CVM_ERR_MALFORMED, "key 0 is not 'version'" },
    { { { VERSION_KEY, 1, "47" } }, CVM_ERR_MALFORMED, "key 0 is not 'version'" }, /* bytes */
    { { { VERSION_KEY, 8, "00" } }, CVM_ERR_MALFORMED, "key 0 is not 'version'" },
    { { { KERNEL_KEY + 1, 1, "4b" } }, CVM_ERR_MALFORMED, "image: key 1 is not 'kernel_auth" },
    { { { TD_HOB_KEY + 1, 1, "00" } }, CVM_ERR_MALFORMED, "tdvf: key 2 is not 'td_hob'" },
    { { { TWO_PASS_KEY + 1, 1, "00" } }, CVM_ERR_MALFORMED, "tdvf.mrtd: key 1 is not 'two_pass'" },
};

static const struct bad bad_values[] = {
    { { { CMDLINE, 3, "582f" } }, CVM_ERR_MALFORMED,
      "image.cmdline_sha384 has 47 bytes instead of 48" },
    { { { KERNEL, 2, "583100" } }, CVM_ERR_MALFORMED,
      "image.kernel_authenticode has 49 bytes instead of 48" },
    { { { INITRD, 50, "40" } }, CVM_ERR_MALFORMED, "image.initrd_sha384 has 0 bytes" },
    { { { SINGLE_PASS, 3, "582f" } }, CVM_ERR_MALFORMED, "tdvf.mrtd.single_pass has 47 bytes" },
    { { { TWO_PASS, 3, "582f" } }, CVM_ERR_MALFORMED, "tdvf.mrtd.two_pass has 47 bytes" },
    { { { INITRD, 50, "6161" } }, CVM_ERR_MALFORMED, "image.initrd_sha384 is not a byte string" },
    { { { IMAGE, TDVF - IMAGE - 5, "00" } }, CVM_ERR_MALFORMED, "image is not a map" },
    { { { TDVF, END - TDVF, "00" } }, CVM_ERR_MALFORMED, "tdvf is not a map" },
    { { { MRTD, TD_HOB_KEY - MRTD, "00" } }, CVM_ERR_MALFORMED, "tdvf.mrtd is not a map" },
    { { { OVMF, 1, "49" } }, CVM_ERR_MALFORMED, "tdvf.ovmf is not a text" },
    { { { OVMF, 10, "60" } }, CVM_ERR_MALFORMED, "tdvf.ovmf has 0 characters" },
    { { { OVMF + 1, 1, "00" } }, CVM_ERR_MALFORMED, "tdvf.ovmf has 9 characters, or a NUL" },
    { { { OVMF, 10, "7840"
          "61616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161"
          "616161616161616161616161616161616161" } },
      CVM_ERR_MALFORMED, "tdvf.ovmf has 64 characters" },
    { { { TD_HOB, 13, "6161" } }, CVM_ERR_MALFORMED, "tdvf.td_hob is not a byte string" },
};

static const struct bad bad_ranges[] = {
    { { { TD_HOB, 13, "40" } }, CVM_ERR_MALFORMED, "td_hob: needs 1 bytes at offset 0x0" },
    { { { TD_HOB, 13, "43801009" } }, CVM_ERR_MALFORMED, "td_hob: needs 1 bytes at offset 0x3" },
    { { { TD_HOB, 13, "4b8010090400060902" "0b0210" } }, CVM_ERR_MALFORMED,
      "td_hob: needs 1 bytes at offset 0xb" },
    { { { TD_HOB, 13, "4d8010090400060902" "0b02101000" } }, CVM_ERR_MALFORMED,
      "td_hob: 1 bytes left over at offset 0xc" },
    { { { TD_HOB, 13, "44801009" "00" } }, CVM_ERR_MALFORMED, "td_hob: 0 ranges, 1 to 32" },
    { { { TD_HOB, 13, "44801009" "21" } }, CVM_ERR_MALFORMED, "td_hob: 33 ranges, 1 to 32" },
    { { { TD_HOB, 13, "4d801009" "ffffffffffffffffff01" } }, CVM_ERR_MALFORMED,
      "td_hob: 18446744073709551615 ranges, 1 to 32" },
    /* too large for a number, for a page number, for an address */
    { { { TD_HOB, 13, "4e80808080808080808002" "0001" "0001" } }, CVM_ERR_MALFORMED,
      "td_hob: a number too large" },
    { { { TD_HOB, 13, "4c8080808080808008" "00" "01" "0001" } }, CVM_ERR_MALFORMED,
      "td_hob: a number too large" },
    { { { TD_HOB, 13, "4cffffffffffffff07" "01" "01" "0001" } }, CVM_ERR_MALFORMED,
      "td_hob: a number too large" },
    { { { TD_HOB, 13, "4cffffffffffffff07" "00" "01" "0001" } }, CVM_ERR_MALFORMED,
      "td_hob: memory range 0xfffffffffffff000 + 0x1000 is empty, wraps" },
    /* not the shortest form */
    { { { TD_HOB, 13, "47809000" "00" "01" "0001" } }, CVM_ERR_MALFORMED, "its shortest form" },
    { { { TD_HOB, 13, "478010" "8000" "01" "0001" } }, CVM_ERR_MALFORMED, "its shortest form" },
    /* the first range starts at the base; ranges are apart, whole, and hold the TD_HOB */
    { { { TD_HOB + 5, 1, "01" } }, CVM_ERR_MALFORMED, "does not start at the base" },
    { { { TD_HOB + 6, 1, "0a" } }, CVM_ERR_MALFORMED,
      "td_hob: memory range 0x809000 + 0x2000 overlaps the one before, which ends at 0x80a000" },
    { { { TD_HOB + 7, 4, "0b020902" } }, CVM_ERR_MALFORMED, "overlaps the one before" },
    { { { TD_HOB + 12, 1, "00" } }, CVM_ERR_MALFORMED, "0x810000 + 0x0 is empty" },
    { { { TD_HOB + 3, 1, "08" } }, CVM_ERR_MALFORMED, "no memory range is the TD_HOB" },
};
/* clang-format on */

#define ASSERT_ALL_REFUSED(table)                                                                  \
    for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) {                                 \
        assert_refused(&(table)[i]);                                                               \
    }

static void bad_shape(void **state)
{
    (void)state;
    ASSERT_ALL_REFUSED(bad_shapes);
}

static void missing_surplus_or_other_keys(void **state)
{
    (void)state;
    ASSERT_ALL_REFUSED(bad_keys);
}

static void wrong_types_and_lengths(void **state)
{
    (void)state;
    ASSERT_ALL_REFUSED(bad_values);
}

static void ranges_that_cannot_be(void **state)
{
    (void)state;
    ASSERT_ALL_REFUSED(bad_ranges);
}

/* The same pairs, one of them moved behind the other. */
static void reordered_keys(void **state)
{
    (void)state;
    static const struct {
        size_t first, second, end;
        const char *message;
    } pairs[] = {
        { SINGLE_PASS_KEY, TWO_PASS_KEY, TD_HOB_KEY - 0, "tdvf.mrtd: key 0 is not 'single_pass'" },
        { KERNEL_KEY, INITRD_KEY, TDVF - 5, "image: key 1 is not 'kernel_authenticode'" },
        { VERSION_KEY, IMAGE - 6, TDVF - 5, "the document: key 0 is not 'version'" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_compact c;
        struct cvm_buf b = { 0 };
        cvm_put_bytes(&b, hw.compact.data, pairs[i].first);
        cvm_put_bytes(&b, hw.compact.data + pairs[i].second, pairs[i].end - pairs[i].second);
        cvm_put_bytes(&b, hw.compact.data + pairs[i].first, pairs[i].second - pairs[i].first);
        cvm_put_bytes(&b, hw.compact.data + pairs[i].end, END - pairs[i].end);
        assert_int_equal(b.len, END);
        assert_false(parse_exact(b.data, b.len, &c, &err));
        assert_error(&err, CVM_ERR_MALFORMED, pairs[i].message);
        cvm_buf_free(&b);
    }
}

static void too_large(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_compact c;
    struct cvm_buf b = { 0 };
    cvm_put_zeros(&b, CVM_COMPACT_MAX_SIZE + 1);
    assert_false(parse_exact(b.data, b.len, &c, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "65537 bytes, at most 65536");
    cvm_buf_free(&b);
}

/* Maps in maps as deep as the size allows, in the place of the key and of the value. */
static void nested_deeply(void **state)
{
    (void)state;
    static const char *const opens[] = { "\xa1", "\xa1\x00" };
    for (size_t way = 0; way < 2; way++) {
        struct cvm_error err = { 0 };
        struct cvm_compact c;
        struct cvm_buf b = { 0 };
        size_t depth = CVM_COMPACT_MAX_SIZE / 2 - 1;
        for (size_t i = 0; i < depth; i++) {
            cvm_put_bytes(&b, opens[way], way + 1);
        }
        cvm_put_zeros(&b, way == 0 ? depth + 1 : 1);
        assert_false(parse_exact(b.data, b.len, &c, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "compact measurement: ");
        cvm_buf_free(&b);
    }
}

/* Numbers that need more than one byte, and as many ranges as there can be. */
static void builds_what_it_parses(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_compact want = { .ovmf = "x" };
    struct cvm_compact got;
    uint8_t *data;
    size_t size;
    for (uint32_t i = 0; i < CVM_TD_MAX_RANGES; i++) {
        want.ranges.ranges[i] = (struct cvm_td_range){ UINT64_C(0x7f000000000) * i + 0x1000,
                                                       UINT64_C(0x80000) * (i + 1) };
    }
    want.ranges.num_ranges = CVM_TD_MAX_RANGES;
    want.ranges.td_hob = want.ranges.ranges[31].start;
    memset(want.ovmf, 'y', sizeof want.ovmf - 1);
    memset(&want.initrd, 0xa5, sizeof want.initrd);
    must(cvm_compact_build(&want, &data, &size, &err), &err);
    must(parse_exact(data, size, &got, &err), &err);
    assert_int_equal(got.ranges.td_hob, want.ranges.td_hob);
    assert_int_equal(got.ranges.num_ranges, want.ranges.num_ranges);
    assert_bytes(got.ranges.ranges, sizeof got.ranges.ranges, want.ranges.ranges,
                 sizeof want.ranges.ranges);
    assert_string_equal(got.ovmf, want.ovmf);
    assert_rebuilds(&got, data, size);
    free(data);
}

/* What parsing would refuse is not built either. */
static void builds_nothing_else(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_compact c;
    uint8_t *data = NULL;
    size_t size = 0;
    must(cvm_compact_parse(bytes_of(&hw.compact), &c, &err), &err);
    struct cvm_compact bad = c;
    bad.ranges.num_ranges = CVM_TD_MAX_RANGES + 1;
    assert_false(cvm_compact_build(&bad, &data, &size, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "td_hob: ");
    bad.ranges.num_ranges = 0;
    assert_false(cvm_compact_build(&bad, &data, &size, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "td_hob: ");
    bad = c;
    bad.ovmf[0] = '\0';
    assert_false(cvm_compact_build(&bad, &data, &size, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "tdvf.ovmf");
    memset(bad.ovmf, 'x', sizeof bad.ovmf);
    assert_false(cvm_compact_build(&bad, &data, &size, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "tdvf.ovmf");
    assert_null(data);
}

static bool parse_real_document(struct cvm_error *err)
{
    struct cvm_compact c;
    return cvm_compact_parse(bytes_of(&hw.compact), &c, err);
}

static bool build_real_document(struct cvm_error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    bool ok = cvm_compact_build(&parsed, &data, &size, err);
    assert_int_equal(data != NULL, ok);
    free(data);
    return ok;
}

static void out_of_memory(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    assert_true(fail_each_allocation(parse_real_document) > 10);
    must(cvm_compact_parse(bytes_of(&hw.compact), &parsed, &err), &err);
    assert_true(fail_each_allocation(build_real_document) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_document),
        cmocka_unit_test(truncated_at_every_length),
        cmocka_unit_test(every_single_byte_mutation),
        cmocka_unit_test(bad_shape),
        cmocka_unit_test(missing_surplus_or_other_keys),
        cmocka_unit_test(reordered_keys),
        cmocka_unit_test(wrong_types_and_lengths),
        cmocka_unit_test(ranges_that_cannot_be),
        cmocka_unit_test(too_large),
        cmocka_unit_test(nested_deeply),
        cmocka_unit_test(builds_what_it_parses),
        cmocka_unit_test(builds_nothing_else),
        cmocka_unit_test(out_of_memory),
    };
    fault_hook_libraries();
    return cmocka_run_group_tests(tests, load_hw, unload_hw);
}
