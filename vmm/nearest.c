#include "vmm/nearest.h"

#include <stddef.h>
#include <string.h>

enum { MAX_WORD = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance; words longer than MAX_WORD are too far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    size_t row[MAX_WORD + 1];
    if (n > MAX_WORD || strlen(a) > MAX_WORD) {
        return MAX_WORD;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = min3(replaced, diagonal + 1, row[j] + 1);
        }
    }
    return row[n];
}

const char *cvm_nearer(const char *typed, const char *best, const char *candidate)
{
    const char *nearest = best;
    if (candidate != NULL && distance(typed, candidate) * 3 <= strlen(candidate) + 2 &&
        (best == NULL || distance(typed, candidate) < distance(typed, best))) {
        nearest = candidate;
    }
    return nearest;
}
