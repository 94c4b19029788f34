/*
 * The hand-off block list that QEMU builds for the firmware, and its compact description.
 *
 * Source: UEFI Platform Initialization 1.8, volume 3, chapter 5; docs/measurement.md.
 */
#ifndef CVM_TD_HOB_H
#define CVM_TD_HOB_H

#include "measure/base/buf.h"
#include "measure/include/cvm/machine.h"
#include "measure/include/cvm/tdvf.h"

/* Whether ranges are whole pages, ascending, apart, and hold the TD_HOB; CVM_ERR_MALFORMED. */
CVM_MUST_CHECK bool cvm_td_ranges_check(const struct cvm_td_ranges *ranges, struct cvm_error *err);

/*
 * Appends the list as far as it is measured: everything but the 8 bytes that end it.
 *
 * @return false with CVM_ERR_MALFORMED where a range lies outside the machine's memory.
 */
CVM_MUST_CHECK bool td_hob_build(const struct cvm_machine *machine,
                                 const struct cvm_td_ranges *ranges, struct cvm_buf *out,
                                 struct cvm_error *err);

#endif
