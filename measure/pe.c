#include "measure/pe.h"

#include "measure/base/hash.h"
#include "measure/base/reader.h"

enum {
    DOS_E_LFANEW_AT = 0x3c,
    COFF_HEADER_SIZE = 20,
    SECTION_HEADER_SIZE = 40,
    MAGIC_PE32 = 0x10b,
    MAGIC_PE32_PLUS = 0x20b,
    /* Offsets in the optional header; those behind the split differ between its two forms. */
    SIZE_OF_HEADERS_AT = 60,
    CHECKSUM_AT = 64,
    NUM_DIRECTORIES_AT_PE32 = 92,
    NUM_DIRECTORIES_AT_PE32_PLUS = 108,
    DIRECTORY_SIZE = 8,
    CERTIFICATE_DIRECTORY = 4,
    PE_MAX_SECTIONS = 96, /* what Windows loaders accept */
};

struct pe_section {
    uint32_t raw_offset; /* PointerToRawData */
    uint32_t raw_size;   /* SizeOfRawData */
};

struct pe {
    size_t checksum_at;        /* file offset of the 4-byte CheckSum */
    size_t certificate_dir_at; /* file offset of the 8-byte directory entry; 0 where none */
    uint32_t certificate_size; /* bytes of the certificate table at the end of the file */
    uint32_t size_of_headers;
    struct pe_section sections[PE_MAX_SECTIONS]; /* with raw data, by raw_offset */
    unsigned num_sections;
};

static bool parse_optional_header(struct cvm_reader *r, struct pe *pe, struct cvm_error *err)
{
    size_t start = r->base;
    uint16_t magic = cvm_read_u16le(r);
    cvm_read_seek(r, SIZE_OF_HEADERS_AT);
    pe->size_of_headers = cvm_read_u32le(r);
    pe->checksum_at = start + CHECKSUM_AT;
    if (!cvm_reader_ok(r, "PE optional header", err)) {
        return false;
    }
    if (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "PE optional header: magic 0x%x", magic);
    }
    size_t count_at = magic == MAGIC_PE32 ? NUM_DIRECTORIES_AT_PE32 : NUM_DIRECTORIES_AT_PE32_PLUS;
    cvm_read_seek(r, count_at);
    uint32_t directories = cvm_read_u32le(r);
    if (directories > CERTIFICATE_DIRECTORY) {
        size_t entry_at = count_at + 4 + (size_t)CERTIFICATE_DIRECTORY * DIRECTORY_SIZE;
        pe->certificate_dir_at = start + entry_at;
        cvm_read_seek(r, entry_at + 4);
        pe->certificate_size = cvm_read_u32le(r);
    }
    return cvm_reader_ok(r, "PE data directories", err);
}

/* Keeps sections in the order of their raw data. */
static void insert_section(struct pe *pe, struct pe_section section)
{
    unsigned at = pe->num_sections++;
    for (; at > 0 && pe->sections[at - 1].raw_offset > section.raw_offset; at--) {
        pe->sections[at] = pe->sections[at - 1];
    }
    pe->sections[at] = section;
}

static bool parse_section(struct cvm_reader *r, unsigned index, size_t file_size, struct pe *pe,
                          struct cvm_error *err)
{
    cvm_read_skip(r, 16); /* Name, VirtualSize, VirtualAddress */
    uint32_t raw_size = cvm_read_u32le(r);
    uint32_t raw_offset = cvm_read_u32le(r);
    cvm_read_skip(r, 16); /* relocations, line numbers, characteristics */
    if (!cvm_reader_ok(r, "PE section table", err)) {
        return false;
    }
    if (raw_offset > file_size || raw_size > file_size - raw_offset) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "PE section %u: data at offset 0x%x of 0x%x bytes lies past the end of the "
                        "file, which has 0x%zx",
                        index, raw_offset, raw_size, file_size);
    }
    if (raw_size != 0) {
        insert_section(pe, (struct pe_section){ raw_offset, raw_size });
    }
    return true;
}

static bool parse_sections(struct cvm_reader *r, unsigned count, size_t file_size, struct pe *pe,
                           struct cvm_error *err)
{
    if (count > PE_MAX_SECTIONS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "PE header: %u sections, at most %d", count,
                        PE_MAX_SECTIONS);
    }
    for (unsigned i = 0; i < count; i++) {
        if (!parse_section(r, i, file_size, pe, err)) {
            return false;
        }
    }
    return true;
}

