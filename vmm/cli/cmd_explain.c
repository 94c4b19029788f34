/*
 * cvm explain: which description of a machine would give what was seen.
 */
#include "vmm/cli/commands.h"
#include "vmm/evidence.h"
#include "vmm/explain.h"

struct explain_args {
    struct cvm_evidence_files files;
    const char *image;
    const char *qemu_version;
    const char *ovmf_variant;
    const char *cpus, *memory;
    const char *budget;
    bool no_images;
};

#define FIELD(f) offsetof(struct explain_args, f)
/* clang-format off */
static const struct cli_option explain_options[] = {
    { "evidence",     'e', CLI_STRING, FIELD(files.document), "FILE", "one JSON document with quote, event_log and vm_config" },
    { "quote",        'q', CLI_STRING, FIELD(files.quote), "FILE", "the quote: hex, base64 or raw" },
    { "event-log",     0,  CLI_STRING, FIELD(files.event_log), "FILE", "the event log: JSON, or binary as raw, hex or base64" },
    { "vm-config",     0,  CLI_STRING, FIELD(files.vm_config), "FILE", "the declaration that does not fit; without it, the one in the document" },
    { "image",        'i', CLI_STRING, FIELD(image), "NAME|DIR", "the declared bundle; without it, the measurement in the vm_config" },
    { "qemu-version",  0,  CLI_STRING, FIELD(qemu_version), "X.Y.Z", "QEMU that ran the guest, instead of what the vm_config says" },
    { "ovmf-variant",  0,  CLI_STRING, FIELD(ovmf_variant), "NAME", "firmware layout, instead of what the vm_config says" },
    { "cpus",         'c', CLI_STRING, FIELD(cpus), "A-B", "virtual CPUs to try (default 1-32, or up to twice as many as declared)" },
    { "memory",       'm', CLI_STRING, FIELD(memory), "A-B[:STEP]", "memory to try, in steps (default 1G-32G:1G, or up to twice as much as declared)" },
    { "budget",       'b', CLI_STRING, FIELD(budget), "SECONDS", "how long to search at most (default 10)" },
    { "no-images",     0,  CLI_FLAG,   FIELD(no_images), NULL, "do not try the other bundles of the image directory" },
    { 0 },
};
/* clang-format on */

struct work {
    const struct explain_args *args;
    struct cvm_host host;
    struct cvm_evidence evidence;
    struct cvm_declared declared;
    char names[CVM_EXPLAIN_MAX_SEEN][32];
    struct cvm_explain_input input;
    struct cvm_explained result;
};

static void free_work(struct work *w)
{
    cvm_declared_free(&w->declared);
    cvm_evidence_free(&w->evidence);
    cvm_host_free(&w->host);
}

/* --- what was seen --- */

static void add_register(struct work *w, const char *name, const struct cvm_sha384 *value)
{
    w->input.seen[w->input.num_seen++] = (struct cvm_seen){ name, *value, 96 };
}

/* Registers of the quote; without one, what the event log comes to. */
static bool take_registers(struct work *w, struct cvm_error *err)
{
    static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2" };
    const struct cvm_td_report *report = &w->evidence.quote.report;
    if (w->evidence.has_quote) {
        add_register(w, "mrtd", &report->mrtd);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct cvm_sha384 value = report->rtmr[i];
        if (!w->evidence.has_quote && !w->evidence.has_log) {
            break;
        }
        if (!w->evidence.has_quote && !cvm_event_log_replay(&w->evidence.log, i, &value, err)) {
            return false;
        }
        add_register(w, names[i], &value);
    }
    w->input.log = w->evidence.has_log ? &w->evidence.log : NULL;
    return true;
}

static bool take_operands(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    for (size_t i = 0; i < cli->num_operands; i++) {
        unsigned n = w->input.num_seen;
        if (n == CVM_EXPLAIN_MAX_SEEN) {
            return cvm_fail(err, CVM_ERR_USAGE, "more than %d values", CVM_EXPLAIN_MAX_SEEN);
        }
        if (!cvm_seen_parse(cli->operands[i], w->names[n], &w->input.seen[n], err)) {
            return false;
        }
        w->input.num_seen++;
    }
    return w->input.num_seen != 0
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "nothing to explain: give evidence, or what was seen, such as "
                          "rtmr0=d357b91a5bc62825");
}

/* --- ranges --- */

static bool parse_part(const char *text, size_t length, uint64_t *out)
{
    char part[32];
    if (length == 0 || length >= sizeof part) {
        return false;
    }
    memcpy(part, text, length);
    part[length] = '\0';
    return cvm_parse_size(part, out);
}

