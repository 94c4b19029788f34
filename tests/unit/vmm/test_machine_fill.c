#include "tests/support/check.h"

#include "vmm/machine.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)
#define SOME(v)                                                                                    \
    {                                                                                              \
        true, (v)                                                                                  \
    }

static struct cvm_vm_config small_config(const char *qemu_version)
{
    return (struct cvm_vm_config){ .cpu_count = SOME(2),
                                   .memory_size = SOME(2 * GIB),
                                   .qemu_version = qemu_version };
}

static void fill(const struct cvm_vm_config *config, const struct cvm_measure_evidence *evidence,
                 struct cvm_machine *machine, struct cvm_resolution *resolution,
                 struct cvm_warnings *warnings)
{
    struct cvm_error err = { 0 };
    must(cvm_machine_fill_platform(config, machine, &err), &err);
    must(cvm_machine_fill_firmware(config, evidence, machine, resolution, warnings, &err), &err);
}

/* --- QEMU's version --- */

static void test_versions(void **state)
{
    static const struct {
        const char *text;
        struct cvm_qemu_version version;
    } good[] = {
        { "8.2.2", { 8, 2, 2 } },
        { "8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.0)", { 8, 2, 2 } },
        { "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", { 7, 2, 22 } },
        { "9.0.0-rc1", { 9, 0, 0 } },
        { "10.0.13", { 10, 0, 13 } },
        { "9.1", { 9, 1, 0 } },
        { "8.2.2+tdx1", { 8, 2, 2 } },
        { "9.2.1~bpo12", { 9, 2, 1 } },
        { "65535.65535.65535", { 65535, 65535, 65535 } },
    };
    static const char *const bad[] = {
        "",
        "8",
        "8.",
        "8.2.",
        "8.2.2.1",
        "v8.2.2",
        "8.2.2rc1",
        "8.2.x",
        ".8.2",
        "8..2",
        " 8.2.2",
        "-8.2.2",
        "8,2,2",
        "65536.0.0",
        "8.65536",
        "8.2.65536",
        "99999999999999999999.1",
        "QEMU emulator version 8.2.2",
        "8.2.2\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_qemu_version v;
        must(cvm_qemu_version_parse(good[i].text, &v, &err), &err);
        assert_memory_equal(&v, &good[i].version, sizeof v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_qemu_version v;
        if (cvm_qemu_version_parse(bad[i], &v, &err)) {
            fail_msg("'%s' is no version", bad[i]);
        }
        char shown[128];
        snprintf(shown, sizeof shown, "'%.64s' is not a QEMU version like 8.2.2", bad[i]);
        assert_error(&err, CVM_ERR_MALFORMED, shown);
    }
}

static void test_what_a_version_implies(void **state)
{
    static const struct {
        const char *version;
        enum cvm_interrupt_trigger trigger;
        bool pic;
        enum cvm_page_add_order order;
        enum cvm_kernel_header header;
    } table[] = {
        { "8.0.0", CVM_TRIGGER_EDGE, true, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN },
        { "8.2.2", CVM_TRIGGER_EDGE, true, CVM_PAGES_TWO_PASS, CVM_KERNEL_REWRITTEN },
        { "9.0.0", CVM_TRIGGER_EDGE, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_REWRITTEN },
        { "9.1.99", CVM_TRIGGER_EDGE, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_REWRITTEN },
        { "9.2.0", CVM_TRIGGER_LEVEL, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_REWRITTEN },
        { "10.1.9", CVM_TRIGGER_LEVEL, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_REWRITTEN },
        { "10.2.0", CVM_TRIGGER_LEVEL, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_AS_IS },
        { "11.1.2", CVM_TRIGGER_LEVEL, false, CVM_PAGES_SINGLE_PASS, CVM_KERNEL_AS_IS },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct cvm_vm_config config = small_config(table[i].version);
        const struct cvm_measure_evidence none = { 0 };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        fill(&config, &none, &m, &r, &w);
        assert_int_equal(m.interrupt_trigger, table[i].trigger);
        assert_int_equal(m.pic, table[i].pic);
        assert_int_equal(m.page_add_order, table[i].order);
        assert_int_equal(m.kernel_header, table[i].header);
        assert_string_equal(r.kernel_header_source, "qemu_version");
        assert_string_equal(r.page_add_order_source, "qemu_version");
        assert_string_equal(r.variant.rule, "default");
    }
}

/* --- the platform --- */

static void test_what_absent_fields_mean(void **state)
{
    static const enum cvm_device_role roles[] = { CVM_DEVICE_ROOTFS, CVM_DEVICE_DATA_DISK,
                                                  CVM_DEVICE_NIC, CVM_DEVICE_VSOCK,
                                                  CVM_DEVICE_SHARE };
    const struct cvm_vm_config config = small_config("9.2.1");
    struct cvm_error err = { 0 };
    struct cvm_machine m;
    (void)state;
    must(cvm_machine_fill_platform(&config, &m, &err), &err);
    assert_int_equal(m.cpu_count, 2);
    assert_int_equal(m.memory_size, 2 * GIB);
    assert_false(m.smm || m.tpm || m.hotplug_off || m.pic);
    assert_int_equal(m.pci_hole64_size, 0);
    assert_int_equal(m.pciexbar_base, 0xe0000000);
    assert_int_equal(m.pci_window64_base, UINT64_C(0x380000000000));
    assert_int_equal(m.num_numa_nodes, 0);
    assert_int_equal(m.num_devices, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(m.devices[i].role, roles[i]);
        assert_int_equal(m.devices[i].slot, i + 1);
    }
}

static void test_what_is_said_is_taken(void **state)
{
    const struct cvm_vm_config config = {
        .cpu_count = SOME(64),
        .memory_size = SOME(4 * GIB),
        .qemu_version = "8.2.2",
        .host_share_mode = "vvfat",
        .pci_hole64_size = SOME(64 * GIB),
        .hotplug_off = SOME(true),
        .swtpm = SOME(true),
        .num_nics = SOME(3),
        .num_verity_volumes = SOME(2),
        .pic = SOME(false),
        .smm = SOME(true),
        .interrupt_trigger = "level",
        .rootfs_device = "cdrom",
        .pciexbar_base = SOME(0xb0000000),
        .pci_window64_base = SOME(1024 * GIB),
        .cpu_signature = SOME(0x000c06f2),
        .cpu_features_edx = SOME(0x2fabfbff),
    };
    struct cvm_error err = { 0 };
    struct cvm_machine m;
    (void)state;
    must(cvm_machine_fill_platform(&config, &m, &err), &err);
    assert_int_equal(m.cpu_count, 64);
    assert_true(m.hotplug_off && m.tpm && m.smm && !m.pic);
    assert_int_equal(m.interrupt_trigger, CVM_TRIGGER_LEVEL);
    assert_int_equal(m.pci_hole64_size, 64 * GIB);
    assert_int_equal(m.pciexbar_base, 0xb0000000);
    assert_int_equal(m.pci_window64_base, 1024 * GIB);
    assert_true(m.cpu_signature.set && m.cpu_features_edx.set);
    assert_int_equal(m.cpu_signature.value, 0x000c06f2);
    assert_int_equal(m.cpu_features_edx.value, 0x2fabfbff);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_ROOTFS), 0);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_VOLUME), 2);
    assert_int_equal(cvm_machine_count(&m, CVM_DEVICE_NIC), 3);
    assert_int_equal(m.num_devices, 8);
}

