/* Verdicts: what is a finding, what is an error, and what the answer says. */
#include "tests/support/check.h"

#include "vmm/verify.h"

#include <stdio.h>

#define HW_VECTOR "hw/tdx-lite-2cpu-2g.json"
enum { VALID = 1796083200 }; /* 2026-12-01 */

static struct cvm_evidence evidence;
static struct cvm_expectation expectation;
static struct cvm_expected expected = { &expectation, true, "a test's word" };

/* The expectation is the log itself, under names of the test. */
static int load(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_evidence_files files = { .document = CVM_VECTORS_DIR "/" HW_VECTOR };
    must(cvm_evidence_load(&files, &evidence, &err), &err);
    expectation.mrtd = evidence.quote.report.mrtd;
    for (uint32_t i = 0; i < evidence.log.num_events; i++) {
        const struct cvm_logged_event *e = &evidence.log.events[i];
        if (e->rtmr < 3) {
            expectation.events.events[expectation.events.num_events++] =
                (struct cvm_event){ .rtmr = e->rtmr, .name = "any", .digest = e->digest };
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        expectation.rtmr[i] = evidence.quote.report.rtmr[i];
    }
    return 0;
}

static int unload(void **state)
{
    (void)state;
    cvm_evidence_free(&evidence);
    return 0;
}

static const struct cvm_quote_anchor no_root = { .at = VALID };

static const struct cvm_check *find(const struct cvm_verdict *v, const char *name)
{
    for (unsigned i = 0; i < v->num_checks; i++) {
        if (strcmp(v->checks[i].name, name) == 0) {
            return &v->checks[i];
        }
    }
    fail_msg("there is no check '%s'", name);
    return NULL;
}

static void everything_as_expected(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_wanted wanted = { 0 };
    const struct cvm_register_verdict *r = NULL;
    cvm_autoverdict struct cvm_verdict v = { 0 };
    must(cvm_verify(&evidence, &expected, &wanted, &no_root, &v, &err), &err);
    assert_true(v.passed);
    assert_false(v.quote.rooted);
    assert_null(cvm_verdict_first(&v, &r));
    assert_string_equal(find(&v, "rtmr0")->anchor, "a test's word");
    assert_string_equal(cvm_verdict_reserve(&v, true), CVM_UNVERIFIED_QUOTE);
    assert_string_equal(cvm_verdict_reserve(&v, false), "");
}

static void one_event_and_its_register(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_wanted wanted = { 0 };
    const struct cvm_register_verdict *r = NULL;
    struct cvm_expectation changed = expectation;
    const struct cvm_expected other = { &changed, true, "a test's word" };
    changed.events.events[4].digest.bytes[0] ^= 1;
    changed.rtmr[0].bytes[0] ^= 1;
    cvm_autoverdict struct cvm_verdict v = { 0 };
    must(cvm_verify(&evidence, &other, &wanted, &no_root, &v, &err), &err);
    assert_false(v.passed);
    assert_false(find(&v, "rtmr0")->passed);
    assert_string_equal(find(&v, "rtmr0")->detail,
                        "differs from what is expected, in 1 of 13 events");
    assert_true(find(&v, "rtmr1")->passed);
    const struct cvm_compared_event *first = cvm_verdict_first(&v, &r);
    assert_non_null(first);
    assert_string_equal(r->name, "rtmr0");
    assert_int_equal(first->difference, CVM_DIFFERENT);
}

static void registers_alone(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_wanted wanted = { 0 };
    const struct cvm_expected only = { &expectation, false, "a manifest" };
    cvm_autoverdict struct cvm_verdict v = { 0 };
    must(cvm_verify(&evidence, &only, &wanted, &no_root, &v, &err), &err);
    assert_true(v.passed);
    assert_false(v.registers[1].has_comparison);
}

/* A root that is none is the caller's mistake, and no finding about the quote. */
static void a_bad_root_is_an_error(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_wanted wanted = { 0 };
    const struct cvm_quote_anchor bad = { .root = { (const uint8_t *)"x", 1 }, .at = VALID };
    cvm_autoverdict struct cvm_verdict v = { 0 };
    assert_false(cvm_verify(&evidence, &expected, &wanted, &bad, &v, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "root certificate: no certificate");
}

/* One check too many must not pass for a yes. */
static void too_many_checks(void **state)
{
    (void)state;
    struct cvm_verdict v = { .passed = true };
    for (unsigned i = 0; i < CVM_MAX_CHECKS; i++) {
        cvm_verdict_add(&v, "any", true, false, "x", "y");
    }
    assert_true(v.passed);
    cvm_verdict_add(&v, "any", true, false, "x", "y");
    assert_false(v.passed);
    assert_int_equal(v.num_checks, CVM_MAX_CHECKS);
}

static void no_colour_without_a_terminal(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_wanted wanted = { 0 };
    cvm_autoverdict struct cvm_verdict v = { 0 };
    cvm_autobuf struct cvm_buf plain = { 0 };
    cvm_autobuf struct cvm_buf coloured = { 0 };
    must(cvm_verify(&evidence, &expected, &wanted, &no_root, &v, &err), &err);
    cvm_verdict_print(&v, false, &plain);
    cvm_verdict_print(&v, true, &coloured);
    assert_null(memchr(plain.data, '\033', plain.len));
    assert_non_null(memchr(coloured.data, '\033', coloured.len));
}

static bool run(struct cvm_error *err)
{
    const struct cvm_wanted wanted = { 0 };
    const struct cvm_warnings warnings = { 0 };
    cvm_autoverdict struct cvm_verdict v = { 0 };
    cvm_autobuf struct cvm_buf page = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    if (!cvm_verify(&evidence, &expected, &wanted, &no_root, &v, err)) {
        return false;
    }
    cvm_verdict_html(&v, &warnings, &page);
    cvm_verdict_print(&v, true, &text);
    return cvm_buf_finish(&page, "page", err) && cvm_buf_finish(&text, "text", err);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(run) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_as_expected), cmocka_unit_test(one_event_and_its_register),
        cmocka_unit_test(registers_alone),        cmocka_unit_test(a_bad_root_is_an_error),
        cmocka_unit_test(too_many_checks),        cmocka_unit_test(no_colour_without_a_terminal),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
