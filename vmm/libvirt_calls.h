/*
 * libvirt, loaded when it is first needed.
 *
 * libvirt brings some fifty libraries along, and loading them takes longer than most commands
 * work. Its functions have their own names and types here (libvirt_calls.c defines them), so
 * that hypervisor.c reads as if it was linked. A function that is missing there fails to link.
 *
 * Source: docs/decisions/0011-libvirt-is-loaded-when-needed.md.
 */
#ifndef CVM_VMM_LIBVIRT_CALLS_H
#define CVM_VMM_LIBVIRT_CALLS_H

#include "measure/include/cvm/error.h"

/*
 * Loads it; before that none of its functions may be called. Again is no error.
 *
 * @return false with CVM_ERR_SYSTEM and the loader's reason.
 */
CVM_MUST_CHECK bool cvm_libvirt_load(struct cvm_error *err);

#endif
