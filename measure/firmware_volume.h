/*
 * Walking firmware volumes: the files in them, also in volumes that are packed inside others.
 *
 * Source: UEFI Platform Initialization 1.8, volume 3: 3.2.1 (volume headers), 3.2.3 (files),
 *         3.2.4 (sections). LZMA sections are those that edk2 builds write.
 */
#ifndef CVM_FIRMWARE_VOLUME_H
#define CVM_FIRMWARE_VOLUME_H

#include "measure/base/buf.h"
#include "measure/base/guid.h"
#include "measure/include/cvm/types.h"

enum {
    FV_MAX_UNPACKED = 64 << 20, /* bytes, of all packed sections together */
    FV_MAX_DEPTH = 8,           /* of volumes and packed sections in one another */
    FV_MAX_FILES = 1 << 16,
};

/* A file of a volume; everything is borrowed for the call. */
struct fv_file {
    const struct cvm_guid *volume; /* the volume's name; NULL where it has none */
    struct cvm_guid name;
    uint8_t type; /* EFI_FV_FILETYPE */
    struct cvm_bytes contents;
};

/*
 * Whom a walk tells what it meets, in the order of the bytes, and what it has met so far: the
 * limits above hold for all walks of one visitor. Each function may be NULL.
 */
struct fv_visitor {
    uint32_t num_volumes; /* of the regions themselves */
    uint32_t num_files;   /* of all volumes */
    size_t unpacked;      /* bytes */
    void *data;
    void (*on_file)(void *data, const struct fv_file *file);
    /* What a packed section held; its volumes follow. */
    void (*on_unpacked)(void *data, struct cvm_bytes bytes);
    /* A section that is packed in a way that is not known; its contents stay unseen. */
    void (*on_unknown_packing)(void *data, const struct cvm_guid *method);
};

/*
 * Walks every volume of a region, which begin at multiples of 4096 bytes; what lies between them
 * is passed over.
 *
 * @param region  borrowed for the call.
 * @param base    where the region lies in its file, for messages.
 * @return false with CVM_ERR_MALFORMED naming what, offset and limit; CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool fv_walk(struct cvm_bytes region, size_t base, struct fv_visitor *visitor,
                            struct cvm_error *err);

/* The file system GUID of a region that begins with a volume header; NULL where none does. */
const uint8_t *fv_file_system(struct cvm_bytes region);

/*
 * The contents of the volume at the start of the region, behind its header.
 *
 * @return false with CVM_ERR_MALFORMED as fv_walk().
 */
CVM_MUST_CHECK bool fv_contents(struct cvm_bytes region, size_t base, struct cvm_bytes *out,
                                size_t *out_base, struct cvm_error *err);

#endif
