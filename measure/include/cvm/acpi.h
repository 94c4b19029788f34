/**
 * The ACPI files of a machine, byte for byte as QEMU hands them to the firmware.
 *
 * OVMF reads three files through fw_cfg and measures each as read, before it patches
 * addresses and checksums: etc/table-loader, etc/acpi/rsdp and etc/acpi/tables. They are
 * generated here from the machine alone: no QEMU runs, and nothing is a template.
 *
 * Source:  ACPI 6.5; the choice of tables and devices as read out of unmodified QEMU
 *          binaries 7.2 to 11.1 (tests/vectors/README.md).
 * Threads: no global state.
 */
#ifndef CVM_ACPI_H
#define CVM_ACPI_H

#include "cvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A file of size bytes, owned by the struct that holds it. */
struct cvm_acpi_file {
    uint8_t *data;
    size_t size;
};

struct cvm_acpi {
    struct cvm_acpi_file tables; /**< etc/acpi/tables: a multiple of 128 KiB */
    struct cvm_acpi_file rsdp;   /**< etc/acpi/rsdp: 20 bytes */
    struct cvm_acpi_file loader; /**< etc/table-loader: a multiple of 4 KiB */
    size_t tables_used;          /**< bytes of tables before the padding */
    bool extrapolated; /**< no binary of this QEMU version was ever compared with this library */
};

/**
 * Generates the three files.
 *
 * @param out  set on success; to be released with cvm_acpi_free().
 * @return false with CVM_ERR_MALFORMED or CVM_ERR_UNSUPPORTED from cvm_machine_check(),
 *         CVM_ERR_UNSUPPORTED naming what cannot be generated, CVM_ERR_NOMEM.
 */
CVM_API CVM_MUST_CHECK bool cvm_acpi_build(const struct cvm_machine *machine, struct cvm_acpi *out,
                                           struct cvm_error *err);

/** Releases the files; takes a zeroed struct as well and leaves one. */
CVM_API void cvm_acpi_free(struct cvm_acpi *acpi);

#ifdef __cplusplus
}
#endif

#endif
