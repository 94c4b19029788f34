#include "measure/firmware_layout.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/sample_volume.h"
#include "tests/unit/measure/samples.h"

/* Builds that were seen, as their files say. */
static const struct cvm_firmware_features pre202505 = {
    .measures = true, .acpi = true, .ui_app = true, .cmdline_suffix = true
};
static const struct cvm_firmware_features stable202505 = { .measures = true,
                                                           .fw_cfg = true,
                                                           .acpi = true,
                                                           .smbios = true,
                                                           .boot_manager_menu = true,
                                                           .ui_app = true,
                                                           .cmdline_suffix = true };

static void assert_layout(const struct cvm_layout *layout, const char *name, uint32_t events)
{
    assert_string_equal(layout->name, name);
    assert_int_equal(cvm_layout_num_usual_events(layout), events);
}

static struct cvm_layout layout_of(struct cvm_firmware_features features)
{
    char reason[CVM_LAYOUT_REASON_SIZE] = "";
    struct cvm_layout layout;
    assert_true(firmware_layout_of(&features, &layout, reason));
    assert_string_equal(reason, "");
    return layout;
}

static void layouts_that_were_seen(void **state)
{
    (void)state;
    struct cvm_firmware_features f = pre202505;
    struct cvm_layout layout = layout_of(f);
    assert_true(cvm_layout_equal(&layout, cvm_layout_find("pre202505")));
    f = stable202505;
    layout = layout_of(f);
    assert_true(cvm_layout_equal(&layout, cvm_layout_find("stable202505")));
    f.cmdline_suffix = false; /* Debian 2026.08 */
    f.cmdline_prefix = true;
    layout = layout_of(f);
    assert_layout(&layout, "stable202505", 17);
    assert_int_equal(layout.cmdline_form, CVM_CMDLINE_PREFIX);
    f.ui_app = false; /* Debian's inteltdx 2026.08 */
    f.secure_boot_config = true;
    layout = layout_of(f);
    assert_layout(&layout, "", 16);
    assert_true(layout.secure_boot_byte);
    assert_int_equal(layout.num_boot_options, 1);
    assert_int_equal(layout.boot_options[0], CVM_BOOT_MANAGER_MENU);
    f.boot_manager_menu = false; /* edk2-stable202605: no BootOrder without boot options */
    f.secure_boot_config = false;
    layout = layout_of(f);
    assert_layout(&layout, "", 14);
    assert_int_equal(layout.events[layout.num_events - 1], CVM_LAYOUT_SMBIOS);
    f.measures = false; /* Debian 2022.11 */
    layout = layout_of(f);
    assert_layout(&layout, "", 0);
}

/* The state of secure boot is an event's data: such a build is of no named layout. */
static void builds_with_secure_boot_have_no_name(void **state)
{
    (void)state;
    struct cvm_firmware_features f = pre202505;
    f.secure_boot_config = true;
    struct cvm_layout layout = layout_of(f);
    assert_layout(&layout, "", 13);
    f = pre202505;
    f.ui_app = false;
    layout = layout_of(f);
    assert_layout(&layout, "", 11);
    f = stable202505;
    f.boot_manager_menu = false; /* the next number is then 0 */
    layout = layout_of(f);
    assert_layout(&layout, "", 16);
    assert_int_equal(layout.boot_options[0], CVM_BOOT_FIRMWARE_SETUP);
}

static void assert_unknown(struct cvm_firmware_features features, const char *text)
{
    char reason[CVM_LAYOUT_REASON_SIZE] = "";
    struct cvm_layout layout;
    assert_false(firmware_layout_of(&features, &layout, reason));
    assert_non_null(strstr(reason, text));
}

static void layouts_that_are_not_known(void **state)
{
    (void)state;
    struct cvm_firmware_features f = pre202505;
    f.boot_manager_menu = true;
    assert_unknown(f, "its boot options are not known");
    f = stable202505;
    f.cmdline_prefix = true;
    assert_unknown(f, "both of the texts");
    f.cmdline_prefix = false;
    f.cmdline_suffix = false;
    assert_unknown(f, "none of the texts");
}

/* --- whole files --- */

static struct cvm_firmware inspect(const struct cvm_buf *bytes)
{
    struct cvm_error err = { 0 };
    struct cvm_firmware f;
    must(cvm_firmware_inspect(bytes_of(bytes), &f, &err), &err);
    return f;
}

static void reads_the_layout_out_of_a_file(void **state)
{
    (void)state;
    const struct cvm_firmware_features *builds[] = { &pre202505, &stable202505 };
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    for (size_t i = 0; i < 2; i++) {
        struct cvm_sha384 digest;
        struct cvm_error err = { 0 };
        struct cvm_buf bytes = firmware_build_volumes(builds[i], bytes_of(&store));
        const struct cvm_firmware f = inspect(&bytes);
        must(cvm_sha384(bytes.data, bytes.len, &digest, &err), &err);
        assert_bytes(f.digest.bytes, 48, digest.bytes, 48);
        must(cvm_sha384(store.data, store.len, &digest, &err), &err);
        assert_bytes(f.cfv.bytes, 48, digest.bytes, 48);
        assert_int_equal(f.size, bytes.len);
        assert_int_equal(f.layout_state, CVM_LAYOUT_DERIVED);
        assert_true(cvm_layout_equal(&f.layout, cvm_layout_at(i)));
        assert_memory_equal(&f.features, builds[i], sizeof f.features);
        assert_int_equal(f.variables.format, CVM_STORE_AUTHENTICATED);
        assert_null(cvm_firmware_evidence(&f.digest));
        cvm_buf_free(&bytes);
    }
    cvm_buf_free(&store);
}

