#include "measure/include/cvm/compact.h"

#include "measure/base/buf.h"
#include "measure/base/reader.h"
#include "measure/td_hob.h"

#include <cbor.h>

enum { COMPACT_VERSION = 3, PAGE_SHIFT = 12, MAX_LEB128 = 10 };

static void free_item(cbor_item_t **slot)
{
    if (*slot != NULL) {
        cbor_decref(slot);
    }
}

/* --- ranges: unsigned LEB128 numbers, in pages --- */

static uint64_t read_leb128(struct cvm_reader *r, bool *wraps)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < MAX_LEB128; i++) {
        uint8_t byte = cvm_read_u8(r);
        uint64_t bits = byte & 0x7f;
        if (i == MAX_LEB128 - 1 && bits > 1) {
            break;
        }
        value |= bits << (7 * i);
        if ((byte & 0x80) == 0) {
            if (i > 0 && byte == 0) {
                break; /* not the shortest form */
            }
            return value;
        }
    }
    *wraps = true;
    return 0;
}

/* A number of pages as bytes. */
static uint64_t read_pages(struct cvm_reader *r, bool *wraps)
{
    uint64_t pages = read_leb128(r, wraps);
    if (pages > UINT64_MAX >> PAGE_SHIFT) {
        *wraps = true;
    }
    return pages << PAGE_SHIFT;
}

static uint64_t add(uint64_t a, uint64_t b, bool *wraps)
{
    uint64_t sum = 0;
    *wraps |= __builtin_add_overflow(a, b, &sum);
    return sum;
}

static bool parse_ranges(struct cvm_bytes bytes, struct cvm_td_ranges *out, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(bytes.data, bytes.size);
    struct cvm_td_ranges ranges = { 0 };
    bool wraps = false;
    uint64_t base = read_pages(&r, &wraps);
    ranges.td_hob = add(base, read_pages(&r, &wraps), &wraps);
    uint64_t count = read_leb128(&r, &wraps);
    if (!cvm_reader_ok(&r, "td_hob", err)) {
        return false;
    }
    if (count == 0 || count > CVM_TD_MAX_RANGES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "td_hob: %llu ranges, 1 to %d are possible",
                        (unsigned long long)count, CVM_TD_MAX_RANGES);
    }
    for (; ranges.num_ranges < count; ranges.num_ranges++) {
        struct cvm_td_range *range = &ranges.ranges[ranges.num_ranges];
        range->start = add(base, read_pages(&r, &wraps), &wraps);
        range->size = read_pages(&r, &wraps);
    }
    if (!cvm_reader_end(&r, "td_hob", err)) {
        return false;
    }
    if (wraps || ranges.ranges[0].start != base) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "td_hob: a number too large or not in its shortest form, or a first range "
                        "that does not start at the base");
    }
    if (!cvm_td_ranges_check(&ranges, err)) {
        return cvm_context(err, "td_hob");
    }
    *out = ranges;
    return true;
}

static void put_leb128(struct cvm_buf *b, uint64_t value)
{
    while (value >= 0x80) {
        cvm_put_u8(b, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    cvm_put_u8(b, (uint8_t)value);
}

static void put_ranges(struct cvm_buf *b, const struct cvm_td_ranges *ranges)
{
    uint64_t base = ranges->ranges[0].start;
    put_leb128(b, base >> PAGE_SHIFT);
    put_leb128(b, (ranges->td_hob - base) >> PAGE_SHIFT);
    put_leb128(b, ranges->num_ranges);
    for (uint32_t i = 0; i < ranges->num_ranges; i++) {
        put_leb128(b, (ranges->ranges[i].start - base) >> PAGE_SHIFT);
        put_leb128(b, ranges->ranges[i].size >> PAGE_SHIFT);
    }
}

/* --- parsing --- */

/* A definite map with exactly these keys, in this order. */
static bool open_map(const cbor_item_t *item, const char *what, const char *const *keys,
                     size_t count, struct cvm_error *err)
{
    if (!cbor_isa_map(item) || !cbor_map_is_definite(item)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s is not a map of definite length", what);
    }
    if (cbor_map_size(item) != count) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s has %zu keys instead of %zu", what,
                        cbor_map_size(item), count);
    }
    for (size_t i = 0; i < count; i++) {
        const cbor_item_t *key = cbor_map_handle(item)[i].key;
        if (!cbor_isa_string(key) || !cbor_string_is_definite(key) ||
            cbor_string_length(key) != strlen(keys[i]) ||
            memcmp(cbor_string_handle(key), keys[i], strlen(keys[i])) != 0) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "%s: key %zu is not '%s'", what, i, keys[i]);
        }
    }
    return true;
}

static const cbor_item_t *value_at(const cbor_item_t *map, size_t index)
{
    return cbor_map_handle(map)[index].value;
}

