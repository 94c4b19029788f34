/*
 * Text from templates: "${name}" is replaced by a value with XML's special characters escaped,
 * "$[name]" by markup that was rendered from another template.
 *
 * Source: templates/README.md lists every name with its meaning.
 */
#ifndef CVM_VMM_TEMPLATE_H
#define CVM_VMM_TEMPLATE_H

#include "measure/base/buf.h"

/* One value; the list ends with a NULL name. */
struct cvm_template_value {
    const char *name;
    const char *text;   /* escaped where it is put */
    const char *markup; /* or: put as it is */
};

/*
 * Appends the rendered template.
 *
 * @param text  of the template, borrowed.
 * @return false with CVM_ERR_SYSTEM naming a name that has no value, a value that no place asks
 *         for, or a character that XML cannot hold; CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool cvm_template_render(const char *name, const char *text,
                                        const struct cvm_template_value *values,
                                        struct cvm_buf *out, struct cvm_error *err);

/* The text of templates/NAME.xml.in, built into the program; NULL where there is none. */
const char *cvm_template_find(const char *name);

#endif
