/* The binary log, and logs of guests in general. */
#include "measure/include/cvm/event_log.h"

#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

static struct hw_sample hw;

static int load_hw(void **state)
{
    (void)state;
    hw_load(&hw);
    return 0;
}

static int unload_hw(void **state)
{
    (void)state;
    hw_free(&hw);
    return 0;
}

/* --- building --- */

enum { SHA1 = 4, SHA256 = 0xb, SHA384 = 0xc };

/* A Spec ID event that lists SHA-256 and SHA-384. */
static void put_spec_id(struct cvm_buf *b)
{
    cvm_put_le(b, 0, 4);  /* pcrIndex */
    cvm_put_le(b, 3, 4);  /* EV_NO_ACTION */
    cvm_put_zeros(b, 20); /* digest */
    cvm_put_le(b, 24 + 4 + 8 + 1 + 2, 4);
    cvm_put_bytes(b, "Spec ID Event03", 16);
    cvm_put_zeros(b, 8);
    cvm_put_le(b, 2, 4);
    cvm_put_le(b, SHA256, 2);
    cvm_put_le(b, 32, 2);
    cvm_put_le(b, SHA384, 2);
    cvm_put_le(b, 48, 2);
    cvm_put_u8(b, 2); /* vendorInfo */
    cvm_put_zeros(b, 2);
}

enum { FIRST_EVENT = 32 + 24 + 4 + 8 + 1 + 2 };

static void put_event(struct cvm_buf *b, uint32_t mr, uint32_t type,
                      const struct cvm_sha384 *digest, struct cvm_bytes data)
{
    cvm_put_le(b, mr, 4);
    cvm_put_le(b, type, 4);
    cvm_put_le(b, 2, 4);
    cvm_put_le(b, SHA256, 2);
    cvm_put_zeros(b, 32);
    cvm_put_le(b, SHA384, 2);
    cvm_put_bytes(b, digest->bytes, 48);
    cvm_put_le(b, data.size, 4);
    cvm_put_bytes(b, data.data, data.size);
}

/* The captured log without its run-time events, which no firmware writes. */
static struct cvm_buf captured_log(void)
{
    struct cvm_buf b = { 0 };
    put_spec_id(&b);
    for (uint32_t i = 0; i < hw.num_events; i++) {
        if (hw.events[i].has_digest) {
            put_event(&b, hw.events[i].imr + 1, hw.events[i].type, &hw.events[i].digest,
                      bytes_of(&hw.events[i].payload));
        }
    }
    assert_false(b.failed);
    return b;
}

static bool parse(const struct cvm_buf *b, struct cvm_event_log *log, struct cvm_error *err)
{
    *log = (struct cvm_event_log){ 0 };
    return cvm_event_log_parse(bytes_of(b), log, err);
}

static void refused(const struct cvm_buf *b, enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_event_log log;
    assert_false(parse(b, &log, &err));
    cvm_event_log_free(&log);
    assert_error(&err, code, message);
}

/* --- parsing --- */

static void check_captured(const struct cvm_buf *b)
{
    struct cvm_error err = { 0 };
    struct cvm_event_log log;
    must(parse(b, &log, &err), &err);
    assert_int_equal(log.num_events, 20);
    for (unsigned rtmr = 0; rtmr < 3; rtmr++) {
        struct cvm_sha384 value;
        must(cvm_event_log_replay(&log, rtmr, &value, &err), &err);
        assert_bytes(value.bytes, 48, hw.rtmr[rtmr].bytes, 48);
    }
    assert_int_equal(log.events[8].type, 10);
    assert_bytes(log.events[8].data.data, log.events[8].data.size, "ACPI DATA", 9);
    cvm_event_log_free(&log);
}

static void captured_events_replay_to_the_quote(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf b = captured_log();
    check_captured(&b);
}

static void padding_of_either_kind(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf zeros = captured_log();
    cvm_put_zeros(&zeros, 1000);
    check_captured(&zeros);
    cvm_autobuf struct cvm_buf ones = captured_log();
    for (unsigned i = 0; i < 1000; i++) {
        cvm_put_u8(&ones, 0xff);
    }
    check_captured(&ones);
    ones.data[ones.len - 1] = 0;
    refused(&ones, CVM_ERR_MALFORMED, "event log: event 20 at offset");
}

