#include "measure/base/guid.h"

#include "measure/base/hex.h"

/* Where the digits of each stored byte stand in the text. */
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

void cvm_guid_text(const struct cvm_guid *guid, char out[CVM_GUID_TEXT_SIZE])
{
    memset(out, '-', CVM_GUID_TEXT_SIZE - 1);
    out[CVM_GUID_TEXT_SIZE - 1] = '\0';
    for (size_t i = 0; i < sizeof guid->bytes; i++) {
        char digits[3];
        cvm_hex_encode(&guid->bytes[i], 1, digits);
        memcpy(out + digits_at[i], digits, 2);
    }
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
