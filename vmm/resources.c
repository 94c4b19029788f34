#include "vmm/resources.h"

#include <stdio.h>

/* --- reading --- */

struct resources_text {
    struct json_object *gpus, *nvswitches, *huge_pages;
    const char *cpus;
    struct cvm_opt_bool stand_in;
};

#define TEXT(f) offsetof(struct resources_text, f)
/* clang-format off */
static const struct cvm_json_field resource_fields[] = {
    { "gpus",       CVM_JSON_ARRAY,  TEXT(gpus), .max = CVM_MAX_GPUS },
    { "nvswitches", CVM_JSON_ARRAY,  TEXT(nvswitches), .max = CVM_MAX_GPUS },
    { "cpus",       CVM_JSON_STRING, TEXT(cpus) },
    { "huge_pages", CVM_JSON_ARRAY,  TEXT(huge_pages), .max = CVM_MAX_NUMA_NODES },
    { "stand_in",   CVM_JSON_BOOL,   TEXT(stand_in) },
    { 0 },
};
/* clang-format on */

struct pages_text {
    struct cvm_opt_u64 node, size, count;
};

static const struct cvm_json_field pages_fields[] = {
    { "node", CVM_JSON_NUMBER, offsetof(struct pages_text, node), .max = CVM_MAX_HOST_NODES - 1 },
    { "size", CVM_JSON_NUMBER, offsetof(struct pages_text, size), .required = true, .min = 4096,
      .max = UINT64_C(1) << 40 },
    { "count", CVM_JSON_NUMBER, offsetof(struct pages_text, count), .required = true, .min = 1,
      .max = UINT64_C(1) << 40 },
    { 0 },
};

static bool decode_addresses(const char *key, const struct json_object *array,
                             struct cvm_pci_address *out, size_t *count, struct cvm_error *err)
{
    size_t length = cvm_json_array_length(array);
    if (!cvm_json_check_strings(key, array, err)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!cvm_pci_address_parse(cvm_json_string(cvm_json_array_at(array, i)), &out[i], err)) {
            return cvm_context(err, "%s[%zu]", key, i);
        }
    }
    *count = length;
    return true;
}

static bool decode_pages(const struct json_object *array, struct cvm_resources *out,
                         struct cvm_error *err)
{
    size_t length = cvm_json_array_length(array);
    for (size_t i = 0; i < length; i++) {
        struct pages_text t = { 0 };
        if (!cvm_json_decode(cvm_json_array_at(array, i), pages_fields, CVM_JSON_REJECT_UNKNOWN, &t,
                             err)) {
            return cvm_context(err, "huge_pages[%zu]", i);
        }
        out->huge_pages[i] = (struct cvm_huge_pages){
            .bound = t.node.set,
            .node = (uint32_t)t.node.value,
            .size = t.size.value,
            .count = t.count.value,
        };
    }
    out->num_huge_pages = length;
    return true;
}

bool cvm_resources_decode(const struct json_object *object, struct cvm_resources *out,
                          struct cvm_error *err)
{
    struct resources_text t = { 0 };
    *out = (struct cvm_resources){ 0 };
    if (object == NULL) {
        return true;
    }
    if (!cvm_json_decode(object, resource_fields, CVM_JSON_REJECT_UNKNOWN, &t, err) ||
        !decode_addresses("gpus", t.gpus, out->gpus, &out->num_gpus, err) ||
        !decode_addresses("nvswitches", t.nvswitches, out->nvswitches, &out->num_nvswitches, err) ||
        (t.cpus != NULL && !cvm_cpu_set_parse(t.cpus, &out->cpus, err)) ||
        !decode_pages(t.huge_pages, out, err)) {
        return cvm_context(err, "key 'resources'");
    }
    out->stand_in = t.stand_in.value;
    return true;
}

/* --- writing --- */

void cvm_resources_put_devices(const char *key, const struct cvm_pci_address *devices, size_t count,
                               struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, key);
    for (size_t i = 0; i < count; i++) {
        cvm_json_put_string(b, NULL, cvm_pci_address_text(devices[i]).text);
    }
    cvm_json_end(b);
}

