#include "tests/support/check.h"
#include "tests/unit/vmm/fake_emulator.h"

#include "vmm/acpi_probe.h"
#include "vmm/process.h"

#include <errno.h>
#include <sys/wait.h>

static struct cvm_emulator emulator_of(const char *path)
{
    return (struct cvm_emulator){ path, { 9, 2, 1 }, "9.2.1", 1u << CVM_ACCEL_TCG };
}

static bool ask(const char *path, const struct cvm_machine *m, unsigned timeout_ms,
                struct cvm_probed_acpi *out, struct cvm_error *err)
{
    const struct cvm_emulator e = emulator_of(path);
    return cvm_acpi_probe(&e, m, timeout_ms, out, err);
}

static void write_memory(const struct place *p)
{
    const struct cvm_buf files[3] = {
        { .data = (uint8_t *)(uintptr_t) "loader", .len = 6 },
        { .data = (uint8_t *)(uintptr_t) "rsdp", .len = 4 },
        { .data = (uint8_t *)(uintptr_t) "tables", .len = 6 },
    };
    fake_memory(p, files);
}

static void test_files_are_read(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
    struct cvm_error err = { 0 };
    write_memory(*state);
    must(ask(fake_emulator(*state, ""), &m, 20000, &probed, &err), &err);
    const struct cvm_acpi_files files = cvm_probed_acpi_files(&probed);
    assert_bytes(files.file[CVM_ACPI_FILE_LOADER].data, files.file[CVM_ACPI_FILE_LOADER].size,
                 "loader", 6);
    assert_bytes(files.file[CVM_ACPI_FILE_TABLES].data, files.file[CVM_ACPI_FILE_TABLES].size,
                 "tables", 6);
}