static bool get_bytes(const cbor_item_t *item, const char *what, struct cvm_bytes *out,
                      struct cvm_error *err)
{
    if (!cbor_isa_bytestring(item) || !cbor_bytestring_is_definite(item)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s is not a byte string of definite length", what);
    }
    *out = (struct cvm_bytes){ cbor_bytestring_handle(item), cbor_bytestring_length(item) };
    return true;
}

static bool get_sha384(const cbor_item_t *item, const char *what, struct cvm_sha384 *out,
                       struct cvm_error *err)
{
    struct cvm_bytes bytes = { 0 };
    if (!get_bytes(item, what, &bytes, err)) {
        return false;
    }
    if (bytes.size != sizeof out->bytes) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%s has %zu bytes instead of %zu", what, bytes.size,
                        sizeof out->bytes);
    }
    memcpy(out->bytes, bytes.data, sizeof out->bytes);
    return true;
}

static bool get_layout_name(const cbor_item_t *item, struct cvm_compact *out, struct cvm_error *err)
{
    if (!cbor_isa_string(item) || !cbor_string_is_definite(item)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "tdvf.ovmf is not a text of definite length");
    }
    size_t length = cbor_string_length(item);
    const unsigned char *text = cbor_string_handle(item);
    if (length == 0 || length >= sizeof out->ovmf || memchr(text, '\0', length) != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "tdvf.ovmf has %zu characters, or a NUL; 1 to %zu",
                        length, sizeof out->ovmf - 1);
    }
    memcpy(out->ovmf, text, length);
    return true;
}

static bool parse_image(const cbor_item_t *map, struct cvm_compact *out, struct cvm_error *err)
{
    static const char *const keys[] = { "cmdline_sha384", "kernel_authenticode", "initrd_sha384" };
    return open_map(map, "image", keys, 3, err) &&
           get_sha384(value_at(map, 0), "image.cmdline_sha384", &out->cmdline, err) &&
           get_sha384(value_at(map, 1), "image.kernel_authenticode", &out->kernel_authenticode,
                      err) &&
           get_sha384(value_at(map, 2), "image.initrd_sha384", &out->initrd, err);
}

static bool parse_tdvf(const cbor_item_t *map, struct cvm_compact *out, struct cvm_error *err)
{
    static const char *const keys[] = { "ovmf", "mrtd", "td_hob" };
    static const char *const mrtd_keys[] = { "single_pass", "two_pass" };
    struct cvm_bytes td_hob = { 0 };
    if (!open_map(map, "tdvf", keys, 3, err) || !get_layout_name(value_at(map, 0), out, err)) {
        return false;
    }
    const cbor_item_t *mrtd = value_at(map, 1);
    return open_map(mrtd, "tdvf.mrtd", mrtd_keys, 2, err) &&
           get_sha384(value_at(mrtd, 0), "tdvf.mrtd.single_pass", &out->mrtd_single_pass, err) &&
           get_sha384(value_at(mrtd, 1), "tdvf.mrtd.two_pass", &out->mrtd_two_pass, err) &&
           get_bytes(value_at(map, 2), "tdvf.td_hob", &td_hob, err) &&
           parse_ranges(td_hob, &out->ranges, err);
}

static bool parse_document(const cbor_item_t *root, struct cvm_compact *out, struct cvm_error *err)
{
    static const char *const keys[] = { "version", "image", "tdvf" };
    if (!open_map(root, "the document", keys, 3, err)) {
        return false;
    }
    const cbor_item_t *version = value_at(root, 0);
    if (!cbor_isa_uint(version)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "version is not an unsigned integer");
    }
    if (cbor_get_int(version) != COMPACT_VERSION) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "version %llu; only %d is known",
                        (unsigned long long)cbor_get_int(version), COMPACT_VERSION);
    }
    return parse_image(value_at(root, 1), out, err) && parse_tdvf(value_at(root, 2), out, err);
}

/*
 * The decoder reserves room for what a head announces: bound every announcement before it is
 * believed. A document of this form nests three deep and has no head larger than the rest.
 */
static bool check_heads(struct cvm_bytes cbor, struct cvm_error *err)
{
    enum { MAX_PAIRS = 16, MAX_MAPS = 4 };
    unsigned maps = 0;
    struct cvm_reader r = cvm_reader_of(cbor.data, cbor.size);
    while (cvm_reader_left(&r) != 0) {
        size_t at = r.pos;
        uint8_t head = cvm_read_u8(&r);
        unsigned major = head >> 5;
        uint64_t value = head & 31;
        if (value >= 24 && value <= 27) {
            uint64_t wide = 0;
            for (unsigned i = 0; i < 1u << (value - 24); i++) {
                wide = wide << 8 | cvm_read_u8(&r);
            }
            value = wide;
        } else if (value > 27) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "indefinite length or bad head at offset %zu",
                            at);
        }
        bool text = major == 2 || major == 3;
        if (major == 1 || major == 4 || major > 5 || (major == 5 && value > MAX_PAIRS) ||
            (text && value > cvm_reader_left(&r))) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "unexpected item of type %u at offset %zu",
                            major, at);
        }
        maps += major == 5;
        if (maps > MAX_MAPS) { /* the decoder calls its depth limit out of memory */
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d maps at offset %zu", MAX_MAPS,
                            at);
        }
        cvm_read_skip(&r, text ? (size_t)value : 0);
    }
    return cvm_reader_ok(&r, "CBOR", err);
}

