/*
 * A cache entry that is accepted is written again byte for byte. The digest at the end would keep
 * every other input out, so that an input is also taken for what stands between program and digest.
 */
#include "tests/fuzz/fuzz.h"

#include "measure/base/hash.h"
#include "vmm/digest_cache.h"

#define TOOL "fuzz"

static void check(struct cvm_bytes entry)
{
    struct cvm_error err = { 0 };
    cvm_autorecord struct cvm_digest_record record = { 0 };
    cvm_autobuf struct cvm_buf again = { 0 };
    if (!fuzz_accepted(cvm_digest_record_parse(entry, TOOL, &record, &err), &err)) {
        fuzz_require(record.facts.kernels == NULL, "nothing is set on failure");
        return;
    }
    fuzz_require(record.facts.num_kernels <= CVM_DIGEST_MAX_KERNELS, "keeps its limits");
    fuzz_require(cvm_digest_record_build(&record, TOOL, &again, &err), "is written again");
    fuzz_require(again.len == entry.size && memcmp(again.data, entry.data, entry.size) == 0,
                 "is the same again");
}

static void put_sealed(const uint8_t *data, size_t size, struct cvm_buf *out)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    cvm_put_text(out, "cvm-dgst");
    cvm_put_le(out, CVM_DIGEST_FORMAT, 4);
    cvm_put_le(out, sizeof TOOL - 1, 2);
    cvm_put_text(out, TOOL);
    cvm_put_bytes(out, data, size);
    fuzz_require(!out->failed && cvm_sha256(out->data, out->len, &digest, &err), "is sealed");
    cvm_put_bytes(out, digest.bytes, sizeof digest.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cvm_autobuf struct cvm_buf sealed = { 0 };
    if (size > CVM_DIGEST_MAX_SIZE) {
        return 0;
    }
    check((struct cvm_bytes){ data, size });
    put_sealed(data, size, &sealed);
    check((struct cvm_bytes){ sealed.data, sealed.len });
    return 0;
}
