/*
 * Finding the strings of OVMF's type 0 in volumes made here. That they are found in real firmware
 * is shown by the firmware tests.
 */
#include "tests/support/check.h"

#include "measure/base/guid.h"
#include "measure/include/cvm/smbios.h"

#define DRIVER "4110465d-5ff3-4f4b-b580-24ed0d06747a"

/* A driver's file whose contents are the strings, with a NUL after each; and what surrounds it. */
struct volume {
    struct cvm_buf bytes;
    size_t start, end; /* of the file */
    size_t image;      /* where that section starts */
};

static void put_string(struct cvm_buf *b, const char *text)
{
    cvm_put_utf16(b, text);
    cvm_put_le(b, 0, 2);
}

static void begin(struct volume *v)
{
    cvm_put_guid(&v->bytes, DRIVER); /* in a list of files to load first */
    cvm_put_zeros(&v->bytes, 40);
    v->start = v->bytes.len;
    cvm_put_guid(&v->bytes, DRIVER);
    cvm_put_le(&v->bytes, 0, 2); /* integrity */
    cvm_put_u8(&v->bytes, 7);    /* driver */
    cvm_put_u8(&v->bytes, 0);
    cvm_put_le(&v->bytes, 0, 3); /* size: see finish() */
    cvm_put_u8(&v->bytes, 0xf8);
    cvm_put_le(&v->bytes, 7, 3); /* a section in front of the image, and its padding */
    cvm_put_u8(&v->bytes, 0x13);
    cvm_put_zeros(&v->bytes, 4);
    v->image = v->bytes.len;
    cvm_put_le(&v->bytes, 0, 3); /* size: see finish() */
    cvm_put_u8(&v->bytes, 0x10);
    put_string(&v->bytes, "no"); /* too short to be one */
}

static void finish(struct volume *v)
{
    cvm_buf_patch_le(&v->bytes, v->image, v->bytes.len - v->image, 3);
    cvm_put_padding(&v->bytes, 4);
    cvm_put_le(&v->bytes, 4 + 2 * sizeof "SmbiosPlatformDxe", 3);
    cvm_put_u8(&v->bytes, 0x15); /* user interface: no part of the image */
    put_string(&v->bytes, "SmbiosPlatformDxe");
    v->end = v->bytes.len;
    cvm_buf_patch_le(&v->bytes, v->start + 20, v->end - v->start, 3);
    put_string(&v->bytes, "behind the file");
}

static void make(struct volume *v, const char *const *strings)
{
    begin(v);
    for (; *strings != NULL; strings++) {
        put_string(&v->bytes, *strings);
    }
    finish(v);
}

static bool find(const struct volume *v, struct cvm_smbios_firmware *out, struct cvm_error *err)
{
    return cvm_smbios_find_strings((struct cvm_bytes){ v->bytes.data, v->bytes.len }, out, err);
}

static void free_volume(struct volume *v)
{
    cvm_buf_free(&v->bytes);
}

static void assert_found(const char *const *strings, const char *vendor, const char *version,
                         const char *date)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    make(&v, strings);
    must(find(&v, &found, &err), &err);
    assert_string_equal(found.vendor, vendor);
    assert_string_equal(found.version, version);
    assert_string_equal(found.date, date);
}

#define STRINGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_found(void **state)
{
    (void)state;
    assert_found(STRINGS("unknown", "02/02/2022", "09/26/2026", "2026.08+ds-2", "Vendor"), "Vendor",
                 "2026.08+ds-2", "09/26/2026");
    assert_found(STRINGS("unknown", "02/02/2022", "EDK II"), "EDK II", "unknown", "02/02/2022");
    assert_found(STRINGS("02/02/2022", "2025.05", "EDK II"), "EDK II", "2025.05", "02/02/2022");
    assert_found(STRINGS("02/02/2022", "01/02/2025", "EDK II"), "EDK II", "unknown", "01/02/2025");
}

/* What a compiler fills up with is not taken for the first character. */
static void test_filler(void **state)
{
    static const uint8_t filler[] = { 0x0f, 0x1f, 0x40, 0x00 };
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    (void)state;
    begin(&v);
    put_string(&v.bytes, "02/02/2022");
    cvm_put_bytes(&v.bytes, filler, sizeof filler);
    put_string(&v.bytes, "Vendor");
    finish(&v);
    must(find(&v, &found, &err), &err);
    assert_string_equal(found.vendor, "Vendor");
}

static void assert_not_found(const char *const *strings, const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    make(&v, strings);
    assert_false(find(&v, &found, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, text);
}

static void test_not_found(void **state)
{
    char longest[64];
    memset(longest, 'v', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    (void)state;
    assert_found(STRINGS("02/02/2022", longest), longest, "unknown", "02/02/2022");
    assert_not_found(STRINGS("02/02/2022",
                             "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
                             "vvvvvvvvvvvv"),
                     "one over 63 characters");
    assert_not_found(STRINGS("02/02/2022", "01/02/2025", "a version", "a vendor", "a fourth"),
                     "more than three");
    assert_not_found(STRINGS("01/02/2025", "a version", "a vendor"), "no date '02/02/2022'");
    assert_not_found(STRINGS("02/02/2022"), "no vendor");
    assert_not_found(STRINGS("02/02/2022", "01/02/2025"), "in an order that is not known");
    assert_not_found(STRINGS("02/02/2022", "a vendor", "01/02/2025", "a version"),
                     "in an order that is not known");
    assert_not_found(STRINGS("02/02/2022", "a version", "a vendor", "01/02/2025"),
                     "in an order that is not known");
    assert_not_found(STRINGS("02/02/2022", "01/02/2025", "01/02/2024", "a vendor"),
                     "in an order that is not known");
}

static void test_no_driver(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    (void)state;
    assert_false(find(&v, &found, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "no driver SmbiosPlatformDxe");
    make(&v, STRINGS("02/02/2022", "EDK II"));
    v.bytes.data[v.start + 18] = 2; /* a file of another type */
    assert_false(find(&v, &found, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "no driver SmbiosPlatformDxe");
}

static void test_damaged_sections(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    (void)state;
    make(&v, STRINGS("02/02/2022", "EDK II"));
    cvm_buf_patch_le(&v.bytes, v.image, 3, 3);
    assert_false(find(&v, &found, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "a section of 3 bytes at offset");
    cvm_buf_patch_le(&v.bytes, v.image, v.end - v.image + 1, 3);
    assert_false(find(&v, &found, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "driver SmbiosPlatformDxe: needs");
}

/* Cut at every length: never found, and a driver that begins but does not end is damaged. */
static void test_short_input(void **state)
{
    struct cvm_smbios_firmware found;
    CVM_CLEANUP(free_volume)
    struct volume v = { 0 };
    (void)state;
    make(&v, STRINGS("02/02/2022", "EDK II"));
    for (size_t n = 0; n < v.end; n++) {
        struct cvm_error err = { 0 };
        cvm_autofree uint8_t *copy = malloc(n + 1); /* so that a read past the end is seen */
        assert_non_null(copy);
        memcpy(copy, v.bytes.data, n);
        assert_false(cvm_smbios_find_strings((struct cvm_bytes){ copy, n }, &found, &err));
        bool begins = n > v.start + 18;
        assert_error(&err, begins ? CVM_ERR_MALFORMED : CVM_ERR_UNSUPPORTED,
                     begins ? "driver SmbiosPlatformDxe: needs" : "no driver");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_filler),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_no_driver),
        cmocka_unit_test(test_damaged_sections),
        cmocka_unit_test(test_short_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
