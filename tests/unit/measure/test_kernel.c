#include "measure/kernel.h"

#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

#define GIB (UINT64_C(1) << 30)

/* As many bytes of the header as are looked at. */
enum { HEADER_END = 0x238 };

static bool rewrite_bytes(uint8_t *kernel, size_t size, uint64_t memory_size, const char *cmdline,
                          uint64_t initrd_size, struct cvm_error *err)
{
    const struct cvm_machine machine = { .memory_size = memory_size };
    struct kernel_setup setup;
    uint32_t address;
    if (!kernel_read_setup((struct cvm_bytes){ kernel, size }, &setup, err) ||
        !kernel_place_initrd(&setup, &machine, cmdline, initrd_size, &address, err)) {
        return false;
    }
    kernel_rewrite_header(kernel, &setup, initrd_size, address);
    return true;
}

static bool rewrite(struct cvm_buf *kernel, uint64_t memory_size, const char *cmdline,
                    uint64_t initrd_size, struct cvm_error *err)
{
    return rewrite_bytes(kernel->data, kernel->len, memory_size, cmdline, initrd_size, err);
}

static void store(struct cvm_buf *b, size_t at, const char *bytes, size_t count)
{
    memcpy(b->data + at, bytes, count);
}

/* The widths: what lies around a field is not zero, and stays. */
static void each_field_and_nothing_else(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf got = kernel_build(&kernel_modern);
    struct cvm_buf want = kernel_build(&kernel_modern);
    must(rewrite(&got, 2 * GIB, "console=ttyS0", 0x01234567, &err), &err);
    store(&want, 0x210, "\xb0", 1);
    store(&want, 0x211, "\x81", 1);
    store(&want, 0x218, "\x00\x30\xda\x7e", 4); /* 0x7ffd7fff - 0x01234567, in whole pages */
    store(&want, 0x21c, "\x67\x45\x23\x01", 4);
    store(&want, 0x224, "\x00\xfe", 2);
    store(&want, 0x228, "\x00\x00\x02\x00", 4);
    assert_bytes(got.data, got.len, want.data, want.len);
    cvm_buf_free(&got);
    cvm_buf_free(&want);
}

static void without_initrd(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf got = kernel_build(&kernel_modern);
    struct cvm_buf want = kernel_build(&kernel_modern);
    must(rewrite(&got, 2 * GIB, "", 0, &err), &err);
    store(&want, 0x210, "\xb0", 1);
    store(&want, 0x211, "\x81", 1);
    store(&want, 0x224, "\x00\xfe", 2);
    store(&want, 0x228, "\x00\x00\x02\x00", 4);
    assert_bytes(got.data, got.len, want.data, want.len);
    cvm_buf_free(&got);
    cvm_buf_free(&want);
}

/* An image that carries the rewritten header already: rewriting it changes nothing. */
static void twice_is_once(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf once = kernel_build(&kernel_modern);
    must(rewrite(&once, 4 * GIB, "", 0x100000, &err), &err);
    struct cvm_buf twice = { 0 };
    cvm_put_bytes(&twice, once.data, once.len);
    must(rewrite(&twice, 4 * GIB, "", 0x100000, &err), &err);
    assert_bytes(twice.data, twice.len, once.data, once.len);
    cvm_buf_free(&once);
    cvm_buf_free(&twice);
}

static void loadflags_keep_their_bits(void **state)
{
    (void)state;
    for (unsigned flags = 1; flags < 0x100; flags += 2) {
        struct cvm_error err = { 0 };
        struct kernel_sample sample = kernel_modern;
        sample.loadflags = (uint8_t)flags;
        struct cvm_buf kernel = kernel_build(&sample);
        must(rewrite(&kernel, 2 * GIB, "", 0, &err), &err);
        assert_int_equal(kernel.data[0x211], flags | 0x80);
        cvm_buf_free(&kernel);
    }
}

