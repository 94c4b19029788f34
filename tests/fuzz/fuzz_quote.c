/* Parts of an accepted quote lie in it, one behind the other; verifying never trips. */
#include "tests/fuzz/fuzz.h"

#include "measure/include/cvm/quote.h"

static void check_part(struct cvm_bytes part, const uint8_t **at, const uint8_t *end)
{
    fuzz_require(part.size == 0 || (part.data >= *at && part.size <= (size_t)(end - part.data)),
                 "parts follow each other");
    *at = part.size == 0 ? *at : part.data + part.size;
}

static void verify(const struct cvm_quote *quote)
{
    struct cvm_error err = { 0 };
    struct cvm_quote_check check;
    const struct cvm_quote_anchor anchors[] = {
        { .at = 1796083200 },
        { .root = quote->certification_data, .at = 1796083200 },
    };
    for (size_t i = 0; i < 2; i++) {
        err = (struct cvm_error){ 0 };
        if (!cvm_quote_verify(quote, &anchors[i], &check, &err)) {
            fuzz_require(err.code == CVM_ERR_MISMATCH || err.code == CVM_ERR_MALFORMED ||
                             err.code == CVM_ERR_UNSUPPORTED,
                         err.msg);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_quote q;
    uint8_t *decoded = NULL;
    size_t decoded_size = 0;
    if (fuzz_accepted(
            cvm_quote_decode((struct cvm_bytes){ data, size }, &decoded, &decoded_size, &err),
            &err)) {
        fuzz_require(decoded_size <= size, "bytes are not more than their text");
        free(decoded);
    }
    err = (struct cvm_error){ 0 };
    if (!fuzz_accepted(cvm_quote_parse((struct cvm_bytes){ data, size }, &q, &err), &err)) {
        return 0;
    }
    const uint8_t *at = data;
    const struct cvm_bytes parts[] = { q.signed_part,       q.signature,    q.attestation_key,
                                       q.qe_report,         q.qe_signature, q.qe_auth_data,
                                       q.certification_data };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        check_part(parts[i], &at, data + size);
    }
    verify(&q);
    return 0;
}
