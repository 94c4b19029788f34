#include "measure/base/time.h"

#include <stdio.h>
#include <string.h>

enum { SECONDS_PER_DAY = 86400, FIRST_YEAR = 1970 };

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (unsigned)(month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January of a year. */
static int64_t days_before(unsigned year)
{
    unsigned y = year - 1;
    return (int64_t)365 * (year - FIRST_YEAR) + (y / 4 - y / 100 + y / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400);
}

/* A number of exactly `digits` decimal digits. */
static bool read_field(const char *text, unsigned digits, unsigned min, unsigned max, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *out = 10 * *out + (unsigned)(text[i] - '0');
    }
    return *out >= min && *out <= max;
}

static bool read_fields(const char *text, unsigned *fields)
{
    static const struct {
        unsigned at, digits, min, max;
        char behind;
    } form[] = {
        { 0, 4, FIRST_YEAR, 9999, '-' }, { 5, 2, 1, 12, '-' },  { 8, 2, 1, 31, 'T' },
        { 11, 2, 0, 23, ':' },           { 14, 2, 0, 59, ':' }, { 17, 2, 0, 59, 'Z' },
    };
    if (strlen(text) != CVM_TIME_TEXT_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
        if (!read_field(text + form[i].at, form[i].digits, form[i].min, form[i].max, &fields[i]) ||
            text[form[i].at + form[i].digits] != form[i].behind) {
            return false;
        }
    }
    return fields[2] <= days_of_month(fields[0], fields[1]);
}

bool cvm_time_parse(const char *text, int64_t *out, struct cvm_error *err)
{
    unsigned f[6];
    if (!read_fields(text, f)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "'%.40s' is not a time in UTC such as 2026-01-31T23:59:59Z", text);
    }
    int64_t days = days_before(f[0]) + f[2] - 1;
    for (unsigned month = 1; month < f[1]; month++) {
        days += days_of_month(f[0], month);
    }
    *out = days * SECONDS_PER_DAY + f[3] * INT64_C(3600) + f[4] * INT64_C(60) + f[5];
    return true;
}

void cvm_time_render(int64_t seconds, char *out)
{
    unsigned year = FIRST_YEAR;
    unsigned month = 1;
    int64_t days = seconds / SECONDS_PER_DAY;
    unsigned rest = (unsigned)(seconds % SECONDS_PER_DAY);
    while (days >= days_before(year + 1)) {
        year++;
    }
    days -= days_before(year);
    for (; days >= days_of_month(year, month); month++) {
        days -= days_of_month(year, month);
    }
    char text[80];
    snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, (unsigned)days + 1,
             rest / 3600, rest / 60 % 60, rest % 60);
    text[CVM_TIME_TEXT_SIZE - 1] = '\0';
    memcpy(out, text, CVM_TIME_TEXT_SIZE);
}
