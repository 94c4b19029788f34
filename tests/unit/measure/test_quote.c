/*
 * Quotes: one of TDX hardware (version 4), and synthetic ones of every form under their own roots.
 */
#include "measure/include/cvm/quote.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

#include <stdio.h>

/* 2026-12-01, when the captured certificates are valid, and times when they are not. */
enum { VALID = 1796083200, BEFORE = 1500000000, AFTER = 2000000000 };
#define LONG_AFTER INT64_C(2600000000)

/* Where the parts of a version 4 quote lie. */
enum {
    HEADER = 48,
    SECTION = HEADER + 584,
    SIGNATURE = SECTION + 4,
    KEY = SIGNATURE + 64,
    CERT_TYPE = KEY + 64,
    QE_REPORT = CERT_TYPE + 6,
    QE_SIGNATURE = QE_REPORT + 384,
    AUTH_SIZE = QE_SIGNATURE + 64,
};

static struct hw_sample hw;
static struct cvm_buf hw_root; /* the last certificate of the quote's chain: Intel's root */

static int load_hw(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote quote;
    hw_load(&hw);
    must(cvm_quote_parse(bytes_of(&hw.quote), &quote, &err), &err);
    const char *text = (const char *)quote.certification_data.data;
    const char *last = text;
    for (const char *p = text; (p = strstr(p, "-----BEGIN")) != NULL; p++) {
        last = p;
    }
    cvm_put_text(&hw_root, last);
    return 0;
}

static int unload_hw(void **state)
{
    (void)state;
    cvm_buf_free(&hw_root);
    hw_free(&hw);
    return 0;
}

static struct cvm_buf copy_of(const struct cvm_buf *b)
{
    struct cvm_buf copy = { 0 };
    cvm_put_bytes(&copy, b->data, b->len);
    assert_false(copy.failed);
    return copy;
}

static bool verify(const struct cvm_buf *raw, const struct cvm_buf *root, int64_t at,
                   struct cvm_quote_check *check, struct cvm_error *err)
{
    struct cvm_quote quote;
    const struct cvm_quote_anchor anchor = { .root = bytes_of(root), .at = at };
    return cvm_quote_parse(bytes_of(raw), &quote, err) &&
           cvm_quote_verify(&quote, &anchor, check, err);
}

/* --- parsing --- */

static void captured_quote(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote q;
    must(cvm_quote_parse(bytes_of(&hw.quote), &q, &err), &err);
    assert_int_equal(q.version, 4);
    assert_int_equal(q.body, CVM_QUOTE_TD_1_0);
    assert_hex(q.qe_vendor_id, sizeof q.qe_vendor_id, "939a7233f79c4ca9940a0db3957f0607");
    assert_bytes(q.report.mrtd.bytes, 48, hw.mrtd.bytes, 48);
    for (size_t i = 0; i < 4; i++) {
        assert_bytes(q.report.rtmr[i].bytes, 48, hw.rtmr[i].bytes, 48);
    }
    assert_int_equal(q.report.td_attributes, 0x10000000);
    assert_false(cvm_td_is_debug(&q.report));
    assert_int_equal(q.signed_part.size, HEADER + 584);
    assert_int_equal(q.qe_auth_data.size, 32);
    assert_int_equal(q.certification_type, 5);
    assert_int_equal(q.certification_data.size, 3678);
    /* Intel's TD quoting enclave */
    assert_hex(q.qe.mr_signer.bytes, 32,
               "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5");
    assert_int_equal(q.qe.product_id, 2);
}

static void debug_attributes(void **state)
{
    (void)state;
    assert_true(cvm_td_is_debug(&(struct cvm_td_report){ .td_attributes = 1 }));
    assert_true(cvm_td_is_debug(&(struct cvm_td_report){ .td_attributes = 0x10000020 }));
    assert_false(cvm_td_is_debug(&(struct cvm_td_report){ .td_attributes = 0x10000000 }));
}

/* Where the quote itself ends: what is behind in the capture is padding. */
static size_t end_of(const struct cvm_buf *quote)
{
    size_t end = quote->len;
    while (quote->data[end - 1] == 0) {
        end--;
    }
    return end + 1; /* the certificates end in a NUL, which belongs to them */
}

