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
#include "cvm/firmware.h"
#include "cvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The parts of an image that are measured. All are borrowed for the call. */
struct cvm_image {
    struct cvm_bytes firmware; /**< the whole OVMF file; may be empty where inspected is set */
    /** What cvm_firmware_inspect() said of that file; NULL: the call inspects it itself. */
    const struct cvm_firmware *inspected;
    struct cvm_bytes kernel;  /**< the whole bzImage */
    const char *cmdline;      /**< as the bundle declares it, UTF-8 */
    uint64_t initrd_size;     /**< bytes */
    struct cvm_sha384 initrd; /**< of the whole file: it is large, so the caller hashes it */
};

/** What the kernel's file says of itself. */
struct cvm_kernel_info {
    char version[64];   /**< "6.12.117-cloud-amd64"; "" where it is not known */
    bool version_known; /**< false too where there is no file, but a compact measurement */
    bool is_old;        /**< older than 6.9, whose EFI stub may extend nothing into RTMR2 */
    bool is_signed;     /**< has a certificate table; by whom it is signed is not looked at */
};

struct cvm_expectation {
    struct cvm_sha384 mrtd;
    struct cvm_sha384 rtmr[3];    /**< what replaying the events gives */
    struct cvm_event_list events; /**< of RTMR0, RTMR1, RTMR2 */
    bool unknown_variables;   /**< there is no variable store that could be read, and the events of
                                   its variables are those of an empty store */
    bool stored_boot_options; /**< the store holds boot options, which the events do not show */
    bool secure_boot;         /**< on, in a firmware that enforces it */
    struct cvm_kernel_info kernel;
    bool acpi_extrapolated;   /**< cvm_acpi.extrapolated of the ACPI files that were used */
    bool smbios_extrapolated; /**< cvm_smbios_tables.extrapolated of the tables that were used */
};

/**
 * Computes the expectation from the image's files.
 *
 * A machine without a layout (NULL) has the one that was read out of the firmware; where that is
 * not known, it is CVM_ERR_UNSUPPORTED.
 *
 * @return false with CVM_ERR_MALFORMED for a file or machine that cannot be, naming which and
 *         where; CVM_ERR_UNSUPPORTED for what is understood but cannot be computed (the smbios
 *         event of a machine whose CPU is not known, or a firmware that measures nothing in a TD,
 *         for example); CVM_ERR_MISMATCH where inspected is of another file; CVM_ERR_NOMEM,
 *         CVM_ERR_SYSTEM.
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
