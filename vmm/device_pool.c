#include "vmm/device_pool.h"

#include <limits.h>

static const struct {
    const char *word, *key;
} kinds[] = {
    [CVM_POOL_GPU] = { "GPU", "gpus" },
    [CVM_POOL_NVSWITCH] = { "NVSwitch", "nvswitches" },
};

const char *cvm_pool_word(enum cvm_pool_kind kind)
{
    return kinds[kind].word;
}

/* --- what there is --- */

struct loading {
    const char *root;
    struct cvm_pci_addresses all; /* read when the first selector asks for a kind of device */
    bool has_all;
    struct cvm_device_pool pool;
};

static void free_loading(struct loading *l)
{
    cvm_pci_addresses_free(&l->all);
    cvm_device_pool_free(&l->pool);
}

static struct cvm_pool_device *find(const struct cvm_device_pool *pool,
                                    struct cvm_pci_address address)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (cvm_pci_address_compare(pool->items[i].facts.address, address) == 0) {
            return &pool->items[i];
        }
    }
    return NULL;
}

static bool add(struct loading *l, enum cvm_pool_kind kind, struct cvm_pci_address address,
                struct cvm_error *err)
{
    const struct cvm_pool_device *known = find(&l->pool, address);
    if (known != NULL) {
        return known->kind == kind
                   ? true
                   : cvm_fail(err, CVM_ERR_MALFORMED,
                              "host configuration: %s is listed in 'gpus' and in 'nvswitches'",
                              cvm_pci_address_text(address).text);
    }
    struct cvm_device_pool *pool = &l->pool;
    struct cvm_pool_device *grown = realloc(pool->items, (pool->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, "devices", pool->count);
    }
    pool->items = grown;
    pool->items[pool->count] = (struct cvm_pool_device){ .kind = kind };
    return cvm_pci_read(l->root, address, &pool->items[pool->count++].facts, err);
}

static bool add_kind(struct loading *l, enum cvm_pool_kind kind,
                     const struct cvm_device_selector *s, struct cvm_error *err)
{
    if (!l->has_all && !cvm_pci_list(l->root, &l->all, err)) {
        return false;
    }
    l->has_all = true;
    for (size_t i = 0; i < l->all.count; i++) {
        uint16_t vendor;
        uint16_t device;
        if (!cvm_pci_read_id(l->root, l->all.items[i], &vendor, &device, err) ||
            (vendor == s->vendor && device == s->device && !add(l, kind, l->all.items[i], err))) {
            return false;
        }
    }
    return true;
}

static bool add_listed(struct loading *l, enum cvm_pool_kind kind,
                       const struct cvm_device_selectors *list, struct cvm_warnings *warnings,
                       struct cvm_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct cvm_device_selector *s = &list->items[i];
        if (!s->by_address) {
            if (!add_kind(l, kind, s, err)) {
                return false;
            }
            continue;
        }
        if (!cvm_pci_exists(l->root, s->address)) {
            cvm_warn(warnings, "the host configuration lists %s %s, which this host does not have",
                     kinds[kind].word, cvm_pci_address_text(s->address).text);
            continue;
        }
        if (!add(l, kind, s->address, err)) {
            return false;
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct cvm_pool_device *x = a;
    const struct cvm_pool_device *y = b;
    return cvm_pci_address_compare(x->facts.address, y->facts.address);
}

bool cvm_device_pool_load(const struct cvm_host_devices *host, const struct cvm_holdings *held,
                          struct cvm_device_pool *out, struct cvm_warnings *warnings,
                          struct cvm_error *err)
{
    CVM_CLEANUP(free_loading)
    struct loading l = { .root = cvm_host_root(host) };
    if (!add_listed(&l, CVM_POOL_GPU, &host->gpus, warnings, err) ||
        !add_listed(&l, CVM_POOL_NVSWITCH, &host->nvswitches, warnings, err)) {
        return false;
    }
    if (l.pool.count != 0) {
        qsort(l.pool.items, l.pool.count, sizeof *l.pool.items, compare);
    }
    for (size_t i = 0; i < l.pool.count; i++) {
        l.pool.items[i].owner = cvm_holdings_owner(held, l.pool.items[i].facts.address);
    }
    *out = l.pool;
    l.pool = (struct cvm_device_pool){ 0 };
    return true;
}

void cvm_device_pool_free(struct cvm_device_pool *pool)
{
    free(pool->items);
    *pool = (struct cvm_device_pool){ 0 };
}

/* --- choosing --- */

static bool choose_address(struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                           struct cvm_pci_address address, struct cvm_pci_facts *out,
                           struct cvm_error *err)
{
    struct cvm_pool_device *d = find(pool, address);
    const struct cvm_pci_text at = cvm_pci_address_text(address);
    if (d == NULL || d->kind != kind) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "%s %s is not among the host configuration's '%s', or not on this host",
                        kinds[kind].word, at.text, kinds[kind].key);
    }
    if (d->owner != NULL) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "%s %s is held by guest '%s', until that is removed",
                        kinds[kind].word, at.text, d->owner);
    }
    if (d->chosen) {
        return cvm_fail(err, CVM_ERR_USAGE, "%s %s is asked for twice", kinds[kind].word, at.text);
    }
    d->chosen = true;
    *out = d->facts;
    return true;
}

