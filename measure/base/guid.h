/*
 * GUIDs as UEFI and ACPI store them: the first three groups little-endian.
 */
#ifndef CVM_BASE_GUID_H
#define CVM_BASE_GUID_H

#include "measure/base/buf.h"

struct cvm_guid {
    uint8_t bytes[16];
};

/* Reads "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"; false where it is anything else. */
CVM_MUST_CHECK bool cvm_guid_parse(const char *text, struct cvm_guid *out);

enum { CVM_GUID_TEXT_SIZE = 37 };

/* Writes the text form, lower case, with a NUL. */
void cvm_guid_text(const struct cvm_guid *guid, char out[CVM_GUID_TEXT_SIZE]);

/* Appends the 16 bytes of a GUID given as text; a bad text fails the buffer. */
void cvm_put_guid(struct cvm_buf *b, const char *text);

#endif
