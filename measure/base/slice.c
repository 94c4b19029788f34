#include "measure/base/slice.h"

#include "measure/base/utf8.h"

static int peek(const struct cvm_reader *r)
{
    return cvm_reader_left(r) == 0 ? -1 : r->data[r->pos];
}

/* Moves behind this character where it stands next. */
static bool take(struct cvm_reader *r, char c)
{
    if (peek(r) != c) {
        return false;
    }
    cvm_read_skip(r, 1);
    return true;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct cvm_reader *r)
{
    while (is_blank(peek(r))) {
        cvm_read_skip(r, 1);
    }
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool not_json(size_t at, const char *what, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "not JSON at offset %zu: %s", at, what);
}

/* --- strings --- */

static bool read_hex4(struct cvm_reader *r, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t c = cvm_read_u8(r);
        uint8_t letter = c | 0x20;
        if (!is_digit(c) && (letter < 'a' || letter > 'f')) {
            return false;
        }
        *out = *out << 4 | (uint32_t)(is_digit(c) ? c - '0' : letter - 'a' + 10);
    }
    return true;
}

/* What follows "\u": a character, or the two halves of one. */
static bool read_unicode(struct cvm_reader *r, uint32_t *out)
{
    uint32_t low;
    if (!read_hex4(r, out)) {
        return false;
    }
    if (*out < 0xd800 || *out > 0xdfff) {
        return true;
    }
    if (*out > 0xdbff || !take(r, '\\') || !take(r, 'u') || !read_hex4(r, &low) || low < 0xdc00 ||
        low > 0xdfff) {
        return false;
    }
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* The next character of a string, with escapes resolved; false where there is none. */
static bool next_character(struct cvm_reader *r, uint32_t *out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (take(r, '\\')) {
        uint8_t c = cvm_read_u8(r);
        const char *found = c == '\0' ? NULL : strchr(letters, c);
        if (found == NULL) {
            return c == 'u' && read_unicode(r, out);
        }
        *out = (uint8_t)meanings[found - letters];
        return true;
    }
    size_t left = cvm_reader_left(r);
    size_t length = left == 0 ? 0 : cvm_utf8_read(r->data + r->pos, left, out);
    cvm_read_skip(r, length);
    return length != 0 && *out >= 0x20;
}

/* The characters between the quotes of a checked string. */
static struct cvm_reader inside(struct cvm_slice string)
{
    return cvm_reader_of(string.data + 1, string.size - 2);
}

static bool same_string(struct cvm_slice a, struct cvm_slice b)
{
    struct cvm_reader ra = inside(a);
    struct cvm_reader rb = inside(b);
    uint32_t ca;
    uint32_t cb;
    while (next_character(&ra, &ca)) {
        if (!next_character(&rb, &cb) || ca != cb) {
            return false;
        }
    }
    return cvm_reader_left(&rb) == 0;
}

/* --- checking --- */

static bool check_value(struct cvm_reader *r, unsigned depth, struct cvm_error *err);

static bool check_string(struct cvm_reader *r, struct cvm_slice *out, struct cvm_error *err)
{
    uint32_t ignored;
    size_t start = r->pos;
    if (!take(r, '"')) {
        return not_json(r->pos, "a string should stand here", err);
    }
    while (!take(r, '"')) {
        size_t at = r->pos;
        if (!next_character(r, &ignored)) {
            return not_json(at, "no character of a string", err);
        }
    }
    *out = (struct cvm_slice){ r->data + start, r->pos - start };
    return true;
}

static bool take_digits(struct cvm_reader *r)
{
    bool any = is_digit(peek(r));
    while (is_digit(peek(r))) {
        cvm_read_skip(r, 1);
    }
    return any;
}

static bool check_number(struct cvm_reader *r, struct cvm_error *err)
{
    size_t start = r->pos;
    (void)take(r, '-');
    bool ok = take(r, '0') || take_digits(r);
    if (take(r, '.')) {
        ok &= take_digits(r);
    }
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) {
            (void)take(r, '-');
        }
        ok &= take_digits(r);
    }
    return ok && !is_digit(peek(r)) ? true : not_json(start, "no number", err);
}

