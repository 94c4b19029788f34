/* Evidence in its forms; the whole of it is tested from the command line as well. */
#include "tests/support/check.h"

#include "tests/unit/vmm/place.h"
#include "vmm/evidence.h"

#define HW_VECTOR "hw/tdx-lite-2cpu-2g.json"

static struct cvm_bytes text_bytes(const char *text)
{
    return (struct cvm_bytes){ (const uint8_t *)text, strlen(text) };
}

static void captured_document(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autoevidence struct cvm_evidence e = { 0 };
    const struct cvm_evidence_files files = { .document = CVM_VECTORS_DIR "/" HW_VECTOR };
    must(cvm_evidence_load(&files, &e, &err), &err);
    assert_true(e.has_quote && e.has_log && e.vm_config != NULL && e.vm_config_claimed);
    assert_int_equal(e.log.num_events, 29);
    for (unsigned i = 0; i < CVM_NUM_RTMRS; i++) {
        struct cvm_sha384 value;
        must(cvm_event_log_replay(&e.log, i, &value, &err), &err);
        assert_bytes(value.bytes, 48, e.quote.report.rtmr[i].bytes, 48);
    }
    assert_true(e.log.events[22].digest_computed);
    assert_string_equal(e.log.events[22].name, "compose-hash");
}

/* What stands in a file of its own comes before what is in the document. */
static void files_before_the_document(void **state)
{
    struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autoevidence struct cvm_evidence e = { 0 };
    place_write_text(p, "log.json", "[{\"imr\": 3, \"event_type\": 134217729, \"event\": \"a\"}]");
    place_write_text(p, "vm_config.json", "{\"image\": \"x\"}");
    const struct cvm_evidence_files files = {
        .document = CVM_VECTORS_DIR "/" HW_VECTOR,
        .event_log = place_path(p, "log.json"),
        .vm_config = place_path(p, "vm_config.json"),
    };
    must(cvm_evidence_load(&files, &e, &err), &err);
    assert_true(e.has_quote);
    assert_int_equal(e.log.num_events, 1);
    assert_false(e.vm_config_claimed);
}

static void a_log_out_of_a_document(void **state)
{
    struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autoevidence struct cvm_evidence e = { 0 };
    const struct cvm_evidence_files files = { .event_log = CVM_VECTORS_DIR "/" HW_VECTOR };
    must(cvm_evidence_load(&files, &e, &err), &err);
    assert_int_equal(e.log.num_events, 29);
    place_write_text(p, "none.json", "{\"quote\": \"\"}");
    const struct cvm_evidence_files none = { .event_log = place_path(p, "none.json") };
    cvm_autoevidence struct cvm_evidence other = { 0 };
    assert_false(cvm_evidence_load(&none, &other, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "none.json': key 'event_log' is missing");
}

static void refused_logs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "nothing there" },
        { "[{}]", "event log: event 0: key 'imr' is missing" },
        { "[{\"imr\": 1}]", "event 0: key 'event_type' is missing" },
        { "[{\"imr\": 4, \"event_type\": 4}]", "event 0: key 'imr': 4 is not within 0 to 3" },
        { "[{\"imr\": -1, \"event_type\": 4}]", "key 'imr' is not a whole number" },
        { "[{\"imr\": 1, \"event_type\": 4294967296}]", "key 'event_type': 4294967296" },
        { "[{\"imr\": 1, \"event_type\": 4}]", "event 0: no digest, and type 0x4" },
        { "[{\"imr\": 3, \"event_type\": 134217729, \"event_payload\": \"0\"}]",
          "key 'event_payload': 1 hexadecimal digits instead of 0" },
        { "[{\"imr\": 3, \"event_type\": 134217729, \"event_payload\": \"0g\"}]",
          "key 'event_payload': character 1 is no hexadecimal digit" },
        { "[1]", "event log: event 0: not a JSON object" },
        { "[", "event log: not JSON" },
        { "00", "event log: first event: needs" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_event_log log = { 0 };
        assert_false(cvm_event_log_read(text_bytes(cases[i].text), &log, &err));
        cvm_event_log_free(&log);
        assert_error(&err, CVM_ERR_MALFORMED, cases[i].message);
    }
}

/* Every length of a log in JSON but the whole is refused, and nothing of it leaks. */
static void every_length(void **state)
{
    (void)state;
    static const char text[] = "[{\"imr\": 3, \"event_type\": 134217729, \"event\": \"a\", "
                               "\"digest\": \"\", \"event_payload\": \"0102\"}]";
    for (size_t n = 0; n < sizeof text; n++) {
        struct cvm_error err = { 0 };
        struct cvm_event_log log = { 0 };
        cvm_autofree uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, text, n);
        bool ok = cvm_event_log_read((struct cvm_bytes){ exact, n }, &log, &err);
        cvm_event_log_free(&log);
        assert_int_equal(ok, n == sizeof text - 1);
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "");
        }
    }
}

static struct json_object *document;

static bool decode(struct cvm_error *err)
{
    cvm_autoevidence struct cvm_evidence e = { 0 };
    return cvm_evidence_decode(document, &e, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = load_vector(HW_VECTOR);
    must(cvm_json_parse("it", (struct cvm_bytes){ text.data, text.len }, &document, &err), &err);
    assert_true(fail_each_allocation(decode) > 60);
    cvm_json_free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_document),
        cmocka_unit_test_setup_teardown(files_before_the_document, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(a_log_out_of_a_document, place_setup, place_teardown),
        cmocka_unit_test(refused_logs),
        cmocka_unit_test(every_length),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
