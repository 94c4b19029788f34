#include "vmm/cli/acpi_diff.h"

#include "measure/base/file.h"
#include "vmm/process.h"
#include "vmm/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    MAX_LINES = 120,
    MAX_TEXT = 1 << 20,
    TIMEOUT_MS = 10000,
    ROW = 16,
    ROWS_AROUND = 1, /* before and after the row with the difference */
};

/* --- bytes --- */

static void put_row(const char *whose, struct cvm_bytes file, size_t at, struct cvm_buf *out)
{
    cvm_put_format(out, "    0x%06zx %-6s", at, whose);
    for (size_t i = at; i < at + ROW; i++) {
        if (i < file.size) {
            cvm_put_format(out, " %02x", file.data[i]);
        } else {
            cvm_put_text(out, " --");
        }
    }
    cvm_put_text(out, "  ");
    for (size_t i = at; i < at + ROW && i < file.size; i++) {
        uint8_t c = file.data[i];
        cvm_put_u8(out, c >= ' ' && c <= '~' ? c : '.');
    }
    cvm_put_u8(out, '\n');
}

void cli_acpi_put_bytes(struct cvm_bytes ours, struct cvm_bytes theirs, size_t offset,
                        struct cvm_buf *out)
{
    size_t row = offset / ROW;
    size_t first = row < ROWS_AROUND ? 0 : row - ROWS_AROUND;
    size_t longer = ours.size > theirs.size ? ours.size : theirs.size;
    for (size_t i = first; i <= row + ROWS_AROUND && i * ROW < longer; i++) {
        put_row("ours", ours, i * ROW, out);
        put_row("theirs", theirs, i * ROW, out);
    }
}

/* --- disassembly --- */

/* Where both are disassembled: DIR/ours/T.dat and DIR/theirs/T.dat become T.dsl beside them. */
struct workshop {
    struct cvm_private_dir dir;
    char *iasl, *diff;
};

static void free_workshop(struct workshop *w)
{
    cvm_private_dir_delete(&w->dir);
    free(w->iasl);
    free(w->diff);
}

static bool disassemble(const struct workshop *w, const char *side, struct cvm_bytes table)
{
    char folder[96];
    char input[104];
    char output[104];
    cvm_autobuf struct cvm_buf ignored = { 0 };
    struct cvm_error err = { 0 };
    const struct cvm_capture how = { .timeout_ms = TIMEOUT_MS, .dir_fd = -1 };
    int status = -1;
    snprintf(folder, sizeof folder, "%s/%s", w->dir.path, side);
    snprintf(input, sizeof input, "%s/T.dat", folder);
    snprintf(output, sizeof output, "%s/T", folder);
    if (mkdir(folder, 0700) != 0) {
        return false;
    }
    cvm_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *const argv[] = { w->iasl, (char *)(uintptr_t) "-p",
                           output,  (char *)(uintptr_t) "-d",
                           input,   NULL };
    return fd >= 0 && cvm_file_write(fd, "T.dat", table.data, table.size, 0600, &err) &&
           cvm_process_capture(argv, &how, &ignored, &status, &err) && status == 0;
}

/* Lines of a text up to the limit, and how many more there are. */
static void put_lines(struct cvm_bytes text, struct cvm_buf *out)
{
    size_t lines = 0;
    size_t kept = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\n') {
            lines++;
            kept = lines <= MAX_LINES ? i + 1 : kept;
        }
    }
    cvm_put_bytes(out, text.data, kept);
    if (lines > MAX_LINES) {
        cvm_put_format(out, "... %zu more lines\n", lines - MAX_LINES);
    }
}

/* What the disassembler says of itself and of checksums is no difference of the tables. */
static bool put_disassembly(const struct cvm_table_comparison *t, struct cvm_buf *out)
{
    CVM_CLEANUP(free_workshop)
    struct workshop w = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    struct cvm_error err = { 0 };
    int status = -1;
    if (!cvm_program_look_for("iasl", &w.iasl, &err) ||
        !cvm_program_look_for("diff", &w.diff, &err) || w.iasl == NULL || w.diff == NULL ||
        !cvm_private_dir_make(&w.dir, &err) || !disassemble(&w, "ours", t->ours) ||
        !disassemble(&w, "theirs", t->theirs)) {
        return false;
    }
    char ours[104];
    char theirs[104];
    char label[32];
    char other[32];
    snprintf(ours, sizeof ours, "%s/ours/T.dsl", w.dir.path);
    snprintf(theirs, sizeof theirs, "%s/theirs/T.dsl", w.dir.path);
    snprintf(label, sizeof label, "%s as generated", t->signature);
    snprintf(other, sizeof other, "%s of the emulator", t->signature);
    char *const argv[] = { w.diff,
                           (char *)(uintptr_t) "-u",
                           (char *)(uintptr_t) "-I^ \\* Disassembly of ",
                           (char *)(uintptr_t) "--label",
                           label,
                           (char *)(uintptr_t) "--label",
                           other,
                           ours,
                           theirs,
                           NULL };
    const struct cvm_capture how = { .timeout_ms = TIMEOUT_MS, .max = MAX_TEXT, .dir_fd = -1 };
    if (!cvm_process_capture(argv, &how, &text, &status, &err) || text.len == 0) {
        return false; /* equal in words: only bytes can show the difference */
    }
    put_lines(cvm_buf_bytes(&text), out);
    return true;
}

/* Where the lengths differ, that is seen first, and what makes them differ lies further on. */
static void put_table_bytes(const struct cvm_table_comparison *t, struct cvm_buf *out)
{
    enum { HEADER = 36 };
    size_t shorter = t->ours.size < t->theirs.size ? t->ours.size : t->theirs.size;
    size_t at = HEADER;
    cli_acpi_put_bytes(t->ours, t->theirs, t->first_difference, out);
    while (at < shorter && t->ours.data[at] == t->theirs.data[at]) {
        at++;
    }
    if (t->first_difference < HEADER && shorter > HEADER) {
        cvm_put_format(out, "    behind the header, at 0x%zx:\n", at);
        cli_acpi_put_bytes(t->ours, t->theirs, at, out);
    }
}

void cli_acpi_put_diff(const struct cvm_table_comparison *table, struct cvm_buf *out)
{
    if (table->state == CVM_TABLE_DIFFERS && !put_disassembly(table, out)) {
        put_table_bytes(table, out);
    }
}
