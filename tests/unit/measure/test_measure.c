/*
 * Whole registers. The known answers are those of docs/measurement.md, section 6: one is the
 * quote in tests/vectors/hw, one was seen on TDX hardware, one is what a verifier expected.
 */
#include "measure/include/cvm/measure.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/sample_boot.h"
#include "tests/unit/measure/sample_volume.h"
#include "tests/unit/measure/samples.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static struct hw_sample hw;
static struct cvm_compact hw_compact;

static int load_hw(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    hw_load(&hw);
    must(cvm_compact_parse(bytes_of(&hw.compact), &hw_compact, &err), &err);
    return 0;
}

static int unload_hw(void **state)
{
    (void)state;
    hw_free(&hw);
    return 0;
}

static struct cvm_expectation measure_compact(const struct cvm_machine *machine)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    must(cvm_measure_compact(machine, &hw_compact, &e, &err), &err);
    return e;
}

static void quote_of_tdx_hardware(void **state)
{
    (void)state;
    const struct cvm_machine machine = deployed_machine(2, "pre202505");
    const struct cvm_expectation e = measure_compact(&machine);
    assert_bytes(e.mrtd.bytes, 48, hw.mrtd.bytes, 48);
    for (unsigned i = 0; i < 3; i++) {
        assert_bytes(e.rtmr[i].bytes, 48, hw.rtmr[i].bytes, 48);
    }
    uint32_t next[3] = { 0 };
    for (uint32_t i = 0; i < hw.num_events; i++) {
        unsigned rtmr = hw.events[i].imr;
        if (rtmr < 3) {
            const struct cvm_event *event = event_at(&e, rtmr, next[rtmr]++);
            assert_bytes(event->digest.bytes, 48, hw.events[i].digest.bytes, 48);
        }
    }
    assert_int_equal(next[0] + next[1] + next[2], e.events.num_events);
    assert_false(e.acpi_extrapolated);
}

/* The pair of the bug report: what a verifier expected, and what the guest had. */
static void layouts_that_were_confused(void **state)
{
    (void)state;
    struct cvm_machine machine = deployed_machine(1, "pre202505");
    struct cvm_expectation e = measure_compact(&machine);
    assert_hex(
        e.rtmr[0].bytes, 48,
        "68102e7b524af310f7b7d426ce75481e36c40f5d513a9009c046e9d37e31551f0134d954b496a3357fd61d03f07ffe96");
    machine = deployed_machine(1, "stable202505");
    e = measure_compact(&machine);
    assert_hex(e.rtmr[0].bytes, 8, "d357b91a5bc62825");
}

static void names_and_sources(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned rtmr;
        enum cvm_digest_source source;
    } want[] = {
        { "td_hob", 0, CVM_DIGEST_COMPUTED },
        { "cfv", 0, CVM_DIGEST_WELL_KNOWN },
        { "fwcfg_bootmenu", 0, CVM_DIGEST_COMPUTED },
        { "fwcfg_bootorder", 0, CVM_DIGEST_COMPUTED },
        { "secureboot", 0, CVM_DIGEST_COMPUTED },
        { "pk", 0, CVM_DIGEST_COMPUTED },
        { "kek", 0, CVM_DIGEST_COMPUTED },
        { "db", 0, CVM_DIGEST_COMPUTED },
        { "dbx", 0, CVM_DIGEST_COMPUTED },
        { "separator", 0, CVM_DIGEST_COMPUTED },
        { "acpi_loader", 0, CVM_DIGEST_COMPUTED },
        { "acpi_rsdp", 0, CVM_DIGEST_COMPUTED },
        { "acpi_tables", 0, CVM_DIGEST_COMPUTED },
        { "smbios", 0, CVM_DIGEST_CAPTURED },
        { "boot_order", 0, CVM_DIGEST_COMPUTED },
        { "boot0000", 0, CVM_DIGEST_COMPUTED },
        { "boot0001", 0, CVM_DIGEST_COMPUTED },
        { "kernel", 1, CVM_DIGEST_DECLARED },
        { "calling_efi_application", 1, CVM_DIGEST_COMPUTED },
        { "separator", 1, CVM_DIGEST_COMPUTED },
        { "exit_boot_services_invocation", 1, CVM_DIGEST_COMPUTED },
        { "exit_boot_services_success", 1, CVM_DIGEST_COMPUTED },
        { "cmdline", 2, CVM_DIGEST_DECLARED },
        { "initrd", 2, CVM_DIGEST_DECLARED },
    };
    const struct cvm_machine machine = deployed_machine(1, "stable202505");
    const struct cvm_expectation e = measure_compact(&machine);
    assert_int_equal(e.events.num_events, sizeof want / sizeof want[0]);
    for (uint32_t i = 0; i < e.events.num_events; i++) {
        assert_int_equal(e.events.events[i].rtmr, want[i].rtmr);
        assert_string_equal(e.events.events[i].name, want[i].name);
        assert_int_equal(e.events.events[i].source, want[i].source);
    }
}