/*
 * Where the initrd goes, worked out by hand: the limit is 0xffffffff (protocol 2.12 and bit 1 of
 * xloadflags), else the header's, else 0x37ffffff; one that reaches to within 0x28000 bytes of
 * the end of low memory becomes that place minus one; the address is limit - size, rounded down
 * to a page.
 */
struct placed {
    uint16_t protocol;
    uint16_t xloadflags;
    uint32_t initrd_addr_max;
    uint64_t memory_size;
    uint64_t initrd_size;
    uint32_t address;
};

/* clang-format off */
static const struct placed placed[] = {
    /* limit 0xffffffff, cut to 0x7ffd7fff */
    { 0x20f, 0x003f, 0x7fffffff, 0x80000000,  0x1000000, 0x7efd7000 },
    { 0x20c, 0x0002, 0x37ffffff, 0x80000000,  0x1000000, 0x7efd7000 },
    { 0xffff, 0xffff, 1,         0x80000000,  0x1000000, 0x7efd7000 },
    { 0x20f, 0x0002, 0,          0x80000000,  1,         0x7ffd7000 },
    /* protocol 2.11 knows no xloadflags, and without bit 1 they do not count */
    { 0x20b, 0x0002, 0x37ffffff, 0x80000000,  0x1000000, 0x36fff000 },
    { 0x20b, 0xffff, 0x7fffffff, 0x80000000,  0x1000000, 0x7efd7000 },
    { 0x20c, 0x0000, 0x37ffffff, 0x80000000,  0x1000,    0x37ffe000 },
    { 0x20f, 0x003d, 0x37ffffff, 0x80000000,  0x1000,    0x37ffe000 },
    { 0x20f, 0x0100, 0x37ffffff, 0x80000000,  0x1000,    0x37ffe000 }, /* bit 0 of the next byte */
    /* the header's limit is 0 */
    { 0x203, 0x0000, 0,          0x80000000,  0x1000,    0x37ffe000 },
    { 0x20f, 0x0001, 0,          0x80000000,  0x1000,    0x37ffe000 },
    { 0x203, 0x0002, 0x1fffffff, 0x80000000,  0x1000,    0x1fffe000 },
    /* around the place it is cut at */
    { 0x20f, 0x0000, 0x7ffd7fff, 0x80000000,  0x1000,    0x7ffd6000 },
    { 0x20f, 0x0000, 0x7ffd8000, 0x80000000,  0x1000,    0x7ffd6000 },
    { 0x20f, 0x0000, 0x7ffd6fff, 0x80000000,  0x1000,    0x7ffd5000 },
    /* memory: 0x28000 below its end, and below 2 GiB from 0xb0000000 on */
    { 0x20f, 0x0002, 0,          0x00100000,  0x1000,    0x000d6000 },
    { 0x20f, 0x0002, 0,          0x20000000,  0x1000,    0x1ffd6000 },
    { 0x20f, 0x0000, 0x37ffffff, 0x38000000,  0x1000,    0x37fd6000 },
    { 0x20f, 0x0000, 0x37ffffff, 0x38028000,  0x1000,    0x37ffe000 },
    { 0x20f, 0x0002, 0,          0xaff00000,  0x1000,    0xafed6000 },
    { 0x20f, 0x0002, 0,          0xb0000000,  0x1000,    0x7ffd6000 },
    { 0x20f, 0x0002, 0,          0xb0100000,  0x1000,    0x7ffd6000 },
    { 0x20f, 0x0002, 0,      0x10000000000,   0x1000,    0x7ffd6000 },
    /* sizes */
    { 0x20f, 0x0002, 0,          0x80000000,  0xfff,     0x7ffd7000 },
    { 0x20f, 0x0002, 0,          0x80000000,  0x1001,    0x7ffd6000 },
    { 0x20f, 0x0002, 0,          0x80000000,  0x7ffd7ffe, 0 },
};
/* clang-format on */

