/**
 * Small types that every other header uses.
 */
#ifndef CVM_TYPES_H
#define CVM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A SHA-384 value. A type of its own, so that its length cannot be mistaken. */
struct cvm_sha384 {
    uint8_t bytes[48];
};

/** A SHA-256 value. */
struct cvm_sha256 {
    uint8_t bytes[32];
};

/** A number that may not be known. */
struct cvm_opt_u32 {
    bool set;
    uint32_t value; /* 0 unless set */
};

/** Borrowed bytes: whoever hands them over keeps them alive for the call. */
struct cvm_bytes {
    const uint8_t *data; /* NULL only where size is 0 */
    size_t size;         /* bytes */
};

#ifdef __cplusplus
}
#endif

#endif