static void test_nothing_is_assumed(void **state)
{
    static const struct {
        struct cvm_vm_config config;
        const char *message;
    } bad[] = {
        { { .memory_size = SOME(GIB), .qemu_version = "8.2.2" }, "(cpu_count)" },
        { { .cpu_count = SOME(1), .qemu_version = "8.2.2" }, "(memory_size)" },
        { { .cpu_count = SOME(1), .memory_size = SOME(GIB) }, "(qemu_version)" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_machine m;
        assert_false(cvm_machine_fill_platform(&bad[i].config, &m, &err));
        assert_error(&err, CVM_ERR_USAGE, bad[i].message);
    }
}

#define BASE .cpu_count = SOME(2), .memory_size = SOME(2 * GIB), .qemu_version = "9.2.1"

static void test_bad_words_and_impossible_machines(void **state)
{
    static const struct {
        struct cvm_vm_config config;
        enum cvm_error_code code;
        const char *message;
    } bad[] = {
        { { BASE, .host_share_mode = "9P" },
          CVM_ERR_MALFORMED,
          "host_share_mode is '9P', not '9p', 'vvfat' or 'vhd'" },
        { { BASE, .rootfs_device = "disk" },
          CVM_ERR_MALFORMED,
          "rootfs_device is 'disk', not 'virtio-blk', 'cdrom' or 'none'" },
        { { BASE, .interrupt_trigger = "" },
          CVM_ERR_MALFORMED,
          "interrupt_trigger is '', not 'level' or 'edge'" },
        { { .cpu_count = SOME(0), .memory_size = SOME(GIB), .qemu_version = "9.2.1" },
          CVM_ERR_MALFORMED,
          "cpu_count is 0" },
        { { .cpu_count = SOME(CVM_MAX_CPUS + 1),
            .memory_size = SOME(GIB),
            .qemu_version = "9.2.1" },
          CVM_ERR_UNSUPPORTED,
          "at most" },
        { { .cpu_count = SOME(1), .memory_size = SOME(GIB + 1), .qemu_version = "9.2.1" },
          CVM_ERR_MALFORMED,
          "memory_size 1073741825 is not a positive multiple of 1 MiB" },
        { { .cpu_count = SOME(1), .memory_size = SOME(0), .qemu_version = "9.2.1" },
          CVM_ERR_MALFORMED,
          "memory_size 0" },
        { { .cpu_count = SOME(1), .memory_size = SOME(GIB), .qemu_version = "8.x" },
          CVM_ERR_MALFORMED,
          "'8.x' is not a QEMU version" },
        { { BASE, .num_nics = SOME(255) }, CVM_ERR_UNSUPPORTED, "devices" },
        { { BASE, .pciexbar_base = SOME(0xe0000001) }, CVM_ERR_MALFORMED, "pciexbar_base" },
        { { BASE, .pci_window64_base = SOME(64 * GIB + 1) },
          CVM_ERR_UNSUPPORTED,
          "pci_window64_base" },
        { { BASE, .pci_window64_base = SOME(2 * GIB) }, CVM_ERR_MALFORMED, "64-bit PCI window" },
        { { BASE, .cpu_signature = SOME(UINT64_C(1) << 32) },
          CVM_ERR_MALFORMED,
          "cpu_signature 4294967296 has more than 32 bits" },
        { { BASE, .cpu_features_edx = SOME(UINT64_MAX) },
          CVM_ERR_MALFORMED,
          "cpu_features_edx 18446744073709551615 has more than 32 bits" },
        { { BASE, .pci_hole64_size = SOME(UINT64_C(1) << 52) },
          CVM_ERR_MALFORMED,
          "ends above 2^52" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_machine m = { .cpu_count = 77 };
        if (cvm_machine_fill_platform(&bad[i].config, &m, &err)) {
            fail_msg("accepted, instead of: %s", bad[i].message);
        }
        assert_int_equal(m.cpu_count, 77); /* outputs are set on success only */
        assert_error(&err, bad[i].code, bad[i].message);
    }
}

/* --- firmware and kernel --- */

static void test_sources_of_the_kernel_header(void **state)
{
    struct cvm_bundle normalized = { .metadata.kernel_header_normalized = SOME(true) };
    struct cvm_bundle not_normalized = { .metadata.kernel_header_normalized = SOME(false) };
    const struct {
        const char *vm_config;
        struct cvm_measure_evidence evidence;
        enum cvm_kernel_header header;
        const char *source;
    } cases[] = {
        { "as-is",
          { .kernel_header_option = "rewritten", .bundle = &normalized },
          CVM_KERNEL_REWRITTEN,
          "option" },
        { "rewritten", { .bundle = &normalized }, CVM_KERNEL_REWRITTEN, "vm_config" },
        { NULL, { .bundle = &normalized }, CVM_KERNEL_AS_IS, "metadata" },
        { NULL, { .bundle = &not_normalized }, CVM_KERNEL_REWRITTEN, "qemu_version" },
        { NULL, { 0 }, CVM_KERNEL_REWRITTEN, "qemu_version" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_vm_config config = small_config("9.2.1");
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        config.kernel_header = cases[i].vm_config;
        fill(&config, &cases[i].evidence, &m, &r, &w);
        assert_int_equal(m.kernel_header, cases[i].header);
        assert_string_equal(r.kernel_header_source, cases[i].source);
    }
}

static void test_sources_of_the_page_add_order(void **state)
{
    const struct {
        struct cvm_opt_bool on_the_wire;
        struct cvm_measure_evidence evidence;
        enum cvm_page_add_order order;
        const char *source;
    } cases[] = {
        { SOME(true), { .page_add_order_option = "single-pass" }, CVM_PAGES_SINGLE_PASS, "option" },
        { SOME(false), { .page_add_order_option = "two-pass" }, CVM_PAGES_TWO_PASS, "option" },
        { SOME(true), { .declared = true }, CVM_PAGES_TWO_PASS, "vm_config" }, /* not a slip */
        { SOME(false), { .declared = true }, CVM_PAGES_SINGLE_PASS, "vm_config" },
        { SOME(true), { 0 }, CVM_PAGES_TWO_PASS, "host-config" },
        { { false, false }, { 0 }, CVM_PAGES_TWO_PASS, "qemu_version" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_vm_config config = small_config("8.2.2");
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        config.qemu_single_pass_add_pages = cases[i].on_the_wire;
        fill(&config, &cases[i].evidence, &m, &r, &w);
        assert_int_equal(m.page_add_order, cases[i].order);
        assert_string_equal(r.page_add_order_source, cases[i].source);
    }
}

static void test_a_qemu_without_tdx(void **state)
{
    const struct cvm_vm_config config = small_config("7.2.22");
    const struct cvm_measure_evidence as_td = { 0 };
    const struct cvm_measure_evidence no_tee = { .no_tee = true };
    struct cvm_error err = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_machine m;
    struct cvm_resolution r = { 0 };
    (void)state;
    must(cvm_machine_fill_platform(&config, &m, &err), &err);
    assert_false(cvm_machine_fill_firmware(&config, &as_td, &m, &r, &w, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED,
                 "say --page-add-order to measure all the same: QEMU "
                 "7.2.22 has no TDX");
    cvm_warnings_free(&w);
    fill(&config, &no_tee, &m, &r, &w);
    assert_int_equal(m.page_add_order, CVM_PAGES_SINGLE_PASS);
    assert_string_equal(r.page_add_order_source, "default");
    assert_int_equal(w.count, 2); /* this one, and the variant by default */
    assert_non_null(strstr(w.items[1], "this QEMU has no TDX"));
}

static void test_tdx_switches_pic_and_smm_off(void **state)
{
    static const struct {
        const char *version;
        bool no_tee, stays;
    } cases[] = {
        { "8.2.2", false, true },   { "10.0.13", false, true }, { "10.1.0", false, false },
        { "11.1.2", false, false }, { "11.1.2", true, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_vm_config config = small_config(cases[i].version);
        const struct cvm_measure_evidence e = { .no_tee = cases[i].no_tee,
                                                .variant_option = "pre202505" };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        config.pic = (struct cvm_opt_bool)SOME(true);
        config.smm = (struct cvm_opt_bool)SOME(true);
        fill(&config, &e, &m, &r, &w);
        assert_int_equal(m.pic, cases[i].stays);
        assert_int_equal(m.smm, cases[i].stays);
        assert_int_equal(w.count, cases[i].stays ? 0 : 1);
    }
}

static void test_bad_words_of_firmware_and_kernel(void **state)
{
    static const struct {
        struct cvm_measure_evidence evidence;
        const char *vm_config, *message;
    } bad[] = {
        { { .kernel_header_option = "as_is" },
          NULL,
          "kernel_header is 'as_is', not 'rewritten' or 'as-is'" },
        { { 0 }, "Rewritten", "kernel_header is 'Rewritten'" },
        { { .page_add_order_option = "both" },
          NULL,
          "--page-add-order is 'both', not 'single-pass' or 'two-pass'" },
        { { .kernel_measures_option = "perhaps" },
          NULL,
          "--kernel-measures is 'perhaps', not 'yes' or 'no'" },
        { { .variant_option = "edk2" }, NULL, "ovmf_variant 'edk2' from option is not known" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_vm_config config = small_config("8.2.2");
        struct cvm_error err = { 0 };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        config.kernel_header = bad[i].vm_config;
        must(cvm_machine_fill_platform(&config, &m, &err), &err);
        assert_false(cvm_machine_fill_firmware(&config, &bad[i].evidence, &m, &r, &w, &err));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* Which evidence reaches the resolution of ovmf_variant; the rules have a test of their own. */
static void test_evidence_of_the_variant(void **state)
{
    struct cvm_bundle by_version = { .name = "dstack-0.5.9", .metadata.version = "0.5.10" };
    struct cvm_bundle by_name = { .name = "dstack-0.5.10" };
    const struct cvm_compact compact = { .ovmf = "stable202505" };
    const struct {
        const char *vm_config, *image;
        struct cvm_measure_evidence evidence;
        const char *variant, *rule;
    } cases[] = {
        { NULL, "dstack-0.5.9", { .bundle = &by_version }, "stable202505", "version" },
        { NULL, "dstack-0.5.9", { .bundle = &by_name }, "stable202505", "image-name" },
        { NULL, "dstack-0.5.10", { 0 }, "stable202505", "image-name" },
        { NULL, "dstack-0.5.9", { .compact = &compact }, "stable202505", "measurement" },
        { "pre202505",
          NULL,
          { .bundle = &by_version, .declared = true },
          "pre202505",
          "vm_config" },
        { "pre202505", NULL, { .variant_option = "stable202505" }, "stable202505", "option" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_vm_config config = small_config("8.2.2");
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        config.ovmf_variant = cases[i].vm_config;
        config.image = cases[i].image;
        fill(&config, &cases[i].evidence, &m, &r, &w);
        assert_string_equal(m.layout->name, cases[i].variant);
        assert_string_equal(r.variant.rule, cases[i].rule);
    }
}

static void test_what_the_kernel_measures(void **state)
{
    static const struct {
        const char *option;
        enum cvm_kernel_measures want;
        const char *source;
    } cases[] = {
        { NULL, CVM_KERNEL_MEASURES_ASSUMED, "default" },
        { "yes", CVM_KERNEL_MEASURES, "option" },
        { "no", CVM_KERNEL_MEASURES_NOTHING, "option" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_vm_config config = small_config("8.2.2");
        const struct cvm_measure_evidence e = { .kernel_measures_option = cases[i].option };
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_machine m;
        struct cvm_resolution r = { 0 };
        fill(&config, &e, &m, &r, &w);
        assert_int_equal(m.kernel_measures, cases[i].want);
        assert_string_equal(r.kernel_measures_source, cases[i].source);
        assert_string_equal(r.layout_source, "declared");
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(cvm_trigger_word(CVM_TRIGGER_EDGE), "edge");
    assert_string_equal(cvm_trigger_word(CVM_TRIGGER_LEVEL), "level");
    assert_string_equal(cvm_kernel_header_word(CVM_KERNEL_REWRITTEN), "rewritten");
    assert_string_equal(cvm_kernel_header_word(CVM_KERNEL_AS_IS), "as-is");
    assert_string_equal(cvm_page_add_order_word(CVM_PAGES_SINGLE_PASS), "single-pass");
    assert_string_equal(cvm_page_add_order_word(CVM_PAGES_TWO_PASS), "two-pass");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_what_a_version_implies),
        cmocka_unit_test(test_what_absent_fields_mean),
        cmocka_unit_test(test_what_is_said_is_taken),
        cmocka_unit_test(test_nothing_is_assumed),
        cmocka_unit_test(test_bad_words_and_impossible_machines),
        cmocka_unit_test(test_sources_of_the_kernel_header),
        cmocka_unit_test(test_sources_of_the_page_add_order),
        cmocka_unit_test(test_a_qemu_without_tdx),
        cmocka_unit_test(test_tdx_switches_pic_and_smm_off),
        cmocka_unit_test(test_bad_words_of_firmware_and_kernel),
        cmocka_unit_test(test_evidence_of_the_variant),
        cmocka_unit_test(test_what_the_kernel_measures),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