/* What a caller adds to the command line is there, and files are whichever it names. */
static void test_options_of_the_caller(void **state)
{
    static const char *const options[] = { "-smbios", "type=1,product=x", NULL };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(fake_emulator(*state, ""));
    const struct cvm_probe probe = { &e, &m, "max", options, 20000, false };
    struct cvm_probed_file file = { .name = "etc/acpi/tables" };
    struct cvm_error err = { 0 };
    write_memory(*state);
    place_write_text(*state, "memory-2", "tables");
    must(cvm_qemu_probe(&probe, &file, 1, NULL, &err), &err);
    assert_bytes(file.data.data, file.data.len, "tables", 6);
    cvm_probed_files_free(&file, 1);
    struct cvm_buf started = place_read(*state, "started");
    assert_non_null(strstr((const char *)started.data, " -smbios type=1,product=x\n"));
    assert_non_null(strstr((const char *)started.data, " -cpu max,phys-bits=46,"));
    cvm_buf_free(&started);
    struct cvm_probed_file many[CVM_PROBE_MAX_FILES + 1] = { { 0 } };
    assert_false(cvm_qemu_probe(&probe, many, CVM_PROBE_MAX_FILES + 1, NULL, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "17 files at once, at most 16");
}

static struct cvm_buf text_file(const char *text)
{
    return (struct cvm_buf){ .data = (uint8_t *)(uintptr_t)text, .len = strlen(text) };
}

/* Files that may be missing or empty, and one that no directory lists. */
static void test_optional_files(void **state)
{
    static const char *const names[] = { "a", "empty" };
    const struct cvm_buf contents[] = { text_file("first"), { 0 } };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(fake_emulator(*state, ""));
    const struct cvm_probe probe = { .emulator = &e, .machine = &m, .timeout_ms = 20000 };
    struct cvm_probed_file files[] = {
        { .name = "a", .optional = true },
        { .name = "empty", .optional = true },
        { .name = "absent", .optional = true, .found = true },
        { .name = "fixed", .fixed = { 2, 0xe } },
    };
    struct cvm_error err = { 0 };
    fake_files(*state, names, contents, 2);
    place_write_text(*state, "memory-3", "ab"); /* the second that is read */
    must(cvm_qemu_probe(&probe, files, 4, NULL, &err), &err);
    assert_true(files[0].found && files[1].found && !files[2].found && files[3].found);
    assert_bytes(files[0].data.data, files[0].data.len, "first", 5);
    assert_int_equal(files[1].data.len, 0);
    assert_int_equal(files[2].data.len, 0);
    assert_bytes(files[3].data.data, files[3].data.len, "ab", 2);
    cvm_probed_files_free(files, 4);
}

/* The command line has what a launch passes and no ACPI table shows. */
static void test_items(void **state)
{
    struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(fake_emulator(*state, ""));
    struct cvm_probe probe = { .emulator = &e, .machine = &m, .timeout_ms = 20000 };
    struct cvm_probed_cpu cpu = { 0 };
    struct cvm_error err = { 0 };
    m.smbios = (struct cvm_smbios){ .product = "a,b", .family = "f" };
    m.boot_menu_wait = 700;
    m.pci_mmio64_mb = 64;
    fake_files(*state, NULL, NULL, 0);
    must(cvm_qemu_probe(&probe, NULL, 0, NULL, &err), &err);
    struct cvm_buf started = place_read(*state, "started");
    assert_null(strstr((const char *)started.data, "-smbios"));
    assert_null(strstr((const char *)started.data, "-kernel"));
    cvm_buf_free(&started);
    probe.with_items = true;
    must(cvm_qemu_probe(&probe, NULL, 0, &cpu, &err), &err);
    started = place_read(*state, "started");
    assert_non_null(strstr((const char *)started.data, "/kernel -boot splash-time=700 -fw_cfg "
                                                       "name=opt/ovmf/X-PciMmio64Mb,string=64 "
                                                       "-smbios type=1,product=a,,b,family=f\n"));
    cvm_buf_free(&started);
    assert_int_equal(cpu.signature, 0x000c06f2);
    assert_int_equal(cpu.features_edx, 0x078bfbfd);
}

static void test_cpus_that_are_none(void **state)
{
    static const struct {
        const char *says, *message;
    } cases[] = {
        { "cpus='[]'", "the emulator lists no CPU" },
        { "cpus='{}'", "the emulator lists no CPU" },
        { "cpus='[3]'", "answer to 'query-cpus-fast': not a JSON object" },
        { "cpus='[{}]'", "answer to 'query-cpus-fast': " },
        { "cpus=null", "QMP command 'query-cpus-fast'" },
        { "family=65536", "property 'family' of a CPU is no number up to 65535" },
        { "model=-1", "property 'model' of a CPU is no number up to 65535" },
        { "words='[]'", "the CPU has no feature word for leaf 1, EDX" },
        { "words=7", "the CPU has no feature word for leaf 1, EDX" },
        { "words='[{}]'", "property 'feature-words' of a CPU: " },
    };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct cvm_emulator e = emulator_of(fake_emulator(*state, cases[i].says));
        const struct cvm_probe probe = { .emulator = &e, .machine = &m, .timeout_ms = 1000 };
        struct cvm_probed_cpu cpu = { 7, 7 };
        struct cvm_error err = { 0 };
        fake_files(*state, NULL, NULL, 0);
        assert_false(cvm_qemu_probe(&probe, NULL, 0, &cpu, &err));
        assert_error(&err, CVM_ERR_SYSTEM, cases[i].message);
        assert_int_equal(cpu.signature, 7);
    }
}

static void test_signatures(void **state)
{
    static const uint32_t cases[][4] = {
        { 6, 207, 2, 0x000c06f2 },
        { 15, 107, 1, 0x00060fb1 },
        { 25, 1, 1, 0x00a00f11 },
        { 6, 6, 3, 0x00000663 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cvm_cpu_signature(cases[i][0], cases[i][1], cases[i][2]), cases[i][3]);
    }
}