static bool check_word(struct cvm_reader *r, struct cvm_error *err)
{
    static const char *const words[] = { "true", "false", "null" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (cvm_reader_left(r) >= length && memcmp(r->data + r->pos, words[i], length) == 0) {
            cvm_read_skip(r, length);
            return true;
        }
    }
    return not_json(r->pos, "no value", err);
}

static bool check_key(struct cvm_reader *r, struct cvm_slice *keys, size_t count,
                      struct cvm_error *err)
{
    size_t at = r->pos;
    if (count == CVM_SLICE_MAX_MEMBERS) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "object with a member more than %d at offset %zu of the JSON",
                        CVM_SLICE_MAX_MEMBERS, at);
    }
    if (!check_string(r, &keys[count], err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (same_string(keys[i], keys[count])) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "a key stands twice in one object, the second time at offset %zu of "
                            "the JSON",
                            at);
        }
    }
    return true;
}

static bool check_object(struct cvm_reader *r, unsigned depth, struct cvm_error *err)
{
    struct cvm_slice keys[CVM_SLICE_MAX_MEMBERS];
    size_t count = 0;
    skip_blanks(r);
    if (take(r, '}')) {
        return true;
    }
    do {
        skip_blanks(r);
        if (!check_key(r, keys, count++, err)) {
            return false;
        }
        skip_blanks(r);
        if (!take(r, ':')) {
            return not_json(r->pos, "a colon should stand here", err);
        }
        if (!check_value(r, depth, err)) {
            return false;
        }
    } while (take(r, ','));
    return take(r, '}') ? true : not_json(r->pos, "a comma or the object's end", err);
}

static bool check_array(struct cvm_reader *r, unsigned depth, struct cvm_error *err)
{
    skip_blanks(r);
    if (take(r, ']')) {
        return true;
    }
    do {
        if (!check_value(r, depth, err)) {
            return false;
        }
    } while (take(r, ','));
    return take(r, ']') ? true : not_json(r->pos, "a comma or the array's end", err);
}

static bool check_container(struct cvm_reader *r, unsigned depth, struct cvm_error *err)
{
    if (depth == CVM_SLICE_MAX_DEPTH) {
        return not_json(r->pos, "nested too deep", err);
    }
    return take(r, '{') ? check_object(r, depth + 1, err)
                        : take(r, '[') && check_array(r, depth + 1, err);
}

/* A value with the blanks around it. */
static bool check_value(struct cvm_reader *r, unsigned depth, struct cvm_error *err)
{
    struct cvm_slice ignored;
    skip_blanks(r);
    int c = peek(r);
    bool ok = c == '{' || c == '['      ? check_container(r, depth, err)
              : c == '"'                ? check_string(r, &ignored, err)
              : c == '-' || is_digit(c) ? check_number(r, err)
                                        : check_word(r, err);
    skip_blanks(r);
    return ok;
}

static struct cvm_slice next_value(struct cvm_reader *r);

bool cvm_slice_parse(struct cvm_bytes text, struct cvm_slice *root, struct cvm_error *err)
{
    struct cvm_reader r = cvm_reader_of(text.data, text.size);
    if (!check_value(&r, 0, err)) {
        return false;
    }
    if (cvm_reader_left(&r) != 0) {
        return not_json(r.pos, "something follows the value", err);
    }
    r.pos = 0;
    *root = next_value(&r);
    return true;
}

/* --- walking what was checked --- */

