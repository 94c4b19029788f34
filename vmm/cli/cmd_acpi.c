/*
 * cvm acpi: the ACPI files of a machine.
 */
#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/include/cvm/acpi.h"
#include "vmm/cli/acpi_against.h"
#include "vmm/cli/commands.h"
#include "vmm/machine.h"
#include "vmm/report.h"

#include <errno.h>
#include <sys/stat.h>

enum { MAX_MACHINES_FILE = 64 << 20 };

struct acpi_args {
    const char *machine;
    const char *machines;
    const char *out;
    const char *against;
};

#define FIELD(f) offsetof(struct acpi_args, f)
/* clang-format off */
static const struct cli_option acpi_options[] = {
    { "machine",  'm', CLI_STRING, FIELD(machine),  "FILE", "JSON object with the keys of a vm_config that describe a machine" },
    { "machines",  0,  CLI_STRING, FIELD(machines), "FILE", "JSON array of {name, machine}: one line of JSON each" },
    { "out",      'o', CLI_STRING, FIELD(out),      "DIR",  "write tables.bin, rsdp.bin and loader.bin there" },
    { "against",   0,  CLI_STRING, FIELD(against),  "EMULATOR", "compare every measured file of fw_cfg with what this QEMU itself writes, with no guest running" },
    { 0 },
};
/* clang-format on */

/* What is said of one machine. */
struct acpi_answer {
    struct cvm_machine machine;
    struct cvm_acpi acpi;
    struct cvm_sha384 tables, rsdp, loader;
};

static void free_answer(struct acpi_answer *a)
{
    cvm_acpi_free(&a->acpi);
}

static bool compute(const struct json_object *description, struct acpi_answer *out,
                    struct cvm_error *err)
{
    struct cvm_vm_config config = { 0 };
    if (!cvm_vm_config_decode_strict(description, &config, err) ||
        !cvm_machine_fill_platform(&config, &out->machine, err)) {
        return false;
    }
    const struct cvm_acpi *a = &out->acpi;
    return cvm_acpi_build(&out->machine, &out->acpi, err) &&
           cvm_sha384(a->tables.data, a->tables.size, &out->tables, err) &&
           cvm_sha384(a->rsdp.data, a->rsdp.size, &out->rsdp, err) &&
           cvm_sha384(a->loader.data, a->loader.size, &out->loader, err);
}

static void put_sha384(struct cvm_json_builder *b, const struct cvm_sha384 *digest)
{
    cvm_json_put_hex(b, "sha384", digest->bytes, sizeof digest->bytes);
}

static void put_answer(const struct acpi_answer *a, struct cvm_json_builder *b)
{
    char version[20];
    cvm_json_begin_object(b, "tables");
    put_sha384(b, &a->tables);
    cvm_json_put_u64(b, "size", a->acpi.tables.size);
    cvm_json_put_u64(b, "used", a->acpi.tables_used);
    cvm_json_end(b);
    cvm_json_begin_object(b, "rsdp");
    put_sha384(b, &a->rsdp);
    cvm_json_end(b);
    cvm_json_begin_object(b, "loader");
    put_sha384(b, &a->loader);
    cvm_json_end(b);
    cvm_json_begin_object(b, "profile");
    cvm_json_put_string(b, "qemu_version",
                        cvm_qemu_version_text(&a->machine, version, sizeof version));
    cvm_json_put_string(b, "interrupt_trigger", cvm_trigger_word(a->machine.interrupt_trigger));
    cvm_json_put_bool(b, "extrapolated", a->acpi.extrapolated);
    cvm_json_end(b);
}

static bool write_files(const char *dir, const struct cvm_acpi *acpi, struct cvm_error *err)
{
    const struct {
        const char *name;
        const struct cvm_acpi_file *file;
    } files[] = {
        { "tables.bin", &acpi->tables },
        { "rsdp.bin", &acpi->rsdp },
        { "loader.bin", &acpi->loader },
    };
    cvm_autoclose int fd = -1;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        return cvm_fail_errno(err, errno, "create directory '%s'", dir);
    }
    if (!cvm_dir_open(dir, &fd, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!cvm_file_write(fd, files[i].name, files[i].file->data, files[i].file->size, 0644,
                            err)) {
            return cvm_context(err, "'%s'", dir);
        }
    }
    return true;
}

