/*
 * Machines that were really booted, and what their registers were extended with.
 */
#ifndef CVM_TESTS_SAMPLE_BOOT_H
#define CVM_TESTS_SAMPLE_BOOT_H

#include "measure/include/cvm/measure.h"

/* rootfs, data disk, NIC, vsock, share; 2 GiB; QEMU 8.2.2 */
struct cvm_machine deployed_machine(uint32_t cpu_count, const char *layout);

/* As tests/vectors/firmware/README.md describes: 1 vCPU, 2 GiB, data disk, NIC, vsock, share. */
struct cvm_machine booted_machine(const char *layout);

enum { MAX_EXTENDS = 32 };

struct extends {
    struct cvm_sha384 digests[MAX_EXTENDS];
    uint32_t count;
};

/* The extends of one register, in order, from a file below tests/vectors. */
struct extends load_extends(const char *name, unsigned rtmr);

/* The index-th event of a register. */
const struct cvm_event *event_at(const struct cvm_expectation *e, unsigned rtmr, uint32_t index);

/* Events from `from` on are those extends, but those whose names are in `except`. */
void assert_extends(const struct cvm_expectation *e, unsigned rtmr, uint32_t from,
                    const struct extends *want, const char *except);

#endif
