#include "vmm/explain.h"
#include "vmm/evidence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { MAX_FACTS = 32, MAX_THREADS = 8, SCORE_OF_VALUE = 10000 };

/* All values of one fact, or all combinations of two. */
struct block {
    uint32_t a, b;  /* indices of facts; b == a: only one */
    uint64_t first; /* index of its first combination */
    uint64_t size;
};

/* Facts that are changed together. */
struct combination {
    uint32_t facts[CVM_EXPLAIN_MAX_CHANGES];
    uint64_t values[CVM_EXPLAIN_MAX_CHANGES];
    unsigned count;
};

/* What one combination came to. */
struct result {
    uint64_t index; /* of the combination; of those that were put together: behind the singles */
    struct combination combination;
    unsigned matched;
    uint64_t score; /* matched values, and events of the log */
    bool matches[CVM_EXPLAIN_MAX_SEEN];
};

struct search {
    const struct cvm_explain_input *input;
    const struct cvm_explain_fact *table;
    size_t num_facts;
    struct cvm_explain_facts facts;
    struct cvm_explain_images images;
    struct block blocks[MAX_FACTS * (MAX_FACTS + 1) / 2];
    size_t num_blocks;
    uint64_t singles, total;
    uint64_t *scores; /* owned; of the singles that were measured */
    uint64_t declared_score;
    double deadline; /* seconds of the monotonic clock */

    atomic_uint_least64_t next, end, tried, skipped, looked_at;
    atomic_bool out_of_time;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t idle;
    unsigned working;
    struct result found[CVM_EXPLAIN_MAX_FOUND];
    unsigned num_found;
    struct result best;
    struct cvm_error err; /* what stops a search: memory */
};

/* --- what a machine gives --- */

static void judge(const struct search *s, const struct cvm_expectation *e, struct result *out)
{
    out->matched = 0;
    for (unsigned i = 0; i < s->input->num_seen; i++) {
        out->matches[i] = cvm_seen_fits(&s->input->seen[i], e);
        out->matched += out->matches[i];
    }
    out->score = (uint64_t)out->matched * SCORE_OF_VALUE;
    const struct cvm_event_log *log = s->input->log;
    out->score += log != NULL ? cvm_count_expected(log, &e->events) : 0;
}

/* --- combinations --- */

static uint64_t count_of(const struct search *s, uint32_t fact)
{
    return s->table[fact].count(&s->facts);
}

static void add_block(struct search *s, uint32_t a, uint32_t b)
{
    struct block *block = &s->blocks[s->num_blocks++];
    *block = (struct block){ a, b, 0, a == b ? count_of(s, a) : count_of(s, a) * count_of(s, b) };
}

static int by_size(const void *left, const void *right)
{
    const struct block *l = left;
    const struct block *r = right;
    if (l->size != r->size) {
        return l->size < r->size ? -1 : 1;
    }
    return l->a != r->a ? (l->a < r->a ? -1 : 1) : (l->b < r->b ? -1 : l->b > r->b);
}

/* Single facts in the order of the table, then pairs, those with few combinations first. */
static void plan(struct search *s)
{
    for (uint32_t a = 0; a < s->num_facts; a++) {
        add_block(s, a, a);
    }
    size_t singles = s->num_blocks;
    for (uint32_t a = 0; a < s->num_facts; a++) {
        for (uint32_t b = a + 1; b < s->num_facts; b++) {
            add_block(s, a, b);
        }
    }
    qsort(s->blocks + singles, s->num_blocks - singles, sizeof s->blocks[0], by_size);
    for (size_t i = 0; i < s->num_blocks; i++) {
        s->blocks[i].first = s->total;
        s->total += s->blocks[i].size;
        s->singles = i < singles ? s->total : s->singles;
    }
}

