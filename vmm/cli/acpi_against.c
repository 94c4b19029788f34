#include "vmm/cli/acpi_against.h"

#include "vmm/cli/acpi_diff.h"
#include "vmm/machine.h"
#include "vmm/measured_items.h"

/* The files in the order in which they are shown. */
static const enum cvm_acpi_file_index shown[] = { CVM_ACPI_FILE_TABLES, CVM_ACPI_FILE_RSDP,
                                                  CVM_ACPI_FILE_LOADER };
enum { NUM_SHOWN = sizeof shown / sizeof shown[0] };

/* All that was compared. */
struct answer {
    const struct cvm_acpi_comparison *acpi;
    const struct cvm_acpi_files *ours, *theirs;
    const struct cvm_items_comparison *items;
    const struct cvm_probed_cpu *cpu; /* with which SMBIOS was compared */
    bool equal;
};

static const struct cvm_table_comparison *first_unequal(const struct cvm_acpi_comparison *c)
{
    for (size_t i = 0; i < c->num_tables; i++) {
        if (c->tables[i].state != CVM_TABLE_EQUAL) {
            return &c->tables[i];
        }
    }
    return NULL;
}

/* --- JSON --- */

static void put_table(const struct cvm_table_comparison *t, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_put_string(b, "signature", t->signature);
    cvm_json_put_u64(b, "instance", t->instance);
    cvm_json_put_string(b, "state", cvm_table_state_word(t->state));
    if (t->state != CVM_TABLE_MISSING) {
        cvm_json_put_u64(b, "size", t->ours.size);
    }
    if (t->state != CVM_TABLE_SURPLUS) {
        cvm_json_put_u64(b, "size_of_emulator", t->theirs.size);
    }
    if (t->state == CVM_TABLE_DIFFERS) {
        cvm_json_put_u64(b, "first_difference", t->first_difference);
    }
    cvm_json_end(b);
}

static void put_tables(const struct cvm_acpi_comparison *c, struct cvm_json_builder *b)
{
    const struct cvm_table_comparison *first = first_unequal(c);
    if (first != NULL) {
        cvm_json_put_string(b, "table", first->signature);
        cvm_json_put_u64(b, "offset_in_table", first->first_difference);
    }
    if (c->unreadable[0] != '\0') {
        cvm_json_put_string(b, "unreadable", c->unreadable);
    }
    cvm_json_begin_array(b, "list");
    for (size_t i = 0; i < c->num_tables; i++) {
        put_table(&c->tables[i], b);
    }
    cvm_json_end(b);
}

static void put_loader(const struct cvm_loader_comparison *l, struct cvm_json_builder *b)
{
    cvm_json_put_u64(b, "commands", l->ours_count);
    cvm_json_put_u64(b, "commands_of_emulator", l->theirs_count);
    cvm_json_put_u64(b, "command", l->command);
    cvm_json_put_string(b, "text", l->ours);
    cvm_json_put_string(b, "text_of_emulator", l->theirs);
}

static void put_file(const struct cvm_acpi_comparison *c, enum cvm_acpi_file_index which,
                     struct cvm_json_builder *b)
{
    const struct cvm_file_comparison *f = &c->files[which];
    cvm_json_begin_object(b, f->name);
    cvm_json_put_bool(b, "equal", f->equal);
    cvm_json_put_u64(b, "size", f->ours_size);
    cvm_json_put_u64(b, "size_of_emulator", f->theirs_size);
    if (!f->equal) {
        cvm_json_put_u64(b, "first_difference", f->first_difference);
    }
    if (which == CVM_ACPI_FILE_TABLES) {
        put_tables(c, b);
    }
    if (which == CVM_ACPI_FILE_LOADER && !f->equal) {
        put_loader(&c->loader, b);
    }
    cvm_json_end(b);
}

static void put_smbios(const struct answer *a, struct cvm_json_builder *b)
{
    const struct smbios_place *p = &a->items->place;
    cvm_json_put_u64(b, "cpu_signature", a->cpu->signature);
    cvm_json_put_u64(b, "cpu_features_edx", a->cpu->features_edx);
    if (a->items->placed) {
        cvm_json_begin_object(b, "structure");
        cvm_json_put_u64(b, "type", p->type);
        cvm_json_put_u64(b, "handle", p->handle);
        cvm_json_put_u64(b, "offset", p->offset);
        cvm_json_end(b);
    }
}

