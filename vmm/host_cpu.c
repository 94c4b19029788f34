#include "vmm/host_cpu.h"

#include "measure/include/cvm/smbios.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

bool cvm_host_cpu_read(uint32_t *eax, uint32_t *edx)
{
    unsigned ebx;
    unsigned ecx;
    return __get_cpuid(1, eax, &ebx, &ecx, edx) != 0;
}
#else
bool cvm_host_cpu_read(uint32_t *eax, uint32_t *edx)
{
    (void)eax;
    (void)edx;
    return false;
}
#endif

/* Bits of EDX. */
enum {
    RESERVED_10 = 1 << 10,
    RESERVED_20 = 1 << 20,
    ACPI = 1 << 22,
    HTT = 1 << 28,
    IA64 = 1 << 30,
};
#define PBE (UINT32_C(1) << 31)

/* What a guest gets of the host's bits. */
static const struct rule {
    bool is_td;
    struct cvm_qemu_version since; /* ascending for each is_td */
    uint32_t keep;                 /* 0: not known */
    bool unseen;                   /* nobody compared it with a guest */
} rules[] = {
    /* What KVM passes on: FPU to PSE-36, CLFLUSH, MMX to SSE2, self-snoop. */
    { .is_td = false, .since = { 0, 0, 0 }, .keep = 0x0f8bfbff },
    /* TDX trees pass on all but these. */
    {
        .is_td = true,
        .since = { 8, 0, 0 },
        .keep = ~(RESERVED_10 | RESERVED_20 | ACPI | HTT | IA64 | PBE),
    },
    {
        .is_td = true,
        .since = { 9, 0, 0 },
        .keep = ~(RESERVED_10 | RESERVED_20 | ACPI | HTT | IA64 | PBE),
        .unseen = true,
    },
    { .is_td = true, .since = { 10, 0, 0 } },
};

static const struct rule *rule_for(const struct cvm_machine *m, bool is_td)
{
    const struct rule *found = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].is_td == is_td && cvm_qemu_version_compare(rules[i].since, m->qemu) <= 0) {
            found = &rules[i];
        }
    }
    return found;
}

void cvm_host_cpu_fill(uint32_t eax, uint32_t edx, bool is_td, struct cvm_machine *machine,
                       struct cvm_warnings *warnings)
{
    const uint32_t signature_bits = 0x0fff0fff; /* family, model, stepping; no processor type */
    const struct rule *rule = rule_for(machine, is_td);
    if (!machine->cpu_signature.set) {
        machine->cpu_signature = (struct cvm_opt_u32){ true, eax & signature_bits };
    }
    if (machine->cpu_features_edx.set || rule == NULL) {
        return;
    }
    if (rule->keep == 0) {
        cvm_warn(warnings,
                 "what QEMU %u.%u shows of this host's CPU in a TD depends on the TDX module: "
                 "cpu_features_edx has to be said",
                 machine->qemu.major, machine->qemu.minor);
        return;
    }
    if (rule->unseen) {
        cvm_warn(
            warnings,
            "cpu_features_edx is what QEMU 8.2 makes of this host's CPU in a TD; no QEMU %u.%u "
            "was compared",
            machine->qemu.major, machine->qemu.minor);
    }
    machine->cpu_features_edx = (struct cvm_opt_u32){ true, edx & rule->keep };
    machine->cpu_features_edx.value = cvm_smbios_features_edx(machine);
}
