/* What an emulator answers: a directory of fw_cfg, tables and loader commands of any bytes. */
#include "tests/fuzz/fuzz.h"

#include "vmm/acpi_compare.h"
#include "vmm/fw_cfg.h"

#include <string.h>

static const uint8_t ours[] = "FACS\x0c\0\0\0facsDSDT\x10\0\0\0a block.";

static bool is_printable(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] >= ' ' && text[n] <= '~') {
        n++;
    }
    return n < size && text[n] == '\0';
}

static void check_comparison(const struct cvm_acpi_comparison *c, size_t size)
{
    size_t found = 0;
    fuzz_require(c->num_tables <= CVM_MAX_TABLES, "tables within their limit");
    for (size_t i = 0; i < c->num_tables; i++) {
        const struct cvm_table_comparison *t = &c->tables[i];
        fuzz_require(is_printable(t->signature, sizeof t->signature), "a signature");
        fuzz_require(t->first_difference <= t->ours.size || t->state == CVM_TABLE_MISSING,
                     "a difference within the table");
        fuzz_require((t->state == CVM_TABLE_EQUAL) ==
                         (t->ours.size == t->theirs.size && t->first_difference == t->ours.size),
                     "equal tables have no difference");
        found += t->theirs.size;
    }
    fuzz_require(found <= size, "tables lie beside each other in the file");
    fuzz_require(is_printable(c->unreadable, sizeof c->unreadable), "a reason");
    fuzz_require(is_printable(c->loader.ours, sizeof c->loader.ours), "a command");
    fuzz_require(is_printable(c->loader.theirs, sizeof c->loader.theirs), "a command");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_fw_cfg_entry entry;
    struct cvm_acpi_comparison c;
    const struct cvm_bytes own = { ours, sizeof ours };
    const struct cvm_bytes any = { data, size };
    const struct cvm_acpi_files mine = { { own, own, own } };
    const struct cvm_acpi_files theirs = { { any, any, any } };
    cvm_autobuf struct cvm_buf phrase = { 0 };
    if (!cvm_fw_cfg_find(data, size, "etc/acpi/tables", &entry, &err)) {
        fuzz_require(err.code == CVM_ERR_SYSTEM, "an emulator's fault");
        struct cvm_error why = { 0 };
        fuzz_require(!cvm_fw_cfg_look_for(data, size, "etc/acpi/tables", &entry, &why) ||
                         (entry.key == 0),
                     "a file that is looked for and not found has no key");
    }
    cvm_acpi_compare(&mine, &theirs, &c);
    check_comparison(&c, size);
    cvm_acpi_comparison_phrase(&c, &phrase);
    fuzz_require(c.equal == (phrase.len == 0), "differences are put into words");
    return 0;
}