static void every_length(void **state)
{
    (void)state;
    size_t end = end_of(&hw.quote);
    for (size_t n = 0; n < hw.quote.len; n++) {
        struct cvm_error err = { 0 };
        struct cvm_quote q;
        cvm_autofree uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, hw.quote.data, n);
        bool ok = cvm_quote_parse((struct cvm_bytes){ exact, n }, &q, &err);
        if (ok != (n >= end)) {
            fail_msg("%zu of %zu bytes: %s", n, end, err.msg);
        }
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "");
        }
    }
}

static void only_zeros_may_follow(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote q;
    cvm_autobuf struct cvm_buf raw = copy_of(&hw.quote);
    raw.data[raw.len - 1] = 1;
    assert_false(cvm_quote_parse(bytes_of(&raw), &q, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "something follows the quote's end at offset 0x1348");
}

static void refused_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at, width;
        uint64_t value;
        enum cvm_error_code code;
        const char *message;
    } cases[] = {
        { 0, 2, 3, CVM_ERR_UNSUPPORTED, "quote version 3, not 4 or 5" },
        { 0, 2, 6, CVM_ERR_UNSUPPORTED, "quote version 6" },
        { 2, 2, 3, CVM_ERR_UNSUPPORTED, "attestation key type 3" },
        { 4, 4, 0, CVM_ERR_UNSUPPORTED, "TEE type 0x0, not TDX" },
        { SECTION, 4, 0xffffffff, CVM_ERR_MALFORMED, "signature section: needs 4294967295" },
        { SECTION, 4, 4299, CVM_ERR_MALFORMED, "signature section: needs" },
        { SECTION, 4, 4301, CVM_ERR_MALFORMED, "signature section: 1 bytes left over" },
        { CERT_TYPE, 2, 5, CVM_ERR_UNSUPPORTED, "certification data of type 5, not the report" },
        { CERT_TYPE + 2, 4, 4165, CVM_ERR_MALFORMED, "signature section: 1 bytes left over" },
        { AUTH_SIZE, 2, 0xffff, CVM_ERR_MALFORMED, "certification data: needs" },
        { AUTH_SIZE, 2, 31, CVM_ERR_MALFORMED, "certification data: needs" },
        { AUTH_SIZE + 36, 4, 3677, CVM_ERR_MALFORMED, "certification data: 1 bytes left over" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_quote q;
        cvm_autobuf struct cvm_buf raw = copy_of(&hw.quote);
        cvm_buf_patch_le(&raw, cases[i].at, cases[i].value, cases[i].width);
        assert_false(cvm_quote_parse(bytes_of(&raw), &q, &err));
        assert_error(&err, cases[i].code, cases[i].message);
    }
}

