#include "vmm/cli/cli.h"

#include "vmm/log.h"
#include "vmm/nearest.h"

#include <errno.h>
#include <stdarg.h>

#define PROGRAM "cvm"

#define GLOBAL(f) offsetof(struct cli, f)
/* clang-format off */
static const struct cli_option global_options[] = {
    { "json",       0,  CLI_FLAG,   GLOBAL(json), NULL, "print one JSON object; errors as one JSON line on stderr" },
    { "config",     0,  CLI_STRING, GLOBAL(host.config), "FILE", "host configuration (default " CVM_HOST_CONFIG ", where it exists)" },
    { "connect",    0,  CLI_STRING, GLOBAL(host.connect), "URI", "libvirt connection (default qemu:///system)" },
    { "image-dir",  0,  CLI_STRING, GLOBAL(host.image_dir), "DIR", "where image bundles are (default /var/lib/cvm/images)" },
    { "state-dir",  0,  CLI_STRING, GLOBAL(host.state_dir), "DIR", "where launches are kept (default /var/lib/cvm)" },
    { "emulator",   0,  CLI_STRING, GLOBAL(host.emulator), "FILE", "the QEMU that runs guests (default /usr/bin/qemu-system-x86_64)" },
    { "verbose",   'v', CLI_FLAG,   GLOBAL(verbose), NULL, "tell each step on stderr" },
    { "help",      'h', CLI_FLAG,   GLOBAL(help), NULL, "show this text" },
    { 0 },
};
/* clang-format on */

/* --- answers --- */

bool cli_print(const struct cvm_buf *text, struct cvm_error *err)
{
    if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        return cvm_fail_errno(err, errno, "write to standard output");
    }
    return true;
}

bool cli_print_json(struct cvm_json_builder *b, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    if (!cvm_json_finish(b, CVM_JSON_ONE_LINE, &text, err)) {
        return false;
    }
    cvm_put_u8(&text, '\n');
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

void cli_warn(const struct cli *cli, const struct cvm_warnings *warnings)
{
    for (unsigned i = 0; i < warnings->count && !cli->json; i++) {
        fprintf(stderr, PROGRAM ": warning: %s\n", warnings->items[i]);
    }
}

static void show_progress(const char *file, uint64_t done, uint64_t size)
{
    if (done == size) {
        fprintf(stderr, "\r\033[K");
        return;
    }
    if (done % (UINT64_C(16) << 20) == 0) {
        fprintf(stderr, "\rhashing %s: %3.0f%%", file, 100.0 * (double)done / (double)size);
    }
}

cvm_bundle_progress *cli_progress(void)
{
    return isatty(STDERR_FILENO) ? show_progress : NULL;
}

static void report_error(const struct cli *cli, const char *command, const struct cvm_error *err)
{
    struct cvm_error ignored = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "error", cvm_error_word(err->code));
    cvm_json_put_string(&b, "message", err->msg);
    cvm_json_end(&b);
    if (cli->json && cvm_json_finish(&b, CVM_JSON_ONE_LINE, &text, &ignored)) {
        fprintf(stderr, "%.*s\n", (int)text.len, (const char *)text.data);
        return;
    }
    fprintf(stderr, PROGRAM "%s%s: %s\n", *command == '\0' ? "" : " ", command, err->msg);
}

/* --- help --- */

static void print_options(const struct cli_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options->name, options->metavar == NULL ? "" : " ",
                 options->metavar == NULL ? "" : options->metavar);
        printf("  %c%c %-28s %s\n", options->letter == 0 ? ' ' : '-',
               options->letter == 0 ? ' ' : options->letter, left, options->help);
    }
}

static void print_exit_codes(void)
{
    printf("\nExit status: 0 done");
#define PRINT_CODE(name, status, word) printf(", %d %s", status, word);
    CVM_ERROR_CODES(PRINT_CODE)
#undef PRINT_CODE
    printf(".\n");
}

static void print_command_help(const struct cli_command *command)
{
    printf("Usage: " PROGRAM " %s%s%s%s\n\n%s\n", command->name,
           command->options == NULL ? "" : " [OPTION]...", *command->operands == '\0' ? "" : " ",
           command->operands, command->summary);
    if (command->options != NULL) {
        printf("\nOptions:\n");
        print_options(command->options);
    }
    printf("\nOptions of every command:\n");
    print_options(global_options);
    printf("\nExample:\n  %s\n", command->example);
    print_exit_codes();
}

static void print_program_help(const struct cli_command *commands)
{
    printf("Usage: " PROGRAM " COMMAND [OPTION]... [OPERAND]...\n\n"
           "Predicts what an Intel TDX guest measures, declares it, and launches exactly that "
           "guest.\n\nCommands:\n");
    for (; commands->name != NULL; commands++) {
        printf("  %-16s %s\n", commands->name, commands->summary);
    }
    printf("\nOptions of every command:\n");
    print_options(global_options);
    printf("\n" PROGRAM " COMMAND --help says more about one command.\n");
    print_exit_codes();
}

