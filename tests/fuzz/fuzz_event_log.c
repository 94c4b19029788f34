/* Events of an accepted log can be shown, replayed, and held against any list. */
#include "tests/fuzz/fuzz.h"

#include "measure/include/cvm/compare.h"

#include <string.h>

static void show(const struct cvm_logged_event *event)
{
    struct cvm_event_text text;
    cvm_logged_event_describe(event, &text);
    for (const char *p = text.text; *p != '\0'; p++) {
        fuzz_require(*p >= 0x20 && *p < 0x7f, "text is printable");
    }
    fuzz_require(strnlen(text.text, sizeof text.text) < sizeof text.text, "text ends");
}

/* Against its own first events: they are equal, and the rest is surplus. */
static void compare(const struct cvm_event_log *log)
{
    struct cvm_error err = { 0 };
    struct cvm_event_list list = { 0 };
    struct cvm_comparison c = { 0 };
    for (uint32_t i = 0; i < log->num_events && list.num_events < 8; i++) {
        if (log->events[i].extended && log->events[i].rtmr == 0) {
            list.events[list.num_events++] =
                (struct cvm_event){ .name = "cfv", .digest = log->events[i].digest };
        }
    }
    fuzz_require(cvm_compare_events(&list, log, 0, &c, &err), "can be compared");
    fuzz_require(c.first >= list.num_events, "is equal to itself");
    cvm_comparison_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_event_log log = { 0 };
    struct cvm_sha384 value;
    if (fuzz_accepted(cvm_event_log_parse((struct cvm_bytes){ data, size }, &log, &err), &err)) {
        for (uint32_t i = 0; i < log.num_events; i++) {
            show(&log.events[i]);
        }
        for (unsigned i = 0; i < CVM_NUM_RTMRS; i++) {
            fuzz_require(cvm_event_log_replay(&log, i, &value, &err), "can be replayed");
        }
        compare(&log);
    }
    cvm_event_log_free(&log);
    return 0;
}
