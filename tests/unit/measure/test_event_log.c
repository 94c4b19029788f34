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

static struct cvm_sha384 digest_of(const struct hw_event *event)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest = event->digest;
    if (!event->has_digest) {
        assert_int_equal(event->type, CVM_RUNTIME_EVENT_TYPE);
        must(cvm_runtime_event_digest(event->type, event->name, bytes_of(&event->payload), &digest,
                                      &err),
             &err);
    }
    return digest;
}

/* Every register of the quote is what replaying its log gives. */
static void log_replays_to_the_quote(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_event_list list = { 0 };
    assert_true(hw.num_events <= CVM_MAX_EVENTS);
    for (uint32_t i = 0; i < hw.num_events; i++) {
        list.events[list.num_events++] = (struct cvm_event){
            .rtmr = hw.events[i].imr,
            .name = hw.events[i].name,
            .digest = digest_of(&hw.events[i]),
        };
    }
    for (unsigned rtmr = 0; rtmr < CVM_NUM_RTMRS; rtmr++) {
        struct cvm_sha384 value;
        must(cvm_event_list_replay(&list, rtmr, &value, &err), &err);
        assert_bytes(value.bytes, 48, hw.rtmr[rtmr].bytes, 48);
    }
}

/* RTMR3 from names and payloads alone. */
static void runtime_events_from_their_payloads(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_sha384 rtmr3 = { 0 };
    unsigned count = 0;
    for (uint32_t i = 0; i < hw.num_events; i++) {
        if (hw.events[i].imr == 3) {
            const struct cvm_sha384 digest = digest_of(&hw.events[i]);
            assert_false(hw.events[i].has_digest);
            must(cvm_rtmr_extend(&rtmr3, &digest, &err), &err);
            count++;
        }
    }
    assert_int_equal(count, 9);
    assert_hex(
        rtmr3.bytes, 48,
        "6f24c170d0fd63fc2b1b53202eea47b013978437fa6982cf5e0438ff95c208994aaa0f4ebab2e3a66824b5b56869137e");
}

static void no_events_leave_zeros(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    const struct cvm_event_list list = { 0 };
    const struct cvm_sha384 zeros = { 0 };
    struct cvm_sha384 value;
    memset(&value, 0xff, sizeof value);
    must(cvm_event_list_replay(&list, 0, &value, &err), &err);
    assert_bytes(value.bytes, 48, zeros.bytes, 48);
}

/* SHA-384 of 96 zero bytes; only the register's own events count. */
static void one_event(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_sha384 value;
    struct cvm_event_list list = { .num_events = 2, .events = { { .rtmr = 2 }, { .rtmr = 1 } } };
    memset(&list.events[0].digest, 0xff, sizeof list.events[0].digest);
    must(cvm_event_list_replay(&list, 1, &value, &err), &err);
    assert_hex(
        value.bytes, 48,
        "f57bb7ed82c6ae4a29e6c9879338c592c7d42a39135583e8ccbe3940f2344b0eb6eb8503db0ffd6a39ddd00cd07d8317");
}

/* printf '\x01\0\0\x08:name:payload' | openssl dgst -sha384, and the same without payload */
static void digest_of_a_runtime_event(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_sha384 digest;
    const struct cvm_bytes payload = { (const uint8_t *)"payload", 7 };
    must(cvm_runtime_event_digest(CVM_RUNTIME_EVENT_TYPE, "name", payload, &digest, &err), &err);
    assert_hex(
        digest.bytes, 48,
        "0034beb57cb2e9e8d4463dcab2ab42b58552b5e1955957e4d5e109cf3b4e824f2b429c273af262a4058c6ae3fb22af30");
    must(cvm_runtime_event_digest(CVM_RUNTIME_EVENT_TYPE, "name", (struct cvm_bytes){ 0 }, &digest,
                                  &err),
         &err);
    assert_hex(
        digest.bytes, 48,
        "987513f9dd9f3e59279435e6bc39a1f69aa933d7a2281c3d96848f4335f7da4924e5cda221a01c6904da1f75aadd399b");
}

static void source_words(void **state)
{
    (void)state;
    assert_string_equal(cvm_digest_source_word(CVM_DIGEST_COMPUTED), "computed");
    assert_string_equal(cvm_digest_source_word(CVM_DIGEST_DECLARED), "declared");
    assert_string_equal(cvm_digest_source_word(CVM_DIGEST_WELL_KNOWN), "well-known");
    assert_string_equal(cvm_digest_source_word(CVM_DIGEST_CAPTURED), "captured");
}

static bool digest_a_large_event(struct cvm_error *err)
{
    struct cvm_sha384 digest;
    return cvm_runtime_event_digest(CVM_RUNTIME_EVENT_TYPE, "name", bytes_of(&hw.compact), &digest,
                                    err);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(digest_a_large_event) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_replays_to_the_quote),
        cmocka_unit_test(runtime_events_from_their_payloads),
        cmocka_unit_test(no_events_leave_zeros),
        cmocka_unit_test(one_event),
        cmocka_unit_test(digest_of_a_runtime_event),
        cmocka_unit_test(source_words),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, load_hw, unload_hw);
}