static struct combination combination_at(const struct search *s, uint64_t index)
{
    size_t low = 0;
    size_t high = s->num_blocks - 1;
    while (low < high) { /* the last block that begins at or before index */
        size_t middle = (low + high + 1) / 2;
        if (s->blocks[middle].first <= index) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    const struct block *block = &s->blocks[low];
    uint64_t at = index - block->first;
    uint64_t other = block->a == block->b ? 1 : count_of(s, block->b);
    struct combination c = { .facts = { block->a, block->b },
                             .count = block->a == block->b ? 1 : 2 };
    const struct cvm_explain_fact *a = &s->table[block->a];
    const struct cvm_explain_fact *b = &s->table[block->b];
    c.values[0] = a->value(&s->facts, (uint32_t)(at / other));
    c.values[1] = c.count == 2 ? b->value(&s->facts, (uint32_t)(at % other)) : 0;
    return c;
}

/* --- machines on trial --- */

/* The machine with those facts of the combination changed that `mask` has a bit for. */
static bool fill(struct search *s, const struct combination *c, unsigned mask,
                 struct cvm_machine *out, uint32_t *image)
{
    struct cvm_error ignored = { 0 };
    struct cvm_resolution resolution = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    const struct cvm_declared *d = s->input->declared;
    struct cvm_candidate candidate = { .config = d->config, .evidence = cvm_declared_evidence(d) };
    for (unsigned i = 0; i < c->count; i++) {
        if ((mask >> i & 1) != 0) {
            s->table[c->facts[i]].apply(&s->facts, c->values[i], &candidate);
        }
    }
    *image = candidate.image;
    if (*image != 0) {
        candidate.evidence.firmware = cvm_explain_images_firmware(&s->images, *image);
        if (candidate.evidence.firmware == NULL) {
            return false;
        }
    }
    return cvm_machine_fill_platform(&candidate.config, out, &ignored) &&
           cvm_machine_fill_firmware(&candidate.config, &candidate.evidence, out, &resolution,
                                     &warnings, &ignored);
}

/* Whether the same machine comes without one of the changes: then it is not worth a trial. */
static bool is_redundant(struct search *s, const struct combination *c,
                         const struct cvm_machine *machine, uint32_t image)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct cvm_machine other;
        uint32_t other_image;
        unsigned without = ((1u << c->count) - 1) & ~(1u << i);
        if (fill(s, c, without, &other, &other_image) && image == other_image &&
            cvm_machine_equal(machine, &other)) {
            return true;
        }
    }
    return false;
}

/* Measures a combination; false where there is nothing to measure. */
static bool try(struct search *s, const struct combination *c, struct result *out,
                struct cvm_error *err)
{
    struct cvm_machine machine;
    struct cvm_expectation expectation;
    uint32_t image;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->values[i] == s->table[c->facts[i]].declared(&s->facts)) {
            return false;
        }
    }
    if (!fill(s, c, (1u << c->count) - 1, &machine, &image) ||
        is_redundant(s, c, &machine, image)) {
        return false;
    }
    if (!cvm_explain_images_measure(&s->images, image, &machine, &expectation, err)) {
        return false;
    }
    out->combination = *c;
    judge(s, &expectation, out);
    return true;
}

/* --- workers --- */

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_late(const struct search *s)
{
    return seconds_of(CLOCK_MONOTONIC) >= s->deadline;
}

