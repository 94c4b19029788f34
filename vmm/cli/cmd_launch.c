/*
 * cvm launch: from a request to a guest.
 */
#include "vmm/cli/commands.h"
#include "vmm/launch.h"

struct launch_args {
    bool dry_run;
};

/* clang-format off */
static const struct cli_option launch_options[] = {
    { "dry-run", 'n', CLI_FLAG, offsetof(struct launch_args, dry_run), NULL, "print the domain document; write, define and start nothing" },
    { 0 },
};
/* clang-format on */

struct work {
    struct cvm_host host;
    struct cvm_request request;
    struct cvm_launch_plan plan;
};

#define WORK_NONE                                                                                  \
    {                                                                                              \
        .plan = CVM_LAUNCH_PLAN_NONE                                                               \
    }

static void free_work(struct work *w)
{
    cvm_launch_plan_free(&w->plan);
    cvm_request_free(&w->request);
    cvm_host_free(&w->host);
}

static bool resolve(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    return cvm_host_load(&cli->host, &w->host, err) &&
           cvm_request_load(cli->operands[0], &w->request, err) &&
           (cvm_launch_plan_resolve(&w->request, &w->host, &w->plan, err) ||
            cvm_context(err, "guest '%s'", w->request.name));
}

/* Where the signed expectation lies; an empty text where nothing is signed. */
static bool manifest_path(const struct work *w, const struct cvm_launched *l, struct cvm_buf *out,
                          struct cvm_error *err)
{
    if (w->host.signing_key != NULL) {
        cvm_put_format(out, "%s/" CVM_GUEST_MANIFEST, l->directory);
    }
    cvm_put_u8(out, '\0');
    return cvm_buf_finish(out, "path", err);
}

static bool print_text(const struct work *w, const struct cvm_launched *l, const char *manifest,
                       struct cvm_error *err)
{
    struct cvm_resources resources;
    cvm_autobuf struct cvm_buf text = { 0 };
    const struct cvm_expectation *e = &w->plan.expectation;
    cvm_put_format(&text, "name       %s\nuuid       %s\n", w->request.name, l->uuid);
    if (l->vsock_stand_in) {
        cvm_put_text(&text, "cid        none (the host has no vhost-vsock)\n");
    } else {
        cvm_put_format(&text, "cid        %u\n", l->cid);
    }
    cvm_placement_resources(&w->plan.placement, &resources);
    cvm_resources_print(&resources, &text);
    cvm_put_format(&text, "directory  %s\n", l->directory);
    if (*manifest != '\0') {
        cvm_put_format(&text, "manifest   %s\n", manifest);
    }
    cvm_put_format(&text, "mrtd       %s\n", cvm_sha384_text(&e->mrtd).text);
    for (unsigned i = 0; i < 3; i++) {
        cvm_put_format(&text, "rtmr%u      %s\n", i, cvm_sha384_text(&e->rtmr[i]).text);
    }
    if (w->request.no_tee.value) {
        cvm_put_text(&text, "tee        none: the registers are what a TD would report\n");
    }
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

static void put_launched(const struct work *w, const struct cvm_launched *l, const char *manifest,
                         bool dry_run, struct cvm_json_builder *b)
{
    const struct cvm_report report = cvm_launch_plan_report(&w->plan);
    cvm_json_put_string(b, "name", w->request.name);
    cvm_json_put_string(b, "uuid", l->uuid);
    if (l->vsock_stand_in) {
        cvm_json_put_null(b, "cid");
    } else {
        cvm_json_put_u64(b, "cid", l->cid);
    }
    cvm_json_put_string(b, "directory", l->directory);
    cvm_json_put_string(b, "manifest", *manifest == '\0' || dry_run ? NULL : manifest);
    cvm_json_put_bool(b, "no_tee", w->request.no_tee.value);
    cvm_json_put_bool(b, "started", !dry_run);
    cvm_placement_put(&w->plan.placement, b);
    if (dry_run) {
        cvm_json_put_string(b, "domain_xml", (const char *)l->xml.data);
    }
    cvm_json_begin_object(b, "expected");
    cvm_report_put(&report, b);
    cvm_json_end(b);
}

static bool answer(const struct cli *cli, const struct work *w, const struct cvm_launched *l,
                   bool dry_run, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autobuf struct cvm_buf path = { 0 };
    if (!manifest_path(w, l, &path, err)) {
        return false;
    }
    const char *manifest = (const char *)path.data;
    cli_warn(cli, &w->plan.warnings);
    if (cli->json) {
        cvm_json_begin_object(&b, NULL);
        put_launched(w, l, manifest, dry_run, &b);
        cvm_json_end(&b);
        return cli_print_json(&b, err);
    }
    if (dry_run) {
        const struct cvm_buf xml = { .data = l->xml.data, .len = l->xml.len - 1 };
        return cli_print(&xml, err);
    }
    return print_text(w, l, manifest, err);
}

static bool run_launch(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct launch_args *args = data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    CVM_CLEANUP(cvm_launched_free)
    struct cvm_launched launched = { 0 };
    if (!resolve(cli, &w, err)) {
        return false;
    }
    if (!cvm_launch_plan_measure(&w.plan, cli_progress(), err) ||
        !(args->dry_run ? cvm_launch_preview(&w.plan, &launched, err)
                        : cvm_launch(&w.plan, &launched, err))) {
        return cvm_context(err, "guest '%s'", w.request.name);
    }
    return answer(cli, &w, &launched, args->dry_run, err);
}

const struct cli_command cmd_launch = {
    .name = "launch",
    .operands = "REQUEST",
    .summary = "Verify, measure, declare and start a guest; REQUEST is a JSON file or '-'.",
    .example = "cvm launch web.json",
    .options = launch_options,
    .args_size = sizeof(struct launch_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_launch,
};
