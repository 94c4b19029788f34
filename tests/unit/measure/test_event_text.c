/* Events for people: what their data says, and that no data is too odd to be shown. */
#include "measure/include/cvm/event_log.h"

#include "measure/base/guid.h"
#include "measure/efi.h"
#include "tests/support/check.h"

static struct cvm_event_text describe(uint32_t type, const char *name, const struct cvm_buf *data)
{
    struct cvm_event_text text;
    const struct cvm_logged_event event = {
        .type = type,
        .name = name,
        .data = { data == NULL ? NULL : data->data, data == NULL ? 0 : data->len },
    };
    cvm_logged_event_describe(&event, &text);
    return text;
}

static void shows(uint32_t type, const struct cvm_buf *data, const char *want_type,
                  const char *want)
{
    const struct cvm_event_text text = describe(type, "", data);
    assert_string_equal(text.type, want_type);
    assert_string_equal(text.text, want);
}

static struct cvm_buf bytes(const char *data, size_t size)
{
    struct cvm_buf b = { 0 };
    cvm_put_bytes(&b, data, size);
    return b;
}

static struct cvm_buf variable(const char *name, struct cvm_bytes data)
{
    struct cvm_buf b = { 0 };
    efi_put_variable_event(&b, EFI_GLOBAL_VARIABLE_GUID, name, data);
    return b;
}

static void variables(void **state)
{
    (void)state;
    static const uint8_t order[] = { 0, 0, 1, 0 };
    static const uint8_t on[] = { 1 };
    cvm_autobuf struct cvm_buf secure_boot = variable("SecureBoot", (struct cvm_bytes){ on, 1 });
    shows(0x80000001, &secure_boot, "EV_EFI_VARIABLE_DRIVER_CONFIG",
          "SecureBoot (8be4df61-93ca-11d2-aa0d-00e098032b8c) 1 bytes 01");
    cvm_autobuf struct cvm_buf boot_order = variable("BootOrder", (struct cvm_bytes){ order, 4 });
    shows(0x80000002, &boot_order, "EV_EFI_VARIABLE_BOOT", "BootOrder 0000 0001");
}

static void boot_options(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf option = { 0 };
    efi_put_load_option(&option, cvm_boot_option_at(CVM_BOOT_MANAGER_MENU));
    cvm_autobuf struct cvm_buf event =
        variable("Boot0000", (struct cvm_bytes){ option.data, option.len });
    shows(0x80000002, &event, "EV_EFI_VARIABLE_BOOT",
          "Boot0000 'BootManagerMenuApp' attributes 0x109, "
          "Fv(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(eec25bdc-67f2-4d95-b1d5-f81b2039d11d)");
}

static void put_node(struct cvm_buf *b, unsigned type, unsigned subtype, const char *body,
                     size_t size)
{
    cvm_put_u8(b, (uint8_t)type);
    cvm_put_u8(b, (uint8_t)subtype);
    cvm_put_le(b, 4 + size, 2);
    cvm_put_bytes(b, body, size);
}

#define NODE(b, type, subtype, body) put_node(b, type, subtype, body, sizeof(body) - 1)

static struct cvm_buf image_load(const struct cvm_buf *path)
{
    struct cvm_buf b = { 0 };
    cvm_put_le(&b, 0x7e000000, 8);
    cvm_put_le(&b, 12345, 8);
    cvm_put_le(&b, 0, 8);
    cvm_put_le(&b, path->len, 8);
    cvm_put_bytes(&b, path->data, path->len);
    return b;
}

static void image_loads(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf path = { 0 };
    NODE(&path, 2, 1, "\xd0\x41\x03\x0a\0\0\0\0");
    NODE(&path, 1, 1, "\x02\x1f");
    NODE(&path, 3, 18, "\x01\0\xff\xff\0\0");
    NODE(&path, 4, 1,
         "\x01\0\0\0\0\x08\0\0\0\0\0\0\0\0\x10\0\0\0\0\0"
         "\xc9\xbd\xb8\x7c\xeb\xf8\x34\x4f\xaa\xea\x3e\xe4\xaf\x65\x16\xa1\x02\x02");
    NODE(&path, 4, 4, "\\\0E\0F\0I\0\0\0");
    NODE(&path, 0x7f, 0xff, "");
    cvm_autobuf struct cvm_buf event = image_load(&path);
    shows(0x80000003, &event, "EV_EFI_BOOT_SERVICES_APPLICATION",
          "image of 12345 bytes at 0x7e000000: PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x1,0xFFFF,0x0)/"
          "HD(1,GPT,7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1,0x800,0x100000)/\\EFI");
}

