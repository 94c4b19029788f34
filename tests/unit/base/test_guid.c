#include "tests/support/check.h"

#include "measure/base/guid.h"

static const char sample[] = "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1";

static void test_first_three_groups_are_little_endian(void **state)
{
    struct cvm_guid guid;
    (void)state;
    assert_true(cvm_guid_parse("00112233-4455-6677-8899-aabbccddeeff", &guid));
    assert_hex(guid.bytes, sizeof guid.bytes, "33221100554477668899aabbccddeeff");
    /* EFI_FIRMWARE_FILE_SYSTEM2_GUID as it stands in every OVMF volume header */
    assert_true(cvm_guid_parse("8C8CE578-8A3D-4F1C-9935-896185C32DD3", &guid));
    assert_hex(guid.bytes, sizeof guid.bytes, "78e58c8c3d8a1c4f9935896185c32dd3");
}

static void test_text_is_what_was_parsed(void **state)
{
    struct cvm_guid guid;
    char text[CVM_GUID_TEXT];
    (void)state;
    assert_true(cvm_guid_parse("8C8CE578-8A3D-4F1C-9935-896185C32DD3", &guid));
    cvm_guid_text(&guid, text);
    assert_string_equal(text, "8c8ce578-8a3d-4f1c-9935-896185c32dd3");
}

static void test_put_appends_it(void **state)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    (void)state;
    cvm_put_u8(&b, 0xff);
    cvm_put_guid(&b, sample);
    assert_false(b.failed);
    assert_hex(b.data, b.len, "ffc9bdb87cebf8344faaea3ee4af6516a1");
}

static void test_every_length_but_36(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 36; n++) {
        struct cvm_guid guid;
        cvm_autofree char *text = strndup(sample, n);
        assert_non_null(text);
        assert_int_equal(cvm_guid_parse(text, &guid), n == 36);
    }
    struct cvm_guid guid;
    assert_false(cvm_guid_parse("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1a", &guid));
    assert_false(cvm_guid_parse("{7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1}", &guid));
}

/* One wrong character at each of the 36 places. */
static void test_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < 36; i++) {
        struct cvm_guid guid;
        cvm_autobuf struct cvm_buf b = { 0 };
        char text[sizeof sample];
        memcpy(text, sample, sizeof sample);
        text[i] = sample[i] == '-' ? '0' : '-';
        assert_false(cvm_guid_parse(text, &guid));
        cvm_put_guid(&b, text);
        assert_true(b.failed);
        assert_int_equal(b.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_three_groups_are_little_endian),
        cmocka_unit_test(test_text_is_what_was_parsed),
        cmocka_unit_test(test_put_appends_it),
        cmocka_unit_test(test_every_length_but_36),
        cmocka_unit_test(test_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
