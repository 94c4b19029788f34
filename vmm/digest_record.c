#include "vmm/digest_cache.h"

#include "measure/base/hash.h"
#include "measure/base/reader.h"
#include "measure/td_hob.h"
#include "vmm/tool.h"

static const uint8_t magic[8] = "cvm-dgst";
enum { HEAD_SIZE = sizeof magic + 4 };

void cvm_digest_record_free(struct cvm_digest_record *record)
{
    image_facts_free(&record->facts);
}

/* --- the fields, in the order in which an entry has them --- */

enum kind {
    FIELD_BYTES,  /* size bytes as they are */
    FIELD_FLAG,   /* bool */
    FIELD_NUMBER, /* an unsigned integer of size bytes */
    FIELD_FILE,   /* struct cvm_file_id */
    FIELD_CHOICE, /* a value of an enum, below size */
    FIELD_TEXT,   /* characters and a NUL, then zeros */
    FIELD_RANGES, /* struct cvm_td_ranges */
    FIELD_LAYOUT, /* struct cvm_layout */
    FIELD_KERNELS /* of struct image_facts */
};

struct field {
    const char *name;
    enum kind kind;
    size_t offset, size;
};

#define AT(f) offsetof(struct cvm_digest_record, f), sizeof(((struct cvm_digest_record *)0)->f)
#define FIRMWARE(f) AT(facts.firmware.f)
#define CHOICE(f, last) offsetof(struct cvm_digest_record, facts.firmware.f), (last) + 1
/* clang-format off */
#define VARIABLE(name, v)                                                \
    { name " present", FIELD_FLAG,   FIRMWARE(variables.v.present) },    \
    { name " size",    FIELD_NUMBER, FIRMWARE(variables.v.size) },       \
    { name " digest",  FIELD_BYTES,  FIRMWARE(variables.v.digest) }
/* The firmware's TDVF sections are not kept: what is measured of them is.
   A change of this table is a new CVM_DIGEST_FORMAT. */
