#include "vmm/fw_cfg.h"

#include <string.h>

uint32_t cvm_swap32(uint32_t value)
{
    return value << 24 | (value << 8 & 0xff0000) | (value >> 8 & 0xff00) | value >> 24;
}

static uint32_t read_u32be(struct cvm_reader *r)
{
    return cvm_swap32(cvm_read_u32le(r));
}

bool cvm_fw_cfg_look_for(const uint8_t *directory, size_t size, const char *name,
                         struct cvm_fw_cfg_entry *out, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(directory, size);
    uint32_t count = read_u32be(&r);
    if (count > CVM_FW_CFG_MAX_ENTRIES) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "fw_cfg has %u files; at most %d are known", count,
                        CVM_FW_CFG_MAX_ENTRIES);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cvm_reader entry = cvm_read_sub(&r, CVM_FW_CFG_ENTRY_SIZE);
        struct cvm_fw_cfg_entry found = { .size = read_u32be(&entry) };
        found.key = (uint16_t)(cvm_read_u8(&entry) << 8);
        found.key |= cvm_read_u8(&entry);
        cvm_read_skip(&entry, 2);
        const uint8_t *text = cvm_read_bytes(&entry, CVM_FW_CFG_NAME_SIZE);
        if (text == NULL) {
            break;
        }
        if (strncmp((const char *)text, name, CVM_FW_CFG_NAME_SIZE) == 0) {
            *out = found;
            return true;
        }
    }
    struct cvm_error why = { 0 };
    if (!cvm_reader_ok(&r, "fw_cfg", &why)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "%s", why.msg);
    }
    *out = (struct cvm_fw_cfg_entry){ 0 };
    return true;
}

bool cvm_fw_cfg_find(const uint8_t *directory, size_t size, const char *name,
                     struct cvm_fw_cfg_entry *out, struct cvm_error *err)
{
    if (!cvm_fw_cfg_look_for(directory, size, name, out, err)) {
        return false;
    }
    return out->key != 0
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM, "the emulator has no '%s' in fw_cfg", name);
}
