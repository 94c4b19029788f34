#include "measure/device_path.h"

#include <string.h>

enum {
    HARDWARE = 1,
    ACPI = 2,
    MESSAGING = 3,
    MEDIA = 4,
    BIOS_BOOT = 5,
    END = 0x7f,
    END_ENTIRE = 0xff,
    MAX_NODES = 64,
};

static void put_pci(struct text *t, struct cvm_reader *r)
{
    unsigned function = cvm_read_u8(r);
    text_put(t, "Pci(0x%X,0x%X)", cvm_read_u8(r), function);
}

static void put_memory_mapped(struct text *t, struct cvm_reader *r)
{
    uint32_t type = cvm_read_u32le(r);
    unsigned long long start = cvm_read_u64le(r);
    unsigned long long end = cvm_read_u64le(r);
    text_put(t, "MemoryMapped(0x%X,0x%llX,0x%llX)", type, start, end);
}

static void put_guid_node(struct text *t, const char *name, struct cvm_reader *r)
{
    text_put(t, "%s(", name);
    text_put_guid(t, r);
    text_put(t, ")");
}

static void put_hardware_vendor(struct text *t, struct cvm_reader *r)
{
    put_guid_node(t, "VenHw", r);
}

static void put_acpi(struct text *t, struct cvm_reader *r)
{
    enum { PNP0A03 = 0x0a0341d0, PNP0A08 = 0x0a0841d0 };
    uint32_t hid = cvm_read_u32le(r);
    uint32_t uid = cvm_read_u32le(r);
    if (hid == PNP0A03 || hid == PNP0A08) {
        text_put(t, "%s(0x%X)", hid == PNP0A03 ? "PciRoot" : "PcieRoot", uid);
        return;
    }
    text_put(t, "Acpi(0x%08X,0x%X)", hid, uid);
}

static void put_scsi(struct text *t, struct cvm_reader *r)
{
    unsigned target = cvm_read_u16le(r);
    text_put(t, "Scsi(0x%X,0x%X)", target, cvm_read_u16le(r));
}

static void put_usb(struct text *t, struct cvm_reader *r)
{
    unsigned port = cvm_read_u8(r);
    text_put(t, "USB(0x%X,0x%X)", port, cvm_read_u8(r));
}

static void put_mac(struct text *t, struct cvm_reader *r)
{
    const uint8_t *address = cvm_read_bytes(r, 6);
    text_put(t, "MAC(");
    text_put_hex(t, (struct cvm_bytes){ address, address == NULL ? 0 : 6 });
    text_put(t, ")");
}

static void put_sata(struct text *t, struct cvm_reader *r)
{
    unsigned port = cvm_read_u16le(r);
    unsigned multiplier = cvm_read_u16le(r);
    text_put(t, "Sata(0x%X,0x%X,0x%X)", port, multiplier, cvm_read_u16le(r));
}

static void put_nvme(struct text *t, struct cvm_reader *r)
{
    text_put(t, "NVMe(0x%X)", cvm_read_u32le(r));
}

static void put_hard_drive(struct text *t, struct cvm_reader *r)
{
    enum { GPT = 2 };
    uint32_t partition = cvm_read_u32le(r);
    unsigned long long start = cvm_read_u64le(r);
    unsigned long long size = cvm_read_u64le(r);
    struct cvm_reader id = cvm_read_sub(r, 16);
    unsigned format = cvm_read_u8(r);
    text_put(t, "HD(%u,%s,", partition, format == GPT ? "GPT" : "MBR");
    text_put_guid(t, &id);
    text_put(t, ",0x%llX,0x%llX)", start, size);
}

static void put_cdrom(struct text *t, struct cvm_reader *r)
{
    text_put(t, "CDROM(0x%X)", cvm_read_u32le(r));
}

static void put_media_vendor(struct text *t, struct cvm_reader *r)
{
    put_guid_node(t, "VenMedia", r);
}

static void put_firmware_file(struct text *t, struct cvm_reader *r)
{
    put_guid_node(t, "FvFile", r);
}

static void put_firmware_volume(struct text *t, struct cvm_reader *r)
{
    put_guid_node(t, "Fv", r);
}

/* BIOS boot: device type, status flag, then the description in ASCII. */
static void put_bios_boot(struct text *t, struct cvm_reader *r)
{
    unsigned type = cvm_read_u16le(r);
    cvm_read_skip(r, 2);
    size_t left = cvm_reader_left(r);
    const char *name = (const char *)cvm_read_bytes(r, left);
    size_t length = name == NULL ? 0 : strnlen(name, left);
    text_put(t, "BBS(0x%X,", type);
    text_put_ascii(t, (struct cvm_bytes){ (const uint8_t *)name, length });
    text_put(t, ")");
}

static const struct node {
    uint8_t type, subtype;
    void (*put)(struct text *t, struct cvm_reader *r);
} nodes[] = {
    { HARDWARE, 1, put_pci },
    { HARDWARE, 3, put_memory_mapped },
    { HARDWARE, 4, put_hardware_vendor },
    { ACPI, 1, put_acpi },
    { MESSAGING, 2, put_scsi },
    { MESSAGING, 5, put_usb },
    { MESSAGING, 11, put_mac },
    { MESSAGING, 18, put_sata },
    { MESSAGING, 23, put_nvme },
    { MEDIA, 1, put_hard_drive },
    { MEDIA, 2, put_cdrom },
    { MEDIA, 3, put_media_vendor },
    { MEDIA, 4, text_put_utf16 }, /* a file's path */
    { MEDIA, 6, put_firmware_file },
    { MEDIA, 7, put_firmware_volume },
    { BIOS_BOOT, 1, put_bios_boot },
};

static void put_node(struct text *t, uint8_t type, uint8_t subtype, struct cvm_reader *r)
{
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        if (nodes[i].type == type && nodes[i].subtype == subtype) {
            nodes[i].put(t, r);
            text_put(t, "%s", r->want != 0 ? "?" : "");
            return;
        }
    }
    size_t left = cvm_reader_left(r);
    text_put(t, "Path(%u,%u,", type, subtype);
    text_put_hex(t, (struct cvm_bytes){ cvm_read_bytes(r, left), left });
    text_put(t, ")");
}

void text_put_device_path(struct text *t, struct cvm_reader *path)
{
    for (unsigned i = 0; i < MAX_NODES; i++) {
        uint8_t type = cvm_read_u8(path);
        uint8_t subtype = cvm_read_u8(path);
        uint16_t length = cvm_read_u16le(path);
        if (path->want == 0 && type == END && subtype == END_ENTIRE) {
            return;
        }
        struct cvm_reader node = cvm_read_sub(path, length < 4 ? SIZE_MAX : length - 4u);
        text_put(t, "%s", i == 0 ? "" : "/");
        if (path->want != 0) {
            text_put(t, "?");
            return;
        }
        put_node(t, type, subtype, &node);
    }
}
