/*
 * Events for people.
 *
 * Source: TCG PC Client Platform Firmware Profile 1.05, clause 10 (event data); UEFI 2.10, 3.1.3
 *         (load options); TdTcg2Dxe of OVMF and the EFI stub of Linux for what their events hold.
 */
#include "measure/device_path.h"
#include "measure/include/cvm/event_log.h"

#include <string.h>

enum { MAX_SHOWN = 64 }; /* bytes of data that is shown in hex */

static bool is_printable(struct cvm_bytes data)
{
    for (size_t i = 0; i < data.size; i++) {
        if (data.data[i] < 0x20 || data.data[i] >= 0x7f) {
            return false;
        }
    }
    return data.size != 0;
}

static void put_bytes(struct text *t, struct cvm_bytes data)
{
    if (is_printable(data)) {
        text_put_ascii(t, data);
        return;
    }
    text_put_hex(t, (struct cvm_bytes){ data.data, data.size < MAX_SHOWN ? data.size : MAX_SHOWN });
    if (data.size > MAX_SHOWN) {
        text_put(t, "... (%zu bytes)", data.size);
    }
}

static struct cvm_bytes rest_of(struct cvm_reader *r)
{
    size_t left = cvm_reader_left(r);
    const uint8_t *p = cvm_read_bytes(r, left);
    return (struct cvm_bytes){ p, p == NULL ? 0 : left };
}

static void put_any(struct text *t, struct cvm_reader *r)
{
    put_bytes(t, rest_of(r));
}

/* --- variables --- */

static void put_load_option(struct text *t, struct cvm_reader *r)
{
    uint32_t attributes = cvm_read_u32le(r);
    uint16_t path_size = cvm_read_u16le(r);
    text_put(t, " '");
    text_put_utf16(t, r);
    text_put(t, "' attributes 0x%x, ", attributes);
    struct cvm_reader path = cvm_read_sub(r, path_size);
    text_put_device_path(t, &path);
}

static void put_boot_order(struct text *t, struct cvm_reader *r)
{
    while (cvm_reader_left(r) >= 2) {
        text_put(t, " %04X", cvm_read_u16le(r));
    }
}

static bool is_load_option(const char *name)
{
    return strncmp(name, "Boot", 4) == 0 && strlen(name) == 8 &&
           strspn(name + 4, "0123456789ABCDEFabcdef") == 4;
}

/* UEFI_VARIABLE_DATA: GUID, length of the name in characters, length of the data, both. */
static void put_variable(struct text *t, struct cvm_reader *r)
{
    char buffer[64];
    struct text name = text_of(buffer, sizeof buffer);
    struct cvm_reader guid = cvm_read_sub(r, 16);
    uint64_t name_length = cvm_read_u64le(r);
    uint64_t data_size = cvm_read_u64le(r);
    struct cvm_reader name_reader =
        cvm_read_sub(r, name_length > SIZE_MAX / 2 ? SIZE_MAX : (size_t)name_length * 2);
    struct cvm_reader data = cvm_read_sub(r, data_size > SIZE_MAX ? SIZE_MAX : (size_t)data_size);
    if (r->want != 0) {
        text_put(t, "malformed variable");
        return;
    }
    text_put_utf16(&name, &name_reader);
    text_put(t, "%s", buffer);
    if (strcmp(buffer, "BootOrder") == 0) {
        put_boot_order(t, &data);
    } else if (is_load_option(buffer)) {
        put_load_option(t, &data);
    } else {
        text_put(t, " (");
        text_put_guid(t, &guid);
        text_put(t, ") %zu bytes ", cvm_reader_left(&data));
        put_any(t, &data);
    }
}

/* --- images, blobs and tables --- */

static void put_image_load(struct text *t, struct cvm_reader *r)
{
    unsigned long long address = cvm_read_u64le(r);
    unsigned long long size = cvm_read_u64le(r);
    cvm_read_skip(r, 8); /* link-time address */
    uint64_t path_size = cvm_read_u64le(r);
    struct cvm_reader path = cvm_read_sub(r, path_size > SIZE_MAX ? SIZE_MAX : (size_t)path_size);
    if (r->want != 0) {
        text_put(t, "malformed image load");
        return;
    }
    text_put(t, "image of %llu bytes at 0x%llx", size, address);
    if (path_size != 0) {
        text_put(t, ": ");
        text_put_device_path(t, &path);
    }
}

/* A text with its length in front, as the second versions of events have. */
static void put_described(struct text *t, struct cvm_reader *r)
{
    size_t length = cvm_read_u8(r);
    const char *name = (const char *)cvm_read_bytes(r, length);
    length = name == NULL ? 0 : strnlen(name, length);
    text_put_ascii(t, (struct cvm_bytes){ (const uint8_t *)name, length });
}

static void put_blob(struct text *t, struct cvm_reader *r)
{
    unsigned long long base = cvm_read_u64le(r);
    unsigned long long length = cvm_read_u64le(r);
    text_put(t, "%s%llu bytes at 0x%llx", t->len == 0 ? "" : ": ", length, base);
}

static void put_blob2(struct text *t, struct cvm_reader *r)
{
    put_described(t, r);
    put_blob(t, r);
}

static void put_table_name(struct text *t, struct cvm_reader *r)
{
    static const struct {
        const char *guid, *name;
    } known[] = {
        { "eb9d2d31-2d88-11d3-9a16-0090273fc14d", "SMBIOS tables" },
        { "f2fd1544-9794-4a2c-992e-e5bbcf20e394", "SMBIOS 3.0 tables" },
        { "7739f24c-93d7-11d4-9a3a-0090273fc14d", "hand-off blocks" },
        { "8868e871-e4f1-11d3-bc22-0080c73c8881", "ACPI tables" },
    };
    char buffer[40];
    struct text guid = text_of(buffer, sizeof buffer);
    text_put_guid(&guid, r);
    const char *name = buffer;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        name = strcmp(known[i].guid, buffer) == 0 ? known[i].name : name;
    }
    text_put(t, "%s%s", t->len == 0 ? "" : ", ", name);
}

