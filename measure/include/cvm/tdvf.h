/**
 * TDVF metadata: what a firmware file asks the VMM to put where, before a TD starts.
 *
 * Source:  Intel TDX Virtual Firmware Design Guide, "TDVF metadata".
 * Threads: no global state.
 */
#ifndef CVM_TDVF_H
#define CVM_TDVF_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cvm_tdvf_type {
    CVM_TDVF_BFV = 0, /**< boot firmware volume: code */
    CVM_TDVF_CFV = 1, /**< configuration firmware volume: variables */
    CVM_TDVF_TD_HOB = 2,
    CVM_TDVF_TEMP_MEM = 3,
    CVM_TDVF_PERM_MEM = 4,
    CVM_TDVF_PAYLOAD = 5,
    CVM_TDVF_PAYLOAD_PARAM = 6,
};

enum cvm_tdvf_attributes {
    CVM_TDVF_MR_EXTEND = 1, /**< the contents are extended into MRTD */
    CVM_TDVF_PAGE_AUG = 2,  /**< the pages are added later, and do not reach MRTD */
};

/** A section of the metadata; checked against the file when parsed. */
struct cvm_tdvf_section {
    uint32_t data_offset; /**< in the file */
    uint32_t raw_size;    /**< bytes in the file; 0 for memory without contents */
    uint64_t mem_addr;    /**< guest-physical, a multiple of 4096 */
    uint64_t mem_size;    /**< bytes, a multiple of 4096, at least raw_size */
    uint32_t type;        /**< enum cvm_tdvf_type */
    uint32_t attributes;  /**< enum cvm_tdvf_attributes */
};

enum { CVM_TDVF_MAX_SECTIONS = 64, CVM_TD_MAX_RANGES = 32 };

struct cvm_tdvf {
    struct cvm_tdvf_section sections[CVM_TDVF_MAX_SECTIONS]; /**< in table order */
    uint32_t num_sections;
};

/**
 * Parses the metadata of a firmware file.
 *
 * @param firmware  the whole file, borrowed for the call.
 * @param out       set on success; holds no pointers into the file.
 * @return false with CVM_ERR_MALFORMED naming field, offset and limit, or
 *         CVM_ERR_UNSUPPORTED for a version or section type that is not known.
 */
CVM_API CVM_MUST_CHECK bool cvm_tdvf_parse(struct cvm_bytes firmware, struct cvm_tdvf *out,
                                           struct cvm_error *err);

/** Memory that the firmware may use before it accepts the rest. */
struct cvm_td_range {
    uint64_t start; /**< bytes, a multiple of 4096 */
    uint64_t size;  /**< bytes, a multiple of 4096, not 0 */
};

/** The TD_HOB and TempMem sections, as the hand-off block depends on them. */
struct cvm_td_ranges {
    struct cvm_td_range ranges[CVM_TD_MAX_RANGES]; /**< ascending, never overlapping */
    uint32_t num_ranges;
    uint64_t td_hob; /**< start of the range that is the TD_HOB section */
};

/**
 * Takes the ranges out of parsed metadata.
 *
 * @return false with CVM_ERR_MALFORMED where there is no TD_HOB section or more than one,
 *         or ranges overlap.
 */
CVM_API CVM_MUST_CHECK bool cvm_tdvf_ranges(const struct cvm_tdvf *tdvf, struct cvm_td_ranges *out,
                                            struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
