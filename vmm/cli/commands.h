/*
 * All commands; each is defined in the file of its name.
 */
#ifndef CVM_CLI_COMMANDS_H
#define CVM_CLI_COMMANDS_H

#include "vmm/cli/cli.h"

extern const struct cli_command cmd_image_list, cmd_image_show, cmd_image_verify;
extern const struct cli_command cmd_acpi;
extern const struct cli_command cmd_firmware;
extern const struct cli_command cmd_measure;
extern const struct cli_command cmd_vm_config;
extern const struct cli_command cmd_keygen;
extern const struct cli_command cmd_manifest_create, cmd_manifest_cosign;
extern const struct cli_command cmd_manifest_verify, cmd_manifest_show, cmd_manifest_export;
extern const struct cli_command cmd_launch;
extern const struct cli_command cmd_list, cmd_show, cmd_start, cmd_stop, cmd_remove, cmd_logs;
extern const struct cli_command cmd_check_host;
extern const struct cli_command cmd_verify, cmd_explain;

#endif