static void put_tables(struct text *t, struct cvm_reader *r)
{
    uint64_t count = cvm_read_u64le(r);
    for (uint64_t i = 0; i < count && cvm_reader_left(r) >= 24; i++) {
        put_table_name(t, r);
        cvm_read_skip(r, 8); /* its address */
    }
}

static void put_tables2(struct text *t, struct cvm_reader *r)
{
    put_described(t, r);
    put_tables(t, r);
}

/* --- labels --- */

/* Texts with NULs behind and between: "ACPI DATA", or "QEMU FW CFG" and the file's name. */
static void put_flags(struct text *t, struct cvm_reader *r)
{
    struct cvm_bytes data = rest_of(r);
    size_t at = 0;
    while (at < data.size) {
        size_t length = strnlen((const char *)data.data + at, data.size - at);
        struct cvm_bytes word = { data.data + at, length };
        if (length != 0 && !is_printable(word)) {
            text_put(t, "%s", t->len == 0 ? "" : " ");
            put_bytes(t, (struct cvm_bytes){ data.data + at, data.size - at });
            return;
        }
        if (length != 0) {
            text_put(t, "%s", t->len == 0 ? "" : " ");
            text_put_ascii(t, word);
        }
        at += length + 1;
    }
}

static void put_separator(struct text *t, struct cvm_reader *r)
{
    struct cvm_bytes data = rest_of(r);
    static const uint8_t zeros[4] = { 0 };
    if (data.size == 4 && memcmp(data.data, zeros, 4) == 0) {
        text_put(t, "end of the firmware's own events");
        return;
    }
    put_bytes(t, data);
}

/* TCG_PCClientTaggedEvent: an id, and a label that Linux writes in ASCII. */
static void put_tagged(struct text *t, struct cvm_reader *r)
{
    uint32_t id = cvm_read_u32le(r);
    struct cvm_reader label = cvm_read_sub(r, cvm_read_u32le(r));
    if (r->want != 0) {
        text_put(t, "malformed tag");
        return;
    }
    put_flags(t, &label);
    text_put(t, " (tag 0x%08x)", id);
}

static const struct kind {
    uint32_t type;
    const char *name;
    void (*put)(struct text *t, struct cvm_reader *r);
} kinds[] = {
    { 0x00000001, "EV_POST_CODE", put_flags },
    { 0x00000003, "EV_NO_ACTION", put_flags },
    { 0x00000004, "EV_SEPARATOR", put_separator },
    { 0x00000005, "EV_ACTION", put_flags },
    { 0x00000006, "EV_EVENT_TAG", put_tagged },
    { 0x00000007, "EV_S_CRTM_CONTENTS", put_any },
    { 0x00000008, "EV_S_CRTM_VERSION", put_any },
    { 0x0000000a, "EV_PLATFORM_CONFIG_FLAGS", put_flags },
    { 0x0000000b, "EV_TABLE_OF_DEVICES", put_any },
    { 0x0000000d, "EV_IPL", put_flags },
    { CVM_RUNTIME_EVENT_TYPE, "run-time event", put_any },
    { 0x80000001, "EV_EFI_VARIABLE_DRIVER_CONFIG", put_variable },
    { 0x80000002, "EV_EFI_VARIABLE_BOOT", put_variable },
    { 0x80000003, "EV_EFI_BOOT_SERVICES_APPLICATION", put_image_load },
    { 0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER", put_image_load },
    { 0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER", put_image_load },
    { 0x80000006, "EV_EFI_GPT_EVENT", put_any },
    { 0x80000007, "EV_EFI_ACTION", put_flags },
    { 0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB", put_blob },
    { 0x80000009, "EV_EFI_HANDOFF_TABLES", put_tables },
    { 0x8000000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2", put_blob2 },
    { 0x8000000b, "EV_EFI_HANDOFF_TABLES2", put_tables2 },
    { 0x8000000c, "EV_EFI_VARIABLE_BOOT2", put_variable },
    { 0x800000e0, "EV_EFI_VARIABLE_AUTHORITY", put_variable },
};

static const struct kind *find_kind(uint32_t type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

void cvm_logged_event_describe(const struct cvm_logged_event *event, struct cvm_event_text *out)
{
    const struct kind *kind = find_kind(event->type);
    struct text type = text_of(out->type, sizeof out->type);
    struct text t = text_of(out->text, sizeof out->text);
    if (kind == NULL) {
        text_put(&type, "0x%08x", event->type);
    } else {
        text_put(&type, "%s", kind->name);
    }
    if (event->type == CVM_RUNTIME_EVENT_TYPE) {
        struct cvm_bytes name = { (const uint8_t *)event->name, strlen(event->name) };
        text_put_ascii(&t, name);
        text_put(&t, "%s", event->data.size == 0 ? "" : " = ");
    }
    struct cvm_reader data = cvm_reader_of(event->data.data, event->data.size);
    if (event->data.size != 0) {
        (kind == NULL ? put_any : kind->put)(&t, &data);
    }
    if (event->type != CVM_RUNTIME_EVENT_TYPE && *event->name != '\0') {
        struct cvm_bytes name = { (const uint8_t *)event->name, strlen(event->name) };
        text_put(&t, "%s", t.len == 0 ? "" : ": ");
        text_put_ascii(&t, name);
    }
}
