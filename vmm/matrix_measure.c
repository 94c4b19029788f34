#include "vmm/matrix_measure.h"

#include "vmm/ordered.h"
#include "vmm/report.h"

/* A shape on its way. */
struct shape {
    size_t index;
    struct cvm_vm_config config;
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_warnings warnings;
    struct cvm_expectation expectation;
};

static void free_shape(struct shape *s)
{
    cvm_warnings_free(&s->warnings);
}

/* Errors of one shape; all others are everybody's. */
static bool is_shapes_own(const struct cvm_error *err)
{
    return err->code == CVM_ERR_MALFORMED || err->code == CVM_ERR_UNSUPPORTED;
}

/* What a shape says itself comes from the matrix. */
static void name_sources(const struct cvm_matrix *m, struct shape *s)
{
    struct cvm_resolution *r = &s->resolution;
    const struct {
        const char *key;
        const char **source;
    } sources[] = {
        { "qemu_version", &r->qemu_version_source },
        { "ovmf_variant", &r->variant.source },
        { "ovmf_variant", &r->variant.rule },
        { "kernel_header", &r->kernel_header_source },
        { "qemu_single_pass_add_pages", &r->page_add_order_source },
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (cvm_matrix_says(m, s->index, sources[i].key)) {
            *sources[i].source = "matrix";
        }
    }
}

static bool fill(const struct cvm_matrix_job *job, struct shape *s, struct cvm_error *err)
{
    s->config = job->base->config;
    cvm_matrix_apply(job->matrix, s->index, &s->config);
    if (!cvm_measure_base_fill(job->base, &s->config, &s->machine, &s->resolution, &s->warnings,
                               err)) {
        return false;
    }
    name_sources(job->matrix, s);
    return true;
}

/* --- what the shapes need of the files --- */

struct forms {
    const struct cvm_matrix_job *job;
    struct kernel_digest *items; /* the digests are filled in later */
    size_t count, room;
};

static void free_forms(struct forms *f)
{
    free(f->items);
}

static bool add_form(struct forms *forms, const struct kernel_form *form, struct cvm_error *err)
{
    for (size_t i = 0; i < forms->count; i++) {
        const struct kernel_form *f = &forms->items[i].form;
        if (f->header == form->header && f->initrd_address == form->initrd_address) {
            return true;
        }
    }
    if (forms->count == forms->room) {
        size_t room = 2 * forms->room + 8;
        struct kernel_digest *grown = realloc(forms->items, room * sizeof *grown);
        if (grown == NULL) {
            return cvm_fail_nomem(err, "forms of the kernel", room * sizeof *grown);
        }
        forms->items = grown;
        forms->room = room;
    }
    forms->items[forms->count++] = (struct kernel_digest){ .form = *form };
    return true;
}

static bool collect(struct forms *forms, const struct cvm_machine *machine, struct cvm_error *err)
{
    struct cvm_bundle_facts *f = forms->job->facts;
    const struct image_facts *facts = &f->record.facts;
    const char *cmdline = f->bundle->metadata.cmdline;
    struct cvm_error own = { 0 };
    struct kernel_form form = { 0 };
    if (!image_facts_kernel_form(facts, machine, cmdline, &form, &own) ||
        image_facts_find_kernel(facts, &form) != NULL) {
        return true; /* a shape that has no form will be told why */
    }
    return add_form(forms, &form, err);
}

static bool look_through(struct forms *forms, struct cvm_error *err)
{
    for (size_t i = 0; i < forms->job->matrix->num_shapes; i++) {
        CVM_CLEANUP(free_shape)
        struct shape s = { .index = i };
        struct cvm_error own = { 0 };
        bool filled = fill(forms->job, &s, &own);
        if (!filled && !is_shapes_own(&own)) {
            *err = own;
            return cvm_context(err, "shape %zu", i);
        }
        if (filled && forms->job->facts != NULL && !collect(forms, &s.machine, err)) {
            return false;
        }
    }
    return true;
}

struct hashed {
    struct kernel_digest kernel;
    struct cvm_error err;
};

static void hash_form(void *context, size_t index, void *slot)
{
    struct forms *forms = context;
    struct cvm_bundle_facts *f = forms->job->facts;
    struct hashed *out = slot;
    out->kernel = forms->items[index];
    bool ok = image_facts_hash_kernel(&f->record.facts, cvm_buf_bytes(&f->kernel),
                                      &out->kernel.form, &out->kernel.digest, &out->err);
    (void)ok; /* out->err says it */
}

/* The facts are being read by other threads: new digests wait until all are there. */
static bool take_form(void *context, size_t index, void *slot, struct cvm_error *err)
{
    struct forms *forms = context;
    const struct hashed *hashed = slot;
    forms->items[index] = hashed->kernel;
    *err = hashed->err;
    return err->code == CVM_OK;
}

