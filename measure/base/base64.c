#include "measure/base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cvm_put_base64(struct cvm_buf *out, struct cvm_bytes data)
{
    for (size_t i = 0; i < data.size; i += 3) {
        size_t n = data.size - i < 3 ? data.size - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            group = group << 8 | (k < n ? data.data[i + k] : 0u);
        }
        for (size_t k = 0; k < 4; k++) {
            cvm_put_u8(out, (uint8_t)(k <= n ? alphabet[group >> (18 - 6 * k) & 63] : '='));
        }
    }
}

/* The six bits of a character; -1 where it has none. */
static int bits_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);
    return found == NULL ? -1 : (int)(found - alphabet);
}

/* Four characters, of which the last `padding` are '='. */
static bool decode_group(const char *text, size_t padding, struct cvm_buf *out)
{
    uint32_t group = 0;
    for (size_t k = 0; k < 4; k++) {
        int bits = k >= 4 - padding ? 0 : bits_of(text[k]);
        if (bits < 0) {
            return false;
        }
        group = group << 6 | (uint32_t)bits;
    }
    const uint8_t bytes[] = { (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group };
    cvm_put_bytes(out, bytes, 3 - padding);
    return padding == 0 || (group & ((1u << (8 * padding)) - 1)) == 0;
}

bool cvm_base64_decode(const char *text, size_t length, struct cvm_buf *out, struct cvm_error *err)
{
    if (length % 4 != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "base64: %zu characters, not a multiple of 4",
                        length);
    }
    for (size_t i = 0; i < length; i += 4) {
        bool last = i + 4 == length;
        size_t padding = last ? (size_t)(text[i + 3] == '=') + (text[i + 2] == '=') : 0;
        if ((padding == 1 && text[i + 3] != '=') || !decode_group(text + i, padding, out)) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "base64: bad group at offset %zu", i);
        }
    }
    return cvm_buf_finish(out, "base64", err);
}

bool cvm_base64_decode_either(const char *text, size_t length, struct cvm_buf *out,
                              struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf standard = { 0 };
    bool seen[2] = { false, false }; /* the standard alphabet's own characters, the other's */
    for (size_t i = 0; i < length; i++) {
        bool url_safe = text[i] == '-' || text[i] == '_';
        seen[url_safe] |= url_safe || text[i] == '+' || text[i] == '/';
        cvm_put_u8(&standard, (uint8_t)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]));
    }
    if (seen[0] && seen[1]) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "base64: both alphabets in one text");
    }
    bool padded = length != 0 && memchr(text, '=', length) != NULL;
    for (size_t i = length; !padded && i % 4 != 0 && length % 4 != 1; i++) {
        cvm_put_u8(&standard, '=');
    }
    return cvm_buf_finish(&standard, "base64", err) &&
           cvm_base64_decode((const char *)standard.data, standard.len, out, err);
}
