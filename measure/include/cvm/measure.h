/**
 * Expected measurements: MRTD and RTMR0 to RTMR2 of a machine that starts an image.
 *
 * Two ways in: the image's files, or its compact measurement. Both give the same
 * registers for the same image and machine.
 *
 * Source:  docs/measurement.md, checked against quotes of TDX hardware.
 * Threads: no global state; all functions may run at the same time.
 */
#ifndef CVM_MEASURE_H
#define CVM_MEASURE_H

#include "cvm/compact.h"
#include "cvm/event_log.h"
#include "cvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The parts of an image that are measured. All are borrowed for the call. */
struct cvm_image {
    struct cvm_bytes firmware; /**< the whole OVMF file */
    struct cvm_bytes kernel;   /**< the whole bzImage */
    const char *cmdline;       /**< as the bundle declares it, UTF-8 */
    uint64_t initrd_size;      /**< bytes */
    struct cvm_sha384 initrd;  /**< of the whole file: it is large, so the caller hashes it */
};

struct cvm_expectation {
    struct cvm_sha384 mrtd;
    struct cvm_sha384 rtmr[3];    /**< what replaying the events gives */
    struct cvm_event_list events; /**< of RTMR0, RTMR1, RTMR2 */
    bool unknown_variables; /**< the variable store is not the known empty one, but the events of
                                 its variables are those of an empty store */
    bool acpi_extrapolated; /**< cvm_acpi.extrapolated of the ACPI files that were used */
};

/**
 * Computes the expectation from the image's files.
 *
 * @return false with CVM_ERR_MALFORMED for a file or machine that cannot be, naming which and
 *         where; CVM_ERR_UNSUPPORTED for what is understood but cannot be computed (the smbios
 *         event at a memory size other than 2 GiB, for example); CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_measure_image(const struct cvm_machine *machine,
                                              const struct cvm_image *image,
                                              struct cvm_expectation *out, struct cvm_error *err);

/**
 * Computes the expectation from a compact measurement, which fits machines of exactly 2 GiB
 * or at least 2816 MiB of memory; others are CVM_ERR_UNSUPPORTED.
 */
CVM_API CVM_MUST_CHECK bool cvm_measure_compact(const struct cvm_machine *machine,
                                                const struct cvm_compact *compact,
                                                struct cvm_expectation *out, struct cvm_error *err);

/** Whether a compact measurement fits a machine with this much memory (bytes). */
CVM_API bool cvm_compact_fits_memory(uint64_t memory_size);

/**
 * Makes the compact measurement of an image.
 *
 * @param layout         the firmware's layout; it must have a name.
 * @param kernel_header  CVM_KERNEL_AS_IS for an image whose kernel carries the rewritten header.
 */
CVM_API CVM_MUST_CHECK bool cvm_compact_from_image(const struct cvm_image *image,
                                                   const struct cvm_layout *layout,
                                                   enum cvm_kernel_header kernel_header,
                                                   struct cvm_compact *out, struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