static void put_item(const struct answer *a, enum cvm_item which, struct cvm_json_builder *b)
{
    const struct cvm_item_comparison *c = &a->items->items[which];
    cvm_json_begin_object(b, c->name);
    if (c->state == CVM_ITEM_NOT_COMPARED) {
        cvm_json_put_null(b, "equal");
    } else {
        cvm_json_put_bool(b, "equal", c->state == CVM_ITEM_EQUAL || c->state == CVM_ITEM_ABSENT);
    }
    cvm_json_put_string(b, "state", cvm_item_state_word(c->state));
    cvm_json_put_u64(b, "size", c->ours.size);
    cvm_json_put_u64(b, "size_of_emulator", c->theirs.size);
    if (c->state == CVM_ITEM_DIFFERS) {
        cvm_json_put_u64(b, "first_difference", c->first_difference);
    }
    if (which == CVM_ITEM_SMBIOS) {
        put_smbios(a, b);
    }
    cvm_json_end(b);
}

static bool print_json(const struct cli_against *what, const struct answer *a,
                       struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    if (what->name != NULL) {
        cvm_json_put_string(&b, "name", what->name);
    }
    cvm_json_put_string(&b, "emulator", what->emulator->path);
    cvm_json_put_bool(&b, "equal", a->equal);
    cvm_json_put_string(&b, "interrupt_trigger", cvm_trigger_word(CVM_TRIGGER_LEVEL));
    for (size_t i = 0; i < NUM_SHOWN; i++) {
        put_file(a->acpi, shown[i], &b);
    }
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        put_item(a, (enum cvm_item)i, &b);
    }
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

/* --- text --- */

static void print_table(const struct cvm_table_comparison *t, struct cvm_buf *text)
{
    switch (t->state) {
    case CVM_TABLE_EQUAL:
        break;
    case CVM_TABLE_DIFFERS:
        cvm_put_format(text,
                       "  %s differs at offset 0x%zx (%zu bytes here, %zu from the emulator)\n",
                       t->signature, t->first_difference, t->ours.size, t->theirs.size);
        break;
    case CVM_TABLE_MISSING:
        cvm_put_format(text, "  %s is missing here (%zu bytes from the emulator)\n", t->signature,
                       t->theirs.size);
        break;
    case CVM_TABLE_SURPLUS:
        cvm_put_format(text, "  %s is surplus here (%zu bytes)\n", t->signature, t->ours.size);
        break;
    }
}

static void print_tables(const struct cvm_acpi_comparison *c, const struct cvm_acpi_files *ours,
                         const struct cvm_acpi_files *theirs, struct cvm_buf *text)
{
    if (c->unreadable[0] != '\0') {
        cvm_put_format(text, "  the emulator's tables cannot be read whole: %s\n", c->unreadable);
    }
    for (size_t i = 0; i < c->num_tables; i++) {
        print_table(&c->tables[i], text);
        cli_acpi_put_diff(&c->tables[i], text);
    }
    if (first_unequal(c) == NULL) { /* all tables are equal, but not their order or what follows */
        cli_acpi_put_bytes(ours->file[CVM_ACPI_FILE_TABLES], theirs->file[CVM_ACPI_FILE_TABLES],
                           c->files[CVM_ACPI_FILE_TABLES].first_difference, text);
    }
}

static void print_loader(const struct cvm_loader_comparison *l, struct cvm_buf *text)
{
    cvm_put_format(text,
                   "  command %zu differs (%zu commands here, %zu from the emulator)\n"
                   "    ours   %s\n    theirs %s\n",
                   l->command, l->ours_count, l->theirs_count, *l->ours == '\0' ? "none" : l->ours,
                   *l->theirs == '\0' ? "none" : l->theirs);
}

/* As wide as the longest name of an item. */
#define LINE "%-19s "
#define DIFFERS LINE "differs at offset 0x%zx (%zu bytes here, %zu from the emulator)\n"

static void print_file(const struct answer *a, enum cvm_acpi_file_index which, struct cvm_buf *text)
{
    const struct cvm_file_comparison *f = &a->acpi->files[which];
    if (f->equal) {
        cvm_put_format(text, LINE "equal, %zu bytes\n", f->name, f->ours_size);
        return;
    }
    cvm_put_format(text, DIFFERS, f->name, f->first_difference, f->ours_size, f->theirs_size);
    switch (which) {
    case CVM_ACPI_FILE_TABLES:
        print_tables(a->acpi, a->ours, a->theirs, text);
        break;
    case CVM_ACPI_FILE_LOADER:
        print_loader(&a->acpi->loader, text);
        break;
    default:
        cli_acpi_put_bytes(a->ours->file[which], a->theirs->file[which], f->first_difference, text);
    }
}

