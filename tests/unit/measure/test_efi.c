/*
 * The digests are events of real firmware: tests/vectors/firmware/td-d-bios.extends, events 4 to
 * 8 (variables) and 16, 17 (boot options); td-b-bios.extends, last event (UiApp).
 */
#include "measure/efi.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"

static void assert_digest(struct cvm_buf *data, const char *want)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    assert_true(cvm_buf_finish(data, "event", &err));
    assert_true(cvm_sha384(data->data, data->len, &digest, &err));
    assert_hex(digest.bytes, sizeof digest.bytes, want);
    cvm_buf_free(data);
}

static void empty_secure_boot_variables(void **state)
{
    (void)state;
    static const struct {
        const char *guid, *name, *digest;
    } variables[] = {
        { EFI_GLOBAL_VARIABLE_GUID, "SecureBoot",
          "9dc3a1f80bcec915391dcda5ffbb15e7419f77eab462bbf72b42166fb70d50325e37b36f93537a863769bcf9bedae6fb" },
        { EFI_GLOBAL_VARIABLE_GUID, "PK",
          "6f2e3cbc14f9def86980f5f66fd85e99d63e69a73014ed8a5633ce56eca5b64b692108c56110e22acadcef58c3250f1b" },
        { EFI_GLOBAL_VARIABLE_GUID, "KEK",
          "d607c0efb41c0d757d69bca0615c3a9ac0b1db06c557d992e906c6b7dee40e0e031640c7bfd7bcd35844ef9edeadc6f9" },
        { EFI_IMAGE_SECURITY_DATABASE_GUID, "db",
          "08a74f8963b337acb6c93682f934496373679dd26af1089cb4eaf0c30cf260a12e814856385ab8843e56a9acea19e127" },
        { EFI_IMAGE_SECURITY_DATABASE_GUID, "dbx",
          "18cc6e01f0c6ea99aa23f8a280423e94ad81d96d0aeb5180504fc0f7a40cb3619dd39bd6a95ec1680a86ed6ab0f9828d" },
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        struct cvm_buf event = { 0 };
        efi_put_variable_event(&event, variables[i].guid, variables[i].name,
                               (struct cvm_bytes){ 0 });
        assert_digest(&event, variables[i].digest);
    }
}

static void every_byte_of_a_variable(void **state)
{
    (void)state;
    static const uint8_t data[] = { 0x01, 0xff, 0x00 };
    struct cvm_buf event = { 0 };
    efi_put_variable_event(&event, "00112233-4455-6677-8899-aabbccddeeff", "PK",
                           (struct cvm_bytes){ data, sizeof data });
    assert_hex(event.data, event.len,
               "33221100554477668899aabbccddeeff"
               "0200000000000000"
               "0300000000000000"
               "50004b00"
               "01ff00");
    cvm_buf_free(&event);
}

static void boot_options_of_the_layouts(void **state)
{
    (void)state;
    static const struct {
        const char *layout;
        size_t option;
        const char *digest;
    } options[] = {
        { "pre202505", 0,
          "23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298" },
        { "stable202505", 0,
          "5068e6a9ded2a1c3a8ebb5d26004410ea8670742d8f444c5c3d161b76c66fa23a7b1d2fb3f9840570b675384b5818f2d" },
        { "stable202505", 1,
          "dd424f2eeb35f3e8a2c2f50f6cc87ff90b7577e92ce63e13a22869d07d104fd5ea9800e6e4f12c5058fc4eaa78374f20" },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct cvm_buf data = { 0 };
        const struct cvm_layout *layout = cvm_layout_find(options[i].layout);
        assert_non_null(layout);
        assert_true(options[i].option < layout->num_boot_options);
        efi_put_load_option(&data, cvm_boot_option_at(layout->boot_options[options[i].option]));
        assert_digest(&data, options[i].digest);
    }
}

