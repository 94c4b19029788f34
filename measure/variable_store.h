/*
 * The variable store in the firmware's CFV section.
 *
 * Source: edk2's authenticated and plain variable formats, as docs/measurement.md has them.
 */
#ifndef CVM_VARIABLE_STORE_H
#define CVM_VARIABLE_STORE_H

#include "measure/base/guid.h"
#include "measure/include/cvm/firmware.h"

enum { VARIABLE_STORE_MAX = 4096 }; /* variables, live or not */

/* A variable; everything is borrowed. */
struct variable {
    struct cvm_guid vendor;
    struct cvm_bytes name; /* UTF-16LE with its NUL */
    struct cvm_bytes data;
    uint32_t attributes;
    uint8_t state;
};

/* Whether the firmware sees it: added, and not deleted since. */
bool variable_is_live(const struct variable *v);

/* Whether it has this vendor (text form) and ASCII name. */
bool variable_is(const struct variable *v, const char *vendor, const char *name);

/* A store that was opened. */
struct variable_store {
    enum cvm_store_format format;
    uint32_t size;           /* bytes, its header included */
    struct cvm_bytes region; /* the variables */
    size_t base;             /* where they lie in the file, for messages */
};

/*
 * Opens the store of a CFV section.
 *
 * @param section  borrowed for as long as the store is used.
 * @param base     where the section lies in its file, for messages.
 * @param out      format CVM_STORE_NONE where the section is no volume of variables at all.
 * @return false with CVM_ERR_MALFORMED naming field, offset and limit, or CVM_ERR_UNSUPPORTED
 *         for a store in a format that is not known.
 */
CVM_MUST_CHECK bool variable_store_open(struct cvm_bytes section, size_t base,
                                        struct variable_store *out, struct cvm_error *err);

/*
 * Calls visit for each variable in turn, dead ones included.
 *
 * @return false with CVM_ERR_MALFORMED for sizes that leave the store, or too many variables.
 */
CVM_MUST_CHECK bool variable_store_walk(const struct variable_store *store,
                                        void (*visit)(void *data, const struct variable *v),
                                        void *data, struct cvm_error *err);

/*
 * Reads what is measured of a CFV section.
 *
 * @return false as the two above say, or CVM_ERR_SYSTEM, CVM_ERR_NOMEM.
 */
CVM_MUST_CHECK bool variable_store_measure(struct cvm_bytes section, size_t base,
                                           struct cvm_firmware_variables *out,
                                           struct cvm_error *err);

#endif