static const struct field fields[] = {
    { "os_image_hash",     FIELD_BYTES,   AT(os_image_hash) },
    { "kernel",            FIELD_FILE,    AT(files[CVM_BUNDLE_KERNEL]) },
    { "initrd",            FIELD_FILE,    AT(files[CVM_BUNDLE_INITRD]) },
    { "bios",              FIELD_FILE,    AT(files[CVM_BUNDLE_BIOS]) },
    { "kernel's SHA-256",  FIELD_BYTES,   AT(digests[CVM_BUNDLE_KERNEL]) },
    { "initrd's SHA-256",  FIELD_BYTES,   AT(digests[CVM_BUNDLE_INITRD]) },
    { "bios's SHA-256",    FIELD_BYTES,   AT(digests[CVM_BUNDLE_BIOS]) },
    { "initrd's SHA-384",  FIELD_BYTES,   AT(facts.initrd) },
    { "firmware",          FIELD_FLAG,    AT(facts.has_firmware) },
    { "firmware's SHA-384", FIELD_BYTES,  FIRMWARE(digest) },
    { "firmware's size",   FIELD_NUMBER,  FIRMWARE(size) },
    { "ranges",            FIELD_RANGES,  FIRMWARE(ranges) },
    { "mrtd single pass",  FIELD_BYTES,   FIRMWARE(mrtd_single_pass) },
    { "mrtd two pass",     FIELD_BYTES,   FIRMWARE(mrtd_two_pass) },
    { "cfv",               FIELD_BYTES,   FIRMWARE(cfv) },
    { "empty store",       FIELD_FLAG,    FIRMWARE(empty_store) },
    { "store's format",    FIELD_CHOICE,  CHOICE(variables.format, CVM_STORE_AUTHENTICATED) },
    { "store's size",      FIELD_NUMBER,  FIRMWARE(variables.store_size) },
    { "live variables",    FIELD_NUMBER,  FIRMWARE(variables.num_live) },
    { "boot options",      FIELD_FLAG,    FIRMWARE(variables.boot_options) },
    { "secure boot",       FIELD_FLAG,    FIRMWARE(variables.secure_boot) },
    VARIABLE("pk", pk), VARIABLE("kek", kek), VARIABLE("db", db), VARIABLE("dbx", dbx),
    { "measures",          FIELD_FLAG,    FIRMWARE(features.measures) },
    { "fw_cfg",            FIELD_FLAG,    FIRMWARE(features.fw_cfg) },
    { "acpi",              FIELD_FLAG,    FIRMWARE(features.acpi) },
    { "smbios",            FIELD_FLAG,    FIRMWARE(features.smbios) },
    { "boot manager menu", FIELD_FLAG,    FIRMWARE(features.boot_manager_menu) },
    { "ui app",            FIELD_FLAG,    FIRMWARE(features.ui_app) },
    { "secure boot config", FIELD_FLAG,   FIRMWARE(features.secure_boot_config) },
    { "prefix",            FIELD_FLAG,    FIRMWARE(features.cmdline_prefix) },
    { "suffix",            FIELD_FLAG,    FIRMWARE(features.cmdline_suffix) },
    { "layout's state",    FIELD_CHOICE,  CHOICE(layout_state, CVM_LAYOUT_VERIFIED) },
    { "layout's reason",   FIELD_TEXT,    FIRMWARE(layout_reason) },
    { "layout",            FIELD_LAYOUT,  FIRMWARE(layout) },
    { "type 0 vendor",     FIELD_TEXT,    FIRMWARE(strings.vendor) },
    { "type 0 version",    FIELD_TEXT,    FIRMWARE(strings.version) },
    { "type 0 date",       FIELD_TEXT,    FIRMWARE(strings.date) },
    { "kernel's version",  FIELD_TEXT,    AT(facts.kernel.version) },
    { "version known",     FIELD_FLAG,    AT(facts.kernel.version_known) },
    { "old",               FIELD_FLAG,    AT(facts.kernel.is_old) },
    { "signed",            FIELD_FLAG,    AT(facts.kernel.is_signed) },
    { "setup header",      FIELD_FLAG,    AT(facts.has_setup) },
    { "protocol",          FIELD_NUMBER,  AT(facts.setup.protocol) },
    { "loadflags",         FIELD_NUMBER,  AT(facts.setup.loadflags) },
    { "xloadflags",        FIELD_NUMBER,  AT(facts.setup.xloadflags) },
    { "initrd_addr_max",   FIELD_NUMBER,  AT(facts.setup.initrd_addr_max) },
    { "kernel's digests",  FIELD_KERNELS, AT(facts) },
};
/* clang-format on */
enum { NUM_FIELDS = sizeof fields / sizeof fields[0] };

/* --- numbers --- */

