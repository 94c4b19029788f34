/* Aligning logs with expectations: one event too many is one event too many. */
#include "measure/include/cvm/compare.h"

#include "measure/efi.h"
#include "tests/support/check.h"

/* An event of either side: a name, the type it has in logs, and a digest that is one number. */
struct sample {
    const char *name;
    uint32_t type;
    uint8_t digest;
};

static const struct sample older[] = {
    { "td_hob", 0x8000000b, 1 },    { "cfv", 0x8000000a, 2 },  { "secureboot", 0x80000001, 3 },
    { "pk", 0x80000001, 4 },        { "kek", 0x80000001, 5 },  { "db", 0x80000001, 6 },
    { "dbx", 0x80000001, 7 },       { "separator", 4, 8 },     { "acpi_loader", 10, 9 },
    { "acpi_rsdp", 10, 10 },        { "acpi_tables", 10, 11 }, { "boot_order", 0x80000002, 12 },
    { "boot0000", 0x80000002, 13 },
};
static const struct sample newer[] = {
    { "td_hob", 0x8000000b, 1 },      { "cfv", 0x8000000a, 2 },
    { "fwcfg_bootmenu", 10, 20 },     { "fwcfg_bootorder", 10, 21 },
    { "secureboot", 0x80000001, 3 },  { "pk", 0x80000001, 4 },
    { "kek", 0x80000001, 5 },         { "db", 0x80000001, 6 },
    { "dbx", 0x80000001, 7 },         { "separator", 4, 8 },
    { "acpi_loader", 10, 9 },         { "acpi_rsdp", 10, 10 },
    { "acpi_tables", 10, 11 },        { "smbios", 0x80000009, 22 },
    { "boot_order", 0x80000002, 23 }, { "boot0000", 0x80000002, 24 },
    { "boot0001", 0x80000002, 25 },
};

static struct cvm_event_list expected_of(const struct sample *samples, size_t count)
{
    struct cvm_event_list list = { .num_events = (uint32_t)count };
    for (size_t i = 0; i < count; i++) {
        list.events[i].name = samples[i].name;
        list.events[i].digest.bytes[0] = samples[i].digest;
    }
    return list;
}

static struct cvm_event_log log_of(const struct sample *samples, size_t count)
{
    struct cvm_error err = { 0 };
    struct cvm_event_log log = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct cvm_logged_event e = {
            .extended = true,
            .type = samples[i].type,
            .name = "",
            .digest = { { samples[i].digest } },
        };
        must(cvm_event_log_add(&log, &e, true, &err), &err);
    }
    return log;
}

