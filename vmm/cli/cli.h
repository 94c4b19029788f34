/*
 * The command line: option tables, help from the same tables, exit status.
 */
#ifndef CVM_CLI_H
#define CVM_CLI_H

#include "vmm/host.h"
#include "vmm/image.h"
#include "vmm/warnings.h"

#include <stdio.h>

enum cli_kind {
    CLI_FLAG,   /* bool */
    CLI_STRING, /* const char * */
    CLI_NUMBER, /* struct cvm_opt_u64: decimal or 0x hexadecimal */
    CLI_SIZE,   /* struct cvm_opt_u64: bytes, with K, M, G, T */
    CLI_ON_OFF, /* struct cvm_opt_bool */
    CLI_LIST,   /* struct cli_list: may be given several times */
};

enum { CLI_MAX_LIST = 64 };

struct cli_list {
    const char *items[CLI_MAX_LIST];
    size_t count;
};

struct cli_option {
    const char *name; /* long name; the last entry has NULL */
    char letter;      /* short name, or 0 */
    enum cli_kind kind;
    size_t offset;       /* of the field in the command's argument struct */
    const char *metavar; /* NULL for a flag */
    const char *help;    /* one line: what it does, unit, default */
};

/* What every command is given beside its own arguments. */
struct cli {
    bool json;
    bool verbose;
    bool help;
    struct cvm_host_options host;
    size_t num_operands;
    const char *const *operands;
};

struct cli_command {
    const char *name;     /* one or two words */
    const char *operands; /* for the usage line; "" where there are none */
    const char *summary;  /* one sentence */
    const char *example;
    const struct cli_option *options; /* NULL where there are none */
    size_t args_size;                 /* of the argument struct, which starts zeroed */
    size_t min_operands, max_operands;
    bool (*run)(const struct cli *cli, const void *args, struct cvm_error *err);
};

/*
 * Runs the command that argv names.
 *
 * @param commands  the table; its last entry has a NULL name.
 * @return the exit status.
 */
int cli_main(const struct cli_command *commands, int argc, char **argv);

/* Writes the answer to standard output; CVM_ERR_SYSTEM where that fails. */
CVM_MUST_CHECK bool cli_print(const struct cvm_buf *text, struct cvm_error *err);

/* Finishes a JSON answer, one object on one line, and prints it. */
CVM_MUST_CHECK bool cli_print_json(struct cvm_json_builder *b, struct cvm_error *err);

/* Shows warnings to people, on standard error; with --json they are in the answer instead. */
void cli_warn(const struct cli *cli, const struct cvm_warnings *warnings);

/* How far a long hashing is, where standard error is a terminal; NULL where it is not. */
cvm_bundle_progress *cli_progress(void);

#endif
