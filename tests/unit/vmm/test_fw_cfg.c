#include "tests/support/check.h"

#include "vmm/fw_cfg.h"

#include <string.h>

/* Two files, with a name that fills its field. */
static const char longest[] = "etc/a-name-of-exactly-fifty-six-bytes-without-any-nul-00";

static void put_entry(uint8_t *at, uint32_t size, uint16_t key, const char *name)
{
    const uint8_t head[] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                             (uint8_t)size,         (uint8_t)(key >> 8),   (uint8_t)key };
    memcpy(at, head, sizeof head);
    memcpy(at + 8, name, strlen(name));
}

enum { SIZE = 4 + 2 * CVM_FW_CFG_ENTRY_SIZE };

static void make_directory(uint8_t directory[SIZE])
{
    memset(directory, 0, SIZE);
    directory[3] = 2;
    put_entry(directory + 4, 0x1020304, 0x2021, "etc/acpi/rsdp");
    put_entry(directory + 4 + CVM_FW_CFG_ENTRY_SIZE, 7, 0x22, longest);
}

static void test_finding(void **state)
{
    uint8_t directory[SIZE];
    struct cvm_error err = { 0 };
    struct cvm_fw_cfg_entry e;
    (void)state;
    make_directory(directory);
    assert_int_equal(strlen(longest), CVM_FW_CFG_NAME_SIZE);
    must(cvm_fw_cfg_find(directory, SIZE, "etc/acpi/rsdp", &e, &err), &err);
    assert_int_equal(e.size, 0x1020304);
    assert_int_equal(e.key, 0x2021);
    must(cvm_fw_cfg_find(directory, SIZE, longest, &e, &err), &err);
    assert_int_equal(e.size, 7);
    assert_int_equal(e.key, 0x22);
    assert_false(cvm_fw_cfg_find(directory, SIZE, "etc/acpi/rsd", &e, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "the emulator has no 'etc/acpi/rsd' in fw_cfg");
    err = (struct cvm_error){ 0 };
    must(cvm_fw_cfg_look_for(directory, SIZE, longest, &e, &err), &err);
    assert_int_equal(e.key, 0x22);
    must(cvm_fw_cfg_look_for(directory, SIZE, "etc/acpi/rsd", &e, &err), &err);
    assert_int_equal(e.key, 0);
    assert_int_equal(e.size, 0);
}

static void test_every_length(void **state)
{
    uint8_t directory[SIZE];
    (void)state;
    make_directory(directory);
    for (size_t n = 0; n < SIZE; n++) {
        struct cvm_error err = { 0 };
        struct cvm_fw_cfg_entry e;
        assert_false(cvm_fw_cfg_find(directory, n, longest, &e, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "fw_cfg: needs ");
    }
}

static void test_too_many(void **state)
{
    uint8_t directory[SIZE];
    struct cvm_error err = { 0 };
    struct cvm_fw_cfg_entry e;
    (void)state;
    make_directory(directory);
    directory[0] = 0xff;
    assert_false(cvm_fw_cfg_find(directory, SIZE, longest, &e, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "fw_cfg has 4278190082 files; at most 256 are known");
}

static void test_swap(void **state)
{
    (void)state;
    assert_int_equal(cvm_swap32(0x01020304), 0x04030201);
    assert_int_equal(cvm_swap32(0xff000000), 0x000000ff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
