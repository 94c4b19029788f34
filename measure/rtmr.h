/*
 * The events of RTMR0, RTMR1 and RTMR2.
 */
#ifndef CVM_RTMR_H
#define CVM_RTMR_H

#include "measure/include/cvm/measure.h"

/* Everything RTMR0 depends on beside the machine. */
struct rtmr0_input {
    const struct cvm_machine *machine;
    const struct cvm_td_ranges *ranges;
    const struct cvm_sha384 *cfv;
    enum cvm_digest_source cfv_source;
    const struct cvm_firmware_variables *variables; /* NULL: those of an empty store */
};

/* Whether files were built for a QEMU that no binary of was ever compared with. */
struct rtmr0_extrapolated {
    bool acpi, smbios;
};

/* Appends the events of the machine's layout, in its order. */
CVM_MUST_CHECK bool rtmr0_put_events(const struct rtmr0_input *in, struct cvm_event_list *list,
                                     struct rtmr0_extrapolated *extrapolated,
                                     struct cvm_error *err);

/* Appends the kernel's event and the four fixed ones that follow it. */
CVM_MUST_CHECK bool rtmr1_put_events(const struct cvm_sha384 *kernel, enum cvm_digest_source source,
                                     struct cvm_event_list *list, struct cvm_error *err);

void rtmr2_put_events(const struct cvm_sha384 *cmdline, const struct cvm_sha384 *initrd,
                      enum cvm_digest_source source, struct cvm_event_list *list);

/* SHA-384 of the command line as the firmware writes it and the kernel's EFI stub measures it. */
CVM_MUST_CHECK bool rtmr2_hash_cmdline(const char *cmdline, enum cvm_cmdline_form form,
                                       struct cvm_sha384 *out, struct cvm_error *err);

#endif
