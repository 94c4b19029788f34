#include "vmm/acpi_compare.h"

#include "measure/base/reader.h"

#include <stdio.h>

struct cvm_acpi_files cvm_acpi_files_of(const struct cvm_acpi *acpi)
{
    return (struct cvm_acpi_files){ {
        [CVM_ACPI_FILE_LOADER] = { acpi->loader.data, acpi->loader.size },
        [CVM_ACPI_FILE_RSDP] = { acpi->rsdp.data, acpi->rsdp.size },
        [CVM_ACPI_FILE_TABLES] = { acpi->tables.data, acpi->tables.size },
    } };
}

const char *cvm_table_state_word(enum cvm_table_state state)
{
    static const char *const words[] = {
        [CVM_TABLE_EQUAL] = "equal",
        [CVM_TABLE_DIFFERS] = "differs",
        [CVM_TABLE_MISSING] = "missing",
        [CVM_TABLE_SURPLUS] = "surplus",
    };
    return words[state];
}

size_t cvm_first_difference(struct cvm_bytes a, struct cvm_bytes b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    size_t i = 0;
    while (i < shorter && a.data[i] == b.data[i]) {
        i++;
    }
    return i;
}

bool cvm_bytes_same(struct cvm_bytes a, struct cvm_bytes b)
{
    return a.size == b.size && cvm_first_difference(a, b) == a.size;
}

/* --- tables --- */

struct table {
    char signature[5];
    unsigned instance;
    struct cvm_bytes bytes;
};

struct table_list {
    struct table items[CVM_MAX_TABLES];
    size_t count;
};

static bool is_signature(const uint8_t *p)
{
    for (size_t i = 0; i < 4; i++) {
        if (!((p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '_')) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const struct cvm_reader *r)
{
    for (size_t i = r->pos; i < r->size; i++) {
        if (r->data[i] != 0) {
            return false;
        }
    }
    return true;
}

static void add_table(struct table_list *list, const uint8_t *signature, struct cvm_bytes bytes)
{
    struct table *t = &list->items[list->count];
    *t = (struct table){ .bytes = bytes };
    memcpy(t->signature, signature, 4);
    for (size_t i = 0; i < list->count; i++) {
        t->instance += memcmp(list->items[i].signature, t->signature, 4) == 0;
    }
    list->count++;
}

/* One table after the other, then zeros. Every table starts with signature and u32 length. */
static bool read_tables(struct cvm_bytes file, struct table_list *out, struct cvm_error *err)
{
    enum { SMALLEST = 8 };
    struct cvm_reader r = cvm_reader_of(file.data, file.size);
    while (!is_zero(&r)) {
        size_t at = r.pos;
        const uint8_t *signature = cvm_read_bytes(&r, 4);
        uint32_t length = cvm_read_u32le(&r);
        if (!cvm_reader_ok(&r, "table", err)) {
            return false;
        }
        if (!is_signature(signature) || length < SMALLEST || length > file.size - at) {
            return cvm_fail(err, CVM_ERR_MALFORMED,
                            "no table at offset 0x%zx: signature %02x %02x %02x %02x, length %u",
                            at, signature[0], signature[1], signature[2], signature[3], length);
        }
        if (out->count == CVM_MAX_TABLES) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "more than %d tables", CVM_MAX_TABLES);
        }
        add_table(out, signature, (struct cvm_bytes){ signature, length });
        cvm_read_skip(&r, length - SMALLEST);
    }
    return true;
}

static const struct table *find(const struct table_list *list, const struct table *like)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].signature, like->signature) == 0 &&
            list->items[i].instance == like->instance) {
            return &list->items[i];
        }
    }
    return NULL;
}

/* Appends a comparison; one of the two may be NULL. Beyond the room the files' offsets remain. */
static void add_comparison(struct cvm_acpi_comparison *c, const struct table *ours,
                           const struct table *theirs)
{
    const struct table *named = ours != NULL ? ours : theirs;
    if (c->num_tables == CVM_MAX_TABLES) {
        return;
    }
    struct cvm_table_comparison *t = &c->tables[c->num_tables++];
    memcpy(t->signature, named->signature, sizeof t->signature);
    t->instance = named->instance;
    t->ours = ours != NULL ? ours->bytes : (struct cvm_bytes){ 0 };
    t->theirs = theirs != NULL ? theirs->bytes : (struct cvm_bytes){ 0 };
    t->first_difference = cvm_first_difference(t->ours, t->theirs);
    t->state = theirs == NULL                       ? CVM_TABLE_SURPLUS
               : ours == NULL                       ? CVM_TABLE_MISSING
               : cvm_bytes_same(t->ours, t->theirs) ? CVM_TABLE_EQUAL
                                                    : CVM_TABLE_DIFFERS;
}

/* Our tables in their order, then what the emulator has beside them. */
static void compare_tables(struct cvm_bytes ours, struct cvm_bytes theirs,
                           struct cvm_acpi_comparison *c)
{
    struct table_list mine = { 0 };
    struct table_list others = { 0 };
    struct cvm_error err = { 0 };
    struct cvm_error ignored = { 0 };
    (void)!read_tables(ours, &mine, &ignored); /* well-formed by construction */
    if (!read_tables(theirs, &others, &err)) {
        snprintf(c->unreadable, sizeof c->unreadable, "%.199s", err.msg);
    }
    for (size_t i = 0; i < mine.count; i++) {
        add_comparison(c, &mine.items[i], find(&others, &mine.items[i]));
    }
    for (size_t i = 0; i < others.count; i++) {
        if (find(&mine, &others.items[i]) == NULL) {
            add_comparison(c, NULL, &others.items[i]);
        }
    }
}

/* --- the loader --- */

