/*
 * The Linux setup header, as QEMU rewrites it before it serves a kernel through fw_cfg.
 *
 * Source: Linux Documentation/arch/x86/boot.rst for the fields; the values as read out of
 *         QEMU 8.2 and 9.2 (docs/measurement.md).
 */
#ifndef CVM_KERNEL_H
#define CVM_KERNEL_H

#include "measure/base/error.h"
#include "measure/include/cvm/measure.h"

/*
 * Rewrites the header in place.
 *
 * @param kernel       a private copy of the whole file, size bytes.
 * @param cmdline      the command line as the launcher passes it.
 * @param initrd_size  bytes; 0 means no initrd.
 * @return false with CVM_ERR_MALFORMED where there is no such header or the initrd does not
 *         fit, CVM_ERR_UNSUPPORTED with the reason where the result would depend on more.
 *         The copy is then unspecified.
 */
CVM_MUST_CHECK bool kernel_rewrite_header(uint8_t *kernel, size_t size,
                                          const struct cvm_machine *machine, const char *cmdline,
                                          uint64_t initrd_size, struct cvm_error *err);

/*
 * Reads the text of the kernel's version, "6.12.117-cloud-amd64 (...) #1 SMP ...", up to its
 * first blank: out->version, out->version_known and out->is_old.
 *
 * A kernel that does not say its version has version_known false; that is no failure.
 */
void kernel_read_version(struct cvm_bytes kernel, struct cvm_kernel_info *out);

#endif
