#include "measure/smbios.h"

#include "measure/base/buf.h"
#include "measure/base/hash.h"
#include "measure/base/reader.h"

enum {
    TYPE_END = 127,
    TYPE_OEM = 128, /* from here on */
    HEADER_SIZE = 4,
    MAX_TABLES = 1 << 20, /* bytes */
};

/* --- the filter --- */

struct field {
    uint8_t type, offset, size;
    bool is_string; /* the field is a string's number; its characters are blanked as well */
};

/* What the firmware blanks, because it differs from one machine of a kind, or boot, to another. */
static const struct field blanked[] = {
    { 1, 0x07, 1, true },   /* serial number */
    { 1, 0x08, 16, false }, /* UUID */
    { 1, 0x18, 1, false },  /* wake-up type */
    { 2, 0x07, 1, true },   /* serial number */
    { 2, 0x0a, 1, true },   /* location in the chassis */
    { 3, 0x07, 1, true },   /* serial number */
    { 3, 0x08, 1, true },   /* asset tag */
    { 4, 0x11, 1, false },  /* voltage */
    { 4, 0x16, 2, false },  /* current speed */
    { 4, 0x20, 1, true },   /* serial number */
    { 4, 0x21, 1, true },   /* asset tag */
    { 4, 0x22, 1, true },   /* part number */
    { 4, 0x23, 1, false },  /* cores, enabled cores, threads */
    { 4, 0x24, 1, false },  { 4, 0x25, 1, false },  { 4, 0x2a, 2, false }, /* the same, wider */
    { 4, 0x2c, 2, false },  { 4, 0x2e, 2, false },  { 17, 0x18, 1, true }, /* serial number */
    { 17, 0x19, 1, true },                                                 /* asset tag */
    { 17, 0x1a, 1, true },                                                 /* part number */
    { 22, 0x07, 1, true },                                                 /* serial number */
    { 22, 0x10, 2, false },                         /* the same, and the date, of smart batteries */
    { 22, 0x12, 2, false }, { 23, 0x05, 2, false }, /* reset count */
    { 27, 0x0c, 2, false },                         /* nominal speed */
    { 39, 0x08, 1, true },                          /* serial number */
    { 39, 0x09, 1, true },                          /* asset tag */
    { 39, 0x0a, 1, true },                          /* part number */
};

/* Of these nothing but the header is left. */
static bool is_emptied(uint8_t type)
{
    return type == 11 || type == 15 || type == 18 || type == 31 || type == 33 || type >= TYPE_OEM;
}

/* A structure: its formatted area, then its strings with the NUL that ends them. */
struct structure {
    uint8_t type;
    size_t length; /* of the formatted area */
    size_t size;   /* of the whole */
};

/* Blanks the characters of a string; a number that no string has is left alone. */
static void blank_string(uint8_t *bytes, const struct structure *s, unsigned number)
{
    size_t at = s->length;
    while (number > 1 && at < s->size) {
        number -= bytes[at++] == '\0';
    }
    while (at < s->size && bytes[at] != '\0') {
        bytes[at++] = ' ';
    }
}

static void filter(uint8_t *bytes, const struct structure *s)
{
    if (is_emptied(s->type)) {
        memset(bytes + HEADER_SIZE, 0, s->size - HEADER_SIZE);
        return;
    }
    for (size_t i = 0; i < sizeof blanked / sizeof blanked[0]; i++) {
        const struct field *f = &blanked[i];
        if (f->type != s->type || (size_t)f->offset + f->size > s->length) {
            continue; /* an older structure may end before the field */
        }
        if (f->is_string && bytes[f->offset] != 0) {
            blank_string(bytes, s, bytes[f->offset]);
        }
        memset(bytes + f->offset, 0, f->size);
    }
}

/* --- the table that the firmware installs --- */