static bool hash_forms(struct forms *forms, struct cvm_error *err)
{
    struct cvm_bundle_facts *f = forms->job->facts;
    const struct cvm_ordered jobs = {
        .count = forms->count,
        .slot_size = sizeof(struct hashed),
        .context = forms,
        .work = hash_form,
        .take = take_form,
    };
    if (forms->count == 0) {
        return true;
    }
    f->changed = true;
    if (!cvm_bundle_facts_read(f, NEED_KERNEL, err)) {
        return false;
    }
    if (!cvm_ordered_run(&jobs, forms->job->threads, err)) {
        return cvm_context(err, "image '%s'", f->bundle->path);
    }
    for (size_t i = 0; i < forms->count; i++) {
        if (!image_facts_add_kernel(&f->record.facts, &forms->items[i], err)) {
            return false;
        }
    }
    return true;
}

static bool prepare(const struct cvm_matrix_job *job, struct cvm_error *err)
{
    CVM_CLEANUP(free_forms)
    struct forms forms = { .job = job };
    if (!look_through(&forms, err) || !hash_forms(&forms, err)) {
        return false;
    }
    if (job->facts != NULL) {
        cvm_bundle_facts_keep(job->facts);
    }
    return true;
}

/* --- lines --- */

/* What is known of a shape when it is done. */
struct line {
    struct cvm_buf text;
    struct cvm_error own; /* why the shape could not be measured */
    struct cvm_error err; /* what ends everything */
};

static void free_line(void *slot)
{
    struct line *line = slot;
    cvm_buf_free(&line->text);
}

static bool measure(const struct cvm_matrix_job *job, struct shape *s, struct cvm_error *err)
{
    if (!fill(job, s, err)) {
        return false;
    }
    bool ok =
        job->facts == NULL
            ? cvm_measure_compact(&s->machine, &job->base->carried.compact, &s->expectation, err)
            : image_facts_measure(&job->facts->record.facts, &s->machine,
                                  job->base->bundle.metadata.cmdline, &s->expectation, err);
    if (ok) {
        cvm_report_warn(&s->expectation, &s->machine, &s->warnings);
    }
    return ok;
}

static void put_measured(const struct shape *s, struct cvm_json_builder *b)
{
    const struct cvm_report report = {
        .machine = &s->machine,
        .resolution = &s->resolution,
        .expectation = &s->expectation,
    };
    cvm_report_put_registers(&s->expectation, b);
    cvm_report_put_resolution(&report, b);
    cvm_json_put_string(b, "os_image_hash", s->config.os_image_hash);
}

static void add_warnings(struct cvm_warnings *w, const struct cvm_warnings *more)
{
    for (unsigned i = 0; i < more->count; i++) {
        cvm_warn(w, "%s", more->items[i]);
    }
}

struct taking {
    const struct cvm_matrix_job *job;
    struct cvm_matrix_outcome *out;
};

static void measure_shape(void *context, size_t index, void *slot)
{
    const struct cvm_matrix_job *job = ((const struct taking *)context)->job;
    struct line *line = slot;
    CVM_CLEANUP(free_shape)
    struct shape s = { .index = index };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    add_warnings(&s.warnings, &job->base->warnings);
    bool ok = measure(job, &s, &line->own);
    if (!ok && !is_shapes_own(&line->own)) {
        line->err = line->own;
        return;
    }
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_u64(&b, "index", index);
    cvm_matrix_put_shape(job->matrix, index, &b);
    if (ok) {
        put_measured(&s, &b);
    } else {
        cvm_json_put_string(&b, "error", cvm_error_word(line->own.code));
        cvm_json_put_string(&b, "message", line->own.msg);
    }
    cvm_warnings_put(&s.warnings, &b);
    cvm_json_end(&b);
    ok = cvm_json_finish(&b, CVM_JSON_ONE_LINE, &line->text, &line->err);
    (void)ok; /* line->err says it */
}

static bool take_line(void *context, size_t index, void *slot, struct cvm_error *err)
{
    struct taking *t = context;
    const struct line *line = slot;
    if (line->err.code != CVM_OK) {
        *err = line->err;
        return cvm_context(err, "shape %zu", index);
    }
    if (line->own.code != CVM_OK && t->out->failed++ == 0) {
        t->out->first = index;
        t->out->why = line->own;
    }
    return t->job->line(t->job->context, index, cvm_buf_bytes(&line->text), err);
}

bool cvm_matrix_measure(const struct cvm_matrix_job *job, struct cvm_matrix_outcome *out,
                        struct cvm_error *err)
{
    struct taking taking = { job, out };
    const struct cvm_ordered jobs = {
        .count = job->matrix->num_shapes,
        .slot_size = sizeof(struct line),
        .context = &taking,
        .work = measure_shape,
        .take = take_line,
        .drop = free_line,
    };
    *out = (struct cvm_matrix_outcome){ 0 };
    return prepare(job, err) && cvm_ordered_run(&jobs, job->threads, err);
}
