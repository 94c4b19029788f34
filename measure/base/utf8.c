#include "measure/base/utf8.h"

#include <stdbool.h>

/* The forms of a character, and which characters may have each. */
static const struct utf8_form {
    uint8_t mask, lead; /* of the first byte */
    size_t more;        /* bytes that follow */
    uint32_t min, max;
} forms[] = {
    { 0x80, 0x00, 0, 0, 0x7f },
    { 0xe0, 0xc0, 1, 0x80, 0x7ff },
    { 0xf0, 0xe0, 2, 0x800, 0xffff },
    { 0xf8, 0xf0, 3, 0x10000, 0x10ffff },
};
enum { NUM_FORMS = sizeof forms / sizeof forms[0] };

size_t cvm_utf8_read(const uint8_t *p, size_t left, uint32_t *character)
{
    for (size_t i = 0; i < NUM_FORMS; i++) {
        const struct utf8_form *f = &forms[i];
        if ((*p & f->mask) != f->lead || f->more >= left) {
            continue;
        }
        uint32_t c = *p & (uint8_t)~f->mask;
        for (size_t k = 1; k <= f->more; k++) {
            if ((p[k] & 0xc0) != 0x80) {
                return 0;
            }
            c = c << 6 | (p[k] & 0x3f);
        }
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        *character = c;
        return c >= f->min && c <= f->max && !surrogate ? f->more + 1 : 0;
    }
    return 0;
}

size_t cvm_utf8_write(uint32_t character, uint8_t out[4])
{
    size_t form = 0;
    while (form < NUM_FORMS - 1 && character > forms[form].max) {
        form++;
    }
    size_t length = forms[form].more + 1;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    out[0] = (uint8_t)(forms[form].lead | character);
    return length;
}
