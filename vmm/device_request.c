#include "vmm/device_request.h"

#include <stdio.h>

/* --- lists of devices --- */

static bool decode_address(const char *text, struct cvm_device_selector *out, struct cvm_error *err)
{
    *out = (struct cvm_device_selector){ .by_address = true, .count = 1 };
    return cvm_pci_address_parse(text, &out->address, err);
}

static bool decode_id(const char *text, struct cvm_device_selector *out, struct cvm_error *err)
{
    *out = (struct cvm_device_selector){ .count = 1 };
    return cvm_pci_id_parse(text, &out->vendor, &out->device, err);
}

/* An address has a function behind a point, an ID has none. */
static bool looks_like_address(const char *text)
{
    return strchr(text, '.') != NULL;
}

bool cvm_host_devices_decode(const char *key, const struct json_object *value,
                             struct cvm_device_selectors *out, struct cvm_error *err)
{
    if (!cvm_json_check_strings(key, value, err)) {
        return false;
    }
    size_t count = cvm_json_array_length(value);
    for (size_t i = 0; i < count; i++) {
        const char *text = cvm_json_string(cvm_json_array_at(value, i));
        struct cvm_device_selector *s = &out->items[i];
        if (looks_like_address(text) ? !decode_address(text, s, err) : !decode_id(text, s, err)) {
            return cvm_context(err, "%s[%zu]", key, i);
        }
    }
    out->count = count;
    return true;
}

struct counted {
    const char *device;
    struct cvm_opt_u64 count;
};

static const struct cvm_json_field counted_fields[] = {
    { "device", CVM_JSON_STRING, offsetof(struct counted, device), .required = true, .max = 16 },
    { "count", CVM_JSON_NUMBER, offsetof(struct counted, count), .required = true, .min = 1,
      .max = CVM_MAX_GPUS },
    { 0 },
};

static bool decode_requested(const struct json_object *item, struct cvm_device_selector *out,
                             struct cvm_error *err)
{
    struct counted c = { 0 };
    const char *text = cvm_json_string(item);
    if (text != NULL && !looks_like_address(text)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "'%.64s' is not a PCI address like 0000:18:00.0; devices by what they are "
                        "are {\"device\": \"10de:2335\", \"count\": 1}",
                        text);
    }
    if (text != NULL) {
        return decode_address(text, out, err);
    }
    if (!cvm_json_decode(item, counted_fields, CVM_JSON_REJECT_UNKNOWN, &c, err) ||
        !decode_id(c.device, out, err)) {
        return false;
    }
    out->count = (uint32_t)c.count.value;
    return true;
}

uint32_t cvm_requested_count(const struct cvm_device_selectors *s)
{
    uint32_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        count += s->items[i].count;
    }
    return count;
}

static bool check_requested(const struct cvm_device_selectors *s, struct cvm_error *err)
{
    if (cvm_requested_count(s) > CVM_MAX_GPUS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u devices, at most %d", cvm_requested_count(s),
                        CVM_MAX_GPUS);
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct cvm_device_selector *a = &s->items[i];
        for (size_t k = 0; k < i && a->by_address; k++) {
            const struct cvm_device_selector *b = &s->items[k];
            if (b->by_address && cvm_pci_address_compare(a->address, b->address) == 0) {
                return cvm_fail(err, CVM_ERR_MALFORMED, "%s stands in the list twice",
                                cvm_pci_address_text(a->address).text);
            }
        }
    }
    return true;
}

bool cvm_requested_devices_decode(const char *key, const struct json_object *value,
                                  struct cvm_device_selectors *out, struct cvm_error *err)
{
    bool single = cvm_json_is_object(value);
    if (value != NULL && !single && !cvm_json_is_array(value)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "key '%s' is neither a list nor an object like {\"device\": \"10de:2335\", "
                        "\"count\": 1}",
                        key);
    }
    size_t count = single ? 1 : cvm_json_array_length(value);
    if (count > CVM_MAX_SELECTORS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key '%s': %zu items, at most %d", key, count,
                        CVM_MAX_SELECTORS);
    }
    for (; out->count < count; out->count++) {
        const struct json_object *item = single ? value : cvm_json_array_at(value, out->count);
        if (!decode_requested(item, &out->items[out->count], err)) {
            return single ? cvm_context(err, "key '%s'", key)
                          : cvm_context(err, "%s[%zu]", key, out->count);
        }
    }
    return check_requested(out, err) || cvm_context(err, "key '%s'", key);
}

