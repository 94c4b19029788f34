#include "vmm/template.h"

#include "vmm/markup.h"

#include <string.h>

enum { MAX_VALUES = 64 };

/* XML 1.0 has no way to write most control characters. */
static bool put_escaped(struct cvm_buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20) {
            return false;
        }
    }
    cvm_put_escaped(out, text);
    return true;
}

static bool put_value(const struct cvm_template_value *v, bool markup, struct cvm_buf *out,
                      struct cvm_error *err)
{
    const char *text = markup ? v->markup : v->text;
    if (text == NULL) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "value '%s' is %s", v->name,
                        markup ? "no markup" : "no text");
    }
    if (markup) {
        cvm_put_text(out, text);
        return true;
    }
    return put_escaped(out, text)
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "value '%s' has a control character", v->name);
}

static const struct cvm_template_value *find_value(const struct cvm_template_value *values,
                                                   const char *name, size_t length)
{
    for (; values->name != NULL; values++) {
        if (strlen(values->name) == length && memcmp(values->name, name, length) == 0) {
            return values;
        }
    }
    return NULL;
}

static bool check_used(const struct cvm_template_value *values, const bool *used,
                       struct cvm_error *err)
{
    for (size_t i = 0; values[i].name != NULL; i++) {
        if (!used[i]) {
            return cvm_fail(err, CVM_ERR_SYSTEM, "nothing asks for value '%s'", values[i].name);
        }
    }
    return true;
}

static bool render(const char *text, const struct cvm_template_value *values, struct cvm_buf *out,
                   struct cvm_error *err)
{
    bool used[MAX_VALUES] = { false };
    for (;;) {
        const char *dollar = strchr(text, '$');
        if (dollar == NULL) {
            break;
        }
        bool markup = dollar[1] == '[';
        const char *end = strchr(dollar, markup ? ']' : '}');
        if ((!markup && dollar[1] != '{') || end == NULL) {
            return cvm_fail(err, CVM_ERR_SYSTEM, "a '$' that names no value");
        }
        cvm_put_bytes(out, text, (size_t)(dollar - text));
        const char *name = dollar + 2;
        const struct cvm_template_value *value = find_value(values, name, (size_t)(end - name));
        if (value == NULL) {
            return cvm_fail(err, CVM_ERR_SYSTEM, "no value for '%.*s'", (int)(end - name), name);
        }
        if (!put_value(value, markup, out, err)) {
            return false;
        }
        if (value - values < MAX_VALUES) {
            used[value - values] = true;
        }
        text = end + 1;
    }
    cvm_put_text(out, text);
    return check_used(values, used, err) && cvm_buf_finish(out, "rendered text", err);
}

bool cvm_template_render(const char *name, const char *text,
                         const struct cvm_template_value *values, struct cvm_buf *out,
                         struct cvm_error *err)
{
    return render(text, values, out, err) || cvm_context(err, "template '%s'", name);
}
