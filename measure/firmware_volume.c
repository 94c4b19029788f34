#include "measure/firmware_volume.h"

#include "measure/base/reader.h"
#include "measure/lzma_alone.h"

#define LZMA_SECTION "ee4e5898-3914-4259-9d6e-dc7bd79403cf"
#define FFS2 "8c8ce578-8a3d-4f1c-9935-896185c32dd3"
#define FFS3 "5473c07a-3dcb-4dca-bd6f-1e9689e7349a"

enum {
    VOLUME_ALIGNMENT = 4096, /* of flash blocks */
    VOLUME_SIGNATURE_AT = 40,
    VOLUME_GUID_AT = 16,
    VOLUME_HEADER_MIN = 56, /* without its block map */
    VOLUME_ERASE_ONE = 0x800,
    EXT_HEADER_MIN = 20,

    FILE_ALIGNMENT = 8,
    FILE_HEADER = 24,
    FILE_HEADER_LARGE = 32,
    FILE_ATTRIBUTE_LARGE = 0x01,
    FILE_TYPE_VOLUME_IMAGE = 0x0b,
    FILE_TYPE_PAD = 0xf0,
    FILE_STATE_DELETED = 0x10,
    FILE_STATE_INVALID = 0x20,

    SECTION_ALIGNMENT = 4,
    SECTION_HEADER = 4,
    SECTION_SIZE_IS_LARGE = 0xffffff,
    SECTION_GUIDED = 0x02,
    SECTION_VOLUME_IMAGE = 0x17,
    GUIDED_PROCESSING_REQUIRED = 0x01,
};

struct walk {
    struct fv_visitor *visitor;
    unsigned depth;
};

/* A volume's header, as far as it is used. */
struct volume {
    uint8_t erased; /* what an erased byte is */
    bool has_files; /* its file system is one of files */
    bool has_name;
    struct cvm_guid name;
    struct cvm_reader bytes; /* the whole volume, standing at its first file */
};

static struct cvm_guid read_guid(struct cvm_reader *r)
{
    struct cvm_guid guid = { { 0 } };
    const uint8_t *bytes = cvm_read_bytes(r, sizeof guid.bytes);
    if (bytes != NULL) {
        memcpy(guid.bytes, bytes, sizeof guid.bytes);
    }
    return guid;
}

/* Moves to the next multiple of alignment, or to the end where that comes first. */
static void align(struct cvm_reader *r, size_t alignment)
{
    size_t missing = (alignment - r->pos % alignment) % alignment;
    cvm_read_skip(r, missing < cvm_reader_left(r) ? missing : cvm_reader_left(r));
}

/* --- sections --- */

struct section {
    size_t at; /* in the whole file, for messages */
    uint8_t type;
    struct cvm_reader body; /* the whole section, standing behind its header */
};

/* The next section; *found is false at the end. */
static bool next_section(struct cvm_reader *file, struct section *out, bool *found,
                         struct cvm_error *err)
{
    align(file, SECTION_ALIGNMENT);
    *found = cvm_reader_left(file) >= SECTION_HEADER;
    if (!*found) {
        return true;
    }
    struct cvm_reader header = *file;
    uint64_t size = cvm_read_u16le(&header);
    size |= (uint64_t)cvm_read_u8(&header) << 16;
    out->type = cvm_read_u8(&header);
    out->at = file->base + file->pos;
    if (size == SECTION_SIZE_IS_LARGE) {
        size = cvm_read_u32le(&header);
    }
    size_t header_size = header.pos - file->pos;
    if (!cvm_reader_ok(&header, "section header", err)) {
        return false;
    }
    if (size < header_size || size > cvm_reader_left(file)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "section at offset 0x%zx: %llu bytes, with a header of %zu and %zu left",
                        out->at, (unsigned long long)size, header_size, cvm_reader_left(file));
    }
    out->body = cvm_read_sub(file, (size_t)size);
    cvm_read_skip(&out->body, header_size);
    return true;
}

static bool walk_volume(struct walk *w, struct cvm_reader *region, struct cvm_error *err);
static bool walk_sections(struct walk *w, struct cvm_reader *file, struct cvm_error *err);

static bool deeper(struct walk *w, size_t at, struct cvm_error *err)
{
    if (w->depth == FV_MAX_DEPTH) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "at offset 0x%zx: volumes and packed sections lie in each other more than "
                        "%d deep",
                        at, FV_MAX_DEPTH);
    }
    w->depth++;
    return true;
}

static bool walk_packed(struct walk *w, struct cvm_bytes stream, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf unpacked = { 0 };
    if (!lzma_alone_unpack(stream, FV_MAX_UNPACKED - w->visitor->unpacked, &unpacked, err)) {
        return false;
    }
    w->visitor->unpacked += unpacked.len;
    if (w->visitor->on_unpacked != NULL) {
        w->visitor->on_unpacked(w->visitor->data, cvm_buf_bytes(&unpacked));
    }
    struct cvm_reader r = cvm_reader_of(unpacked.data, unpacked.len);
    return walk_sections(w, &r, err) || cvm_context(err, "unpacked");
}

