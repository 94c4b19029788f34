/*
 * The machine as JSON: every fact of struct cvm_machine, resolved, so that a reader needs to know
 * no defaults.
 *
 * Source: docs/manifest.md lists the keys.
 */
#ifndef CVM_VMM_MACHINE_JSON_H
#define CVM_VMM_MACHINE_JSON_H

#include "measure/include/cvm/machine.h"
#include "vmm/json.h"

/* Adds the object "machine". */
void cvm_machine_put(const struct cvm_machine *machine, struct cvm_json_builder *b);

/* What a vm_config has in the same form: "numa_nodes", and BARs where they are known. */
void cvm_machine_put_nodes(const struct cvm_machine *machine, struct cvm_json_builder *b);
/* Adds the object that describes a node to the open array of b. */
void cvm_numa_node_put(const struct cvm_numa_node *node, struct cvm_json_builder *b);
/* Adds the array that describes BARs: with a key in an object, or with NULL as the root. */
void cvm_port_bars_put(const char *key, const struct cvm_port_bars *bars,
                       struct cvm_json_builder *b);
void cvm_machine_put_bars(const char *key, const struct cvm_port_bars *bars,
                          struct cvm_json_builder *b);

#endif
