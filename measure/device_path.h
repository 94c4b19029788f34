/*
 * UEFI device paths as text.
 *
 * Source: UEFI 2.10, 10.3 (nodes) and 10.6 (their text forms).
 */
#ifndef CVM_DEVICE_PATH_H
#define CVM_DEVICE_PATH_H

#include "measure/text.h"

/* Writes the nodes up to the end node; what is malformed shows as "?". */
void text_put_device_path(struct text *t, struct cvm_reader *path);

#endif