/* Where the string ends that starts at `at`: behind its closing quote. */
static size_t end_of_string(const struct cvm_reader *r, size_t at)
{
    at++;
    while (at < r->size && r->data[at] != '"') {
        at += r->data[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

/* The value at the reader, without the blanks around it. */
static struct cvm_slice next_value(struct cvm_reader *r)
{
    skip_blanks(r);
    size_t start = r->pos;
    size_t at = start;
    for (unsigned depth = 0; at < r->size;) {
        uint8_t c = r->data[at];
        bool closes = c == '}' || c == ']';
        if (depth == 0 && (closes || c == ',' || c == ':' || is_blank(c))) {
            break;
        }
        depth += c == '{' || c == '[';
        depth -= closes;
        at = c == '"' ? end_of_string(r, at) : at + 1;
    }
    cvm_read_skip(r, at - start);
    return (struct cvm_slice){ r->data + start, at - start };
}

static bool starts_with(struct cvm_slice value, uint8_t c)
{
    return value.size != 0 && value.data[0] == c;
}

bool cvm_slice_is_object(struct cvm_slice value)
{
    return starts_with(value, '{');
}

bool cvm_slice_is_array(struct cvm_slice value)
{
    return starts_with(value, '[');
}

bool cvm_slice_is_string(struct cvm_slice value)
{
    return starts_with(value, '"');
}

struct cvm_slice_iter cvm_slice_items(struct cvm_slice container)
{
    bool walkable = cvm_slice_is_object(container) || cvm_slice_is_array(container);
    return (struct cvm_slice_iter){ walkable ? cvm_reader_of(container.data, container.size)
                                             : cvm_reader_of(NULL, 0) };
}

bool cvm_slice_next(struct cvm_slice_iter *it, struct cvm_slice *key, struct cvm_slice *value)
{
    struct cvm_reader *r = &it->reader;
    if (cvm_reader_left(r) == 0) {
        return false;
    }
    bool object = r->data[0] == '{';
    cvm_read_skip(r, 1); /* the opening bracket, or the comma behind the value before */
    struct cvm_slice first = next_value(r);
    skip_blanks(r);
    if (first.size == 0) { /* the closing bracket */
        return false;
    }
    *key = (struct cvm_slice){ NULL, 0 };
    *value = first;
    if (object) {
        cvm_read_skip(r, 1); /* the colon */
        *key = first;
        *value = next_value(r);
        skip_blanks(r);
    }
    return true;
}

size_t cvm_slice_count(struct cvm_slice container)
{
    struct cvm_slice_iter it = cvm_slice_items(container);
    struct cvm_slice key;
    struct cvm_slice value;
    size_t count = 0;
    while (cvm_slice_next(&it, &key, &value)) {
        count++;
    }
    return count;
}

bool cvm_slice_equals(struct cvm_slice value, const char *text)
{
    if (!cvm_slice_is_string(value)) {
        return false;
    }
    struct cvm_reader r = inside(value);
    struct cvm_reader want = cvm_reader_of(text, strlen(text));
    uint32_t c;
    uint32_t wanted;
    while (next_character(&r, &c)) {
        size_t left = cvm_reader_left(&want);
        size_t length = left == 0 ? 0 : cvm_utf8_read(want.data + want.pos, left, &wanted);
        if (length == 0 || c != wanted) {
            return false;
        }
        cvm_read_skip(&want, length);
    }
    return cvm_reader_left(&want) == 0;
}

struct cvm_slice cvm_slice_member(struct cvm_slice object, const char *key)
{
    static const struct cvm_slice none = { NULL, 0 };
    struct cvm_slice_iter it = cvm_slice_items(object);
    struct cvm_slice found;
    struct cvm_slice value;
    while (cvm_slice_is_object(object) && cvm_slice_next(&it, &found, &value)) {
        if (cvm_slice_equals(found, key)) {
            return starts_with(value, 'n') ? none : value;
        }
    }
    return none;
}

/* --- values --- */

void cvm_put_slice_text(struct cvm_buf *out, struct cvm_slice string)
{
    struct cvm_reader r = inside(string);
    uint8_t bytes[4];
    uint32_t c;
    while (next_character(&r, &c)) {
        cvm_put_bytes(out, bytes, cvm_utf8_write(c, bytes));
    }
}

bool cvm_slice_copy(struct cvm_slice value, char *out, size_t size, struct cvm_error *err)
{
    if (!cvm_slice_is_string(value)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, value.size == 0 ? "missing" : "not a string");
    }
    struct cvm_reader r = inside(value);
    size_t length = 0;
    uint32_t c;
    while (next_character(&r, &c)) {
        uint8_t bytes[4];
        size_t n = cvm_utf8_write(c, bytes);
        if (c == 0) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "a NUL within the text");
        }
        if (n >= size - length) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %zu bytes of text", size - 1);
        }
        memcpy(out + length, bytes, n);
        length += n;
    }
    out[length] = '\0';
    return true;
}
