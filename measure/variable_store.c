#include "measure/variable_store.h"

#include "measure/base/hash.h"
#include "measure/base/reader.h"
#include "measure/efi.h"
#include "measure/firmware_volume.h"

#define NV_FILE_SYSTEM "fff12b8d-7696-4c8b-a985-2747075b4f50"
#define AUTHENTICATED_STORE "aaf32c78-947b-439a-a180-2e144ec37792"
#define PLAIN_STORE "ddcf3616-3275-4164-98b6-fe85707ffe7d"
#define SECURE_BOOT_ENABLE_GUID "f0a30bc7-af08-4556-99c4-001009c93a44"

enum {
    STORE_HEADER = 28,
    STORE_FORMATTED = 0x5a,
    STORE_HEALTHY = 0xfe,

    VARIABLE_ALIGNMENT = 4,
    VARIABLE_START = 0x55aa,
    VARIABLE_ADDED = 0x3f,
    VARIABLE_IN_DELETION = 0x3e, /* a successor is being written, and is not there yet */
};

/* --- opening --- */

static bool check_store(const struct variable_store *s, size_t available, uint8_t format,
                        uint8_t state, struct cvm_error *err)
{
    if (s->size < STORE_HEADER || s->size > available) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "size %u, between %d and the volume's %zu", s->size,
                        STORE_HEADER, available);
    }
    if (format != STORE_FORMATTED || state != STORE_HEALTHY) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "format 0x%02x, state 0x%02x, and not 0x%02x (formatted), 0x%02x (healthy)",
                        format, state, STORE_FORMATTED, STORE_HEALTHY);
    }
    return true;
}

static bool read_store(struct cvm_bytes contents, struct variable_store *out, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(contents.data, contents.size);
    r.base = out->base;
    const uint8_t *guid = cvm_read_bytes(&r, sizeof(struct cvm_guid));
    out->size = cvm_read_u32le(&r);
    uint8_t format = cvm_read_u8(&r);
    uint8_t state = cvm_read_u8(&r);
    cvm_read_skip(&r, 6); /* reserved */
    if (!cvm_reader_ok(&r, "header", err)) {
        return false;
    }
    out->format = cvm_guid_is(guid, AUTHENTICATED_STORE) ? CVM_STORE_AUTHENTICATED
                  : cvm_guid_is(guid, PLAIN_STORE)       ? CVM_STORE_PLAIN
                                                         : CVM_STORE_NONE;
    if (out->format == CVM_STORE_NONE) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "neither authenticated nor plain");
    }
    if (!check_store(out, contents.size, format, state, err)) {
        return false;
    }
    out->region = (struct cvm_bytes){ contents.data + STORE_HEADER, out->size - STORE_HEADER };
    out->base += STORE_HEADER;
    return true;
}

bool variable_store_open(struct cvm_bytes section, size_t base, struct variable_store *out,
                         struct cvm_error *err)
{
    struct variable_store s = { .format = CVM_STORE_NONE };
    struct cvm_bytes contents;
    const uint8_t *file_system = fv_file_system(section);
    if (file_system == NULL || !cvm_guid_is(file_system, NV_FILE_SYSTEM)) {
        *out = s;
        return true;
    }
    if (!fv_contents(section, base, &contents, &s.base, err)) {
        return false;
    }
    size_t at = s.base;
    if ((at - base) % VARIABLE_ALIGNMENT != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "variable store at offset 0x%zx is not aligned to %d", at,
                        VARIABLE_ALIGNMENT);
    }
    if (!read_store(contents, &s, err)) {
        return cvm_context(err, "variable store at offset 0x%zx", at);
    }
    *out = s;
    return true;
}

/* --- variables --- */

bool variable_is_live(const struct variable *v)
{
    return v->state == VARIABLE_ADDED || v->state == VARIABLE_IN_DELETION;
}

bool variable_is(const struct variable *v, const char *vendor, const char *name)
{
    size_t length = strlen(name) + 1;
    if (v->name.data == NULL || v->name.size != 2 * length ||
        !cvm_guid_is(v->vendor.bytes, vendor)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (v->name.data[2 * i] != (uint8_t)name[i] || v->name.data[2 * i + 1] != 0) {
            return false;
        }
    }
    return true;
}

/* Sizes of a header that was never finished are erased flash: nothing follows it. */
static bool is_unfinished(const struct variable *v, uint32_t name_size, uint32_t data_size)
{
    return !variable_is_live(v) && (v->state == 0xff || v->attributes == UINT32_MAX ||
                                    name_size == UINT32_MAX || data_size == UINT32_MAX);
}

/* The variable at the reader, behind its start mark. */
static bool read_variable(struct cvm_reader *r, enum cvm_store_format format, struct variable *v,
                          struct cvm_error *err)
{
    size_t at = r->base + r->pos - 2;
    v->state = cvm_read_u8(r);
    cvm_read_skip(r, 1); /* reserved */
    v->attributes = cvm_read_u32le(r);
    if (format == CVM_STORE_AUTHENTICATED) {
        cvm_read_skip(r, 8 + 16 + 4); /* count, time, index of the key */
    }
    uint32_t name_size = cvm_read_u32le(r);
    uint32_t data_size = cvm_read_u32le(r);
    const uint8_t *vendor = cvm_read_bytes(r, sizeof v->vendor.bytes);
    if (!cvm_reader_ok(r, "variable's header", err)) {
        return false;
    }
    memcpy(v->vendor.bytes, vendor, sizeof v->vendor.bytes);
    if (is_unfinished(v, name_size, data_size)) {
        name_size = 0;
        data_size = 0;
    }
    size_t left = cvm_reader_left(r);
    if (name_size > left || data_size > left - name_size) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "variable at offset 0x%zx: a name of %u bytes and data of %u run past the "
                        "store, which has %zu left",
                        at, name_size, data_size, left);
    }
    v->name = (struct cvm_bytes){ cvm_read_bytes(r, name_size), name_size };
    v->data = (struct cvm_bytes){ cvm_read_bytes(r, data_size), data_size };
    return true;
}