static void put_pages(const struct cvm_resources *r, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "huge_pages");
    for (size_t i = 0; i < r->num_huge_pages; i++) {
        const struct cvm_huge_pages *p = &r->huge_pages[i];
        cvm_json_begin_object(b, NULL);
        if (p->bound) {
            cvm_json_put_u64(b, "node", p->node);
        }
        cvm_json_put_u64(b, "size", p->size);
        cvm_json_put_u64(b, "count", p->count);
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

bool cvm_resources_put(const struct cvm_resources *r, struct cvm_json_builder *b,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf cpus = { 0 };
    cvm_cpu_set_put(&r->cpus, &cpus);
    cvm_put_u8(&cpus, '\0');
    if (!cvm_buf_finish(&cpus, "CPUs", err)) {
        return false;
    }
    bool pinned = cpus.len > 1;
    if (r->num_gpus == 0 && r->num_nvswitches == 0 && !pinned && r->num_huge_pages == 0) {
        return true;
    }
    cvm_json_begin_object(b, "resources");
    cvm_resources_put_devices("gpus", r->gpus, r->num_gpus, b);
    cvm_resources_put_devices("nvswitches", r->nvswitches, r->num_nvswitches, b);
    if (pinned) {
        cvm_json_put_string(b, "cpus", (const char *)cpus.data);
    }
    put_pages(r, b);
    cvm_json_put_bool(b, "stand_in", r->stand_in);
    cvm_json_end(b);
    return true;
}

static void print_devices(const char *word, const struct cvm_pci_address *devices, size_t count,
                          struct cvm_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        cvm_put_format(out, "%-10s %s\n", word, cvm_pci_address_text(devices[i]).text);
    }
}

void cvm_resources_print(const struct cvm_resources *r, struct cvm_buf *out)
{
    print_devices("gpu", r->gpus, r->num_gpus, out);
    print_devices("nvswitch", r->nvswitches, r->num_nvswitches, out);
    if (cvm_cpu_set_count(&r->cpus) != 0) {
        cvm_put_text(out, "host cpus  ");
        cvm_cpu_set_put(&r->cpus, out);
        cvm_put_text(out, "\n");
    }
}

/* --- of all guests --- */

static bool add_devices(struct cvm_holdings *h, const char *owner,
                        const struct cvm_pci_address *devices, size_t count, struct cvm_error *err)
{
    if (count == 0) {
        return true;
    }
    struct cvm_held_device *grown = realloc(h->devices, (h->count + count) * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, "devices of guests", h->count + count);
    }
    h->devices = grown;
    for (size_t i = 0; i < count; i++) {
        struct cvm_held_device *d = &h->devices[h->count++];
        d->address = devices[i];
        snprintf(d->owner, sizeof d->owner, "%s", owner);
    }
    return true;
}

static bool add_guest(struct cvm_holdings *h, const struct cvm_store *store, const char *name,
                      struct cvm_error *err)
{
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    struct cvm_resources r;
    bool found;
    if (!cvm_vm_open_listed(store, name, &found, &vm, err)) {
        return false;
    }
    if (!found) {
        return true;
    }
    if (!cvm_resources_decode(vm.record.resources, &r, err)) {
        return cvm_context(err, "guest '%s': vm.json", name);
    }
    for (size_t i = 0; i < sizeof r.cpus.words / sizeof r.cpus.words[0]; i++) {
        h->cpus.words[i] |= r.cpus.words[i];
    }
    return add_devices(h, name, r.gpus, r.num_gpus, err) &&
           add_devices(h, name, r.nvswitches, r.num_nvswitches, err);
}

bool cvm_holdings_load(const struct cvm_store *store, struct cvm_holdings *out,
                       struct cvm_error *err)
{
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    cvm_autoholdings struct cvm_holdings h = { 0 };
    if (!cvm_store_list(store, &names, err)) {
        return false;
    }
    for (size_t i = 0; i < names.count; i++) {
        if (!add_guest(&h, store, names.items[i], err)) {
            return false;
        }
    }
    *out = h;
    h = (struct cvm_holdings){ 0 };
    return true;
}

bool cvm_holdings_of_host(const struct cvm_host *host, struct cvm_holdings *out,
                          struct cvm_error *err)
{
    cvm_autostore struct cvm_store store = { .fd = -1 };
    cvm_autofree char *guests = NULL;
    if (asprintf(&guests, "%s/vms", host->state_dir) < 0) {
        guests = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    return access(guests, F_OK) != 0 || (cvm_store_open(host->state_dir, false, &store, err) &&
                                         cvm_holdings_load(&store, out, err));
}

const char *cvm_holdings_owner(const struct cvm_holdings *h, struct cvm_pci_address address)
{
    for (size_t i = 0; i < h->count; i++) {
        if (cvm_pci_address_compare(h->devices[i].address, address) == 0) {
            return h->devices[i].owner;
        }
    }
    return NULL;
}

void cvm_holdings_free(struct cvm_holdings *h)
{
    free(h->devices);
    *h = (struct cvm_holdings){ 0 };
}
