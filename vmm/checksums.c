#include "vmm/checksums.h"

#include "measure/base/hex.h"

#include <string.h>

enum { HEX_DIGITS = 64, NAME_AT = HEX_DIGITS + 2 };

/* Finds the name in a line, which stays borrowed, and reads the digest. */
static bool parse_line(const char *line, size_t length, struct cvm_sha256 *digest,
                       const char **name, struct cvm_error *err)
{
    if (length <= NAME_AT || line[HEX_DIGITS] != ' ' ||
        (line[HEX_DIGITS + 1] != ' ' && line[HEX_DIGITS + 1] != '*') ||
        memchr(line, '\0', length) != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "not a line of sha256sum");
    }
    *name = line + NAME_AT;
    return cvm_hex_decode(line, HEX_DIGITS, digest->bytes, sizeof digest->bytes, err);
}

static bool append(struct cvm_checksums *list, const struct cvm_sha256 *digest, const char *name,
                   size_t length, struct cvm_error *err)
{
    if (list->count == CVM_MAX_CHECKSUMS) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d files", CVM_MAX_CHECKSUMS);
    }
    struct cvm_checksum *grown = realloc(list->items, (list->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, "sha256sum.txt", (list->count + 1) * sizeof *grown);
    }
    list->items = grown;
    char *copy = strndup(name, length);
    if (copy == NULL) {
        return cvm_fail_nomem(err, "file name", length);
    }
    bool listed = cvm_checksums_find(list, copy) != NULL;
    list->items[list->count++] = (struct cvm_checksum){ *digest, copy };
    return listed ? cvm_fail(err, CVM_ERR_MALFORMED, "'%s' is listed twice", copy) : true;
}

bool cvm_checksums_parse(struct cvm_bytes text, struct cvm_checksums *out, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_checksums_free)
    struct cvm_checksums list = { 0 };
    const char *line = (const char *)text.data;
    size_t left = text.size;
    for (unsigned number = 1; left != 0; number++) {
        const char *newline = memchr(line, '\n', left);
        size_t length = newline == NULL ? left : (size_t)(newline - line);
        struct cvm_sha256 digest;
        const char *name = line;
        if (!parse_line(line, length, &digest, &name, err) ||
            !append(&list, &digest, name, length - NAME_AT, err)) {
            return cvm_context(err, "sha256sum.txt: line %u", number);
        }
        size_t used = length + (newline != NULL);
        line += used;
        left -= used;
    }
    *out = list;
    list = (struct cvm_checksums){ 0 };
    return true;
}

const struct cvm_checksum *cvm_checksums_find(const struct cvm_checksums *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

void cvm_checksums_free(struct cvm_checksums *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
    }
    free(list->items);
    *list = (struct cvm_checksums){ 0 };
}

bool cvm_digest_check(struct cvm_bytes digest_txt, const struct cvm_sha256 *want,
                      struct cvm_error *err)
{
    struct cvm_sha256 said;
    const char *text = (const char *)digest_txt.data;
    size_t length = digest_txt.size;
    while (length > 0 && memchr(" \t\r\n", text[length - 1], 4) != NULL) {
        length--;
    }
    if (!cvm_hex_decode(text, length, said.bytes, sizeof said.bytes, err)) {
        return cvm_context(err, "digest.txt");
    }
    if (memcmp(&said, want, sizeof said) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH, "digest.txt is not the SHA-256 of sha256sum.txt");
    }
    return true;
}
