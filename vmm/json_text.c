#include "vmm/json_text.h"

#include "measure/base/utf8.h"

/* The length of the character at p, of which `left` bytes are there; 0 where a string has none. */
static size_t character_length(const uint8_t *p, size_t left)
{
    uint32_t character;
    size_t length = cvm_utf8_read(p, left, &character);
    return length != 0 && character >= 0x20 ? length : 0;
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
