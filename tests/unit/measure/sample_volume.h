/*
 * Firmware volumes, packed sections and variable stores, built field by field.
 *
 * All buffers are the caller's to free.
 */
#ifndef CVM_TESTS_SAMPLE_VOLUME_H
#define CVM_TESTS_SAMPLE_VOLUME_H

#include "measure/base/buf.h"
#include "measure/include/cvm/firmware.h"

#define SAMPLE_FFS2 "8c8ce578-8a3d-4f1c-9935-896185c32dd3"
#define SAMPLE_NV "fff12b8d-7696-4c8b-a985-2747075b4f50"
#define SAMPLE_DXEFV "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"
#define SAMPLE_LZMA "ee4e5898-3914-4259-9d6e-dc7bd79403cf"

/* Where the fields of a volume and of a file lie. */
enum {
    VOLUME_LENGTH = 32,
    VOLUME_HEADER_LENGTH = 48,
    VOLUME_EXT_HEADER = 52,
    VOLUME_EXT_SIZE = 0x48 + 16, /* of volumes with a name */
    VOLUME_FILES = 0x60,         /* of volumes with a name */
    FILE_ATTRIBUTES = 19,
    FILE_SIZE = 20,
    FILE_STATE = 23,
};

/* A volume of `size` bytes; its name may be NULL. Files are already aligned. */
struct cvm_buf volume_build(const char *file_system, const char *name, const struct cvm_buf *files,
                            size_t size);

/* Appends a file, and what aligns the next one. */
void put_ffs_file(struct cvm_buf *files, const char *guid, uint8_t type, struct cvm_bytes contents);

/* Appends a section: a leaf, or one with a GUID, a data offset of 24 and attributes 1. */
void put_section_of(struct cvm_buf *sections, uint8_t type, struct cvm_bytes contents);
void put_guided_section(struct cvm_buf *sections, const char *guid, struct cvm_bytes contents);

/* The LZMA "alone" stream of these bytes; with_size: the header says how many there are. */
struct cvm_buf lzma_pack(struct cvm_bytes bytes, bool with_size);

/*
 * A whole firmware file: the store, then a volume with a packed one, in which the drivers and
 * texts of the features are, then TDVF metadata.
 *
 * @param store  the CFV section, a multiple of 4096 bytes.
 */
struct cvm_buf firmware_build_volumes(const struct cvm_firmware_features *features,
                                      struct cvm_bytes store);

/* --- variable stores --- */

struct sample_variable {
    uint8_t state;
    const char *guid;
    const char *name; /* ASCII */
    struct cvm_bytes data;
};

/* A CFV section of `size` bytes: volume, store of size - 0x48 bytes, these variables. */
struct cvm_buf store_build(bool authenticated, const struct sample_variable *variables,
                           size_t count, size_t size);

enum { STORE_SIZE_AT = 0x48 + 16, STORE_FORMAT_AT = 0x48 + 20, STORE_STATE_AT, STORE_FIRST = 0x64 };

#endif
