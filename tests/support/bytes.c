#include "tests/support/bytes.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>

enum { LINE = 16, VECTOR_MAX = 64 << 20 };

/* One line of a hex dump; bytes past the end are left blank. */
static void print_line(const char *label, const uint8_t *data, size_t size, size_t at)
{
    char text[LINE * 3 + 1] = "";
    for (size_t i = 0; i < LINE && at + i < size; i++) {
        snprintf(text + 3 * i, sizeof text - 3 * i, " %02x", data[at + i]);
    }
    print_error("%s 0x%06zx:%s\n", label, at, text);
}

static void print_difference(const uint8_t *got, size_t got_size, const uint8_t *want,
                             size_t want_size, size_t at)
{
    size_t line = at / LINE * LINE;
    size_t first = line < LINE ? 0 : line - LINE;
    for (size_t i = first; i <= line + LINE; i += LINE) {
        print_line("got ", got, got_size, i);
        print_line("want", want, want_size, i);
    }
}

void assert_bytes(const void *got, size_t got_size, const void *want, size_t want_size)
{
    const uint8_t *a = got;
    const uint8_t *b = want;
    size_t common = got_size < want_size ? got_size : want_size;
    size_t at = 0;
    while (at < common && a[at] == b[at]) {
        at++;
    }
    if (at == common && got_size == want_size) {
        return;
    }
    print_error("bytes differ first at offset 0x%zx (got %zu bytes, want %zu)\n", at, got_size,
                want_size);
    print_difference(a, got_size, b, want_size, at);
    fail();
}

void assert_hex(const void *got, size_t got_size, const char *want_hex)
{
    struct cvm_error err = { 0 };
    size_t size = strlen(want_hex) / 2;
    cvm_autofree uint8_t *want = malloc(size + 1);
    assert_non_null(want);
    if (!cvm_hex_decode(want_hex, strlen(want_hex), want, size, &err)) {
        fail_msg("the test's own hex is bad: %s", err.msg);
    }
    assert_bytes(got, got_size, want, size);
}

void assert_error(struct cvm_error *err, enum cvm_error_code code, const char *text)
{
    if (err->code != code || strstr(err->msg, text) == NULL) {
        fail_msg("got \"%s: %s\", want \"%s: ...%s...\"", cvm_error_word(err->code), err->msg,
                 cvm_error_word(code), text);
    }
    *err = (struct cvm_error){ 0 };
}

struct cvm_buf load_vector(const char *name)
{
    struct cvm_error err = { 0 };
    struct cvm_buf out = { 0 };
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CVM_VECTORS_DIR, name);
    if (!cvm_file_load(path, VECTOR_MAX, &out, &err)) {
        fail_msg("%s", err.msg);
    }
    return out;
}

static void end_inflate(z_stream *z)
{
    inflateEnd(z);
}

struct cvm_buf load_vector_gz(const char *name)
{
    enum { GZIP_ONLY = 16 + MAX_WBITS };
    cvm_autobuf struct cvm_buf packed = load_vector(name);
    struct cvm_buf out = { 0 };
    CVM_CLEANUP(end_inflate)
    z_stream z = { .next_in = packed.data, .avail_in = (uInt)packed.len };
    int status = inflateInit2(&z, GZIP_ONLY);
    while (status == Z_OK) {
        uint8_t piece[16384];
        z.next_out = piece;
        z.avail_out = sizeof piece;
        status = inflate(&z, Z_NO_FLUSH);
        cvm_put_bytes(&out, piece, sizeof piece - z.avail_out);
    }
    if (status != Z_STREAM_END || out.failed) {
        fail_msg("'%s' cannot be unpacked: zlib status %d", name, status);
    }
    return out;
}
