/*
 * What a running emulator says of its first CPU, as its SMBIOS tables show it.
 *
 * Source: QEMU's QMP reference: query-cpus-fast; qom-get of an x86 CPU's properties.
 */
#ifndef CVM_VMM_QEMU_CPU_H
#define CVM_VMM_QEMU_CPU_H

#include "vmm/qmp.h"

/* CPUID leaf 1. */
struct cvm_probed_cpu {
    uint32_t signature;    /* EAX: family, model and stepping */
    uint32_t features_edx; /* EDX */
};

/* The signature of a family, model and stepping, as CPUID spreads them over its fields. */
uint32_t cvm_cpu_signature(uint32_t family, uint32_t model, uint32_t stepping);

/* Asks; false with CVM_ERR_SYSTEM where the answer is none. */
CVM_MUST_CHECK bool cvm_qemu_cpu_ask(struct cvm_qmp *q, struct cvm_probed_cpu *out,
                                     struct cvm_error *err);

#endif
