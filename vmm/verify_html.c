/*
 * The answer of a verification as a page: both chains side by side, each value that a register
 * had on the way. No scripts, nothing from elsewhere, everything escaped.
 */
#include "vmm/markup.h"
#include "vmm/report.h"
#include "vmm/verify.h"

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;"
    "color:#1a1a1a;background:#fff}\n"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}\n"
    "table{border-collapse:collapse;width:100%;table-layout:fixed}\n"
    "td,th{border-bottom:1px solid #ddd;padding:.35em .6em;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}\n"
    "th{font-weight:600;color:#555}code{font:12px/1.4 ui-monospace,monospace}\n"
    ".state{width:6.5em;font-weight:600}.number{width:2.5em}.name{width:11em}\n"
    ".equal .state,.ok .state{color:#1b7f3b}.different .state,.failed .state{color:#b3261e}\n"
    ".missing .state,.surplus .state{color:#9a6700}\n"
    ".different,.failed{background:#fdecea}.missing,.surplus{background:#fff6e0}\n"
    ".chain{color:#777;display:block}.reserve{color:#9a6700;font-weight:600}\n"
    ".verdict{padding:.6em 1em;border-radius:.4em;font-weight:600}\n"
    ".verdict.ok{background:#e6f4ea;color:#1b7f3b}.verdict.failed{color:#b3261e}\n"
    "@media(prefers-color-scheme:dark){body{background:#15171a;color:#ddd}td,th{border-color:#333}"
    ".different,.failed{background:#3a1d1b}.missing,.surplus{background:#352b12}"
    ".verdict.ok{background:#173522}.equal .state,.ok .state,.verdict.ok{color:#6cc788}"
    ".different .state,.failed .state,.verdict.failed{color:#ff9d94}"
    ".missing .state,.surplus .state,.reserve{color:#e3b04b}}\n";

static void put_reserve(const struct cvm_verdict *v, bool rests, struct cvm_buf *out)
{
    const char *reserve = cvm_verdict_reserve(v, rests);
    if (*reserve != '\0') {
        cvm_put_text(out, " <span class=\"reserve\">");
        cvm_put_escaped(out, reserve);
        cvm_put_text(out, "</span>");
    }
}

static void put_code(struct cvm_buf *out, const struct cvm_sha384 *digest)
{
    cvm_put_format(out, "<code>%s</code>", cvm_sha384_text(digest).text);
}

/* --- checks --- */

static void put_checks(const struct cvm_verdict *v, struct cvm_buf *out)
{
    cvm_put_text(out, "<h2>Checks</h2>\n<table id=\"checks\"><tr><th class=\"state\">result</th>"
                      "<th class=\"name\">check</th><th>finding</th><th>trust anchor</th></tr>\n");
    for (unsigned i = 0; i < v->num_checks; i++) {
        const struct cvm_check *c = &v->checks[i];
        cvm_put_format(out, "<tr class=\"%s\"><td class=\"state\">%s</td><td>",
                       c->passed ? "ok" : "failed", c->passed ? "ok" : "failed");
        cvm_put_escaped(out, c->name);
        cvm_put_text(out, "</td><td>");
        cvm_put_escaped(out, c->detail);
        put_reserve(v, c->rests_on_quote, out);
        cvm_put_text(out, "</td><td>");
        cvm_put_escaped(out, c->anchor);
        cvm_put_text(out, "</td></tr>\n");
    }
    cvm_put_text(out, "</table>\n<p>Not checked: ");
    for (size_t i = 0; cvm_verify_not_checked[i] != NULL; i++) {
        cvm_put_text(out, i == 0 ? "" : ", ");
        cvm_put_escaped(out, cvm_verify_not_checked[i]);
    }
    cvm_put_text(out, ".</p>\n");
}

/* --- chains --- */

/* The two registers as they grow. */
struct chains {
    struct cvm_sha384 expected, seen;
    struct cvm_error err; /* of hashing; the page then lacks the values */
};

static void put_chain_value(struct cvm_buf *out, struct chains *chains, struct cvm_sha384 *value,
                            const struct cvm_sha384 *digest)
{
    put_code(out, digest);
    if (chains->err.code == CVM_OK && cvm_rtmr_extend(value, digest, &chains->err)) {
        cvm_put_format(out, "<code class=\"chain\">&rarr; %s</code>", cvm_sha384_text(value).text);
    }
}

static void put_logged(const struct cvm_logged_event *e, struct cvm_buf *out)
{
    struct cvm_event_text text;
    cvm_logged_event_describe(e, &text);
    cvm_put_escaped(out, text.type);
    if (text.text[0] != '\0') {
        cvm_put_text(out, "<br>");
        cvm_put_escaped(out, text.text);
    }
    if (e->worth == CVM_EVENT_DATA_CONTRADICTS) {
        cvm_put_text(out, " <b>(its digest says otherwise)</b>");
    }
    cvm_put_text(out, "<br>");
}

