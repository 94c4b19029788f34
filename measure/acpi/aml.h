/*
 * Writing AML, the byte code of ACPI's definition blocks.
 *
 * Bytes are written in the order the grammar gives them. A term that carries a
 * PkgLength is opened by its own function (or an opening word of aml_asl()) and
 * closed by aml_end() (or "}"), which works out the length and puts it in place:
 * one to four bytes, always the shortest form that fits.
 *
 * Failures are sticky: unbalanced terms, a bad name or word, and out of memory
 * are reported once, by aml_finish().
 *
 * Source:  ACPI 6.5, chapter 20 (AML specification).
 * Threads: one struct aml belongs to one thread.
 */
#ifndef CVM_ACPI_AML_H
#define CVM_ACPI_AML_H

#include "measure/base/buf.h"

enum { AML_MAX_DEPTH = 16 };

struct aml {
    struct cvm_buf *out;        /* borrowed: where the bytes go */
    size_t open[AML_MAX_DEPTH]; /* where each open PkgLength belongs */
    unsigned depth;
    const char *broken; /* what was wrong first; NULL while good */
};

struct aml aml_on(struct cvm_buf *out);

/* Closes the innermost open term. */
void aml_end(struct aml *a);

/* Whether all terms are closed and well-formed; else false with CVM_ERR_NOMEM or a bug's name. */
CVM_MUST_CHECK bool aml_finish(const struct aml *a, const char *what, struct cvm_error *err);

/* --- data and names --- */

/* A NameString such as "_HID", "\\_SB.PCI0" or "": segments are padded with '_'. */
void aml_namestring(struct aml *a, const char *path);

/* An integer in the shortest of Zero, One, byte, word, dword and qword. */
void aml_int(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *text);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0C0F" */
void aml_uuid(struct aml *a, const char *uuid); /* a 16-byte buffer, as ASL's ToUUID() */
void aml_bytes(struct aml *a, const uint8_t *data, uint8_t size); /* Buffer (size) { data } */

/* Name (name, ...): the object follows. */
void aml_name(struct aml *a, const char *name);
void aml_name_int(struct aml *a, const char *name, uint64_t value);
void aml_name_string(struct aml *a, const char *name, const char *text);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* --- terms that aml_end() closes --- */

void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *name);
void aml_processor(struct aml *a, const char *name, uint8_t id);
void aml_package(struct aml *a, uint8_t num_elements);
void aml_var_package(struct aml *a, uint64_t num_elements);

enum aml_sync { AML_NOT_SERIALIZED = 0, AML_SERIALIZED = 8 };
void aml_method(struct aml *a, const char *name, uint8_t num_args, enum aml_sync sync);

/* --- named things without a body --- */

enum aml_space { AML_SYSTEM_MEMORY = 0, AML_SYSTEM_IO = 1, AML_PCI_CONFIG = 2 };
void aml_region(struct aml *a, const char *name, enum aml_space space, uint64_t offset,
                uint64_t length);

/* A region in memory at base + Arg0, for use within a method. */
void aml_region_at_argument(struct aml *a, const char *name, uint64_t base, uint64_t length);

/* One entry of a Field: a name of `bits` bits, or with name NULL an Offset of `bits` from the
 * field's start. The list ends with bits 0. */
struct aml_field_entry {
    const char *name;
    uint32_t bits;
};
enum aml_field_flags {
    AML_ANY_ACC = 0,
    AML_BYTE_ACC = 1,
    AML_DWORD_ACC = 3,
    AML_PRESERVE = 0 << 5,
    AML_WRITE_AS_ZEROS = 2 << 5,
};
void aml_field(struct aml *a, const char *region, unsigned flags,
               const struct aml_field_entry *entries);
void aml_mutex(struct aml *a, const char *name);
void aml_acquire(struct aml *a, const char *mutex); /* Acquire (mutex, 0xFFFF): waits for ever */

/*
 * Assembles statements written in functional ASL, the way a disassembler prints them in its
 * oldest form: `Store (CDW3, Local0) If (LEqual (Arg0, One)) { Return (Zero) }`.
 *
 * Known words become their opcodes, numbers aml_int(), "quoted" text strings, and every other
 * word a NameString. AML is prefix code, so parentheses and commas only please the reader:
 * every operand has to be written, an absent target as Zero. A word that carries a PkgLength
 * (If, Else, While, Package) opens a term that "}" closes; "{" is decoration. ToUUID and EisaId
 * take a string. Text may be split over several calls at any word.
 *
 * The format takes printf's conversions; the result is limited to 2 KiB.
 */
void aml_asl(struct aml *a, const char *fmt, ...) CVM_PRINTF(2, 3);

/* --- resource templates: `Name (_CRS, ResourceTemplate () { ... })` --- */

void aml_resources(struct aml *a); /* opens the buffer; closed by aml_resources_end() */
void aml_resources_end(struct aml *a);

/* IO (Decode16, port, port, alignment, length) */
void aml_io(struct aml *a, uint16_t port, uint8_t alignment, uint8_t length);
/* Memory32Fixed (ReadWrite, base, length) */
void aml_memory32_fixed(struct aml *a, uint32_t base, uint32_t length);
void aml_irq_no_flags(struct aml *a, unsigned irq);
void aml_irq_level_low_shared(struct aml *a, unsigned irq);
/* Interrupt (ResourceConsumer, trigger, ActiveHigh, Shared) */
void aml_interrupts(struct aml *a, bool edge, const uint32_t *irqs, uint8_t count);

enum aml_range_kind { AML_RANGE_MEMORY = 0, AML_RANGE_IO = 1, AML_RANGE_BUS = 2 };

/* An address space descriptor: a producer's range of first..last, in fields of 2, 4 or 8 bytes. */
void aml_range(struct aml *a, size_t width, enum aml_range_kind kind, uint8_t type_flags,
               uint64_t first, uint64_t last);
/* Type-specific flags: ACPI 6.5, tables 6.50 and 6.51. */
enum aml_range_flags {
    AML_MEM_READ_WRITE = 1,
    AML_MEM_CACHEABLE = 1 << 1,
    AML_IO_ENTIRE_RANGE = 3,
};

#endif
