#include "tests/support/check.h"

#include "vmm/ovmf_variant.h"

#include <stdio.h>

#define PRE "pre202505"
#define STABLE "stable202505"

/* --- versions --- */

static void test_versions(void **state)
{
    static const struct {
        const char *text;
        struct cvm_image_version version;
    } good[] = {
        { "0.5.10", { { 0, 5, 10 } } },
        { "0.0.0", { { 0, 0, 0 } } },
        { "0.5.10.rc1", { { 0, 5, 10 } } },
        { "0.5.10.1", { { 0, 5, 10 } } },
        { "0.5.10.-", { { 0, 5, 10 } } },
        { "00.05.010", { { 0, 5, 10 } } },
        { "4294967295.4294967295.4294967295", { { UINT32_MAX, UINT32_MAX, UINT32_MAX } } },
    };
    static const char *const bad[] = {
        "",
        "0",
        "0.5",
        "0.5.",
        "v0.5.10",
        "0.5.10-dev",
        "0.5.10.",
        "0.5.10..",
        "0.5.10..a",
        "0.5.10.1.2",
        "0.5.10.rc1.",
        ".5.10",
        "0..10",
        "0.5.10 ",
        " 0.5.10",
        "+0.5.10",
        "0.-5.10",
        "0x0.5.10",
        "0.5.10rc1",
        "0.5.10\n",
        "0,5,10",
        "0.5.1O",
        "4294967296.0.0",
        "0.0.99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_image_version v = { { 7, 7, 7 } };
        if (!cvm_image_version_parse(good[i].text, &v)) {
            fail_msg("'%s' is a version", good[i].text);
        }
        assert_memory_equal(&v, &good[i].version, sizeof v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_image_version v;
        if (cvm_image_version_parse(bad[i], &v)) {
            fail_msg("'%s' is no version", bad[i]);
        }
    }
}

static void test_the_order_of_versions(void **state)
{
    static const struct cvm_image_version ascending[] = {
        { { 0, 0, 1 } },  { { 0, 4, 99 } }, { { 0, 5, 0 } }, { { 0, 5, 9 } },
        { { 0, 5, 10 } }, { { 0, 6, 0 } },  { { 1, 0, 0 } }, { { UINT32_MAX, 0, 0 } },
    };
    const int count = sizeof ascending / sizeof ascending[0];
    (void)state;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = cvm_image_version_compare(&ascending[i], &ascending[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

/* --- the resolution order --- */

struct rule_case {
    struct cvm_variant_evidence evidence;
    const char *variant, *rule, *source;
    unsigned warnings;
    const char *says; /* in one of the warnings; NULL where there is none */
};

/* What every warning about something inferred ends with. */
#define HOW_TO_DECLARE "; declare it as \"ovmf_variant\" in metadata.json or give --ovmf-variant"

static bool said(const struct cvm_warnings *w, const char *text)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (strstr(w->items[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static void check_case(const struct rule_case *c, size_t number)
{
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_variant v = { 0 };
    must(cvm_ovmf_variant_resolve(&c->evidence, &w, &v, &err), &err);
    if (strcmp(v.layout->name, c->variant) != 0 || strcmp(v.rule, c->rule) != 0 ||
        strcmp(v.source, c->source) != 0 || w.count != c->warnings) {
        fail_msg("case %zu: %s by %s from %s with %u warnings", number, v.layout->name, v.rule,
                 v.source, w.count);
    }
    if (c->says != NULL && !said(&w, c->says)) {
        fail_msg("case %zu: no warning says '%s', the first is '%s'", number, c->says, w.items[0]);
    }
}

/* Each rule decides where all before it are silent, whatever those behind it would say. */
static void test_the_order_of_rules(void **state)
{
    /* clang-format off */
    static const struct rule_case cases[] = {
        { { PRE, STABLE, STABLE, PRE, false, "0.5.10", "dstack-0.5.10" }, PRE, "option", "option", 0, NULL },
        { { NULL, STABLE, PRE, STABLE, false, "0.5.9", "dstack-0.5.9" }, STABLE, "vm_config", "vm_config", 0, NULL },
        { { "", "", STABLE, PRE, true, "0.5.9", "dstack-0.5.9" }, STABLE, "metadata", "metadata", 0, NULL },
        { { NULL, NULL, PRE, STABLE, false, "0.5.10", "dstack-0.5.10" }, PRE, "metadata", "metadata", 0, NULL },
        { { NULL, NULL, NULL, STABLE, false, NULL, "dstack-0.5.9" }, STABLE, "measurement", "measurement", 0, NULL },
        { { NULL, NULL, "", "", true, "0.5.10", "dstack-0.5.9" }, STABLE, "version", "metadata", 1, "was inferred from version 0.5.10 in metadata.json" },
        { { NULL, NULL, NULL, NULL, true, NULL, "dstack-0.5.10" }, STABLE, "image-name", "image-name", 1, "inferred from the image name 'dstack-0.5.10'" },
        { { NULL, NULL, NULL, NULL, true, "", "dstack" }, PRE, "default", "default", 1, "pre202505 is the default" },
        { { NULL, NULL, NULL, NULL, false, NULL, NULL }, PRE, "default", "default", 1, "nothing says which ovmf_variant the image has" },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&cases[i], i);
    }
}

/* The measurement counts only where no bundle is at hand. */
static void test_a_bundle_silences_the_measurement(void **state)
{
    static const struct rule_case cases[] = {
        { { .measurement = STABLE, .has_bundle = true, .version = "0.5.9" },
          PRE,
          "version",
          "metadata",
          1,
          HOW_TO_DECLARE },
        { { .measurement = STABLE, .has_bundle = true }, PRE, "default", "default", 1, NULL },
        { { .measurement = STABLE }, STABLE, "measurement", "measurement", 0, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&cases[i], i);
    }
}

static void test_boundaries_of_the_version_rule(void **state)
{
    static const struct {
        const char *version, *variant;
    } table[] = {
        { "0.0.0", PRE },
        { "0.4.99", PRE },
        { "0.5.9", PRE },
        { "0.5.9.99", PRE },
        { "0.5.10", STABLE },
        { "0.5.10.rc1", STABLE },
        { "0.5.11", STABLE },
        { "0.5.99", STABLE },
        { "0.5.4294967295", STABLE },
        { "0.6.0", PRE },
        { "0.6.0.1", PRE },
        { "0.6.1", STABLE },
        { "0.6.1.rc1", STABLE },
        { "0.7.0", STABLE },
        { "1.0.0", STABLE },
        { "4294967295.0.0", STABLE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "dstack-%s", table[i].version);
        const struct rule_case by_version = {
            { .has_bundle = true, .version = table[i].version, .image_name = "dstack" },
            table[i].variant,
            "version",
            "metadata",
            1,
            HOW_TO_DECLARE
        };
        const struct rule_case by_name = { { .has_bundle = true, .image_name = name },
                                           table[i].variant,
                                           "image-name",
                                           "image-name",
                                           1,
                                           HOW_TO_DECLARE };
        check_case(&by_version, i);
        check_case(&by_name, i);
    }
}

/* A malformed version is no version: the next rule decides, and a warning names the field. */
static void test_malformed_versions(void **state)
{
    static const char *const malformed[] = { "0.5",        "v0.5.10", "0.5.10-dev", "0.5.10.",
                                             "0.5.10.1.2", "latest",  " 0.5.10" };
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        char says[128];
        snprintf(says, sizeof says, "metadata.json: version '%s' is not MAJOR.MINOR.PATCH[.SUFFIX]",
                 malformed[i]);
        const struct rule_case then_name = {
            { .has_bundle = true, .version = malformed[i], .image_name = "dstack-0.5.10" },
            STABLE,
            "image-name",
            "image-name",
            2,
            says
        };
        const struct rule_case then_default = {
            { .has_bundle = true, .version = malformed[i], .image_name = "dstack-0.5.10-4c9bd024" },
            PRE,
            "default",
            "default",
            2,
            says
        };
        check_case(&then_name, i);
        check_case(&then_default, i);
    }
}

static void test_image_names(void **state)
{
    static const struct {
        const char *name, *variant, *rule;
    } names[] = {
        { "dstack-0.5.10", STABLE, "image-name" },
        { "dstack-0.5.9", PRE, "image-name" },
        { "dstack-dev-0.5.10", STABLE, "image-name" },
        { "dstack-nvidia-0.5.10", STABLE, "image-name" },
        { "dstack-nvidia-dev-0.5.10.rc1", STABLE, "image-name" },
        { "dstack-0.6.0", PRE, "image-name" },
        { "-0.6.1", STABLE, "image-name" },
        { "dstack-0.5.10-4c9bd024", PRE, "default" }, /* the bug that this order cures */
        { "dstack-0.5.10-0.5.9", PRE, "image-name" }, /* the last "-" counts */
        { "0.5.10", PRE, "default" },
        { "dstack-0.5.10-", PRE, "default" },
        { "dstack-0.5.10.", PRE, "default" },
        { "dstack-0.5", PRE, "default" },
        { "dstack-v0.5.10", PRE, "default" },
        { "dstack-0.5.10.1.2", PRE, "default" },
        { "dstack_0.5.10", PRE, "default" },
        { "dstack", PRE, "default" },
        { "", PRE, "default" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct rule_case c = { { .has_bundle = true, .image_name = names[i].name },
                                     names[i].variant,
                                     names[i].rule,
                                     names[i].rule,
                                     1,
                                     HOW_TO_DECLARE };
        check_case(&c, i);
    }
}

/* --- errors --- */

static void test_unknown_names_are_errors(void **state)
{
    static const struct {
        struct cvm_variant_evidence evidence;
        const char *message;
    } bad[] = {
        { { .option = "stable" }, "'stable' from option is not known" },
        { { .option = "Stable202505" }, "'Stable202505' from option is not known" },
        { { .option = " stable202505" }, "' stable202505' from option" },
        { { .vm_config = "edk2" }, "'edk2' from vm_config is not known" },
        { { .metadata = "pre202505 ", .version = "0.5.10", .has_bundle = true },
          "'pre202505 ' from metadata is not known" },
        { { .measurement = "x" }, "'x' from measurement is not known" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_variant v = { 0 };
        assert_false(cvm_ovmf_variant_resolve(&bad[i].evidence, &w, &v, &err));
        assert_non_null(strstr(err.msg, "known are pre202505 and stable202505"));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
        assert_null(v.layout);
    }
}

/* A declaration and the measurement it carries must agree, unless rule 1 decides. */
static void test_contradictions(void **state)
{
    static const char message[] = "vm_config says ovmf_variant 'pre202505', the compact "
                                  "measurement it carries says 'stable202505'";
    struct cvm_variant_evidence e = { .vm_config = PRE, .measurement = STABLE };
    (void)state;
    for (int with_bundle = 0; with_bundle < 2; with_bundle++) {
        struct cvm_error err = { 0 };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_variant v = { 0 };
        e.has_bundle = with_bundle == 1;
        assert_false(cvm_ovmf_variant_resolve(&e, &w, &v, &err));
        assert_error(&err, CVM_ERR_MALFORMED, message);
    }
    e.option = STABLE;
    const struct rule_case settled = { e, STABLE, "option", "option", 0, NULL };
    check_case(&settled, 0);
    const struct rule_case agreed = {
        { .vm_config = STABLE, .measurement = STABLE }, STABLE, "vm_config", "vm_config", 0, NULL
    };
    check_case(&agreed, 1);
}

static void test_warnings_are_kept_once(void **state)
{
    cvm_autowarnings struct cvm_warnings w = { 0 };
    (void)state;
    cvm_warn(&w, "one %d", 1);
    cvm_warn(&w, "one %d", 1);
    cvm_warn(&w, "two");
    assert_int_equal(w.count, 2);
    assert_string_equal(w.items[0], "one 1");
    for (unsigned i = 0; i < 2 * CVM_MAX_WARNINGS; i++) {
        cvm_warn(&w, "number %u", i);
    }
    assert_int_equal(w.count, CVM_MAX_WARNINGS);
}

/* --- held against the firmware file --- */

/* A file whose layout was read out. */
static struct cvm_firmware firmware_of(const char *name)
{
    struct cvm_firmware f = { .layout_state = CVM_LAYOUT_DERIVED };
    if (name != NULL) {
        f.layout = *cvm_layout_find(name);
    }
    return f;
}

static const struct cvm_variant guessed = { .rule = "version", .source = "metadata" };

static struct cvm_variant variant_named(const char *name)
{
    struct cvm_variant v = guessed;
    v.layout = cvm_layout_find(name);
    return v;
}

static void test_the_file_agrees(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_layout_choice choice;
    const struct cvm_variant v = variant_named("stable202505");
    struct cvm_firmware f = firmware_of("stable202505");
    const struct cvm_layout_evidence e = { .firmware = &f };
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_ptr_equal(choice.layout, &f.layout);
    assert_string_equal(choice.source, "derived");
    assert_int_equal(w.count, 0);
    f.layout_state = CVM_LAYOUT_VERIFIED;
    f.layout.cmdline_form = CVM_CMDLINE_PREFIX;
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_string_equal(choice.source, "verified");
    assert_true(said(&w, "in front of the command line"));
}

static void test_the_file_contradicts(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_layout_choice choice;
    const struct cvm_variant v = variant_named("stable202505");
    const struct cvm_firmware f = firmware_of("pre202505");
    struct cvm_layout_evidence e = { .firmware = &f, .no_tee = true };
    assert_false(cvm_layout_choose(&v, &e, &w, &choice, &err));
    assert_error(&err, CVM_ERR_MISMATCH,
                 "ovmf_variant stable202505 (by rule version) contradicts the firmware file, whose "
                 "layout is pre202505 (13 events, derived); to settle it, give --ovmf-variant "
                 "pre202505, or declare \"ovmf_variant\": \"pre202505\" in metadata.json");
    e.trust_declared = true;
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_ptr_equal(choice.layout, cvm_layout_find("stable202505"));
    assert_string_equal(choice.source, "declared");
    assert_true(said(&w, "measured by the declared ovmf_variant stable202505"));
}

static void test_a_layout_without_a_name(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_layout_choice choice;
    const struct cvm_variant v = variant_named("pre202505");
    struct cvm_firmware f = firmware_of("stable202505");
    const struct cvm_layout_evidence e = { .firmware = &f };
    f.layout.name[0] = '\0';
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_ptr_equal(choice.layout, &f.layout);
    assert_string_equal(choice.source, "derived");
    assert_true(said(&w, "RTMR0 is measured from the file (17 events)"));
}

static void test_firmware_that_measures_nothing(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_layout_choice choice;
    const struct cvm_variant v = variant_named("pre202505");
    const struct cvm_firmware f = firmware_of(NULL);
    struct cvm_layout_evidence e = { .firmware = &f };
    assert_false(cvm_layout_choose(&v, &e, &w, &choice, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "the firmware measures nothing in a TD");
    e.no_tee = true;
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_ptr_equal(choice.layout, v.layout);
    assert_string_equal(choice.source, "declared");
    assert_true(said(&w, "the firmware measures nothing in a TD"));
    e = (struct cvm_layout_evidence){ .firmware = &f, .trust_declared = true };
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_string_equal(choice.source, "declared");
}

static void test_a_file_that_does_not_tell(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_layout_choice choice;
    const struct cvm_variant v = variant_named("pre202505");
    const struct cvm_firmware f = { .layout_reason = "for some reason" };
    struct cvm_layout_evidence e = { .firmware = &f };
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_ptr_equal(choice.layout, v.layout);
    assert_string_equal(choice.source, "declared");
    assert_true(said(&w, "could not be read from its file (for some reason)"));
    e.firmware = NULL;
    cvm_warnings_free(&w);
    must(cvm_layout_choose(&v, &e, &w, &choice, &err), &err);
    assert_string_equal(choice.source, "declared");
    assert_int_equal(w.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_the_order_of_versions),
        cmocka_unit_test(test_the_order_of_rules),
        cmocka_unit_test(test_a_bundle_silences_the_measurement),
        cmocka_unit_test(test_boundaries_of_the_version_rule),
        cmocka_unit_test(test_malformed_versions),
        cmocka_unit_test(test_image_names),
        cmocka_unit_test(test_unknown_names_are_errors),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_warnings_are_kept_once),
        cmocka_unit_test(test_the_file_agrees),
        cmocka_unit_test(test_the_file_contradicts),
        cmocka_unit_test(test_a_layout_without_a_name),
        cmocka_unit_test(test_firmware_that_measures_nothing),
        cmocka_unit_test(test_a_file_that_does_not_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