static void too_large(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote q;
    cvm_autobuf struct cvm_buf raw = copy_of(&hw.quote);
    cvm_put_zeros(&raw, CVM_QUOTE_MAX_SIZE - raw.len);
    must(cvm_quote_parse(bytes_of(&raw), &q, &err), &err);
    cvm_put_zeros(&raw, 1);
    assert_false(cvm_quote_parse(bytes_of(&raw), &q, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "quote of 65537 bytes; the limit is 65536");
}

/* --- verifying --- */

static void captured_quote_up_to_intels_root(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote_check check;
    must(verify(&hw.quote, &hw_root, VALID, &check, &err), &err);
    assert_true(check.rooted);
    assert_hex(check.root.bytes, 32,
               "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3");
    assert_int_equal(check.not_before, 1776214258); /* 2026-04-15T00:50:58Z */
    assert_int_equal(check.not_after, 1997139058);  /* 2033-04-15T00:50:58Z */
}

static void without_a_root_it_is_only_consistent(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote_check check;
    const struct cvm_buf none = { 0 };
    must(verify(&hw.quote, &none, LONG_AFTER, &check, &err), &err);
    assert_false(check.rooted);
}

static void times(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote_check check;
    assert_false(verify(&hw.quote, &hw_root, BEFORE, &check, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "certificate is not yet valid");
    assert_false(verify(&hw.quote, &hw_root, AFTER, &check, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "certificate has expired");
    must(verify(&hw.quote, &hw_root, 1776214258, &check, &err), &err);
    assert_false(verify(&hw.quote, &hw_root, 1776214257, &check, &err));
    assert_error(&err, CVM_ERR_MISMATCH,
                 "certificate 0 of the chain: certificate is not yet valid");
}

static void roots_that_are_none(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_quote_check check;
    struct cvm_quote q;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_put_text(&text, "no certificate");
    assert_false(verify(&hw.quote, &text, VALID, &check, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "root certificate: no certificate in PEM form");
    must(cvm_quote_parse(bytes_of(&hw.quote), &q, &err), &err);
    const struct cvm_quote_anchor chain = { .root = q.certification_data, .at = VALID };
    assert_false(cvm_quote_verify(&q, &chain, &check, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "root certificate: 3 certificates instead of one");
    /* the leaf as its own root: trusted certificates have to be self-signed */
    const char *pem = (const char *)q.certification_data.data;
    const size_t leaf = (size_t)(strstr(pem + 1, "-----BEGIN") - pem);
    const struct cvm_quote_anchor self = { .root = { (const uint8_t *)pem, leaf }, .at = VALID };
    assert_false(cvm_quote_verify(&q, &self, &check, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "certificate 2 of the chain: self-signed certificate in");
}

/* A flipped bit in any part is found, and the part is named. */
static void flipped_bits(void **state)
{
    (void)state;
    static const struct {
        size_t from, to;
        const char *message;
    } parts[] = {
        { 12, SECTION, "quote, attestation key" },
        { SIGNATURE, KEY, "quote, attestation key" },
        { KEY, CERT_TYPE, "does not bind the attestation key" },
        { QE_REPORT, QE_REPORT + 48, "report of the quoting enclave" },
        { QE_REPORT + 320, QE_SIGNATURE, "does not bind the attestation key" },
        { QE_SIGNATURE, AUTH_SIZE, "report of the quoting enclave" },
        { AUTH_SIZE + 2, AUTH_SIZE + 34, "does not bind the attestation key" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t at = parts[i].from; at < parts[i].to; at += 5) {
            struct cvm_error err = { 0 };
            struct cvm_quote_check check;
            cvm_autobuf struct cvm_buf raw = copy_of(&hw.quote);
            raw.data[at] ^= 1;
            assert_false(verify(&raw, &hw_root, VALID, &check, &err));
            assert_error(&err, CVM_ERR_MISMATCH, parts[i].message);
        }
    }
}

/* A bit in the certificates: whatever it breaks, the quote does not pass. */
static void flipped_bits_in_certificates(void **state)
{
    (void)state;
    struct cvm_quote q;
    struct cvm_error err = { 0 };
    must(cvm_quote_parse(bytes_of(&hw.quote), &q, &err), &err);
    const char *pem = (const char *)q.certification_data.data;
    size_t from = (size_t)(q.certification_data.data - hw.quote.data);
    size_t root = (size_t)(strrchr(pem, 'B') - pem); /* the root that came along is not looked at */
    for (size_t at = 40; at + 200 < root && at < 2600; at += 97) {
        struct cvm_quote_check check;
        cvm_autobuf struct cvm_buf raw = copy_of(&hw.quote);
        raw.data[from + at] ^= 1;
        err = (struct cvm_error){ 0 };
        assert_false(verify(&raw, &hw_root, VALID, &check, &err));
        assert_true(err.code == CVM_ERR_MISMATCH || err.code == CVM_ERR_MALFORMED ||
                    err.code == CVM_ERR_UNSUPPORTED);
    }
}

static struct cvm_buf load(const char *form, const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    char path[300];
    snprintf(path, sizeof path, "%s/%s/%s", CVM_QUOTES_DIR, form, name);
    must(cvm_file_load(path, CVM_QUOTE_MAX_SIZE, &out, &err), &err);
    return out;
}

static void synthetic_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        unsigned version;
        enum cvm_quote_body body;
        size_t signed_size;
    } forms[] = {
        { "4-1.0", 4, CVM_QUOTE_TD_1_0, 48 + 584 },
        { "5-1.0", 5, CVM_QUOTE_TD_1_0, 48 + 6 + 584 },
        { "5-1.5", 5, CVM_QUOTE_TD_1_5, 48 + 6 + 648 },
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_quote q;
        struct cvm_quote_check check;
        cvm_autobuf struct cvm_buf raw = load(forms[i].form, "quote.bin");
        cvm_autobuf struct cvm_buf root = load(forms[i].form, "root.pem");
        must(cvm_quote_parse(bytes_of(&raw), &q, &err), &err);
        assert_int_equal(q.version, forms[i].version);
        assert_int_equal(q.body, forms[i].body);
        assert_int_equal(q.signed_part.size, forms[i].signed_size);
        assert_hex(q.report.rtmr[0].bytes, 6, "012345678900");
        assert_int_equal(q.report.mr_service_td.bytes[0], q.body == CVM_QUOTE_TD_1_5 ? 6 : 0);
        const struct cvm_quote_anchor anchor = { .root = bytes_of(&root), .at = VALID };
        must(cvm_quote_verify(&q, &anchor, &check, &err), &err);
        assert_true(check.rooted);
        assert_false(verify(&raw, &hw_root, VALID, &check, &err));
        assert_error(&err, CVM_ERR_MISMATCH, "of the chain");
    }
}

static void refused_bodies(void **state)
{
    (void)state;
    static const struct {
        uint64_t type, size;
        enum cvm_error_code code;
        const char *message;
    } cases[] = {
        { 1, 384, CVM_ERR_UNSUPPORTED, "quote body type 1: an SGX enclave" },
        { 0, 584, CVM_ERR_UNSUPPORTED, "quote body type 0, not 2 or 3" },
        { 4, 648, CVM_ERR_UNSUPPORTED, "quote body type 4" },
        { 3, 584, CVM_ERR_MALFORMED, "quote body of type 3: 584 bytes instead of 648" },
        { 2, 648, CVM_ERR_MALFORMED, "quote body of type 2: 648 bytes instead of 584" },
        { 3, 0xffffffff, CVM_ERR_MALFORMED, "4294967295 bytes instead of 648" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_quote q;
        cvm_autobuf struct cvm_buf raw = load("5-1.5", "quote.bin");
        cvm_buf_patch_le(&raw, 48, cases[i].type, 2);
        cvm_buf_patch_le(&raw, 50, cases[i].size, 4);
        assert_false(cvm_quote_parse(bytes_of(&raw), &q, &err));
        assert_error(&err, cases[i].code, cases[i].message);
    }
}

/* --- as it came --- */

static void decoding(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    cvm_autofree char *hex = malloc(2 * hw.quote.len + 1);
    cvm_autofree uint8_t *data = NULL;
    size_t size = 0;
    assert_non_null(hex);
    cvm_hex_encode(hw.quote.data, hw.quote.len, hex);
    const struct cvm_bytes text = { (const uint8_t *)hex, 2 * hw.quote.len };
    must(cvm_quote_decode(text, &data, &size, &err), &err);
    assert_bytes(data, size, hw.quote.data, hw.quote.len);
    assert_false(cvm_quote_decode((struct cvm_bytes){ text.data, 3 }, &data, &size, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "quote: 3 hexadecimal digits: an odd count");
}

static bool run_verify(struct cvm_error *err)
{
    struct cvm_quote_check check;
    return verify(&hw.quote, &hw_root, VALID, &check, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(run_verify) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_quote),
        cmocka_unit_test(debug_attributes),
        cmocka_unit_test(every_length),
        cmocka_unit_test(only_zeros_may_follow),
        cmocka_unit_test(refused_headers),
        cmocka_unit_test(too_large),
        cmocka_unit_test(captured_quote_up_to_intels_root),
        cmocka_unit_test(without_a_root_it_is_only_consistent),
        cmocka_unit_test(times),
        cmocka_unit_test(roots_that_are_none),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(flipped_bits_in_certificates),
        cmocka_unit_test(synthetic_quotes),
        cmocka_unit_test(refused_bodies),
        cmocka_unit_test(decoding),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, load_hw, unload_hw);
}
