#include "vmm/manifest_expect.h"

#include "measure/base/hash.h"
#include "vmm/report.h"

#include <stdio.h>

/* One register of the policy is worth more than all events. */
enum { SCORE_OF_REGISTER = 1000 };

static uint32_t score_of(const struct cvm_manifest_shape *shape,
                         const struct cvm_manifest_policy *policy,
                         const struct cvm_evidence *evidence)
{
    const struct cvm_td_report *seen = &evidence->quote.report;
    const struct cvm_expectation *e = &shape->expected;
    uint32_t score =
        policy->mrtd && cvm_sha384_equal(&seen->mrtd, &e->mrtd) ? SCORE_OF_REGISTER : 0;
    for (unsigned i = 0; i < 3; i++) {
        score += policy->rtmr[i] && cvm_sha384_equal(&seen->rtmr[i], &e->rtmr[i])
                     ? SCORE_OF_REGISTER
                     : 0;
    }
    return score + (evidence->has_log ? cvm_count_expected(&evidence->log, &e->events) : 0);
}

static const struct cvm_manifest_shape *find_nearest(const struct cvm_manifest *manifest,
                                                     const struct cvm_evidence *evidence)
{
    const struct cvm_manifest_policy *policy = cvm_manifest_policy_of(manifest);
    const struct cvm_manifest_shape *best = cvm_manifest_shape_at(manifest, 0);
    const struct cvm_manifest_shape *shape;
    uint32_t best_score = score_of(best, policy, evidence);
    for (size_t i = 1; (shape = cvm_manifest_shape_at(manifest, i)) != NULL; i++) {
        uint32_t score = score_of(shape, policy, evidence);
        if (score > best_score) {
            best = shape;
            best_score = score;
        }
    }
    return best;
}

static const struct cvm_manifest_shape *find_named(const struct cvm_manifest *manifest,
                                                   const char *name, struct cvm_error *err)
{
    const struct cvm_manifest_shape *shape;
    for (size_t i = 0; (shape = cvm_manifest_shape_at(manifest, i)) != NULL; i++) {
        if (strcmp(shape->name, name) == 0) {
            return shape;
        }
    }
    (void)cvm_fail(err, CVM_ERR_USAGE, "the manifest has no machine named '%.64s'", name);
    return NULL;
}

static void name_anchor(const struct cvm_manifest *manifest, const char *machine, char anchor[200])
{
    size_t others = cvm_manifest_num_signers(manifest) - 1;
    int n = snprintf(anchor, 200, "manifest key %s",
                     cvm_sha256_text(cvm_manifest_signer_at(manifest, 0)).text);
    if (others > 0) {
        n += snprintf(anchor + n, 200 - (size_t)n, " and %zu more", others);
    }
    snprintf(anchor + n, 200 - (size_t)n, ", machine '%.64s'", machine);
}

bool cvm_expect_manifest(const struct cvm_manifest *manifest, const char *name,
                         const struct cvm_evidence *evidence,
                         const struct cvm_manifest_shape **shape, char anchor[200],
                         struct cvm_expected *out, struct cvm_error *err)
{
    const struct cvm_manifest_policy *policy = cvm_manifest_policy_of(manifest);
    const struct cvm_manifest_shape *found =
        name == NULL ? find_nearest(manifest, evidence) : find_named(manifest, name, err);
    if (found == NULL) {
        return false;
    }
    name_anchor(manifest, found->name, anchor);
    *shape = found;
    *out = (struct cvm_expected){
        .expectation = &found->expected,
        .has_events = found->expected.events.num_events != 0,
        .anchor = anchor,
        .not_compared = { !policy->mrtd, !policy->rtmr[0], !policy->rtmr[1], !policy->rtmr[2] },
    };
    return true;
}