static bool walk_guided(struct walk *w, struct section *s, struct cvm_error *err)
{
    struct cvm_guid method = read_guid(&s->body);
    size_t data_offset = cvm_read_u16le(&s->body);
    uint16_t attributes = cvm_read_u16le(&s->body);
    if (!cvm_reader_ok(&s->body, "GUIDed section", err)) {
        return false;
    }
    if (data_offset < s->body.pos || data_offset > s->body.size) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "GUIDed section at offset 0x%zx: data at %zu, between %zu and %zu", s->at,
                        data_offset, s->body.pos, s->body.size);
    }
    cvm_read_seek(&s->body, data_offset);
    if (cvm_guid_is(method.bytes, LZMA_SECTION)) {
        struct cvm_bytes stream = { s->body.data + data_offset, cvm_reader_left(&s->body) };
        return walk_packed(w, stream, err) ||
               cvm_context(err, "packed section at offset 0x%zx", s->at);
    }
    if ((attributes & GUIDED_PROCESSING_REQUIRED) == 0) {
        struct cvm_reader inside = cvm_read_sub(&s->body, cvm_reader_left(&s->body));
        return walk_sections(w, &inside, err);
    }
    if (w->visitor->on_unknown_packing != NULL) {
        w->visitor->on_unknown_packing(w->visitor->data, &method);
    }
    return true;
}

static bool walk_section(struct walk *w, struct section *s, struct cvm_error *err)
{
    bool ok = true;
    if (s->type != SECTION_GUIDED && s->type != SECTION_VOLUME_IMAGE) {
        return true;
    }
    if (!deeper(w, s->at, err)) {
        return false;
    }
    if (s->type == SECTION_GUIDED) {
        ok = walk_guided(w, s, err);
    } else {
        struct cvm_reader inside = cvm_read_sub(&s->body, cvm_reader_left(&s->body));
        ok = walk_volume(w, &inside, err);
    }
    w->depth--;
    return ok;
}

static bool walk_sections(struct walk *w, struct cvm_reader *file, struct cvm_error *err)
{
    struct section s = { 0 };
    bool found = true;
    while (found) {
        if (!next_section(file, &s, &found, err) || (found && !walk_section(w, &s, err))) {
            return false;
        }
    }
    return true;
}

/* --- files --- */

static bool is_erased(const struct cvm_reader *r, uint8_t erased)
{
    for (size_t i = 0; i < FILE_HEADER; i++) {
        if (r->data[r->pos + i] != erased) {
            return false;
        }
    }
    return true;
}

/* The next file's header; out->contents is what follows it, *state its state bits. */
static bool read_file(struct cvm_reader *volume, struct fv_file *out, uint8_t *state,
                      struct cvm_error *err)
{
    struct cvm_reader header = *volume;
    size_t at = volume->base + volume->pos;
    out->name = read_guid(&header);
    cvm_read_skip(&header, 2); /* checksums */
    out->type = cvm_read_u8(&header);
    uint8_t attributes = cvm_read_u8(&header);
    uint64_t size = cvm_read_u16le(&header);
    size |= (uint64_t)cvm_read_u8(&header) << 16;
    *state = cvm_read_u8(&header);
    if ((attributes & FILE_ATTRIBUTE_LARGE) != 0) {
        size = cvm_read_u64le(&header);
    }
    if (!cvm_reader_ok(&header, "FFS file header", err)) {
        return false;
    }
    size_t header_size = header.pos - volume->pos;
    if (size < header_size) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "FFS file at offset 0x%zx: size %llu, less than its header of %zu", at,
                        (unsigned long long)size, header_size);
    }
    if (size > cvm_reader_left(volume)) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "FFS file at offset 0x%zx: %llu bytes run past its volume, which has %zu "
                        "left",
                        at, (unsigned long long)size, cvm_reader_left(volume));
    }
    const uint8_t *bytes = cvm_read_bytes(volume, (size_t)size);
    out->contents = (struct cvm_bytes){ bytes + header_size, (size_t)size - header_size };
    return true;
}

static bool walk_file(struct walk *w, const struct volume *v, struct fv_file *file, uint8_t state,
                      struct cvm_error *err)
{
    uint8_t bits = v->erased == 0xff ? (uint8_t)~state : state;
    if ((bits & (FILE_STATE_DELETED | FILE_STATE_INVALID)) != 0 || file->type == FILE_TYPE_PAD) {
        return true;
    }
    file->volume = v->has_name ? &v->name : NULL;
    if (w->visitor->on_file != NULL) {
        w->visitor->on_file(w->visitor->data, file);
    }
    if (file->type != FILE_TYPE_VOLUME_IMAGE) {
        return true;
    }
    struct cvm_reader sections = cvm_reader_of(file->contents.data, file->contents.size);
    sections.base = v->bytes.base + (size_t)(file->contents.data - v->bytes.data);
    return walk_sections(w, &sections, err);
}

