/* A cache entry as bytes: what was written is read, and nothing else is. */
#include "tests/support/check.h"

#include "measure/base/hash.h"
#include "vmm/digest_cache.h"

#include <stdio.h>

#define TOOL "0.1.0 00ff"

static void fill_firmware(struct cvm_firmware *f)
{
    memset(f->digest.bytes, 0x40, sizeof f->digest.bytes);
    f->size = 4 << 20;
    memset(f->cfv.bytes, 0x41, sizeof f->cfv.bytes);
    memset(f->mrtd_single_pass.bytes, 0x51, 48);
    memset(f->mrtd_two_pass.bytes, 0x52, 48);
    f->variables.format = CVM_STORE_AUTHENTICATED;
    f->variables.store_size = 262072;
    f->variables.num_live = 5;
    f->variables.secure_boot = true;
    f->variables.dbx = (struct cvm_secure_variable){ true, 21292, { { 0x53 } } };
    f->features = (struct cvm_firmware_features){ .measures = true, .cmdline_suffix = true };
    f->layout_state = CVM_LAYOUT_DERIVED;
    snprintf(f->layout_reason, sizeof f->layout_reason, "none");
    f->layout = *cvm_layout_find("stable202505");
    f->strings = (struct cvm_smbios_firmware){ "EDK II", "unknown", "02/02/2022" };
}

/* Every field has a value of its own. */
static void fill(struct cvm_digest_record *r)
{
    static const uint32_t addresses[] = { 0x3ffd0000, 0x7ffd0000, 0 };
    struct cvm_error err = { 0 };
    memset(r->os_image_hash.bytes, 0x11, sizeof r->os_image_hash.bytes);
    for (unsigned i = 0; i < CVM_CACHED_ROLES; i++) {
        enum cvm_bundle_role role = cvm_cached_roles[i];
        r->files[role] = (struct cvm_file_id){ 7, 100 + i, 1000 + i, 1 - (int64_t)i, 2 + i };
        memset(r->digests[role].bytes, (int)(0x21 + i), sizeof r->digests[role].bytes);
    }
    memset(r->facts.initrd.bytes, 0x31, sizeof r->facts.initrd.bytes);
    r->facts.initrd_size = r->files[CVM_BUNDLE_INITRD].size;
    r->facts.has_firmware = true;
    r->facts.firmware.ranges = (struct cvm_td_ranges){
        .ranges = { { 0x800000, 0x6000 }, { 0x809000, 0x2000 } },
        .num_ranges = 2,
        .td_hob = 0x809000,
    };
    fill_firmware(&r->facts.firmware);
    r->facts.kernel = (struct cvm_kernel_info){ "6.1.0", true, true, false };
    r->facts.has_setup = true;
    r->facts.setup = (struct kernel_setup){ 0x20f, 0x81, 0x3f, 0x7fffffff };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct kernel_digest k = {
            { addresses[i] == 0 ? CVM_KERNEL_AS_IS : CVM_KERNEL_REWRITTEN, addresses[i] }, { { 0 } }
        };
        memset(k.digest.bytes, (int)(0x61 + i), sizeof k.digest.bytes);
        must(image_facts_add_kernel(&r->facts, &k, &err), &err);
    }
}

static struct cvm_buf build(const struct cvm_digest_record *r)
{
    struct cvm_error err = { 0 };
    struct cvm_buf entry = { 0 };
    must(cvm_digest_record_build(r, TOOL, &entry, &err), &err);
    return entry;
}

static struct cvm_buf build_sample(void)
{
    cvm_autorecord struct cvm_digest_record r = { 0 };
    fill(&r);
    return build(&r);
}

static bool parse(const uint8_t *data, size_t size, struct cvm_digest_record *out,
                  struct cvm_error *err)
{
    return cvm_digest_record_parse((struct cvm_bytes){ data, size }, TOOL, out, err);
}

static void expect_refused(const uint8_t *data, size_t size, enum cvm_error_code code,
                           const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autorecord struct cvm_digest_record r = { 0 };
    assert_false(parse(data, size, &r, &err));
    assert_null(r.facts.kernels);
    assert_error(&err, code, message);
}