/* "1-64", "2G-16G:512M"; leaves *out as it is where there is no text. */
static bool read_range(const char *option, const char *text, uint64_t max_count,
                       struct cvm_explain_range *out, struct cvm_error *err)
{
    struct cvm_explain_range r = { .step = out->step };
    if (text == NULL) {
        return true;
    }
    size_t first = strcspn(text, "-");
    const char *second = text[first] == '-' ? text + first + 1 : text;
    size_t second_length = strcspn(second, ":");
    const char *step = second[second_length] == ':' ? second + second_length + 1 : NULL;
    if (!parse_part(text, first, &r.from) || !parse_part(second, second_length, &r.to) ||
        (step != NULL && !parse_part(step, strlen(step), &r.step)) || r.step == 0 || r.from == 0 ||
        r.from > r.to || (r.to - r.from) / r.step >= max_count) {
        return cvm_fail(
            err, CVM_ERR_USAGE,
            "%s '%.40s' is no range such as 1-64 or 2G-16G:512M, of at most %llu values", option,
            text, (unsigned long long)max_count);
    }
    *out = r;
    return true;
}

static bool read_budget(const char *text, double *out, struct cvm_error *err)
{
    char *end;
    *out = 10;
    if (text == NULL) {
        return true;
    }
    *out = strtod(text, &end);
    return *text >= '0' && *text <= '9' && *end == '\0' && *out >= 0 && *out <= 86400
               ? true
               : cvm_fail(err, CVM_ERR_USAGE, "--budget '%.20s' is not a number of seconds", text);
}

static bool read_limits(struct work *w, struct cvm_error *err)
{
    enum { MAX_CPU_VALUES = 4096, MAX_MEMORY_VALUES = 65536 };
    w->input.cpus = cvm_explain_default_cpus(&w->declared.machine);
    w->input.memory = cvm_explain_default_memory(&w->declared.machine);
    return read_range("--cpus", w->args->cpus, MAX_CPU_VALUES, &w->input.cpus, err) &&
           read_range("--memory", w->args->memory, MAX_MEMORY_VALUES, &w->input.memory, err) &&
           read_budget(w->args->budget, &w->input.budget, err);
}

/* --- progress --- */

static void show_progress(uint64_t done, uint64_t total, const char *stage)
{
    fprintf(stderr, "\r\033[Ksearching, %s: %llu of %llu", stage, (unsigned long long)done,
            (unsigned long long)total);
}

static void clear_progress(const struct work *w)
{
    if (w->input.progress != NULL) {
        fprintf(stderr, "\r\033[K");
    }
}

/* --- the answer --- */

static void print_explanation(const struct cvm_explanation *e, struct cvm_buf *out)
{
    for (unsigned i = 0; i < e->num_changes; i++) {
        cvm_put_format(out, "%s%s\n", i == 0 ? "" : "  and ", e->changes[i].sentence);
    }
}

static void print_facts(struct cvm_buf *out)
{
    size_t count;
    const struct cvm_explain_fact *facts = cvm_explain_fact_table(&count);
    for (size_t i = 0; i < count; i++) {
        cvm_put_format(out, "%s%s", i == 0 ? "" : ", ", facts[i].name);
    }
}

static void print_nothing_found(const struct work *w, struct cvm_buf *out)
{
    const struct cvm_explained *r = &w->result;
    cvm_put_text(out, "no description within the search explains it\n");
    if (r->has_nearest) {
        cvm_put_format(out, "nearest, with %u of %u values:\n", r->nearest.matched, r->num_seen);
        print_explanation(&r->nearest, out);
        cvm_put_text(out, "still different:");
        for (unsigned i = 0; i < r->num_seen; i++) {
            cvm_put_format(out, "%s%s", r->nearest_matches[i] ? "" : " ",
                           r->nearest_matches[i] ? "" : w->input.seen[i].name);
        }
        cvm_put_text(out, "\n");
    }
    cvm_put_text(out, "tried, by itself and in pairs: ");
    print_facts(out);
    cvm_put_format(out, "\nvirtual CPUs %llu to %llu, memory %llu to %llu MiB in steps of %llu\n",
                   (unsigned long long)w->input.cpus.from, (unsigned long long)w->input.cpus.to,
                   (unsigned long long)(w->input.memory.from >> 20),
                   (unsigned long long)(w->input.memory.to >> 20),
                   (unsigned long long)(w->input.memory.step >> 20));
    if (!r->complete) {
        cvm_put_text(out, "the time ran out before everything was tried: a larger --budget, or "
                          "narrower --cpus and --memory, go further\n");
    }
}

static void print_result(const struct work *w, struct cvm_buf *out)
{
    const struct cvm_explained *r = &w->result;
    if (!r->measurable) {
        cvm_put_format(out, "the machine as declared cannot be measured: %s\n", r->why_not);
    }
    if (r->matched == r->num_seen) {
        cvm_put_text(out, "nothing to explain: the machine as declared gives what was seen\n");
        return;
    }
    for (unsigned i = 0; i < r->num_found; i++) {
        cvm_put_text(out, i == 0 ? "" : "or: ");
        print_explanation(&r->found[i], out);
    }
    if (r->num_found == 0) {
        print_nothing_found(w, out);
    }
    cvm_put_format(out, "%llu machines in %.2f s\n", (unsigned long long)r->tried, r->seconds);
}