static void every_length(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf b = captured_log();
    unsigned whole = 0; /* lengths at which an event ends, or the log has none */
    for (size_t n = 0; n < b.len; n++) {
        struct cvm_error err = { 0 };
        struct cvm_event_log log = { 0 };
        cvm_autofree uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, b.data, n);
        if (cvm_event_log_parse((struct cvm_bytes){ exact, n }, &log, &err)) {
            whole++;
        } else {
            assert_error(&err, CVM_ERR_MALFORMED, "event log: ");
        }
        cvm_event_log_free(&log);
    }
    assert_in_range(whole, 20, 20); /* after the head and after each event but the last */
}

static void registers(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_event_log log;
    const struct cvm_sha384 digest = { { 1 } };
    cvm_autobuf struct cvm_buf b = { 0 };
    put_spec_id(&b);
    put_event(&b, 0, 8, &digest, (struct cvm_bytes){ 0 }); /* of MRTD: informs only */
    put_event(&b, 1, 3, &digest, (struct cvm_bytes){ 0 }); /* EV_NO_ACTION */
    put_event(&b, 4, 4, &digest, (struct cvm_bytes){ 0 });
    must(parse(&b, &log, &err), &err);
    assert_int_equal(log.num_events, 3);
    assert_false(log.events[0].extended || log.events[1].extended);
    assert_true(log.events[2].extended);
    assert_int_equal(log.events[2].rtmr, 3);
    struct cvm_sha384 value;
    const struct cvm_sha384 zeros = { 0 };
    must(cvm_event_log_replay(&log, 0, &value, &err), &err);
    assert_bytes(value.bytes, 48, zeros.bytes, 48);
    cvm_event_log_free(&log);
    put_event(&b, 5, 4, &digest, (struct cvm_bytes){ 0 });
    refused(&b, CVM_ERR_MALFORMED, "event 3 at offset 0x173: register 5; there are 0 (MRTD) to 4");
}

