/*
 * The guest's SMBIOS type 1 strings in JSON: key `smbios` of requests, host configurations and
 * vm_configs.
 *
 * Type 1 only: QEMU has a structure of it whatever is said, so that a string changes no more than
 * itself. Firmware and board strings would add structures that no struct cvm_machine describes.
 *
 * Source: docs/request.md, "smbios".
 */
#ifndef CVM_VMM_SMBIOS_H
#define CVM_VMM_SMBIOS_H

#include "measure/include/cvm/machine.h"
#include "vmm/json.h"

/* What somebody says; NULL where nothing is said, "" where QEMU's default is meant. Borrowed. */
struct cvm_smbios_text {
    const char *manufacturer, *product, *version, *serial, *sku, *family;
};

/*
 * Decodes a `smbios` object; NULL says nothing.
 *
 * @param out  zeroed; borrows from the object.
 * @return false with CVM_ERR_MALFORMED naming the key: unknown, or over 63 characters.
 */
CVM_MUST_CHECK bool cvm_smbios_decode(const struct json_object *object, struct cvm_smbios_text *out,
                                      struct cvm_error *err);

/* The first text's strings, and the second's where that says nothing. */
struct cvm_smbios_text cvm_smbios_either(const struct cvm_smbios_text *first,
                                         const struct cvm_smbios_text *second);

/* The strings as a machine has them; cvm_machine_check() says whether one can. */
void cvm_smbios_fill(const struct cvm_smbios_text *text, struct cvm_smbios *out);

/* Adds the key `smbios` to the open object of b, where a string is set. */
void cvm_smbios_put(const struct cvm_smbios *smbios, struct cvm_json_builder *b);

/* The name (also libvirt's) and the value of a machine's i-th string; NULL after the last. */
const char *cvm_smbios_name(size_t index);
const char *cvm_smbios_value(const struct cvm_smbios *smbios, size_t index);

#endif