/* Each ends the conversation at another point. */
static void test_emulators_that_fail(void **state)
{
    static const struct {
        const char *script;
        unsigned timeout_ms;
        const char *message;
    } cases[] = {
        { "echo a warning: nothing >&2; echo 'bad option' >&2; exit 1", 20000,
          "the emulator ended: bad option" },
        { "exit 0", 20000, "the emulator ended: the emulator says nothing" },
        { "kill -9 $$", 20000, "the emulator ended" },
        { "exec sleep 60", 300, "no answer within 300 ms" },
        { "printf '{\"QMP\": {}}\\n'; exec sleep 60", 300, "no answer within 300 ms" },
        { "while :; do echo '{\"event\": \"NOISE\"}'; done", 300, "no answer within 300 ms" },
        { "echo garbage; exec sleep 60", 20000, "QMP: not JSON" },
        { "printf '{\"QMP\": {}}\\n'; read -r x; echo '{\"error\": {}}'; exec sleep 60", 20000,
          "the emulator refuses a command of its monitor" },
        { "head -c 2000000 /dev/zero; exec sleep 60", 20000, "an answer of more than 1048576" },
        { "printf '{\"QMP\": {}}\\n'; while read -r x; do printf '{\"return\": \"unknown\"}\\n'; done",
          20000, "the monitor does not understand 'o /w 0xcf8" },
        { "printf '{\"QMP\": {}}\\n'; while read -r x; do printf '{\"return\": \"\"}\\n'; done",
          20000, "open '/tmp/cvm-" },
    };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct place *p = *state;
    setenv("TMPDIR", p->path, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
        struct cvm_error err = { 0 };
        uint64_t start = cvm_now_ms();
        if (ask(fake_emulator(p, cases[i].script), &m, cases[i].timeout_ms, &probed, &err)) {
            fail_msg("accepted: %s", cases[i].script);
        }
        assert_error(&err, CVM_ERR_SYSTEM, cases[i].message);
        assert_true(cvm_now_ms() - start < 20000);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
    unsetenv("TMPDIR");
    assert_int_equal(place_count(p, "."), 1); /* the emulator, and nothing temporary */
}

/* Files that are not what the directory says, and directories that are none. */
static void test_memory_that_is_wrong(void **state)
{
    static const struct {
        const char *name, *content, *message;
    } cases[] = {
        { "memory-1", "short", "directory of fw_cfg: the emulator wrote 5 bytes of 16388" },
        { "memory-3", "rs", "'etc/acpi/rsdp': the emulator wrote 2 bytes of 4" },
        { "memory-4", "", "'etc/acpi/tables': the emulator wrote 0 bytes of 6" },
    };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const char *path = fake_emulator(*state, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
        struct cvm_error err = { 0 };
        write_memory(*state);
        place_write_text(*state, cases[i].name, cases[i].content);
        assert_false(ask(path, &m, 20000, &probed, &err));
        assert_error(&err, CVM_ERR_SYSTEM, cases[i].message);
    }
    const struct cvm_buf huge[3] = { { .data = (uint8_t *)(uintptr_t) "x", .len = 1 },
                                     { 0 },
                                     { 0 } };
    cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
    struct cvm_error err = { 0 };
    fake_memory(*state, huge);
    assert_false(ask(path, &m, 20000, &probed, &err));
    assert_error(&err, CVM_ERR_SYSTEM,
                 "'etc/acpi/rsdp': a file of 0 bytes in fw_cfg; 1 to 1048576");
}

static void test_machines_that_cannot_be_asked_for(void **state)
{
    struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of("/absent");
    cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
    struct cvm_error err = { 0 };
    const char *path = getenv("PATH");
    cvm_autofree char *kept = strdup(path == NULL ? "" : path);
    (void)state;
    m.memory_size = 1 << 20;
    assert_false(cvm_acpi_probe(&e, &m, 0, &probed, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "memory_size 1048576: a machine of less than 2097152");
    m = fake_machine(CVM_TRIGGER_LEVEL);
    m.tpm = true;
    err = (struct cvm_error){ 0 };
    setenv("PATH", "/absent", 1);
    bool ok = cvm_acpi_probe(&e, &m, 0, &probed, &err);
    setenv("PATH", kept, 1);
    assert_false(ok);
    assert_error(&err, CVM_ERR_UNSUPPORTED, "there is no program 'swtpm'");
    m = fake_machine(CVM_TRIGGER_LEVEL);
    err = (struct cvm_error){ 0 };
    assert_false(cvm_acpi_probe(&e, &m, 0, &probed, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "emulator '/absent': run '/absent'");
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(test_files_are_read),
        PLACED(test_options_of_the_caller),
        PLACED(test_optional_files),
        PLACED(test_items),
        PLACED(test_cpus_that_are_none),
        cmocka_unit_test(test_signatures),
        PLACED(test_emulators_that_fail),
        PLACED(test_memory_that_is_wrong),
        cmocka_unit_test(test_machines_that_cannot_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
