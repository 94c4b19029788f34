#include "tests/support/check.h"

#include "measure/base/time.h"

/* date -u -d TEXT +%s */
static const struct {
    const char *text;
    int64_t seconds;
} known[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "1970-01-01T00:00:01Z", 1 },
    { "1972-02-29T12:00:00Z", 68212800 },
    { "1999-12-31T23:59:59Z", 946684799 },
    { "2000-02-29T00:00:00Z", 951782400 },
    { "2026-07-15T08:09:10Z", 1784102950 },
    { "2100-03-01T00:00:00Z", 4107542400 },
    { "2400-02-29T23:59:59Z", 13574649599 },
    { "9999-12-31T23:59:59Z", CVM_TIME_MAX },
};

static void test_known_answers_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct cvm_error err = { 0 };
        char text[CVM_TIME_TEXT_SIZE];
        int64_t seconds;
        must(cvm_time_parse(known[i].text, &seconds, &err), &err);
        assert_int_equal(seconds, known[i].seconds);
        cvm_time_render(seconds, text);
        assert_string_equal(text, known[i].text);
    }
}

static void test_every_day_of_four_centuries(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 365 * 400 + 97; day++) {
        struct cvm_error err = { 0 };
        char text[CVM_TIME_TEXT_SIZE];
        int64_t back;
        cvm_time_render(day * 86400 + day % 86400, text);
        must(cvm_time_parse(text, &back, &err), &err);
        assert_int_equal(back, day * 86400 + day % 86400);
    }
}

static void test_other_forms(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-07-15",
        "2026-07-15T08:09:10",
        "2026-07-15T08:09:10+00:00",
        "2026-07-15T08:09:10z",
        "2026-07-15t08:09:10Z",
        "2026-07-15 08:09:10Z",
        "2026-07-15T08:09:10.5Z",
        "2026-07-15T08:09:10Z ",
        " 2026-07-15T08:09:1Z",
        "1969-12-31T23:59:59Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-0a-01T00:00:00Z",
        "1784102950",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        int64_t seconds = -1;
        if (cvm_time_parse(bad[i], &seconds, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(seconds, -1);
        assert_error(&err, CVM_ERR_MALFORMED, "is not a time in UTC such as 2026-01-31T23:59:59Z");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers_both_ways),
        cmocka_unit_test(test_every_day_of_four_centuries),
        cmocka_unit_test(test_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
