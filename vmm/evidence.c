#include "vmm/evidence.h"

#include "measure/base/encoding.h"
#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"

enum {
    MAX_LOG_TEXT = 2 * CVM_EVENT_LOG_MAX_SIZE + 4096,
    MAX_QUOTE_TEXT = 4 * CVM_QUOTE_MAX_SIZE,
    MAX_DOCUMENT = 16 << 20,
};

/* --- event logs --- */

struct event_text {
    struct cvm_opt_u64 imr, event_type;
    const char *digest, *event, *event_payload;
};

#define EVENT(f) offsetof(struct event_text, f)
static const struct cvm_json_field event_fields[] = {
    { "imr", CVM_JSON_NUMBER, EVENT(imr), .required = true, .max = CVM_NUM_RTMRS - 1 },
    { "event_type", CVM_JSON_NUMBER, EVENT(event_type), .required = true, .max = UINT32_MAX },
    { "digest", CVM_JSON_STRING, EVENT(digest) },
    { "event", CVM_JSON_STRING, EVENT(event), .max = 4096 },
    { "event_payload", CVM_JSON_STRING, EVENT(event_payload) },
    { 0 },
};

static bool decode_hex(const char *key, const char *text, uint8_t *out, size_t size,
                       struct cvm_error *err)
{
    return cvm_hex_decode(text, strlen(text), out, size, err) || cvm_context(err, "key '%s'", key);
}

static bool add_event(const struct event_text *text, struct cvm_event_log *out,
                      struct cvm_error *err)
{
    bool has_digest = text->digest != NULL && *text->digest != '\0';
    const char *payload = text->event_payload == NULL ? "" : text->event_payload;
    size_t size = strlen(payload) / 2;
    cvm_autofree uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL) {
        return cvm_fail_nomem(err, "event_payload", size);
    }
    struct cvm_logged_event e = {
        .rtmr = (unsigned)text->imr.value,
        .extended = true,
        .type = (uint32_t)text->event_type.value,
        .name = text->event == NULL ? "" : text->event,
        .data = { bytes, size },
    };
    if (!decode_hex("event_payload", payload, bytes, size, err) ||
        (has_digest &&
         !decode_hex("digest", text->digest, e.digest.bytes, sizeof e.digest.bytes, err))) {
        return false;
    }
    return cvm_event_log_add(out, &e, has_digest, err);
}

bool cvm_event_log_decode(const struct json_object *list, struct cvm_event_log *out,
                          struct cvm_error *err)
{
    if (!cvm_json_is_array(list)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "event log: not a JSON array");
    }
    for (size_t i = 0; i < cvm_json_array_length(list); i++) {
        struct event_text text = { 0 };
        if (!cvm_json_decode(cvm_json_array_at(list, i), event_fields, CVM_JSON_IGNORE_UNKNOWN,
                             &text, err) ||
            !add_event(&text, out, err)) {
            return cvm_context(err, "event log: event %zu", i);
        }
    }
    return true;
}

/* The first character that is no blank; NUL where there is none. */
static char first_of(struct cvm_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0') {
            return (char)text.data[i];
        }
    }
    return '\0';
}

bool cvm_event_log_read(struct cvm_bytes text, struct cvm_event_log *out, struct cvm_error *err)
{
    cvm_autojson struct json_object *list = NULL;
    cvm_autobuf struct cvm_buf binary = { 0 };
    if (first_of(text) == '[') {
        return cvm_json_parse("event log", text, &list, err) &&
               cvm_event_log_decode(list, out, err);
    }
    return cvm_decode_bytes(text, &binary, err) &&
           cvm_event_log_parse(cvm_buf_bytes(&binary), out, err);
}

/* --- parts --- */

static struct cvm_bytes bytes_of_text(const char *text)
{
    return (struct cvm_bytes){ (const uint8_t *)text, strlen(text) };
}

static bool take_quote(struct cvm_bytes text, struct cvm_evidence *out, struct cvm_error *err)
{
    size_t size;
    out->has_quote =
        cvm_quote_decode(text, &out->quote_bytes, &size, err) &&
        cvm_quote_parse((struct cvm_bytes){ out->quote_bytes, size }, &out->quote, err);
    return out->has_quote;
}

static bool take_log(const struct json_object *value, struct cvm_evidence *out,
                     struct cvm_error *err)
{
    const char *text = cvm_json_string(value);
    out->has_log = text == NULL ? cvm_event_log_decode(value, &out->log, err)
                                : cvm_event_log_read(bytes_of_text(text), &out->log, err);
    return out->has_log || cvm_context(err, "key 'event_log'");
}

