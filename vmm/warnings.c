#include "vmm/warnings.h"

#include <stdarg.h>
#include <stdio.h>

void cvm_warn(struct cvm_warnings *w, const char *fmt, ...)
{
    char *sentence = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&sentence, fmt, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    for (unsigned i = 0; i < w->count; i++) {
        if (strcmp(w->items[i], sentence) == 0) {
            free(sentence);
            return;
        }
    }
    if (w->count == CVM_MAX_WARNINGS) {
        free(sentence);
        return;
    }
    w->items[w->count++] = sentence;
}

void cvm_warnings_put(const struct cvm_warnings *w, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "warnings");
    for (unsigned i = 0; i < w->count; i++) {
        cvm_json_put_string(b, NULL, w->items[i]);
    }
    cvm_json_end(b);
}

void cvm_warnings_free(struct cvm_warnings *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        free(w->items[i]);
    }
    w->count = 0;
}
