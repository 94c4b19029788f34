#include "tests/support/check.h"
#include "tests/support/fault.h"
#include "tests/unit/vmm/fake_emulator.h"

#include "vmm/measured_items.h"

static const struct cvm_probed_cpu cpu = { 0x000c06f2, 0x078bfbfd };

static void predict(const struct cvm_machine *m, struct cvm_items *out)
{
    struct cvm_error err = { 0 };
    must(cvm_items_predict(m, &cpu, out, &err), &err);
}

static struct cvm_machine machine_with_all(void)
{
    struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    m.boot_menu_wait = 700;
    m.pci_mmio64_mb = 64;
    m.reserved_memory_end = UINT64_C(5) << 30;
    return m;
}

static void assert_item(const struct cvm_items *items, enum cvm_item which, const void *data,
                        size_t size)
{
    assert_true(items->exists[which]);
    assert_bytes(items->data[which].data, items->data[which].len, data, size);
}

static void test_predicted_bytes(void **state)
{
    struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autoitems struct cvm_items few = { 0 };
    cvm_autoitems struct cvm_items all = { 0 };
    (void)state;
    predict(&m, &few);
    assert_item(&few, CVM_ITEM_BOOTMENU, "\0\0", 2);
    assert_item(&few, CVM_ITEM_BOOTORDER, "/rom@genroms/linuxboot_dma.bin", 31);
    assert_false(few.exists[CVM_ITEM_EXTRA_PCI_ROOTS]);
    assert_false(few.exists[CVM_ITEM_BOOT_MENU_WAIT]);
    assert_false(few.exists[CVM_ITEM_PCI_MMIO64_MB]);
    assert_false(few.exists[CVM_ITEM_RESERVED_MEMORY_END]);
    m = machine_with_all();
    predict(&m, &all);
    assert_item(&all, CVM_ITEM_BOOT_MENU_WAIT, "\xbc\x02", 2);
    assert_item(&all, CVM_ITEM_PCI_MMIO64_MB, "64", 2);
    assert_item(&all, CVM_ITEM_RESERVED_MEMORY_END, "\0\0\0\x40\x01\0\0\0", 8);
}

/* SMBIOS is that of the CPU that was asked for, whatever the machine says. */
static void test_cpu(void **state)
{
    struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autoitems struct cvm_items predicted = { 0 };
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    struct cvm_error err = { 0 };
    (void)state;
    m.cpu_signature = (struct cvm_opt_u32){ true, 1 };
    predict(&m, &predicted);
    m.cpu_signature = (struct cvm_opt_u32){ true, cpu.signature };
    m.cpu_features_edx = (struct cvm_opt_u32){ true, cpu.features_edx };
    must(cvm_smbios_build(&m, &tables, &err), &err);
    assert_item(&predicted, CVM_ITEM_SMBIOS, tables.data, tables.size);
}

static void test_equal(void **state)
{
    const struct cvm_machine m = machine_with_all();
    cvm_autoitems struct cvm_items ours = { 0 };
    struct cvm_items_comparison c;
    (void)state;
    predict(&m, &ours);
    cvm_items_compare(&ours, &ours, &c);
    assert_true(c.equal);
    assert_false(c.placed);
    for (size_t i = 0; i < CVM_NUM_ITEMS; i++) {
        enum cvm_item_state want = i == CVM_ITEM_EXTRA_PCI_ROOTS       ? CVM_ITEM_ABSENT
                                   : i == CVM_ITEM_RESERVED_MEMORY_END ? CVM_ITEM_NOT_COMPARED
                                                                       : CVM_ITEM_EQUAL;
        assert_string_equal(cvm_item_state_word(c.items[i].state), cvm_item_state_word(want));
    }
}

/* The emulator alone has one item, lacks another, and has other bytes in a third. */
static void test_states(void **state)
{
    const struct cvm_machine m = machine_with_all();
    const struct cvm_machine bare = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autoitems struct cvm_items ours = { 0 };
    cvm_autoitems struct cvm_items theirs = { 0 };
    struct cvm_items_comparison c;
    (void)state;
    predict(&m, &ours);
    predict(&bare, &theirs);
    cvm_buf_patch_le(&theirs.data[CVM_ITEM_BOOTMENU], 1, 1, 1);
    theirs.exists[CVM_ITEM_EXTRA_PCI_ROOTS] = true;
    cvm_put_le(&theirs.data[CVM_ITEM_EXTRA_PCI_ROOTS], 1, 8);
    cvm_items_compare(&ours, &theirs, &c);
    assert_false(c.equal);
    assert_int_equal(c.items[CVM_ITEM_SMBIOS].state, CVM_ITEM_EQUAL);
    assert_int_equal(c.items[CVM_ITEM_BOOTMENU].state, CVM_ITEM_DIFFERS);
    assert_int_equal(c.items[CVM_ITEM_BOOTMENU].first_difference, 1);
    assert_int_equal(c.items[CVM_ITEM_EXTRA_PCI_ROOTS].state, CVM_ITEM_MISSING);
    assert_int_equal(c.items[CVM_ITEM_EXTRA_PCI_ROOTS].theirs.size, 8);
    assert_int_equal(c.items[CVM_ITEM_PCI_MMIO64_MB].state, CVM_ITEM_SURPLUS);
    theirs.exists[CVM_ITEM_RESERVED_MEMORY_END] = true; /* never probed, yet the emulator has it */
    ours.exists[CVM_ITEM_RESERVED_MEMORY_END] = false;
    cvm_items_compare(&ours, &theirs, &c);
    assert_int_equal(c.items[CVM_ITEM_RESERVED_MEMORY_END].state, CVM_ITEM_MISSING);
}

/* Where SMBIOS differs is said by structure, for a difference at any offset. */
static void test_places(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autoitems struct cvm_items ours = { 0 };
    cvm_autoitems struct cvm_items theirs = { 0 };
    struct cvm_items_comparison c;
    (void)state;
    predict(&m, &ours);
    predict(&m, &theirs);
    struct cvm_buf *tables = &theirs.data[CVM_ITEM_SMBIOS];
    for (size_t i = 0; i < tables->len; i++) {
        tables->data[i] ^= 0x40;
        cvm_items_compare(&ours, &theirs, &c);
        tables->data[i] ^= 0x40;
        assert_false(c.equal);
        assert_true(c.placed);
        assert_int_equal(c.items[CVM_ITEM_SMBIOS].first_difference, i);
        assert_int_equal(ours.data[CVM_ITEM_SMBIOS].data[i - c.place.offset], c.place.type);
    }
    tables->len -= 6; /* all of type 127 */
    cvm_items_compare(&ours, &theirs, &c);
    assert_true(c.placed);
    assert_int_equal(c.place.type, 127);
    assert_int_equal(c.place.offset, 0);
    cvm_items_compare(&theirs, &ours, &c);
    assert_true(c.placed);
    assert_int_equal(c.place.type, 127);
}

static void test_nth_failure(void **state)
{
    const struct cvm_machine m = machine_with_all();
    unsigned n = 0;
    bool ok;
    (void)state;
    do {
        struct cvm_error err = { 0 };
        cvm_autoitems struct cvm_items items = { 0 };
        fault_at(++n);
        ok = cvm_items_predict(&m, &cpu, &items, &err);
        assert_true(ok == !fault_hit() && (ok || err.code == CVM_ERR_NOMEM));
        fault_at(0);
    } while (!ok);
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predicted_bytes), cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_equal),           cmocka_unit_test(test_states),
        cmocka_unit_test(test_places),          cmocka_unit_test(test_nth_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