/* With expanders, the newer layout measures how many there are, before the other fw_cfg files. */
static void counts_expanders(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha384 want;
    const uint8_t one[8] = { 1 };
    const struct cvm_device_counts counts = { .rootfs = 1, .nics = 1, .expanders = 1 };
    struct cvm_machine machine = deployed_machine(1, "stable202505");
    (void)state;
    must(cvm_machine_place_devices(&machine, &counts, &err), &err);
    machine.num_numa_nodes = 1;
    machine.numa_nodes[0] = (struct cvm_numa_node){ 1, machine.memory_size, true, 5, 2 };
    const struct cvm_expectation e = measure_compact(&machine);
    must(cvm_sha384(one, sizeof one, &want, &err), &err);
    assert_string_equal(e.events.events[2].name, "fwcfg_extra_pci_roots");
    assert_bytes(e.events.events[2].digest.bytes, 48, want.bytes, 48);
    assert_string_equal(e.events.events[3].name, "fwcfg_bootmenu");
    machine.layout = cvm_layout_find("pre202505");
    assert_string_equal(measure_compact(&machine).events.events[2].name, "secureboot");
}

/* fw_cfg items that exist only where the machine sets them, in the order of docs/measurement.md. */
static void measures_optional_fw_cfg_items(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data;
        size_t size;
    } want[] = {
        { "fwcfg_bootmenu", "\0\0", 2 },
        { "fwcfg_boot_menu_wait", "\xe8\x03", 2 },
        { "fwcfg_reserved_memory_end", "\0\0\0\0\x01\0\0\0", 8 },
        { "fwcfg_pci_mmio64_mb", "262144", 6 },
        { "fwcfg_bootorder", "/rom@genroms/linuxboot_dma.bin", 31 },
    };
    struct cvm_machine machine = deployed_machine(1, "stable202505");
    machine.boot_menu_wait = 1000;
    machine.reserved_memory_end = UINT64_C(1) << 32;
    machine.pci_mmio64_mb = 262144;
    const struct cvm_expectation e = measure_compact(&machine);
    for (uint32_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_sha384 digest;
        must(cvm_sha384(want[i].data, want[i].size, &digest, &err), &err);
        assert_string_equal(event_at(&e, 0, 2 + i)->name, want[i].name);
        assert_bytes(event_at(&e, 0, 2 + i)->digest.bytes, 48, digest.bytes, 48);
    }
    machine.layout = cvm_layout_find("pre202505"); /* which measures none of them */
    const struct cvm_expectation older = measure_compact(&machine);
    assert_string_equal(event_at(&older, 0, 2)->name, "secureboot");
}

static void assert_compact_refused(const struct cvm_machine *machine,
                                   const struct cvm_compact *compact, enum cvm_error_code code,
                                   const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    assert_false(cvm_measure_compact(machine, compact, &e, &err));
    assert_error(&err, code, message);
}

