#include "measure/base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void cvm_buf_free(struct cvm_buf *b)
{
    free(b->data);
    *b = (struct cvm_buf){ 0 };
}

void cvm_buf_wipe(struct cvm_buf *b)
{
    if (b->data != NULL) {
        explicit_bzero(b->data, b->cap);
    }
    cvm_buf_free(b);
}

/* Room for n more bytes, or a failed buffer. */
static bool reserve(struct cvm_buf *b, size_t n)
{
    if (b->failed || n > CVM_BUF_MAX - b->len) {
        b->failed = true;
        return false;
    }
    if (n <= b->cap - b->len) {
        return true;
    }
    size_t cap = b->cap == 0 ? 256 : b->cap * 2;
    while (cap < b->len + n) {
        cap *= 2;
    }
    uint8_t *grown = realloc(b->data, cap);
    if (grown == NULL) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    b->cap = cap;
    return true;
}

void cvm_put_bytes(struct cvm_buf *b, const void *data, size_t size)
{
    if (size == 0 || !reserve(b, size)) {
        return;
    }
    memcpy(b->data + b->len, data, size);
    b->len += size;
}

void cvm_put_zeros(struct cvm_buf *b, size_t count)
{
    if (count == 0 || !reserve(b, count)) {
        return;
    }
    memset(b->data + b->len, 0, count);
    b->len += count;
}

void cvm_put_u8(struct cvm_buf *b, uint8_t value)
{
    if (!reserve(b, 1)) {
        return;
    }
    b->data[b->len++] = value;
}

static void store_le(uint8_t *p, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

void cvm_put_le(struct cvm_buf *b, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    store_le(bytes, value, width);
    cvm_put_bytes(b, bytes, width);
}

void cvm_put_utf16(struct cvm_buf *b, const char *ascii)
{
    for (; *ascii != '\0'; ascii++) {
        cvm_put_le(b, (uint8_t)*ascii, 2);
    }
}

void cvm_put_text(struct cvm_buf *b, const char *text)
{
    cvm_put_bytes(b, text, strlen(text));
}

void cvm_put_format(struct cvm_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(b, (size_t)n + 1)) {
        b->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n; /* the NUL stays behind the end */
}

void cvm_buf_insert(struct cvm_buf *b, size_t at, const void *data, size_t size)
{
    if (size == 0 || !reserve(b, size)) {
        return;
    }
    memmove(b->data + at + size, b->data + at, b->len - at);
    memcpy(b->data + at, data, size);
    b->len += size;
}

void cvm_buf_patch_le(struct cvm_buf *b, size_t at, uint64_t value, size_t width)
{
    if (!b->failed) {
        store_le(b->data + at, value, width);
    }
}

void cvm_put_padding(struct cvm_buf *b, size_t alignment)
{
    size_t over = b->len % alignment;
    cvm_put_zeros(b, over == 0 ? 0 : alignment - over);
}

bool cvm_buf_finish(const struct cvm_buf *b, const char *what, struct cvm_error *err)
{
    return b->failed ? cvm_fail_nomem(err, what, b->len) : true;
}
