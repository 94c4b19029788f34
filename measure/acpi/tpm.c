/*
 * A tpm-tis device on the ISA bus: its table and its part of the DSDT.
 *
 * Source: TCG ACPI Specification 1.3; TCG Physical Presence Interface Specification 1.30;
 *         TCG Platform Reset Attack Mitigation Specification (the second UUID).
 */
#include "measure/acpi/dsdt.h"
#include "measure/acpi/table.h"

#define PPI_UUID "ToUUID (\"3dddfaa6-361b-4eb4-a424-8d10089d1653\")"
#define RESET_ATTACK_UUID "ToUUID (\"376054ed-cc13-4675-901c-4756d7f2d45d\")"

enum {
    TIS_BASE = 0xfed40000,
    TIS_LENGTH = 0x5000,
    PPI_BASE = 0xfed45000, /* 256 flags of operations, then the fields below */
    PPI_FIELDS = PPI_BASE + 0x100,
    PPI_FIELDS_LENGTH = 0x5a,
    PPI_MOVV = PPI_FIELDS + PPI_FIELDS_LENGTH, /* memory overwrite variable */
    LOG_SIZE = 64 * 1024,
    START_METHOD_MMIO = 6,
};

void acpi_build_tpm2(struct acpi_build *b)
{
    struct cvm_buf *t = &b->tables;
    acpi_table_begin(b, "TPM2", 4);
    cvm_put_le(t, 0, 2);                 /* Platform Class: client */
    cvm_put_le(t, 0, 2);                 /* Reserved */
    cvm_put_le(t, 0, 8);                 /* Address of Control Area: none with TIS */
    cvm_put_le(t, START_METHOD_MMIO, 4); /* Start Method */
    cvm_put_zeros(t, 12);                /* Start Method Specific Parameters */
    cvm_put_le(t, LOG_SIZE, 4);          /* Log Area Minimum Length */
    acpi_put_log_pointer(b);             /* Log Area Start Address */
    acpi_table_list(b, acpi_table_end(b));
}

void dsdt_put_tpm_resources(struct aml *a)
{
    aml_memory32_fixed(a, TIS_BASE, TIS_LENGTH);
}

static void put_registers(struct aml *a)
{
    static const struct aml_field_entry fields[] = {
        { "PPIN", 8 },  { "PPIP", 32 }, { "PPRP", 32 }, { "PPRQ", 32 },
        { "PPRM", 32 }, { "LPPR", 32 }, { 0 },
    };
    static const struct aml_field_entry movv[] = { { "MOVV", 8 }, { 0 } };
    aml_region(a, "TPP2", AML_SYSTEM_MEMORY, PPI_FIELDS, PPI_FIELDS_LENGTH);
    aml_field(a, "TPP2", AML_ANY_ACC | AML_PRESERVE, fields);
    aml_region(a, "TPP3", AML_SYSTEM_MEMORY, PPI_MOVV, 1);
    aml_field(a, "TPP3", AML_BYTE_ACC | AML_PRESERVE, movv);
}

/* TPFN: the flags of one operation, in a region that is made for the call. */
static void put_flags_method(struct aml *a)
{
    static const struct aml_field_entry flags[] = { { "TPPF", 8 }, { 0 } };
    aml_method(a, "TPFN", 1, AML_SERIALIZED);
    aml_asl(a, "If (LNot (LLess (Arg0, 0x0100))) { Return (Zero) }");
    aml_region_at_argument(a, "TPP1", PPI_BASE, 1);
    aml_field(a, "TPP1", AML_BYTE_ACC | AML_PRESERVE, flags);
    aml_asl(a, "Return (TPPF) }");
}

static void put_return_bytes(struct aml *a, const uint8_t *bytes, uint8_t size)
{
    aml_asl(a, "Return (");
    aml_bytes(a, bytes, size);
}