static bool matches(const struct cvm_pool_device *d, enum cvm_pool_kind kind,
                    const struct cvm_device_selector *s)
{
    return d->kind == kind && d->facts.vendor == s->vendor && d->facts.device == s->device;
}

static bool is_candidate(const struct cvm_pool_device *d, enum cvm_pool_kind kind,
                         const struct cvm_device_selector *s)
{
    return matches(d, kind, s) && d->owner == NULL && !d->chosen;
}

enum { ANY_NODE = INT_MIN };

static uint32_t count_candidates(const struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                                 const struct cvm_device_selector *s, int node)
{
    uint32_t count = 0;
    for (size_t i = 0; i < pool->count; i++) {
        const struct cvm_pool_device *d = &pool->items[i];
        count += is_candidate(d, kind, s) && (node == ANY_NODE || d->facts.numa_node == node);
    }
    return count;
}

static int choose_node(const struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                       const struct cvm_device_selector *s)
{
    int best = ANY_NODE;
    uint32_t best_count = UINT32_MAX;
    for (size_t i = 0; i < pool->count; i++) {
        int node = pool->items[i].facts.numa_node;
        uint32_t count = count_candidates(pool, kind, s, node);
        bool better = count < best_count || (count == best_count && node < best);
        if (count >= s->count && better) {
            best = node;
            best_count = count;
        }
    }
    return best;
}

static bool too_few(const struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                    const struct cvm_device_selector *s, uint32_t free_count, struct cvm_error *err)
{
    unsigned all = 0;
    unsigned held = 0;
    for (size_t i = 0; i < pool->count; i++) {
        all += matches(&pool->items[i], kind, s);
        held += matches(&pool->items[i], kind, s) && pool->items[i].owner != NULL;
    }
    return cvm_fail(err, CVM_ERR_SYSTEM,
                    "%u of %s %04x:%04x are wanted, and %u are free: the host has %u that may be "
                    "given to guests, and guests hold %u",
                    s->count, kinds[kind].word, s->vendor, s->device, free_count, all, held);
}

static bool choose_kind(struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                        const struct cvm_device_selector *s, struct cvm_pci_facts *out,
                        struct cvm_error *err)
{
    uint32_t free_count = count_candidates(pool, kind, s, ANY_NODE);
    if (free_count < s->count) {
        return too_few(pool, kind, s, free_count, err);
    }
    int node = choose_node(pool, kind, s);
    uint32_t taken = 0;
    for (size_t i = 0; i < pool->count && taken < s->count; i++) {
        struct cvm_pool_device *d = &pool->items[i];
        if (is_candidate(d, kind, s) && (node == ANY_NODE || d->facts.numa_node == node)) {
            d->chosen = true;
            out[taken++] = d->facts;
        }
    }
    return true;
}

bool cvm_device_pool_choose(struct cvm_device_pool *pool, enum cvm_pool_kind kind,
                            const struct cvm_device_selectors *wanted, struct cvm_pci_facts *out,
                            uint32_t *count, struct cvm_error *err)
{
    *count = 0;
    for (size_t i = 0; i < wanted->count; i++) { /* addresses first: they have no alternative */
        const struct cvm_device_selector *s = &wanted->items[i];
        if (s->by_address && !choose_address(pool, kind, s->address, &out[*count], err)) {
            return false;
        }
        *count += s->by_address;
    }
    for (size_t i = 0; i < wanted->count; i++) {
        const struct cvm_device_selector *s = &wanted->items[i];
        if (!s->by_address && !choose_kind(pool, kind, s, &out[*count], err)) {
            return false;
        }
        *count += s->by_address ? 0 : s->count;
    }
    return true;
}
