/*
 * Real firmware: the files of Debian's packages, held against what booting them extended
 * (tests/vectors/firmware). The directory that packaging/ovmf-packages unpacked to is the argument.
 */
#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/sample_boot.h"
#include "tests/unit/measure/samples.h"

#include <stdio.h>

#define TRIXIE "ovmf-trixie/usr/share/"
#define FORKY "ovmf-generic-forky/usr/share/"
#define INTELTDX "ovmf-inteltdx-forky/usr/share/"

static const char *unpacked;

/* Appends a file; skips the test where it is not there. */
static void load(const char *directory, const char *name, struct cvm_buf *out)
{
    struct cvm_error err = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (access(path, R_OK) != 0) {
        print_message("SKIPPED: there is no %s\n", path);
        skip();
    }
    must(cvm_file_load(path, 64 << 20, out, &err), &err);
}

static struct cvm_firmware inspect(const struct cvm_buf *bytes)
{
    struct cvm_error err = { 0 };
    struct cvm_firmware f;
    must(cvm_firmware_inspect(bytes_of(bytes), &f, &err), &err);
    return f;
}

/* The machine of the vectors, with this firmware and a kernel that is not theirs. */
static struct cvm_expectation boot(const struct cvm_firmware *f)
{
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct cvm_buf kernel = kernel_build(&kernel_modern);
    struct cvm_machine machine = booted_machine("pre202505");
    const struct cvm_image image = {
        .inspected = f,
        .kernel = bytes_of(&kernel),
        .cmdline = "console=ttyS0 rdinit=/init quiet",
        .initrd_size = 0x123456,
    };
    machine.layout = NULL; /* the file's own */
    machine.cpu_signature = (struct cvm_opt_u32){ true, 0x663 };
    machine.cpu_features_edx = (struct cvm_opt_u32){ true, 0x0fcbfbfd };
    must(cvm_measure_image(&machine, &image, &e, &err), &err);
    cvm_buf_free(&kernel);
    return e;
}

/* All events of the log but those of kernel and initrd, and but `except`. */
static void assert_log(const struct cvm_expectation *e, const char *log, uint32_t num_events,
                       const char *except)
{
    const struct extends rtmr0 = load_extends(log, 0);
    const struct extends rtmr1 = load_extends(log, 1);
    const struct extends rtmr2 = load_extends(log, 2);
    assert_int_equal(rtmr0.count, num_events);
    assert_int_equal(e->events.num_events, rtmr0.count + rtmr1.count + rtmr2.count);
    assert_extends(e, 0, 0, &rtmr0, except);
    assert_extends(e, 1, 1, &rtmr1, "");
    assert_extends(e, 2, 0, &rtmr2, "initrd");
}

static void assert_verified(const struct cvm_firmware *f, const char *name, const char *log)
{
    assert_int_equal(f->layout_state, CVM_LAYOUT_VERIFIED);
    assert_string_equal(f->layout.name, name);
    assert_non_null(strstr(cvm_firmware_evidence(&f->digest), log));
    assert_true(f->empty_store);
}