enum { NAME_SIZE = 56 };

/* A command's fields in their order: files first, then numbers; the text says them in words. */
static void put_command(struct cvm_bytes command, char *text, size_t size)
{
    struct cvm_reader r = cvm_reader_of(command.data, command.size);
    uint32_t which = cvm_read_u32le(&r);
    const char *first = (const char *)cvm_read_bytes(&r, NAME_SIZE);
    struct cvm_reader one = r; /* behind one name */
    const char *second = (const char *)cvm_read_bytes(&r, NAME_SIZE);
    uint32_t a = cvm_read_u32le(which == 2 || which == 4 ? &r : &one);
    switch (which) {
    case 1:
        snprintf(text, size, "allocate %.56s, align 0x%x, zone %u", first, a, cvm_read_u8(&one));
        break;
    case 2:
        snprintf(text, size, "add_pointer %.56s+0x%x, %u bytes -> %.56s", first, a, cvm_read_u8(&r),
                 second);
        break;
    case 3: {
        uint32_t start = cvm_read_u32le(&one);
        snprintf(text, size, "add_checksum %.56s+0x%x, over 0x%x bytes from 0x%x", first, a,
                 cvm_read_u32le(&one), start);
        break;
    }
    case 4: {
        uint32_t offset = cvm_read_u32le(&r);
        snprintf(text, size, "write_pointer %.56s+0x%x, %u bytes -> %.56s+0x%x", first, a,
                 cvm_read_u8(&r), second, offset);
        break;
    }
    default:
        snprintf(text, size, "unknown command %u", which);
    }
}

static size_t count_commands(struct cvm_bytes file)
{
    size_t used = file.size;
    while (used > 0 && file.data[used - 1] == 0) {
        used--;
    }
    return (used + CVM_LOADER_COMMAND_SIZE - 1) / CVM_LOADER_COMMAND_SIZE;
}

/* Command i; shorter where the file is cut off within it. */
static struct cvm_bytes command_at(struct cvm_bytes file, size_t i)
{
    size_t at = i * CVM_LOADER_COMMAND_SIZE;
    size_t left = file.size - at;
    return (struct cvm_bytes){ file.data + at,
                               left < CVM_LOADER_COMMAND_SIZE ? left : CVM_LOADER_COMMAND_SIZE };
}

static void describe(struct cvm_bytes file, size_t count, size_t i, char *text, size_t size)
{
    if (i >= count) {
        return;
    }
    struct cvm_bytes command = command_at(file, i);
    if (command.size < CVM_LOADER_COMMAND_SIZE) {
        snprintf(text, size, "cut off after %zu bytes", command.size);
        return;
    }
    put_command(command, text, size);
    for (char *p = text; *p != '\0'; p++) { /* names come from the emulator */
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }
}

static void compare_loaders(struct cvm_bytes ours, struct cvm_bytes theirs,
                            struct cvm_loader_comparison *l)
{
    l->ours_count = count_commands(ours);
    l->theirs_count = count_commands(theirs);
    l->command = cvm_first_difference(ours, theirs) / CVM_LOADER_COMMAND_SIZE;
    describe(ours, l->ours_count, l->command, l->ours, sizeof l->ours);
    describe(theirs, l->theirs_count, l->command, l->theirs, sizeof l->theirs);
}

/* --- the whole --- */

void cvm_acpi_compare(const struct cvm_acpi_files *ours, const struct cvm_acpi_files *theirs,
                      struct cvm_acpi_comparison *out)
{
    static const char *const names[] = {
        [CVM_ACPI_FILE_LOADER] = "loader",
        [CVM_ACPI_FILE_RSDP] = "rsdp",
        [CVM_ACPI_FILE_TABLES] = "tables",
    };
    *out = (struct cvm_acpi_comparison){ .equal = true };
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        struct cvm_bytes a = ours->file[i];
        struct cvm_bytes b = theirs->file[i];
        out->files[i] = (struct cvm_file_comparison){
            .name = names[i],
            .equal = cvm_bytes_same(a, b),
            .ours_size = a.size,
            .theirs_size = b.size,
            .first_difference = cvm_first_difference(a, b),
        };
        out->equal &= out->files[i].equal;
    }
    compare_tables(ours->file[CVM_ACPI_FILE_TABLES], theirs->file[CVM_ACPI_FILE_TABLES], out);
    if (!out->files[CVM_ACPI_FILE_LOADER].equal) {
        compare_loaders(ours->file[CVM_ACPI_FILE_LOADER], theirs->file[CVM_ACPI_FILE_LOADER],
                        &out->loader);
    }
}

static void put_separator(struct cvm_buf *out, size_t start)
{
    if (out->len != start) {
        cvm_put_text(out, ", ");
    }
}

void cvm_acpi_comparison_phrase(const struct cvm_acpi_comparison *c, struct cvm_buf *out)
{
    size_t start = out->len;
    for (size_t i = 0; i < c->num_tables; i++) {
        const struct cvm_table_comparison *t = &c->tables[i];
        if (t->state == CVM_TABLE_EQUAL) {
            continue;
        }
        put_separator(out, start);
        if (t->state == CVM_TABLE_DIFFERS) {
            cvm_put_format(out, "table %s differs at 0x%zx", t->signature, t->first_difference);
        } else {
            cvm_put_format(out, "table %s is %s", t->signature, cvm_table_state_word(t->state));
        }
    }
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        const struct cvm_file_comparison *f = &c->files[i];
        bool said = i == CVM_ACPI_FILE_TABLES && out->len != start; /* by its tables */
        if (!f->equal && !said) {
            put_separator(out, start);
            cvm_put_format(out, "the %s file differs at 0x%zx", f->name, f->first_difference);
        }
    }
}
