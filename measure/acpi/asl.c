/*
 * aml_asl(): statements in functional ASL to AML, word by word.
 */
#include "measure/acpi/aml.h"
#include "measure/acpi/aml_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { ASL_MAX_TEXT = 2048, ASL_MAX_WORD = 64 };

enum asl_kind {
    ASL_PLAIN,   /* an opcode; its operands are the words that follow */
    ASL_OPENS,   /* an opcode with a PkgLength, closed by "}" */
    ASL_COUNTED, /* the same, and the next number is a raw byte: the element count */
    ASL_UUID,    /* no opcode: the next string is a UUID */
};

/* Two-byte opcodes have the prefix 0x5b in their high byte. */
static const struct asl_word {
    const char *word;
    uint16_t opcode;
    enum asl_kind kind;
} asl_words[] = {
    /* clang-format off */
    { "Local0", 0x60, ASL_PLAIN }, { "Local1", 0x61, ASL_PLAIN }, { "Local2", 0x62, ASL_PLAIN },
    { "Local3", 0x63, ASL_PLAIN }, { "Local4", 0x64, ASL_PLAIN }, { "Local5", 0x65, ASL_PLAIN },
    { "Arg0", 0x68, ASL_PLAIN },   { "Arg1", 0x69, ASL_PLAIN },   { "Arg2", 0x6a, ASL_PLAIN },
    { "Arg3", 0x6b, ASL_PLAIN },   { "Arg4", 0x6c, ASL_PLAIN },
    { "Zero", 0x00, ASL_PLAIN },   { "One", 0x01, ASL_PLAIN },
    { "Store", 0x70, ASL_PLAIN },
    { "Add", 0x72, ASL_PLAIN },
    { "Subtract", 0x74, ASL_PLAIN },
    { "Increment", 0x75, ASL_PLAIN },
    { "ShiftLeft", 0x79, ASL_PLAIN },
    { "ShiftRight", 0x7a, ASL_PLAIN },
    { "And", 0x7b, ASL_PLAIN },
    { "Or", 0x7d, ASL_PLAIN },
    { "DerefOf", 0x83, ASL_PLAIN },
    { "Notify", 0x86, ASL_PLAIN },
    { "SizeOf", 0x87, ASL_PLAIN },
    { "Index", 0x88, ASL_PLAIN },
    { "CreateDWordField", 0x8a, ASL_PLAIN },
    { "LAnd", 0x90, ASL_PLAIN },
    { "LOr", 0x91, ASL_PLAIN },
    { "LNot", 0x92, ASL_PLAIN },
    { "LEqual", 0x93, ASL_PLAIN },
    { "LGreater", 0x94, ASL_PLAIN },
    { "LLess", 0x95, ASL_PLAIN },
    { "ToBuffer", 0x96, ASL_PLAIN },
    { "ToHexString", 0x98, ASL_PLAIN },
    { "Return", 0xa4, ASL_PLAIN },
    { "Break", 0xa5, ASL_PLAIN },
    { "Release", 0x5b27, ASL_PLAIN },
    { "Debug", 0x5b31, ASL_PLAIN },
    { "If", 0xa0, ASL_OPENS },
    { "Else", 0xa1, ASL_OPENS },
    { "While", 0xa2, ASL_OPENS },
    { "Package", 0x12, ASL_COUNTED },
    { "ToUUID", 0, ASL_UUID },
    /* clang-format on */
};

/* What the word before asks of the next one. */
enum asl_expect { EXPECT_ANYTHING, EXPECT_COUNT, EXPECT_UUID };

static const struct asl_word *find_word(const char *word)
{
    for (size_t i = 0; i < sizeof asl_words / sizeof asl_words[0]; i++) {
        if (strcmp(asl_words[i].word, word) == 0) {
            return &asl_words[i];
        }
    }
    return NULL;
}

static enum asl_expect put_known_word(struct aml *a, const struct asl_word *known)
{
    if (known->kind == ASL_UUID) {
        return EXPECT_UUID;
    }
    if (known->opcode > UINT8_MAX) {
        cvm_put_u8(a->out, (uint8_t)(known->opcode >> 8));
    }
    cvm_put_u8(a->out, (uint8_t)known->opcode);
    if (known->kind != ASL_PLAIN) {
        aml_begin(a);
    }
    return known->kind == ASL_COUNTED ? EXPECT_COUNT : EXPECT_ANYTHING;
}

static void put_number(struct aml *a, const char *word, enum asl_expect expect)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(word, &end, 0);
    if (*end != '\0' || errno != 0 || expect == EXPECT_UUID ||
        (expect == EXPECT_COUNT && value > UINT8_MAX)) {
        aml_break(a, "a bad number");
        return;
    }
    if (expect == EXPECT_COUNT) {
        cvm_put_u8(a->out, (uint8_t)value);
        return;
    }
    aml_int(a, value);
}

static enum asl_expect put_word(struct aml *a, const char *word, enum asl_expect expect)
{
    if (*word >= '0' && *word <= '9') {
        put_number(a, word, expect);
        return EXPECT_ANYTHING;
    }
    if (expect != EXPECT_ANYTHING) {
        aml_break(a, "no count behind Package, or no string behind ToUUID");
    }
    const struct asl_word *known = find_word(word);
    if (known != NULL) {
        return put_known_word(a, known);
    }
    aml_namestring(a, word);
    return EXPECT_ANYTHING;
}

static void put_quoted(struct aml *a, const char *text, enum asl_expect expect)
{
    if (expect == EXPECT_UUID) {
        aml_uuid(a, text);
        return;
    }
    aml_string(a, text);
}

/* Copies the characters of text up to one of `stops` into word; returns what follows. */
static const char *copy_until(struct aml *a, const char *text, const char *stops, char *word)
{
    size_t n = strcspn(text, stops);
    if (n >= ASL_MAX_WORD) {
        aml_break(a, "a word of ASL longer than 63 characters");
        n = ASL_MAX_WORD - 1;
    }
    memcpy(word, text, n);
    word[n] = '\0';
    return text + n;
}

static void assemble(struct aml *a, const char *text)
{
    enum asl_expect expect = EXPECT_ANYTHING;
    char word[ASL_MAX_WORD];
    while (a->broken == NULL && *text != '\0') {
        if (*text == '}') {
            aml_end(a);
            text++;
        } else if (strchr(" \n,(){", *text) != NULL) {
            text++;
        } else if (*text == '"') {
            text = copy_until(a, text + 1, "\"", word);
            if (*text != '"') {
                aml_break(a, "a string without its end");
                break;
            }
            text++;
            put_quoted(a, word, expect);
            expect = EXPECT_ANYTHING;
        } else {
            text = copy_until(a, text, " \n,(){}", word);
            expect = put_word(a, word, expect);
        }
    }
    if (expect != EXPECT_ANYTHING) {
        aml_break(a, "a piece of ASL that ends behind Package or ToUUID");
    }
}

void aml_asl(struct aml *a, const char *fmt, ...)
{
    char text[ASL_MAX_TEXT];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) {
        aml_break(a, "a piece of ASL longer than 2 KiB");
        return;
    }
    assemble(a, text);
}
