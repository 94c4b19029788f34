#include "measure/acpi/aml.h"

#include "measure/acpi/aml_internal.h"
#include "measure/base/guid.h"
#include "measure/base/hex.h"

enum aml_opcode {
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_VAR_PACKAGE = 0x13,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXTENDED = 0x5b,
    EXT_MUTEX = 0x01,
    EXT_ACQUIRE = 0x23,
    EXT_REGION = 0x80,
    EXT_FIELD = 0x81,
    EXT_DEVICE = 0x82,
    EXT_PROCESSOR = 0x83,
};

enum { SEGMENT_LENGTH = 4 };

struct aml aml_on(struct cvm_buf *out)
{
    return (struct aml){ .out = out };
}

void aml_break(struct aml *a, const char *why)
{
    if (a->broken == NULL) {
        a->broken = why;
    }
}

static void put_extended(struct aml *a, uint8_t opcode)
{
    cvm_put_u8(a->out, OP_EXTENDED);
    cvm_put_u8(a->out, opcode);
}

void aml_begin(struct aml *a)
{
    if (a->depth == AML_MAX_DEPTH) {
        aml_break(a, "terms nested too deep");
        return;
    }
    a->open[a->depth++] = a->out->len;
}

void aml_end(struct aml *a)
{
    if (a->depth == 0) {
        aml_break(a, "a term closed that was never opened");
        return;
    }
    size_t start = a->open[--a->depth];
    size_t body = a->out->len - start;
    size_t n = body + 1 < 1u << 6 ? 1 : body + 2 < 1u << 12 ? 2 : body + 3 < 1u << 20 ? 3 : 4;
    size_t len = body + n; /* PkgLength counts itself */
    if (len >= 1u << 28) {
        aml_break(a, "a term longer than PkgLength can say");
        return;
    }
    uint8_t enc[4] = { (uint8_t)len };
    if (n > 1) {
        enc[0] = (uint8_t)((n - 1) << 6 | (len & 0x0f));
        for (size_t i = 1; i < n; i++) {
            enc[i] = (uint8_t)(len >> (8 * i - 4));
        }
    }
    cvm_buf_insert(a->out, start, enc, n);
}

bool aml_finish(const struct aml *a, const char *what, struct cvm_error *err)
{
    if (!cvm_buf_finish(a->out, what, err)) {
        return false;
    }
    const char *wrong = a->broken != NULL ? a->broken : a->depth != 0 ? "a term left open" : NULL;
    return wrong == NULL ? true : cvm_fail(err, CVM_ERR_SYSTEM, "%s: bug in AML: %s", what, wrong);
}

static bool is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Copies one segment, padded to four characters; returns what follows it. */
static const char *put_segment(struct aml *a, const char *path)
{
    char segment[SEGMENT_LENGTH] = { '_', '_', '_', '_' };
    size_t n = 0;
    while (is_name_char(path[n])) {
        if (n == SEGMENT_LENGTH) {
            aml_break(a, "a name segment longer than four characters");
            break;
        }
        segment[n] = path[n];
        n++;
    }
    bool ends_well = path[n] == '\0' || (path[n] == '.' && path[n + 1] != '\0');
    if (n == 0 || (path[0] >= '0' && path[0] <= '9') || !ends_well) {
        aml_break(a, "a bad name");
    }
    cvm_put_bytes(a->out, segment, sizeof segment);
    return path[n] == '.' ? path + n + 1 : "";
}

void aml_namestring(struct aml *a, const char *path)
{
    for (; *path == '\\' || *path == '^'; path++) {
        cvm_put_u8(a->out, (uint8_t)*path);
    }
    if (*path == '\0') {
        cvm_put_u8(a->out, 0); /* NullName */
        return;
    }
    size_t segments = 1;
    for (const char *p = path; *p != '\0'; p++) {
        segments += *p == '.';
    }
    if (segments == 2) {
        cvm_put_u8(a->out, OP_DUAL_NAME);
    }
    if (segments > 2) {
        cvm_put_u8(a->out, OP_MULTI_NAME);
        cvm_put_u8(a->out, (uint8_t)segments);
    }
    while (*path != '\0') {
        path = put_segment(a, path);
    }
}

void aml_int(struct aml *a, uint64_t value)
{
    if (value <= 1) {
        cvm_put_u8(a->out, (uint8_t)value); /* ZeroOp, OneOp */
        return;
    }
    static const struct {
        uint8_t opcode;
        uint8_t width;
        uint64_t max;
    } forms[] = {
        { OP_BYTE, 1, UINT8_MAX },
        { OP_WORD, 2, UINT16_MAX },
        { OP_DWORD, 4, UINT32_MAX },
        { OP_QWORD, 8, UINT64_MAX },
    };
    size_t i = 0;
    while (value > forms[i].max) {
        i++;
    }
    cvm_put_u8(a->out, forms[i].opcode);
    cvm_put_le(a->out, value, forms[i].width);
}

void aml_string(struct aml *a, const char *text)
{
    cvm_put_u8(a->out, OP_STRING);
    cvm_put_bytes(a->out, text, strlen(text) + 1);
}

