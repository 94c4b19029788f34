#include "measure/text.h"

#include "measure/base/guid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text text_of(char *out, size_t size)
{
    out[0] = '\0';
    return (struct text){ .out = out, .size = size };
}

void text_put(struct text *t, const char *fmt, ...)
{
    if (t->cut) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->out + t->len, t->size - t->len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->size - t->len) {
        memcpy(t->out + t->size - 4, "...", 4);
        t->cut = true;
        return;
    }
    t->len += (size_t)n;
}

void text_put_ascii(struct text *t, struct cvm_bytes ascii)
{
    for (size_t i = 0; i < ascii.size && !t->cut; i++) {
        uint8_t c = ascii.data[i];
        text_put(t, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
    }
}

void text_put_utf16(struct text *t, struct cvm_reader *r)
{
    while (cvm_reader_left(r) >= 2) {
        uint16_t c = cvm_read_u16le(r);
        if (c == 0) {
            return;
        }
        text_put(t, c >= 0x20 && c < 0x7f ? "%c" : "\\u%04x", c);
    }
}

void text_put_hex(struct text *t, struct cvm_bytes data)
{
    for (size_t i = 0; i < data.size && !t->cut; i++) {
        text_put(t, "%02x", data.data[i]);
    }
}

void text_put_guid(struct text *t, struct cvm_reader *r)
{
    char guid_text[CVM_GUID_TEXT] = "?";
    struct cvm_guid guid;
    const uint8_t *p = cvm_read_bytes(r, sizeof guid.bytes);
    if (p != NULL) {
        memcpy(guid.bytes, p, sizeof guid.bytes);
        cvm_guid_text(&guid, guid_text);
    }
    text_put(t, "%s", guid_text);
}
