/*
 * cvm vm-config: from a request to the declaration of its guest.
 */
#include "vmm/cli/commands.h"
#include "vmm/launch_plan.h"

static bool answer(const struct cli *cli, const struct cvm_launch_plan *plan, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cli_warn(cli, &plan->warnings);
    if (!cli->json) {
        cvm_json_put_any(&b, NULL, plan->vm_config);
        return cvm_json_finish(&b, CVM_JSON_PRETTY, &text, err) && cli_print(&text, err);
    }
    const struct cvm_report report = cvm_launch_plan_report(plan);
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_any(&b, "vm_config", plan->vm_config);
    cvm_report_put_resolution(&report, &b);
    cvm_warnings_put(&plan->warnings, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_vm_config(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    cvm_autohost struct cvm_host host = { 0 };
    cvm_autorequest struct cvm_request request = { 0 };
    cvm_autoplan struct cvm_launch_plan plan = CVM_LAUNCH_PLAN_NONE;
    if (!cvm_host_load(&cli->host, &host, err) ||
        !cvm_request_load(cli->operands[0], &request, err)) {
        return false;
    }
    return cvm_launch_plan_resolve(&request, &host, &plan, err)
               ? answer(cli, &plan, err)
               : cvm_context(err, "guest '%s'", request.name);
}

const struct cli_command cmd_vm_config = {
    .name = "vm-config",
    .operands = "REQUEST",
    .summary = "Print the authoritative vm_config that a request would get on this host.",
    .example = "cvm vm-config web.json > vm_config.json",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_vm_config,
};
