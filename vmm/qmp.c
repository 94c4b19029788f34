#include "vmm/qmp.h"

#include "vmm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

enum { MAX_ANSWER = 1 << 20, LAST_WORDS_MS = 100 };

/* --- the process --- */

/* The first line of a text that is no warning; warnings say nothing of an end. */
static const char *first_complaint(char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        if (strstr(line, "warning:") == NULL) {
            return line;
        }
    }
    return "the emulator says nothing";
}

/* Why the process went away, from what it wrote to standard error. */
static bool fail_with_stderr(struct cvm_qmp *q, const char *what, struct cvm_error *err)
{
    char text[4096];
    struct pollfd p = { .fd = q->errors, .events = POLLIN };
    ssize_t n = poll(&p, 1, LAST_WORDS_MS) > 0 ? read(q->errors, text, sizeof text - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    return cvm_fail(err, CVM_ERR_SYSTEM, "%s: %.500s", what, first_complaint(text));
}

void cvm_qmp_close(struct cvm_qmp *q)
{
    cvm_process_end(&q->pid);
    cvm_close_at(&q->socket);
    cvm_close_at(&q->errors);
    cvm_buf_free(&q->input);
    *q = (struct cvm_qmp)CVM_QMP_NONE;
}

/* --- lines of JSON --- */

static bool receive(struct cvm_qmp *q, struct cvm_error *err)
{
    uint8_t chunk[65536];
    struct pollfd p = { .fd = q->socket, .events = POLLIN };
    int ready;
    do {
        ready = poll(&p, 1, cvm_ms_until(q->deadline));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0 || cvm_ms_until(q->deadline) == 0) { /* whoever talks for ever is late as well */
        return cvm_fail(err, CVM_ERR_SYSTEM, "no answer within %u ms", q->timeout_ms);
    }
    ssize_t n = read(q->socket, chunk, sizeof chunk);
    if (n <= 0) {
        return fail_with_stderr(q, "the emulator ended", err);
    }
    cvm_put_bytes(&q->input, chunk, (size_t)n);
    if (q->input.len > MAX_ANSWER) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "an answer of more than %d bytes", MAX_ANSWER);
    }
    return cvm_buf_finish(&q->input, "answer", err);
}

/* What an emulator says is not the user's input. */
static bool is_no_answer(struct cvm_error *err)
{
    err->code = err->code == CVM_ERR_MALFORMED ? CVM_ERR_SYSTEM : err->code;
    return false;
}

/* Takes one line out of what was received, parsed. */
static bool next_message(struct cvm_qmp *q, struct json_object **out, struct cvm_error *err)
{
    const uint8_t *newline = NULL;
    while (q->input.len == 0 || (newline = memchr(q->input.data, '\n', q->input.len)) == NULL) {
        if (!receive(q, err)) {
            return false;
        }
    }
    size_t length = (size_t)(newline - q->input.data);
    if (!cvm_json_parse("QMP", (struct cvm_bytes){ q->input.data, length }, out, err)) {
        return is_no_answer(err);
    }
    memmove(q->input.data, newline + 1, q->input.len - length - 1);
    q->input.len -= length + 1;
    return true;
}

struct message {
    struct json_object *result; /* "return" */
    struct json_object *error;
    struct json_object *greeting;
};

static const struct cvm_json_field message_fields[] = {
    { "return", CVM_JSON_ANY, offsetof(struct message, result) },
    { "error", CVM_JSON_ANY, offsetof(struct message, error) },
    { "QMP", CVM_JSON_ANY, offsetof(struct message, greeting) },
    { 0 },
};

