#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/unit/vmm/place.h"

#include "measure/manifest.h"
#include "vmm/manifest_draft.h"
#include "vmm/manifest_export.h"

#include <stdio.h>

/* A bundle, and two machines whose registers are what their names say. */
struct scene {
    struct place *place;
    struct cvm_bundle bundle;
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_expectation expectations[2];
    struct cvm_warnings warnings;
    struct json_object *vm_config;
    struct cvm_draft_shape shapes[2];
    struct cvm_keys keys;
};

static void fill_registers(struct cvm_expectation *e, uint8_t value)
{
    memset(e->mrtd.bytes, value, sizeof e->mrtd.bytes);
    for (uint8_t i = 0; i < 3; i++) {
        memset(e->rtmr[i].bytes, value + i + 1, sizeof e->rtmr[i].bytes);
    }
}

static void set_shape(struct scene *s, unsigned index, const char *name)
{
    static const char *const texts[] = { "{\"cpu_count\": 1}", "{\"cpu_count\": 2}" };
    s->shapes[index] = (struct cvm_draft_shape){
        .name = name,
        .vm_config = { (const uint8_t *)texts[index], strlen(texts[index]) },
        .report = { .machine = &s->machine,
                    .resolution = &s->resolution,
                    .expectation = &s->expectations[index],
                    .vm_config = s->vm_config,
                    .warnings = &s->warnings },
    };
}

static int set_up(void **state)
{
    struct cvm_error err = { 0 };
    struct scene *s = calloc(1, sizeof *s);
    void *place = NULL;
    assert_non_null(s);
    assert_int_equal(place_setup(&place), 0);
    s->place = place;
    s->bundle = (struct cvm_bundle)CVM_BUNDLE_NONE;
    bundle_make(place, "image", BUNDLE_METADATA);
    must(cvm_bundle_open(place_path(place, "image"), &s->bundle, &err), &err);
    s->machine = (struct cvm_machine){ .qemu = { 9, 2, 1 },
                                       .cpu_count = 1,
                                       .memory_size = UINT64_C(1) << 31,
                                       .layout = cvm_layout_find("pre202505") };
    s->resolution = (struct cvm_resolution){ .variant = { s->machine.layout, "vm_config", "said" },
                                             .layout_source = "declared",
                                             .kernel_measures_source = "default",
                                             .kernel_header_source = "qemu_version",
                                             .page_add_order_source = "qemu_version",
                                             .qemu_version_source = "vm_config" };
    const struct cvm_bytes text = { (const uint8_t *)"{\"cpu_count\":1}", 15 };
    must(cvm_json_parse("it", text, &s->vm_config, &err), &err);
    fill_registers(&s->expectations[0], 0x10);
    fill_registers(&s->expectations[1], 0x10);
    memset(s->expectations[1].rtmr[0].bytes, 0x20, sizeof s->expectations[1].rtmr[0].bytes);
    set_shape(s, 0, "one");
    set_shape(s, 1, "two");
    s->keys.items = calloc(1, sizeof(struct cvm_key *));
    assert_non_null(s->keys.items);
    s->keys.items[s->keys.count++] = load_vector_key("ed25519", CVM_KEY_PRIVATE);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    void *place = s->place;
    cvm_keys_free(&s->keys);
    cvm_json_free(s->vm_config);
    cvm_bundle_free(&s->bundle);
    free(s);
    return place_teardown(&place);
}

static struct cvm_manifest_draft draft_of(const struct scene *s, size_t num_shapes)
{
    return (struct cvm_manifest_draft){ .bundle = &s->bundle,
                                        .shapes = s->shapes,
                                        .num_shapes = num_shapes };
}

/* Signs and verifies a draft. */
static struct cvm_manifest *make(const struct scene *s, const struct cvm_manifest_draft *draft)
{
    struct cvm_error err = { 0 };
    struct cvm_manifest *m = NULL;
    cvm_autobuf struct cvm_buf document = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    const struct cvm_manifest_check check = { .keys = cvm_keys_list(&s->keys),
                                              .num_keys = 1,
                                              .at = 1 };
    must(cvm_manifest_draft_sign(draft, &s->keys, CVM_DSSE_ENVELOPE, &document, &err), &err);
    must(cvm_envelope_parse((struct cvm_bytes){ document.data, document.len }, &e, &err), &err);
    must(cvm_manifest_verify(e, &check, &m, &err), &err);
    return m;
}

