#include "vmm/cli/measure_matrix.h"

#include "vmm/cli/cli.h"
#include "vmm/matrix_measure.h"

#include <unistd.h>

/* An option and the matrix would both decide: which one is meant is not for us to guess. */
static bool twice(const char *key, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_USAGE, "both an option and the matrix say %s", key);
}

static bool check_options(const struct cvm_matrix *m, const struct cvm_measure_request *request,
                          struct cvm_error *err)
{
    const struct {
        const char *key;
        const char *option;
    } others[] = {
        { "ovmf_variant", request->ovmf_variant },
        { "qemu_single_pass_add_pages", request->page_add_order },
        { "kernel_header", request->kernel_header },
    };
    for (size_t i = 0; i < m->num_keys; i++) {
        const struct cvm_json_field *f = m->keys[i].field;
        if (cvm_json_is_set(f->kind, (const char *)&request->config + f->offset)) {
            return twice(f->key, err);
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i].option != NULL && cvm_matrix_find(m, others[i].key) != NULL) {
            return twice(others[i].key, err);
        }
    }
    return true;
}

/* --- lines --- */

struct printer {
    size_t count;
    bool progress; /* to a terminal that does not show the lines themselves */
};

static void show_progress(const struct printer *p, size_t shape)
{
    enum { EVERY = 64 };
    if (p->progress && shape + 1 == p->count) {
        fprintf(stderr, "\r\033[K");
    } else if (p->progress && shape % EVERY == 0) {
        fprintf(stderr, "\rmeasuring: %zu of %zu machines", shape, p->count);
    }
}

static bool print_line(void *context, size_t shape, struct cvm_bytes text, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf line = { 0 };
    cvm_put_bytes(&line, text.data, text.size);
    cvm_put_u8(&line, '\n');
    show_progress(context, shape);
    return cvm_buf_finish(&line, "answer", err) && cli_print(&line, err);
}

static bool say_outcome(const struct cvm_matrix_outcome *outcome, size_t count,
                        struct cvm_error *err)
{
    if (outcome->failed == 0) {
        return true;
    }
    *err = outcome->why;
    return cvm_context(err, "%zu of %zu shapes cannot be measured, the first is shape %zu",
                       outcome->failed, count, outcome->first);
}

bool cli_measure_matrix(const char *path, struct cvm_measure_base *base, const char *state_dir,
                        struct cvm_error *err)
{
    cvm_automatrix struct cvm_matrix matrix = { 0 };
    cvm_autobundlefacts struct cvm_bundle_facts facts = { 0 };
    struct cvm_matrix_outcome outcome;
    if (!cvm_matrix_load(path, &matrix, err) || !check_options(&matrix, base->request, err)) {
        return false;
    }
    if (base->has_bundle &&
        !cvm_bundle_facts_open(&base->bundle, state_dir, cli_progress(), &facts, err)) {
        return false;
    }
    base->firmware = base->has_bundle ? &facts.record.facts.firmware : NULL;
    struct printer printer = {
        .count = matrix.num_shapes,
        .progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO),
    };
    const struct cvm_matrix_job job = {
        .matrix = &matrix,
        .base = base,
        .facts = base->has_bundle ? &facts : NULL,
        .line = print_line,
        .context = &printer,
    };
    bool ok =
        cvm_matrix_measure(&job, &outcome, err) && say_outcome(&outcome, matrix.num_shapes, err);
    base->firmware = NULL; /* the facts end here */
    return ok;
}