/* One letter per row: = equal, ! different, - missing, + surplus. */
static void aligns(const struct cvm_event_list *expected, const struct cvm_event_log *seen,
                   const char *want)
{
    struct cvm_error err = { 0 };
    struct cvm_comparison c = { 0 };
    char got[200] = "";
    must(cvm_compare_events(expected, seen, 0, &c, &err), &err);
    assert_true(c.num_rows < sizeof got);
    for (uint32_t i = 0; i < c.num_rows; i++) {
        got[i] = "=!-+"[c.rows[i].difference];
    }
    assert_string_equal(got, want);
    assert_int_equal(c.first, strspn(want, "="));
    cvm_comparison_free(&c);
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void equal_lists(void **state)
{
    (void)state;
    const struct cvm_event_list expected = expected_of(newer, COUNT(newer));
    struct cvm_event_log log = log_of(newer, COUNT(newer));
    aligns(&expected, &log, "=================");
    cvm_event_log_free(&log);
}

/* The guest had the newer firmware, the verifier expected the older. */
static void two_layouts(void **state)
{
    (void)state;
    const struct cvm_event_list expected = expected_of(older, COUNT(older));
    struct cvm_event_log log = log_of(newer, COUNT(newer));
    aligns(&expected, &log, "==++=========+!!+");
    cvm_event_log_free(&log);
    const struct cvm_event_list reverse = expected_of(newer, COUNT(newer));
    log = log_of(older, COUNT(older));
    aligns(&reverse, &log, "==--=========-!!-");
    cvm_event_log_free(&log);
}

static void nothing_on_one_side(void **state)
{
    (void)state;
    const struct cvm_event_list expected = expected_of(older, 3);
    const struct cvm_event_list none = { 0 };
    struct cvm_event_log empty = { 0 };
    struct cvm_event_log log = log_of(older, 3);
    aligns(&expected, &empty, "---");
    aligns(&none, &log, "+++");
    aligns(&none, &empty, "");
    cvm_event_log_free(&log);
}

static void only_the_register_and_what_is_extended(void **state)
{
    (void)state;
    struct cvm_event_list expected = expected_of(older, 3);
    struct cvm_event_log log = log_of(older, 3);
    expected.events[2].rtmr = 1;
    log.events[2].rtmr = 2;
    aligns(&expected, &log, "==");
    log.events[0].extended = false;
    aligns(&expected, &log, "-=");
    cvm_event_log_free(&log);
}

/* One variable is missing: the others stay side by side, since they say which one they are. */
static void variables_by_name(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    static const char *const names[] = { "SecureBoot", "KEK", "db", "dbx" };
    const struct cvm_event_list expected = expected_of(older + 2, 5);
    struct cvm_event_log log = { 0 };
    for (size_t i = 0; i < COUNT(names); i++) {
        cvm_autobuf struct cvm_buf data = { 0 };
        efi_put_variable_event(&data, EFI_GLOBAL_VARIABLE_GUID, names[i], (struct cvm_bytes){ 0 });
        const struct cvm_logged_event e = {
            .extended = true,
            .type = 0x80000001,
            .name = "",
            .digest = { { (uint8_t)(40 + i) } }, /* none is as expected */
            .data = { data.data, data.len },
        };
        must(cvm_event_log_add(&log, &e, true, &err), &err);
    }
    aligns(&expected, &log, "!-!!!");
    cvm_event_log_free(&log);
}

/* Files by the name that the log gives them; a label that nothing is expected of decides nothing.
 */
static void files_by_label(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_event_list expected = expected_of(older + 8, 3);
    struct cvm_event_log log = { 0 };
    static const char *const labels[] = { "acpi-rsdp", "acpi-tables", "something" };
    for (size_t i = 0; i < COUNT(labels); i++) {
        const struct cvm_logged_event e = {
            .extended = true, .type = 10, .name = labels[i], .digest = { { (uint8_t)(50 + i) } }
        };
        must(cvm_event_log_add(&log, &e, true, &err), &err);
    }
    aligns(&expected, &log, "-!!+");
    cvm_event_log_free(&log);
}

static void a_kind_is_never_beside_another(void **state)
{
    (void)state;
    static const struct sample separator[] = { { "separator", 4, 60 } };
    const struct cvm_event_list expected = expected_of(older + 8, 1);
    struct cvm_event_log log = log_of(separator, 1);
    aligns(&expected, &log, "-+");
    cvm_event_log_free(&log);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(cvm_difference_word(CVM_SAME), "equal");
    assert_string_equal(cvm_difference_word(CVM_DIFFERENT), "different");
    assert_string_equal(cvm_difference_word(CVM_MISSING), "missing");
    assert_string_equal(cvm_difference_word(CVM_SURPLUS), "surplus");
}

static struct cvm_event_list list;
static struct cvm_event_log seen;

static bool compare(struct cvm_error *err)
{
    struct cvm_comparison c = { 0 };
    bool ok = cvm_compare_events(&list, &seen, 0, &c, err);
    cvm_comparison_free(&c);
    return ok;
}

static void out_of_memory(void **state)
{
    (void)state;
    list = expected_of(older, COUNT(older));
    seen = log_of(newer, COUNT(newer));
    assert_true(fail_each_allocation(compare) >= 5);
    cvm_event_log_free(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_lists),
        cmocka_unit_test(two_layouts),
        cmocka_unit_test(nothing_on_one_side),
        cmocka_unit_test(only_the_register_and_what_is_extended),
        cmocka_unit_test(variables_by_name),
        cmocka_unit_test(files_by_label),
        cmocka_unit_test(a_kind_is_never_beside_another),
        cmocka_unit_test(words),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
