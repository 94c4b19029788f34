/*
 * The answer of a verification for people and for programs.
 */
#include "measure/base/hex.h"
#include "measure/base/time.h"
#include "vmm/report.h"
#include "vmm/verify.h"

#include <stdio.h>

/* --- for people --- */

struct style {
    const char *good, *bad, *odd, *faint, *end;
};

static struct style style_of(bool colour)
{
    return colour ? (struct style){ "\033[32m", "\033[1;31m", "\033[33m", "\033[2m", "\033[0m" }
                  : (struct style){ "", "", "", "", "" };
}

/* Ends a line; one that rests on an unverified quote says so. */
static void end_line(const struct cvm_verdict *v, const struct style *s, bool rests,
                     struct cvm_buf *out)
{
    const char *reserve = cvm_verdict_reserve(v, rests);
    if (*reserve != '\0') {
        cvm_put_format(out, "  %s[%s]%s", s->odd, reserve, s->end);
    }
    cvm_put_text(out, "\n");
}

static const char *style_of_difference(const struct style *s, enum cvm_difference d)
{
    return d == CVM_SAME ? s->good : d == CVM_DIFFERENT ? s->bad : s->odd;
}

/* An event of the log in one phrase: its type, and what its data says. */
static void put_seen(const struct cvm_verdict *v, uint32_t index, struct cvm_buf *out)
{
    struct cvm_event_text text;
    const struct cvm_logged_event *e = &v->evidence->log.events[index];
    cvm_logged_event_describe(e, &text);
    cvm_put_format(out, "%s%s%.160s", text.type, text.text[0] == '\0' ? "" : ": ", text.text);
    if (e->worth == CVM_EVENT_DATA_CONTRADICTS) {
        cvm_put_text(out, " (its digest says otherwise)");
    }
}

static const struct cvm_event *expected_event(const struct cvm_verdict *v, uint32_t index)
{
    return &v->expected->expectation->events.events[index];
}

static void print_first(const struct cvm_verdict *v, const struct style *s, struct cvm_buf *out)
{
    const struct cvm_register_verdict *r = NULL;
    const struct cvm_compared_event *row = cvm_verdict_first(v, &r);
    if (row == NULL) {
        return;
    }
    cvm_put_format(out, "\nfirst difference: %s, event %u: %s%s%s", r->name, r->comparison.first,
                   style_of_difference(s, row->difference), cvm_difference_word(row->difference),
                   s->end);
    end_line(v, s, true, out);
    if (row->expected != CVM_NO_EVENT) {
        const struct cvm_event *e = expected_event(v, row->expected);
        cvm_put_format(out, "  expected  %s  %s\n", cvm_sha384_text(&e->digest).text, e->name);
    }
    if (row->seen != CVM_NO_EVENT) {
        cvm_put_format(out, "  seen      %s  ",
                       cvm_sha384_text(&v->evidence->log.events[row->seen].digest).text);
        put_seen(v, row->seen, out);
        end_line(v, s, true, out);
    }
}

static void print_checks(const struct cvm_verdict *v, const struct style *s, struct cvm_buf *out)
{
    cvm_put_text(out, "\n");
    for (unsigned i = 0; i < v->num_checks; i++) {
        const struct cvm_check *c = &v->checks[i];
        cvm_put_format(out, "%s%-6s%s %-16s %s; anchor: %s", c->passed ? s->good : s->bad,
                       c->passed ? "ok" : "FAILED", s->end, c->name, c->detail, c->anchor);
        end_line(v, s, c->rests_on_quote, out);
    }
}

static void print_row(const struct cvm_verdict *v, const struct style *s, uint32_t number,
                      const struct cvm_compared_event *row, struct cvm_buf *out)
{
    cvm_put_format(out, "  %2u %s%-9s%s %-22s ", number, style_of_difference(s, row->difference),
                   cvm_difference_word(row->difference), s->end,
                   row->expected == CVM_NO_EVENT ? "-" : expected_event(v, row->expected)->name);
    if (row->seen == CVM_NO_EVENT) {
        cvm_put_text(out, "-");
    } else {
        put_seen(v, row->seen, out);
    }
    end_line(v, s, true, out);
}

/* RTMR3 has nothing to be compared with: its events are listed. */
static void print_log(const struct cvm_verdict *v, const struct style *s, unsigned rtmr,
                      struct cvm_buf *out)
{
    unsigned number = 0;
    for (uint32_t i = 0; i < v->evidence->log.num_events; i++) {
        const struct cvm_logged_event *e = &v->evidence->log.events[i];
        if (e->rtmr != rtmr || !e->extended) {
            continue;
        }
        cvm_put_format(out, "  %2u ", number++);
        put_seen(v, i, out);
        end_line(v, s, true, out);
    }
}

