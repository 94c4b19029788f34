/*
 * What OVMF measures of UEFI variables and boot options.
 *
 * Source: UEFI 2.10, 3.1.3 (load options), 10.3 (device paths); TCG PC Client Platform
 *         Firmware Profile 1.05, UEFI_VARIABLE_DATA.
 */
#ifndef CVM_EFI_H
#define CVM_EFI_H

#include "measure/base/buf.h"
#include "measure/include/cvm/layout.h"

#define EFI_GLOBAL_VARIABLE_GUID "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define EFI_IMAGE_SECURITY_DATABASE_GUID "d719b2cb-3d3a-4596-a3bc-dad00e67656f"

/* Appends the measured form of a variable: GUID, lengths, name in UTF-16, data. */
void efi_put_variable_event(struct cvm_buf *out, const char *guid, const char *name,
                            struct cvm_bytes data);

/* Appends the contents of a Boot#### variable. */
void efi_put_load_option(struct cvm_buf *out, const struct cvm_boot_option *option);

#endif