/* Without the CPU a capture stands in, where it can be the machine's. */
static void smbios_of_an_unknown_cpu(void **state)
{
    (void)state;
    const char *const wanted = "cpu_signature or cpu_features_edx is not known";
    struct cvm_machine machine = deployed_machine(1, "stable202505");
    machine.cpu_signature = (struct cvm_opt_u32){ true, 0x000c06f2 };
    const struct cvm_expectation e = measure_compact(&machine);
    assert_int_equal(event_at(&e, 0, 13)->source, CVM_DIGEST_CAPTURED);
    machine.memory_size = 4 * GIB;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_UNSUPPORTED, wanted);
    machine.layout = cvm_layout_find("pre202505");
    (void)measure_compact(&machine);
    machine = deployed_machine(1, "stable202505");
    machine.smbios = (struct cvm_smbios){ .manufacturer = "dstack", .product = "dstack" };
    (void)measure_compact(&machine);
    machine.smbios = (struct cvm_smbios){ .product = "Example" };
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_UNSUPPORTED, wanted);
    machine.smbios = (struct cvm_smbios){ .serial = "1" };
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_UNSUPPORTED, wanted);
}

/* With it, the digest is computed: the register is the published one, and any size works. */
static void smbios_of_a_known_cpu(void **state)
{
    (void)state;
    struct cvm_machine machine = deployed_machine(1, "stable202505");
    machine.qemu = (struct cvm_qemu_version){ 8, 2, 2 };
    machine.cpu_signature = (struct cvm_opt_u32){ true, 0x000c06f2 };
    machine.cpu_features_edx = (struct cvm_opt_u32){ true, 0x2fabfbff };
    machine.smbios = (struct cvm_smbios){ .manufacturer = "dstack", .product = "dstack" };
    struct cvm_expectation e = measure_compact(&machine);
    assert_int_equal(event_at(&e, 0, 13)->source, CVM_DIGEST_WELL_KNOWN);
    assert_hex(e.rtmr[0].bytes, 8, "d357b91a5bc62825");
    machine.firmware_strings = (struct cvm_smbios_firmware){ "EDK II", "unknown", "02/02/2022" };
    e = measure_compact(&machine);
    assert_int_equal(event_at(&e, 0, 13)->source, CVM_DIGEST_COMPUTED);
    assert_hex(e.rtmr[0].bytes, 8, "d357b91a5bc62825");
    machine.memory_size = 16 * GIB;
    e = measure_compact(&machine);
    assert_hex(event_at(&e, 0, 13)->digest.bytes, 16, "17a566eb173b8f3011c5294e9d8c816e");
    assert_false(e.smbios_extrapolated);
}

static void memory_that_a_compact_measurement_fits(void **state)
{
    (void)state;
    struct cvm_machine machine = deployed_machine(1, "pre202505");
    machine.memory_size = 2560 * MIB;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_UNSUPPORTED,
                           "exactly 2 GiB or at least 2816 MiB of memory, and this one has "
                           "2684354560 bytes");
    assert_true(cvm_compact_fits_memory(2048 * MIB));
    assert_true(cvm_compact_fits_memory(2816 * MIB));
    assert_true(cvm_compact_fits_memory(1024 * GIB));
    assert_false(cvm_compact_fits_memory(2047 * MIB));
    assert_false(cvm_compact_fits_memory(2049 * MIB));
    assert_false(cvm_compact_fits_memory(2815 * MIB));
    assert_false(cvm_compact_fits_memory(1024 * MIB));
    assert_false(cvm_compact_fits_memory(0));
}

static void machines_and_layouts_that_cannot_be(void **state)
{
    (void)state;
    struct cvm_machine machine = deployed_machine(0, "pre202505");
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_MALFORMED, "machine: cpu_count is 0");
    machine = deployed_machine(1, "no such layout");
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_USAGE, "names no firmware layout");
    struct cvm_layout layout = *cvm_layout_find("pre202505");
    machine.layout = &layout;
    layout.num_events = CVM_LAYOUT_MAX_EVENTS + 1;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_USAGE, "firmware layout: 25 events");
    layout.num_events = 0;
    layout.num_boot_options = 0;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_UNSUPPORTED,
                           "the firmware measures nothing in a TD");
    layout.num_events = 13;
    layout.num_boot_options = 2;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_USAGE, "1 of 2 boot options");
}