static void refused_heads(void **state)
{
    (void)state;
    static const struct {
        size_t at, width;
        uint64_t value;
        enum cvm_error_code code;
        const char *message;
    } cases[] = {
        { 4, 4, 4, CVM_ERR_MALFORMED, "does not start with a Spec ID event" },
        { 32, 1, 'X', CVM_ERR_MALFORMED, "does not start with a Spec ID event" },
        { 28, 4, 0xffffffff, CVM_ERR_MALFORMED, "event log: first event: needs 4294967295" },
        { 28, 4, 16, CVM_ERR_MALFORMED, "Spec ID event: needs" },
        { 56, 4, 0, CVM_ERR_MALFORMED, "0 digest algorithms (1 to 16)" },
        { 56, 4, 17, CVM_ERR_MALFORMED, "17 digest algorithms" },
        { 56, 4, 0xffffffff, CVM_ERR_MALFORMED, "4294967295 digest algorithms" },
        { 62, 2, 129, CVM_ERR_MALFORMED, "digests of 129 bytes (at most 128)" },
        { 64, 2, 0xd, CVM_ERR_UNSUPPORTED, "no SHA-384 digests" },
        { 66, 2, 32, CVM_ERR_UNSUPPORTED, "no SHA-384 digests of 48 bytes" },
        { 68, 1, 200, CVM_ERR_MALFORMED, "Spec ID event: needs 200 bytes" },
        { FIRST_EVENT + 8, 4, 3, CVM_ERR_MALFORMED, "event 0 at offset 0x47: 3 digests of 2" },
        { FIRST_EVENT + 8, 4, 1, CVM_ERR_MALFORMED, "event 0 at offset 0x47: no SHA-384 digest" },
        { FIRST_EVENT + 12, 2, SHA1, CVM_ERR_MALFORMED, "digest algorithm 0x0004 is not one" },
        { FIRST_EVENT + 96, 4, 0xffffffff, CVM_ERR_MALFORMED, "event data: needs 4294967295" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cvm_autobuf struct cvm_buf b = captured_log();
        cvm_buf_patch_le(&b, cases[i].at, cases[i].value, cases[i].width);
        refused(&b, cases[i].code, cases[i].message);
    }
}

static void too_many_events(void **state)
{
    (void)state;
    const struct cvm_sha384 digest = { { 1 } };
    cvm_autobuf struct cvm_buf b = { 0 };
    put_spec_id(&b);
    for (unsigned i = 0; i <= CVM_EVENT_LOG_MAX_EVENTS; i++) {
        put_event(&b, 1, 4, &digest, (struct cvm_bytes){ 0 });
    }
    refused(&b, CVM_ERR_MALFORMED, "more than 4096 events");
}

/* --- adding --- */

static struct cvm_logged_event runtime(const char *name, const char *payload)
{
    return (struct cvm_logged_event){
        .rtmr = 3,
        .extended = true,
        .type = CVM_RUNTIME_EVENT_TYPE,
        .name = name,
        .data = { (const uint8_t *)payload, strlen(payload) },
    };
}

/* The same digest as in test_event_log.c. */
static void missing_digests_are_computed(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_event_log log = { 0 };
    struct cvm_logged_event e = runtime("name", "payload");
    must(cvm_event_log_add(&log, &e, false, &err), &err);
    assert_true(log.events[0].digest_computed);
    assert_int_equal(log.events[0].worth, CVM_EVENT_DATA_PROVEN);
    e.digest = log.events[0].digest;
    must(cvm_event_log_add(&log, &e, true, &err), &err);
    assert_int_equal(log.events[1].worth, CVM_EVENT_DATA_PROVEN);
    e.name = "nome";
    must(cvm_event_log_add(&log, &e, true, &err), &err);
    assert_int_equal(log.events[2].worth, CVM_EVENT_DATA_CONTRADICTS);
    e.type = 4;
    assert_false(cvm_event_log_add(&log, &e, false, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no digest, and type 0x4 is no run-time event");
    e.rtmr = 4;
    assert_false(cvm_event_log_add(&log, &e, true, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "register 4; there are RTMR0 to RTMR3");
    cvm_event_log_free(&log);
}

/* SHA-384 of four zero bytes, and of nothing in particular. */
static void what_data_is_worth(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_event_log log = { 0 };
    static const uint8_t zeros[4] = { 0 };
    struct cvm_logged_event e = { .name = "", .extended = true, .type = 4, .data = { zeros, 4 } };
    e.digest = hw.events[7].digest; /* a separator */
    must(cvm_event_log_add(&log, &e, true, &err), &err);
    assert_int_equal(log.events[0].worth, CVM_EVENT_DATA_PROVEN);
    e.digest.bytes[0] ^= 1;
    must(cvm_event_log_add(&log, &e, true, &err), &err);
    assert_int_equal(log.events[1].worth, CVM_EVENT_DATA_UNPROVEN);
    e.data.size = 0;
    must(cvm_event_log_add(&log, &e, true, &err), &err);
    assert_int_equal(log.events[2].worth, CVM_EVENT_DATA_NONE);
    cvm_event_log_free(&log);
    cvm_event_log_free(&log); /* takes a zeroed one as well */
}

static struct cvm_buf prepared_log;

static bool parse_prepared(struct cvm_error *err)
{
    struct cvm_event_log log;
    bool ok = parse(&prepared_log, &log, err);
    cvm_event_log_free(&log);
    return ok;
}

static void out_of_memory(void **state)
{
    (void)state;
    prepared_log = captured_log();
    assert_true(fail_each_allocation(parse_prepared) >= 21);
    cvm_buf_free(&prepared_log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_events_replay_to_the_quote),
        cmocka_unit_test(padding_of_either_kind),
        cmocka_unit_test(every_length),
        cmocka_unit_test(registers),
        cmocka_unit_test(refused_heads),
        cmocka_unit_test(too_many_events),
        cmocka_unit_test(missing_digests_are_computed),
        cmocka_unit_test(what_data_is_worth),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, load_hw, unload_hw);
}