static void print_item_difference(const struct answer *a, enum cvm_item which, struct cvm_buf *text)
{
    const struct cvm_item_comparison *c = &a->items->items[which];
    const struct smbios_place *p = &a->items->place;
    cvm_put_format(text, DIFFERS, c->name, c->first_difference, c->ours.size, c->theirs.size);
    if (which == CVM_ITEM_SMBIOS && a->items->placed) {
        cvm_put_format(text, "  structure of type %u, handle 0x%x, differs at its offset 0x%zx\n",
                       p->type, p->handle, p->offset);
    }
    cli_acpi_put_bytes(c->ours, c->theirs, c->first_difference, text);
}

static void print_item(const struct answer *a, enum cvm_item which, struct cvm_buf *text)
{
    const struct cvm_item_comparison *c = &a->items->items[which];
    switch (c->state) {
    case CVM_ITEM_EQUAL:
        cvm_put_format(text, LINE "equal, %zu bytes\n", c->name, c->ours.size);
        break;
    case CVM_ITEM_DIFFERS:
        print_item_difference(a, which, text);
        break;
    case CVM_ITEM_MISSING:
        cvm_put_format(text, LINE "is missing here (%zu bytes from the emulator)\n", c->name,
                       c->theirs.size);
        break;
    case CVM_ITEM_SURPLUS:
        cvm_put_format(text, LINE "is surplus here (%zu bytes)\n", c->name, c->ours.size);
        break;
    case CVM_ITEM_ABSENT:
        cvm_put_format(text, LINE "equal, neither has it\n", c->name);
        break;
    case CVM_ITEM_NOT_COMPARED:
        cvm_put_format(text, LINE "not compared, %zu bytes\n", c->name, c->ours.size);
        break;
    }
}

/* What was compared otherwise than the machine says. */
static void print_provisos(const struct cvm_machine *m, const struct cvm_probed_cpu *cpu,
                           struct cvm_buf *text)
{
    if (m->interrupt_trigger == CVM_TRIGGER_EDGE) {
        cvm_put_text(text, "interrupts are compared as level triggered: only a TD has edges\n");
    }
    if (cvm_machine_knows_bars(m)) {
        cvm_put_text(text,
                     "windows behind root ports are not compared: only firmware opens them\n");
    }
    if (m->cpu_signature.set || m->cpu_features_edx.set) {
        cvm_put_format(
            text,
            "smbios is compared with the CPU that the emulator has, cpu_signature 0x%08x "
            "and cpu_features_edx 0x%08x, not with the machine's\n",
            cpu->signature, cpu->features_edx);
    }
}

static bool print_text(const struct cli_against *what, const struct answer *a,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    print_provisos(what->machine, a->cpu, &text);
    for (size_t i = 0; i < NUM_SHOWN; i++) {
        print_file(a, shown[i], &text);
    }
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        print_item(a, (enum cvm_item)i, &text);
    }
    return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

/* --- the whole --- */

/* Another QEMU writes other files: comparing them would blame the generator. */
static bool check_version(const struct cli_against *what, struct cvm_error *err)
{
    const struct cvm_qemu_version v = what->emulator->version;
    const struct cvm_qemu_version wanted = what->machine->qemu;
    return v.major == wanted.major && v.minor == wanted.minor
               ? true
               : cvm_fail(err, CVM_ERR_USAGE,
                          "the machine has QEMU %u.%u.%u, emulator '%s' is %u.%u.%u", wanted.major,
                          wanted.minor, wanted.micro, what->emulator->path, v.major, v.minor,
                          v.micro);
}

bool cli_acpi_against(const struct cli *cli, const struct cli_against *what, bool *equal,
                      struct cvm_error *err)
{
    cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    cvm_autoitems struct cvm_items predicted = { 0 };
    cvm_autoitems struct cvm_items handed_out = { 0 };
    struct cvm_probed_cpu cpu;
    struct cvm_acpi_comparison c;
    struct cvm_items_comparison items;
    if (!check_version(what, err) || !cvm_acpi_build_as_asked(what->machine, &acpi, err) ||
        !cvm_items_probe(what->emulator, what->machine, &probed, &handed_out, &cpu, err) ||
        !cvm_items_predict(what->machine, &cpu, &predicted, err)) {
        return false;
    }
    const struct cvm_acpi_files ours = cvm_acpi_files_of(&acpi);
    const struct cvm_acpi_files theirs = cvm_probed_acpi_files(&probed);
    cvm_acpi_compare(&ours, &theirs, &c);
    cvm_items_compare(&predicted, &handed_out, &items);
    *equal = c.equal && items.equal;
    const struct answer a = { &c, &ours, &theirs, &items, &cpu, *equal };
    return cli->json || what->name != NULL ? print_json(what, &a, err) : print_text(what, &a, err);
}

bool cli_acpi_fail_mismatch(const char *emulator, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MISMATCH, "'%s' writes other files than were generated", emulator);
}
