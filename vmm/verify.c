#include "vmm/verify.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/base/time.h"

#include <stdarg.h>
#include <stdio.h>

/* The event after which RTMR3 belongs to the application. */
#define LAST_SYSTEM_EVENT "system-ready"

const char *const cvm_verify_not_checked[] = {
    "revocation of certificates",
    "TCB level of the platform",
    "identity of the quoting enclave",
    NULL,
};

const char *cvm_verdict_reserve(const struct cvm_verdict *v, bool rests_on_quote)
{
    return rests_on_quote && !v->quote.rooted ? CVM_UNVERIFIED_QUOTE : "";
}

void cvm_verdict_add(struct cvm_verdict *v, const char *name, bool passed, bool rests_on_quote,
                     const char *anchor, const char *fmt, ...)
{
    v->passed = v->passed && passed;
    if (v->num_checks == CVM_MAX_CHECKS) {
        v->passed = false; /* cannot happen; were it to, it must not look like a yes */
        return;
    }
    struct cvm_check *check = &v->checks[v->num_checks++];
    *check = (struct cvm_check){ .name = name, .passed = passed, .rests_on_quote = rests_on_quote };
    snprintf(check->anchor, sizeof check->anchor, "%s", anchor);
    va_list args;
    va_start(args, fmt);
    vsnprintf(check->detail, sizeof check->detail, fmt, args);
    va_end(args);
}

/* --- the quote --- */

/* Failures of the quote are findings; those of the machine or of the caller's root are errors. */
static bool is_finding(const struct cvm_error *err, const struct cvm_quote_anchor *anchor)
{
    bool about_root = err->code == CVM_ERR_MALFORMED && anchor->root.size != 0 &&
                      strncmp(err->msg, "root certificate", 16) == 0;
    return !about_root && (err->code == CVM_ERR_MISMATCH || err->code == CVM_ERR_MALFORMED ||
                           err->code == CVM_ERR_UNSUPPORTED);
}

static bool check_signature(struct cvm_verdict *v, const struct cvm_quote_anchor *anchor,
                            struct cvm_error *err)
{
    char root[65];
    char name[200];
    char until[CVM_TIME_TEXT_SIZE];
    if (!cvm_quote_verify(&v->evidence->quote, anchor, &v->quote, err)) {
        if (!is_finding(err, anchor)) {
            return false;
        }
        cvm_verdict_add(v, "quote-signature", false, true,
                        anchor->root.size == 0 ? "none: no root certificate was given"
                                               : "the root certificate that was given",
                        "%.380s", err->msg);
        *err = (struct cvm_error){ 0 };
        return true;
    }
    if (!v->quote.rooted) {
        cvm_verdict_add(v, "quote-signature", true, true, "none: no root certificate was given",
                        "signatures agree with each other, which anybody can bring about");
        return true;
    }
    cvm_hex_encode(v->quote.root.bytes, sizeof v->quote.root.bytes, root);
    snprintf(name, sizeof name, "root certificate %s", root);
    cvm_time_render(v->quote.not_after, until);
    cvm_verdict_add(v, "quote-signature", true, true, name,
                    "signatures and certificates hold, until %s", until);
    return true;
}

static void check_debug(struct cvm_verdict *v, bool allowed)
{
    const struct cvm_td_report *report = &v->evidence->quote.report;
    bool debug = cvm_td_is_debug(report);
    cvm_verdict_add(v, "td-debug", !debug || allowed, true, "the quote",
                    debug ? "the host can read and write the TD (attributes 0x%llx)"
                          : "the TD cannot be debugged (attributes 0x%llx)",
                    (unsigned long long)report->td_attributes);
}

/* --- registers --- */

static void take_registers(struct cvm_verdict *v)
{
    static const char *const names[] = { "mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3" };
    const struct cvm_td_report *report = &v->evidence->quote.report;
    const struct cvm_expectation *e = v->expected->expectation;
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        struct cvm_register_verdict *r = &v->registers[i];
        r->name = names[i];
        r->seen = i == 0 ? report->mrtd : report->rtmr[i - 1];
        r->has_expected = i < 4 && !v->expected->not_compared[i]; /* RTMR3 is the guest's own */
        if (r->has_expected) {
            r->expected = i == 0 ? e->mrtd : e->rtmr[i - 1];
        }
    }
}

static const char *const replay_names[] = { "replay-rtmr0", "replay-rtmr1", "replay-rtmr2",
                                            "replay-rtmr3" };

static bool replay_register(struct cvm_verdict *v, unsigned rtmr, struct cvm_error *err)
{
    struct cvm_register_verdict *r = &v->registers[rtmr + 1];
    const struct cvm_event_log *log = &v->evidence->log;
    if (!cvm_event_log_replay(log, rtmr, &r->replayed, err)) {
        return false;
    }
    r->has_replayed = true;
    bool fits = cvm_sha384_equal(&r->replayed, &r->seen);
    cvm_verdict_add(v, replay_names[rtmr], fits, true, "the quote",
                    fits ? "the log's events give the quote's %s"
                         : "the log's events do not give the quote's %s: they prove nothing",
                    r->name);
    r->has_comparison = r->has_expected && v->expected->has_events;
    return !r->has_comparison ||
           cvm_compare_events(&v->expected->expectation->events, log, rtmr, &r->comparison, err);
}

