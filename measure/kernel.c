#include "measure/kernel.h"

#include "measure/base/reader.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER_MAGIC_AT = 0x202,
    PROTOCOL_AT = 0x206,
    VERSION_AT = 0x20e, /* where the text lies, counted from: */
    VERSION_BASE = 0x200,
    TYPE_OF_LOADER_AT = 0x210,
    LOADFLAGS_AT = 0x211,
    RAMDISK_IMAGE_AT = 0x218,
    RAMDISK_SIZE_AT = 0x21c,
    HEAP_END_PTR_AT = 0x224,
    CMD_LINE_PTR_AT = 0x228,
    INITRD_ADDR_MAX_AT = 0x22c,
    XLOADFLAGS_AT = 0x236,

    LOADED_HIGH = 0x01,
    CAN_USE_HEAP = 0x80,
    XLF_CAN_BE_LOADED_ABOVE_4G = 1 << 1,

    LOADER_QEMU = 0xb0,
    REAL_ADDR = 0x10000,
    CMDLINE_ADDR = 0x20000,
    ACPI_RESERVE = 0x28000, /* what QEMU keeps for ACPI tables below the end of low memory */
};

bool kernel_read_setup(struct cvm_bytes kernel, struct kernel_setup *out, struct cvm_error *err)
{
    struct kernel_setup s;
    struct cvm_reader r = cvm_reader_of(kernel.data, kernel.size);
    cvm_read_seek(&r, HEADER_MAGIC_AT);
    const uint8_t *magic = cvm_read_bytes(&r, 4);
    s.protocol = cvm_read_u16le(&r);
    cvm_read_seek(&r, LOADFLAGS_AT);
    s.loadflags = cvm_read_u8(&r);
    cvm_read_seek(&r, INITRD_ADDR_MAX_AT);
    s.initrd_addr_max = cvm_read_u32le(&r);
    cvm_read_seek(&r, XLOADFLAGS_AT);
    s.xloadflags = cvm_read_u16le(&r);
    if (!cvm_reader_ok(&r, "Linux setup header", err)) {
        return false;
    }
    if (memcmp(magic, "HdrS", 4) != 0) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "no Linux setup header at offset 0x%x",
                        HEADER_MAGIC_AT);
    }
    *out = s;
    return true;
}

static bool check_supported(const struct kernel_setup *s, const char *cmdline,
                            struct cvm_error *err)
{
    if (s->protocol < 0x203) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "Linux boot protocol %u.%02u, older than 2.03",
                        s->protocol >> 8, s->protocol & 0xff);
    }
    if ((s->loadflags & LOADED_HIGH) == 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "a kernel that is loaded low (zImage)");
    }
    if (strstr(cmdline, "vga=") != NULL) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a command line with \"vga=\", which changes the kernel's setup header");
    }
    return true;
}

/* As high as kernel and low memory allow. */
static bool place(const struct kernel_setup *s, uint64_t below_4g, uint64_t initrd_size,
                  uint32_t *address, struct cvm_error *err)
{
    uint64_t max = 0x37ffffff;
    if (s->protocol >= 0x20c && (s->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) != 0) {
        max = UINT32_MAX;
    } else if (s->initrd_addr_max != 0) {
        max = s->initrd_addr_max;
    }
    if (below_4g <= ACPI_RESERVE) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%llu bytes of memory leave no room for an initrd",
                        (unsigned long long)below_4g);
    }
    if (max >= below_4g - ACPI_RESERVE) {
        max = below_4g - ACPI_RESERVE - 1;
    }
    if (initrd_size >= max) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "an initrd of %llu bytes does not fit below 0x%llx",
                        (unsigned long long)initrd_size, (unsigned long long)max);
    }
    *address = (uint32_t)(max - initrd_size) & ~UINT32_C(4095);
    return true;
}

bool kernel_place_initrd(const struct kernel_setup *setup, const struct cvm_machine *machine,
                         const char *cmdline, uint64_t initrd_size, uint32_t *address,
                         struct cvm_error *err)
{
    if (!check_supported(setup, cmdline, err)) {
        return false;
    }
    if (initrd_size == 0) {
        *address = 0;
        return true;
    }
    return place(setup, cvm_machine_ram_below_4g(machine), initrd_size, address, err);
}

static void store(uint8_t *kernel, size_t at, uint32_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        kernel[at + i] = (uint8_t)(value >> (8 * i));
    }
}

void kernel_rewrite_header(uint8_t *kernel, const struct kernel_setup *setup, uint64_t initrd_size,
                           uint32_t initrd_address)
{
    store(kernel, TYPE_OF_LOADER_AT, LOADER_QEMU, 1);
    store(kernel, LOADFLAGS_AT, setup->loadflags | CAN_USE_HEAP, 1);
    store(kernel, HEAP_END_PTR_AT, CMDLINE_ADDR - REAL_ADDR - 0x200, 2);
    store(kernel, CMD_LINE_PTR_AT, CMDLINE_ADDR, 4);
    if (initrd_size != 0) {
        store(kernel, RAMDISK_IMAGE_AT, initrd_address, 4);
        store(kernel, RAMDISK_SIZE_AT, (uint32_t)initrd_size, 4);
    }
}

/* MAJOR.MINOR at the start of a version. */
static bool parse_version(const char *text, unsigned *major, unsigned *minor)
{
    char *end;
    unsigned long first = strtoul(text, &end, 10);
    if (end == text || *end != '.' || end[1] < '0' || end[1] > '9' || first > UINT16_MAX) {
        return false;
    }
    unsigned long second = strtoul(end + 1, NULL, 10);
    *major = (unsigned)first;
    *minor = (unsigned)(second > UINT16_MAX ? UINT16_MAX : second);
    return true;
}

void kernel_read_version(struct cvm_bytes kernel, struct cvm_kernel_info *out)
{
    enum { MEASURES_FROM_MAJOR = 6, MEASURES_FROM_MINOR = 9 };
    struct cvm_reader r = cvm_reader_of(kernel.data, kernel.size);
    unsigned major = 0;
    unsigned minor = 0;
    cvm_read_seek(&r, VERSION_AT);
    uint16_t at = cvm_read_u16le(&r);
    cvm_read_seek(&r, (uint64_t)at + VERSION_BASE);
    size_t length = 0;
    for (uint8_t c = cvm_read_u8(&r); c > ' ' && c < 0x7f; c = cvm_read_u8(&r)) {
        if (length == sizeof out->version - 1) {
            break;
        }
        out->version[length++] = (char)c;
    }
    out->version[length] = '\0';
    out->version_known = at != 0 && parse_version(out->version, &major, &minor);
    out->is_old =
        out->version_known && (major < MEASURES_FROM_MAJOR ||
                               (major == MEASURES_FROM_MAJOR && minor < MEASURES_FROM_MINOR));
    if (!out->version_known) {
        out->version[0] = '\0';
    }
}