static void assert_reason(const struct cvm_buf *bytes, const char *reason)
{
    const struct cvm_firmware f = inspect(bytes);
    assert_int_equal(f.layout_state, CVM_LAYOUT_UNKNOWN);
    assert_string_equal(f.layout_reason, reason);
    assert_int_equal(f.layout.num_events, 0);
}

static void files_that_do_not_tell(void **state)
{
    (void)state;
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    struct cvm_buf bytes = firmware_build(&firmware_plain);
    assert_reason(&bytes, "its code is in no firmware volume");
    cvm_buf_free(&bytes);
    bytes = firmware_build_volumes(&pre202505, bytes_of(&store));
    size_t section = 0x1000 + 0x60 + 24;
    bytes.data[section + 4] ^= 1; /* the method's GUID */
    assert_reason(&bytes, "a section is packed by ee4e5899-3914-4259-9d6e-dc7bd79403cf, which is "
                          "not known");
    bytes.data[section + 3] = 0x19; /* a raw section */
    assert_reason(&bytes, "it has no volume 7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1 with the drivers "
                          "that measure");
    cvm_buf_free(&bytes);
    cvm_buf_free(&store);
}

static void assert_refused(const struct cvm_buf *bytes, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_firmware f;
    assert_false(cvm_firmware_inspect(bytes_of(bytes), &f, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

/* Offsets in messages are those of the file. */
static void damaged_files(void **state)
{
    (void)state;
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    struct cvm_buf bytes = firmware_build_volumes(&pre202505, bytes_of(&store));
    cvm_buf_patch_le(&bytes, 0x1000 + VOLUME_LENGTH, 0x5000, 8);
    assert_refused(&bytes, "firmware volume at offset 0x1000: length 0x5000 runs past the end, "
                           "0x4000 are left");
    cvm_buf_patch_le(&bytes, 0x1000 + VOLUME_LENGTH, 0x2000, 8);
    bytes.data[0x1060 + 24 + 24 + 13 + 40] ^= 0xff; /* in the packed data */
    assert_refused(&bytes, "packed section at offset 0x1078: LZMA stream: ");
    bytes.data[0x1060 + 24 + 24 + 13 + 40] ^= 0xff;
    cvm_buf_patch_le(&bytes, STORE_STATE_AT, 0, 1);
    assert_refused(&bytes, "variable store at offset 0x48: format 0x5a, state 0x00");
    cvm_buf_free(&bytes);
    cvm_buf_free(&store);
}

/* Whatever is cut off, the answer is an error and no read behind the end. */
static void short_input(void **state)
{
    (void)state;
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    struct cvm_buf bytes = firmware_build_volumes(&pre202505, bytes_of(&store));
    for (size_t n = 0; n < bytes.len; n += 97) {
        struct cvm_error err = { 0 };
        struct cvm_firmware f;
        uint8_t *head = exact_copy(bytes.data, n);
        assert_false(cvm_firmware_inspect((struct cvm_bytes){ head, n }, &f, &err));
        free(head);
        err.code = CVM_OK; /* the end is where the metadata are: cut off the start too */
        uint8_t *tail = exact_copy(bytes.data + n, bytes.len - n);
        (void)!cvm_firmware_inspect((struct cvm_bytes){ tail, bytes.len - n }, &f, &err);
        free(tail);
    }
    cvm_buf_free(&bytes);
    cvm_buf_free(&store);
}

static struct cvm_buf failing;

static bool inspect_failing(struct cvm_error *err)
{
    struct cvm_firmware f;
    return cvm_firmware_inspect(bytes_of(&failing), &f, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    failing = firmware_build_volumes(&stable202505, bytes_of(&store));
    assert_true(fail_each_allocation(inspect_failing) > 8);
    cvm_buf_free(&failing);
    cvm_buf_free(&store);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(cvm_layout_state_word(CVM_LAYOUT_UNKNOWN), "unknown");
    assert_string_equal(cvm_layout_state_word(CVM_LAYOUT_DERIVED), "derived");
    assert_string_equal(cvm_layout_state_word(CVM_LAYOUT_VERIFIED), "verified");
    assert_string_equal(cvm_layout_state_word((enum cvm_layout_state)3), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_that_were_seen),
        cmocka_unit_test(builds_with_secure_boot_have_no_name),
        cmocka_unit_test(layouts_that_are_not_known),
        cmocka_unit_test(reads_the_layout_out_of_a_file),
        cmocka_unit_test(files_that_do_not_tell),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(short_input),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
