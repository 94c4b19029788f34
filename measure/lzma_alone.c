#include "measure/lzma_alone.h"

#include "measure/base/reader.h"

#include <lzma.h>

enum {
    CHUNK = 1 << 16,
    HEADER_SIZE = 13,             /* properties, u32 dictionary size, u64 unpacked size */
    MAX_MEMORY = (64 + 16) << 20, /* bytes: a dictionary of 64 MiB, and what goes with it */
};

/* liblzma would ask the C library behind our back. */
static void *allocate(void *opaque, size_t count, size_t size)
{
    size_t bytes;
    (void)opaque;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
}

static void release(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

static const lzma_allocator allocator = { .alloc = allocate, .free = release };

static bool fail_with(lzma_ret ret, const lzma_stream *s, struct cvm_error *err)
{
    unsigned long long in = s->total_in;
    switch (ret) {
    case LZMA_MEM_ERROR:
        return cvm_fail_nomem(err, "unpacking an LZMA stream", 0);
    case LZMA_BUF_ERROR:
        return cvm_fail(err, CVM_ERR_MALFORMED, "LZMA stream: truncated at byte %llu", in);
    case LZMA_MEMLIMIT_ERROR:
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "LZMA stream: its dictionary needs %llu bytes of memory, at most %d",
                        (unsigned long long)lzma_memusage(s), MAX_MEMORY);
    case LZMA_FORMAT_ERROR:
        return cvm_fail(err, CVM_ERR_MALFORMED, "LZMA stream: its header is none");
    default:
        return cvm_fail(err, CVM_ERR_MALFORMED, "LZMA stream: damaged at byte %llu", in);
    }
}

static bool fail_too_large(size_t max, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "LZMA stream: unpacks to more than %zu bytes", max);
}

/* What the header says, where it says it. */
static bool check_header(struct cvm_bytes stream, size_t max, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(stream.data, stream.size);
    cvm_read_skip(&r, HEADER_SIZE - 8);
    uint64_t size = cvm_read_u64le(&r);
    if (!cvm_reader_ok(&r, "LZMA stream header", err)) {
        return false;
    }
    return size == UINT64_MAX || size <= max ? true : fail_too_large(max, err);
}

static bool unpack(lzma_stream *s, size_t max, struct cvm_buf *out, struct cvm_error *err)
{
    uint8_t chunk[CHUNK];
    size_t unpacked = 0;
    lzma_ret ret = LZMA_OK;
    while (ret == LZMA_OK) {
        s->next_out = chunk;
        s->avail_out = sizeof chunk;
        ret = lzma_code(s, LZMA_FINISH);
        if (ret != LZMA_OK && ret != LZMA_STREAM_END) {
            return fail_with(ret, s, err);
        }
        size_t got = sizeof chunk - s->avail_out;
        if (got > max - unpacked) {
            return fail_too_large(max, err);
        }
        unpacked += got;
        cvm_put_bytes(out, chunk, got);
    }
    return cvm_buf_finish(out, "unpacked volume", err);
}

bool lzma_alone_unpack(struct cvm_bytes stream, size_t max, struct cvm_buf *out,
                       struct cvm_error *err)
{
    if (!check_header(stream, max, err)) {
        return false;
    }
    CVM_CLEANUP(lzma_end)
    lzma_stream s = LZMA_STREAM_INIT;
    s.allocator = &allocator;
    lzma_ret ret = lzma_alone_decoder(&s, MAX_MEMORY);
    if (ret != LZMA_OK) {
        return fail_with(ret, &s, err);
    }
    s.next_in = stream.data;
    s.avail_in = stream.size;
    return unpack(&s, max, out, err);
}
