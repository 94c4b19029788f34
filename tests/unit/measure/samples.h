/*
 * Inputs of the measuring functions: synthetic files, built field by field from their
 * specifications, and the quote that was captured on TDX hardware.
 *
 * Whatever a field does not cover is filled with sample_byte(), so that no two places of a
 * file look alike. All buffers are the caller's to free.
 */
#ifndef CVM_TESTS_SAMPLES_H
#define CVM_TESTS_SAMPLES_H

#include "measure/base/buf.h"
#include "measure/include/cvm/machine.h"
#include "measure/include/cvm/measure.h"
#include "measure/include/cvm/tdvf.h"

/* The byte at offset `at` of every synthetic file. */
uint8_t sample_byte(size_t at);

/* size bytes of it. */
struct cvm_buf sample_fill(size_t size);

struct cvm_bytes bytes_of(const struct cvm_buf *b);

/* A copy that ends where its allocation ends, so that a sanitizer sees a read behind it. */
uint8_t *exact_copy(const uint8_t *data, size_t size);

/* --- firmware --- */

/*
 * Where the fields of a synthetic firmware lie: bytes before its end. Behind the descriptor
 * there is the GUIDed table: the entry that locates the descriptor, another one, the footer.
 */
enum {
    FW_DESCRIPTOR = 0x900, /* "TDVF" */
    FW_LENGTH = FW_DESCRIPTOR - 4,
    FW_VERSION = FW_DESCRIPTOR - 8,
    FW_COUNT = FW_DESCRIPTOR - 12,
    FW_OFFSET = 94, /* u32: FW_DESCRIPTOR */
    FW_OFFSET_LENGTH = 90,
    FW_OFFSET_GUID = 88,
    FW_OTHER_LENGTH = 68,
    FW_FOOTER_LENGTH = 50,
    FW_FOOTER_GUID = 48,
    FW_TABLE_LENGTH = 62,
};
/* A field of section i, `at` bytes into its 32. */
#define FW_SECTION(i, at) (FW_DESCRIPTOR - 16 - 32 * (i) - (at))
enum {
    FW_DATA_OFFSET = 0,
    FW_RAW_SIZE = 4,
    FW_MEM_ADDR = 8,
    FW_MEM_SIZE = 16,
    FW_TYPE = 24,
    FW_ATTRIBUTES = 28
};

struct firmware_sample {
    size_t size; /* of the file, bytes; more than FW_DESCRIPTOR */
    uint32_t num_sections;
    struct cvm_tdvf_section sections[CVM_TDVF_MAX_SECTIONS];
};

/* BFV, CFV, and the four ranges of docs/measurement.md's TD HOB example, out of order. */
extern const struct firmware_sample firmware_plain;

struct cvm_buf firmware_build(const struct firmware_sample *sample);
void firmware_patch(struct cvm_buf *firmware, size_t from_end, uint64_t value, size_t width);

/* A firmware whose CFV is the empty variable store of a 4 MiB build. */
struct cvm_buf firmware_build_empty_store(void);

/* --- PE images and kernels --- */

struct pe_sample {
    bool plus; /* PE32+ */
    uint32_t e_lfanew;
    uint32_t size_of_headers;
    uint32_t certificate_size; /* as its directory entry says */
    uint32_t num_directories;
    uint32_t num_sections;
    struct {
        uint32_t raw_offset, raw_size;
    } sections[4];
    size_t size; /* of the file */
};

/* Offsets from e_lfanew on, for both forms; then those of the PE32+ form. */
enum {
    PE_NUM_SECTIONS = 6,
    PE_OPTIONAL_SIZE = 20,
    PE_MAGIC = 24,
    PE_SIZE_OF_HEADERS = 24 + 60,
    PE_CHECKSUM = 24 + 64,
    PE32_CERTIFICATE_DIR = 24 + 96 + 4 * 8,
    PE32_SECTIONS = 24 + 96 + 16 * 8,
    PE32_PLUS_CERTIFICATE_DIR = 24 + 112 + 4 * 8,
    PE32_PLUS_SECTIONS = 24 + 112 + 16 * 8,
};

struct cvm_buf pe_build(const struct pe_sample *sample);

/* What of the Linux setup header decides; the file is a PE32+ image as well. */
struct kernel_sample {
    uint16_t protocol;
    uint8_t loadflags;
    uint16_t xloadflags;
    uint32_t initrd_addr_max;
};

/* That of a present-day x86_64 kernel. */
extern const struct kernel_sample kernel_modern;

struct cvm_buf kernel_build(const struct kernel_sample *sample);

/* --- hw/tdx-lite-2cpu-2g.json --- */

enum { HW_MAX_EVENTS = 64 };

struct hw_event {
    unsigned imr;
    uint32_t type;
    struct cvm_sha384 digest; /* the log leaves it out for run-time events */
    bool has_digest;
    char name[64];
    struct cvm_buf payload;
};

struct hw_sample {
    struct cvm_buf compact; /* measurement.tdx.cbor */
    struct cvm_buf quote;
    struct hw_event events[HW_MAX_EVENTS];
    uint32_t num_events;
    struct cvm_sha384 mrtd;
    struct cvm_sha384 rtmr[4];
};

void hw_load(struct hw_sample *out);
void hw_free(struct hw_sample *hw);

#endif
