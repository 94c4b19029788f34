/*
 * What a program tells on standard error while it works, when asked to (-v).
 *
 * The level is the one mutable global of the program.
 */
#ifndef CVM_VMM_LOG_H
#define CVM_VMM_LOG_H

#include "measure/include/cvm/error.h"

/* Switches the lines on. */
void cvm_log_enable(void);

/* One line, "cvm: ...", where lines are on. */
void cvm_log(const char *fmt, ...) CVM_PRINTF(1, 2);

#endif
