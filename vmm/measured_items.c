#include "vmm/measured_items.h"

#include "measure/fw_cfg_item.h"

enum { KEY_BOOT_MENU = 0xe };

/* clang-format off */
static const struct {
    const char *name;
    struct cvm_probed_file file;
    enum cvm_layout_kind kind;
    bool never_probed; /* the emulator is not given what makes it have the item */
} known[CVM_NUM_ITEMS] = {
    [CVM_ITEM_SMBIOS] = {
        "smbios", { .name = "etc/smbios/smbios-tables" }, CVM_LAYOUT_SMBIOS, false },
    [CVM_ITEM_EXTRA_PCI_ROOTS] = {
        "extra_pci_roots", { .name = "etc/extra-pci-roots" },
        CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS, false },
    [CVM_ITEM_BOOTMENU] = {
        "bootmenu", { .name = "BootMenu", .fixed = { 2, KEY_BOOT_MENU } },
        CVM_LAYOUT_FWCFG_BOOTMENU, false },
    [CVM_ITEM_BOOT_MENU_WAIT] = {
        "boot_menu_wait", { .name = "etc/boot-menu-wait" },
        CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT, false },
    [CVM_ITEM_RESERVED_MEMORY_END] = {
        "reserved_memory_end", { .name = "etc/reserved-memory-end" },
        CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END, true },
    [CVM_ITEM_PCI_MMIO64_MB] = {
        "pci_mmio64_mb", { .name = "opt/ovmf/X-PciMmio64Mb" },
        CVM_LAYOUT_FWCFG_PCI_MMIO64_MB, false },
    [CVM_ITEM_BOOTORDER] = {
        "bootorder", { .name = "bootorder" }, CVM_LAYOUT_FWCFG_BOOTORDER, false },
};
/* clang-format on */

void cvm_items_free(struct cvm_items *items)
{
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        cvm_buf_free(&items->data[i]);
    }
}

/* --- predicted --- */

static bool predict_smbios(const struct cvm_machine *machine, const struct cvm_probed_cpu *cpu,
                           struct cvm_buf *out, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    struct cvm_machine asked = *machine;
    asked.cpu_signature = (struct cvm_opt_u32){ true, cpu->signature };
    asked.cpu_features_edx = (struct cvm_opt_u32){ true, cpu->features_edx };
    if (!cvm_smbios_build(&asked, &tables, err)) {
        return false;
    }
    cvm_put_bytes(out, tables.data, tables.size);
    return true;
}

bool cvm_items_predict(const struct cvm_machine *machine, const struct cvm_probed_cpu *cpu,
                       struct cvm_items *out, struct cvm_error *err)
{
    if (!predict_smbios(machine, cpu, &out->data[CVM_ITEM_SMBIOS], err)) {
        return false;
    }
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        out->exists[i] = fw_cfg_item_exists(machine, known[i].kind);
        if (out->exists[i]) {
            fw_cfg_item_put(machine, known[i].kind, &out->data[i]);
        }
        if (!cvm_buf_finish(&out->data[i], known[i].name, err)) {
            return false;
        }
    }
    return true;
}

/* --- of an emulator --- */

bool cvm_items_probe(const struct cvm_emulator *emulator, const struct cvm_machine *machine,
                     struct cvm_probed_acpi *acpi, struct cvm_items *items,
                     struct cvm_probed_cpu *cpu, struct cvm_error *err)
{
    const struct cvm_probe probe = {
        .emulator = emulator,
        .machine = machine,
        .with_items = true,
    };
    struct cvm_probed_file all[CVM_NUM_ACPI_FILES + CVM_NUM_ITEMS];
    memcpy(all, acpi->file, sizeof acpi->file);
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        all[CVM_NUM_ACPI_FILES + i] = known[i].file;
        all[CVM_NUM_ACPI_FILES + i].optional = true;
    }
    bool ok = cvm_qemu_probe(&probe, all, CVM_NUM_ACPI_FILES + CVM_NUM_ITEMS, cpu, err);
    memcpy(acpi->file, all, sizeof acpi->file);
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        items->data[i] = all[CVM_NUM_ACPI_FILES + i].data;
        items->exists[i] = all[CVM_NUM_ACPI_FILES + i].found;
    }
    return ok;
}

/* --- compared --- */

const char *cvm_item_state_word(enum cvm_item_state state)
{
    static const char *const words[] = {
        [CVM_ITEM_EQUAL] = "equal",     [CVM_ITEM_DIFFERS] = "differs",
        [CVM_ITEM_MISSING] = "missing", [CVM_ITEM_SURPLUS] = "surplus",
        [CVM_ITEM_ABSENT] = "absent",   [CVM_ITEM_NOT_COMPARED] = "not_compared",
    };
    return words[state];
}

static enum cvm_item_state state_of(enum cvm_item item, bool ours, bool theirs, bool same)
{
    if (ours && known[item].never_probed) {
        return CVM_ITEM_NOT_COMPARED;
    }
    if (ours != theirs) {
        return ours ? CVM_ITEM_SURPLUS : CVM_ITEM_MISSING;
    }
    if (!ours) {
        return CVM_ITEM_ABSENT;
    }
    return same ? CVM_ITEM_EQUAL : CVM_ITEM_DIFFERS;
}

/* Before the first difference both are the same, and so is where structures start. */
static void place_difference(struct cvm_items_comparison *c)
{
    const struct cvm_item_comparison *smbios = &c->items[CVM_ITEM_SMBIOS];
    c->placed = smbios->state == CVM_ITEM_DIFFERS &&
                (smbios_locate(smbios->ours, smbios->first_difference, &c->place) ||
                 smbios_locate(smbios->theirs, smbios->first_difference, &c->place));
}

void cvm_items_compare(const struct cvm_items *ours, const struct cvm_items *theirs,
                       struct cvm_items_comparison *out)
{
    *out = (struct cvm_items_comparison){ .equal = true };
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        struct cvm_item_comparison *c = &out->items[i];
        c->name = known[i].name;
        c->ours = cvm_buf_bytes(&ours->data[i]);
        c->theirs = cvm_buf_bytes(&theirs->data[i]);
        c->first_difference = cvm_first_difference(c->ours, c->theirs);
        c->state = state_of((enum cvm_item)i, ours->exists[i], theirs->exists[i],
                            cvm_bytes_same(c->ours, c->theirs));
        out->equal &= c->state == CVM_ITEM_EQUAL || c->state == CVM_ITEM_ABSENT ||
                      c->state == CVM_ITEM_NOT_COMPARED;
    }
    place_difference(out);
}
