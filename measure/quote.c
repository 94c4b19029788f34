#include "measure/include/cvm/quote.h"

#include "measure/base/cleanup.h"
#include "measure/base/encoding.h"
#include "measure/base/reader.h"

enum {
    KEY_ECDSA_P256 = 2,
    TEE_TDX = 0x81,
    BODY_SGX = 1,
    CERT_QE_REPORT = 6,
    SIGNATURE_SIZE = 64,
    QE_REPORT_SIZE = 384,
    TD_1_0_SIZE = 584,
    TD_1_5_SIZE = 648,
    ATTRIBUTES_TUD = 0xff, /* bits that put a TD under debug; bit 0 is DEBUG */
};

bool cvm_td_is_debug(const struct cvm_td_report *report)
{
    return (report->td_attributes & ATTRIBUTES_TUD) != 0;
}

/* --- fields --- */

static void read_into(struct cvm_reader *r, void *out, size_t size)
{
    const uint8_t *p = cvm_read_bytes(r, size);
    if (p != NULL) {
        memcpy(out, p, size);
    }
}

static void read_sha384(struct cvm_reader *r, struct cvm_sha384 *out)
{
    read_into(r, out->bytes, sizeof out->bytes);
}

static struct cvm_bytes read_part(struct cvm_reader *r, size_t size)
{
    const uint8_t *p = cvm_read_bytes(r, size);
    return (struct cvm_bytes){ p, p == NULL ? 0 : size };
}

static void read_td_report(struct cvm_reader *r, enum cvm_quote_body body,
                           struct cvm_td_report *out)
{
    read_into(r, out->tee_tcb_svn, sizeof out->tee_tcb_svn);
    read_sha384(r, &out->mr_seam);
    read_sha384(r, &out->mr_signer_seam);
    out->seam_attributes = cvm_read_u64le(r);
    out->td_attributes = cvm_read_u64le(r);
    out->xfam = cvm_read_u64le(r);
    read_sha384(r, &out->mrtd);
    read_sha384(r, &out->mr_config_id);
    read_sha384(r, &out->mr_owner);
    read_sha384(r, &out->mr_owner_config);
    for (size_t i = 0; i < 4; i++) {
        read_sha384(r, &out->rtmr[i]);
    }
    read_into(r, out->report_data, sizeof out->report_data);
    if (body == CVM_QUOTE_TD_1_5) {
        read_into(r, out->tee_tcb_svn2, sizeof out->tee_tcb_svn2);
        read_sha384(r, &out->mr_service_td);
    }
}

static void read_qe_report(struct cvm_reader *r, struct cvm_quoting_enclave *out)
{
    cvm_read_skip(r, 16 + 4 + 28); /* CPUSVN, MISCSELECT, reserved */
    out->attributes = cvm_read_u64le(r);
    cvm_read_skip(r, 8); /* XFRM */
    read_into(r, out->mr_enclave.bytes, sizeof out->mr_enclave.bytes);
    cvm_read_skip(r, 32);
    read_into(r, out->mr_signer.bytes, sizeof out->mr_signer.bytes);
    cvm_read_skip(r, 96);
    out->product_id = cvm_read_u16le(r);
    out->svn = cvm_read_u16le(r);
    cvm_read_skip(r, 60);
    read_into(r, out->report_data, sizeof out->report_data);
}

/* --- parts --- */

static bool parse_header(struct cvm_reader *r, struct cvm_quote *q, struct cvm_error *err)
{
    q->version = cvm_read_u16le(r);
    uint16_t key_type = cvm_read_u16le(r);
    uint32_t tee_type = cvm_read_u32le(r);
    cvm_read_skip(r, 4); /* security versions of QE and PCE in version 3, reserved here */
    read_into(r, q->qe_vendor_id, sizeof q->qe_vendor_id);
    read_into(r, q->user_data, sizeof q->user_data);
    if (!cvm_reader_ok(r, "quote header", err)) {
        return false;
    }
    if (q->version != 4 && q->version != 5) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "quote version %u, not 4 or 5", q->version);
    }
    if (tee_type != TEE_TDX) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "TEE type 0x%x, not TDX (0x81)", tee_type);
    }
    if (key_type != KEY_ECDSA_P256) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "attestation key type %u, not ECDSA over P-256 (2)", key_type);
    }
    return true;
}

