/*
 * Cleanup when a variable leaves its scope, for gcc and clang.
 *
 * Owners start as NULL, -1 or { 0 }; the one success exit hands over what it
 * made with cvm_steal(). There is no goto.
 */
#ifndef CVM_BASE_CLEANUP_H
#define CVM_BASE_CLEANUP_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CVM_CLEANUP(fn) __attribute__((cleanup(fn))) /* runs fn(&variable) */
#define cvm_autofree CVM_CLEANUP(cvm_free_at)
#define cvm_autoclose CVM_CLEANUP(cvm_close_at)

static inline void cvm_free_at(void *slot)
{
    void *p;
    memcpy(&p, slot, sizeof p); /* any pointer type, without aliasing games */
    free(p);
}

static inline void cvm_close_at(const int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* Moves the pointer out of *slot, leaving NULL: the scope no longer owns it. */
static inline void *cvm_steal(void *slot)
{
    void *p;
    void *none = NULL;
    memcpy(&p, slot, sizeof p);
    memcpy(slot, &none, sizeof none);
    return p;
}

/* Moves the descriptor out of *fd, leaving -1. */
static inline int cvm_steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
