/*
 * JSON in and out. The only includer of json-c is json.c.
 *
 * Documents come from strangers: size and depth are capped, UTF-8 and types are checked before
 * any value is read, numbers are whole and in range, and nothing is converted silently. What is
 * decoded borrows from the document, which has to live as long.
 */
#ifndef CVM_VMM_JSON_H
#define CVM_VMM_JSON_H

#include "measure/base/buf.h"
#include "measure/include/cvm/types.h"

struct json_object; /* json-c's: never looked into elsewhere */

enum { CVM_JSON_MAX_SIZE = 1 << 20, CVM_JSON_MAX_DEPTH = 16 };

#define cvm_autojson CVM_CLEANUP(cvm_json_free_at)

void cvm_json_free(struct json_object *o);
void cvm_json_free_at(struct json_object **slot);

/* --- reading --- */

/*
 * Parses a whole document.
 *
 * @param what  names it in messages: "request 'web.json'".
 * @param text  of any size that the caller's cap let through; CVM_JSON_MAX_SIZE as a rule.
 * @return false with CVM_ERR_MALFORMED naming the offset, CVM_ERR_NOMEM. *out is to be freed.
 */
CVM_MUST_CHECK bool cvm_json_parse(const char *what, struct cvm_bytes text,
                                   struct json_object **out, struct cvm_error *err);

/* Reads and parses a file of at most max bytes. */
CVM_MUST_CHECK bool cvm_json_load_max(const char *path, size_t max, struct json_object **out,
                                      struct cvm_error *err);

/* The same with CVM_JSON_MAX_SIZE. */
CVM_MUST_CHECK bool cvm_json_load(const char *path, struct json_object **out,
                                  struct cvm_error *err);

/* Optional values: whether the key was there, and what it said. */
struct cvm_opt_bool {
    bool set;
    bool value;
};
struct cvm_opt_u64 {
    bool set;
    uint64_t value;
};

enum cvm_json_kind {
    CVM_JSON_STRING, /* const char *: without NUL inside; NULL where absent */
    CVM_JSON_BOOL,   /* struct cvm_opt_bool */
    CVM_JSON_NUMBER, /* struct cvm_opt_u64: whole, min to max */
    CVM_JSON_SIZE,   /* struct cvm_opt_u64: bytes as a number or as "2G" (K, M, G, T); min to max */
    CVM_JSON_OBJECT, /* struct json_object *: borrowed; NULL where absent */
    CVM_JSON_ARRAY,  /* struct json_object *: borrowed; NULL where absent */
    CVM_JSON_ANY,    /* struct json_object *: borrowed; NULL where absent or null */
};

/* One row per key; the list ends with a NULL key. */
struct cvm_json_field {
    const char *key;
    enum cvm_json_kind kind;
    size_t offset; /* of the value in the struct that is filled */
    bool required;
    uint64_t min; /* numbers and sizes; array and string length where max is not 0 */
    uint64_t max; /* 0: no limit */
};

enum cvm_json_unknown { CVM_JSON_REJECT_UNKNOWN, CVM_JSON_IGNORE_UNKNOWN };

/*
 * Fills a zeroed struct from an object. A null value counts as absent.
 *
 * @return false with CVM_ERR_MALFORMED naming key, value and limit; an unknown key is reported
 *         with the nearest known one where that is asked for.
 */
CVM_MUST_CHECK bool cvm_json_decode(const struct json_object *object,
                                    const struct cvm_json_field *fields,
                                    enum cvm_json_unknown unknown, void *out,
                                    struct cvm_error *err);

/*
 * Decodes one value, which is not null, by a row.
 *
 * @param slot  what the row's offset leads to in a struct.
 */
CVM_MUST_CHECK bool cvm_json_decode_value(const struct cvm_json_field *field,
                                          struct json_object *value, void *slot,
                                          struct cvm_error *err);

/* How many bytes a decoded value of a kind has, and whether one is there. */
size_t cvm_json_value_size(enum cvm_json_kind kind);
bool cvm_json_is_set(enum cvm_json_kind kind, const void *slot);

/* Whether it is an object; the decoder checks that by itself. */
bool cvm_json_is_object(const struct json_object *o);
bool cvm_json_is_array(const struct json_object *o);
bool cvm_json_is_string(const struct json_object *o);

/* The string, borrowed; NULL where it is none or has a NUL inside. */
const char *cvm_json_string(const struct json_object *o);

/* Whether it is a whole number that is not negative, and which. */
CVM_MUST_CHECK bool cvm_json_number(const struct json_object *o, uint64_t *out);

size_t cvm_json_array_length(const struct json_object *array);
struct json_object *cvm_json_array_at(const struct json_object *array, size_t index);

/* Whether all items of an array (NULL counts as empty) are strings; CVM_ERR_MALFORMED. */
CVM_MUST_CHECK bool cvm_json_check_strings(const char *key, const struct json_object *array,
                                           struct cvm_error *err);

/* One more owner; cvm_json_free() releases each. */
struct json_object *cvm_json_share(struct json_object *o);

/* "512M", "2G", "4096": bytes in powers of 1024. False for anything else or over 2^63. */
CVM_MUST_CHECK bool cvm_parse_size(const char *text, uint64_t *out);

/* --- writing --- */

enum { CVM_JSON_BUILDER_DEPTH = 8 };

/*
 * Builds a document. Failure is sticky and reported by cvm_json_finish(). In arrays key is NULL.
 * Starts as { 0 }; the first call opens the root.
 */
struct cvm_json_builder {
    struct json_object *open[CVM_JSON_BUILDER_DEPTH];
    unsigned depth;
    struct json_object *root;
    bool failed;
};

#define cvm_autobuilder CVM_CLEANUP(cvm_json_builder_free)

void cvm_json_begin_object(struct cvm_json_builder *b, const char *key);
void cvm_json_begin_array(struct cvm_json_builder *b, const char *key);
void cvm_json_end(struct cvm_json_builder *b);
void cvm_json_put_string(struct cvm_json_builder *b, const char *key, const char *value);
void cvm_json_put_u64(struct cvm_json_builder *b, const char *key, uint64_t value);
void cvm_json_put_bool(struct cvm_json_builder *b, const char *key, bool value);
void cvm_json_put_null(struct cvm_json_builder *b, const char *key);
void cvm_json_put_hex(struct cvm_json_builder *b, const char *key, const uint8_t *data,
                      size_t size);
/* A copy of a part of another document, shared with it. */
void cvm_json_put_any(struct cvm_json_builder *b, const char *key, struct json_object *value);

/* A copy of a part of another document, apart from it: other threads may use the original. */
void cvm_json_put_copy(struct cvm_json_builder *b, const char *key, struct json_object *value);
/* A decoded value; one that is not set as null. */
void cvm_json_put_value(struct cvm_json_builder *b, const char *key, enum cvm_json_kind kind,
                        const void *slot);

enum cvm_json_style { CVM_JSON_ONE_LINE, CVM_JSON_PRETTY };

/* Appends the text, and a newline where pretty; CVM_ERR_NOMEM where building failed. */
CVM_MUST_CHECK bool cvm_json_finish(struct cvm_json_builder *b, enum cvm_json_style style,
                                    struct cvm_buf *out, struct cvm_error *err);

/* Hands the root over instead. */
CVM_MUST_CHECK bool cvm_json_take(struct cvm_json_builder *b, struct json_object **out,
                                  struct cvm_error *err);
void cvm_json_builder_free(struct cvm_json_builder *b);

#endif
