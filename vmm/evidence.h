/*
 * Evidence: what somebody hands over to prove what a guest is. A quote, an event log and a
 * vm_config, as files of their own or in one document.
 *
 * All of it is untrusted. A vm_config that comes this way describes the machine, and says nothing
 * that is believed: what it describes is measured, and the quote decides.
 *
 * Source: docs/verify.md lists the forms.
 */
#ifndef CVM_VMM_EVIDENCE_H
#define CVM_VMM_EVIDENCE_H

#include "measure/include/cvm/event_log.h"
#include "measure/include/cvm/quote.h"
#include "vmm/json.h"

/* Paths; NULL where there is no such file. What stands in a file of its own comes first. */
struct cvm_evidence_files {
    const char *document;  /* JSON with quote, event_log and vm_config */
    const char *quote;     /* hex, base64 or raw */
    const char *event_log; /* JSON, or binary: hex, base64 or raw */
    const char *vm_config; /* JSON */
};

struct cvm_evidence {
    struct json_object *document;  /* owned */
    struct json_object *vm_config; /* owned; NULL where there is none */
    bool vm_config_claimed;        /* it came in the document, beside the quote */
    uint8_t *quote_bytes;          /* owned; quote borrows from them */
    bool has_quote;
    struct cvm_quote quote;
    bool has_log;
    struct cvm_event_log log;
};

#define cvm_autoevidence CVM_CLEANUP(cvm_evidence_free)

/*
 * Loads and parses what the files hold.
 *
 * @param out  zeroed; to be freed also after a failure.
 * @return false with CVM_ERR_MALFORMED or CVM_ERR_UNSUPPORTED naming file, field and offset;
 *         CVM_ERR_SYSTEM, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_evidence_load(const struct cvm_evidence_files *files,
                                      struct cvm_evidence *out, struct cvm_error *err);

/* The same from a document in memory, which is shared. */
CVM_MUST_CHECK bool cvm_evidence_decode(struct json_object *document, struct cvm_evidence *out,
                                        struct cvm_error *err);
void cvm_evidence_free(struct cvm_evidence *e);

/*
 * Decodes an event log in JSON: a list of {imr, event_type, digest, event, event_payload}. Missing
 * digests of run-time events are computed.
 *
 * @param out  { 0 }; to be freed also after a failure.
 */
CVM_MUST_CHECK bool cvm_event_log_decode(const struct json_object *list, struct cvm_event_log *out,
                                         struct cvm_error *err);

/* An event log as it came: JSON, or binary in hex, base64 or raw. */
CVM_MUST_CHECK bool cvm_event_log_read(struct cvm_bytes text, struct cvm_event_log *out,
                                       struct cvm_error *err);

/* How many of a log's extended events are among those that are expected. */
uint32_t cvm_count_expected(const struct cvm_event_log *log, const struct cvm_event_list *expected);

#endif
