/*
 * Whether a quote is genuine, and whether an event log belongs to it.
 *
 * usage: check_quote QUOTE ROOT [EVENT_LOG]
 *
 * QUOTE in hex, base64 or raw; ROOT is the certificate that is trusted, PEM or DER; EVENT_LOG is
 * the binary log (in a guest: /sys/firmware/acpi/tables/data/CCEL). Uses the installed headers
 * only. docs/example/README.md explains it.
 */
#include <cvm/event_log.h>
#include <cvm/quote.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reads a whole file of at most max bytes; the caller frees *data. */
static bool read_file(const char *path, size_t max, uint8_t **data, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        perror(path);
        return false;
    }
    *data = malloc(max + 1);
    *size = *data == NULL ? 0 : fread(*data, 1, max + 1, stream);
    bool ok = *data != NULL && !ferror(stream) && *size <= max;
    fclose(stream);
    if (!ok) {
        fprintf(stderr, "%s: cannot be read, or is larger than %zu bytes\n", path, max);
    }
    return ok;
}

static void print_hex(const char *name, const uint8_t *bytes, size_t size)
{
    printf("%-12s ", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

static void print_report(const struct cvm_td_report *report)
{
    static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3" };
    print_hex("mrtd", report->mrtd.bytes, sizeof report->mrtd.bytes);
    for (size_t i = 0; i < 4; i++) {
        print_hex(names[i], report->rtmr[i].bytes, sizeof report->rtmr[i].bytes);
    }
    print_hex("report_data", report->report_data, sizeof report->report_data);
}

/* Every event, and then whether the registers are what the events come to. */
static bool replay(const struct cvm_event_log *log, const struct cvm_td_report *report,
                   struct cvm_error *err)
{
    bool all = true;
    for (uint32_t i = 0; i < log->num_events; i++) {
        struct cvm_event_text text;
        cvm_logged_event_describe(&log->events[i], &text);
        printf("  rtmr%u %-32s %s\n", log->events[i].rtmr, text.type, text.text);
    }
    for (unsigned i = 0; i < CVM_NUM_RTMRS; i++) {
        struct cvm_sha384 value;
        if (!cvm_event_log_replay(log, i, &value, err)) {
            return false;
        }
        bool same = memcmp(&value, &report->rtmr[i], sizeof value) == 0;
        printf("rtmr%u: the log %s\n", i, same ? "gives the quote's value" : "gives another value");
        all = all && same;
    }
    if (!all) {
        err->code = CVM_ERR_MISMATCH;
        snprintf(err->msg, sizeof err->msg, "the event log does not belong to the quote");
    }
    return all;
}

static bool check_log(const char *path, const struct cvm_td_report *report, struct cvm_error *err)
{
    struct cvm_event_log log = { 0 };
    struct cvm_bytes binary = { 0 };
    uint8_t *data = NULL;
    if (!read_file(path, CVM_EVENT_LOG_MAX_SIZE, &data, &binary.size)) {
        free(data);
        return false;
    }
    binary.data = data;
    bool ok = cvm_event_log_parse(binary, &log, err) && replay(&log, report, err);
    cvm_event_log_free(&log);
    free(data);
    return ok;
}

static bool check_quote(char **argv, struct cvm_error *err)
{
    uint8_t *text = NULL;
    uint8_t *raw = NULL;
    uint8_t *root = NULL;
    size_t text_size;
    size_t raw_size;
    struct cvm_quote quote;
    struct cvm_quote_check check;
    struct cvm_quote_anchor anchor = { .at = (int64_t)time(NULL) };
    bool ok = read_file(argv[1], 4 * (size_t)CVM_QUOTE_MAX_SIZE, &text, &text_size) &&
              read_file(argv[2], 1 << 16, &root, &anchor.root.size);
    anchor.root.data = root;
    ok = ok && cvm_quote_decode((struct cvm_bytes){ text, text_size }, &raw, &raw_size, err) &&
         cvm_quote_parse((struct cvm_bytes){ raw, raw_size }, &quote, err) &&
         cvm_quote_verify(&quote, &anchor, &check, err);
    if (ok) {
        printf("quote version %u: signed, certificates lead to the root\n", quote.version);
        printf("not checked: revocation, TCB level, identity of the quoting enclave\n");
        print_report(&quote.report);
        ok = !cvm_td_is_debug(&quote.report);
        if (!ok) {
            fprintf(stderr, "the TD can be debugged: its registers mean nothing\n");
        }
    }
    ok = ok && (argv[3] == NULL || check_log(argv[3], &quote.report, err));
    free(text);
    free(raw);
    free(root);
    return ok;
}

int main(int argc, char **argv)
{
    struct cvm_error err = { 0 };
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: check_quote QUOTE ROOT [EVENT_LOG]\n");
        return CVM_ERR_USAGE;
    }
    if (!check_quote(argv, &err)) {
        if (err.code == CVM_OK) { /* said already */
            return CVM_ERR_MISMATCH;
        }
        fprintf(stderr, "%s: %s\n", cvm_error_word(err.code), err.msg);
        return (int)err.code;
    }
    return 0;
}
