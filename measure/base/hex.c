#include "measure/base/hex.h"

void cvm_hex_encode(const uint8_t *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cvm_hex_decode(const char *text, size_t length, uint8_t *out, size_t size,
                    struct cvm_error *err)
{
    if (length / 2 != size || length % 2 != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%zu hexadecimal digits instead of %zu", length,
                        2 * size);
    }
    for (size_t i = 0; i < length; i++) {
        int value = digit_value(text[i]);
        if (value < 0) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "character %zu is no hexadecimal digit", i);
        }
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return true;
}