/* A kind of event that this library does not know, from a caller's own layout. */
static void event_kind_that_does_not_exist(void **state)
{
    (void)state;
    struct cvm_machine machine = deployed_machine(1, "pre202505");
    struct cvm_layout layout = *machine.layout;
    machine.layout = &layout;
    layout.events[2] = CVM_LAYOUT_KINDS;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_USAGE, "firmware layout: event 2");
    layout = *cvm_layout_find("pre202505");
    layout.boot_options[0] = CVM_BOOT_APPS;
    assert_compact_refused(&machine, &hw_compact, CVM_ERR_USAGE, "firmware layout: boot option 0");
}

/* A compact measurement need not come from cvm_compact_parse(). */
static void ranges_that_cannot_be(void **state)
{
    (void)state;
    const struct cvm_machine machine = deployed_machine(1, "pre202505");
    struct cvm_compact compact = hw_compact;
    compact.ranges.ranges[3].start = 0x80000000;
    assert_compact_refused(&machine, &compact, CVM_ERR_MALFORMED, "past the end of low memory");
    compact = hw_compact;
    compact.ranges.ranges[3] = (struct cvm_td_range){ 0xfffffffffffff000, 0x2000 };
    assert_compact_refused(&machine, &compact, CVM_ERR_MALFORMED, "wraps");
    compact = hw_compact;
    compact.ranges.num_ranges = CVM_TD_MAX_RANGES + 1;
    assert_compact_refused(&machine, &compact, CVM_ERR_MALFORMED, "ranges");
    compact = hw_compact;
    compact.ranges.num_ranges = 0;
    assert_compact_refused(&machine, &compact, CVM_ERR_MALFORMED, "TD_HOB");
}

/* --- firmware files that were really booted --- */

/* Its ranges are those of the captured quote's firmware; the kernel is another. */
static void booted_edk2_stable202502(void **state)
{
    (void)state;
    const struct cvm_machine machine = booted_machine("pre202505");
    const struct cvm_expectation e = measure_compact(&machine);
    const struct extends rtmr0 = load_extends("firmware/td-built-202502.extends", 0);
    const struct extends rtmr1 = load_extends("firmware/td-built-202502.extends", 1);
    assert_int_equal(rtmr0.count, 13);
    assert_int_equal(rtmr1.count, 5);
    assert_extends(&e, 0, 0, &rtmr0, "");
    assert_extends(&e, 1, 1, &rtmr1, "");
}

/* Debian's ranges are its own. */
static void booted_edk2_of_2026(void **state)
{
    (void)state;
    struct cvm_machine machine = booted_machine("stable202505");
    machine.cpu_signature = (struct cvm_opt_u32){ true, 0x00000663 };
    machine.cpu_features_edx = (struct cvm_opt_u32){ true, 0x0fcbfbfd };
    machine.firmware_strings = (struct cvm_smbios_firmware){ "Debian distribution of EDK II",
                                                             "2026.08+ds-2", "09/26/2026" };
    const struct cvm_expectation e = measure_compact(&machine);
    const struct extends rtmr0 = load_extends("firmware/td-d-bios.extends", 0);
    assert_int_equal(rtmr0.count, 17);
    assert_extends(&e, 0, 0, &rtmr0, "td_hob");
}

/* A kernel from before Linux 6.9 extended nothing into RTMR2. */
static void booted_kernel_that_measures_nothing(void **state)
{
    (void)state;
    static const struct cvm_sha384 zero = { { 0 } };
    struct cvm_machine machine = booted_machine("pre202505");
    const struct extends rtmr1 = load_extends("firmware/tdk-61.extends", 1);
    const struct extends rtmr2 = load_extends("firmware/tdk-61.extends", 2);
    machine.kernel_measures = CVM_KERNEL_MEASURES_NOTHING;
    const struct cvm_expectation e = measure_compact(&machine);
    assert_int_equal(rtmr2.count, 0);
    assert_int_equal(e.events.num_events, 13 + rtmr1.count);
    assert_extends(&e, 1, 1, &rtmr1, "");
    assert_bytes(e.rtmr[2].bytes, 48, zero.bytes, 48);
    machine.kernel_measures = CVM_KERNEL_MEASURES;
    assert_int_equal(measure_compact(&machine).events.num_events, 13 + rtmr1.count + 2);
}

/* --- from files --- */