/* As an object, or as the text of one, which is how guests are given it. */
static bool take_vm_config(struct json_object *value, struct cvm_evidence *out,
                           struct cvm_error *err)
{
    const char *text = cvm_json_string(value);
    out->vm_config_claimed = true;
    if (text == NULL) {
        out->vm_config = cvm_json_share(value);
        return true;
    }
    return cvm_json_parse("vm_config", bytes_of_text(text), &out->vm_config, err);
}

struct document {
    const char *quote, *quote_hex;
    struct json_object *event_log, *vm_config;
};

#define DOCUMENT(f) offsetof(struct document, f)
static const struct cvm_json_field document_fields[] = {
    { "quote", CVM_JSON_STRING, DOCUMENT(quote) },
    { "quote_hex", CVM_JSON_STRING, DOCUMENT(quote_hex) },
    { "event_log", CVM_JSON_ANY, DOCUMENT(event_log) },
    { "vm_config", CVM_JSON_ANY, DOCUMENT(vm_config) },
    { 0 },
};

bool cvm_evidence_decode(struct json_object *document, struct cvm_evidence *out,
                         struct cvm_error *err)
{
    struct document d = { 0 };
    if (!cvm_json_decode(document, document_fields, CVM_JSON_IGNORE_UNKNOWN, &d, err)) {
        return false;
    }
    const char *quote = d.quote == NULL ? d.quote_hex : d.quote;
    out->document = cvm_json_share(document);
    return (quote == NULL || out->has_quote || take_quote(bytes_of_text(quote), out, err)) &&
           (d.event_log == NULL || out->has_log || take_log(d.event_log, out, err)) &&
           (d.vm_config == NULL || out->vm_config != NULL || take_vm_config(d.vm_config, out, err));
}

/* --- files --- */

static bool load_quote(const char *path, struct cvm_evidence *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    if (!cvm_file_load(path, MAX_QUOTE_TEXT, &text, err)) {
        return false;
    }
    return take_quote(cvm_buf_bytes(&text), out, err) || cvm_context(err, "'%s'", path);
}

/* A list of events, a document that has one, or a binary log. */
static bool load_log(const char *path, struct cvm_evidence *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct document d = { 0 };
    if (!cvm_file_load(path, MAX_LOG_TEXT, &text, err)) {
        return false;
    }
    struct cvm_bytes bytes = { text.data, text.len };
    if (first_of(bytes) != '{') {
        out->has_log = cvm_event_log_read(bytes, &out->log, err);
        return out->has_log || cvm_context(err, "'%s'", path);
    }
    if (!cvm_json_parse("event log", bytes, &document, err) ||
        !cvm_json_decode(document, document_fields, CVM_JSON_IGNORE_UNKNOWN, &d, err) ||
        (d.event_log == NULL && !cvm_fail(err, CVM_ERR_MALFORMED, "key 'event_log' is missing")) ||
        !take_log(d.event_log, out, err)) {
        return cvm_context(err, "'%s'", path);
    }
    return true;
}

static bool load_document(const char *path, struct cvm_evidence *out, struct cvm_error *err)
{
    cvm_autojson struct json_object *document = NULL;
    if (!cvm_json_load_max(path, MAX_DOCUMENT, &document, err)) {
        return false;
    }
    return cvm_evidence_decode(document, out, err) || cvm_context(err, "'%s'", path);
}

bool cvm_evidence_load(const struct cvm_evidence_files *files, struct cvm_evidence *out,
                       struct cvm_error *err)
{
    return (files->quote == NULL || load_quote(files->quote, out, err)) &&
           (files->event_log == NULL || load_log(files->event_log, out, err)) &&
           (files->vm_config == NULL || cvm_json_load(files->vm_config, &out->vm_config, err)) &&
           (files->document == NULL || load_document(files->document, out, err));
}

void cvm_evidence_free(struct cvm_evidence *e)
{
    cvm_event_log_free(&e->log);
    free(e->quote_bytes);
    cvm_json_free(e->vm_config);
    cvm_json_free(e->document);
    *e = (struct cvm_evidence){ 0 };
}

static bool is_expected(const struct cvm_event_list *expected, const struct cvm_logged_event *seen)
{
    for (uint32_t i = 0; i < expected->num_events; i++) {
        const struct cvm_event *event = &expected->events[i];
        if (event->rtmr == seen->rtmr && cvm_sha384_equal(&event->digest, &seen->digest)) {
            return true;
        }
    }
    return false;
}

uint32_t cvm_count_expected(const struct cvm_event_log *log, const struct cvm_event_list *expected)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->num_events; i++) {
        count += log->events[i].extended && is_expected(expected, &log->events[i]);
    }
    return count;
}