/* Three letters of five bits, then four hexadecimal digits; stored big-endian. */
void aml_eisaid(struct aml *a, const char *id)
{
    struct cvm_error ignored = { 0 };
    uint8_t product[2];
    if (strlen(id) != 7 || !cvm_hex_decode(id + 3, 4, product, sizeof product, &ignored)) {
        aml_break(a, "a bad EISA identifier");
        return;
    }
    unsigned vendor = 0;
    for (size_t i = 0; i < 3; i++) {
        if (id[i] < 'A' || id[i] > 'Z') {
            aml_break(a, "a bad EISA identifier");
            return;
        }
        vendor = vendor << 5 | (unsigned)(id[i] - 0x40);
    }
    const uint8_t bytes[] = { OP_DWORD, (uint8_t)(vendor >> 8), (uint8_t)vendor, product[0],
                              product[1] };
    cvm_put_bytes(a->out, bytes, sizeof bytes);
}

void aml_bytes(struct aml *a, const uint8_t *data, uint8_t size)
{
    cvm_put_u8(a->out, OP_BUFFER);
    aml_begin(a);
    aml_int(a, size);
    cvm_put_bytes(a->out, data, size);
    aml_end(a);
}

void aml_uuid(struct aml *a, const char *uuid)
{
    struct cvm_guid guid;
    if (!cvm_guid_parse(uuid, &guid)) {
        aml_break(a, "a bad UUID");
        return;
    }
    aml_bytes(a, guid.bytes, sizeof guid.bytes);
}

void aml_name(struct aml *a, const char *name)
{
    cvm_put_u8(a->out, OP_NAME);
    aml_namestring(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t value)
{
    aml_name(a, name);
    aml_int(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *text)
{
    aml_name(a, name);
    aml_string(a, text);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

void aml_scope(struct aml *a, const char *path)
{
    cvm_put_u8(a->out, OP_SCOPE);
    aml_begin(a);
    aml_namestring(a, path);
}

void aml_device(struct aml *a, const char *name)
{
    put_extended(a, EXT_DEVICE);
    aml_begin(a);
    aml_namestring(a, name);
}

void aml_processor(struct aml *a, const char *name, uint8_t id)
{
    put_extended(a, EXT_PROCESSOR);
    aml_begin(a);
    aml_namestring(a, name);
    cvm_put_u8(a->out, id);
    cvm_put_le(a->out, 0, 4); /* PblkAddr: none */
    cvm_put_u8(a->out, 0);    /* PblkLen */
}

void aml_package(struct aml *a, uint8_t num_elements)
{
    cvm_put_u8(a->out, OP_PACKAGE);
    aml_begin(a);
    cvm_put_u8(a->out, num_elements);
}

void aml_var_package(struct aml *a, uint64_t num_elements)
{
    cvm_put_u8(a->out, OP_VAR_PACKAGE);
    aml_begin(a);
    aml_int(a, num_elements);
}

void aml_method(struct aml *a, const char *name, uint8_t num_args, enum aml_sync sync)
{
    cvm_put_u8(a->out, OP_METHOD);
    aml_begin(a);
    aml_namestring(a, name);
    cvm_put_u8(a->out, (uint8_t)(num_args | sync));
}

void aml_region(struct aml *a, const char *name, enum aml_space space, uint64_t offset,
                uint64_t length)
{
    put_extended(a, EXT_REGION);
    aml_namestring(a, name);
    cvm_put_u8(a->out, (uint8_t)space);
    aml_int(a, offset);
    aml_int(a, length);
}

void aml_region_at_argument(struct aml *a, const char *name, uint64_t base, uint64_t length)
{
    put_extended(a, EXT_REGION);
    aml_namestring(a, name);
    cvm_put_u8(a->out, AML_SYSTEM_MEMORY);
    aml_asl(a, "Add (%llu, Arg0, Zero)", (unsigned long long)base);
    aml_int(a, length);
}

/* A field's length in bits, encoded like a PkgLength that does not count itself. */
static void put_field_bits(struct aml *a, uint32_t bits)
{
    if (bits < 1u << 6) {
        cvm_put_u8(a->out, (uint8_t)bits);
        return;
    }
    if (bits >= 1u << 12) {
        aml_break(a, "a field longer than 4095 bits");
        return;
    }
    cvm_put_u8(a->out, (uint8_t)(1 << 6 | (bits & 0x0f)));
    cvm_put_u8(a->out, (uint8_t)(bits >> 4));
}

void aml_field(struct aml *a, const char *region, unsigned flags,
               const struct aml_field_entry *entries)
{
    put_extended(a, EXT_FIELD);
    aml_begin(a);
    aml_namestring(a, region);
    cvm_put_u8(a->out, (uint8_t)flags);
    uint32_t at = 0;
    for (const struct aml_field_entry *e = entries; e->bits != 0; e++) {
        if (e->name == NULL) { /* a reserved field up to the offset */
            cvm_put_u8(a->out, 0);
            put_field_bits(a, e->bits - at);
            at = e->bits;
            continue;
        }
        aml_namestring(a, e->name);
        put_field_bits(a, e->bits);
        at += e->bits;
    }
    aml_end(a);
}

void aml_mutex(struct aml *a, const char *name)
{
    put_extended(a, EXT_MUTEX);
    aml_namestring(a, name);
    cvm_put_u8(a->out, 0); /* SyncLevel */
}

void aml_acquire(struct aml *a, const char *mutex)
{
    put_extended(a, EXT_ACQUIRE);
    aml_namestring(a, mutex);
    cvm_put_le(a->out, 0xffff, 2); /* no time limit */
}