static void initrd_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof placed / sizeof placed[0]; i++) {
        const struct placed *p = &placed[i];
        struct cvm_error err = { 0 };
        const struct kernel_sample sample = { p->protocol, 0x01, p->xloadflags,
                                              p->initrd_addr_max };
        struct cvm_buf got = kernel_build(&sample);
        struct cvm_buf want = kernel_build(&sample);
        must(rewrite(&got, p->memory_size, "", p->initrd_size, &err), &err);
        cvm_buf_patch_le(&want, 0x218, p->address, 4);
        cvm_buf_patch_le(&want, 0x21c, p->initrd_size, 4);
        assert_bytes(got.data + 0x218, 8, want.data + 0x218, 8);
        assert_bytes(got.data + 0x22c, 0x20, want.data + 0x22c, 0x20);
        cvm_buf_free(&got);
        cvm_buf_free(&want);
    }
}

static void assert_refused(const struct kernel_sample *sample, uint64_t memory_size,
                           const char *cmdline, uint64_t initrd_size, enum cvm_error_code code,
                           const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_buf kernel = kernel_build(sample);
    assert_false(rewrite(&kernel, memory_size, cmdline, initrd_size, &err));
    assert_error(&err, code, message);
    cvm_buf_free(&kernel);
}

static void initrd_that_does_not_fit(void **state)
{
    (void)state;
    assert_refused(&kernel_modern, 2 * GIB, "", 0x7ffd7fff, CVM_ERR_MALFORMED,
                   "an initrd of 2147319807 bytes does not fit below 0x7ffd7fff");
    assert_refused(&kernel_modern, 2 * GIB, "", UINT64_C(0x100001000), CVM_ERR_MALFORMED,
                   "an initrd of 4294971392 bytes does not fit");
    assert_refused(&kernel_modern, 2 * GIB, "", UINT64_MAX, CVM_ERR_MALFORMED, "does not fit");
    assert_refused(&kernel_modern, 0x28000, "", 1, CVM_ERR_MALFORMED,
                   "163840 bytes of memory leave no room for an initrd");
    const struct kernel_sample low_limit = { 0x20f, 0x01, 0, 0x1000 };
    assert_refused(&low_limit, 2 * GIB, "", 0x1000, CVM_ERR_MALFORMED, "does not fit below 0x1000");
}

static void what_is_not_supported(void **state)
{
    (void)state;
    struct kernel_sample sample = kernel_modern;
    sample.protocol = 0x202;
    assert_refused(&sample, 2 * GIB, "", 0, CVM_ERR_UNSUPPORTED,
                   "Linux boot protocol 2.02, older than 2.03");
    sample.protocol = 0;
    assert_refused(&sample, 2 * GIB, "", 0, CVM_ERR_UNSUPPORTED, "Linux boot protocol 0.00");
    sample = kernel_modern;
    sample.loadflags = 0xfe;
    assert_refused(&sample, 2 * GIB, "", 0, CVM_ERR_UNSUPPORTED, "loaded low");
    assert_refused(&kernel_modern, 2 * GIB, "vga=791", 0, CVM_ERR_UNSUPPORTED, "\"vga=\"");
    assert_refused(&kernel_modern, 2 * GIB, "quiet vga=ask", 0, CVM_ERR_UNSUPPORTED, "\"vga=\"");
}

static void no_setup_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cvm_error err = { 0 };
        struct cvm_buf kernel = kernel_build(&kernel_modern);
        kernel.data[0x202 + i] ^= 0x20;
        assert_false(rewrite(&kernel, 2 * GIB, "", 0, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "no Linux setup header at offset 0x202");
        cvm_buf_free(&kernel);
    }
}