/* --- parsing --- */

static bool usage(struct cvm_error *err, const char *fmt, ...) CVM_PRINTF(2, 3);

static bool usage(struct cvm_error *err, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return cvm_fail(err, CVM_ERR_USAGE, "%s", text);
}

static const struct cli_option *find_long(const struct cli_option *options, const char *name,
                                          size_t length)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == length && memcmp(options->name, name, length) == 0) {
            return options;
        }
    }
    return NULL;
}

static const struct cli_option *find_short(const struct cli_option *options, char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->letter == letter) {
            return options;
        }
    }
    return NULL;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    bool hexadecimal = strncmp(text, "0x", 2) == 0;
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, hexadecimal ? 16 : 10);
    return errno == 0 && *end == '\0' && !(hexadecimal && text[2] == '\0');
}

static bool append_value(const struct cli_option *option, const char *value, struct cli_list *list,
                         struct cvm_error *err)
{
    if (list->count == CLI_MAX_LIST) {
        return usage(err, "--%s can be given %d times", option->name, CLI_MAX_LIST);
    }
    list->items[list->count++] = value;
    return true;
}

static bool store_value(const struct cli_option *option, const char *value, void *slot,
                        struct cvm_error *err)
{
    struct cvm_opt_u64 *number = slot;
    struct cvm_opt_bool *flag = slot;
    bool on = value != NULL && strcmp(value, "on") == 0;
    bool ok = true;
    if (slot == NULL || (value == NULL && option->kind != CLI_FLAG)) {
        return usage(err, "--%s needs a value", option->name);
    }
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)slot = true;
        break;
    case CLI_STRING:
        *(const char **)slot = value;
        break;
    case CLI_NUMBER:
        number->set = ok = parse_number(value, &number->value);
        break;
    case CLI_SIZE:
        number->set = ok = cvm_parse_size(value, &number->value);
        break;
    case CLI_ON_OFF:
        ok = on || strcmp(value, "off") == 0;
        *flag = (struct cvm_opt_bool){ ok, on };
        break;
    case CLI_LIST:
        return append_value(option, value, slot, err);
    }
    return ok ? true
              : usage(err, "--%s: '%.64s' is not %s", option->name, value,
                      option->kind == CLI_ON_OFF ? "on or off"
                      : option->kind == CLI_SIZE ? "a size such as 2G"
                                                 : "a whole number");
}

/* The arguments being parsed. */
struct cursor {
    int argc;
    char **argv;
    int at;
};

static bool unknown_option(const struct cli_option *options, const char *name,
                           struct cvm_error *err)
{
    const char *nearest = NULL;
    for (; options != NULL && options->name != NULL; options++) {
        nearest = cvm_nearer(name, nearest, options->name);
    }
    for (const struct cli_option *o = global_options; o->name != NULL; o++) {
        nearest = cvm_nearer(name, nearest, o->name);
    }
    return nearest == NULL
               ? usage(err, "unknown option --%.64s", name)
               : usage(err, "unknown option --%.64s, did you mean --%s?", name, nearest);
}