/* Keeps what gives everything, in the order of the search; with pairs the first one ends it. */
static void keep(struct search *s, const struct result *r)
{
    pthread_mutex_lock(&s->lock);
    if (r->score > s->best.score || (r->score == s->best.score && r->index < s->best.index)) {
        s->best = *r;
    }
    if (r->matched == s->input->num_seen) {
        unsigned at = s->num_found;
        for (; at > 0 && s->found[at - 1].index > r->index; at--) {
            if (at < CVM_EXPLAIN_MAX_FOUND) {
                s->found[at] = s->found[at - 1];
            }
        }
        if (at < CVM_EXPLAIN_MAX_FOUND) {
            s->found[at] = *r;
            s->num_found += s->num_found < CVM_EXPLAIN_MAX_FOUND;
        }
        if (r->index >= s->singles && r->index < atomic_load(&s->end)) {
            atomic_store(&s->end, r->index); /* others finish what lies before */
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *data)
{
    struct search *s = data;
    struct cvm_error err = { 0 };
    while (err.code != CVM_ERR_NOMEM) {
        struct result r = { 0 };
        if (is_late(s)) {
            atomic_store(&s->out_of_time, true);
            break;
        }
        uint64_t index = atomic_fetch_add(&s->next, 1);
        if (index >= atomic_load(&s->end)) {
            break;
        }
        err = (struct cvm_error){ 0 };
        r.index = index;
        const struct combination c = combination_at(s, index);
        if (try(s, &c, &r, &err)) {
            atomic_fetch_add(&s->tried, 1);
            if (index < s->singles) {
                s->scores[index] = r.score; /* each index has one worker */
            }
            keep(s, &r);
        } else {
            atomic_fetch_add(&s->skipped, 1);
        }
        atomic_fetch_add(&s->looked_at, 1);
    }
    pthread_mutex_lock(&s->lock);
    if (err.code == CVM_ERR_NOMEM) {
        s->err = err;
        atomic_store(&s->end, 0);
    }
    s->working--;
    pthread_cond_signal(&s->idle);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Until the workers are done: tells how far they are, ten times a second. */
static void watch(struct search *s, const char *stage)
{
    pthread_mutex_lock(&s->lock);
    while (s->working != 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->idle, &s->lock, &until);
        if (s->input->progress != NULL) {
            s->input->progress(atomic_load(&s->looked_at), s->total, stage);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* Looks at combinations from where the last stage ended up to `end`, on all processors. */
static bool run_stage(struct search *s, uint64_t end, const char *stage, struct cvm_error *err)
{
    pthread_t threads[MAX_THREADS];
    unsigned started = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = processors < 1             ? 1
                      : processors > MAX_THREADS ? MAX_THREADS
                                                 : (unsigned)processors;
    atomic_store(&s->end, end);
    s->working = wanted;
    while (started < wanted && pthread_create(&threads[started], NULL, work, s) == 0) {
        started++;
    }
    pthread_mutex_lock(&s->lock);
    s->working -= wanted - started;
    s->working += started == 0;
    pthread_mutex_unlock(&s->lock);
    if (started == 0) { /* no threads to be had: here, then */
        work(s);
    }
    watch(s, stage);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    if (s->err.code != CVM_OK) {
        *err = s->err;
        return false;
    }
    atomic_store(&s->next, end);
    return true;
}

/* --- several changes --- */

static bool has_fact(const struct combination *c, uint32_t fact)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->facts[i] == fact) {
            return true;
        }
    }
    return false;
}

/* The best of `from` with one change more, out of those that alone came nearer. */
static bool next_step(struct search *s, const struct result *from, struct result *out,
                      struct cvm_error *err)
{
    bool better = false;
    *out = *from;
    for (uint64_t i = 0; i < s->singles && !is_late(s); i++) {
        struct result r = { .index = s->singles };
        struct combination c = from->combination;
        const struct combination one = combination_at(s, i);
        if (s->scores[i] <= s->declared_score || has_fact(&c, one.facts[0])) {
            continue;
        }
        c.facts[c.count] = one.facts[0];
        c.values[c.count++] = one.values[0];
        struct cvm_error ignored = { 0 };
        if (try(s, &c, &r, &ignored)) {
            atomic_fetch_add(&s->tried, 1);
            if (r.score > out->score) {
                *out = r;
                better = true;
            }
        }
        if (ignored.code == CVM_ERR_NOMEM) {
            *err = ignored;
            return false;
        }
    }
    return better;
}

/*
 * Changes that alone came nearer are put together, the best first. With an event log to go by,
 * that finds causes that are independent of each other, however many there are.
 */
static bool put_together(struct search *s, struct cvm_error *err)
{
    struct result current = s->best;
    struct result next;
    while (s->num_found == 0 && current.score > s->declared_score &&
           current.combination.count < CVM_EXPLAIN_MAX_CHANGES &&
           next_step(s, &current, &next, err)) {
        keep(s, &next);
        current = next;
    }
    return err->code == CVM_OK;
}

/* --- the answer --- */

static void describe(const struct search *s, const struct result *r, struct cvm_explanation *out)
{
    const struct combination *c = &r->combination;
    *out = (struct cvm_explanation){ .num_changes = c->count, .matched = r->matched };
    for (unsigned i = 0; i < c->count; i++) {
        struct cvm_explain_change *change = &out->changes[i];
        const struct cvm_explain_fact *fact = &s->table[c->facts[i]];
        change->fact = fact->name;
        fact->show(&s->facts, fact->declared(&s->facts), change->declared, sizeof change->declared);
        fact->show(&s->facts, c->values[i], change->seen, sizeof change->seen);
        cvm_explain_sentence(&s->facts, fact, change);
    }
}

/* The machine as declared: whether there is anything to explain. */
static bool measure_declared(struct search *s, struct cvm_explained *out, struct cvm_error *err)
{
    struct cvm_expectation e;
    struct result r = { 0 };
    out->measurable =
        cvm_explain_images_measure(&s->images, 0, &s->input->declared->machine, &e, err);
    if (!out->measurable) {
        if (err->code != CVM_ERR_UNSUPPORTED) {
            return false;
        }
        snprintf(out->why_not, sizeof out->why_not, "%.290s", err->msg);
        *err = (struct cvm_error){ 0 };
        return true;
    }
    judge(s, &e, &r);
    out->matched = r.matched;
    s->best.score = r.score; /* what a nearest one has to beat */
    s->declared_score = r.score;
    return true;
}

static void conclude(const struct search *s, struct cvm_explained *out)
{
    for (; out->num_found < s->num_found; out->num_found++) {
        describe(s, &s->found[out->num_found], &out->found[out->num_found]);
    }
    out->has_nearest = out->num_found == 0 && s->best.score > s->declared_score;
    if (out->has_nearest) {
        describe(s, &s->best, &out->nearest);
        memcpy(out->nearest_matches, s->best.matches, sizeof out->nearest_matches);
    }
    out->tried = atomic_load(&s->tried);
    out->skipped = atomic_load(&s->skipped);
    out->total = s->total;
    out->complete = atomic_load(&s->looked_at) == s->total;
}

static bool search(struct search *s, struct cvm_explained *out, struct cvm_error *err)
{
    if (!measure_declared(s, out, err)) {
        return false;
    }
    if (out->matched == s->input->num_seen) {
        return true;
    }
    cvm_explain_images_find(&s->images);
    plan(s);
    s->scores = calloc(s->singles + 1, sizeof *s->scores);
    if (s->scores == NULL) {
        return cvm_fail_nomem(err, "search", s->singles * sizeof *s->scores);
    }
    if (!run_stage(s, s->singles, "one change", err) || !put_together(s, err)) {
        return false;
    }
    out->pairs = s->num_found == 0 && !atomic_load(&s->out_of_time);
    if (out->pairs && !run_stage(s, s->total, "two changes", err)) {
        return false;
    }
    conclude(s, out);
    return true;
}

bool cvm_explain(const struct cvm_explain_input *input, struct cvm_explained *out,
                 struct cvm_error *err)
{
    for (unsigned i = 0; i < input->num_seen; i++) {
        if (!cvm_seen_check(&input->seen[i], err)) {
            return false;
        }
    }
    struct search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return cvm_fail_nomem(err, "search", sizeof *s);
    }
    double started = seconds_of(CLOCK_MONOTONIC);
    double cpu_started = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    s->input = input;
    s->table = cvm_explain_fact_table(&s->num_facts);
    cvm_explain_images_init(&s->images, input);
    s->facts = (struct cvm_explain_facts){ input, &s->images };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    s->deadline = started + input->budget;
    *out = (struct cvm_explained){ .num_seen = input->num_seen };
    bool ok = search(s, out, err);
    out->seconds = seconds_of(CLOCK_MONOTONIC) - started;
    out->cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_started;
    cvm_explain_images_free(&s->images);
    free(s->scores);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return ok;
}
