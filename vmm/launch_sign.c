#include "vmm/launch_sign.h"

#include "vmm/log.h"
#include "vmm/manifest_draft.h"

bool cvm_launch_sign(const struct cvm_launch_plan *plan, const struct cvm_buf *vm_config,
                     struct cvm_buf *out, struct cvm_error *err)
{
    const struct cvm_host *host = plan->host;
    cvm_autokeys struct cvm_keys keys = { 0 };
    const struct cvm_draft_shape shape = {
        .name = plan->request->name,
        .vm_config = { vm_config->data, vm_config->len },
        .report = cvm_launch_plan_report(plan),
    };
    const struct cvm_manifest_draft draft = {
        .bundle = &plan->bundle,
        .shapes = &shape,
        .num_shapes = 1,
        .emulator = host->emulator,
    };
    if (host->signing_key == NULL) {
        return true;
    }
    cvm_log("signing the expectation with key '%s'", host->signing_key);
    return (cvm_keys_load(&host->signing_key, 1, CVM_KEY_PRIVATE, host->signing_passphrase_file,
                          &keys, err) &&
            cvm_manifest_draft_sign(&draft, &keys, CVM_DSSE_ENVELOPE, out, err)) ||
           cvm_context(err, "signed expectation");
}