static void print_register(const struct cvm_verdict *v, const struct style *s, unsigned index,
                           struct cvm_buf *out)
{
    const struct cvm_register_verdict *r = &v->registers[index];
    bool equal = !r->has_expected || memcmp(&r->seen, &r->expected, sizeof r->seen) == 0;
    cvm_put_format(out, "\n%s%s%s  seen      %s", equal ? s->good : s->bad, r->name, s->end,
                   cvm_sha384_text(&r->seen).text);
    end_line(v, s, true, out);
    if (!equal) {
        cvm_put_format(out, "%*s  expected  %s\n", (int)strlen(r->name), "",
                       cvm_sha384_text(&r->expected).text);
    }
    if (r->has_replayed && memcmp(&r->seen, &r->replayed, sizeof r->seen) != 0) {
        cvm_put_format(out, "%*s  replayed  %s", (int)strlen(r->name), "",
                       cvm_sha384_text(&r->replayed).text);
        end_line(v, s, true, out);
    }
    for (uint32_t i = 0; i < r->comparison.num_rows; i++) {
        print_row(v, s, i, &r->comparison.rows[i], out);
    }
    if (r->has_replayed && !r->has_comparison) {
        print_log(v, s, index - 1, out);
    }
}

void cvm_verdict_print(const struct cvm_verdict *v, bool colour, struct cvm_buf *out)
{
    const struct style s = style_of(colour);
    cvm_put_format(out, "%s%s%s", v->passed ? s.good : s.bad,
                   v->passed ? "as expected" : "NOT as expected", s.end);
    end_line(v, &s, true, out);
    print_first(v, &s, out);
    print_checks(v, &s, out);
    cvm_put_format(out, "%snot checked:", s.faint);
    for (size_t i = 0; cvm_verify_not_checked[i] != NULL; i++) {
        cvm_put_format(out, "%s %s", i == 0 ? "" : ",", cvm_verify_not_checked[i]);
    }
    cvm_put_format(out, "%s\n", s.end);
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        print_register(v, &s, i, out);
    }
}

/* --- for programs --- */

static void put_digest(struct cvm_json_builder *b, const char *key, const struct cvm_sha384 *digest)
{
    cvm_json_put_hex(b, key, digest->bytes, sizeof digest->bytes);
}

static void put_reserve(const struct cvm_verdict *v, bool rests, struct cvm_json_builder *b)
{
    const char *reserve = cvm_verdict_reserve(v, rests);
    if (*reserve != '\0') {
        cvm_json_put_string(b, "reserve", reserve);
    }
}

static void put_time(struct cvm_json_builder *b, const char *key, int64_t seconds)
{
    char text[CVM_TIME_TEXT_SIZE];
    cvm_time_render(seconds, text);
    cvm_json_put_string(b, key, text);
}

static void put_quote(const struct cvm_verdict *v, struct cvm_json_builder *b)
{
    const struct cvm_quote *q = &v->evidence->quote;
    cvm_json_begin_object(b, "quote");
    cvm_json_put_bool(b, "verified", v->quote.rooted);
    put_reserve(v, true, b);
    cvm_json_put_u64(b, "version", q->version);
    cvm_json_put_string(b, "td_report", q->body == CVM_QUOTE_TD_1_0 ? "1.0" : "1.5");
    if (v->quote.rooted) {
        cvm_json_put_hex(b, "root", v->quote.root.bytes, sizeof v->quote.root.bytes);
        put_time(b, "not_before", v->quote.not_before);
        put_time(b, "not_after", v->quote.not_after);
        put_time(b, "checked_at", v->at);
    }
    cvm_json_put_hex(b, "report_data", q->report.report_data, sizeof q->report.report_data);
    put_digest(b, "mr_config_id", &q->report.mr_config_id);
    put_digest(b, "mr_seam", &q->report.mr_seam);
    cvm_json_put_hex(b, "tee_tcb_svn", q->report.tee_tcb_svn, sizeof q->report.tee_tcb_svn);
    cvm_json_put_hex(b, "qe_mr_signer", q->qe.mr_signer.bytes, sizeof q->qe.mr_signer.bytes);
    cvm_json_put_u64(b, "qe_product_id", q->qe.product_id);
    cvm_json_put_u64(b, "qe_svn", q->qe.svn);
    cvm_json_begin_array(b, "not_checked");
    for (size_t i = 0; cvm_verify_not_checked[i] != NULL; i++) {
        cvm_json_put_string(b, NULL, cvm_verify_not_checked[i]);
    }
    cvm_json_end(b);
    cvm_json_end(b);
}