/* One option at the cursor: "--name=V", "--name V", "-n V", "--flag". */
static bool parse_option(struct cursor *c, const struct cli_option *options, struct cli *cli,
                         void *args, struct cvm_error *err)
{
    const char *text = c->argv[c->at++];
    bool is_long = text[1] == '-';
    const char *equals = is_long ? strchr(text, '=') : NULL;
    const char *name = text + 2;
    size_t length = equals == NULL ? strlen(name) : (size_t)(equals - name);
    void *base = args;
    if (!is_long && text[2] != '\0') {
        return usage(err, "unknown option %.64s; short options stand alone", text);
    }
    const struct cli_option *option =
        is_long ? find_long(options, name, length) : find_short(options, text[1]);
    if (option == NULL) {
        base = cli;
        option =
            is_long ? find_long(global_options, name, length) : find_short(global_options, text[1]);
    }
    if (option == NULL) {
        return is_long ? unknown_option(options, name, err) : usage(err, "unknown option %s", text);
    }
    if (option->metavar == NULL && equals != NULL) {
        return usage(err, "--%s takes no value", option->name);
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (option->metavar != NULL && value == NULL) {
        if (c->at == c->argc) {
            return usage(err, "--%s needs a value: %s", option->name, option->metavar);
        }
        value = c->argv[c->at++];
    }
    return store_value(option, value, (char *)base + option->offset, err);
}

/* Options and operands in any order; "--" ends the options. Operands move to the front. */
static bool parse(struct cursor *c, const struct cli_option *options, struct cli *cli, void *args,
                  struct cvm_error *err)
{
    size_t kept = 0;
    char **operands = c->argv + c->at;
    bool options_ended = false;
    while (c->at < c->argc) {
        char *text = c->argv[c->at];
        if (!options_ended && strcmp(text, "--") == 0) {
            options_ended = true;
            c->at++;
        } else if (!options_ended && text[0] == '-' && text[1] != '\0') {
            if (!parse_option(c, options, cli, args, err)) {
                return false;
            }
        } else {
            operands[kept++] = text;
            c->at++;
        }
    }
    cli->operands = (const char *const *)operands;
    cli->num_operands = kept;
    return true;
}

/* --- finding and running a command --- */

/* The command whose one or two words stand at the cursor, which then stands behind them. */
static const struct cli_command *find_command(const struct cli_command *commands, struct cursor *c)
{
    for (; commands->name != NULL; commands++) {
        const char *space = strchr(commands->name, ' ');
        size_t first = space == NULL ? strlen(commands->name) : (size_t)(space - commands->name);
        bool matches =
            strlen(c->argv[c->at]) == first && memcmp(c->argv[c->at], commands->name, first) == 0;
        if (matches && space == NULL) {
            c->at += 1;
            return commands;
        }
        if (matches && c->at + 1 < c->argc && strcmp(c->argv[c->at + 1], space + 1) == 0) {
            c->at += 2;
            return commands;
        }
    }
    return NULL;
}

static bool unknown_command(const struct cli_command *commands, const char *name,
                            struct cvm_error *err)
{
    const char *nearest = NULL;
    for (; commands->name != NULL; commands++) {
        size_t first = strcspn(commands->name, " ");
        if (commands->name[first] == ' ' && strlen(name) == first &&
            memcmp(commands->name, name, first) == 0) {
            return usage(err, "'%s' needs a second word, such as '%s'; see " PROGRAM " --help",
                         name, commands->name);
        }
        nearest = cvm_nearer(name, nearest, commands->name);
    }
    return nearest == NULL
               ? usage(err, "unknown command '%.64s'; see " PROGRAM " --help", name)
               : usage(err, "unknown command '%.64s', did you mean '%s'?", name, nearest);
}

static bool check_operands(const struct cli_command *command, const struct cli *cli,
                           struct cvm_error *err)
{
    if (cli->num_operands < command->min_operands) {
        return usage(err, "needs %s; see --help", command->operands);
    }
    if (cli->num_operands > command->max_operands) {
        return usage(err, "'%.64s' is one operand too many; see --help",
                     cli->operands[command->max_operands]);
    }
    return true;
}

static bool run_command(const struct cli_command *command, struct cursor *c, struct cli *cli,
                        struct cvm_error *err)
{
    cvm_autofree void *args = calloc(1, command->args_size + 1);
    if (args == NULL) {
        return cvm_fail_nomem(err, "arguments", command->args_size);
    }
    if (!parse(c, command->options, cli, args, err)) {
        return false;
    }
    if (cli->help) {
        print_command_help(command);
        return true;
    }
    if (cli->verbose) {
        cvm_log_enable();
    }
    return check_operands(command, cli, err) && command->run(cli, args, err);
}

/* Options before the command are those of every command. */
static bool parse_leading_options(struct cursor *c, struct cli *cli, struct cvm_error *err)
{
    while (c->at < c->argc && c->argv[c->at][0] == '-' && c->argv[c->at][1] != '\0') {
        if (!parse_option(c, NULL, cli, NULL, err)) {
            return false;
        }
    }
    return true;
}

static bool dispatch(const struct cli_command *commands, struct cursor *c, struct cli *cli,
                     const char **name, struct cvm_error *err)
{
    if (!parse_leading_options(c, cli, err)) {
        return false;
    }
    bool wants_help = c->at < c->argc && strcmp(c->argv[c->at], "help") == 0;
    if (c->at == c->argc ? cli->help : wants_help) {
        print_program_help(commands);
        return true;
    }
    if (c->at == c->argc) {
        return usage(err, "say a command; see " PROGRAM " --help");
    }
    const struct cli_command *command = find_command(commands, c);
    if (command == NULL) {
        return unknown_command(commands, c->argv[c->at], err);
    }
    *name = command->name;
    return run_command(command, c, cli, err);
}

/* An error before --json was reached is still an answer to a program. */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int cli_main(const struct cli_command *commands, int argc, char **argv)
{
    struct cursor c = { argc, argv, 1 };
    struct cli cli = { .json = asks_for_json(argc, argv) };
    struct cvm_error err = { 0 };
    const char *name = "";
    if (!dispatch(commands, &c, &cli, &name, &err)) {
        report_error(&cli, name, &err);
        return (int)err.code;
    }
    return 0;
}
