#include "measure/base/encoding.h"

#include "measure/base/base64.h"
#include "measure/base/hex.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_base64(uint8_t c)
{
    return is_hex(c) || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') ||
           (c != '\0' && strchr("+/-_=", c) != NULL);
}

/* What the characters that are no blanks all are. */
struct alphabet {
    bool hex, base64;
};

/* Copies the text without blanks, in the standard alphabet. */
static struct alphabet squeeze(struct cvm_bytes text, struct cvm_buf *out)
{
    struct alphabet all = { true, true };
    for (size_t i = 0; i < text.size && all.base64; i++) {
        uint8_t c = text.data[i];
        if (is_blank(c)) {
            continue;
        }
        bool prefix = c == 'x' && out->len == 1 && out->data[0] == '0';
        if (prefix) { /* of hex; base64 that starts so is no quote and no event log */
            out->len = 0;
            continue;
        }
        all.hex = all.hex && is_hex(c);
        all.base64 = is_base64(c);
        cvm_put_u8(out, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    return all;
}

static bool decode_hex(const struct cvm_buf *digits, struct cvm_buf *out, struct cvm_error *err)
{
    for (size_t i = 0; i + 1 < digits->len; i += 2) {
        uint8_t byte;
        if (!cvm_hex_decode((const char *)digits->data + i, 2, &byte, 1, err)) {
            return false;
        }
        cvm_put_u8(out, byte);
    }
    return cvm_buf_finish(out, "hexadecimal text", err);
}

bool cvm_decode_bytes(struct cvm_bytes text, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf squeezed = { 0 };
    struct alphabet all = squeeze(text, &squeezed);
    if (!cvm_buf_finish(&squeezed, "text", err)) {
        return false;
    }
    if (!all.base64) {
        cvm_put_bytes(out, text.data, text.size);
        return cvm_buf_finish(out, "bytes", err);
    }
    if (squeezed.len == 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "nothing there");
    }
    if (all.hex && squeezed.len % 2 == 0) {
        return decode_hex(&squeezed, out, err);
    }
    if (all.hex) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%zu hexadecimal digits: an odd count",
                        squeezed.len);
    }
    for (size_t missing = -squeezed.len % 4; missing != 0; missing--) {
        cvm_put_u8(&squeezed, '=');
    }
    return cvm_buf_finish(&squeezed, "text", err) &&
           cvm_base64_decode((const char *)squeezed.data, squeezed.len, out, err);
}
