#include "measure/acpi/table.h"

enum { TABLE_LENGTH_AT = 4, TABLE_CHECKSUM_AT = 9 };

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE "etc/acpi/rsdp"
#define TPM_LOG_FILE "etc/tpm/log"

/* --- the loader script: commands of 128 bytes with zero-padded file names --- */

enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { LOADER_NAME_SIZE = 56, LOADER_COMMAND_SIZE = 128, LOADER_FILE_SIZE = 4096 };
enum loader_zone { LOADER_ZONE_HIGH = 1, LOADER_ZONE_FSEG = 2 };

static void put_file_name(struct cvm_buf *loader, const char *name)
{
    size_t length = strlen(name);
    cvm_put_bytes(loader, name, length);
    cvm_put_zeros(loader, LOADER_NAME_SIZE - length);
}

static void loader_allocate(struct cvm_buf *loader, const char *file, uint32_t alignment,
                            enum loader_zone zone)
{
    cvm_put_le(loader, LOADER_ALLOCATE, 4);
    put_file_name(loader, file);
    cvm_put_le(loader, alignment, 4);
    cvm_put_u8(loader, (uint8_t)zone);
    cvm_put_padding(loader, LOADER_COMMAND_SIZE);
}

static void loader_add_pointer(struct cvm_buf *loader, const char *file, size_t offset,
                               uint8_t size, const char *target)
{
    cvm_put_le(loader, LOADER_ADD_POINTER, 4);
    put_file_name(loader, file);   /* where the pointer lies */
    put_file_name(loader, target); /* where it points */
    cvm_put_le(loader, offset, 4);
    cvm_put_u8(loader, size);
    cvm_put_padding(loader, LOADER_COMMAND_SIZE);
}

static void loader_add_checksum(struct cvm_buf *loader, const char *file, size_t result_at,
                                size_t start, size_t length)
{
    cvm_put_le(loader, LOADER_ADD_CHECKSUM, 4);
    put_file_name(loader, file);
    cvm_put_le(loader, result_at, 4);
    cvm_put_le(loader, start, 4);
    cvm_put_le(loader, length, 4);
    cvm_put_padding(loader, LOADER_COMMAND_SIZE);
}

/* --- tables --- */

void acpi_table_begin(struct acpi_build *b, const char *signature, uint8_t revision)
{
    b->start = b->tables.len;
    cvm_put_bytes(&b->tables, signature, 4);
    cvm_put_le(&b->tables, 0, 4); /* Length: acpi_table_end() */
    cvm_put_u8(&b->tables, revision);
    cvm_put_u8(&b->tables, 0);            /* Checksum: the loader */
    cvm_put_text(&b->tables, "BOCHS ");   /* OEMID */
    cvm_put_text(&b->tables, "BXPC    "); /* OEM Table ID */
    cvm_put_le(&b->tables, 1, 4);         /* OEM Revision */
    cvm_put_text(&b->tables, "BXPC");     /* Creator ID */
    cvm_put_le(&b->tables, 1, 4);         /* Creator Revision */
}

uint32_t acpi_table_end(struct acpi_build *b)
{
    size_t length = b->tables.len - b->start;
    cvm_buf_patch_le(&b->tables, b->start + TABLE_LENGTH_AT, length, 4);
    loader_add_checksum(&b->loader, TABLES_FILE, b->start + TABLE_CHECKSUM_AT, b->start, length);
    return (uint32_t)b->start;
}

void acpi_table_list(struct acpi_build *b, uint32_t offset)
{
    b->listed[b->num_listed++] = offset;
}

void acpi_put_pointer(struct acpi_build *b, uint32_t target, uint8_t size)
{
    loader_add_pointer(&b->loader, TABLES_FILE, b->tables.len, size, TABLES_FILE);
    cvm_put_le(&b->tables, target, size);
}

void acpi_put_log_pointer(struct acpi_build *b)
{
    loader_add_pointer(&b->loader, TABLES_FILE, b->tables.len, 8, TPM_LOG_FILE);
    cvm_put_le(&b->tables, 0, 8);
}

void acpi_build_facs(struct acpi_build *b)
{
    b->facs = (uint32_t)b->tables.len;
    cvm_put_text(&b->tables, "FACS");
    cvm_put_le(&b->tables, 64, 4); /* Length */
    cvm_put_zeros(&b->tables, 56); /* no waking vector, no flags; version 0 */
}

void acpi_build_mcfg(struct acpi_build *b)
{
    acpi_table_begin(b, "MCFG", 1);
    cvm_put_zeros(&b->tables, 8);                         /* Reserved */
    cvm_put_le(&b->tables, b->machine->pciexbar_base, 8); /* Base Address */
    cvm_put_le(&b->tables, 0, 2);                         /* PCI Segment Group */
    cvm_put_u8(&b->tables, 0);                            /* Start Bus Number */
    cvm_put_u8(&b->tables, 255);                          /* End Bus Number */
    cvm_put_zeros(&b->tables, 4);                         /* Reserved */
    acpi_table_list(b, acpi_table_end(b));
}

void acpi_build_waet(struct acpi_build *b)
{
    acpi_table_begin(b, "WAET", 1);
    cvm_put_le(&b->tables, 1 << 1, 4); /* ACPI PM timer good */
    acpi_table_list(b, acpi_table_end(b));
}

void acpi_build_rsdt_and_rsdp(struct acpi_build *b)
{
    acpi_table_begin(b, "RSDT", 1);
    for (unsigned i = 0; i < b->num_listed; i++) {
        acpi_put_pointer(b, b->listed[i], 4);
    }
    uint32_t rsdt = acpi_table_end(b);

    enum { RSDP_CHECKSUM_AT = 8, RSDP_RSDT_AT = 16, RSDP_SIZE = 20 };
    cvm_put_text(&b->rsdp, "RSD PTR ");
    cvm_put_u8(&b->rsdp, 0); /* Checksum: the loader */
    cvm_put_text(&b->rsdp, "BOCHS ");
    cvm_put_u8(&b->rsdp, 0); /* Revision: ACPI 1.0 */
    cvm_put_le(&b->rsdp, rsdt, 4);
    loader_add_pointer(&b->loader, RSDP_FILE, RSDP_RSDT_AT, 4, TABLES_FILE);
    loader_add_checksum(&b->loader, RSDP_FILE, RSDP_CHECKSUM_AT, 0, RSDP_SIZE);
}

void acpi_finish_files(struct acpi_build *b)
{
    enum { TABLES_ALIGNMENT = 64, RSDP_ALIGNMENT = 16, TABLES_FILE_UNIT = 128 * 1024 };
    cvm_autobuf struct cvm_buf allocations = { 0 };
    loader_allocate(&allocations, RSDP_FILE, RSDP_ALIGNMENT, LOADER_ZONE_FSEG);
    if (b->machine->tpm) {
        loader_allocate(&allocations, TPM_LOG_FILE, 1, LOADER_ZONE_HIGH);
    }
    loader_allocate(&allocations, TABLES_FILE, TABLES_ALIGNMENT, LOADER_ZONE_HIGH);
    cvm_buf_insert(&b->loader, 0, allocations.data, allocations.len);
    b->loader.failed |= allocations.failed;
    cvm_put_padding(&b->loader, LOADER_FILE_SIZE);
    cvm_put_padding(&b->tables, TABLES_FILE_UNIT);
}
