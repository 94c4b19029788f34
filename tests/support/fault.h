/*
 * Making the n-th allocation fail.
 *
 * The linker sends malloc, calloc and realloc of the code under test here (--wrap); libcbor and
 * OpenSSL are told to use the same functions by fault_hook_libraries().
 */
#ifndef CVM_TESTS_FAULT_H
#define CVM_TESTS_FAULT_H

#include <stdbool.h>

/* Lets libcbor allocate through here too; called first thing in main. */
void fault_hook_libraries(void);

/* From now on the n-th allocation (from 1) returns NULL; 0 means none does. */
void fault_at(unsigned n);

/* Whether that allocation happened; switches the fault off. */
bool fault_hit(void);

#endif
