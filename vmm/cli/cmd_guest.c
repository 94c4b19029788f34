/*
 * cvm list, show, start, stop, remove, logs: what was launched.
 */
#include "measure/base/file.h"
#include "vmm/cli/commands.h"
#include "vmm/launch.h"

/* A host, its store and, for most commands, one guest. */
struct work {
    struct cvm_host host;
    struct cvm_store store;
    struct cvm_vm vm;
    struct cvm_hypervisor *hypervisor;
    char *uri; /* owned: of the hypervisor */
};

#define WORK_NONE                                                                                  \
    {                                                                                              \
        .store = { .fd = -1 }, .vm = CVM_VM_NONE                                                   \
    }

static void free_work(struct work *w)
{
    cvm_hypervisor_close(w->hypervisor);
    free(w->uri);
    cvm_vm_close(&w->vm);
    cvm_store_close(&w->store);
    cvm_host_free(&w->host);
}

static bool open_store(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    return cvm_host_load(&cli->host, &w->host, err) &&
           cvm_store_open(w->host.state_dir, false, &w->store, err);
}

/* A guest lives at the connection it was launched on, unless another one is asked for. */
static const char *uri_of(const struct cli *cli, const struct work *w)
{
    return cli->host.connect != NULL ? cli->host.connect : w->vm.record.libvirt_uri;
}

static bool open_guest(const struct cli *cli, bool lock, struct work *w, struct cvm_error *err)
{
    return open_store(cli, w, err) && cvm_vm_open(&w->store, cli->operands[0], lock, &w->vm, err);
}

static bool connect(const struct cli *cli, struct work *w, struct cvm_error *err)
{
    free(w->uri);
    w->uri = strdup(uri_of(cli, w));
    return w->uri != NULL ? cvm_hypervisor_open(w->uri, &w->hypervisor, err)
                          : cvm_fail_nomem(err, "URI", 0);
}

