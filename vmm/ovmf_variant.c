#include "vmm/ovmf_variant.h"

#include "measure/base/error.h"

#include <string.h>

#define DEFAULT_VARIANT "pre202505"
#define HOW_TO_DECLARE "declare it as \"ovmf_variant\" in metadata.json or give --ovmf-variant"

static bool read_component(const char **text, uint32_t *out)
{
    const char *p = *text;
    uint32_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(*p - '0'), &value)) {
            return false;
        }
    }
    bool ok = p != *text;
    *text = p;
    *out = value;
    return ok;
}

bool cvm_image_version_parse(const char *text, struct cvm_image_version *out)
{
    for (size_t i = 0; i < 3; i++) {
        if (i > 0 && *text++ != '.') {
            return false;
        }
        if (!read_component(&text, &out->parts[i])) {
            return false;
        }
    }
    if (*text == '\0') {
        return true;
    }
    return text[0] == '.' && text[1] != '\0' && strchr(text + 1, '.') == NULL;
}

int cvm_image_version_compare(const struct cvm_image_version *a, const struct cvm_image_version *b)
{
    for (size_t i = 0; i < 3; i++) {
        if (a->parts[i] != b->parts[i]) {
            return a->parts[i] < b->parts[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The releases that were built with edk2-stable202505: 0.5.10 to before 0.6.0, and from 0.6.1. */
static const char *variant_of_version(const struct cvm_image_version *v)
{
    static const struct cvm_image_version v0_5_10 = { { 0, 5, 10 } };
    static const struct cvm_image_version v0_6_0 = { { 0, 6, 0 } };
    static const struct cvm_image_version v0_6_1 = { { 0, 6, 1 } };
    bool in_0_5 =
        cvm_image_version_compare(v, &v0_5_10) >= 0 && cvm_image_version_compare(v, &v0_6_0) < 0;
    bool newer = cvm_image_version_compare(v, &v0_6_1) >= 0;
    return in_0_5 || newer ? "stable202505" : "pre202505";
}

static bool is_given(const char *text)
{
    return text != NULL && *text != '\0';
}

static bool use_name(const char *name, const char *rule, struct cvm_variant *out,
                     struct cvm_error *err)
{
    const struct cvm_layout *layout = cvm_layout_find(name);
    if (layout == NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "ovmf_variant '%.64s' from %s is not known; known are %s and %s", name,
                        rule, cvm_layout_at(0)->name, cvm_layout_at(1)->name);
    }
    *out = (struct cvm_variant){ .layout = layout, .rule = rule, .source = rule };
    return true;
}

/* Rules 1 to 3: somebody said so. */
static bool use_declared(const struct cvm_variant_evidence *e, bool *found, struct cvm_variant *out,
                         struct cvm_error *err)
{
    const struct {
        const char *name;
        const char *rule;
    } declared[] = {
        { e->option, "option" },
        { e->vm_config, "vm_config" },
        { e->metadata, "metadata" },
        { e->has_bundle ? NULL : e->measurement, "measurement" },
    };
    for (size_t i = 0; i < sizeof declared / sizeof declared[0]; i++) {
        *found = is_given(declared[i].name);
        if (*found) {
            return use_name(declared[i].name, declared[i].rule, out, err);
        }
    }
    return true;
}

/* Rule 4. Leaves *found as it is where there is no version, with a warning where it is none. */
static bool use_version(const char *text, struct cvm_warnings *w, bool *found,
                        struct cvm_variant *out, struct cvm_error *err)
{
    struct cvm_image_version version;
    if (!is_given(text)) {
        return true;
    }
    if (!cvm_image_version_parse(text, &version)) {
        cvm_warn(w,
                 "metadata.json: version '%.64s' is not MAJOR.MINOR.PATCH[.SUFFIX] and was not "
                 "used to infer ovmf_variant",
                 text);
        return true;
    }
    *found = true;
    if (!use_name(variant_of_version(&version), "version", out, err)) {
        return false;
    }
    out->source = "metadata";
    cvm_warn(w,
             "ovmf_variant %s was inferred from version %.64s in metadata.json, to which there "
             "are exceptions; " HOW_TO_DECLARE,
             out->layout->name, text);
    return true;
}

/* Rule 5: what stands behind the last "-" of the image's name. */
static bool use_image_name(const char *name, struct cvm_warnings *w, bool *found,
                           struct cvm_variant *out, struct cvm_error *err)
{
    struct cvm_image_version version;
    const char *dash = is_given(name) ? strrchr(name, '-') : NULL;
    if (dash == NULL || !cvm_image_version_parse(dash + 1, &version)) {
        return true;
    }
    *found = true;
    if (!use_name(variant_of_version(&version), "image-name", out, err)) {
        return false;
    }
    cvm_warn(w, "ovmf_variant %s was inferred from the image name '%.128s'; " HOW_TO_DECLARE,
             out->layout->name, name);
    return true;
}

static bool check_contradiction(const struct cvm_variant_evidence *e, struct cvm_error *err)
{
    if (is_given(e->option) || !is_given(e->vm_config) || !is_given(e->measurement) ||
        strcmp(e->vm_config, e->measurement) == 0) {
        return true;
    }
    return cvm_fail(err, CVM_ERR_MALFORMED,
                    "vm_config says ovmf_variant '%.64s', the compact measurement it carries says "
                    "'%.64s'; settle it with --ovmf-variant",
                    e->vm_config, e->measurement);
}

bool cvm_ovmf_variant_resolve(const struct cvm_variant_evidence *evidence,
                              struct cvm_warnings *warnings, struct cvm_variant *out,
                              struct cvm_error *err)
{
    bool found = false;
    if (!check_contradiction(evidence, err) || !use_declared(evidence, &found, out, err)) {
        return false;
    }
    if (!found && !use_version(evidence->version, warnings, &found, out, err)) {
        return false;
    }
    if (!found && !use_image_name(evidence->image_name, warnings, &found, out, err)) {
        return false;
    }
    if (found) {
        return true;
    }
    cvm_warn(warnings, "nothing says which ovmf_variant the image has: " DEFAULT_VARIANT
                       " is the default; " HOW_TO_DECLARE);
    return use_name(DEFAULT_VARIANT, "default", out, err);
}
