/*
 * The three files a guest's firmware reads through fw_cfg: the tables, the RSDP, and the
 * loader script that says how to place and link them.
 *
 * A table is appended with acpi_table_begin() and acpi_table_end(); pointers between tables
 * are written as offsets into the tables file, and the loader script tells the firmware to
 * turn them into addresses and to fill in checksums.
 *
 * Source:  ACPI 6.5, 5.2; the loader's commands as observed in QEMU's etc/table-loader.
 */
#ifndef CVM_ACPI_TABLE_H
#define CVM_ACPI_TABLE_H

#include "measure/acpi/profile.h"
#include "measure/base/buf.h"
#include "measure/include/cvm/machine.h"

enum { ACPI_MAX_TABLES = 16 };

struct acpi_build {
    const struct cvm_machine *machine;
    const struct acpi_profile *profile;
    struct cvm_buf tables; /* etc/acpi/tables */
    struct cvm_buf rsdp;   /* etc/acpi/rsdp */
    struct cvm_buf loader; /* etc/table-loader, without its two allocations */
    size_t start;          /* of the table being written, in tables */
    uint32_t facs;         /* offsets of finished tables, in tables */
    uint32_t dsdt;
    uint32_t listed[ACPI_MAX_TABLES]; /* those that the RSDT points to */
    unsigned num_listed;
};

/* Writes the 36-byte header of a table with this signature and revision. */
void acpi_table_begin(struct acpi_build *b, const char *signature, uint8_t revision);

/* Puts the length in place and asks the loader for the checksum; returns the table's offset. */
uint32_t acpi_table_end(struct acpi_build *b);

/* Remembers a finished table for the RSDT. */
void acpi_table_list(struct acpi_build *b, uint32_t offset);

/* Writes `target`, an offset in the tables file, in size bytes and has the loader relocate it. */
void acpi_put_pointer(struct acpi_build *b, uint32_t target, uint8_t size);

/* Writes a pointer to the TPM's event log, which the loader allocates, in 8 bytes. */
void acpi_put_log_pointer(struct acpi_build *b);

/* One function per table, each appending it whole. */
void acpi_build_facs(struct acpi_build *b);
CVM_MUST_CHECK bool acpi_build_dsdt(struct acpi_build *b, struct cvm_error *err);
void acpi_build_fadt(struct acpi_build *b);
void acpi_build_madt(struct acpi_build *b);
void acpi_build_tpm2(struct acpi_build *b);
void acpi_build_srat(struct acpi_build *b);
void acpi_build_mcfg(struct acpi_build *b);
void acpi_build_waet(struct acpi_build *b);
void acpi_build_rsdt_and_rsdp(struct acpi_build *b);

/* Puts the allocations in front of the loader script and pads all files to their sizes. */
void acpi_finish_files(struct acpi_build *b);

#endif
