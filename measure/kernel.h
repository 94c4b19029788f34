/*
 * The Linux setup header, as QEMU rewrites it before it serves a kernel through fw_cfg.
 *
 * What QEMU writes depends on the header, on the machine's memory and on the initrd's size, and
 * of these only the initrd's address differs between machines that start the same image.
 *
 * Source: Linux Documentation/arch/x86/boot.rst for the fields; the values as read out of
 *         QEMU 8.2 and 9.2 (docs/measurement.md).
 */
#ifndef CVM_KERNEL_H
#define CVM_KERNEL_H

#include "measure/base/error.h"
#include "measure/include/cvm/measure.h"

/* The header's fields that decide. */
struct kernel_setup {
    uint16_t protocol;
    uint8_t loadflags;
    uint16_t xloadflags;
    uint32_t initrd_addr_max;
};

/* @return false with CVM_ERR_MALFORMED where there is no such header. */
CVM_MUST_CHECK bool kernel_read_setup(struct cvm_bytes kernel, struct kernel_setup *out,
                                      struct cvm_error *err);

/*
 * Where QEMU puts the initrd; 0 where there is none.
 *
 * @param cmdline      the command line as the launcher passes it.
 * @param initrd_size  bytes; 0 means no initrd.
 * @return false with CVM_ERR_MALFORMED where the initrd does not fit, CVM_ERR_UNSUPPORTED with
 *         the reason where the rewritten header would depend on more.
 */
CVM_MUST_CHECK bool kernel_place_initrd(const struct kernel_setup *setup,
                                        const struct cvm_machine *machine, const char *cmdline,
                                        uint64_t initrd_size, uint32_t *address,
                                        struct cvm_error *err);

/*
 * Rewrites the header in place.
 *
 * @param kernel          a private copy of the whole file.
 * @param setup           what kernel_read_setup() said of it.
 * @param initrd_size     bytes; 0 means no initrd, and then initrd_address does not count.
 */
void kernel_rewrite_header(uint8_t *kernel, const struct kernel_setup *setup, uint64_t initrd_size,
                           uint32_t initrd_address);

/*
 * Reads the text of the kernel's version, "6.12.117-cloud-amd64 (...) #1 SMP ...", up to its
 * first blank: out->version, out->version_known and out->is_old.
 *
 * A kernel that does not say its version has version_known false; that is no failure.
 */
void kernel_read_version(struct cvm_bytes kernel, struct cvm_kernel_info *out);

#endif