static void put_checks(const struct cvm_verdict *v, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "checks");
    for (unsigned i = 0; i < v->num_checks; i++) {
        const struct cvm_check *c = &v->checks[i];
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "name", c->name);
        cvm_json_put_bool(b, "passed", c->passed);
        cvm_json_put_string(b, "anchor", c->anchor);
        cvm_json_put_string(b, "detail", c->detail);
        put_reserve(v, c->rests_on_quote, b);
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

static void put_logged(const struct cvm_logged_event *e, struct cvm_json_builder *b)
{
    static const char *const words[] = {
        [CVM_EVENT_DATA_NONE] = "none",
        [CVM_EVENT_DATA_PROVEN] = "proven",
        [CVM_EVENT_DATA_UNPROVEN] = "unproven",
        [CVM_EVENT_DATA_CONTRADICTS] = "contradicts",
    };
    struct cvm_event_text text;
    cvm_logged_event_describe(e, &text);
    cvm_json_begin_object(b, "seen");
    cvm_json_put_string(b, "type", text.type);
    cvm_json_put_string(b, "text", text.text);
    cvm_json_put_string(b, "data", words[e->worth]);
    put_digest(b, "digest", &e->digest);
    cvm_json_end(b);
}

static void put_row(const struct cvm_verdict *v, uint32_t index,
                    const struct cvm_compared_event *row, struct cvm_json_builder *b)
{
    cvm_json_put_u64(b, "index", index);
    cvm_json_put_string(b, "difference", cvm_difference_word(row->difference));
    if (row->expected != CVM_NO_EVENT) {
        const struct cvm_event *e = expected_event(v, row->expected);
        cvm_json_begin_object(b, "expected");
        cvm_json_put_string(b, "name", e->name);
        put_digest(b, "digest", &e->digest);
        cvm_json_put_string(b, "source", cvm_digest_source_word(e->source));
        cvm_json_end(b);
    }
    if (row->seen != CVM_NO_EVENT) {
        put_logged(&v->evidence->log.events[row->seen], b);
    }
}

static void put_events(const struct cvm_verdict *v, unsigned index, struct cvm_json_builder *b)
{
    const struct cvm_register_verdict *r = &v->registers[index];
    cvm_json_begin_array(b, "events");
    for (uint32_t i = 0; i < r->comparison.num_rows; i++) {
        cvm_json_begin_object(b, NULL);
        put_row(v, i, &r->comparison.rows[i], b);
        put_reserve(v, true, b);
        cvm_json_end(b);
    }
    for (uint32_t i = 0; !r->has_comparison && i < v->evidence->log.num_events; i++) {
        const struct cvm_logged_event *e = &v->evidence->log.events[i];
        if (index != 0 && e->extended && e->rtmr == index - 1) {
            cvm_json_begin_object(b, NULL);
            put_logged(e, b);
            put_reserve(v, true, b);
            cvm_json_end(b);
        }
    }
    cvm_json_end(b);
}

static void put_register(const struct cvm_verdict *v, unsigned index, struct cvm_json_builder *b)
{
    const struct cvm_register_verdict *r = &v->registers[index];
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "name", r->name);
    put_digest(b, "seen", &r->seen);
    if (r->has_expected) {
        put_digest(b, "expected", &r->expected);
        cvm_json_put_bool(b, "equal", memcmp(&r->seen, &r->expected, sizeof r->seen) == 0);
    }
    if (r->has_replayed) {
        put_digest(b, "replayed", &r->replayed);
    }
    put_reserve(v, true, b);
    if (r->has_replayed) {
        put_events(v, index, b);
    }
    cvm_json_end(b);
}

void cvm_verdict_put(const struct cvm_verdict *v, struct cvm_json_builder *b)
{
    const struct cvm_register_verdict *r = NULL;
    const struct cvm_compared_event *first = cvm_verdict_first(v, &r);
    cvm_json_put_bool(b, "passed", v->passed);
    put_reserve(v, true, b);
    cvm_json_put_string(b, "expected_from", v->expected->anchor);
    if (first == NULL) {
        cvm_json_put_null(b, "first_difference");
    } else {
        cvm_json_begin_object(b, "first_difference");
        cvm_json_put_string(b, "register", r->name);
        put_row(v, r->comparison.first, first, b);
        put_reserve(v, true, b);
        cvm_json_end(b);
    }
    put_quote(v, b);
    put_checks(v, b);
    cvm_json_begin_array(b, "registers");
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        put_register(v, i, b);
    }
    cvm_json_end(b);
}
