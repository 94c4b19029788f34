#include "measure/include/cvm/smbios.h"

#include "measure/base/error.h"
#include "measure/base/guid.h"
#include "measure/base/reader.h"

/* The driver that adds type 0, and what it calls itself in its file. */
#define SMBIOS_PLATFORM_DXE "4110465d-5ff3-4f4b-b580-24ed0d06747a"
#define DRIVER_NAME "SmbiosPlatformDxe"

/* What the driver says where a build sets nothing; the date is also the first of its dates. */
#define FALLBACK_TEXT "unknown"
#define FALLBACK_DATE "02/02/2022"

enum {
    FFS_HEADER_SIZE = 24,
    FFS_TYPE = 18, /* offset in the header */
    FFS_TYPE_DRIVER = 7,
    SECTION_HEADER_SIZE = 4,
    SECTION_PE32 = 0x10,
    SECTION_TE = 0x12,
    SHORTEST = 3, /* the driver takes its fallback for anything shorter */
    MAX_FOUND = 3,
};

struct text {
    char characters[sizeof((struct cvm_smbios_firmware *)NULL)->vendor];
};

/* What was found in the driver, in the order of the bytes. */
struct search {
    struct text texts[MAX_FOUND]; /* that are no fallbacks */
    unsigned num_texts;
    bool too_many, too_long, has_fallback_date;
};

static bool is_printable(uint16_t c)
{
    return c >= 0x20 && c < 0x7f;
}

static bool is_date(const char *s)
{
    static const char form[] = "00/00/0000";
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != form[i]) {
            return false;
        }
    }
    return s[sizeof form - 1] == '\0';
}

static void add(struct search *s, struct text *text, size_t length)
{
    if (length >= sizeof text->characters) {
        s->too_long = true;
        return;
    }
    text->characters[length] = '\0';
    if (strcmp(text->characters, FALLBACK_DATE) == 0) {
        s->has_fallback_date = true;
        return;
    }
    if (strcmp(text->characters, FALLBACK_TEXT) == 0) {
        return;
    }
    if (s->num_texts == MAX_FOUND) {
        s->too_many = true;
        return;
    }
    s->texts[s->num_texts++] = *text;
}

/*
 * Constants are aligned to two bytes at least, so the image is read as 16-bit units: a string is
 * a run of printable ones before a 0. In front of a constant a compiler may have filled up with
 * the instruction 0f 1f 40 00, whose second half is no '@'.
 */
static void search_image(struct search *s, struct cvm_reader *image)
{
    enum { FILLER = 0x1f0f };
    struct text text = { 0 };
    size_t length = 0;
    uint16_t last = 0;
    while (cvm_reader_left(image) >= 2) {
        uint16_t c = cvm_read_u16le(image);
        if (is_printable(c) && !(c == '@' && last == FILLER)) {
            text.characters[length < sizeof text.characters ? length : 0] = (char)c;
            length++;
        } else {
            if (c == 0 && length >= SHORTEST) {
                add(s, &text, length);
            }
            length = 0;
        }
        last = c;
    }
}

/*
 * The order of the constants is that of every build seen: date, version, vendor. The vendor is
 * always there, since edk2 sets one; the others where the build does.
 */
static bool assign(const struct search *s, struct cvm_smbios_firmware *out, struct cvm_error *err)
{
    struct cvm_smbios_firmware found = { .version = FALLBACK_TEXT, .date = FALLBACK_DATE };
    unsigned next = 0;
    if (s->too_long || s->too_many || !s->has_fallback_date || s->num_texts == 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "the firmware's SMBIOS strings: %s in its driver " DRIVER_NAME,
                        s->too_long             ? "one over 63 characters"
                        : s->too_many           ? "more than three"
                        : !s->has_fallback_date ? "no date '" FALLBACK_DATE "'"
                                                : "no vendor");
    }
    if (is_date(s->texts[next].characters)) {
        memcpy(found.date, s->texts[next++].characters, sizeof found.date);
    }
    if (s->num_texts - next == 2) {
        memcpy(found.version, s->texts[next++].characters, sizeof found.version);
    }
    if (s->num_texts - next != 1 || is_date(s->texts[next].characters) || is_date(found.version)) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "the firmware's SMBIOS strings: in an order that is not known, the first "
                        "of %u is '%s'",
                        s->num_texts, s->texts[0].characters);
    }
    memcpy(found.vendor, s->texts[next].characters, sizeof found.vendor);
    *out = found;
    return true;
}

static uint32_t read_u24le(struct cvm_reader *r)
{
    uint32_t low = cvm_read_u16le(r);
    return low | (uint32_t)cvm_read_u8(r) << 16;
}

/* A file is a row of sections, each at a multiple of 4 bytes; the image is one of them. */
static bool search_driver(struct search *s, struct cvm_reader *driver, struct cvm_error *err)
{
    while (cvm_reader_left(driver) >= SECTION_HEADER_SIZE) {
        uint32_t size = read_u24le(driver);
        uint8_t type = cvm_read_u8(driver);
        if (size < SECTION_HEADER_SIZE) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "driver " DRIVER_NAME ": a section of %u bytes at offset 0x%zx", size,
                            driver->base + driver->pos - SECTION_HEADER_SIZE);
        }
        struct cvm_reader section = cvm_read_sub(driver, size - SECTION_HEADER_SIZE);
        if (!cvm_reader_ok(driver, "driver " DRIVER_NAME, err)) {
            return false;
        }
        if (type == SECTION_PE32 || type == SECTION_TE) {
            search_image(s, &section);
        }
        size_t padding = -size % 4;
        cvm_read_skip(driver, padding < cvm_reader_left(driver) ? padding : 0);
    }
    return cvm_reader_ok(driver, "driver " DRIVER_NAME, err);
}

/*
 * Whether a driver's file starts here, and what it contains. Its name may stand elsewhere too, in
 * a list of files.
 */
static bool read_driver(struct cvm_reader file, struct cvm_reader *contents)
{
    cvm_read_skip(&file, FFS_TYPE);
    uint8_t type = cvm_read_u8(&file);
    cvm_read_skip(&file, 1); /* attributes */
    uint32_t size = read_u24le(&file);
    cvm_read_skip(&file, 1); /* state */
    *contents = cvm_read_sub(&file, size < FFS_HEADER_SIZE ? 0 : size - FFS_HEADER_SIZE);
    return type == FFS_TYPE_DRIVER;
}

bool cvm_smbios_find_strings(struct cvm_bytes volume, struct cvm_smbios_firmware *out,
                             struct cvm_error *err)
{
    struct cvm_guid guid = { 0 };
    struct cvm_reader r = cvm_reader_of(volume.data, volume.size);
    bool parsed = cvm_guid_parse(SMBIOS_PLATFORM_DXE, &guid);
    while (parsed && cvm_reader_left(&r) >= sizeof guid.bytes) {
        const uint8_t *found =
            memmem(volume.data + r.pos, cvm_reader_left(&r), guid.bytes, sizeof guid.bytes);
        if (found == NULL) {
            break;
        }
        cvm_read_seek(&r, (uint64_t)(found - volume.data));
        struct cvm_reader driver;
        if (read_driver(r, &driver)) {
            struct search search = { 0 };
            return search_driver(&search, &driver, err) && assign(&search, out, err);
        }
        cvm_read_skip(&r, 1);
    }
    return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                    "the firmware's SMBIOS strings: it has no driver " DRIVER_NAME);
}
