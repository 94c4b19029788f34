#include "vmm/cli/acpi_against.h"

#include "vmm/machine.h"
#include "vmm/qemu_probe.h"

/* A file of ours beside the emulator's, and the first place where they differ. */
struct comparison {
    const char *name;
    struct cvm_bytes ours, theirs;
    bool equal;
    size_t offset;   /* of the first difference, in the file */
    char table[5];   /* signature of the table it lies in, in the tables file; "" elsewhere */
    size_t in_table; /* offset within that table */
};

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Walks the tables of our own file, which are well-formed, to the one around the offset. */
static void locate(struct comparison *c)
{
    size_t at = 0;
    while (at + 8 <= c->ours.size && le32(c->ours.data + at + 4) >= 8) {
        size_t length = le32(c->ours.data + at + 4);
        if (c->offset < at + length) {
            memcpy(c->table, c->ours.data + at, 4);
            c->in_table = c->offset - at;
            return;
        }
        at += length;
    }
}

static void compare(struct comparison *c, bool has_tables)
{
    size_t shorter = c->ours.size < c->theirs.size ? c->ours.size : c->theirs.size;
    while (c->offset < shorter && c->ours.data[c->offset] == c->theirs.data[c->offset]) {
        c->offset++;
    }
    c->equal = c->offset == shorter && c->ours.size == c->theirs.size;
    if (!c->equal && has_tables) {
        locate(c);
    }
}

static void put_comparison(const struct comparison *c, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, c->name);
    cvm_json_put_bool(b, "equal", c->equal);
    cvm_json_put_u64(b, "size", c->ours.size);
    cvm_json_put_u64(b, "size_of_emulator", c->theirs.size);
    if (!c->equal) {
        cvm_json_put_u64(b, "first_difference", c->offset);
    }
    if (c->table[0] != '\0') {
        cvm_json_put_string(b, "table", c->table);
        cvm_json_put_u64(b, "offset_in_table", c->in_table);
    }
    cvm_json_end(b);
}

static void print_comparison(const struct comparison *c, struct cvm_buf *text)
{
    if (c->equal) {
        cvm_put_format(text, "%-7s equal, %zu bytes\n", c->name, c->ours.size);
        return;
    }
    cvm_put_format(text, "%-7s differs at offset 0x%zx", c->name, c->offset);
    if (c->table[0] != '\0') {
        cvm_put_format(text, ", in table %s at 0x%zx", c->table, c->in_table);
    }
    cvm_put_format(text, " (%zu bytes here, %zu from the emulator)\n", c->ours.size,
                   c->theirs.size);
}

static bool answer(const struct cli *cli, const char *emulator, const struct comparison *files,
                   size_t count, bool equal, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "emulator", emulator);
    cvm_json_put_bool(&b, "equal", equal);
    for (size_t i = 0; i < count; i++) {
        put_comparison(&files[i], &b);
        print_comparison(&files[i], &text);
    }
    cvm_json_end(&b);
    return cli->json ? cli_print_json(&b, err)
                     : cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

/* Another QEMU writes other tables: comparing them would blame the generator. */
static bool check_version(const char *emulator, const struct cvm_machine *machine,
                          struct cvm_error *err)
{
    struct cvm_qemu_version v;
    if (!cvm_emulator_version(emulator, &v, err)) {
        return false;
    }
    return v.major == machine->qemu.major && v.minor == machine->qemu.minor
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "the machine has QEMU %u.%u.%u, emulator '%s' is %u.%u.%u",
                          machine->qemu.major, machine->qemu.minor, machine->qemu.micro, emulator,
                          v.major, v.minor, v.micro);
}

bool cli_acpi_against(const struct cli *cli, const char *emulator,
                      const struct cvm_machine *machine, const struct cvm_acpi *acpi,
                      struct cvm_error *err)
{
    cvm_autoprobed struct cvm_probed_files probed = { 0 };
    if (!check_version(emulator, machine, err) ||
        !cvm_qemu_probe(emulator, machine, &probed, err)) {
        return false;
    }
    struct comparison files[] = {
        { "tables",
          { acpi->tables.data, acpi->tables.size },
          { probed.tables.data, probed.tables.len } },
        { "rsdp", { acpi->rsdp.data, acpi->rsdp.size }, { probed.rsdp.data, probed.rsdp.len } },
        { "loader",
          { acpi->loader.data, acpi->loader.size },
          { probed.loader.data, probed.loader.len } },
    };
    bool equal = true;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        compare(&files[i], i == 0);
        equal &= files[i].equal;
    }
    if (!answer(cli, emulator, files, sizeof files / sizeof files[0], equal, err)) {
        return false;
    }
    return equal ? true
                 : cvm_fail(err, CVM_ERR_MISMATCH, "'%s' writes other tables than were generated",
                            emulator);
}
