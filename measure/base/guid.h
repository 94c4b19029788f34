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

/* The text form, lower case, with its NUL. */
enum { CVM_GUID_TEXT = 37 };
void cvm_guid_text(const struct cvm_guid *guid, char out[CVM_GUID_TEXT]);

/* Whether stored bytes are the GUID that the text form says. */
bool cvm_guid_is(const uint8_t bytes[16], const char *text);

/* Appends the 16 bytes of a GUID given as text; a bad text fails the buffer. */
void cvm_put_guid(struct cvm_buf *b, const char *text);

#endif
