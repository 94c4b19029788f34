/*
 * ACPI files held against each other: ours, and those that an emulator handed out.
 *
 * Theirs come from a program that may answer anything: what cannot be read as tables or commands
 * is still compared byte by byte.
 *
 * Source: ACPI 6.5, 5.2.6 (headers); QEMU's documentation of the table loader: commands of 128
 *         bytes, u32 which, then file names of 56 bytes and numbers of 1 to 4 bytes.
 */
#ifndef CVM_VMM_ACPI_COMPARE_H
#define CVM_VMM_ACPI_COMPARE_H

#include "measure/base/buf.h"
#include "measure/include/cvm/acpi.h"
#include "measure/include/cvm/types.h"

enum {
    CVM_MAX_TABLES = 32,
    CVM_LOADER_COMMAND_SIZE = 128,
    CVM_MAX_LOADER_COMMANDS = 4096,
};

enum cvm_acpi_file_index {
    CVM_ACPI_FILE_LOADER,
    CVM_ACPI_FILE_RSDP,
    CVM_ACPI_FILE_TABLES,
    CVM_NUM_ACPI_FILES,
};

/* Where two differ first; the shorter one's size where it is a beginning of the other. */
size_t cvm_first_difference(struct cvm_bytes a, struct cvm_bytes b);
bool cvm_bytes_same(struct cvm_bytes a, struct cvm_bytes b);

/* The files of one side, borrowed. */
struct cvm_acpi_files {
    struct cvm_bytes file[CVM_NUM_ACPI_FILES];
};

/* The three files that were generated. */
struct cvm_acpi_files cvm_acpi_files_of(const struct cvm_acpi *acpi);

struct cvm_file_comparison {
    const char *name; /* "loader", "rsdp", "tables" */
    bool equal;
    size_t ours_size, theirs_size; /* bytes */
    size_t first_difference;       /* offset in the file; where one ends, if it is a beginning */
};

enum cvm_table_state {
    CVM_TABLE_EQUAL,
    CVM_TABLE_DIFFERS,
    CVM_TABLE_MISSING, /* the emulator has it, we have not */
    CVM_TABLE_SURPLUS, /* we have it, the emulator has not */
};

/* A table, by its signature and by how many of the same stood before it. */
struct cvm_table_comparison {
    char signature[5];
    unsigned instance;
    enum cvm_table_state state;
    struct cvm_bytes ours, theirs; /* borrowed from the files; empty where there is none */
    size_t first_difference;       /* offset in the table */
};

/* Loader commands, as texts: "add_pointer etc/acpi/tables+0x24, 4 bytes -> etc/acpi/tables". */
struct cvm_loader_comparison {
    size_t ours_count, theirs_count; /* commands, without the zeros at the end */
    size_t command;                  /* the first that differs */
    char ours[224], theirs[224];     /* "" where a side has ended */
};

struct cvm_acpi_comparison {
    bool equal;
    struct cvm_file_comparison files[CVM_NUM_ACPI_FILES];
    struct cvm_table_comparison tables[CVM_MAX_TABLES];
    size_t num_tables;
    char unreadable[200]; /* why the emulator's tables are not listed whole; "" where they are */
    struct cvm_loader_comparison loader;
};

/* Compares; the result borrows from both. */
void cvm_acpi_compare(const struct cvm_acpi_files *ours, const struct cvm_acpi_files *theirs,
                      struct cvm_acpi_comparison *out);

/* "equal", "differs", "missing", "surplus". */
const char *cvm_table_state_word(enum cvm_table_state state);

/*
 * Appends the differences in one phrase: "table DSDT differs at 0x1f4, table SRAT is missing".
 * Nothing where there are none.
 */
void cvm_acpi_comparison_phrase(const struct cvm_acpi_comparison *c, struct cvm_buf *out);

#endif
