#include "measure/include/cvm/event_log.h"

#include "measure/base/buf.h"
#include "measure/base/hash.h"

const char *cvm_digest_source_word(enum cvm_digest_source source)
{
    static const char *const words[] = {
        [CVM_DIGEST_COMPUTED] = "computed",
        [CVM_DIGEST_DECLARED] = "declared",
        [CVM_DIGEST_WELL_KNOWN] = "well-known",
        [CVM_DIGEST_CAPTURED] = "captured",
    };
    return words[source];
}

bool cvm_rtmr_extend(struct cvm_sha384 *rtmr, const struct cvm_sha384 *digest,
                     struct cvm_error *err)
{
    return cvm_sha384_pair(rtmr, digest, rtmr, err);
}

bool cvm_event_list_replay(const struct cvm_event_list *list, unsigned rtmr, struct cvm_sha384 *out,
                           struct cvm_error *err)
{
    struct cvm_sha384 value = { 0 };
    for (uint32_t i = 0; i < list->num_events; i++) {
        const struct cvm_event *event = &list->events[i];
        if (event->rtmr == rtmr && !cvm_rtmr_extend(&value, &event->digest, err)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool cvm_runtime_event_digest(uint32_t type, const char *name, struct cvm_bytes payload,
                              struct cvm_sha384 *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf b = { 0 };
    cvm_put_le(&b, type, 4);
    cvm_put_text(&b, ":");
    cvm_put_text(&b, name);
    cvm_put_text(&b, ":");
    cvm_put_bytes(&b, payload.data, payload.size);
    return cvm_buf_finish(&b, "run-time event", err) && cvm_sha384(b.data, b.len, out, err);
}
