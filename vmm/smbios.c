#include "vmm/smbios.h"

enum { MAX_LENGTH = sizeof((struct cvm_smbios *)NULL)->manufacturer - 1 };

#define TEXT(f) offsetof(struct cvm_smbios_text, f)
#define VALUE(f) offsetof(struct cvm_smbios, f)
/* clang-format off */
static const struct {
    struct cvm_json_field field;
    size_t value; /* offset in a machine's strings */
} strings[] = {
    { { "manufacturer", CVM_JSON_STRING, TEXT(manufacturer), .max = MAX_LENGTH }, VALUE(manufacturer) },
    { { "product",      CVM_JSON_STRING, TEXT(product), .max = MAX_LENGTH },      VALUE(product) },
    { { "version",      CVM_JSON_STRING, TEXT(version), .max = MAX_LENGTH },      VALUE(version) },
    { { "serial",       CVM_JSON_STRING, TEXT(serial), .max = MAX_LENGTH },       VALUE(serial) },
    { { "sku",          CVM_JSON_STRING, TEXT(sku), .max = MAX_LENGTH },          VALUE(sku) },
    { { "family",       CVM_JSON_STRING, TEXT(family), .max = MAX_LENGTH },       VALUE(family) },
};
/* clang-format on */

enum { NUM_STRINGS = sizeof strings / sizeof strings[0] };

/* One string of a text. */
static const char *said(const struct cvm_smbios_text *text, size_t index)
{
    const char *value;
    memcpy(&value, (const char *)text + strings[index].field.offset, sizeof value);
    return value;
}

bool cvm_smbios_decode(const struct json_object *object, struct cvm_smbios_text *out,
                       struct cvm_error *err)
{
    struct cvm_json_field fields[NUM_STRINGS + 1] = { 0 };
    for (size_t i = 0; i < NUM_STRINGS; i++) {
        fields[i] = strings[i].field;
    }
    return object == NULL || cvm_json_decode(object, fields, CVM_JSON_REJECT_UNKNOWN, out, err) ||
           cvm_context(err, "key 'smbios'");
}

struct cvm_smbios_text cvm_smbios_either(const struct cvm_smbios_text *first,
                                         const struct cvm_smbios_text *second)
{
    struct cvm_smbios_text out = *first;
    for (size_t i = 0; i < NUM_STRINGS; i++) {
        if (said(first, i) == NULL) {
            const char *other = said(second, i);
            memcpy((char *)&out + strings[i].field.offset, &other, sizeof other);
        }
    }
    return out;
}

void cvm_smbios_fill(const struct cvm_smbios_text *text, struct cvm_smbios *out)
{
    *out = (struct cvm_smbios){ 0 };
    for (size_t i = 0; i < NUM_STRINGS; i++) {
        const char *value = said(text, i);
        if (value != NULL) { /* one that is too long has no NUL then, and no machine has it */
            memcpy((char *)out + strings[i].value, value, strnlen(value, MAX_LENGTH + 1));
        }
    }
}

const char *cvm_smbios_name(size_t index)
{
    return index < NUM_STRINGS ? strings[index].field.key : NULL;
}

const char *cvm_smbios_value(const struct cvm_smbios *smbios, size_t index)
{
    return (const char *)smbios + strings[index].value;
}

void cvm_smbios_put(const struct cvm_smbios *smbios, struct cvm_json_builder *b)
{
    bool open = false;
    for (size_t i = 0; i < NUM_STRINGS; i++) {
        const char *value = cvm_smbios_value(smbios, i);
        if (*value == '\0') {
            continue;
        }
        if (!open) {
            cvm_json_begin_object(b, "smbios");
            open = true;
        }
        cvm_json_put_string(b, strings[i].field.key, value);
    }
    if (open) {
        cvm_json_end(b);
    }
}