static void every_byte_of_a_boot_option(void **state)
{
    (void)state;
    const struct cvm_boot_option option = {
        .attributes = 0x109,
        .description = "Ui",
        .volume_guid = "00112233-4455-6677-8899-aabbccddeeff",
        .file_guid = "ffeeddcc-bbaa-9988-7766-554433221100",
    };
    struct cvm_buf data = { 0 };
    efi_put_load_option(&data, &option);
    assert_hex(data.data, data.len,
               "09010000"
               "2c00"         /* 44 bytes of device path */
               "550069000000" /* description and its NUL */
               "04071400"
               "33221100554477668899aabbccddeeff"
               "04061400"
               "ccddeeffaabb88997766554433221100"
               "7fff0400");
    cvm_buf_free(&data);
}

static void a_bad_guid_fails_the_buffer(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_buf event = { 0 };
    efi_put_variable_event(&event, "8be4df61", "PK", (struct cvm_bytes){ 0 });
    assert_false(cvm_buf_finish(&event, "event", &err));
    cvm_buf_free(&event);
}

static void layouts_by_name(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct cvm_layout *layout; (layout = cvm_layout_at(count)) != NULL; count++) {
        assert_ptr_equal(cvm_layout_find(layout->name), layout);
    }
    assert_int_equal(count, 2);
    assert_null(cvm_layout_at(SIZE_MAX));
    assert_null(cvm_layout_find(""));
    assert_null(cvm_layout_find("stable202506"));
    assert_int_equal(cvm_layout_find("pre202505")->num_events, 13);
    /* four of them exist only on machines that have what they measure */
    assert_int_equal(cvm_layout_find("stable202505")->num_events, 21);
    assert_int_equal(cvm_layout_num_usual_events(cvm_layout_find("stable202505")), 17);
    assert_int_equal(cvm_layout_num_usual_events(cvm_layout_find("pre202505")), 13);
}

static void layouts_are_compared_by_contents(void **state)
{
    (void)state;
    const struct cvm_layout *known = cvm_layout_find("stable202505");
    struct cvm_layout copy = *known;
    assert_true(cvm_layout_equal(&copy, known));
    copy.cmdline_form = CVM_CMDLINE_PREFIX;
    assert_true(cvm_layout_same_events(&copy, known));
    assert_false(cvm_layout_equal(&copy, known));
    copy = *known;
    copy.name[0] = 'S';
    assert_true(cvm_layout_same_events(&copy, known));
    assert_false(cvm_layout_equal(&copy, known));
    copy = *known;
    copy.boot_options[1] = CVM_BOOT_UI_APP;
    assert_false(cvm_layout_same_events(&copy, known));
    copy = *known;
    copy.events[5] = CVM_LAYOUT_SMBIOS;
    assert_false(cvm_layout_same_events(&copy, known));
    copy = *known;
    copy.secure_boot_byte = true;
    assert_false(cvm_layout_same_events(&copy, known));
    assert_false(cvm_layout_same_events(cvm_layout_find("pre202505"), known));
}

static void each_kind_of_event_has_words(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < CVM_LAYOUT_KINDS; kind++) {
        assert_non_null(cvm_layout_event_name((enum cvm_layout_kind)kind));
        assert_non_null(cvm_layout_event_source((enum cvm_layout_kind)kind));
    }
    assert_null(cvm_layout_event_name(CVM_LAYOUT_KINDS));
    assert_null(cvm_layout_event_source(CVM_LAYOUT_KINDS));
    assert_false(cvm_layout_event_is_optional(CVM_LAYOUT_KINDS));
    assert_null(cvm_boot_option_at(CVM_BOOT_APPS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_secure_boot_variables),
        cmocka_unit_test(every_byte_of_a_variable),
        cmocka_unit_test(boot_options_of_the_layouts),
        cmocka_unit_test(every_byte_of_a_boot_option),
        cmocka_unit_test(a_bad_guid_fails_the_buffer),
        cmocka_unit_test(layouts_by_name),
        cmocka_unit_test(layouts_are_compared_by_contents),
        cmocka_unit_test(each_kind_of_event_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
