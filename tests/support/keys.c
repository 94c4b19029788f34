#include "tests/support/keys.h"

#include "tests/support/check.h"

#include <stdio.h>

struct cvm_key *load_vector_key(const char *name, enum cvm_key_part part)
{
    struct cvm_error err = { 0 };
    struct cvm_key *key = NULL;
    char path[128];
    bool is_private = part == CVM_KEY_PRIVATE;
    snprintf(path, sizeof path, "keys/accepted-%s.%s.pem", name, is_private ? "key" : "pub");
    cvm_autobuf struct cvm_buf pem = load_vector(path);
    const struct cvm_bytes text = { pem.data, pem.len };
    must(is_private ? cvm_key_parse_private(text, NULL, &key, &err)
                    : cvm_key_parse_public(text, &key, &err),
         &err);
    return key;
}