static bool say(const struct cli *cli, const char *name, const char *key, const char *done,
                struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (cli->json) {
        cvm_json_begin_object(&b, NULL);
        cvm_json_put_string(&b, "name", name);
        cvm_json_put_string(&b, key, done);
        cvm_json_end(&b);
        return cli_print_json(&b, err);
    }
    cvm_put_format(&text, "guest '%s' is %s\n", name, done);
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

/* --- list --- */

static void put_record(const struct cvm_vm *vm, const char *state, struct cvm_json_builder *b)
{
    const struct cvm_vm_record *r = &vm->record;
    cvm_json_put_string(b, "name", r->name);
    cvm_json_put_string(b, "uuid", r->uuid);
    cvm_json_put_string(b, "state", state);
    if (r->has_vsock.value) {
        cvm_json_put_u64(b, "cid", r->cid.value);
    } else {
        cvm_json_put_null(b, "cid");
    }
    cvm_json_put_bool(b, "no_tee", r->no_tee.value);
    cvm_json_put_string(b, "image", r->image);
    cvm_json_put_string(b, "created", r->created);
    cvm_json_put_string(b, "directory", vm->path);
    if (r->resources != NULL) {
        cvm_json_put_any(b, "resources", r->resources);
    }
}

static const char *cid_text(const struct cvm_vm *vm, char *buffer, size_t size)
{
    snprintf(buffer, size, "%llu", (unsigned long long)vm->record.cid.value);
    return vm->record.has_vsock.value ? buffer : "-";
}

/* One connection serves the guests that follow each other on it. */
static bool state_of(const struct cli *cli, struct work *w, enum cvm_domain_state *out,
                     struct cvm_error *err)
{
    if (w->hypervisor != NULL && strcmp(w->uri, uri_of(cli, w)) != 0) {
        cvm_hypervisor_close(w->hypervisor);
        w->hypervisor = NULL;
    }
    return (w->hypervisor != NULL || connect(cli, w, err)) &&
           cvm_hypervisor_state(w->hypervisor, w->vm.record.uuid, out, err);
}

static bool list_one(const struct cli *cli, struct work *w, const char *name,
                     struct cvm_json_builder *b, struct cvm_buf *text, struct cvm_error *err)
{
    enum cvm_domain_state state;
    bool found;
    if (!cvm_vm_open_listed(&w->store, name, &found, &w->vm, err)) {
        return false;
    }
    if (!found) {
        return true;
    }
    if (!state_of(cli, w, &state, err)) {
        return false;
    }
    const char *word = cvm_domain_state_word(state);
    cvm_json_begin_object(b, NULL);
    put_record(&w->vm, word, b);
    cvm_json_end(b);
    char cid[16];
    cvm_put_format(text, "%-24s %-8s %-10s %s\n", name, word, cid_text(&w->vm, cid, sizeof cid),
                   w->vm.record.uuid);
    cvm_vm_close(&w->vm);
    return true;
}

static bool run_list(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_put_format(&text, "%-24s %-8s %-10s %s\n", "NAME", "STATE", "CID", "UUID");
    if (!open_store(cli, &w, err) || !cvm_store_list(&w.store, &names, err)) {
        return false;
    }
    cvm_json_begin_object(&b, NULL);
    cvm_json_begin_array(&b, "guests");
    for (size_t i = 0; i < names.count; i++) {
        if (!list_one(cli, &w, names.items[i], &b, &text, err)) {
            return false;
        }
    }
    cvm_json_end(&b);
    cvm_json_end(&b);
    return cli->json ? cli_print_json(&b, err)
                     : cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

const struct cli_command cmd_list = {
    .name = "list",
    .operands = "",
    .summary = "List the guests that were launched, and whether they run.",
    .example = "cvm list --json",
    .run = run_list,
};

/* --- show --- */

/* The registers of expected.json, for people. */
struct registers {
    const char *mrtd, *rtmr0, *rtmr1, *rtmr2;
};

static const struct cvm_json_field register_fields[] = {
    { "mrtd", CVM_JSON_STRING, offsetof(struct registers, mrtd), .required = true },
    { "rtmr0", CVM_JSON_STRING, offsetof(struct registers, rtmr0), .required = true },
    { "rtmr1", CVM_JSON_STRING, offsetof(struct registers, rtmr1), .required = true },
    { "rtmr2", CVM_JSON_STRING, offsetof(struct registers, rtmr2), .required = true },
    { 0 },
};

static bool print_guest(const struct cvm_vm *vm, const char *state,
                        const struct json_object *expected, struct cvm_error *err)
{
    const struct cvm_vm_record *r = &vm->record;
    struct registers regs = { 0 };
    char cid[16];
    struct cvm_resources resources;
    cvm_autobuf struct cvm_buf text = { 0 };
    if (!cvm_resources_decode(r->resources, &resources, err)) {
        return cvm_context(err, "vm.json");
    }
    if (!cvm_json_decode(expected, register_fields, CVM_JSON_IGNORE_UNKNOWN, &regs, err)) {
        return cvm_context(err, "expected.json");
    }
    cvm_put_format(&text, "name       %s\nuuid       %s\nstate      %s\ncid        %s\n", r->name,
                   r->uuid, state, cid_text(vm, cid, sizeof cid));
    cvm_put_format(&text, "tee        %s\nimage      %s\ncreated    %s\ndirectory  %s\n",
                   r->no_tee.value ? "none" : "tdx", r->image, r->created, vm->path);
    cvm_resources_print(&resources, &text);
    cvm_put_format(&text, "mrtd       %s\nrtmr0      %s\nrtmr1      %s\nrtmr2      %s\n", regs.mrtd,
                   regs.rtmr0, regs.rtmr1, regs.rtmr2);
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

static bool run_show(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    cvm_autojson struct json_object *vm_config = NULL;
    cvm_autojson struct json_object *expected = NULL;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    enum cvm_domain_state state;
    if (!open_guest(cli, false, &w, err) || !state_of(cli, &w, &state, err) ||
        !cvm_vm_load_json(&w.vm, "vm_config.json", &vm_config, err) ||
        !cvm_vm_load_json(&w.vm, "expected.json", &expected, err)) {
        return false;
    }
    const char *word = cvm_domain_state_word(state);
    if (!cli->json) {
        return print_guest(&w.vm, word, expected, err);
    }
    cvm_json_begin_object(&b, NULL);
    put_record(&w.vm, word, &b);
    cvm_json_put_any(&b, "vm_config", vm_config);
    cvm_json_put_any(&b, "expected", expected);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

const struct cli_command cmd_show = {
    .name = "show",
    .operands = "NAME",
    .summary = "Show a guest: state, declaration, expected registers, where its files lie.",
    .example = "cvm show web --json",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_show,
};

/* --- start and stop --- */

static bool run_start(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    if (!open_guest(cli, true, &w, err)) {
        return false;
    }
    w.host.libvirt_uri = uri_of(cli, &w);
    if (!cvm_launch_again(&w.host, &w.vm, cli_progress(), err)) {
        return cvm_context(err, "guest '%s'", w.vm.record.name);
    }
    return say(cli, w.vm.record.name, "state", "running", err);
}

const struct cli_command cmd_start = {
    .name = "start",
    .operands = "NAME",
    .summary = "Start a guest that is off, as it was launched; its image is verified again.",
    .example = "cvm start web",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_start,
};

struct stop_args {
    struct cvm_opt_u64 timeout;
    bool force;
};

/* clang-format off */
static const struct cli_option stop_options[] = {
    { "timeout", 't', CLI_NUMBER, offsetof(struct stop_args, timeout), "SECONDS", "how long to wait for the guest before it is ended by force (default 60)" },
    { "force",   'f', CLI_FLAG,   offsetof(struct stop_args, force), NULL, "end it by force at once" },
    { 0 },
};
/* clang-format on */

static bool say_stopped(const char *name, bool graceful, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "name", name);
    cvm_json_put_string(&b, "state", "off");
    cvm_json_put_bool(&b, "forced", !graceful);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_stop(const struct cli *cli, const void *data, struct cvm_error *err)
{
    enum { DEFAULT_PATIENCE = 60, MAX_PATIENCE = 86400 };
    const struct stop_args *args = data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    uint64_t patience = args->timeout.set ? args->timeout.value : DEFAULT_PATIENCE;
    bool graceful;
    if (patience > MAX_PATIENCE) {
        return cvm_fail(err, CVM_ERR_USAGE, "--timeout: at most %d seconds", MAX_PATIENCE);
    }
    if (!open_guest(cli, true, &w, err) || !connect(cli, &w, err) ||
        !cvm_hypervisor_stop(w.hypervisor, w.vm.record.uuid, args->force ? 0 : (unsigned)patience,
                             &graceful, err)) {
        return false;
    }
    if (!graceful && !args->force && !cli->json) {
        fprintf(stderr, "cvm: warning: guest '%s' did not stop by itself and was ended by force\n",
                w.vm.record.name);
    }
    return cli->json ? say_stopped(w.vm.record.name, graceful, err)
                     : say(cli, w.vm.record.name, "state", "off", err);
}

const struct cli_command cmd_stop = {
    .name = "stop",
    .operands = "NAME",
    .summary = "Stop a guest: its power button first, by force when it does not hear.",
    .example = "cvm stop web --timeout 30",
    .options = stop_options,
    .args_size = sizeof(struct stop_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_stop,
};

/* --- remove --- */

struct remove_args {
    bool force;
};

/* clang-format off */
static const struct cli_option remove_options[] = {
    { "force", 'f', CLI_FLAG, offsetof(struct remove_args, force), NULL, "end it by force where it still runs" },
    { 0 },
};
/* clang-format on */

static bool check_removable(const struct remove_args *args, struct work *w, struct cvm_error *err)
{
    enum cvm_domain_state state;
    bool graceful;
    if (!cvm_hypervisor_state(w->hypervisor, w->vm.record.uuid, &state, err)) {
        return false;
    }
    if (state != CVM_DOMAIN_RUNNING && state != CVM_DOMAIN_PAUSED) {
        return true;
    }
    if (!args->force) {
        return cvm_fail(err, CVM_ERR_USAGE, "guest '%s' is %s; stop it first, or give --force",
                        w->vm.record.name, cvm_domain_state_word(state));
    }
    return cvm_hypervisor_stop(w->hypervisor, w->vm.record.uuid, 0, &graceful, err);
}

static bool run_remove(const struct cli *cli, const void *data, struct cvm_error *err)
{
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    if (!open_guest(cli, true, &w, err) || !connect(cli, &w, err) ||
        !check_removable(data, &w, err) ||
        !cvm_hypervisor_undefine(w.hypervisor, w.vm.record.uuid, err) ||
        !cvm_store_delete(&w.store, cli->operands[0], err)) {
        return false;
    }
    return say(cli, cli->operands[0], "state", "removed", err);
}

const struct cli_command cmd_remove = {
    .name = "remove",
    .operands = "NAME",
    .summary = "Remove a guest that is off: its domain, its disk, all its files.",
    .example = "cvm remove web",
    .options = remove_options,
    .args_size = sizeof(struct remove_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_remove,
};

/* --- logs --- */

struct logs_args {
    bool follow;
};

/* clang-format off */
static const struct cli_option logs_options[] = {
    { "follow", 'f', CLI_FLAG, offsetof(struct logs_args, follow), NULL, "go on until the guest is off" },
    { 0 },
};
/* clang-format on */

/* Copies what there is from offset *at on. */
static bool copy_log(int fd, uint64_t *at, struct cvm_error *err)
{
    uint8_t chunk[65536];
    size_t n = 1;
    while (n != 0) {
        if (!cvm_file_read_at(fd, "console.log", chunk, sizeof chunk, *at, &n, err)) {
            return false;
        }
        const struct cvm_buf text = { .data = chunk, .len = n };
        if (n != 0 && !cli_print(&text, err)) {
            return false;
        }
        *at += n;
    }
    return true;
}

static bool follow_log(const struct cli *cli, struct work *w, int fd, uint64_t *at,
                       struct cvm_error *err)
{
    bool stopped = false;
    if (!connect(cli, w, err)) {
        return false;
    }
    while (!stopped) {
        if (!cvm_hypervisor_wait(w->hypervisor, w->vm.record.uuid, 1, &stopped, err) ||
            !copy_log(fd, at, err)) {
            return false;
        }
    }
    return true;
}

static bool run_logs(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct logs_args *args = data;
    CVM_CLEANUP(free_work)
    struct work w = WORK_NONE;
    cvm_autoclose int fd = -1;
    uint64_t at = 0;
    return open_guest(cli, false, &w, err) &&
           cvm_file_open_beneath(w.vm.fd, "console.log", &fd, err) && copy_log(fd, &at, err) &&
           (!args->follow || follow_log(cli, &w, fd, &at, err));
}

const struct cli_command cmd_logs = {
    .name = "logs",
    .operands = "NAME",
    .summary = "Print what a guest wrote to its serial console, over all its starts.",
    .example = "cvm logs web --follow",
    .options = logs_options,
    .args_size = sizeof(struct logs_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_logs,
};