static void test_what_is_signed(void **state)
{
    const struct scene *s = *state;
    const struct cvm_manifest_draft draft = draft_of(s, 2);
    cvm_automanifest struct cvm_manifest *m = make(s, &draft);
    assert_int_equal(cvm_manifest_num_shapes(m), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct cvm_manifest_shape *shape = cvm_manifest_shape_at(m, i);
        const struct cvm_expectation *want = &s->expectations[i];
        assert_string_equal(shape->name, i == 0 ? "one" : "two");
        assert_bytes(&shape->expected.mrtd, 48, &want->mrtd, 48);
        assert_bytes(shape->expected.rtmr, sizeof want->rtmr, want->rtmr, sizeof want->rtmr);
        assert_bytes(shape->vm_config.data, shape->vm_config.size, "{\"cpu_count\":1}", 15);
        assert_ptr_equal(cvm_manifest_find(m, &want->mrtd, want->rtmr), shape);
    }
}

static void assert_subjects(const struct scene *s, size_t num_shapes, const char *const *names)
{
    struct cvm_error err = { 0 };
    const struct cvm_manifest_draft draft = draft_of(s, num_shapes);
    cvm_automanifest struct cvm_manifest *m = make(s, &draft);
    cvm_autojson struct json_object *statement = NULL;
    struct subject {
        struct json_object *list;
        const char *name;
    } got = { 0 };
    static const struct cvm_json_field list[] = {
        { "subject", CVM_JSON_ARRAY, offsetof(struct subject, list) }, { 0 }
    };
    static const struct cvm_json_field name[] = {
        { "name", CVM_JSON_STRING, offsetof(struct subject, name) }, { 0 }
    };
    must(cvm_json_parse("it", cvm_manifest_statement(m), &statement, &err), &err);
    must(cvm_json_decode(statement, list, CVM_JSON_IGNORE_UNKNOWN, &got, &err), &err);
    size_t i = 0;
    for (; names[i] != NULL; i++) {
        must(cvm_json_decode(cvm_json_array_at(got.list, i), name, CVM_JSON_IGNORE_UNKNOWN, &got,
                             &err),
             &err);
        assert_string_equal(got.name, names[i]);
    }
    assert_int_equal(cvm_json_array_length(got.list), i);
}

static void test_subjects(void **state)
{
    static const char *const one[] = { "sha256sum.txt", "ovmf.fd",        "kernel", "initrd",
                                       "metadata.json", "vm_config.json", NULL };
    static const char *const two[] = {
        "sha256sum.txt",      "ovmf.fd", "kernel", "initrd", "metadata.json", "one/vm_config.json",
        "two/vm_config.json", NULL
    };
    assert_subjects(*state, 1, one);
    assert_subjects(*state, 2, two);
}

static void assert_refused(const struct scene *s, const struct cvm_manifest_draft *draft,
                           enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf document = { 0 };
    assert_false(cvm_manifest_draft_sign(draft, &s->keys, CVM_DSSE_ENVELOPE, &document, &err));
    assert_error(&err, code, message);
    assert_int_equal(document.len, 0);
}

static void test_drafts_that_cannot_be(void **state)
{
    struct scene *s = *state;
    struct cvm_manifest_draft draft = draft_of(s, 2);
    draft.information = 15;
    assert_refused(s, &draft, CVM_ERR_USAGE, "all registers are for information");
    draft = draft_of(s, 2);
    draft.not_before = "2026-01-02T00:00:00Z";
    draft.not_after = "2026-01-01T00:00:00Z";
    assert_refused(s, &draft, CVM_ERR_USAGE, "validity: it ends (2026-01-01T00:00:00Z) before it");
    draft.not_before = "tomorrow";
    assert_refused(s, &draft, CVM_ERR_USAGE, "validity: 'tomorrow' is not a time");
    draft = draft_of(s, 2);
    draft.emulator = "/nowhere/qemu";
    assert_refused(s, &draft, CVM_ERR_SYSTEM, "emulator: open '/nowhere/qemu'");
    draft.emulator = NULL;
    set_shape(s, 1, "one");
    assert_refused(s, &draft, CVM_ERR_USAGE, "two machines have the name 'one'");
}

