#include "vmm/keys.h"

#include "measure/base/file.h"

#include <stdio.h>

enum { MAX_KEY_FILE = 1 << 16 };

static bool contains(const struct cvm_buf *text, const char *word)
{
    return text->len != 0 && memmem(text->data, text->len, word, strlen(word)) != NULL;
}

static bool load_file(const char *path, enum cvm_key_part part, struct cvm_passphrase *passphrase,
                      struct cvm_key **out, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_buf_wipe)
    struct cvm_buf pem = { 0 };
    if (!cvm_file_load(path, MAX_KEY_FILE, &pem, err)) {
        return false;
    }
    const struct cvm_bytes text = { pem.data, pem.len };
    if (part == CVM_KEY_PUBLIC) {
        return cvm_key_parse_public(text, out, err);
    }
    if (contains(&pem, "ENCRYPTED") && !passphrase->set &&
        !cvm_passphrase_ask(path, false, passphrase, err)) {
        return false;
    }
    return cvm_key_parse_private(text, cvm_passphrase_text(passphrase), out, err);
}

static bool load_token(const char *uri, enum cvm_key_part part, struct cvm_passphrase *passphrase,
                       struct cvm_key **out, struct cvm_error *err)
{
    struct cvm_error ignored = { 0 };
    if (part == CVM_KEY_PRIVATE && !passphrase->set && strstr(uri, "pin-source") == NULL) {
        (void)!cvm_passphrase_ask("the token (its PIN)", false, passphrase, &ignored);
    }
    return cvm_key_open_token(uri, cvm_passphrase_text(passphrase), part, out, err);
}

bool cvm_key_load(const char *where, enum cvm_key_part part, const char *passphrase_file,
                  struct cvm_key **out, struct cvm_error *err)
{
    static const char scheme[] = "pkcs11:";
    cvm_autopassphrase struct cvm_passphrase passphrase = { 0 };
    bool is_token = strncmp(where, scheme, sizeof scheme - 1) == 0;
    if (is_token && strstr(where, "pin-value") != NULL) { /* and it is not shown again here */
        return cvm_fail(err, CVM_ERR_USAGE,
                        "a key's URI has the PIN in it, where others can read it; give "
                        "--passphrase-file, set " CVM_PASSPHRASE_VARIABLE ", or use pin-source");
    }
    if (!cvm_passphrase_load(passphrase_file, &passphrase, err)) {
        return false;
    }
    if (!(is_token ? load_token : load_file)(where, part, &passphrase, out, err)) {
        return cvm_context(err, "key '%s'", where);
    }
    return true;
}

bool cvm_keys_load(const char *const *where, size_t count, enum cvm_key_part part,
                   const char *passphrase_file, struct cvm_keys *out, struct cvm_error *err)
{
    out->items = calloc(count + 1, sizeof(struct cvm_key *));
    if (out->items == NULL) {
        return cvm_fail_nomem(err, "keys", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!cvm_key_load(where[i], part, passphrase_file, &out->items[i], err)) {
            return false;
        }
        out->count++;
    }
    return true;
}

void cvm_keys_free(struct cvm_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        cvm_key_free(keys->items[i]);
    }
    free(keys->items);
    *keys = (struct cvm_keys){ 0 };
}

const struct cvm_key *const *cvm_keys_list(const struct cvm_keys *keys)
{
    return (const struct cvm_key *const *)keys->items;
}

bool cvm_key_save(const struct cvm_key *key, const char *path, const char *passphrase,
                  struct cvm_error *err)
{
    CVM_CLEANUP(cvm_buf_wipe)
    struct cvm_buf private_pem = { 0 };
    cvm_autobuf struct cvm_buf public_pem = { 0 };
    cvm_autofree char *public_path = NULL;
    if (asprintf(&public_path, "%s.pub", path) < 0) {
        public_path = NULL;
        return cvm_fail_nomem(err, path, strlen(path));
    }
    if (!cvm_key_build_private(key, passphrase, &private_pem, err) ||
        !cvm_key_build_public(key, &public_pem, err) ||
        !cvm_file_save(path, private_pem.data, private_pem.len, 0600, CVM_FILE_KEEP, err)) {
        return false;
    }
    if (cvm_file_save(public_path, public_pem.data, public_pem.len, 0644, CVM_FILE_KEEP, err)) {
        return true;
    }
    (void)unlink(path); /* made just now, and nobody has its public half */
    return false;
}
