/*
 * What an emulator says of itself: its version, and by which means it can run a machine.
 *
 * A program that hangs, dies or prints something else is reported, never waited for.
 */
#ifndef CVM_VMM_EMULATOR_H
#define CVM_VMM_EMULATOR_H

#include "measure/include/cvm/machine.h"
#include "vmm/json.h"

/* Means of running a machine, the best first where no guest code is to run. */
enum cvm_accelerator {
    CVM_ACCEL_QTEST, /* runs nothing at all: QEMU's own tests use it */
    CVM_ACCEL_TCG,
    CVM_ACCEL_KVM,
    CVM_NUM_ACCELERATORS,
};

struct cvm_emulator {
    const char *path; /* borrowed */
    struct cvm_qemu_version version;
    char says[128];        /* the line with its version, without "QEMU emulator version " */
    unsigned accelerators; /* a bit for each that it was built with */
};

enum { CVM_EMULATOR_TIMEOUT_MS = 10000 };

/*
 * Asks an emulator for its version ("QEMU emulator version 8.2.2 (...)").
 *
 * @return false with CVM_ERR_SYSTEM where it cannot be run, hangs or says something else.
 */
CVM_MUST_CHECK bool cvm_emulator_version(const char *path, struct cvm_qemu_version *out,
                                         struct cvm_error *err);

/* Asks for its version, within timeout_ms; no accelerators. Errors as above. */
CVM_MUST_CHECK bool cvm_emulator_identify(const char *path, unsigned timeout_ms,
                                          struct cvm_emulator *out, struct cvm_error *err);

/* Asks for everything, each answer within timeout_ms. Errors as above. */
CVM_MUST_CHECK bool cvm_emulator_ask(const char *path, unsigned timeout_ms,
                                     struct cvm_emulator *out, struct cvm_error *err);

/* The word of `-accel`. */
const char *cvm_accelerator_word(enum cvm_accelerator accelerator);

/* The accelerators that the text of `-accel help` lists, a bit for each; others are left out. */
unsigned cvm_accelerators_listed(const char *help);

/*
 * With which one a machine of that many CPUs is made when nothing has to run.
 *
 * @return false with CVM_ERR_UNSUPPORTED naming version and CPUs where none can make it.
 */
CVM_MUST_CHECK bool cvm_accelerator_choose(const struct cvm_emulator *emulator, uint32_t cpu_count,
                                           enum cvm_accelerator *out, struct cvm_error *err);

#endif
