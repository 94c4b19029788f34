#include "vmm/qemu_cpu.h"

#include <string.h>

uint32_t cvm_cpu_signature(uint32_t family, uint32_t model, uint32_t stepping)
{
    uint32_t extended = family > 0xf ? family - 0xf : 0;
    uint32_t basic = family > 0xf ? 0xf : family;
    return extended << 20 | (model >> 4 & 0xf) << 16 | basic << 8 | (model & 0xf) << 4 |
           (stepping & 0xf);
}

struct cpu_entry {
    const char *path; /* of the object */
};

static const struct cvm_json_field cpu_fields[] = {
    { "qom-path", CVM_JSON_STRING, offsetof(struct cpu_entry, path), .required = true },
    { 0 },
};

/* A register of CPUID, as QEMU keeps it. */
struct feature_word {
    struct cvm_opt_u64 leaf, bits;
    const char *reg;
};

#define WORD(f) offsetof(struct feature_word, f)
/* clang-format off */
static const struct cvm_json_field word_fields[] = {
    { "cpuid-input-eax", CVM_JSON_NUMBER, WORD(leaf), .required = true, .max = UINT32_MAX },
    { "cpuid-register",  CVM_JSON_STRING, WORD(reg),  .required = true },
    { "features",        CVM_JSON_NUMBER, WORD(bits), .required = true, .max = UINT32_MAX },
    { 0 },
};
/* clang-format on */

static bool get(struct cvm_qmp *q, const char *path, const char *property,
                struct json_object **document, struct json_object **value, struct cvm_error *err)
{
    const struct cvm_qmp_argument arguments[] = {
        { "path", path },
        { "property", property },
        { 0 },
    };
    return cvm_qmp_run(q, "qom-get", arguments, document, value, err) ||
           cvm_context(err, "property '%s' of a CPU", property);
}

static bool get_number(struct cvm_qmp *q, const char *path, const char *property, uint32_t *out,
                       struct cvm_error *err)
{
    cvm_autojson struct json_object *document = NULL;
    struct json_object *value = NULL;
    uint64_t number;
    if (!get(q, path, property, &document, &value, err)) {
        return false;
    }
    if (!cvm_json_number(value, &number) || number > UINT16_MAX) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "property '%s' of a CPU is no number up to 65535",
                        property);
    }
    *out = (uint32_t)number;
    return true;
}

static bool get_signature(struct cvm_qmp *q, const char *path, uint32_t *out, struct cvm_error *err)
{
    uint32_t family = 0;
    uint32_t model = 0;
    uint32_t stepping = 0;
    if (!get_number(q, path, "family", &family, err) ||
        !get_number(q, path, "model", &model, err) ||
        !get_number(q, path, "stepping", &stepping, err)) {
        return false;
    }
    *out = cvm_cpu_signature(family, model, stepping);
    return true;
}

static bool get_features(struct cvm_qmp *q, const char *path, uint32_t *out, struct cvm_error *err)
{
    cvm_autojson struct json_object *document = NULL;
    struct json_object *words = NULL;
    if (!get(q, path, "feature-words", &document, &words, err)) {
        return false;
    }
    size_t count = cvm_json_is_array(words) ? cvm_json_array_length(words) : 0;
    for (size_t i = 0; i < count; i++) {
        struct feature_word w = { 0 };
        if (!cvm_json_decode(cvm_json_array_at(words, i), word_fields, CVM_JSON_IGNORE_UNKNOWN, &w,
                             err)) {
            return cvm_context(err, "property 'feature-words' of a CPU");
        }
        if (w.leaf.value == 1 && strcmp(w.reg, "EDX") == 0) {
            *out = (uint32_t)w.bits.value;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_SYSTEM, "the CPU has no feature word for leaf 1, EDX");
}

static bool ask(struct cvm_qmp *q, struct cvm_probed_cpu *out, struct cvm_error *err)
{
    const struct cvm_qmp_argument none = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct json_object *cpus = NULL;
    struct cpu_entry first = { 0 };
    if (!cvm_qmp_run(q, "query-cpus-fast", &none, &document, &cpus, err)) {
        return false;
    }
    if (!cvm_json_is_array(cpus) || cvm_json_array_length(cpus) == 0) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "the emulator lists no CPU");
    }
    if (!cvm_json_decode(cvm_json_array_at(cpus, 0), cpu_fields, CVM_JSON_IGNORE_UNKNOWN, &first,
                         err)) {
        return cvm_context(err, "answer to 'query-cpus-fast'");
    }
    return get_signature(q, first.path, &out->signature, err) &&
           get_features(q, first.path, &out->features_edx, err);
}

bool cvm_qemu_cpu_ask(struct cvm_qmp *q, struct cvm_probed_cpu *out, struct cvm_error *err)
{
    struct cvm_probed_cpu cpu;
    if (!ask(q, &cpu, err)) {
        if (err->code == CVM_ERR_MALFORMED) { /* what an emulator says is not the user's input */
            err->code = CVM_ERR_SYSTEM;
        }
        return false;
    }
    *out = cpu;
    return true;
}