/* A name that a verifier's own limits refuse is noticed before anybody gets the manifest. */
static void test_what_nobody_could_verify_is_not_handed_out(void **state)
{
    struct scene *s = *state;
    struct cvm_error err = { 0 };
    const struct cvm_manifest_draft draft = draft_of(s, 1);
    cvm_autobuf struct cvm_buf document = { 0 };
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    set_shape(s, 0, name);
    assert_false(cvm_manifest_draft_sign(&draft, &s->keys, CVM_DSSE_ENVELOPE, &document, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "the manifest would not verify: predicate: shapes[0]");
    assert_int_equal(document.len, 0);
}

/* --- exports --- */

#define HEX8(digit) digit digit digit digit digit digit digit digit
#define HEX48(digit) HEX8(digit) HEX8(digit) HEX8(digit) HEX8(digit) HEX8(digit) HEX8(digit)

static void assert_export(const struct cvm_manifest *m, const char *format, const char *shape,
                          const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    must(cvm_manifest_export(m, format, shape, &out, &err), &err);
    assert_bytes(out.data, out.len, want, strlen(want));
}

static void test_exports(void **state)
{
    const struct scene *s = *state;
    struct cvm_manifest_draft draft = draft_of(s, 2);
    draft.information = CVM_REGISTER_RTMR1 | CVM_REGISTER_RTMR2;
    cvm_automanifest struct cvm_manifest *m = make(s, &draft);
    assert_export(
        m, "plain", "two",
        "{\"signed\":false,\"name\":\"two\",\"os_image_hash\":null,\"mrtd\":\"" HEX48(
            "10") "\",\"rtmr0\":\"" HEX48("20") "\",\"rtmr1\":\"" HEX48("12") "\",\"rtmr2"
                                                                              "\":\"" HEX48(
                                                                                  "13") "\"}");
    assert_export(m, "policy", "one",
                  "[{\"measurement_id\":\"one\",\"attestation_type\":\"dcap-tdx\",\"measurements\":"
                  "{\"mrtd\":{\"expected_any\":[\"" HEX48(
                      "10") "\"]},\"0\":{\"expected_any\":[\"" HEX48("11") "\"]}}}]");
}

static void test_exports_that_cannot_be(void **state)
{
    const struct scene *s = *state;
    struct cvm_error err = { 0 };
    const struct cvm_manifest_draft draft = draft_of(s, 2);
    cvm_automanifest struct cvm_manifest *m = make(s, &draft);
    cvm_autobuf struct cvm_buf out = { 0 };
    assert_false(cvm_manifest_export(m, "xml", NULL, &out, &err));
    assert_error(&err, CVM_ERR_USAGE, "format 'xml' is none of plain, rvps, policy");
    assert_false(cvm_manifest_export(m, "plain", "three", &out, &err));
    assert_error(&err, CVM_ERR_USAGE, "the manifest has no shape 'three'");
    assert_int_equal(out.len, 0);
}

/* --- memory --- */

static struct scene *scene;

static bool sign_and_export(struct cvm_error *err)
{
    const struct cvm_manifest_draft draft = draft_of(scene, 2);
    const struct cvm_manifest_check check = { .keys = cvm_keys_list(&scene->keys),
                                              .num_keys = 1,
                                              .at = 1 };
    cvm_autobuf struct cvm_buf document = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    cvm_autoenvelope struct cvm_envelope *e = NULL;
    cvm_automanifest struct cvm_manifest *m = NULL;
    return cvm_manifest_draft_sign(&draft, &scene->keys, CVM_DSSE_ENVELOPE, &document, err) &&
           cvm_envelope_parse((struct cvm_bytes){ document.data, document.len }, &e, err) &&
           cvm_manifest_verify(e, &check, &m, err) &&
           cvm_manifest_export(m, "rvps", NULL, &out, err);
}

static void test_each_allocation_failing(void **state)
{
    scene = *state;
    assert_in_range(fail_each_allocation(sign_and_export), 50, 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_signed),
        TEST(test_subjects),
        TEST(test_drafts_that_cannot_be),
        TEST(test_what_nobody_could_verify_is_not_handed_out),
        TEST(test_exports),
        TEST(test_exports_that_cannot_be),
        TEST(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
