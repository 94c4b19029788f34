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

/* --- the firmware file --- */

static bool fail_contradiction(const struct cvm_variant *variant,
                               const struct cvm_firmware *firmware, struct cvm_error *err)
{
    const struct cvm_layout *derived = &firmware->layout;
    return cvm_fail(err, CVM_ERR_MISMATCH,
                    "ovmf_variant %s (by rule %s) contradicts the firmware file, whose layout is "
                    "%s (%u events, %s); to settle it, give --ovmf-variant %s, or declare "
                    "\"ovmf_variant\": \"%s\" in metadata.json (--trust-declared measures by the "
                    "declared name all the same)",
                    variant->layout->name, variant->rule, derived->name,
                    cvm_layout_num_usual_events(derived),
                    cvm_layout_state_word(firmware->layout_state), derived->name, derived->name);
}

/* A build without the driver that measures: no variant describes it. */
static bool accept_silence(const struct cvm_variant *variant,
                           const struct cvm_layout_evidence *evidence,
                           struct cvm_warnings *warnings, struct cvm_error *err)
{
    if (!evidence->no_tee) {
        return cvm_fail(
            err, CVM_ERR_UNSUPPORTED,
            "the firmware measures nothing in a TD (it has no TdTcg2Dxe), so that "
            "RTMR0 to RTMR2 stay zero and ovmf_variant %s is wrong; use a firmware that "
            "measures (--trust-declared measures by the declared name all the same)",
            variant->layout->name);
    }
    cvm_warn(warnings,
             "the firmware measures nothing in a TD (it has no TdTcg2Dxe): the registers are those "
             "of ovmf_variant %s, and no TD with this firmware would report them",
             variant->layout->name);
    return true;
}

static void warn_trusted(const struct cvm_variant *variant, const struct cvm_firmware *firmware,
                         struct cvm_warnings *warnings)
{
    const struct cvm_layout *derived = &firmware->layout;
    if (firmware->layout_state != CVM_LAYOUT_UNKNOWN &&
        !cvm_layout_equal(derived, variant->layout)) {
        cvm_warn(warnings,
                 "measured by the declared ovmf_variant %s, although the firmware file has another "
                 "layout (%s, %u events): a TD with this firmware reports something else",
                 variant->layout->name, derived->name[0] == '\0' ? "without a name" : derived->name,
                 cvm_layout_num_usual_events(derived));
    }
}

/* What readers who have only the name of the variant cannot know. */
static void warn_unsaid(const struct cvm_variant *variant, const struct cvm_layout *derived,
                        struct cvm_warnings *warnings)
{
    if (derived->name[0] == '\0') {
        cvm_warn(warnings,
                 "the firmware's layout has no ovmf_variant name: RTMR0 is measured from the file "
                 "(%u events), and verifiers that go by ovmf_variant %s expect another one",
                 cvm_layout_num_usual_events(derived), variant->layout->name);
    }
    if (derived->cmdline_form != variant->layout->cmdline_form) {
        cvm_warn(warnings,
                 "the firmware puts initrd=initrd in front of the command line: verifiers that put "
                 "it behind expect another RTMR2");
    }
}

bool cvm_layout_choose(const struct cvm_variant *variant,
                       const struct cvm_layout_evidence *evidence, struct cvm_warnings *warnings,
                       struct cvm_layout_choice *out, struct cvm_error *err)
{
    const struct cvm_firmware *f = evidence->firmware;
    *out = (struct cvm_layout_choice){ variant->layout, "declared" };
    if (f == NULL) {
        return true;
    }
    if (evidence->trust_declared) {
        warn_trusted(variant, f, warnings);
        return true;
    }
    if (f->layout_state == CVM_LAYOUT_UNKNOWN) {
        cvm_warn(warnings,
                 "the firmware's layout could not be read from its file (%s): measured as "
                 "ovmf_variant %s, unchecked",
                 f->layout_reason, variant->layout->name);
        return true;
    }
    if (f->layout.num_events == 0) {
        return accept_silence(variant, evidence, warnings, err);
    }
    if (f->layout.name[0] != '\0' && strcmp(f->layout.name, variant->layout->name) != 0) {
        return fail_contradiction(variant, f, err);
    }
    warn_unsaid(variant, &f->layout, warnings);
    *out = (struct cvm_layout_choice){ &f->layout, cvm_layout_state_word(f->layout_state) };
    return true;
}