static bool print_text(const struct acpi_answer *a, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_put_format(&text, "acpi_loader  %s\nacpi_rsdp    %s\nacpi_tables  %s  (%zu bytes of %zu)\n",
                   cvm_sha384_text(&a->loader).text, cvm_sha384_text(&a->rsdp).text,
                   cvm_sha384_text(&a->tables).text, a->acpi.tables_used, a->acpi.tables.size);
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

static bool answer_against(const struct cli *cli, const char *path,
                           const struct cvm_machine *machine, struct cvm_error *err)
{
    struct cvm_emulator emulator;
    bool equal = false;
    if (!cvm_emulator_ask(path, CVM_EMULATOR_TIMEOUT_MS, &emulator, err)) {
        return false;
    }
    const struct cli_against what = { .emulator = &emulator, .machine = machine };
    if (!cli_acpi_against(cli, &what, &equal, err)) {
        return false;
    }
    return equal || cli_acpi_fail_mismatch(path, err);
}

static bool answer_one(const struct cli *cli, const struct acpi_args *args, struct cvm_error *err)
{
    cvm_autojson struct json_object *description = NULL;
    CVM_CLEANUP(free_answer)
    struct acpi_answer answer = { 0 };
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    if (!cvm_json_load(args->machine, &description, err)) {
        return false;
    }
    if (!compute(description, &answer, err)) {
        return cvm_context(err, "machine '%s'", args->machine);
    }
    if (args->out != NULL && !write_files(args->out, &answer.acpi, err)) {
        return false;
    }
    if (args->against != NULL) {
        return answer_against(cli, args->against, &answer.machine, err);
    }
    if (answer.acpi.extrapolated) {
        cvm_warn(&warnings, "no QEMU %u.%u was ever compared: the tables are extrapolated",
                 answer.machine.qemu.major, answer.machine.qemu.minor);
    }
    cli_warn(cli, &warnings);
    if (!cli->json) {
        return print_text(&answer, err);
    }
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    put_answer(&answer, &b);
    cvm_warnings_put(&warnings, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

struct named_machine {
    const char *name;
    struct json_object *machine;
};

static const struct cvm_json_field named_fields[] = {
    { "name", CVM_JSON_STRING, offsetof(struct named_machine, name), .required = true },
    { "machine", CVM_JSON_OBJECT, offsetof(struct named_machine, machine), .required = true },
    { 0 },
};

/* One line of JSON. */
static bool answer_named(const struct named_machine *named, const struct acpi_answer *answer,
                         struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "name", named->name);
    put_answer(answer, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

/* A machine of a list; *equal becomes false where the emulator, if any is given, differs. */
static bool answer_item(const struct cli *cli, const struct json_object *item,
                        const struct cvm_emulator *emulator, bool *equal, struct cvm_error *err)
{
    struct named_machine named = { 0 };
    CVM_CLEANUP(free_answer)
    struct acpi_answer answer = { 0 };
    bool same = true;
    if (!cvm_json_decode(item, named_fields, CVM_JSON_IGNORE_UNKNOWN, &named, err) ||
        !compute(named.machine, &answer, err)) {
        return false;
    }
    if (emulator == NULL) {
        return answer_named(&named, &answer, err);
    }
    const struct cli_against what = {
        .emulator = emulator,
        .machine = &answer.machine,
        .name = named.name,
    };
    if (!cli_acpi_against(cli, &what, &same, err)) {
        return false;
    }
    *equal &= same;
    return true;
}

static bool answer_many(const struct cli *cli, const struct acpi_args *args, struct cvm_error *err)
{
    cvm_autojson struct json_object *array = NULL;
    struct cvm_emulator emulator;
    bool equal = true;
    const char *path = args->machines;
    if (!cvm_json_load_max(path, MAX_MACHINES_FILE, &array, err)) {
        return false;
    }
    if (!cvm_json_is_array(array)) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s': not a JSON array", path);
    }
    if (args->against != NULL &&
        !cvm_emulator_ask(args->against, CVM_EMULATOR_TIMEOUT_MS, &emulator, err)) {
        return false;
    }
    for (size_t i = 0; i < cvm_json_array_length(array); i++) {
        if (!answer_item(cli, cvm_json_array_at(array, i), args->against == NULL ? NULL : &emulator,
                         &equal, err)) {
            return cvm_context(err, "'%s': machine %zu", path, i);
        }
    }
    return equal || cli_acpi_fail_mismatch(args->against, err);
}

static bool run_acpi(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct acpi_args *args = data;
    if ((args->machine == NULL) == (args->machines == NULL)) {
        return cvm_fail(err, CVM_ERR_USAGE, "give either --machine or --machines");
    }
    if (args->machines == NULL) {
        return answer_one(cli, args, err);
    }
    return args->out == NULL ? answer_many(cli, args, err)
                             : cvm_fail(err, CVM_ERR_USAGE, "--out goes with --machine");
}

const struct cli_command cmd_acpi = {
    .name = "acpi",
    .operands = "",
    .summary = "Generate the ACPI files of a machine, as its QEMU hands them to the firmware.",
    .example = "cvm acpi --machine machine.json --out /tmp/acpi --json",
    .options = acpi_options,
    .args_size = sizeof(struct acpi_args),
    .run = run_acpi,
};