/* Reads over one structure, which ends at the first two NULs behind its formatted area. */
static bool read_structure(struct cvm_reader *r, struct structure *out, struct cvm_error *err)
{
    size_t start = r->pos;
    *out = (struct structure){ .type = cvm_read_u8(r), .length = cvm_read_u8(r) };
    cvm_read_seek(r, start);
    cvm_read_skip(r, out->length);
    if (!cvm_reader_ok(r, "SMBIOS structure", err)) {
        return false;
    }
    if (out->length < HEADER_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "SMBIOS structure of type %u at offset 0x%zx: length %zu, at least %d",
                        out->type, start, out->length, HEADER_SIZE);
    }
    uint8_t last;
    uint8_t byte = cvm_read_u8(r);
    do {
        last = byte;
        byte = cvm_read_u8(r);
        if (!cvm_reader_ok(r, "strings of an SMBIOS structure", err)) {
            return false;
        }
    } while (last != '\0' || byte != '\0');
    out->size = r->pos - start;
    return true;
}

bool smbios_locate(struct cvm_bytes tables, size_t offset, struct smbios_place *out)
{
    struct cvm_reader r = cvm_reader_of(tables.data, tables.size);
    struct cvm_error ignored = { 0 };
    struct structure s;
    do {
        if (!read_structure(&r, &s, &ignored)) {
            return false;
        }
    } while (r.pos <= offset);
    size_t start = r.pos - s.size;
    cvm_read_seek(&r, start + 2);
    *out = (struct smbios_place){
        .type = s.type,
        .handle = cvm_read_u16le(&r),
        .offset = offset - start,
    };
    return true;
}

static bool put_filtered(struct cvm_buf *out, struct cvm_bytes tables, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(tables.data, tables.size);
    for (;;) {
        size_t start = r.pos;
        struct structure s;
        if (!read_structure(&r, &s, err)) {
            return false;
        }
        if (s.type == TYPE_END) {
            return cvm_reader_end(&r, "SMBIOS tables after type 127", err);
        }
        size_t at = out->len;
        cvm_put_bytes(out, tables.data + start, s.size);
        if (!cvm_buf_finish(out, "SMBIOS tables", err)) {
            return false;
        }
        filter(out->data + at, &s);
    }
}

static void put_string(struct cvm_buf *out, const char *text)
{
    cvm_put_bytes(out, text, strnlen(text, sizeof((struct cvm_smbios_firmware *)NULL)->vendor - 1));
    cvm_put_u8(out, 0);
}

/* Type 0, BIOS information, which OVMF adds behind everything else. */
static void put_firmware(struct cvm_buf *out, const struct cvm_smbios_firmware *firmware)
{
    enum { LENGTH = 26 };
    cvm_put_u8(out, 0);
    cvm_put_u8(out, LENGTH);
    cvm_put_le(out, 0, 2); /* handle: the first that is free */
    cvm_put_u8(out, 1);    /* vendor and version: strings 1 and 2 */
    cvm_put_u8(out, 2);
    cvm_put_le(out, 0xe800, 2); /* segment */
    cvm_put_u8(out, 3);         /* date: string 3 */
    cvm_put_u8(out, 0);         /* size of the ROM */
    cvm_put_le(out, 8, 8);      /* characteristics: not said */
    cvm_put_u8(out, 0);
    cvm_put_u8(out, 0x1c);      /* UEFI, virtual machine, targeted content distribution */
    cvm_put_le(out, 0, 2);      /* release */
    cvm_put_le(out, 0xffff, 2); /* release of an embedded controller: there is none */
    cvm_put_le(out, 0, 2);      /* extended size of the ROM */
    put_string(out, firmware->vendor);
    put_string(out, firmware->version);
    put_string(out, firmware->date);
    cvm_put_u8(out, 0);
}

static void put_end(struct cvm_buf *out)
{
    cvm_put_u8(out, TYPE_END);
    cvm_put_u8(out, HEADER_SIZE);
    cvm_put_le(out, 0xfeff, 2); /* the last handle there is */
    cvm_put_zeros(out, 2);
}

bool cvm_smbios_digest(struct cvm_bytes tables, const struct cvm_smbios_firmware *firmware,
                       struct cvm_sha384 *out, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf table = { 0 };
    if (tables.size > MAX_TABLES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "SMBIOS tables of %zu bytes, at most %d",
                        tables.size, MAX_TABLES);
    }
    if (!put_filtered(&table, tables, err)) {
        return false;
    }
    put_firmware(&table, firmware);
    put_end(&table);
    return cvm_buf_finish(&table, "SMBIOS tables", err) &&
           cvm_sha384(table.data, table.len, out, err);
}