struct files {
    struct cvm_buf firmware, kernel;
    struct cvm_image image;
};

static struct files build_files(void)
{
    struct cvm_error err = { 0 };
    struct files f = { 0 };
    f.firmware = firmware_build_empty_store();
    f.kernel = kernel_build(&kernel_modern);
    f.image = (struct cvm_image){
        .firmware = bytes_of(&f.firmware),
        .kernel = bytes_of(&f.kernel),
        .cmdline = "console=ttyS0 rdinit=/init quiet",
        .initrd_size = 0x123456,
    };
    must(cvm_sha384("initrd", 6, &f.image.initrd, &err), &err);
    return f;
}

static void free_files(struct files *f)
{
    cvm_buf_free(&f->firmware);
    cvm_buf_free(&f->kernel);
}

static void assert_same_registers(const struct cvm_expectation *a, const struct cvm_expectation *b)
{
    assert_bytes(a->mrtd.bytes, 48, b->mrtd.bytes, 48);
    for (unsigned i = 0; i < 3; i++) {
        assert_bytes(a->rtmr[i].bytes, 48, b->rtmr[i].bytes, 48);
    }
}

static void image_and_compact_agree(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 2 * GIB, 2816 * MIB, 64 * GIB };
    struct files f = build_files();
    for (unsigned i = 0; i < 12; i++) {
        struct cvm_error err = { 0 };
        struct cvm_compact compact;
        struct cvm_expectation from_image;
        struct cvm_expectation from_compact;
        struct cvm_machine machine = deployed_machine(2, "pre202505");
        machine.memory_size = sizes[i % 3];
        machine.page_add_order = (i / 3) % 2 == 0 ? CVM_PAGES_SINGLE_PASS : CVM_PAGES_TWO_PASS;
        machine.kernel_header = i / 6 == 0 ? CVM_KERNEL_REWRITTEN : CVM_KERNEL_AS_IS;
        must(
            cvm_compact_from_image(&f.image, machine.layout, machine.kernel_header, &compact, &err),
            &err);
        must(cvm_measure_image(&machine, &f.image, &from_image, &err), &err);
        must(cvm_measure_compact(&machine, &compact, &from_compact, &err), &err);
        assert_same_registers(&from_image, &from_compact);
        assert_string_equal(compact.ovmf, "pre202505");
    }
    free_files(&f);
}

/* openssl dgst -sha384 of iconv -t UTF-16LE's output and two zero bytes */
static void events_of_an_image(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct files f = build_files();
    const struct cvm_machine machine = booted_machine("pre202505");
    must(cvm_measure_image(&machine, &f.image, &e, &err), &err);
    assert_int_equal(event_at(&e, 0, 1)->source, CVM_DIGEST_COMPUTED);
    assert_hex(
        event_at(&e, 0, 1)->digest.bytes, 48, /* the empty store's well-known digest */
        "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790");
    assert_string_equal(event_at(&e, 1, 0)->name, "kernel");
    assert_int_equal(event_at(&e, 1, 0)->source, CVM_DIGEST_COMPUTED);
    const struct extends rtmr2 = load_extends("firmware/td-built-202502.extends", 2);
    assert_bytes(event_at(&e, 2, 0)->digest.bytes, 48, rtmr2.digests[0].bytes, 48);
    assert_bytes(event_at(&e, 2, 1)->digest.bytes, 48, f.image.initrd.bytes, 48);
    free_files(&f);
}

/* Newer firmware writes "initrd=initrd " in front. */
static void command_line_in_front(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct cvm_compact compact;
    struct files f = build_files();
    struct cvm_machine machine = booted_machine("stable202505");
    struct cvm_layout layout = *machine.layout;
    layout.cmdline_form = CVM_CMDLINE_PREFIX;
    machine.layout = &layout;
    must(cvm_measure_image(&machine, &f.image, &e, &err), &err);
    const struct extends rtmr2 = load_extends("firmware/td-d-bios.extends", 2);
    assert_bytes(event_at(&e, 2, 0)->digest.bytes, 48, rtmr2.digests[0].bytes, 48);
    must(cvm_compact_from_image(&f.image, &layout, CVM_KERNEL_REWRITTEN, &compact, &err), &err);
    assert_bytes(compact.cmdline.bytes, 48, rtmr2.digests[0].bytes, 48);
    free_files(&f);
}

