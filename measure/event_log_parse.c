/*
 * The binary event log.
 *
 * Source: TCG PC Client Platform Firmware Profile 1.05: TCG_PCClientPCREvent, TCG_EfiSpecIDEvent,
 *         TCG_PCR_EVENT2; UEFI 2.10, 38.4 (registers of EFI_CC_MEASUREMENT_PROTOCOL).
 */
#include "measure/base/cleanup.h"
#include "measure/base/reader.h"
#include "measure/include/cvm/event_log.h"

enum {
    EV_NO_ACTION = 3,
    ALG_SHA384 = 0x000c,
    MAX_ALGORITHMS = 16,
    MAX_DIGEST = 128, /* bytes */
    MR_RTMR3 = 4,     /* the last register; 0 is MRTD */
};

static const char signature[16] = "Spec ID Event03";

/* Which digests each event has, and how long they are. */
struct algorithms {
    uint16_t ids[MAX_ALGORITHMS];
    uint16_t sizes[MAX_ALGORITHMS];
    uint32_t count;
};

static const uint16_t *size_of(const struct algorithms *known, uint16_t id)
{
    for (uint32_t i = 0; i < known->count; i++) {
        if (known->ids[i] == id) {
            return &known->sizes[i];
        }
    }
    return NULL;
}

static bool read_algorithms(struct cvm_reader *r, struct algorithms *out, struct cvm_error *err)
{
    uint32_t count = cvm_read_u32le(r);
    if (!cvm_reader_ok(r, "event log: Spec ID event", err)) {
        return false;
    }
    if (count == 0 || count > MAX_ALGORITHMS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "event log: %u digest algorithms (1 to %d)", count,
                        MAX_ALGORITHMS);
    }
    for (out->count = 0; out->count < count; out->count++) {
        out->ids[out->count] = cvm_read_u16le(r);
        out->sizes[out->count] = cvm_read_u16le(r);
        if (out->sizes[out->count] > MAX_DIGEST) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "event log: digests of %u bytes (at most %d)",
                            out->sizes[out->count], MAX_DIGEST);
        }
    }
    const uint16_t *sha384 = size_of(out, ALG_SHA384);
    if (sha384 == NULL || *sha384 != sizeof(struct cvm_sha384)) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "event log: no SHA-384 digests of 48 bytes");
    }
    return true;
}

/* The first record has the older form, with room for a SHA-1 digest, and says what follows. */
static bool read_spec_id(struct cvm_reader *r, struct algorithms *out, struct cvm_error *err)
{
    cvm_read_skip(r, 4); /* pcrIndex */
    uint32_t type = cvm_read_u32le(r);
    cvm_read_skip(r, 20); /* digest: zeros */
    struct cvm_reader event = cvm_read_sub(r, cvm_read_u32le(r));
    if (!cvm_reader_ok(r, "event log: first event", err)) {
        return false;
    }
    const uint8_t *name = cvm_read_bytes(&event, sizeof signature);
    if (type != EV_NO_ACTION || name == NULL || memcmp(name, signature, sizeof signature) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "event log: does not start with a Spec ID event");
    }
    cvm_read_skip(&event, 4 + 4); /* platformClass; versions, errata, uintnSize */
    if (!read_algorithms(&event, out, err)) {
        return false;
    }
    cvm_read_skip(&event, cvm_read_u8(&event)); /* vendorInfo */
    return cvm_reader_end(&event, "event log: Spec ID event", err);
}

static bool read_digests(struct cvm_reader *r, const struct algorithms *known,
                         struct cvm_sha384 *out, struct cvm_error *err)
{
    uint32_t count = cvm_read_u32le(r);
    bool found = false;
    if (!cvm_reader_ok(r, "digests", err)) {
        return false;
    }
    if (count > known->count) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u digests of %u algorithms", count, known->count);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t id = cvm_read_u16le(r);
        const uint16_t *size = size_of(known, id);
        if (!cvm_reader_ok(r, "digests", err)) {
            return false;
        }
        if (size == NULL) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "digest algorithm 0x%04x is not one that the Spec ID event lists", id);
        }
        const uint8_t *digest = cvm_read_bytes(r, *size);
        if (digest != NULL && id == ALG_SHA384) {
            memcpy(out->bytes, digest, sizeof out->bytes);
            found = true;
        }
    }
    return cvm_reader_ok(r, "digests", err) &&
           (found || cvm_fail(err, CVM_ERR_MALFORMED, "no SHA-384 digest"));
}

static bool read_event(struct cvm_reader *r, const struct algorithms *known,
                       struct cvm_event_log *log, struct cvm_error *err)
{
    uint32_t mr = cvm_read_u32le(r);
    struct cvm_logged_event e = { .name = "", .extended = mr != 0 };
    e.type = cvm_read_u32le(r);
    if (!read_digests(r, known, &e.digest, err)) {
        return false;
    }
    if (mr > MR_RTMR3) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "register %u; there are 0 (MRTD) to 4 (RTMR3)", mr);
    }
    e.rtmr = mr == 0 ? 0 : mr - 1;
    e.data.size = cvm_read_u32le(r);
    e.data.data = cvm_read_bytes(r, e.data.size);
    return cvm_reader_ok(r, "event data", err) && cvm_event_log_add(log, &e, true, err);
}

/* The area of a log is larger than the log. */
static bool only_padding_left(const struct cvm_reader *r)
{
    const uint8_t *p = r->data + r->pos;
    size_t left = cvm_reader_left(r);
    if (left == 0) {
        return true;
    }
    return (p[0] == 0 || p[0] == 0xff) && memcmp(p, p + 1, left - 1) == 0;
}

bool cvm_event_log_parse(struct cvm_bytes binary, struct cvm_event_log *out, struct cvm_error *err)
{
    struct algorithms known = { 0 };
    struct cvm_reader r = cvm_reader_of(binary.data, binary.size);
    if (binary.size > CVM_EVENT_LOG_MAX_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "event log of %zu bytes; the limit is %d",
                        binary.size, CVM_EVENT_LOG_MAX_SIZE);
    }
    if (!read_spec_id(&r, &known, err)) {
        return false;
    }
    while (!only_padding_left(&r)) {
        size_t at = r.pos;
        if (!read_event(&r, &known, out, err)) {
            return cvm_context(err, "event log: event %u at offset 0x%zx", out->num_events, at);
        }
    }
    return true;
}
