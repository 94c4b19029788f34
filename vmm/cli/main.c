#include "vmm/cli/commands.h"

int main(int argc, char **argv)
{
    /* clang-format off */
    const struct cli_command commands[] = {
        cmd_image_list, cmd_image_show, cmd_image_verify,
        cmd_acpi, cmd_firmware, cmd_measure, cmd_vm_config,
        cmd_keygen, cmd_manifest_create, cmd_manifest_cosign,
        cmd_manifest_verify, cmd_manifest_show, cmd_manifest_export,
        cmd_verify, cmd_explain,
#ifdef CVM_WITH_LAUNCH
        cmd_launch, cmd_list, cmd_show, cmd_start, cmd_stop, cmd_remove, cmd_logs, cmd_check_host,
#endif
        { 0 },
    };
    /* clang-format on */
    return cli_main(commands, argc, argv);
}