static uint64_t load_number(const void *at, size_t size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static void read_number(struct cvm_reader *r, void *at, size_t size)
{
    switch (size) {
    case 1:
        *(uint8_t *)at = cvm_read_u8(r);
        break;
    case 2:
        *(uint16_t *)at = cvm_read_u16le(r);
        break;
    case 4:
        *(uint32_t *)at = cvm_read_u32le(r);
        break;
    default:
        *(uint64_t *)at = cvm_read_u64le(r);
        break;
    }
}

/* --- files --- */

static void put_file(struct cvm_buf *out, const struct cvm_file_id *id)
{
    cvm_put_le(out, id->device, 8);
    cvm_put_le(out, id->inode, 8);
    cvm_put_le(out, id->size, 8);
    cvm_put_le(out, (uint64_t)id->mtime_ns, 8);
    cvm_put_le(out, (uint64_t)id->ctime_ns, 8);
}

static void read_file(struct cvm_reader *r, struct cvm_file_id *id)
{
    id->device = cvm_read_u64le(r);
    id->inode = cvm_read_u64le(r);
    id->size = cvm_read_u64le(r);
    id->mtime_ns = (int64_t)cvm_read_u64le(r);
    id->ctime_ns = (int64_t)cvm_read_u64le(r);
}

/* --- memory ranges --- */

static void put_ranges(struct cvm_buf *out, const struct cvm_td_ranges *ranges)
{
    cvm_put_le(out, ranges->td_hob, 8);
    cvm_put_le(out, ranges->num_ranges, 4);
    for (uint32_t i = 0; i < ranges->num_ranges; i++) {
        cvm_put_le(out, ranges->ranges[i].start, 8);
        cvm_put_le(out, ranges->ranges[i].size, 8);
    }
}

static bool read_ranges(struct cvm_reader *r, struct cvm_td_ranges *out, struct cvm_error *err)
{
    out->td_hob = cvm_read_u64le(r);
    out->num_ranges = cvm_read_u32le(r);
    if (out->num_ranges > CVM_TD_MAX_RANGES) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u of them, at most %d", out->num_ranges,
                        CVM_TD_MAX_RANGES);
    }
    for (uint32_t i = 0; i < out->num_ranges; i++) {
        out->ranges[i].start = cvm_read_u64le(r);
        out->ranges[i].size = cvm_read_u64le(r);
    }
    return cvm_reader_ok(r, "them", err) && cvm_td_ranges_check(out, err);
}

/* --- choices, texts and layouts --- */

static bool read_choice(struct cvm_reader *r, void *out, uint32_t values, struct cvm_error *err)
{
    uint32_t value = cvm_read_u32le(r);
    if (value >= values) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u is none of %u values", value, values);
    }
    memcpy(out, &value, sizeof value); /* an enum without negative values */
    return true;
}

static bool read_text(struct cvm_reader *r, char *out, size_t size, struct cvm_error *err)
{
    const uint8_t *bytes = cvm_read_bytes(r, size);
    if (bytes == NULL) {
        return true; /* told at the end */
    }
    if (bytes[size - 1] != '\0') {
        return cvm_fail(err, CVM_ERR_MALFORMED, "no NUL in %zu bytes", size);
    }
    memcpy(out, bytes, size);
    return true;
}

static void put_layout(struct cvm_buf *out, const struct cvm_layout *layout)
{
    cvm_put_bytes(out, layout->name, sizeof layout->name);
    cvm_put_le(out, layout->num_events, 4);
    for (uint32_t i = 0; i < layout->num_events; i++) {
        cvm_put_le(out, layout->events[i], 4);
    }
    cvm_put_le(out, layout->num_boot_options, 4);
    for (uint32_t i = 0; i < layout->num_boot_options; i++) {
        cvm_put_le(out, layout->boot_options[i], 4);
    }
    cvm_put_u8(out, layout->secure_boot_byte);
    cvm_put_le(out, layout->cmdline_form, 4);
}

static bool read_flag(struct cvm_reader *r, bool *out, struct cvm_error *err);

static bool read_layout(struct cvm_reader *r, struct cvm_layout *out, struct cvm_error *err)
{
    if (!read_text(r, out->name, sizeof out->name, err) ||
        !read_choice(r, &out->num_events, CVM_LAYOUT_MAX_EVENTS + 1, err)) {
        return false;
    }
    for (uint32_t i = 0; i < out->num_events; i++) {
        if (!read_choice(r, &out->events[i], CVM_LAYOUT_KINDS, err)) {
            return false;
        }
    }
    if (!read_choice(r, &out->num_boot_options, CVM_LAYOUT_MAX_BOOT_OPTIONS + 1, err)) {
        return false;
    }
    for (uint32_t i = 0; i < out->num_boot_options; i++) {
        if (!read_choice(r, &out->boot_options[i], CVM_BOOT_APPS, err)) {
            return false;
        }
    }
    return read_flag(r, &out->secure_boot_byte, err) &&
           read_choice(r, &out->cmdline_form, CVM_CMDLINE_PREFIX + 1, err);
}

