#include "vmm/tpm.h"

#include "vmm/program.h"

/* Programs that libvirt wants to find, and Debian's packages that have them. */
static bool find_programs(struct cvm_error *err)
{
    static const struct {
        const char *name, *package;
    } programs[] = {
        { "swtpm", "swtpm" },
        { "swtpm_setup", "swtpm-tools" },
        { "swtpm_ioctl", "swtpm-tools" },
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        cvm_autofree char *path = NULL;
        if (!cvm_program_find(programs[i].name, programs[i].package, &path, err)) {
            return false;
        }
    }
    return true;
}

bool cvm_tpm_possible(struct cvm_hypervisor *h, const char *emulator, struct cvm_error *err)
{
    bool has_tpm = false;
    if (!cvm_hypervisor_has_tpm(h, emulator, &has_tpm, err)) {
        return false;
    }
    if (has_tpm) {
        return true;
    }
    if (find_programs(err)) {
        cvm_fail(err, CVM_ERR_UNSUPPORTED,
                 "libvirt reports no tpm-tis with backend 'emulator' for '%s'", emulator);
    }
    return cvm_context(err, "this host cannot give a guest a TPM");
}
