/*
 * Making the n-th call into json-c that allocates fail.
 *
 * json-c is a shared library, so that its own malloc cannot be reached; --wrap reaches the
 * calls that vmm/json.c makes.
 */
#ifndef CVM_TESTS_JSON_FAULT_H
#define CVM_TESTS_JSON_FAULT_H

#include <stdbool.h>

/* From now on the n-th call (from 1) fails; 0 means none does. */
void json_fault_at(unsigned n);

/* Whether it was made; switches the fault off. */
bool json_fault_hit(void);

#endif
