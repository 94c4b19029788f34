/**
 * SMBIOS: the structures QEMU hands to the firmware, and the digest the firmware measures.
 *
 * QEMU builds the fw_cfg file etc/smbios/smbios-tables. OVMF installs its structures, adds a
 * type 0 of its own and an end, and builds with SmbiosMeasurementDxe measure a filtered copy of
 * the whole: serial numbers, the UUID and counts of cores and the like are blanked.
 *
 * Source:  SMBIOS reference specification (DMTF DSP0134) 2.8 and 3.0; the choice of structures as
 *          read out of unmodified QEMU binaries (tests/vectors/README.md); the filter from the
 *          firmware and its RTMR extends (docs/measurement.md).
 * Threads: no global state.
 */
#ifndef CVM_SMBIOS_H
#define CVM_SMBIOS_H

#include "cvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/** etc/smbios/smbios-tables; owns its bytes. */
struct cvm_smbios_tables {
    uint8_t *data;
    size_t size;       /**< bytes */
    bool extrapolated; /**< no binary of this QEMU version was ever compared with this library */
};

/**
 * Generates etc/smbios/smbios-tables as QEMU does for a machine with one socket.
 *
 * @param machine  needs cpu_signature and cpu_features_edx.
 * @param out      set on success; to be released with cvm_smbios_tables_free().
 * @return false with CVM_ERR_MALFORMED or CVM_ERR_UNSUPPORTED from cvm_machine_check(),
 *         CVM_ERR_UNSUPPORTED naming the CPU facts that are missing, or for a machine that its
 *         QEMU refuses; CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_smbios_build(const struct cvm_machine *machine,
                                             struct cvm_smbios_tables *out, struct cvm_error *err);

/** Releases the bytes; takes a zeroed struct as well and leaves one. */
CVM_API void cvm_smbios_tables_free(struct cvm_smbios_tables *tables);

/**
 * EDX of CPUID leaf 1 as the machine's type 4 has it: machine->cpu_features_edx, with bit 28
 * where the QEMU version sets it for more than one CPU. 0 where the fact is missing.
 */
CVM_API uint32_t cvm_smbios_features_edx(const struct cvm_machine *machine);

/**
 * Finds the strings in an unpacked volume of an OVMF build: in the read-only data of the driver
 * that adds the structure (SmbiosPlatformDxe), where they are UTF-16.
 *
 * @param volume  borrowed for the call; anything that contains the driver's file.
 * @param out     set on success.
 * @return false with CVM_ERR_UNSUPPORTED where the driver or its strings are not found or not
 *         in an order that is known, CVM_ERR_MALFORMED where the driver's file is damaged.
 */
CVM_API CVM_MUST_CHECK bool cvm_smbios_find_strings(struct cvm_bytes volume,
                                                    struct cvm_smbios_firmware *out,
                                                    struct cvm_error *err);

/**
 * The digest of the SMBIOS event.
 *
 * @param tables    etc/smbios/smbios-tables, at most 1 MiB, ending in its type 127 structure;
 *                  borrowed for the call. It need not come from cvm_smbios_build().
 * @param firmware  of the build that measures.
 * @return false with CVM_ERR_MALFORMED naming structure and offset, CVM_ERR_NOMEM,
 *         CVM_ERR_SYSTEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_smbios_digest(struct cvm_bytes tables,
                                              const struct cvm_smbios_firmware *firmware,
                                              struct cvm_sha384 *out, struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