static void debian_2025_02(void **state)
{
    (void)state;
    struct cvm_buf bytes = { 0 };
    load(unpacked, TRIXIE "ovmf/OVMF.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    assert_verified(&f, "pre202505", "td-b-bios.extends");
    assert_int_equal(f.layout.cmdline_form, CVM_CMDLINE_SUFFIX);
    const struct cvm_expectation e = boot(&f);
    assert_log(&e, "firmware/td-b-bios.extends", 13, "");
    cvm_buf_free(&bytes);
}

static void debian_2026_08(void **state)
{
    (void)state;
    struct cvm_buf bytes = { 0 };
    load(unpacked, FORKY "ovmf/OVMF.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    assert_verified(&f, "stable202505", "td-d-bios.extends");
    assert_int_equal(f.layout.cmdline_form, CVM_CMDLINE_PREFIX);
    const struct cvm_expectation e = boot(&f);
    assert_log(&e, "firmware/td-d-bios.extends", 17, "");
    cvm_buf_free(&bytes);
}

/* --- enrolled keys; digests by python's hashlib over the variables' bytes --- */

struct keys {
    const char *pk, *kek, *db, *dbx;
    uint32_t db_size, dbx_size;
};

static const struct keys ms_2026 = {
    "8fc01eeed0ab76765d297cb72099864146a30304cde946d85c5f35b8ca5b4ea47e010402433fe07b22332c51c8a33bee",
    "35cb70e091c114646d5fcef33f036694286a345d619e60bc81e8691120a2f73576d7b689d2995b959dcebaba834a0192",
    "a844c6d6a63e5e4e9413c179a3a294e59ae4b3903b7be488ff8373d9c0e17008fb18ae11072d3df13efc70abaa03e3ca",
    "83ca6503369149e58aeb67db1f3bc1ed073accae002f2d4a43200115e05cd93418f2a4b378404c1042f6eba13adf914c",
    7636,
    21292,
};
static const struct keys ms_2025 = {
    "7021e706a812ce78aca5f033cd9faf99a3eb11d9897529ee5a5bebd5be2daa9d404fa978474c148b784d026d9f3d10ad",
    "0b832b9a5c51d756b5ebf434e641b5947a57e61b5a614c78544104c993803c6f5cdbd68f08f87368f357d97cc547329a",
    "9e9a3075edf75a466c09e4ffe463e65a800922dd7decbf9dd526ab95de33d8d2ccdd9792d239990a8deec1d173bb7464",
    "5f95c5051ade2e2314961e4011150fbe3315c0b78c93b27be3ac8e4df73930e6ad82aa50ac3591d292ce364b04c850c7",
    3143,
    76,
};

static void assert_keys(const struct cvm_firmware_variables *v, const struct keys *want)
{
    assert_int_equal(v->format, CVM_STORE_AUTHENTICATED);
    assert_true(v->secure_boot && v->pk.present && v->kek.present);
    assert_int_equal(v->db.size, want->db_size);
    assert_int_equal(v->dbx.size, want->dbx_size);
    assert_hex(v->pk.digest.bytes, 48, want->pk);
    assert_hex(v->kek.digest.bytes, 48, want->kek);
    assert_hex(v->db.digest.bytes, 48, want->db);
    assert_hex(v->dbx.digest.bytes, 48, want->dbx);
}

/* 16 events, the state of secure boot among them as a byte, and Microsoft's keys. */
static void debian_inteltdx(void **state)
{
    (void)state;
    struct cvm_buf bytes = { 0 };
    load(unpacked, INTELTDX "ovmf/OVMF.inteltdx.ms.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    assert_int_equal(f.layout_state, CVM_LAYOUT_DERIVED);
    assert_string_equal(f.layout.name, "");
    assert_int_equal(cvm_layout_num_usual_events(&f.layout), 16);
    assert_keys(&f.variables, &ms_2026);
    assert_false(f.variables.boot_options);
    const struct cvm_expectation e = boot(&f);
    assert_true(e.secure_boot);
    assert_false(e.kernel.is_signed || e.stored_boot_options);
    assert_string_equal(event_at(&e, 0, 4)->name, "secureboot");
    assert_hex(
        event_at(&e, 0, 4)->digest.bytes, 48,
        "2cded0c6f453d4c6f59c5e14ec61abc6b018314540a2367cba326a52aa2b315ccc08ce68a816ce09c6ef2ac7e514ae1f");
    assert_hex(event_at(&e, 0, 8)->digest.bytes, 48, ms_2026.dbx);
    assert_string_equal(event_at(&e, 0, 14)->name, "boot_order");
    assert_string_equal(event_at(&e, 0, 15)->name, "boot0000");
    cvm_buf_free(&bytes);
}

/* The variable store is the first part of the whole image. */
static void debian_2025_02_with_keys(void **state)
{
    (void)state;
    struct cvm_buf bytes = { 0 };
    load(unpacked, TRIXIE "OVMF/OVMF_VARS_4M.ms.fd", &bytes);
    load(unpacked, TRIXIE "OVMF/OVMF_CODE_4M.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    assert_int_equal(f.layout_state, CVM_LAYOUT_DERIVED);
    assert_string_equal(f.layout.name, "pre202505");
    assert_keys(&f.variables, &ms_2025);
    assert_true(f.variables.boot_options);
    const struct cvm_expectation e = boot(&f);
    assert_false(e.secure_boot); /* on, but nothing in this build enforces it */
    assert_true(e.stored_boot_options);
    const struct extends log = load_extends("firmware/td-b-bios.extends", 0);
    assert_extends(&e, 0, 0, &log, "cfv pk kek db dbx");
    assert_hex(event_at(&e, 0, 3)->digest.bytes, 48, ms_2025.pk);
    assert_hex(event_at(&e, 0, 4)->digest.bytes, 48, ms_2025.kek);
    assert_hex(event_at(&e, 0, 5)->digest.bytes, 48, ms_2025.db);
    assert_hex(event_at(&e, 0, 6)->digest.bytes, 48, ms_2025.dbx);
    cvm_buf_free(&bytes);
}

/* --- this Debian's own --- */

static void debian_2022_11(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct cvm_expectation e;
    struct cvm_buf bytes = { 0 };
    load("/usr/share/ovmf", "OVMF.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    struct cvm_machine machine = booted_machine("pre202505");
    struct cvm_buf kernel = kernel_build(&kernel_modern);
    const struct cvm_image image = { .inspected = &f, .kernel = bytes_of(&kernel), .cmdline = "" };
    assert_int_equal(f.layout_state, CVM_LAYOUT_DERIVED);
    assert_false(f.features.measures);
    assert_int_equal(f.layout.num_events, 0);
    assert_int_equal(f.variables.format, CVM_STORE_AUTHENTICATED);
    machine.layout = NULL;
    assert_false(cvm_measure_image(&machine, &image, &e, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "measures nothing in a TD");
    cvm_buf_free(&kernel);
    cvm_buf_free(&bytes);
}

static void debian_2022_11_with_keys(void **state)
{
    (void)state;
    struct cvm_buf bytes = { 0 };
    load("/usr/share/OVMF", "OVMF_VARS.ms.fd", &bytes);
    load("/usr/share/OVMF", "OVMF_CODE.fd", &bytes);
    const struct cvm_firmware f = inspect(&bytes);
    assert_keys(&f.variables, &ms_2025);
    assert_false(f.features.measures);
    cvm_buf_free(&bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debian_2025_02),  cmocka_unit_test(debian_2026_08),
        cmocka_unit_test(debian_inteltdx), cmocka_unit_test(debian_2025_02_with_keys),
        cmocka_unit_test(debian_2022_11),  cmocka_unit_test(debian_2022_11_with_keys),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_ovmf_packages DIR\n");
        return 2;
    }
    unpacked = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
