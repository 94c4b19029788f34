#include "vmm/cli/commands.h"

int main(int argc, char **argv)
{
    const struct cli_command commands[] = {
        cmd_image_list, cmd_image_show, cmd_image_verify, cmd_acpi,    cmd_measure, cmd_vm_config,
        cmd_launch,     cmd_list,       cmd_show,         cmd_start,   cmd_stop,    cmd_remove,
        cmd_logs,       cmd_check_host, cmd_verify,       cmd_explain, { 0 },
    };
    return cli_main(commands, argc, argv);
}
