#include "measure/acpi/acpi.h"

#include "measure/acpi/table.h"

static bool build_tables(struct acpi_build *b, struct cvm_error *err)
{
    acpi_build_facs(b);
    if (!acpi_build_dsdt(b, err)) {
        return false;
    }
    acpi_build_fadt(b);
    acpi_build_madt(b);
    if (b->machine->tpm) {
        acpi_build_tpm2(b);
    }
    if (b->machine->num_numa_nodes != 0) {
        acpi_build_srat(b);
    }
    acpi_build_mcfg(b);
    acpi_build_waet(b);
    acpi_build_rsdt_and_rsdp(b);
    return true;
}

static void free_build(struct acpi_build *b)
{
    cvm_buf_free(&b->tables);
    cvm_buf_free(&b->rsdp);
    cvm_buf_free(&b->loader);
}

static struct cvm_acpi_file steal_file(struct cvm_buf *b)
{
    struct cvm_acpi_file file = { b->data, b->len };
    *b = (struct cvm_buf){ 0 };
    return file;
}

bool acpi_build_flavour(const struct cvm_machine *machine, enum acpi_flavour flavour,
                        struct cvm_acpi *out, struct cvm_error *err)
{
    bool extrapolated;
    if (!cvm_machine_check(machine, err)) {
        return false;
    }
    CVM_CLEANUP(free_build)
    struct acpi_build b = {
        .machine = machine,
        .profile = acpi_profile_for(machine->qemu, flavour, &extrapolated, err),
    };
    if (b.profile == NULL || !build_tables(&b, err)) {
        return false;
    }
    size_t used = b.tables.len;
    acpi_finish_files(&b);
    if (!cvm_buf_finish(&b.tables, "ACPI tables", err) || !cvm_buf_finish(&b.rsdp, "RSDP", err) ||
        !cvm_buf_finish(&b.loader, "table loader", err)) {
        return false;
    }
    *out = (struct cvm_acpi){
        .tables = steal_file(&b.tables),
        .rsdp = steal_file(&b.rsdp),
        .loader = steal_file(&b.loader),
        .tables_used = used,
        .extrapolated = extrapolated,
    };
    return true;
}

bool cvm_acpi_build(const struct cvm_machine *machine, struct cvm_acpi *out, struct cvm_error *err)
{
    return acpi_build_flavour(machine, acpi_flavour_of(machine), out, err);
}

void cvm_acpi_free(struct cvm_acpi *acpi)
{
    free(acpi->tables.data);
    free(acpi->rsdp.data);
    free(acpi->loader.data);
    *acpi = (struct cvm_acpi){ 0 };
}
