#include "vmm/acpi_probe.h"

#include "measure/acpi/acpi.h"

bool cvm_acpi_probe(const struct cvm_emulator *emulator, const struct cvm_machine *machine,
                    unsigned timeout_ms, struct cvm_probed_acpi *out, struct cvm_error *err)
{
    const struct cvm_probe probe = {
        .emulator = emulator,
        .machine = machine,
        .timeout_ms = timeout_ms,
    };
    return cvm_qemu_probe(&probe, out->file, CVM_NUM_ACPI_FILES, NULL, err);
}

void cvm_probed_acpi_free(struct cvm_probed_acpi *p)
{
    cvm_probed_files_free(p->file, CVM_NUM_ACPI_FILES);
}

struct cvm_acpi_files cvm_probed_acpi_files(const struct cvm_probed_acpi *p)
{
    struct cvm_acpi_files files;
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        files.file[i] = cvm_buf_bytes(&p->file[i].data);
    }
    return files;
}

bool cvm_acpi_build_as_asked(const struct cvm_machine *machine, struct cvm_acpi *out,
                             struct cvm_error *err)
{
    enum acpi_flavour flavour = acpi_flavour_of(machine);
    struct cvm_machine asked = *machine;
    asked.interrupt_trigger = CVM_TRIGGER_LEVEL;
    asked.gpu_bars = asked.nvswitch_bars = (struct cvm_port_bars){ 0 };
    return acpi_build_flavour(&asked, flavour, out, err);
}