/* The headers are hashed around CheckSum and the directory entry: they must contain both. */
static bool check_headers(const struct pe *pe, size_t headers_end, size_t file_size,
                          struct cvm_error *err)
{
    if (pe->size_of_headers < headers_end || pe->size_of_headers > file_size) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "PE SizeOfHeaders 0x%x is not between the end of the headers, 0x%zx, and "
                        "that of the file, 0x%zx",
                        pe->size_of_headers, headers_end, file_size);
    }
    return true;
}

static bool parse(struct cvm_bytes image, struct pe *pe, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(image.data, image.size);
    const uint8_t *mz = cvm_read_bytes(&r, 2);
    cvm_read_seek(&r, DOS_E_LFANEW_AT);
    uint32_t e_lfanew = cvm_read_u32le(&r);
    if (!cvm_reader_ok(&r, "DOS header", err)) {
        return false;
    }
    if (memcmp(mz, "MZ", 2) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "not a PE image: no MZ signature");
    }
    cvm_read_seek(&r, e_lfanew);
    const uint8_t *signature = cvm_read_bytes(&r, 4);
    if (!cvm_reader_ok(&r, "PE header at e_lfanew", err)) {
        return false;
    }
    if (memcmp(signature, "PE\0\0", 4) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "no PE signature at e_lfanew, offset 0x%x",
                        e_lfanew);
    }
    struct cvm_reader coff = cvm_read_sub(&r, COFF_HEADER_SIZE);
    cvm_read_skip(&coff, 2); /* Machine */
    uint16_t num_sections = cvm_read_u16le(&coff);
    cvm_read_skip(&coff, 12); /* time stamp, symbol table */
    uint16_t optional_size = cvm_read_u16le(&coff);
    struct cvm_reader optional = cvm_read_sub(&r, optional_size);
    return cvm_reader_ok(&coff, "COFF header", err) && parse_optional_header(&optional, pe, err) &&
           parse_sections(&r, num_sections, image.size, pe, err) &&
           check_headers(pe, r.pos, image.size, err);
}

static bool hash_range(struct cvm_hash *hash, struct cvm_bytes image, size_t from, size_t to,
                       struct cvm_error *err)
{
    return cvm_hash_update(hash, image.data + from, to - from, err);
}

static bool hash_headers(struct cvm_hash *hash, struct cvm_bytes image, const struct pe *pe,
                         struct cvm_error *err)
{
    size_t after_checksum = pe->checksum_at + 4;
    if (!hash_range(hash, image, 0, pe->checksum_at, err)) {
        return false;
    }
    if (pe->certificate_dir_at == 0) {
        return hash_range(hash, image, after_checksum, pe->size_of_headers, err);
    }
    return hash_range(hash, image, after_checksum, pe->certificate_dir_at, err) &&
           hash_range(hash, image, pe->certificate_dir_at + DIRECTORY_SIZE, pe->size_of_headers,
                      err);
}

/* What lies behind as many bytes as were hashed, up to the certificate table. */
static bool hash_rest(struct cvm_hash *hash, struct cvm_bytes image, const struct pe *pe,
                      uint64_t hashed, struct cvm_error *err)
{
    if (hashed >= image.size) {
        return true;
    }
    uint64_t rest = image.size - hashed;
    if (pe->certificate_size > rest) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "PE certificate table of 0x%x bytes, but only 0x%llx follow the sections",
                        pe->certificate_size, (unsigned long long)rest);
    }
    return hash_range(hash, image, (size_t)hashed, image.size - pe->certificate_size, err);
}

bool pe_authenticode(struct cvm_bytes image, struct cvm_sha384 *out, struct cvm_error *err)
{
    struct pe pe = { 0 };
    cvm_autohash struct cvm_hash hash = { 0 };
    if (!parse(image, &pe, err) || !cvm_hash_init(&hash, CVM_HASH_SHA384, err) ||
        !hash_headers(&hash, image, &pe, err)) {
        return false;
    }
    uint64_t hashed = pe.size_of_headers;
    for (unsigned i = 0; i < pe.num_sections; i++) {
        const struct pe_section *s = &pe.sections[i];
        if (!hash_range(&hash, image, s->raw_offset, s->raw_offset + (size_t)s->raw_size, err)) {
            return false;
        }
        hashed += s->raw_size;
    }
    return hash_rest(&hash, image, &pe, hashed, err) && cvm_hash_final(&hash, out->bytes, err);
}

bool pe_is_signed(struct cvm_bytes image, bool *out, struct cvm_error *err)
{
    struct pe pe = { 0 };
    if (!parse(image, &pe, err)) {
        return false;
    }
    *out = pe.certificate_size != 0;
    return true;
}
