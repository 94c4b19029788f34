#include "measure/base/reader.h"

struct cvm_reader cvm_reader_of(const void *data, size_t size)
{
    return (struct cvm_reader){ .data = data, .size = size };
}

/* The only bounds check there is. No addition, so nothing can wrap. */
static const uint8_t *take(struct cvm_reader *r, size_t n)
{
    if (r->want != 0) {
        return NULL;
    }
    if (n > r->size - r->pos) {
        r->want = n;
        return NULL;
    }
    if (n == 0) {
        return NULL; /* nothing to point at, and the reader stays good */
    }
    const uint8_t *p = r->data + r->pos;
    r->pos += n;
    return p;
}

static uint64_t read_le(struct cvm_reader *r, size_t width)
{
    const uint8_t *p = take(r, width);
    uint64_t value = 0;
    for (size_t i = 0; p != NULL && i < width; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

uint8_t cvm_read_u8(struct cvm_reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t cvm_read_u16le(struct cvm_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t cvm_read_u32le(struct cvm_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t cvm_read_u64le(struct cvm_reader *r)
{
    return read_le(r, 8);
}

const uint8_t *cvm_read_bytes(struct cvm_reader *r, size_t n)
{
    return take(r, n);
}

struct cvm_reader cvm_read_sub(struct cvm_reader *r, size_t n)
{
    struct cvm_reader sub = { .base = r->base + r->pos };
    const uint8_t *p = take(r, n);
    if (p != NULL) {
        sub.data = p;
        sub.size = n;
    }
    sub.want = r->want;
    return sub;
}

void cvm_read_skip(struct cvm_reader *r, size_t n)
{
    (void)take(r, n);
}

void cvm_read_seek(struct cvm_reader *r, uint64_t offset)
{
    if (r->want != 0) {
        return;
    }
    if (offset > r->size) {
        r->want = SIZE_MAX; /* an offset past the end: there is no count of missing bytes */
        return;
    }
    r->pos = (size_t)offset;
}

size_t cvm_reader_left(const struct cvm_reader *r)
{
    return r->size - r->pos;
}

bool cvm_reader_ok(const struct cvm_reader *r, const char *what, struct cvm_error *err)
{
    if (r->want == SIZE_MAX) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: lies past the end, at %zu bytes", what,
                        r->base + r->size);
    }
    if (r->want != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: needs %zu bytes at offset 0x%zx, %zu left",
                        what, r->want, r->base + r->pos, cvm_reader_left(r));
    }
    return true;
}

bool cvm_reader_end(const struct cvm_reader *r, const char *what, struct cvm_error *err)
{
    if (!cvm_reader_ok(r, what, err)) {
        return false;
    }
    if (cvm_reader_left(r) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s: %zu bytes left over at offset 0x%zx", what,
                        cvm_reader_left(r), r->base + r->pos);
    }
    return true;
}