static bool walk_files(struct walk *w, struct volume *v, struct cvm_error *err)
{
    struct fv_file file = { 0 };
    uint8_t state = 0;
    for (;;) {
        align(&v->bytes, FILE_ALIGNMENT);
        if (cvm_reader_left(&v->bytes) < FILE_HEADER || is_erased(&v->bytes, v->erased)) {
            return true;
        }
        if (w->visitor->num_files++ == FV_MAX_FILES) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d files in firmware volumes",
                            FV_MAX_FILES);
        }
        if (!read_file(&v->bytes, &file, &state, err) || !walk_file(w, v, &file, state, err)) {
            return false;
        }
    }
}

/* --- volumes --- */

const uint8_t *fv_file_system(struct cvm_bytes region)
{
    return region.size >= VOLUME_HEADER_MIN &&
                   memcmp(region.data + VOLUME_SIGNATURE_AT, "_FVH", 4) == 0
               ? region.data + VOLUME_GUID_AT
               : NULL;
}

/* The extended header, whose end is where files begin. */
static bool read_ext_header(struct volume *v, size_t at, struct cvm_error *err)
{
    cvm_read_seek(&v->bytes, at);
    v->name = read_guid(&v->bytes);
    uint32_t size = cvm_read_u32le(&v->bytes);
    if (!cvm_reader_ok(&v->bytes, "extended volume header", err)) {
        return false;
    }
    if (size < EXT_HEADER_MIN || size > v->bytes.size - at) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "extended header at 0x%zx of its volume: %u bytes run past the volume, "
                        "which has %zu left (and %d is the least)",
                        at, size, v->bytes.size - at, EXT_HEADER_MIN);
    }
    cvm_read_skip(&v->bytes, size - EXT_HEADER_MIN);
    v->has_name = true;
    return true;
}

static bool check_lengths(uint64_t length, size_t header_length, size_t available,
                          struct cvm_error *err)
{
    if (length > available) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "length 0x%llx runs past the end, 0x%zx are left",
                        (unsigned long long)length, available);
    }
    return header_length >= VOLUME_HEADER_MIN && header_length <= length
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "header of %zu bytes in a volume of 0x%llx",
                          header_length, (unsigned long long)length);
}

/* Takes a volume off the region, which stands at its header. */
static bool read_volume(struct cvm_reader *region, struct volume *out, struct cvm_error *err)
{
    struct cvm_reader header = *region;
    struct volume v = { 0 };
    cvm_read_skip(&header, VOLUME_GUID_AT);
    struct cvm_guid file_system = read_guid(&header);
    uint64_t length = cvm_read_u64le(&header);
    const uint8_t *signature = cvm_read_bytes(&header, 4);
    uint32_t attributes = cvm_read_u32le(&header);
    size_t header_length = cvm_read_u16le(&header);
    cvm_read_skip(&header, 2); /* checksum */
    size_t ext_header = cvm_read_u16le(&header);
    if (!cvm_reader_ok(&header, "firmware volume header", err)) {
        return false;
    }
    if (memcmp(signature, "_FVH", 4) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "no signature");
    }
    if (!check_lengths(length, header_length, cvm_reader_left(region), err)) {
        return false;
    }
    v.bytes = cvm_read_sub(region, (size_t)length);
    v.erased = (attributes & VOLUME_ERASE_ONE) != 0 ? 0xff : 0;
    v.has_files = cvm_guid_is(file_system.bytes, FFS2) || cvm_guid_is(file_system.bytes, FFS3);
    cvm_read_skip(&v.bytes, header_length);
    if (ext_header != 0 && !read_ext_header(&v, ext_header, err)) {
        return false;
    }
    *out = v;
    return true;
}

static bool walk_volume(struct walk *w, struct cvm_reader *region, struct cvm_error *err)
{
    struct volume v = { 0 };
    size_t at = region->base + region->pos;
    if (!read_volume(region, &v, err)) {
        return cvm_context(err, "firmware volume at offset 0x%zx", at);
    }
    return !v.has_files || walk_files(w, &v, err);
}

bool fv_contents(struct cvm_bytes region, size_t base, struct cvm_bytes *out, size_t *out_base,
                 struct cvm_error *err)
{
    struct volume v = { 0 };
    struct cvm_reader r = cvm_reader_of(region.data, region.size);
    r.base = base;
    if (!read_volume(&r, &v, err)) {
        return cvm_context(err, "firmware volume at offset 0x%zx", base);
    }
    *out = (struct cvm_bytes){ v.bytes.data + v.bytes.pos, cvm_reader_left(&v.bytes) };
    *out_base = v.bytes.base + v.bytes.pos;
    return true;
}

bool fv_walk(struct cvm_bytes region, size_t base, struct fv_visitor *visitor,
             struct cvm_error *err)
{
    struct walk w = { .visitor = visitor };
    struct cvm_reader r = cvm_reader_of(region.data, region.size);
    r.base = base;
    while (cvm_reader_left(&r) >= VOLUME_HEADER_MIN) {
        const struct cvm_bytes rest = { r.data + r.pos, cvm_reader_left(&r) };
        if (fv_file_system(rest) == NULL) {
            cvm_read_skip(&r, 1);
        } else if (walk_volume(&w, &r, err)) {
            visitor->num_volumes++;
        } else {
            return false;
        }
        align(&r, VOLUME_ALIGNMENT);
    }
    return true;
}
