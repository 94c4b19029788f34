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

/* --- logs of guests --- */

enum { EV_NO_ACTION = 3 };

static bool grow(struct cvm_event_log *log, struct cvm_error *err)
{
    if (log->num_events < log->capacity) {
        return true;
    }
    if (log->capacity == CVM_EVENT_LOG_MAX_EVENTS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d events", CVM_EVENT_LOG_MAX_EVENTS);
    }
    uint32_t capacity = log->capacity == 0 ? 32 : 2 * log->capacity;
    struct cvm_logged_event *events = realloc(log->events, capacity * sizeof *events);
    if (events == NULL) {
        return cvm_fail_nomem(err, "event log", capacity * sizeof *events);
    }
    log->events = events;
    log->capacity = capacity;
    return true;
}

/* Name and data in one piece, which begins with the name. */
static bool own_contents(struct cvm_logged_event *e, struct cvm_error *err)
{
    size_t length = strlen(e->name) + 1;
    char *block = malloc(length + e->data.size);
    if (block == NULL) {
        return cvm_fail_nomem(err, "event", length + e->data.size);
    }
    memcpy(block, e->name, length);
    if (e->data.size != 0) {
        memcpy(block + length, e->data.data, e->data.size);
    }
    e->name = block;
    e->data.data = (const uint8_t *)block + length;
    return true;
}

/* A run-time event's digest binds name and payload; others are of the data, or of something else.
 */
static bool judge(struct cvm_logged_event *e, bool has_digest, struct cvm_error *err)
{
    struct cvm_sha384 want;
    bool runtime = e->type == CVM_RUNTIME_EVENT_TYPE && (!has_digest || *e->name != '\0');
    if (!runtime && e->data.size == 0) {
        e->worth = CVM_EVENT_DATA_NONE;
        return true;
    }
    if (runtime ? !cvm_runtime_event_digest(e->type, e->name, e->data, &want, err)
                : !cvm_sha384(e->data.data, e->data.size, &want, err)) {
        return false;
    }
    if (!has_digest) {
        e->digest = want;
    }
    bool same = memcmp(&e->digest, &want, sizeof want) == 0;
    e->worth = same      ? CVM_EVENT_DATA_PROVEN
               : runtime ? CVM_EVENT_DATA_CONTRADICTS
                         : CVM_EVENT_DATA_UNPROVEN;
    return true;
}

bool cvm_event_log_add(struct cvm_event_log *log, const struct cvm_logged_event *event,
                       bool has_digest, struct cvm_error *err)
{
    struct cvm_logged_event e = *event;
    if (e.rtmr >= CVM_NUM_RTMRS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "register %u; there are RTMR0 to RTMR3", e.rtmr);
    }
    if (!has_digest && e.type != CVM_RUNTIME_EVENT_TYPE) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "no digest, and type 0x%x is no run-time event, whose digest could be "
                        "computed",
                        e.type);
    }
    e.extended = e.extended && e.type != EV_NO_ACTION;
    e.digest_computed = !has_digest;
    if (!judge(&e, has_digest, err) || !grow(log, err) || !own_contents(&e, err)) {
        return false;
    }
    log->events[log->num_events++] = e;
    return true;
}

bool cvm_event_log_replay(const struct cvm_event_log *log, unsigned rtmr, struct cvm_sha384 *out,
                          struct cvm_error *err)
{
    struct cvm_sha384 value = { 0 };
    for (uint32_t i = 0; i < log->num_events; i++) {
        const struct cvm_logged_event *event = &log->events[i];
        if (event->extended && event->rtmr == rtmr &&
            !cvm_rtmr_extend(&value, &event->digest, err)) {
            return false;
        }
    }
    *out = value;
    return true;
}

void cvm_event_log_free(struct cvm_event_log *log)
{
    for (uint32_t i = 0; i < log->num_events; i++) {
        free((void *)(uintptr_t)log->events[i].name);
    }
    free(log->events);
    *log = (struct cvm_event_log){ 0 };
}
