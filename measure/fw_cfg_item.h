/*
 * The items of fw_cfg, beside ACPI and SMBIOS, that firmware measures: their bytes for a machine.
 *
 * Source: docs/measurement.md, events fwcfg_*.
 */
#ifndef CVM_FW_CFG_ITEM_H
#define CVM_FW_CFG_ITEM_H

#include "measure/base/buf.h"
#include "measure/include/cvm/layout.h"
#include "measure/include/cvm/machine.h"

/* Whether the machine has the item; kinds of event that are no such item always exist. */
bool fw_cfg_item_exists(const struct cvm_machine *machine, enum cvm_layout_kind kind);

/* Appends the value of an item that exists; nothing for kinds that are no such item. */
void fw_cfg_item_put(const struct cvm_machine *machine, enum cvm_layout_kind kind,
                     struct cvm_buf *out);

#endif
