/* Evidence in one document, and event logs in JSON: whatever is accepted can be shown. */
#include "tests/fuzz/fuzz.h"

#include "vmm/evidence.h"

static void show(const struct cvm_event_log *log)
{
    struct cvm_event_text text;
    for (uint32_t i = 0; i < log->num_events; i++) {
        const struct cvm_logged_event *e = &log->events[i];
        cvm_logged_event_describe(e, &text);
        fuzz_require(!e->digest_computed || e->worth == CVM_EVENT_DATA_PROVEN,
                     "a computed digest is that of name and payload");
        fuzz_require(e->rtmr < CVM_NUM_RTMRS, "there is such a register");
    }
}

static void read_log(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_event_log log = { 0 };
    if (fuzz_accepted(cvm_event_log_read((struct cvm_bytes){ data, size }, &log, &err), &err)) {
        show(&log);
    }
    cvm_event_log_free(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *document = NULL;
    cvm_autoevidence struct cvm_evidence evidence = { 0 };
    read_log(data, size);
    if (fuzz_accepted(cvm_json_parse("it", (struct cvm_bytes){ data, size }, &document, &err),
                      &err) &&
        fuzz_accepted(cvm_evidence_decode(document, &evidence, &err), &err)) {
        fuzz_require(!evidence.has_quote || evidence.quote_bytes != NULL, "a quote has bytes");
        show(&evidence.log);
    }
    return 0;
}