static void check_register(struct cvm_verdict *v, const struct cvm_register_verdict *r)
{
    bool equal = cvm_sha384_equal(&r->seen, &r->expected);
    uint32_t differences = 0;
    for (uint32_t i = 0; r->has_comparison && i < r->comparison.num_rows; i++) {
        differences += r->comparison.rows[i].difference != CVM_SAME;
    }
    if (equal || differences == 0) {
        cvm_verdict_add(v, r->name, equal, true, v->expected->anchor,
                        equal ? "as expected" : "differs from what is expected");
        return;
    }
    cvm_verdict_add(v, r->name, false, true, v->expected->anchor,
                    "differs from what is expected, in %u of %u events", differences,
                    r->comparison.num_rows);
}

/* --- RTMR3 --- */

/* How often the log has an event of this name before RTMR3 is the application's; the last one. */
static unsigned find_runtime(const struct cvm_event_log *log, const char *name,
                             const struct cvm_logged_event **out)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < log->num_events; i++) {
        const struct cvm_logged_event *e = &log->events[i];
        if (!e->extended || e->rtmr != 3) {
            continue;
        }
        if (strcmp(e->name, name) == 0) {
            count++;
            *out = e;
        }
        if (strcmp(e->name, LAST_SYSTEM_EVENT) == 0) {
            break;
        }
    }
    return count;
}

/*
 * Whether names and payloads of RTMR3 are what was extended. A name with a colon would let the
 * same bytes be read as another event, since a colon ends the name where the digest is made.
 */
static bool is_readable(const struct cvm_event_log *log, char *why, size_t size)
{
    for (uint32_t i = 0; i < log->num_events; i++) {
        const struct cvm_logged_event *e = &log->events[i];
        bool plain = e->type == CVM_RUNTIME_EVENT_TYPE && e->worth == CVM_EVENT_DATA_PROVEN;
        if (e->extended && e->rtmr == 3 && (!plain || strchr(e->name, ':') != NULL)) {
            snprintf(why, size,
                     "event %u of the log: its digest is not that of its name and payload", i);
            return false;
        }
    }
    return true;
}

static void check_runtime(struct cvm_verdict *v, const char *name, struct cvm_bytes want)
{
    static const char anchor[] = "the value that was given";
    const struct cvm_event_log *log = &v->evidence->log;
    const struct cvm_logged_event *found = NULL;
    char why[100];
    if (want.size == 0) {
        return;
    }
    if (!v->evidence->has_log) {
        cvm_verdict_add(v, name, false, true, anchor, "there is no event log to find it in");
        return;
    }
    if (!is_readable(log, why, sizeof why)) {
        cvm_verdict_add(v, name, false, true, anchor, "%s", why);
        return;
    }
    unsigned count = find_runtime(log, name, &found);
    if (count != 1) {
        cvm_verdict_add(v, name, false, true, anchor, "RTMR3 has %u such events instead of one",
                        count);
        return;
    }
    bool equal =
        found->data.size == want.size && memcmp(found->data.data, want.data, want.size) == 0;
    bool replays = cvm_sha384_equal(&v->registers[4].replayed, &v->registers[4].seen);
    cvm_verdict_add(v, name, equal && replays, true, anchor,
                    !replays ? "the log is not the quote's"
                    : equal  ? "as given"
                             : "another value was extended into RTMR3");
}

/* --- what the guest and its owner put in --- */

static void check_field(struct cvm_verdict *v, const char *name, struct cvm_bytes want,
                        const uint8_t *seen, size_t size)
{
    bool equal = want.size <= size;
    if (want.size == 0) {
        return;
    }
    for (size_t i = 0; equal && i < size; i++) {
        equal = seen[i] == (i < want.size ? want.data[i] : 0);
    }
    cvm_verdict_add(v, name, equal, true, "the value that was given",
                    equal ? "as given" : "the quote has another value");
}

bool cvm_verify(const struct cvm_evidence *evidence, const struct cvm_expected *expected,
                const struct cvm_wanted *wanted, const struct cvm_quote_anchor *anchor,
                struct cvm_verdict *out, struct cvm_error *err)
{
    struct cvm_verdict *v = out;
    const struct cvm_td_report *report = &evidence->quote.report;
    v->evidence = evidence;
    v->expected = expected;
    v->passed = true;
    v->at = anchor->at;
    if (!check_signature(v, anchor, err)) {
        return false;
    }
    check_debug(v, wanted->allow_debug);
    take_registers(v);
    for (unsigned i = 0; evidence->has_log && i < CVM_NUM_RTMRS; i++) {
        if (!replay_register(v, i, err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        if (v->registers[i].has_expected) {
            check_register(v, &v->registers[i]);
        }
    }
    check_runtime(v, "compose-hash", wanted->compose_hash);
    check_runtime(v, "app-id", wanted->app_id);
    check_runtime(v, "key-provider", wanted->key_provider);
    check_field(v, "report-data", wanted->report_data, report->report_data,
                sizeof report->report_data);
    check_field(v, "mr-config-id", wanted->mr_config_id, report->mr_config_id.bytes,
                sizeof report->mr_config_id.bytes);
    return true;
}

void cvm_verdict_free(struct cvm_verdict *v)
{
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        cvm_comparison_free(&v->registers[i].comparison);
    }
}

const struct cvm_compared_event *cvm_verdict_first(const struct cvm_verdict *v,
                                                   const struct cvm_register_verdict **reg)
{
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        const struct cvm_comparison *c = &v->registers[i].comparison;
        if (v->registers[i].has_comparison && c->first < c->num_rows) {
            *reg = &v->registers[i];
            return &c->rows[c->first];
        }
    }
    return NULL;
}
