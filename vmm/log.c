#include "vmm/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static bool enabled;

void cvm_log_enable(void)
{
    enabled = true;
}

void cvm_log(const char *fmt, ...)
{
    if (!enabled) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    fputs("cvm: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}