/* Variables follow each other up to the first one without a start mark, as the firmware has it. */
bool variable_store_walk(const struct variable_store *store,
                         void (*visit)(void *data, const struct variable *v), void *data,
                         struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(store->region.data, store->region.size);
    r.base = store->base;
    for (unsigned count = 0; cvm_reader_left(&r) >= 2; count++) {
        struct variable v = { .state = 0 };
        if (cvm_read_u16le(&r) != VARIABLE_START) {
            return true;
        }
        if (count == VARIABLE_STORE_MAX) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "variable store: more than %d variables",
                            VARIABLE_STORE_MAX);
        }
        if (!read_variable(&r, store->format, &v, err)) {
            return cvm_context(err, "variable store");
        }
        visit(data, &v);
        size_t missing = (VARIABLE_ALIGNMENT - r.pos % VARIABLE_ALIGNMENT) % VARIABLE_ALIGNMENT;
        cvm_read_skip(&r, missing < cvm_reader_left(&r) ? missing : cvm_reader_left(&r));
    }
    return true;
}

/* --- what is measured --- */

enum wanted { PK, KEK, DB, DBX, SECURE_BOOT_ENABLE, NUM_WANTED };

static const struct {
    const char *vendor, *name;
} names[NUM_WANTED] = {
    [PK] = { EFI_GLOBAL_VARIABLE_GUID, "PK" },
    [KEK] = { EFI_GLOBAL_VARIABLE_GUID, "KEK" },
    [DB] = { EFI_IMAGE_SECURITY_DATABASE_GUID, "db" },
    [DBX] = { EFI_IMAGE_SECURITY_DATABASE_GUID, "dbx" },
    [SECURE_BOOT_ENABLE] = { SECURE_BOOT_ENABLE_GUID, "SecureBootEnable" },
};

struct findings {
    struct variable found[NUM_WANTED]; /* state 0 while there is none */
    uint32_t num_live;
    bool boot_options;
};

/* BootOrder, or Boot and four digits. */
static bool is_boot_option(const struct variable *v)
{
    static const char digits[] = "0123456789ABCDEF";
    char name[sizeof "Boot0000"] = "Boot";
    if (variable_is(v, EFI_GLOBAL_VARIABLE_GUID, "BootOrder")) {
        return true;
    }
    if (v->name.size != 2 * sizeof name) {
        return false;
    }
    for (size_t i = 4; i < 8; i++) {
        name[i] = (char)v->name.data[2 * i];
        if (name[i] == '\0' || strchr(digits, name[i]) == NULL) {
            return false;
        }
    }
    return variable_is(v, EFI_GLOBAL_VARIABLE_GUID, name);
}

/* The first that is added wins; before one comes, the last that is in deletion. */
static void find(void *data, const struct variable *v)
{
    struct findings *f = data;
    if (!variable_is_live(v)) {
        return;
    }
    f->num_live++;
    f->boot_options |= is_boot_option(v);
    for (size_t i = 0; i < NUM_WANTED; i++) {
        if (f->found[i].state != VARIABLE_ADDED && variable_is(v, names[i].vendor, names[i].name)) {
            f->found[i] = *v;
        }
    }
}

static bool hash_event(const struct findings *f, enum wanted which, struct cvm_secure_variable *out,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf event = { 0 };
    const struct variable *v = &f->found[which];
    efi_put_variable_event(&event, names[which].vendor, names[which].name, v->data);
    out->present = v->state != 0;
    out->size = (uint32_t)v->data.size;
    return cvm_buf_finish(&event, "event data", err) &&
           cvm_sha384(event.data, event.len, &out->digest, err);
}

bool variable_store_measure(struct cvm_bytes section, size_t base,
                            struct cvm_firmware_variables *out, struct cvm_error *err)
{
    struct variable_store store = { .format = CVM_STORE_NONE };
    struct findings f = { .num_live = 0 };
    if (!variable_store_open(section, base, &store, err) ||
        !variable_store_walk(&store, find, &f, err)) {
        return false;
    }
    const struct cvm_bytes enable = f.found[SECURE_BOOT_ENABLE].data;
    struct cvm_firmware_variables v = {
        .format = store.format,
        .store_size = store.size,
        .num_live = f.num_live,
        .boot_options = f.boot_options,
        .secure_boot = f.found[PK].state != 0 &&
                       (enable.size == 0 || (enable.size == 1 && enable.data[0] == 1)),
    };
    if (!hash_event(&f, PK, &v.pk, err) || !hash_event(&f, KEK, &v.kek, err) ||
        !hash_event(&f, DB, &v.db, err) || !hash_event(&f, DBX, &v.dbx, err)) {
        return false;
    }
    *out = v;
    return true;
}
