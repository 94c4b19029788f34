/*
 * What a person should know although nothing failed: every heuristic, every assumption.
 *
 * Warnings are collected where they arise and shown once by the command: on stderr for people,
 * in the "warnings" array for programs.
 */
#ifndef CVM_VMM_WARNINGS_H
#define CVM_VMM_WARNINGS_H

#include "vmm/json.h"

enum { CVM_MAX_WARNINGS = 32 };

struct cvm_warnings {
    char *items[CVM_MAX_WARNINGS]; /* owned sentences without a full stop */
    unsigned count;
};

#define cvm_autowarnings CVM_CLEANUP(cvm_warnings_free)

/* Adds one; the same sentence twice is kept once. Out of memory loses the sentence only. */
void cvm_warn(struct cvm_warnings *w, const char *fmt, ...) CVM_PRINTF(2, 3);

/* The array "warnings". */
void cvm_warnings_put(const struct cvm_warnings *w, struct cvm_json_builder *b);

void cvm_warnings_free(struct cvm_warnings *w);

#endif