/* Version 5 says which body follows and how long it is; version 4 has one kind. */
static bool parse_body(struct cvm_reader *r, struct cvm_quote *q, struct cvm_error *err)
{
    uint16_t type = CVM_QUOTE_TD_1_0;
    uint32_t size = TD_1_0_SIZE;
    if (q->version == 5) {
        type = cvm_read_u16le(r);
        size = cvm_read_u32le(r);
    }
    if (!cvm_reader_ok(r, "quote body descriptor", err)) {
        return false;
    }
    if (type == BODY_SGX) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "quote body type 1: an SGX enclave, not a TD");
    }
    if (type != CVM_QUOTE_TD_1_0 && type != CVM_QUOTE_TD_1_5) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "quote body type %u, not 2 or 3", type);
    }
    uint32_t want = type == CVM_QUOTE_TD_1_0 ? TD_1_0_SIZE : TD_1_5_SIZE;
    if (size != want) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "quote body of type %u: %u bytes instead of %u",
                        type, size, want);
    }
    q->body = (enum cvm_quote_body)type;
    struct cvm_reader body = cvm_read_sub(r, size);
    read_td_report(&body, q->body, &q->report);
    return cvm_reader_end(&body, "quote body", err);
}

static bool parse_qe_certification(struct cvm_reader *r, struct cvm_quote *q, struct cvm_error *err)
{
    q->qe_report = read_part(r, QE_REPORT_SIZE);
    q->qe_signature = read_part(r, SIGNATURE_SIZE);
    q->qe_auth_data = read_part(r, cvm_read_u16le(r));
    q->certification_type = cvm_read_u16le(r);
    q->certification_data = read_part(r, cvm_read_u32le(r));
    if (!cvm_reader_end(r, "certification data", err)) {
        return false;
    }
    struct cvm_reader report = cvm_reader_of(q->qe_report.data, q->qe_report.size);
    read_qe_report(&report, &q->qe);
    return cvm_reader_end(&report, "report of the quoting enclave", err);
}

static bool parse_signature(struct cvm_reader *r, struct cvm_quote *q, struct cvm_error *err)
{
    q->signature = read_part(r, SIGNATURE_SIZE);
    q->attestation_key = read_part(r, SIGNATURE_SIZE);
    uint16_t type = cvm_read_u16le(r);
    struct cvm_reader data = cvm_read_sub(r, cvm_read_u32le(r));
    if (!cvm_reader_end(r, "signature section", err)) {
        return false;
    }
    if (type != CERT_QE_REPORT) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "certification data of type %u, not the report of a quoting enclave (6)",
                        type);
    }
    return parse_qe_certification(&data, q, err);
}

/* Services hand out buffers of a fixed size, of which the quote is the start. */
static bool check_padding(struct cvm_reader *r, struct cvm_error *err)
{
    size_t at = r->pos;
    for (size_t left = cvm_reader_left(r); left != 0; left--) {
        if (cvm_read_u8(r) != 0) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "something follows the quote's end at offset 0x%zx", at);
        }
    }
    return true;
}

bool cvm_quote_parse(struct cvm_bytes raw, struct cvm_quote *out, struct cvm_error *err)
{
    struct cvm_quote q = { 0 };
    struct cvm_reader r = cvm_reader_of(raw.data, raw.size);
    if (raw.size > CVM_QUOTE_MAX_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "quote of %zu bytes; the limit is %d", raw.size,
                        CVM_QUOTE_MAX_SIZE);
    }
    if (!parse_header(&r, &q, err) || !parse_body(&r, &q, err)) {
        return false;
    }
    q.signed_part = (struct cvm_bytes){ raw.data, r.pos };
    struct cvm_reader section = cvm_read_sub(&r, cvm_read_u32le(&r));
    if (!cvm_reader_ok(&r, "signature section", err) || !parse_signature(&section, &q, err) ||
        !check_padding(&r, err)) {
        return false;
    }
    *out = q;
    return true;
}

bool cvm_quote_decode(struct cvm_bytes text, uint8_t **data, size_t *size, struct cvm_error *err)
{
    enum { MAX_TEXT = 4 * CVM_QUOTE_MAX_SIZE };
    cvm_autobuf struct cvm_buf raw = { 0 };
    if (text.size > MAX_TEXT) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "quote of %zu bytes as text; the limit is %d",
                        text.size, MAX_TEXT);
    }
    if (!cvm_decode_bytes(text, &raw, err)) {
        return cvm_context(err, "quote");
    }
    *size = raw.len;
    *data = cvm_steal(&raw.data);
    return true;
}