static void device_path(const char *path, size_t size, const char *want)
{
    cvm_autobuf struct cvm_buf nodes = bytes(path, size);
    cvm_autobuf struct cvm_buf event = image_load(&nodes);
    const struct cvm_event_text text = describe(0x80000003, "", &event);
    const char *shown = strstr(text.text, "0x7e000000: ");
    assert_non_null(shown);
    assert_string_equal(shown + strlen("0x7e000000: "), want);
}

static void device_path_nodes(void **state)
{
    (void)state;
#define PATH(nodes, want) device_path(nodes "\x7f\xff\x04\0", sizeof(nodes) + 3, want)
    PATH("\x01\x03\x18\0\x0b\0\0\0\0\0\x80\0\0\0\0\0\xff\xff\x8f\0\0\0\0\0",
         "MemoryMapped(0xB,0x800000,0x8FFFFF)");
    PATH("\x01\x04\x14\0\xc9\xbd\xb8\x7c\xeb\xf8\x34\x4f\xaa\xea\x3e\xe4\xaf\x65\x16\xa1",
         "VenHw(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)");
    PATH("\x04\x03\x14\0\xc9\xbd\xb8\x7c\xeb\xf8\x34\x4f\xaa\xea\x3e\xe4\xaf\x65\x16\xa1",
         "VenMedia(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)");
    PATH("\x02\x01\x0c\0\xd0\x41\x08\x0a\x01\0\0\0", "PcieRoot(0x1)");
    PATH("\x02\x01\x0c\0\xd0\x41\x05\x01\x01\0\0\0", "Acpi(0x010541D0,0x1)");
    PATH("\x03\x02\x08\0\x01\0\x02\0", "Scsi(0x1,0x2)");
    PATH("\x03\x05\x06\0\x01\x02", "USB(0x1,0x2)");
    PATH("\x03\x0b\x0a\0\x52\x54\0\x12\x34\x56", "MAC(525400123456)");
    PATH("\x03\x17\x08\0\x01\0\0\0", "NVMe(0x1)");
    PATH("\x04\x02\x08\0\x01\0\0\0", "CDROM(0x1)");
    PATH("\x05\x01\x0a\0\x02\0\0\0Hd", "BBS(0x2,Hd)");
    PATH("\x03\x09\x06\0\x01\x02", "Path(3,9,0102)");
    /* malformed: a node shorter than its head, one cut short, one without its contents, no end */
    PATH("\x01\x01\x03\0", "?");
    PATH("\x01\x01\xff\0\0", "?");
    PATH("\x01\x01\x04\0", "Pci(0x0,0x0)?");
    device_path("\x01\x01\x06\0\x02\x1f", 6, "Pci(0x1F,0x2)/?");
#undef PATH
}

static void labels(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf acpi = bytes("ACPI DATA", 10);
    shows(10, &acpi, "EV_PLATFORM_CONFIG_FLAGS", "ACPI DATA");
    assert_string_equal(describe(10, "acpi-rsdp", &acpi).text, "ACPI DATA: acpi-rsdp");
    assert_string_equal(describe(10, "acpi-rsdp", NULL).text, "acpi-rsdp");
    cvm_autobuf struct cvm_buf fw_cfg = bytes("QEMU FW CFG\0BootMenu\0\0\0\0", 24);
    shows(10, &fw_cfg, "EV_PLATFORM_CONFIG_FLAGS", "QEMU FW CFG BootMenu");
    cvm_autobuf struct cvm_buf odd = bytes("td_hob\0\x80\x14", 9);
    shows(10, &odd, "EV_PLATFORM_CONFIG_FLAGS", "td_hob 8014");
    cvm_autobuf struct cvm_buf action = bytes("Exit Boot Services Invocation", 29);
    shows(0x80000007, &action, "EV_EFI_ACTION", "Exit Boot Services Invocation");
    cvm_autobuf struct cvm_buf separator = bytes("\0\0\0\0", 4);
    shows(4, &separator, "EV_SEPARATOR", "end of the firmware's own events");
    cvm_autobuf struct cvm_buf error_separator = bytes("\1\0\0\0", 4);
    shows(4, &error_separator, "EV_SEPARATOR", "01000000");
    cvm_autobuf struct cvm_buf tag = bytes("\xec\x22\x3b\x8f\x0d\0\0\0Linux initrd\0", 21);
    shows(6, &tag, "EV_EVENT_TAG", "Linux initrd (tag 0x8f3b22ec)");
    shows(0x80000099, &tag, "0x80000099", "ec223b8f0d0000004c696e757820696e6974726400");
    shows(4, NULL, "EV_SEPARATOR", "");
}