static void too_short_at_every_length(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf kernel = kernel_build(&kernel_modern);
    for (size_t n = 0; n <= HEADER_END; n++) {
        uint8_t *copy = exact_copy(kernel.data, n);
        bool ok = rewrite_bytes(copy, n, 2 * GIB, "", 0x1000, &err);
        assert_int_equal(ok, n == HEADER_END);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "Linux setup header: ");
        }
        free(copy);
    }
    cvm_buf_free(&kernel);
}

/* --- the version --- */

static struct cvm_kernel_info version_of(const char *text)
{
    struct cvm_kernel_info info = { .version_known = false };
    struct cvm_buf kernel = kernel_build(&kernel_modern);
    cvm_buf_patch_le(&kernel, 0x20e, 0x600, 2);
    memcpy(kernel.data + 0x800, text, strlen(text) + 1);
    kernel_read_version(bytes_of(&kernel), &info);
    cvm_buf_free(&kernel);
    return info;
}

static void versions_and_what_they_mean(void **state)
{
    (void)state;
    static const struct {
        const char *text, *version;
        bool known, is_old;
    } cases[] = {
        { "6.12.117-cloud-amd64 (a@b) #1 SMP", "6.12.117-cloud-amd64", true, false },
        { "6.1.0-56-amd64 (a@b) #1 SMP", "6.1.0-56-amd64", true, true },
        { "6.8.12", "6.8.12", true, true },
        { "6.9.0-rc1", "6.9.0-rc1", true, false },
        { "6.9", "6.9", true, false },
        { "6.10.1", "6.10.1", true, false },
        { "5.15.0-generic", "5.15.0-generic", true, true },
        { "7.0", "7.0", true, false },
        { "4294967296.1", "", false, false },
        { "7.99999999999999999999999", "7.99999999999999999999999", true, false },
        { "Linux", "", false, false },
        { "6", "", false, false },
        { "6.", "", false, false },
        { "6.x", "", false, false },
        { ".9", "", false, false },
        { "", "", false, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct cvm_kernel_info info = version_of(cases[i].text);
        assert_string_equal(info.version, cases[i].version);
        assert_int_equal(info.version_known, cases[i].known);
        assert_int_equal(info.is_old, cases[i].is_old);
    }
}

static void long_and_missing_versions(void **state)
{
    (void)state;
    struct cvm_kernel_info info = version_of("6.12-"
                                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    assert_int_equal(strlen(info.version), sizeof info.version - 1);
    assert_true(info.version_known);
    struct cvm_buf kernel = kernel_build(&kernel_modern);
    for (size_t n = 0; n < kernel.len; n += n < 0x220 ? 1 : 101) {
        uint8_t *copy = exact_copy(kernel.data, n);
        if (n > 0x210) {
            copy[0x20e] = 0xff; /* far behind the end */
            copy[0x20f] = 0xff;
        }
        kernel_read_version((struct cvm_bytes){ copy, n }, &info);
        assert_false(info.version_known);
        free(copy);
    }
    cvm_buf_patch_le(&kernel, 0x20e, 0, 2); /* the kernel has no text */
    kernel_read_version(bytes_of(&kernel), &info);
    assert_false(info.version_known);
    /* a text that runs up to the end of the file */
    cvm_buf_patch_le(&kernel, 0x20e, kernel.len - 4 - 0x200, 2);
    memcpy(kernel.data + kernel.len - 4, "6.12", 4);
    kernel_read_version(bytes_of(&kernel), &info);
    assert_string_equal(info.version, "6.12");
    cvm_buf_free(&kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_and_nothing_else),
        cmocka_unit_test(without_initrd),
        cmocka_unit_test(twice_is_once),
        cmocka_unit_test(loadflags_keep_their_bits),
        cmocka_unit_test(initrd_addresses),
        cmocka_unit_test(initrd_that_does_not_fit),
        cmocka_unit_test(what_is_not_supported),
        cmocka_unit_test(no_setup_header),
        cmocka_unit_test(too_short_at_every_length),
        cmocka_unit_test(versions_and_what_they_mean),
        cmocka_unit_test(long_and_missing_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
