/*
 * Many machines in one file: lists of values, whose product is meant.
 *
 *   {"cpu_count": [1, 2, 4], "memory_size": ["2G", "4G"], "qemu_version": "9.2.1"}
 *
 * Keys are those of a vm_config that describe a machine, each with one value or a list of them.
 * Shapes are numbered by the keys in the order of docs/vm-config.md, not of the file: the last
 * key varies fastest, and values come in the order of their list.
 *
 * Source: docs/operations.md, "Many machines".
 */
#ifndef CVM_VMM_MATRIX_H
#define CVM_VMM_MATRIX_H

#include "vmm/vm_config.h"

enum { CVM_MATRIX_MAX_SHAPES = 65536, CVM_MATRIX_MAX_KEYS = 64 };

/* A decoded value, or null: what the shape has without the matrix. */
union cvm_matrix_value {
    const char *string;
    struct cvm_opt_bool flag;
    struct cvm_opt_u64 number;
    struct json_object *json;
};

struct cvm_matrix_key {
    const struct cvm_json_field *field;
    union cvm_matrix_value *values; /* owned */
    size_t count;
};

struct cvm_matrix {
    struct json_object *document; /* owned; values borrow from it */
    struct cvm_matrix_key keys[CVM_MATRIX_MAX_KEYS];
    size_t num_keys;
    size_t num_shapes;
};

#define cvm_automatrix CVM_CLEANUP(cvm_matrix_free)

/*
 * Reads a matrix.
 *
 * @param document  borrowed for the call, shared from then on.
 * @param out       zeroed.
 * @return false with CVM_ERR_MALFORMED naming key, place in its list and what is wrong: an
 *         unknown key with the nearest known one, an empty list, more shapes than there may be.
 */
CVM_MUST_CHECK bool cvm_matrix_parse(struct json_object *document, struct cvm_matrix *out,
                                     struct cvm_error *err);

/* The same from a file, which messages name. */
CVM_MUST_CHECK bool cvm_matrix_load(const char *path, struct cvm_matrix *out,
                                    struct cvm_error *err);
void cvm_matrix_free(struct cvm_matrix *m);

/* The value that a shape has of a key of the matrix. */
const union cvm_matrix_value *cvm_matrix_value(const struct cvm_matrix *m, size_t shape,
                                               size_t key);

/* The matrix's key of this name; NULL where it has none. */
const struct cvm_matrix_key *cvm_matrix_find(const struct cvm_matrix *m, const char *name);

/* Whether a shape says a key of this name. */
bool cvm_matrix_says(const struct cvm_matrix *m, size_t shape, const char *name);

/* Puts a shape's values over a declaration. */
void cvm_matrix_apply(const struct cvm_matrix *m, size_t shape, struct cvm_vm_config *config);

/* Adds "shape": the shape's value of each key, sizes in bytes. Any thread may do so. */
void cvm_matrix_put_shape(const struct cvm_matrix *m, size_t shape, struct cvm_json_builder *b);

#endif