bool cvm_compact_parse(struct cvm_bytes cbor, struct cvm_compact *out, struct cvm_error *err)
{
    if (cbor.size > CVM_COMPACT_MAX_SIZE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "compact measurement: %zu bytes, at most %d",
                        cbor.size, CVM_COMPACT_MAX_SIZE);
    }
    if (!check_heads(cbor, err)) {
        return cvm_context(err, "compact measurement");
    }
    struct cbor_load_result result = { 0 }; /* no position is set for an empty input */
    CVM_CLEANUP(free_item)
    cbor_item_t *root = cbor_load(cbor.data, cbor.size, &result);
    if (root == NULL && result.error.code == CBOR_ERR_MEMERROR) {
        return cvm_fail_nomem(err, "compact measurement", cbor.size);
    }
    if (root == NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "compact measurement: not CBOR from offset %zu on",
                        result.error.position);
    }
    if (result.read != cbor.size) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "compact measurement: %zu bytes left over at offset %zu",
                        cbor.size - result.read, result.read);
    }
    struct cvm_compact compact = { 0 };
    if (!parse_document(root, &compact, err)) {
        return cvm_context(err, "compact measurement");
    }
    *out = compact;
    return true;
}

/* --- building --- */

/* Adds key and value to a map; takes the value over in any case. */
static bool put_item(cbor_item_t *map, const char *key, cbor_item_t *value)
{
    CVM_CLEANUP(free_item)
    cbor_item_t *owned = value;
    CVM_CLEANUP(free_item)
    cbor_item_t *name = cbor_build_string(key);
    return map != NULL && owned != NULL && name != NULL &&
           cbor_map_add(map, (struct cbor_pair){ name, owned });
}

static bool put_sha384(cbor_item_t *map, const char *key, const struct cvm_sha384 *digest)
{
    return put_item(map, key, cbor_build_bytestring(digest->bytes, sizeof digest->bytes));
}

static bool put_image(cbor_item_t *root, const struct cvm_compact *c)
{
    CVM_CLEANUP(free_item)
    cbor_item_t *image = cbor_new_definite_map(3);
    return image != NULL && put_sha384(image, "cmdline_sha384", &c->cmdline) &&
           put_sha384(image, "kernel_authenticode", &c->kernel_authenticode) &&
           put_sha384(image, "initrd_sha384", &c->initrd) &&
           put_item(root, "image", cbor_incref(image));
}

static bool put_tdvf(cbor_item_t *root, const struct cvm_compact *c, const struct cvm_buf *td_hob)
{
    CVM_CLEANUP(free_item)
    cbor_item_t *tdvf = cbor_new_definite_map(3);
    CVM_CLEANUP(free_item)
    cbor_item_t *mrtd = cbor_new_definite_map(2);
    return tdvf != NULL && mrtd != NULL && put_item(tdvf, "ovmf", cbor_build_string(c->ovmf)) &&
           put_sha384(mrtd, "single_pass", &c->mrtd_single_pass) &&
           put_sha384(mrtd, "two_pass", &c->mrtd_two_pass) &&
           put_item(tdvf, "mrtd", cbor_incref(mrtd)) &&
           put_item(tdvf, "td_hob", cbor_build_bytestring(td_hob->data, td_hob->len)) &&
           put_item(root, "tdvf", cbor_incref(tdvf));
}

bool cvm_compact_build(const struct cvm_compact *compact, uint8_t **data, size_t *size,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf td_hob = { 0 };
    size_t name = strnlen(compact->ovmf, sizeof compact->ovmf);
    if (name == 0 || name == sizeof compact->ovmf) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "tdvf.ovmf: not a name of 1 to %zu characters",
                        sizeof compact->ovmf - 1);
    }
    if (!cvm_td_ranges_check(&compact->ranges, err)) {
        return cvm_context(err, "td_hob");
    }
    put_ranges(&td_hob, &compact->ranges);
    if (!cvm_buf_finish(&td_hob, "td_hob", err)) {
        return false;
    }
    CVM_CLEANUP(free_item)
    cbor_item_t *root = cbor_new_definite_map(3);
    unsigned char *bytes = NULL;
    size_t allocated = 0;
    size_t length = 0;
    if (root != NULL && put_item(root, "version", cbor_build_uint8(COMPACT_VERSION)) &&
        put_image(root, compact) && put_tdvf(root, compact, &td_hob)) {
        length = cbor_serialize_alloc(root, &bytes, &allocated);
    }
    if (length == 0) {
        return cvm_fail_nomem(err, "compact measurement", 0);
    }
    *data = bytes;
    *size = length;
    return true;
}
