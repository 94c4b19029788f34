#include "measure/efi.h"

#include "measure/base/guid.h"

void efi_put_variable_event(struct cvm_buf *out, const char *guid, const char *name,
                            struct cvm_bytes data)
{
    cvm_put_guid(out, guid);
    cvm_put_le(out, strlen(name), 8); /* UnicodeNameLength, in characters */
    cvm_put_le(out, data.size, 8);    /* VariableDataLength */
    cvm_put_utf16(out, name);
    cvm_put_bytes(out, data.data, data.size);
}

/* A media device path node that holds a GUID: a firmware volume (7) or a file in one (6). */
static void put_firmware_node(struct cvm_buf *out, uint8_t subtype, const char *guid)
{
    cvm_put_u8(out, 4); /* media device path */
    cvm_put_u8(out, subtype);
    cvm_put_le(out, 4 + 16, 2);
    cvm_put_guid(out, guid);
}

void efi_put_load_option(struct cvm_buf *out, const struct cvm_boot_option *option)
{
    enum { FIRMWARE_FILE = 6, FIRMWARE_VOLUME = 7, PATH_SIZE = 20 + 20 + 4 };
    cvm_put_le(out, option->attributes, 4);
    cvm_put_le(out, PATH_SIZE, 2); /* FilePathListLength */
    cvm_put_utf16(out, option->description);
    cvm_put_le(out, 0, 2);
    put_firmware_node(out, FIRMWARE_VOLUME, option->volume_guid);
    put_firmware_node(out, FIRMWARE_FILE, option->file_guid);
    cvm_put_le(out, 0x0004ff7f, 4); /* end of the device path */
}