static void put_row(const struct cvm_verdict *v, uint32_t number,
                    const struct cvm_compared_event *row, struct chains *chains,
                    struct cvm_buf *out)
{
    const char *word = cvm_difference_word(row->difference);
    cvm_put_format(out,
                   "<tr class=\"%s\"><td class=\"number\">%u</td><td class=\"state\">%s</td><td>",
                   word, number, word);
    if (row->expected != CVM_NO_EVENT) {
        const struct cvm_event *e = &v->expected->expectation->events.events[row->expected];
        cvm_put_escaped(out, e->name);
        cvm_put_format(out, " (%s)<br>", cvm_digest_source_word(e->source));
        put_chain_value(out, chains, &chains->expected, &e->digest);
    }
    cvm_put_text(out, "</td><td>");
    if (row->seen != CVM_NO_EVENT) {
        const struct cvm_logged_event *e = &v->evidence->log.events[row->seen];
        put_logged(e, out);
        put_chain_value(out, chains, &chains->seen, &e->digest);
        put_reserve(v, true, out);
    }
    cvm_put_text(out, "</td></tr>\n");
}

/* The events of a register that nothing is expected of. */
static void put_log(const struct cvm_verdict *v, unsigned rtmr, struct chains *chains,
                    struct cvm_buf *out)
{
    unsigned number = 0;
    for (uint32_t i = 0; i < v->evidence->log.num_events; i++) {
        const struct cvm_logged_event *e = &v->evidence->log.events[i];
        if (e->rtmr != rtmr || !e->extended) {
            continue;
        }
        cvm_put_format(out,
                       "<tr><td class=\"number\">%u</td><td class=\"state\"></td><td></td><td>",
                       number++);
        put_logged(e, out);
        put_chain_value(out, chains, &chains->seen, &e->digest);
        put_reserve(v, true, out);
        cvm_put_text(out, "</td></tr>\n");
    }
}

static void put_register(const struct cvm_verdict *v, unsigned index, struct cvm_buf *out)
{
    const struct cvm_register_verdict *r = &v->registers[index];
    struct chains chains = { 0 };
    bool equal = r->has_expected && memcmp(&r->seen, &r->expected, sizeof r->seen) == 0;
    const char *word = !r->has_expected ? "" : equal ? "equal" : "different";
    cvm_put_format(out,
                   "<h2>%s</h2>\n<table id=\"%s\"><tr><th class=\"number\">#</th><th "
                   "class=\"state\"></th><th>expected</th><th>seen</th></tr>\n"
                   "<tr class=\"%s\"><td class=\"number\"></td><td class=\"state\">%s</td><td>",
                   r->name, r->name, word, word);
    if (r->has_expected) {
        put_code(out, &r->expected);
    } else {
        cvm_put_text(out, "nothing is expected of it as a whole");
    }
    cvm_put_text(out, "</td><td>");
    put_code(out, &r->seen);
    put_reserve(v, true, out);
    cvm_put_text(out, "</td></tr>\n");
    for (uint32_t i = 0; i < r->comparison.num_rows; i++) {
        put_row(v, i, &r->comparison.rows[i], &chains, out);
    }
    if (r->has_replayed && !r->has_comparison) {
        put_log(v, index - 1, &chains, out);
    }
    cvm_put_text(out, "</table>\n");
}

/* --- the page --- */

static void put_verdict(const struct cvm_verdict *v, struct cvm_buf *out)
{
    const struct cvm_register_verdict *r = NULL;
    const struct cvm_compared_event *first = cvm_verdict_first(v, &r);
    cvm_put_format(out, "<p id=\"verdict\" class=\"verdict %s\">%s", v->passed ? "ok" : "failed",
                   v->passed ? "As expected" : "Not as expected");
    put_reserve(v, true, out);
    cvm_put_text(out, "</p>\n<p>Expected values come from: ");
    cvm_put_escaped(out, v->expected->anchor);
    cvm_put_text(out, ".</p>\n");
    if (first != NULL) {
        cvm_put_format(out, "<p>First difference: <a href=\"#%s\">%s, event %u</a>: %s.", r->name,
                       r->name, r->comparison.first, cvm_difference_word(first->difference));
        put_reserve(v, true, out);
        cvm_put_text(out, "</p>\n");
    }
}

void cvm_verdict_html(const struct cvm_verdict *v, const struct cvm_warnings *warnings,
                      struct cvm_buf *out)
{
    cvm_put_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width\">\n"
                      "<title>Verification of a confidential VM</title>\n<style>\n");
    cvm_put_text(out, style);
    cvm_put_text(out, "</style>\n</head>\n<body>\n<h1>Verification of a confidential VM</h1>\n");
    put_verdict(v, out);
    for (unsigned i = 0; i < warnings->count; i++) {
        cvm_put_text(out, "<p>Warning: ");
        cvm_put_escaped(out, warnings->items[i]);
        cvm_put_text(out, ".</p>\n");
    }
    put_checks(v, out);
    for (unsigned i = 0; i < CVM_NUM_REGISTERS; i++) {
        put_register(v, i, out);
    }
    cvm_put_text(out, "</body>\n</html>\n");
}