/* The digest at the end anew, as somebody would who wants to be believed. */
static void seal(struct cvm_buf *entry)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    size_t size = entry->len - sizeof digest;
    must(cvm_sha256(entry->data, size, &digest, &err), &err);
    memcpy(entry->data + size, digest.bytes, sizeof digest.bytes);
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autorecord struct cvm_digest_record want = { 0 };
    cvm_autorecord struct cvm_digest_record got = { 0 };
    fill(&want);
    cvm_autobuf struct cvm_buf entry = build(&want);
    must(parse(entry.data, entry.len, &got, &err), &err);
    assert_memory_equal(&got.os_image_hash, &want.os_image_hash, sizeof want.os_image_hash);
    assert_memory_equal(got.files, want.files, sizeof want.files);
    assert_memory_equal(got.digests, want.digests, sizeof want.digests);
    assert_int_equal(got.facts.initrd_size, want.files[CVM_BUNDLE_INITRD].size);
    assert_int_equal(got.facts.num_kernels, 3);
    assert_memory_equal(got.facts.kernels, want.facts.kernels, 3 * sizeof want.facts.kernels[0]);
    assert_memory_equal(&got.facts.firmware, &want.facts.firmware, sizeof want.facts.firmware);
    assert_memory_equal(&got.facts.kernel, &want.facts.kernel, sizeof want.facts.kernel);
    cvm_autobuf struct cvm_buf again = build(&got);
    assert_bytes(again.data, again.len, entry.data, entry.len);
    assert_true(entry.len < CVM_DIGEST_MAX_SIZE);
}

static void test_damage_at_every_byte(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf entry = build_sample();
    for (size_t at = 0; at < entry.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct cvm_error err = { 0 };
            cvm_autorecord struct cvm_digest_record r = { 0 };
            entry.data[at] ^= (uint8_t)(1u << bit);
            if (parse(entry.data, entry.len, &r, &err)) {
                fail_msg("accepted with bit %u of byte %zu changed", bit, at);
            }
            entry.data[at] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_cut_at_every_length(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf entry = build_sample();
    for (size_t n = 0; n < entry.len; n++) {
        struct cvm_error err = { 0 };
        cvm_autorecord struct cvm_digest_record r = { 0 };
        cvm_autofree uint8_t *copy = malloc(n + 1);
        memcpy(copy, entry.data, n);
        assert_false(parse(copy, n, &r, &err));
        assert_int_equal(err.code, CVM_ERR_MALFORMED);
    }
}

/* Offsets of fields from the start of the sample. */
enum {
    HEAD = 8 + 4 + 2 + sizeof TOOL - 1,
    FIRMWARE = HEAD + 32 + 3 * 40 + 3 * 32 + 48,
    TD_HOB = FIRMWARE + 1 + 48 + 8,
    NUM_RANGES = TD_HOB + 8,
    STORE_FORMAT = NUM_RANGES + 4 + 2 * 16 + 3 * 48 + 1,
    VARIABLES = STORE_FORMAT + 4 + 4 + 4 + 1 + 1,
    LAYOUT_STATE = VARIABLES + 4 * (1 + 4 + 48) + 9,
    LAYOUT = LAYOUT_STATE + 4 + CVM_LAYOUT_REASON_SIZE,
    NUM_EVENTS = LAYOUT + CVM_LAYOUT_NAME_SIZE,
    NUM_BOOT_OPTIONS = NUM_EVENTS + 4 + 4 * 21,
    STRINGS = NUM_BOOT_OPTIONS + 4 + 4 * 2 + 1 + 4,
    KERNELS = STRINGS + 3 * 64 + 64 + 3 + 1 + 2 + 1 + 2 + 4,
};

/* Cut short, with a digest that fits: each field notices by itself. */
static void test_sealed_at_every_length(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf entry = build_sample();
    size_t body = entry.len - sizeof(struct cvm_sha256);
    for (size_t n = 0; n < body; n++) {
        struct cvm_error err = { 0 };
        cvm_autorecord struct cvm_digest_record r = { 0 };
        cvm_autobuf struct cvm_buf cut = { 0 };
        cvm_put_bytes(&cut, entry.data, n);
        cvm_put_zeros(&cut, sizeof(struct cvm_sha256));
        seal(&cut);
        assert_false(parse(cut.data, cut.len, &r, &err));
        if (n >= HEAD) { /* before, the digest's first bytes are taken for a format */
            assert_error(&err, CVM_ERR_MALFORMED, "needs");
        }
    }
    cvm_buf_insert(&entry, body, "", 1);
    seal(&entry);
    expect_refused(entry.data, entry.len, CVM_ERR_MALFORMED, "left");
}

static void test_other_formats_and_programs(void **state)
{
    (void)state;
    for (uint8_t format = 0; format < 6; format++) {
        cvm_autobuf struct cvm_buf entry = build_sample();
        entry.data[8] = format;
        seal(&entry);
        if (format != CVM_DIGEST_FORMAT) {
            expect_refused(entry.data, entry.len, CVM_ERR_UNSUPPORTED, "format ");
            entry.data[entry.len - 1] ^= 1; /* another format may end in another way */
            expect_refused(entry.data, entry.len, CVM_ERR_UNSUPPORTED, "format ");
        }
    }
    static const char *const tools[] = { "", "0.1.0", "0.1.0 00fe", "0.1.0 00ff ", "0.2.0 00ff" };
    cvm_autobuf struct cvm_buf entry = build_sample();
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorecord struct cvm_digest_record r = { 0 };
        assert_false(cvm_digest_record_parse((struct cvm_bytes){ entry.data, entry.len }, tools[i],
                                             &r, &err));
        assert_error(&err, CVM_ERR_UNSUPPORTED, "another build");
    }
}

static void test_values_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *message;
    } cases[] = {
        { FIRMWARE, 2, "firmware: 2 is neither 0 nor 1" },
        { TD_HOB, 1, "ranges: no memory range is the TD_HOB" },
        { NUM_RANGES, 0, "ranges: no memory range is the TD_HOB" },
        { NUM_RANGES, CVM_TD_MAX_RANGES + 1, "ranges: 33 of them, at most 32" },
        { NUM_RANGES + 3, 0x80, "of them, at most 32" },
        { STORE_FORMAT, 3, "store's format: 3 is none of 3 values" },
        { VARIABLES, 2, "pk present: 2 is neither 0 nor 1" },
        { LAYOUT_STATE, 3, "layout's state: 3 is none of 3 values" },
        { LAYOUT - 1, 'x', "layout's reason: no NUL in 192 bytes" },
        { NUM_EVENTS - 1, 'x', "layout: no NUL in 32 bytes" },
        { NUM_EVENTS, CVM_LAYOUT_MAX_EVENTS + 1, "layout: 25 is none of 25 values" },
        { NUM_EVENTS + 4, CVM_LAYOUT_KINDS, "layout: 20 is none of 20 values" },
        { NUM_BOOT_OPTIONS, CVM_LAYOUT_MAX_BOOT_OPTIONS + 1, "layout: 5 is none of 5 values" },
        { NUM_BOOT_OPTIONS + 4, CVM_BOOT_APPS, "layout: 3 is none of 3 values" },
        { NUM_BOOT_OPTIONS + 12, 2, "layout: 2 is neither 0 nor 1" },
        { NUM_BOOT_OPTIONS + 13, 2, "layout: 2 is none of 2 values" },
        { STRINGS + 63, 'x', "type 0 vendor: no NUL in 64 bytes" },
        { KERNELS, CVM_DIGEST_MAX_KERNELS + 1, "kernel's digests: 65 of them, at most 64" },
        { KERNELS + 3, 1, "of them, at most 64" },
        { KERNELS, CVM_DIGEST_MAX_KERNELS, "needs" },
        { KERNELS, 2, "left" },
        { KERNELS + 4, 2, "a form of kind 2" },
        { KERNELS + 4 + 4, 0x7f, "a form that stands twice" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cvm_autobuf struct cvm_buf entry = build_sample();
        entry.data[cases[i].at] = cases[i].value;
        seal(&entry);
        expect_refused(entry.data, entry.len, CVM_ERR_MALFORMED, cases[i].message);
    }
}