/* Functions 0 to 5 of the physical presence interface: what there is, and what was asked for. */
static void put_ppi_queries(struct aml *a)
{
    static const uint8_t functions[] = { 0xff, 0x01 }; /* 0 to 8 */
    aml_asl(a, "If (LEqual (Arg2, Zero)) {");
    put_return_bytes(a, functions, sizeof functions);
    aml_asl(a, "}"
               "If (LEqual (Arg2, One)) { Return (\"1.3\") }"
               "If (LEqual (Arg2, 2)) {"
               "    Store (DerefOf (Index (Arg3, Zero, Zero)), Local0)"
               "    Store (TPFN (Local0), Local1)"
               "    If (LEqual (And (Local1, 7, Zero), Zero)) { Return (One) }"
               "    Store (Local0, PPRQ)"
               "    Store (Zero, PPRM)"
               "    Return (Zero)"
               "}"
               "If (LEqual (Arg2, 3)) {"
               "    If (LEqual (Arg1, One)) {"
               "        Store (PPRQ, Index (TPM2, One, Zero))"
               "        Return (TPM2)"
               "    }"
               "    If (LEqual (Arg1, 2)) {"
               "        Store (PPRQ, Index (TPM3, One, Zero))"
               "        Store (PPRM, Index (TPM3, 2, Zero))"
               "        Return (TPM3)"
               "    }"
               "}"
               "If (LEqual (Arg2, 4)) { Return (2) }"
               "If (LEqual (Arg2, 5)) {"
               "    Store (LPPR, Index (TPM3, One, Zero))"
               "    Store (PPRP, Index (TPM3, 2, Zero))"
               "    Return (TPM3)"
               "}"
               "If (LEqual (Arg2, 6)) { Return (3) }");
}

/* Functions 7 and 8: a request with its argument, and whether an operation is allowed. */
static void put_ppi_requests(struct aml *a)
{
    aml_asl(a, "If (LEqual (Arg2, 7)) {"
               "    Store (DerefOf (Index (Arg3, Zero, Zero)), Local0)"
               "    Store (TPFN (Local0), Local1)"
               "    If (LEqual (And (Local1, 7, Zero), Zero)) { Return (One) }"
               "    If (LEqual (And (Local1, 7, Zero), 2)) { Return (3) }"
               "    If (LEqual (Arg1, One)) {"
               "        Store (Local0, PPRQ)"
               "        Store (Zero, PPRM)"
               "    }"
               "    If (LEqual (Arg1, 2)) {"
               "        Store (Local0, PPRQ)"
               "        Store (DerefOf (Index (Arg3, One, Zero)), PPRM)"
               "    }"
               "    Return (Zero)"
               "}"
               "If (LEqual (Arg2, 8)) {"
               "    Store (DerefOf (Index (Arg3, Zero, Zero)), Local0)"
               "    Store (TPFN (Local0), Local1)"
               "    Return (And (Local1, 7, Zero))"
               "}");
}

static void put_dsm(struct aml *a)
{
    static const uint8_t none[] = { 0x00 };
    static const uint8_t both[] = { 0x03 };
    aml_method(a, "_DSM", 4, AML_SERIALIZED);
    aml_asl(a, "If (LEqual (Arg0, " PPI_UUID ")) {");
    put_ppi_queries(a);
    put_ppi_requests(a);
    put_return_bytes(a, none, sizeof none);
    aml_asl(a, "}"
               "If (LEqual (Arg0, " RESET_ATTACK_UUID ")) {"
               "    If (LEqual (Arg2, Zero)) {");
    put_return_bytes(a, both, sizeof both);
    aml_asl(a, "    }"
               "    If (LEqual (Arg2, One)) {"
               "        Store (DerefOf (Index (Arg3, Zero, Zero)), Local0)"
               "        Store (Local0, MOVV)"
               "        Return (Zero)"
               "    }"
               "} }");
}

void dsdt_put_tpm(struct dsdt *d)
{
    struct aml *a = &d->aml;
    aml_device(a, "TPM");
    aml_name_string(a, "_HID", "MSFT0101");
    aml_name_string(a, "_STR", "TPM 2.0 Device");
    aml_name_int(a, "_UID", 1);
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    dsdt_put_tpm_resources(a);
    aml_resources_end(a);
    put_registers(a);
    put_flags_method(a);
    aml_name(a, "TPM2");
    aml_asl(a, "Package (2) { Zero, Zero }");
    aml_name(a, "TPM3");
    aml_asl(a, "Package (3) { Zero, Zero, Zero }");
    put_dsm(a);
    aml_end(a);
}
