#include "measure/base/guid.h"

#include "measure/base/hex.h"

/* Where the digits of each stored byte stand in the text, and what stands between them. */
static const uint8_t digits_at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
static const uint8_t dash_at[] = { 8, 13, 18, 23 };

bool cvm_guid_parse(const char *text, struct cvm_guid *out)
{
    struct cvm_error ignored = { 0 };
    if (strlen(text) != 36) {
        return false;
    }
    for (size_t i = 0; i < sizeof dash_at; i++) {
        if (text[dash_at[i]] != '-') {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        if (!cvm_hex_decode(text + digits_at[i], 2, &out->bytes[i], 1, &ignored)) {
            return false;
        }
    }
    return true;
}

void cvm_guid_text(const struct cvm_guid *guid, char out[CVM_GUID_TEXT])
{
    char hex[3];
    for (size_t i = 0; i < sizeof dash_at; i++) {
        out[dash_at[i]] = '-';
    }
    for (size_t i = 0; i < sizeof guid->bytes; i++) {
        cvm_hex_encode(&guid->bytes[i], 1, hex);
        out[digits_at[i]] = hex[0];
        out[digits_at[i] + 1] = hex[1];
    }
    out[CVM_GUID_TEXT - 1] = '\0';
}

bool cvm_guid_is(const uint8_t bytes[16], const char *text)
{
    struct cvm_guid guid;
    return cvm_guid_parse(text, &guid) && memcmp(bytes, guid.bytes, sizeof guid.bytes) == 0;
}

void cvm_put_guid(struct cvm_buf *b, const char *text)
{
    struct cvm_guid guid;
    if (!cvm_guid_parse(text, &guid)) {
        b->failed = true;
        return;
    }
    cvm_put_bytes(b, guid.bytes, sizeof guid.bytes);
}