/* --- the kernel's digests --- */

static void put_kernels(struct cvm_buf *out, const struct image_facts *facts)
{
    size_t count = facts->num_kernels;
    size_t first = count > CVM_DIGEST_MAX_KERNELS ? count - CVM_DIGEST_MAX_KERNELS : 0;
    cvm_put_le(out, count - first, 4);
    for (size_t i = first; i < count; i++) {
        const struct kernel_digest *k = &facts->kernels[i];
        cvm_put_le(out, k->form.header, 1);
        cvm_put_le(out, k->form.initrd_address, 4);
        cvm_put_bytes(out, k->digest.bytes, sizeof k->digest.bytes);
    }
}

static bool read_bytes(struct cvm_reader *r, void *out, size_t size)
{
    const uint8_t *bytes = cvm_read_bytes(r, size);
    if (bytes != NULL) {
        memcpy(out, bytes, size);
    }
    return bytes != NULL;
}

static bool read_kernel(struct cvm_reader *r, struct image_facts *out, struct cvm_error *err)
{
    struct kernel_digest k = { 0 };
    uint8_t header = cvm_read_u8(r);
    k.form.initrd_address = cvm_read_u32le(r);
    read_bytes(r, k.digest.bytes, sizeof k.digest.bytes);
    if (!cvm_reader_ok(r, "a form", err)) {
        return false;
    }
    if (header != CVM_KERNEL_REWRITTEN && header != CVM_KERNEL_AS_IS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a form of kind %u", header);
    }
    k.form.header = (enum cvm_kernel_header)header;
    if (image_facts_find_kernel(out, &k.form) != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "a form that stands twice");
    }
    return image_facts_add_kernel(out, &k, err);
}

static bool read_kernels(struct cvm_reader *r, struct image_facts *out, struct cvm_error *err)
{
    uint32_t count = cvm_read_u32le(r);
    if (count > CVM_DIGEST_MAX_KERNELS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u of them, at most %d", count,
                        CVM_DIGEST_MAX_KERNELS);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_kernel(r, out, err)) {
            return false;
        }
    }
    return true;
}

/* --- entries --- */

static void put_field(struct cvm_buf *out, const struct field *f, const void *at)
{
    switch (f->kind) {
    case FIELD_BYTES:
        cvm_put_bytes(out, at, f->size);
        break;
    case FIELD_FLAG:
        cvm_put_u8(out, *(const bool *)at);
        break;
    case FIELD_NUMBER:
        cvm_put_le(out, load_number(at, f->size), f->size);
        break;
    case FIELD_FILE:
        put_file(out, at);
        break;
    case FIELD_CHOICE:
        cvm_put_le(out, load_number(at, sizeof(uint32_t)), 4);
        break;
    case FIELD_TEXT:
        cvm_put_bytes(out, at, f->size);
        break;
    case FIELD_LAYOUT:
        put_layout(out, at);
        break;
    case FIELD_RANGES:
        put_ranges(out, at);
        break;
    case FIELD_KERNELS:
        put_kernels(out, at);
        break;
    }
}

static bool read_flag(struct cvm_reader *r, bool *out, struct cvm_error *err)
{
    uint8_t value = cvm_read_u8(r);
    *out = value == 1;
    return value <= 1 ? true : cvm_fail(err, CVM_ERR_MALFORMED, "%u is neither 0 nor 1", value);
}

static bool read_field(struct cvm_reader *r, const struct field *f, void *at, struct cvm_error *err)
{
    switch (f->kind) {
    case FIELD_BYTES:
        read_bytes(r, at, f->size);
        break;
    case FIELD_FLAG:
        return read_flag(r, at, err);
    case FIELD_NUMBER:
        read_number(r, at, f->size);
        break;
    case FIELD_FILE:
        read_file(r, at);
        break;
    case FIELD_CHOICE:
        return read_choice(r, at, (uint32_t)f->size, err);
    case FIELD_TEXT:
        return read_text(r, at, f->size, err);
    case FIELD_LAYOUT:
        return read_layout(r, at, err);
    case FIELD_RANGES:
        return read_ranges(r, at, err);
    case FIELD_KERNELS:
        return read_kernels(r, at, err);
    }
    return true;
}

