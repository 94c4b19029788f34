#include "measure/base/p256.h"

#include "measure/base/base64.h"

enum { COORDINATE = CVM_P256_SIZE / 2 };

bool cvm_p256_key(const uint8_t point[CVM_P256_SIZE], struct cvm_key **out, struct cvm_error *err)
{
    /* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { uncompressed point */
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
    cvm_autobuf struct cvm_buf der = { 0 };
    cvm_autobuf struct cvm_buf pem = { 0 };
    cvm_put_bytes(&der, head, sizeof head);
    cvm_put_bytes(&der, point, CVM_P256_SIZE);
    cvm_put_text(&pem, "-----BEGIN PUBLIC KEY-----\n");
    cvm_put_base64(&pem, cvm_buf_bytes(&der));
    cvm_put_text(&pem, "\n-----END PUBLIC KEY-----\n");
    return cvm_buf_finish(&der, "public key", err) && cvm_buf_finish(&pem, "public key", err) &&
           cvm_key_parse_public(cvm_buf_bytes(&pem), out, err);
}

/* INTEGER: shortest form, with a zero in front where it would be negative. */
static void put_integer(struct cvm_buf *out, const uint8_t *number)
{
    size_t skipped = 0;
    while (skipped < COORDINATE - 1 && number[skipped] == 0) {
        skipped++;
    }
    bool pad = (number[skipped] & 0x80) != 0;
    cvm_put_u8(out, 0x02);
    cvm_put_u8(out, (uint8_t)(COORDINATE - skipped + pad));
    cvm_put_zeros(out, pad);
    cvm_put_bytes(out, number + skipped, COORDINATE - skipped);
}

bool cvm_p256_verify(const struct cvm_key *key, struct cvm_bytes message,
                     const uint8_t signature[CVM_P256_SIZE], struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf numbers = { 0 };
    cvm_autobuf struct cvm_buf der = { 0 };
    put_integer(&numbers, signature);
    put_integer(&numbers, signature + COORDINATE);
    cvm_put_u8(&der, 0x30); /* SEQUENCE; at most 70 bytes, so one byte of length */
    cvm_put_u8(&der, (uint8_t)numbers.len);
    cvm_put_bytes(&der, numbers.data, numbers.len);
    return cvm_buf_finish(&numbers, "signature", err) && cvm_buf_finish(&der, "signature", err) &&
           cvm_key_verify(key, message, cvm_buf_bytes(&der), err);
}