/* --- requests --- */

static const struct cvm_json_field numa_fields[] = {
    { "nodes", CVM_JSON_ARRAY, offsetof(struct cvm_numa_request, nodes_array),
      .max = CVM_MAX_NUMA_NODES },
    { "pin_cpus", CVM_JSON_BOOL, offsetof(struct cvm_numa_request, pin_cpus) },
    { 0 },
};

bool cvm_numa_request_decode(const struct json_object *value, struct cvm_numa_request *out,
                             struct cvm_error *err)
{
    enum { LAST_NODE = 1023 };
    if (value != NULL && !cvm_json_decode(value, numa_fields, CVM_JSON_REJECT_UNKNOWN, out, err)) {
        return cvm_context(err, "key 'numa'");
    }
    size_t count = cvm_json_array_length(out->nodes_array);
    for (size_t i = 0; i < count; i++) {
        uint64_t node;
        if (!cvm_json_number(cvm_json_array_at(out->nodes_array, i), &node) || node > LAST_NODE ||
            (i > 0 && node <= out->nodes[i - 1])) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "key 'numa': nodes[%zu] is not a node of the host from 0 to %d, "
                            "in ascending order",
                            i, LAST_NODE);
        }
        out->nodes[i] = (uint32_t)node;
        out->num_nodes++;
    }
    return true;
}

bool cvm_device_request_decode(struct cvm_device_request *r, struct cvm_error *err)
{
    return cvm_requested_devices_decode("gpus", r->gpus_value, &r->gpus, err) &&
           cvm_requested_devices_decode("nvswitches", r->nvswitches_value, &r->nvswitches, err) &&
           cvm_numa_request_decode(r->numa_object, &r->numa, err);
}

/* --- the host configuration --- */

static bool decode_iommufd(struct cvm_host_devices *h, struct cvm_error *err)
{
    static const char *const words[] = {
        [CVM_IOMMUFD_AUTO] = "auto",
        [CVM_IOMMUFD_ON] = "on",
        [CVM_IOMMUFD_OFF] = "off",
    };
    const char *word = h->iommufd_word == NULL ? "auto" : h->iommufd_word;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            h->iommufd = (enum cvm_iommufd_use)i;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED, "key 'iommufd': '%.16s' is none of: auto on off", word);
}

bool cvm_host_device_keys_decode(struct cvm_host_devices *h, struct cvm_error *err)
{
    static const uint64_t sizes[] = { UINT64_C(2) << 20, UINT64_C(1) << 30 };
    if (!h->hugepage_size.set) {
        h->hugepage_size = (struct cvm_opt_u64){ true, sizes[0] };
    }
    if (h->hugepage_size.value != sizes[0] && h->hugepage_size.value != sizes[1]) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'hugepage_size': %llu is neither 2M nor 1G",
                        (unsigned long long)h->hugepage_size.value);
    }
    if (h->gpu_stand_in != NULL && h->gpu_stand_in[0] != '/') {
        return cvm_fail(err, CVM_ERR_MALFORMED, "key 'gpu_stand_in': '%.100s' is not absolute",
                        h->gpu_stand_in);
    }
    h->root = h->gpu_stand_in;
    return cvm_host_devices_decode("gpus", h->gpus_array, &h->gpus, err) &&
           cvm_host_devices_decode("nvswitches", h->nvswitches_array, &h->nvswitches, err) &&
           decode_iommufd(h, err);
}

const char *cvm_host_root(const struct cvm_host_devices *h)
{
    return h->root == NULL ? "" : h->root;
}