bool cvm_digest_record_build(const struct cvm_digest_record *record, const char *tool,
                             struct cvm_buf *out, struct cvm_error *err)
{
    struct cvm_sha256 digest;
    size_t start = out->len;
    cvm_put_bytes(out, magic, sizeof magic);
    cvm_put_le(out, CVM_DIGEST_FORMAT, 4);
    cvm_put_le(out, strlen(tool), 2);
    cvm_put_text(out, tool);
    for (size_t i = 0; i < NUM_FIELDS; i++) {
        put_field(out, &fields[i], (const char *)record + fields[i].offset);
    }
    if (!cvm_buf_finish(out, "cache entry", err) ||
        !cvm_sha256(out->data + start, out->len - start, &digest, err)) {
        return false;
    }
    cvm_put_bytes(out, digest.bytes, sizeof digest.bytes);
    return cvm_buf_finish(out, "cache entry", err);
}

/* What stands before the fields does so in every format, so that others are told apart. */
static bool check_format(struct cvm_bytes entry, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(entry.data, entry.size);
    const uint8_t *start = cvm_read_bytes(&r, sizeof magic);
    uint32_t format = cvm_read_u32le(&r);
    if (!cvm_reader_ok(&r, "head", err)) {
        return false;
    }
    if (memcmp(start, magic, sizeof magic) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "not a cache entry");
    }
    return format == CVM_DIGEST_FORMAT
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED, "format %u, not %d", format, CVM_DIGEST_FORMAT);
}

/* The last bytes are the digest of all before them, which *body then reads from behind the head. */
static bool check_integrity(struct cvm_bytes entry, struct cvm_reader *body, struct cvm_error *err)
{
    struct cvm_sha256 digest;
    if (entry.size < sizeof digest) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%zu bytes", entry.size);
    }
    size_t size = entry.size - sizeof digest;
    if (!cvm_sha256(entry.data, size, &digest, err)) {
        return false;
    }
    *body = cvm_reader_of(entry.data, size);
    cvm_read_skip(body, HEAD_SIZE);
    return memcmp(entry.data + size, digest.bytes, sizeof digest) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "damaged: it does not have the digest it says");
}

static bool check_tool(struct cvm_reader *r, const char *tool, struct cvm_error *err)
{
    uint16_t size = cvm_read_u16le(r);
    struct cvm_reader text = cvm_read_sub(r, size);
    if (!cvm_reader_ok(r, "program", err)) {
        return false;
    }
    return size == strlen(tool) && memcmp(text.data, tool, size) == 0
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED, "another build of the program wrote it");
}

bool cvm_digest_record_parse(struct cvm_bytes entry, const char *tool,
                             struct cvm_digest_record *out, struct cvm_error *err)
{
    cvm_autorecord struct cvm_digest_record record = { 0 };
    struct cvm_reader r;
    if (!check_format(entry, err) || !check_integrity(entry, &r, err) ||
        !check_tool(&r, tool, err)) {
        return false;
    }
    for (size_t i = 0; i < NUM_FIELDS; i++) {
        const struct field *f = &fields[i];
        if (!read_field(&r, f, (char *)&record + f->offset, err) ||
            !cvm_reader_ok(&r, "the value", err)) {
            return cvm_context(err, "%s", f->name);
        }
    }
    if (!cvm_reader_end(&r, "end", err)) {
        return false;
    }
    record.facts.initrd_size = record.files[CVM_BUNDLE_INITRD].size;
    *out = record;
    record = (struct cvm_digest_record){ 0 };
    return true;
}