/* A machine that names no layout has the file's; this one is not known. */
static void layout_of_the_file(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct files f = build_files();
    struct cvm_machine machine = booted_machine("pre202505");
    machine.layout = NULL;
    assert_false(cvm_measure_image(&machine, &f.image, &e, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED,
                 "firmware: its layout is not known: its code is in no firmware volume");
    free_files(&f);
    const struct cvm_firmware_features features = {
        .measures = true, .acpi = true, .ui_app = true, .cmdline_suffix = true
    };
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    struct cvm_buf firmware = firmware_build_volumes(&features, bytes_of(&store));
    f = build_files();
    f.image.firmware = bytes_of(&firmware);
    must(cvm_measure_image(&machine, &f.image, &e, &err), &err);
    const struct extends rtmr0 = load_extends("firmware/td-built-202502.extends", 0);
    assert_extends(&e, 0, 0, &rtmr0, "cfv");
    free_files(&f);
    cvm_buf_free(&store);
    cvm_buf_free(&firmware);
}

/* What was found out before stands in for the file, and for no other file. */
static void inspected_files(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_firmware inspected;
    struct cvm_expectation first;
    struct cvm_expectation again;
    struct files f = build_files();
    const struct cvm_machine machine = booted_machine("pre202505");
    must(cvm_measure_image(&machine, &f.image, &first, &err), &err);
    must(cvm_firmware_inspect(f.image.firmware, &inspected, &err), &err);
    f.image.inspected = &inspected;
    must(cvm_measure_image(&machine, &f.image, &again, &err), &err);
    assert_same_registers(&first, &again);
    f.image.firmware = (struct cvm_bytes){ 0 };
    must(cvm_measure_image(&machine, &f.image, &again, &err), &err);
    assert_same_registers(&first, &again);
    f.image.firmware = bytes_of(&f.firmware);
    f.firmware.data[0x84000] ^= 1;
    assert_false(cvm_measure_image(&machine, &f.image, &again, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "firmware: the file is not the one that was inspected");
    free_files(&f);
}

/* The rewritten header follows the memory size; the file's own does not. */
static void kernel_header_and_memory(void **state)
{
    (void)state;
    struct files f = build_files();
    struct cvm_sha384 kernel[4];
    for (unsigned i = 0; i < 4; i++) {
        struct cvm_error err = { 0 };
        struct cvm_expectation e;
        struct cvm_machine machine = deployed_machine(2, "pre202505");
        machine.memory_size = i % 2 == 0 ? 1 * GIB : 2 * GIB;
        machine.kernel_header = i < 2 ? CVM_KERNEL_REWRITTEN : CVM_KERNEL_AS_IS;
        must(cvm_measure_image(&machine, &f.image, &e, &err), &err);
        kernel[i] = event_at(&e, 1, 0)->digest;
    }
    assert_memory_not_equal(&kernel[0], &kernel[1], sizeof kernel[0]);
    assert_memory_not_equal(&kernel[0], &kernel[2], sizeof kernel[0]);
    assert_memory_equal(&kernel[2], &kernel[3], sizeof kernel[0]);
    free_files(&f);
}

static void assert_image_refused(const struct cvm_image *image, enum cvm_error_code code,
                                 const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct cvm_compact c;
    const struct cvm_machine machine = deployed_machine(2, "pre202505");
    assert_false(cvm_measure_image(&machine, image, &e, &err));
    assert_error(&err, code, message);
    assert_false(cvm_compact_from_image(image, machine.layout, CVM_KERNEL_REWRITTEN, &c, &err));
    assert_error(&err, code, message);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    struct files f = build_files();
    struct cvm_image bad = f.image;
    bad.firmware.size--;
    assert_image_refused(&bad, CVM_ERR_MALFORMED, "firmware: no GUIDed table");
    bad.firmware = (struct cvm_bytes){ 0 };
    assert_image_refused(&bad, CVM_ERR_MALFORMED, "firmware: 0 bytes are too few");
    bad = f.image;
    bad.kernel = (struct cvm_bytes){ 0 };
    assert_image_refused(&bad, CVM_ERR_MALFORMED, "kernel: Linux setup header");
    bad.kernel = (struct cvm_bytes){ f.kernel.data, 0x240 };
    assert_image_refused(&bad, CVM_ERR_MALFORMED, "kernel: PE section 0: data");
    bad = f.image;
    bad.initrd_size = 2 * GIB;
    assert_image_refused(&bad, CVM_ERR_MALFORMED, "kernel: an initrd of 2147483648 bytes");
    bad = f.image;
    bad.cmdline = "quiet vga=791";
    assert_image_refused(&bad, CVM_ERR_UNSUPPORTED, "kernel: a command line with \"vga=\"");
    bad.cmdline = "root=\xc3\xa4";
    assert_image_refused(&bad, CVM_ERR_UNSUPPORTED, "command line: character 5 is not ASCII");
    free_files(&f);
}

static void needs_one_variable_store(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct files f = build_files();
    const struct cvm_machine machine = deployed_machine(2, "pre202505");
    firmware_patch(&f.firmware, FW_SECTION(1, FW_TYPE), CVM_TDVF_BFV, 4);
    assert_false(cvm_measure_image(&machine, &f.image, &e, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "firmware: 0 CFV sections instead of one");
    firmware_patch(&f.firmware, FW_SECTION(1, FW_TYPE), CVM_TDVF_CFV, 4);
    firmware_patch(&f.firmware, FW_SECTION(0, FW_TYPE), CVM_TDVF_CFV, 4);
    assert_false(cvm_measure_image(&machine, &f.image, &e, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "firmware: 2 CFV sections instead of one");
    free_files(&f);
}

static void compact_needs_a_named_layout(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_compact c;
    struct files f = build_files();
    struct cvm_layout layout = *cvm_layout_find("pre202505");
    layout.name[0] = '\0';
    assert_false(cvm_compact_from_image(&f.image, &layout, CVM_KERNEL_AS_IS, &c, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "a firmware layout without a name");
    free_files(&f);
}

static struct files failing;

static bool measure_files(struct cvm_error *err)
{
    struct cvm_expectation e;
    const struct cvm_machine machine = deployed_machine(2, "stable202505");
    return cvm_measure_image(&machine, &failing.image, &e, err);
}

static bool compact_files(struct cvm_error *err)
{
    struct cvm_compact c;
    return cvm_compact_from_image(&failing.image, cvm_layout_find("pre202505"),
                                  CVM_KERNEL_REWRITTEN, &c, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    failing = build_files();
    assert_true(fail_each_allocation(measure_files) > 20);
    assert_true(fail_each_allocation(compact_files) > 1);
    free_files(&failing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quote_of_tdx_hardware),
        cmocka_unit_test(layouts_that_were_confused),
        cmocka_unit_test(names_and_sources),
        cmocka_unit_test(smbios_of_an_unknown_cpu),
        cmocka_unit_test(smbios_of_a_known_cpu),
        cmocka_unit_test(memory_that_a_compact_measurement_fits),
        cmocka_unit_test(machines_and_layouts_that_cannot_be),
        cmocka_unit_test(event_kind_that_does_not_exist),
        cmocka_unit_test(ranges_that_cannot_be),
        cmocka_unit_test(booted_edk2_stable202502),
        cmocka_unit_test(booted_edk2_of_2026),
        cmocka_unit_test(booted_kernel_that_measures_nothing),
        cmocka_unit_test(image_and_compact_agree),
        cmocka_unit_test(events_of_an_image),
        cmocka_unit_test(kernel_header_and_memory),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(counts_expanders),
        cmocka_unit_test(measures_optional_fw_cfg_items),
        cmocka_unit_test(command_line_in_front),
        cmocka_unit_test(layout_of_the_file),
        cmocka_unit_test(inspected_files),
        cmocka_unit_test(needs_one_variable_store),
        cmocka_unit_test(compact_needs_a_named_layout),
        cmocka_unit_test(out_of_memory),
    };
    fault_hook_libraries();
    return cmocka_run_group_tests(tests, load_hw, unload_hw);
}