static void test_the_newest_forms_are_kept(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autorecord struct cvm_digest_record r = { 0 };
    cvm_autorecord struct cvm_digest_record got = { 0 };
    fill(&r);
    for (uint32_t i = 0; i < 2 * CVM_DIGEST_MAX_KERNELS; i++) {
        struct kernel_digest k = { { CVM_KERNEL_REWRITTEN, 0x1000 * i }, { { 0 } } };
        must(image_facts_add_kernel(&r.facts, &k, &err), &err);
    }
    cvm_autobuf struct cvm_buf entry = build(&r);
    must(parse(entry.data, entry.len, &got, &err), &err);
    assert_int_equal(got.facts.num_kernels, CVM_DIGEST_MAX_KERNELS);
    assert_int_equal(got.facts.kernels[0].form.initrd_address, 0x1000 * CVM_DIGEST_MAX_KERNELS);
    assert_true(entry.len < CVM_DIGEST_MAX_SIZE);
}

static struct cvm_buf sample;

static bool build_and_parse(struct cvm_error *err)
{
    cvm_autorecord struct cvm_digest_record r = { 0 };
    cvm_autobuf struct cvm_buf again = { 0 };
    return parse(sample.data, sample.len, &r, err) &&
           cvm_digest_record_build(&r, TOOL, &again, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    sample = build_sample();
    assert_true(fail_each_allocation(build_and_parse) > 3);
    cvm_buf_free(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_damage_at_every_byte),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_sealed_at_every_length),
        cmocka_unit_test(test_other_formats_and_programs),
        cmocka_unit_test(test_values_that_cannot_be),
        cmocka_unit_test(test_the_newest_forms_are_kept),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