/* Waits for an answer, past events; *out then owns the message it borrows from. */
static bool await_answer(struct cvm_qmp *q, struct json_object **document, struct message *out,
                         struct cvm_error *err)
{
    for (;;) {
        cvm_autojson struct json_object *next = NULL;
        *out = (struct message){ 0 };
        if (!next_message(q, &next, err) ||
            !cvm_json_decode(next, message_fields, CVM_JSON_IGNORE_UNKNOWN, out, err)) {
            return is_no_answer(err);
        }
        if (out->error != NULL) {
            return cvm_fail(err, CVM_ERR_SYSTEM, "the emulator refuses a command of its monitor");
        }
        if (out->result != NULL || out->greeting != NULL) {
            *document = cvm_steal(&next);
            return true;
        }
    }
}

static bool send_text(struct cvm_qmp *q, const struct cvm_buf *text, struct cvm_error *err)
{
    ssize_t n = send(q->socket, text->data, text->len, MSG_NOSIGNAL);
    return n == (ssize_t)text->len ? true : fail_with_stderr(q, "the emulator ended", err);
}

/* {"execute": command, "arguments": {name: value, ...}} */
static bool execute(struct cvm_qmp *q, const char *command,
                    const struct cvm_qmp_argument *arguments, struct json_object **document,
                    struct message *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "execute", command);
    cvm_json_begin_object(&b, "arguments");
    for (; arguments->name != NULL; arguments++) {
        cvm_json_put_string(&b, arguments->name, arguments->value);
    }
    cvm_json_end(&b);
    cvm_json_end(&b);
    if (!cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, err)) {
        return false;
    }
    cvm_put_u8(&text, '\n');
    return cvm_buf_finish(&text, "QMP command", err) && send_text(q, &text, err) &&
           await_answer(q, document, out, err);
}

bool cvm_qmp_start(char *const *argv, int keep, unsigned timeout_ms, struct cvm_qmp *out,
                   struct cvm_error *err)
{
    int sockets[2];
    int errors[2];
    out->timeout_ms = timeout_ms;
    out->deadline = cvm_now_ms() + timeout_ms;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        return cvm_fail_errno(err, errno, "socket pair");
    }
    out->socket = sockets[0];
    cvm_autoclose int theirs = sockets[1];
    if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) != 0) {
        return cvm_fail_errno(err, errno, "pipe");
    }
    out->errors = errors[0];
    cvm_autoclose int their_errors = errors[1];
    const struct cvm_process_io io = { theirs, theirs, their_errors, keep, -1, NULL };
    if (!cvm_process_start(argv, &io, &out->pid, err)) {
        return false;
    }
    cvm_close_at(&theirs); /* so that the end of the process is the end of the stream */
    theirs = -1;
    cvm_autojson struct json_object *greeting = NULL;
    cvm_autojson struct json_object *answer = NULL;
    struct message message;
    const struct cvm_qmp_argument none = { 0 };
    return await_answer(out, &greeting, &message, err) &&
           execute(out, "qmp_capabilities", &none, &answer, &message, err);
}

bool cvm_qmp_run(struct cvm_qmp *q, const char *command, const struct cvm_qmp_argument *arguments,
                 struct json_object **document, struct json_object **result, struct cvm_error *err)
{
    struct message message;
    if (!execute(q, command, arguments, document, &message, err)) {
        return cvm_context(err, "QMP command '%s'", command);
    }
    *result = message.result;
    return message.result != NULL
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM, "QMP command '%s': no answer", command);
}

bool cvm_qmp_monitor(struct cvm_qmp *q, const char *command, struct cvm_buf *answer,
                     struct cvm_error *err)
{
    const struct cvm_qmp_argument line[] = { { "command-line", command }, { 0 } };
    cvm_autojson struct json_object *document = NULL;
    struct message message;
    if (!execute(q, "human-monitor-command", line, &document, &message, err)) {
        return cvm_context(err, "monitor command '%s'", command);
    }
    const char *text = cvm_json_string(message.result);
    answer->len = 0;
    cvm_put_text(answer, text == NULL ? "" : text);
    cvm_put_u8(answer, '\0');
    return cvm_buf_finish(answer, "answer", err);
}
