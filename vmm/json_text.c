#include "vmm/json_text.h"

/* The forms of a character in UTF-8, and which characters may have each. */
static const struct utf8_form {
    uint8_t mask, lead; /* of the first byte */
    size_t more;        /* bytes that follow */
    uint32_t min, max;
} forms[] = {
    { 0x80, 0x00, 0, 0x20, 0x7f },
    { 0xe0, 0xc0, 1, 0x80, 0x7ff },
    { 0xf0, 0xe0, 2, 0x800, 0xffff },
    { 0xf8, 0xf0, 3, 0x10000, 0x10ffff },
};

/* The length of the character at p, of which `left` bytes are there; 0 where it is none. */
static size_t character_length(const uint8_t *p, size_t left)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
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
        return c >= f->min && c <= f->max && !surrogate ? f->more + 1 : 0;
    }
    return 0;
}

static bool not_json(size_t at, const char *what, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "not JSON at offset %zu: %s", at, what);
}

/* Moves *at behind the string that starts there; a string without its end is the parser's. */
static bool check_string(struct cvm_bytes text, size_t *at, struct cvm_error *err)
{
    size_t i = *at + 1;
    while (i < text.size && text.data[i] != '"') {
        size_t length = character_length(text.data + i, text.size - i);
        if (length == 0) {
            return not_json(i, "a control character, or no UTF-8", err);
        }
        bool escape = text.data[i] == '\\' && i + 1 < text.size && text.data[i + 1] >= 0x20 &&
                      text.data[i + 1] < 0x80;
        i += escape ? 2 : length;
    }
    *at = i + 1;
    return true;
}

bool cvm_json_check_text(struct cvm_bytes text, size_t *members, struct cvm_error *err)
{
    size_t count = 0;
    size_t at = 0;
    while (at < text.size) {
        switch (text.data[at]) {
        case '"':
            if (!check_string(text, &at, err)) {
                return false;
            }
            continue;
        case '\'':
            return not_json(at, "a single quote", err);
        case 'N':
        case 'I':
            return not_json(at, "not a number", err);
        case ':':
            count++;
            break;
        default:
            break;
        }
        at++;
    }
    *members = count;
    return true;
}
