#include "measure/include/cvm/compare.h"

#include "measure/base/cleanup.h"
#include "measure/base/error.h"
#include "measure/base/hash.h"

/* What it costs to say so; two gaps cost more than one difference of the same kind. */
enum { COST_GAP = 2, COST_DIFFERENT = 3, COST_NEVER = 0xffff, MAX_LABEL = 40 };

const char *cvm_difference_word(enum cvm_difference difference)
{
    static const char *const words[] = {
        [CVM_SAME] = "equal",
        [CVM_DIFFERENT] = "different",
        [CVM_MISSING] = "missing",
        [CVM_SURPLUS] = "surplus",
    };
    return words[difference];
}

/* --- kinds of events --- */

/* The type that an expected event has in a log, by the start of its name; 0 where any will do. */
static uint32_t type_of(const char *name)
{
    static const struct {
        const char *prefix;
        uint32_t type;
    } types[] = {
        { "td_hob", 0x8000000b },   { "cfv", 0x8000000a },        { "fwcfg_", 0x0000000a },
        { "acpi_", 0x0000000a },    { "secureboot", 0x80000001 }, { "pk", 0x80000001 },
        { "kek", 0x80000001 },      { "db", 0x80000001 },         { "separator", 0x00000004 },
        { "smbios", 0x80000009 },   { "boot", 0x80000002 },       { "kernel", 0x80000003 },
        { "calling_", 0x80000007 }, { "exit_", 0x80000007 },      { "cmdline", 0x00000006 },
        { "initrd", 0x00000006 },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strncmp(name, types[i].prefix, strlen(types[i].prefix)) == 0) {
            return types[i].type;
        }
    }
    return 0;
}

