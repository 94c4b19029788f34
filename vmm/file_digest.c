#include "vmm/file_digest.h"

#include "measure/base/file.h"
#include "measure/base/hash.h"

bool cvm_file_digest(const char *path, struct cvm_subject *out, struct cvm_error *err)
{
    enum { CHUNK = 1 << 18 };
    struct cvm_subject digests = { .name = path };
    cvm_autohash struct cvm_hash sha256 = { 0 };
    cvm_autohash struct cvm_hash sha384 = { 0 };
    cvm_autofree uint8_t *chunk = malloc(CHUNK);
    cvm_autoclose int fd = -1;
    if (chunk == NULL) {
        return cvm_fail_nomem(err, path, CHUNK);
    }
    if (!cvm_file_open(path, &fd, err) || !cvm_hash_init(&sha256, CVM_HASH_SHA256, err) ||
        !cvm_hash_init(&sha384, CVM_HASH_SHA384, err)) {
        return false;
    }
    uint64_t done = 0;
    for (size_t n = 1; n != 0; done += n) {
        if (!cvm_file_read_at(fd, path, chunk, CHUNK, done, &n, err) ||
            !cvm_hash_update(&sha256, chunk, n, err) || !cvm_hash_update(&sha384, chunk, n, err)) {
            return false;
        }
    }
    if (!cvm_hash_final(&sha256, digests.sha256.bytes, err) ||
        !cvm_hash_final(&sha384, digests.sha384.bytes, err)) {
        return false;
    }
    *out = digests;
    return true;
}
