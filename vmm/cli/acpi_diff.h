/*
 * The differences of a table for people: as disassembly where iasl is at hand, else as bytes.
 */
#ifndef CVM_CLI_ACPI_DIFF_H
#define CVM_CLI_ACPI_DIFF_H

#include "vmm/acpi_compare.h"

/*
 * Appends a unified diff of the two disassemblies, of at most a hundred lines or so, or bytes
 * around the first difference where there is no iasl or it cannot read the tables. Whatever goes
 * wrong with iasl is no error. Nothing for tables that are equal or on one side only.
 */
void cli_acpi_put_diff(const struct cvm_table_comparison *table, struct cvm_buf *out);

/* Appends the bytes around an offset of two files, theirs below ours. */
void cli_acpi_put_bytes(struct cvm_bytes ours, struct cvm_bytes theirs, size_t offset,
                        struct cvm_buf *out);

#endif