/* Lower case, without what joins words: "BootOrder", "boot_order" and "boot-order" are one. */
static void normalise(const char *name, size_t length, char out[MAX_LABEL])
{
    size_t n = 0;
    for (size_t i = 0; i < length && n + 1 < MAX_LABEL; i++) {
        char c = name[i];
        if (c != '_' && c != '-') {
            out[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
    }
    out[n] = '\0';
}

/* What a logged event calls itself: its variable, or the name that the log gives it. */
static void label_of(const struct cvm_logged_event *event, char out[MAX_LABEL])
{
    struct cvm_event_text text;
    bool is_variable = event->type == 0x80000001 || event->type == 0x80000002;
    if (is_variable && event->data.size != 0) {
        cvm_logged_event_describe(event, &text);
        normalise(text.text, strcspn(text.text, " "), out);
        return;
    }
    normalise(event->name, strlen(event->name), out);
}

/* --- alignment --- */

/* The events of one register on both sides, and the cheapest way to align what follows. */
struct alignment {
    const struct cvm_event_list *expected;
    const struct cvm_event_log *seen;
    uint32_t *left, *right; /* indices into the lists */
    char (*labels)[MAX_LABEL];
    uint32_t num_left, num_right;
    uint16_t *costs; /* (num_left + 1) rows of num_right + 1: of aligning the tails */
};

static void free_alignment(struct alignment *a)
{
    free(a->left);
    free(a->right);
    free(a->labels);
    free(a->costs);
}

static uint16_t *cost_at(const struct alignment *a, uint32_t i, uint32_t k)
{
    return &a->costs[(size_t)i * (a->num_right + 1) + k];
}

/* Whether any expected event of this register has such a name: only then does a label decide. */
static bool is_known_label(const struct alignment *a, const char *label)
{
    char name[MAX_LABEL];
    for (uint32_t i = 0; i < a->num_left; i++) {
        const char *expected = a->expected->events[a->left[i]].name;
        normalise(expected, strlen(expected), name);
        if (strcmp(name, label) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t pair_cost(const struct alignment *a, uint32_t i, uint32_t k)
{
    const struct cvm_event *expected = &a->expected->events[a->left[i]];
    const struct cvm_logged_event *seen = &a->seen->events[a->right[k]];
    char name[MAX_LABEL];
    if (cvm_sha384_equal(&expected->digest, &seen->digest)) {
        return 0;
    }
    uint32_t type = type_of(expected->name);
    normalise(expected->name, strlen(expected->name), name);
    bool other_type = type != 0 && type != seen->type;
    bool other_name = a->labels[k][0] != '\0' && strcmp(name, a->labels[k]) != 0;
    return other_type || other_name ? COST_NEVER : COST_DIFFERENT;
}

static uint16_t cheapest(const struct alignment *a, uint32_t i, uint32_t k)
{
    uint32_t best = COST_NEVER;
    if (i < a->num_left && k < a->num_right) {
        best = pair_cost(a, i, k) + *cost_at(a, i + 1, k + 1);
    }
    uint32_t missing = i < a->num_left ? COST_GAP + *cost_at(a, i + 1, k) : COST_NEVER;
    uint32_t surplus = k < a->num_right ? COST_GAP + *cost_at(a, i, k + 1) : COST_NEVER;
    best = missing < best ? missing : best;
    best = surplus < best ? surplus : best;
    return (uint16_t)(i == a->num_left && k == a->num_right ? 0 : best);
}

static void collect(struct alignment *a, unsigned rtmr)
{
    for (uint32_t i = 0; i < a->expected->num_events; i++) {
        if (a->expected->events[i].rtmr == rtmr) {
            a->left[a->num_left++] = i;
        }
    }
    for (uint32_t k = 0; k < a->seen->num_events; k++) {
        const struct cvm_logged_event *event = &a->seen->events[k];
        if (event->extended && event->rtmr == rtmr) {
            label_of(event, a->labels[a->num_right]);
            a->right[a->num_right++] = k;
        }
    }
    for (uint32_t k = 0; k < a->num_right; k++) {
        if (!is_known_label(a, a->labels[k])) {
            a->labels[k][0] = '\0';
        }
    }
}

static bool align(struct alignment *a, unsigned rtmr, struct cvm_error *err)
{
    size_t seen = a->seen->num_events;
    a->left = calloc(a->expected->num_events + 1u, sizeof *a->left);
    a->right = calloc(seen + 1, sizeof *a->right);
    a->labels = calloc(seen + 1, sizeof *a->labels);
    if (a->left == NULL || a->right == NULL || a->labels == NULL) {
        return cvm_fail_nomem(err, "comparison", seen);
    }
    collect(a, rtmr);
    size_t cells = (size_t)(a->num_left + 1) * (a->num_right + 1);
    a->costs = calloc(cells, sizeof *a->costs);
    if (a->costs == NULL) {
        return cvm_fail_nomem(err, "comparison", cells * sizeof *a->costs);
    }
    for (uint32_t i = a->num_left + 1; i-- > 0;) {
        for (uint32_t k = a->num_right + 1; k-- > 0;) {
            *cost_at(a, i, k) = cheapest(a, i, k);
        }
    }
    return true;
}

/* The next row of the cheapest alignment: side by side before missing before surplus. */
static struct cvm_compared_event next_row(const struct alignment *a, uint32_t *i, uint32_t *k)
{
    uint32_t cost = *cost_at(a, *i, *k);
    bool both = *i < a->num_left && *k < a->num_right;
    uint32_t pair = both ? pair_cost(a, *i, *k) : COST_NEVER;
    if (both && pair + *cost_at(a, *i + 1, *k + 1) == cost) {
        return (struct cvm_compared_event){ pair == 0 ? CVM_SAME : CVM_DIFFERENT, a->left[(*i)++],
                                            a->right[(*k)++] };
    }
    if (*i < a->num_left && (uint32_t)COST_GAP + *cost_at(a, *i + 1, *k) == cost) {
        return (struct cvm_compared_event){ CVM_MISSING, a->left[(*i)++], CVM_NO_EVENT };
    }
    return (struct cvm_compared_event){ CVM_SURPLUS, CVM_NO_EVENT, a->right[(*k)++] };
}

bool cvm_compare_events(const struct cvm_event_list *expected, const struct cvm_event_log *seen,
                        unsigned rtmr, struct cvm_comparison *out, struct cvm_error *err)
{
    CVM_CLEANUP(free_alignment)
    struct alignment a = { .expected = expected, .seen = seen };
    if (!align(&a, rtmr, err)) {
        return false;
    }
    size_t most = (size_t)a.num_left + a.num_right + 1;
    struct cvm_comparison c = { .rows = calloc(most, sizeof *c.rows) };
    if (c.rows == NULL) {
        return cvm_fail_nomem(err, "comparison", most * sizeof *c.rows);
    }
    uint32_t i = 0;
    uint32_t k = 0;
    bool all_same = true;
    while (i < a.num_left || k < a.num_right) {
        c.rows[c.num_rows] = next_row(&a, &i, &k);
        bool same = c.rows[c.num_rows++].difference == CVM_SAME;
        c.first += all_same && same;
        all_same = all_same && same;
    }
    *out = c;
    return true;
}

void cvm_comparison_free(struct cvm_comparison *comparison)
{
    free(comparison->rows);
    *comparison = (struct cvm_comparison){ 0 };
}
