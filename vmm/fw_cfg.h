/*
 * The directory of fw_cfg, as an emulator hands it out.
 *
 * Source: QEMU's documentation of fw_cfg (docs/specs): u32 count, then entries of u32 size,
 *         u16 key, u16 reserved, name of 56 bytes; all numbers big-endian.
 */
#ifndef CVM_VMM_FW_CFG_H
#define CVM_VMM_FW_CFG_H

#include "measure/base/reader.h"

enum {
    CVM_FW_CFG_ENTRY_SIZE = 64,
    CVM_FW_CFG_NAME_SIZE = 56, /* with its NUL */
    CVM_FW_CFG_MAX_ENTRIES = 256,
    CVM_FW_CFG_MAX_DIRECTORY = 4 + CVM_FW_CFG_MAX_ENTRIES * CVM_FW_CFG_ENTRY_SIZE,
};

/* What selects a file, and how long it is. */
struct cvm_fw_cfg_entry {
    uint32_t size; /* bytes */
    uint16_t key;
};

/*
 * Looks for a file in the directory.
 *
 * @param out  all zeros where there is none of that name: keys of files start at 0x20.
 * @return false with CVM_ERR_SYSTEM where the directory is cut off or names more files than an
 *         emulator has.
 */
CVM_MUST_CHECK bool cvm_fw_cfg_look_for(const uint8_t *directory, size_t size, const char *name,
                                        struct cvm_fw_cfg_entry *out, struct cvm_error *err);

/*
 * Finds a file that has to be in the directory.
 *
 * @param size  of what is at hand: the directory may end earlier.
 * @return false with CVM_ERR_SYSTEM where the directory is cut off, names more files than an
 *         emulator has, or does not name this one.
 */
CVM_MUST_CHECK bool cvm_fw_cfg_find(const uint8_t *directory, size_t size, const char *name,
                                    struct cvm_fw_cfg_entry *out, struct cvm_error *err);

/* The same 32 bits with their bytes in the other order. */
uint32_t cvm_swap32(uint32_t value);

#endif