static void blobs_and_tables(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf blob = bytes("\0\0\xfe\xff\0\0\0\0\0\x40\x08\0\0\0\0\0", 16);
    shows(0x80000008, &blob, "EV_EFI_PLATFORM_FIRMWARE_BLOB", "540672 bytes at 0xfffe0000");
    cvm_autobuf struct cvm_buf blob2 = { 0 };
    cvm_put_u8(&blob2, 3);
    cvm_put_text(&blob2, "CFV");
    cvm_put_bytes(&blob2, blob.data, blob.len);
    shows(0x8000000a, &blob2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2", "CFV: 540672 bytes at 0xfffe0000");
    cvm_autobuf struct cvm_buf tables = { 0 };
    cvm_put_le(&tables, 2, 8);
    cvm_put_guid(&tables, "f2fd1544-9794-4a2c-992e-e5bbcf20e394");
    cvm_put_le(&tables, 0x7fbdf000, 8);
    cvm_put_guid(&tables, "00000000-0000-0000-0000-000000000001");
    cvm_put_le(&tables, 0, 8);
    shows(0x80000009, &tables, "EV_EFI_HANDOFF_TABLES",
          "SMBIOS 3.0 tables, 00000000-0000-0000-0000-000000000001");
}

static void runtime_events(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf text = bytes("zfs", 3);
    assert_string_equal(describe(CVM_RUNTIME_EVENT_TYPE, "storage-fs", &text).text,
                        "storage-fs = zfs");
    cvm_autobuf struct cvm_buf binary = bytes("\x86\xb0\x03", 3);
    assert_string_equal(describe(CVM_RUNTIME_EVENT_TYPE, "app-id", &binary).text,
                        "app-id = 86b003");
    assert_string_equal(describe(CVM_RUNTIME_EVENT_TYPE, "boot-mr-done", NULL).text,
                        "boot-mr-done");
    assert_string_equal(describe(CVM_RUNTIME_EVENT_TYPE, "a\x1b[31m", NULL).text, "a\\x1b[31m");
}

/* Whatever the length, the text is printable and ends. */
static void every_length_of_every_kind(void **state)
{
    (void)state;
    static const uint8_t order[] = { 0, 0 };
    cvm_autobuf struct cvm_buf data = variable("Boot0000", (struct cvm_bytes){ order, 2 });
    for (unsigned i = 0; i < 600; i++) {
        cvm_put_u8(&data, (uint8_t)(i * 37));
    }
    for (uint32_t type = 0; type < 16; type++) {
        for (size_t n = 0; n < data.len; n++) {
            cvm_autobuf struct cvm_buf part = bytes((const char *)data.data, n);
            for (unsigned high = 0; high < 2; high++) {
                const struct cvm_event_text text =
                    describe(type | (high ? 0x80000000 : 0), "", &part);
                assert_true(strnlen(text.text, sizeof text.text) < sizeof text.text);
                for (const char *p = text.text; *p != '\0'; p++) {
                    assert_in_range(*p, 0x20, 0x7e);
                }
            }
        }
    }
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf data = { 0 };
    for (unsigned i = 0; i < 1000; i++) {
        cvm_put_text(&data, "x");
    }
    const struct cvm_event_text text = describe(0x80000007, "", &data);
    assert_int_equal(strlen(text.text), sizeof text.text - 1);
    assert_string_equal(text.text + sizeof text.text - 5, "x...");
}

/* A page of a report must not fail for a label. */
static void needs_no_memory(void **state)
{
    (void)state;
    cvm_autobuf struct cvm_buf acpi = bytes("ACPI DATA", 10);
    fault_at(1);
    shows(10, &acpi, "EV_PLATFORM_CONFIG_FLAGS", "ACPI DATA");
    assert_false(fault_hit());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables),
        cmocka_unit_test(boot_options),
        cmocka_unit_test(image_loads),
        cmocka_unit_test(device_path_nodes),
        cmocka_unit_test(labels),
        cmocka_unit_test(blobs_and_tables),
        cmocka_unit_test(runtime_events),
        cmocka_unit_test(every_length_of_every_kind),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
