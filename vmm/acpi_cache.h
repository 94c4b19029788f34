/*
 * What emulators answered when they were asked for a machine's ACPI files: STATE/cache/acpi.
 *
 * An entry holds the digests of an answer, not a verdict: they are compared anew each time, so
 * that it stays true when this program generates other tables. Entries are found by the SHA-256 of
 *
 * - the format version of this cache, which also stands for how emulators are asked,
 * - the SHA-256 of the emulator's file, and the line with which it answers --version,
 * - every fact of the machine that reaches the tables.
 *
 * The digest of the emulator's file is itself kept, by device, inode, size, mtime and ctime; a file
 * that changed within the last seconds is hashed each time. It covers that one file: neither
 * libraries and modules that the emulator loads, nor the emulator that a wrapper starts. A script
 * (anything that is no ELF file) is therefore never cached; of a compiled wrapper, the version line
 * is all that tells.
 *
 * Files are written to a temporary name and renamed. One that cannot be read as what it should be
 * is a miss, and is replaced. The cache is never an error.
 */
#ifndef CVM_VMM_ACPI_CACHE_H
#define CVM_VMM_ACPI_CACHE_H

#include "measure/include/cvm/machine.h"
#include "measure/include/cvm/types.h"
#include "vmm/acpi_compare.h"
#include "vmm/emulator.h"

enum { CVM_ACPI_CACHE_FORMAT = 1 };

/* Digests of the three files, in the order of enum cvm_acpi_file_index. */
struct cvm_acpi_digests {
    struct cvm_sha384 file[CVM_NUM_ACPI_FILES];
};

/* Where an answer is, or would be. */
struct cvm_acpi_cache {
    int dir;           /* -1 where nothing is cached */
    char name[64 + 6]; /* of the entry's file */
};

#define CVM_ACPI_CACHE_NONE                                                                        \
    {                                                                                              \
        .dir = -1                                                                                  \
    }
#define cvm_autoacpicache CVM_CLEANUP(cvm_acpi_cache_close)

/* Opens the cache for one emulator and machine; without a cache the others do nothing. */
void cvm_acpi_cache_open(const char *state_dir, const struct cvm_emulator *emulator,
                         const struct cvm_machine *machine, struct cvm_acpi_cache *out);
void cvm_acpi_cache_close(struct cvm_acpi_cache *cache);

/* Whether there is an answer. */
bool cvm_acpi_cache_get(const struct cvm_acpi_cache *cache, struct cvm_acpi_digests *out);
void cvm_acpi_cache_put(const struct cvm_acpi_cache *cache, const struct cvm_acpi_digests *answer);

/* Digests of the files of one side. */
CVM_MUST_CHECK bool cvm_acpi_digest(const struct cvm_acpi_files *files,
                                    struct cvm_acpi_digests *out, struct cvm_error *err);

/* Appends every fact of the machine that reaches an ACPI table; equal for machines that have the
 * same tables, where their devices differ in role alone. */
void cvm_acpi_put_facts(const struct cvm_machine *machine, struct cvm_buf *out);

/*
 * SHA-256 of an emulator's file, from the cache in `dir` where it has it.
 *
 * @return false with CVM_ERR_UNSUPPORTED where the file is no ELF file, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_acpi_cache_emulator_digest(int dir, const char *path,
                                                   struct cvm_sha256 *out, struct cvm_error *err);

#endif