static void put_explanation(const struct cvm_explanation *e, struct cvm_json_builder *b)
{
    cvm_json_put_u64(b, "matched", e->matched);
    cvm_json_begin_array(b, "changes");
    for (unsigned i = 0; i < e->num_changes; i++) {
        const struct cvm_explain_change *c = &e->changes[i];
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "fact", c->fact);
        cvm_json_put_string(b, "declared", c->declared);
        cvm_json_put_string(b, "seen", c->seen);
        cvm_json_put_string(b, "sentence", c->sentence);
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

static void put_range(const struct cvm_explain_range *r, const char *key,
                      struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, key);
    cvm_json_put_u64(b, "from", r->from);
    cvm_json_put_u64(b, "to", r->to);
    cvm_json_put_u64(b, "step", r->step);
    cvm_json_end(b);
}

static void put_searched(const struct work *w, struct cvm_json_builder *b)
{
    size_t count;
    const struct cvm_explain_fact *facts = cvm_explain_fact_table(&count);
    const struct cvm_explained *r = &w->result;
    cvm_json_begin_object(b, "searched");
    cvm_json_begin_array(b, "facts");
    for (size_t i = 0; i < count; i++) {
        cvm_json_put_string(b, NULL, facts[i].name);
    }
    cvm_json_end(b);
    put_range(&w->input.cpus, "cpus", b);
    put_range(&w->input.memory, "memory", b);
    cvm_json_put_u64(b, "machines", r->tried);
    cvm_json_put_u64(b, "skipped", r->skipped);
    cvm_json_put_u64(b, "combinations", r->total);
    cvm_json_put_bool(b, "pairs", r->pairs);
    cvm_json_put_bool(b, "complete", r->complete);
    cvm_json_put_u64(b, "milliseconds", (uint64_t)(r->seconds * 1000));
    cvm_json_put_u64(b, "cpu_milliseconds", (uint64_t)(r->cpu_seconds * 1000));
    cvm_json_end(b);
}

static void put_result(const struct work *w, struct cvm_json_builder *b)
{
    const struct cvm_explained *r = &w->result;
    cvm_json_put_bool(b, "explained", r->num_found != 0 || r->matched == r->num_seen);
    cvm_json_put_bool(b, "matches_as_declared", r->matched == r->num_seen);
    cvm_json_put_u64(b, "values_seen", r->num_seen);
    cvm_json_put_string(b, "declared_unmeasurable", r->measurable ? NULL : r->why_not);
    cvm_json_begin_array(b, "explanations");
    for (unsigned i = 0; i < r->num_found; i++) {
        cvm_json_begin_object(b, NULL);
        put_explanation(&r->found[i], b);
        cvm_json_end(b);
    }
    cvm_json_end(b);
    if (r->has_nearest) {
        cvm_json_begin_object(b, "nearest");
        put_explanation(&r->nearest, b);
        cvm_json_end(b);
    } else {
        cvm_json_put_null(b, "nearest");
    }
    put_searched(w, b);
    cvm_warnings_put(&w->declared.warnings, b);
}

static bool answer(const struct cli *cli, const struct work *w, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cli_warn(cli, &w->declared.warnings);
    if (!cli->json) {
        print_result(w, &text);
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&b, NULL);
    put_result(w, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool load(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    const struct cvm_declaration declaration = {
        .image = w->args->image,
        .qemu_version = w->args->qemu_version,
        .ovmf_variant = w->args->ovmf_variant,
        .accept_contradiction = true,
    };
    struct cvm_declaration said = declaration;
    if (!cvm_host_load(&cli->host, &w->host, err) ||
        !cvm_evidence_load(&w->args->files, &w->evidence, err)) {
        return false;
    }
    if (w->evidence.vm_config == NULL) {
        return cvm_fail(
            err, CVM_ERR_USAGE,
            "no vm_config: nothing says what was declared (--vm-config, or --evidence)");
    }
    said.vm_config = w->evidence.vm_config;
    return take_registers(w, err) && take_operands(cli, w, err) &&
           cvm_declared_open(&w->host, &said, cli_progress(), &w->declared, err) &&
           read_limits(w, err);
}

static bool run_explain(const struct cli *cli, const void *data, struct cvm_error *err)
{
    CVM_CLEANUP(free_work)
    struct work w = { .args = data, .declared = CVM_DECLARED_NONE };
    if (!load(cli, &w, err)) {
        return false;
    }
    w.input.declared = &w.declared;
    w.input.host = w.args->no_images ? NULL : &w.host;
    w.input.progress = isatty(STDERR_FILENO) && !cli->json ? show_progress : NULL;
    bool ok = cvm_explain(&w.input, &w.result, err);
    clear_progress(&w);
    if (!ok || !answer(cli, &w, err)) {
        return false;
    }
    return w.result.num_found != 0 || w.result.matched == w.result.num_seen
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH, "no description within the search explains it");
}

const struct cli_command cmd_explain = {
    .name = "explain",
    .operands = "[NAME=DIGEST]...",
    .summary = "Find out which description of a machine would give what was seen.",
    .example = "cvm explain --vm-config vm_config.json rtmr0=d357b91a5bc62825",
    .options = explain_options,
    .args_size = sizeof(struct explain_args),
    .max_operands = CVM_EXPLAIN_MAX_SEEN,
    .run = run_explain,
};
