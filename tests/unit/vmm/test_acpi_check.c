#include "tests/support/check.h"
#include "tests/unit/vmm/fake_emulator.h"

#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "vmm/acpi_cache.h"
#include "vmm/acpi_check.h"
#include "vmm/acpi_probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* What the fake emulator hands out: the files of this machine, as it is. */
static void hand_out(const struct place *p, const struct cvm_machine *m)
{
    struct cvm_error err = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi a = { 0 };
    must(cvm_acpi_build(m, &a, &err), &err);
    const struct cvm_buf files[3] = {
        { .data = a.loader.data, .len = a.loader.size },
        { .data = a.rsdp.data, .len = a.rsdp.size },
        { .data = a.tables.data, .len = a.tables.size },
    };
    fake_memory(p, files);
}

static bool check(enum cvm_acpi_check mode, const char *emulator, const struct cvm_machine *m,
                  const struct place *p, struct cvm_warnings *w, struct cvm_error *err)
{
    return cvm_acpi_check(mode, emulator, m, place_path(p, "state"), w, err);
}

static void test_words(void **state)
{
    struct cvm_error err = { 0 };
    enum cvm_acpi_check mode;
    (void)state;
    must(cvm_acpi_check_parse("off", &mode, &err), &err);
    assert_int_equal(mode, CVM_ACPI_CHECK_OFF);
    must(cvm_acpi_check_parse("warn", &mode, &err), &err);
    assert_int_equal(mode, CVM_ACPI_CHECK_WARN);
    must(cvm_acpi_check_parse("require", &mode, &err), &err);
    assert_int_equal(mode, CVM_ACPI_CHECK_REQUIRE);
    assert_false(cvm_acpi_check_parse("Warn", &mode, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "acpi_check is 'Warn', not 'off', 'warn' or 'require'");
}

static void test_equal(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_error err = { 0 };
    hand_out(*state, &m);
    must(check(CVM_ACPI_CHECK_REQUIRE, fake_emulator(*state, ""), &m, *state, &w, &err), &err);
    assert_int_equal(w.count, 0);
}

/* A TD has edges, the emulator that is asked writes levels: that is no difference. */
static void test_a_td_is_compared_without_its_edges(void **state)
{
    const struct cvm_machine level = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_machine edge = fake_machine(CVM_TRIGGER_EDGE);
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_error err = { 0 };
    hand_out(*state, &level);
    must(check(CVM_ACPI_CHECK_REQUIRE, fake_emulator(*state, ""), &edge, *state, &w, &err), &err);
    hand_out(*state, &edge);
    assert_false(check(CVM_ACPI_CHECK_REQUIRE, fake_emulator(*state, ""), &edge, *state, &w, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "table DSDT differs");
}

static void test_a_difference(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    struct cvm_machine other = m;
    const char *emulator = fake_emulator(*state, "");
    cvm_autowarnings struct cvm_warnings w = { 0 };
    struct cvm_error err = { 0 };
    other.cpu_count = 3;
    hand_out(*state, &other);
    must(check(CVM_ACPI_CHECK_OFF, emulator, &m, *state, &w, &err), &err);
    assert_int_equal(w.count, 0);
    assert_false(place_has(*state, "started"));
    must(check(CVM_ACPI_CHECK_WARN, emulator, &m, *state, &w, &err), &err);
    assert_int_equal(w.count, 1);
    assert_non_null(strstr(w.items[0], "writes other ACPI files than were predicted"));
    assert_non_null(strstr(w.items[0], "table APIC differs at 0x4"));
    assert_false(check(CVM_ACPI_CHECK_REQUIRE, emulator, &m, *state, &w, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "acpi_check: emulator '/");
    assert_int_equal(w.count, 1);
}

static void test_no_answer(void **state)
{
    static const struct {
        const char *script;
        enum cvm_error_code code;
        const char *message;
    } cases[] = {
        { "exit 1", CVM_ERR_SYSTEM, "--version: ended with status" },
        { "case $1 in -machine) exit 1;; esac", CVM_ERR_SYSTEM, "the emulator ended" },
    };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *emulator = fake_emulator(*state, cases[i].script);
        cvm_autowarnings struct cvm_warnings w = { 0 };
        struct cvm_error err = { 0 };
        must(check(CVM_ACPI_CHECK_WARN, emulator, &m, *state, &w, &err), &err);
        assert_int_equal(w.count, 1);
        assert_non_null(strstr(w.items[0], "the emulator could not be asked for its ACPI files: "));
        assert_non_null(strstr(w.items[0], cases[i].message));
        assert_false(check(CVM_ACPI_CHECK_REQUIRE, emulator, &m, *state, &w, &err));
        assert_error(&err, cases[i].code, "acpi_check: the emulator could not be asked");
    }
}

/* --- the cache --- */

/* An emulator is a file that begins as programs do; nothing runs it here. */
static const char *make_binary(const struct place *p, const char *content)
{
    cvm_autobuf struct cvm_buf bytes = { 0 };
    const struct timespec long_ago[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    place_delete(p, "binary");
    cvm_put_text(&bytes, "\x7f"
                         "ELF");
    cvm_put_text(&bytes, content);
    place_write(p, "binary", bytes.data, bytes.len);
    assert_int_equal(utimensat(p->fd, "binary", long_ago, 0), 0);
    return place_path(p, "binary");
}

static struct cvm_emulator emulator_of(const char *path)
{
    return (struct cvm_emulator){ path, { 9, 2, 1 }, "9.2.1 (fake)", 1u << CVM_ACCEL_TCG };
}

static struct cvm_acpi_cache open_cache(const struct place *p, const struct cvm_emulator *e,
                                        const struct cvm_machine *m)
{
    struct cvm_acpi_cache c;
    cvm_acpi_cache_open(place_path(p, "state"), e, m, &c);
    return c;
}

static int cached_setup(void **state)
{
    if (place_setup(state) != 0) {
        return -1;
    }
    place_mkdir(*state, "state");
    return 0;
}

static void test_answers_are_kept(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(make_binary(*state, "one"));
    cvm_autoacpicache struct cvm_acpi_cache c = open_cache(*state, &e, &m);
    struct cvm_acpi_digests answer = { 0 };
    struct cvm_acpi_digests got;
    memset(&answer, 0xa5, sizeof answer);
    answer.file[CVM_ACPI_FILE_RSDP].bytes[0] = 1;
    assert_true(c.dir >= 0);
    assert_false(cvm_acpi_cache_get(&c, &got));
    cvm_acpi_cache_put(&c, &answer);
    assert_true(cvm_acpi_cache_get(&c, &got));
    assert_memory_equal(&got, &answer, sizeof got);
    struct stat st;
    assert_int_equal(fstatat(c.dir, c.name, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Another file, another version line or another machine has another entry. */
static void test_what_tells_entries_apart(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    struct cvm_machine other = m;
    struct cvm_emulator e = emulator_of(make_binary(*state, "one"));
    cvm_autoacpicache struct cvm_acpi_cache first = open_cache(*state, &e, &m);
    cvm_autoacpicache struct cvm_acpi_cache again = open_cache(*state, &e, &m);
    other.devices[0].role = CVM_DEVICE_NIC; /* an endpoint is an endpoint */
    cvm_autoacpicache struct cvm_acpi_cache role = open_cache(*state, &e, &other);
    other.devices[0].role = CVM_DEVICE_GPU_PORT;
    cvm_autoacpicache struct cvm_acpi_cache port = open_cache(*state, &e, &other);
    snprintf(e.says, sizeof e.says, "9.2.1 (patched)");
    cvm_autoacpicache struct cvm_acpi_cache says = open_cache(*state, &e, &m);
    e = emulator_of(make_binary(*state, "two"));
    cvm_autoacpicache struct cvm_acpi_cache file = open_cache(*state, &e, &m);
    assert_string_equal(first.name, again.name);
    assert_string_equal(first.name, role.name);
    assert_string_not_equal(first.name, port.name);
    assert_string_not_equal(first.name, says.name);
    assert_string_not_equal(first.name, file.name);
    assert_string_not_equal(says.name, file.name);
}

/* Each fact that reaches a table is in the key: changing it changes the bytes. */
static void test_facts(void **state)
{
    const struct cvm_machine base = fake_machine(CVM_TRIGGER_LEVEL);
    struct cvm_machine m[18];
    cvm_autobuf struct cvm_buf want = { 0 };
    unsigned n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++) {
        m[i] = base;
    }
    m[n++].qemu.major++;
    m[n++].qemu.minor++;
    m[n++].qemu.micro++;
    m[n++].interrupt_trigger = CVM_TRIGGER_EDGE;
    m[n++].cpu_count++;
    m[n++].memory_size *= 2;
    m[n++].pic = true;
    m[n++].smm = true;
    m[n++].tpm = true;
    m[n++].hotplug_off = true;
    m[n++].pci_hole64_size = 1;
    m[n++].pciexbar_base++;
    m[n++].pci_window64_base++;
    m[n++].num_devices--;
    m[n++].devices[0].slot = 9;
    m[n++].devices[0].role = CVM_DEVICE_EXPANDER;
    m[n++].num_numa_nodes = 1;
    m[n].num_numa_nodes = 1;
    m[n++].numa_nodes[0].num_gpus = 1;
    assert_int_equal(n, sizeof m / sizeof m[0]);
    cvm_acpi_put_facts(&base, &want);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            cvm_autobuf struct cvm_buf a = { 0 };
            cvm_autobuf struct cvm_buf b = { 0 };
            cvm_acpi_put_facts(&m[i], &a);
            cvm_acpi_put_facts(&m[k], &b);
            assert_false(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
            assert_false(a.len == want.len && memcmp(a.data, want.data, a.len) == 0);
        }
    }
}

/* Entries that are no entries are misses, and are replaced. */
static void test_corrupt_entries(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{\"format\":1}", "{\"format\":2,\"loader\":\"\"}", "\xff",
    };
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(make_binary(*state, "one"));
    cvm_autoacpicache struct cvm_acpi_cache c = open_cache(*state, &e, &m);
    struct cvm_acpi_digests answer = { 0 };
    struct cvm_acpi_digests got;
    struct cvm_error err = { 0 };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        must(cvm_file_write(c.dir, c.name, texts[i], strlen(texts[i]), 0600, &err), &err);
        assert_false(cvm_acpi_cache_get(&c, &got));
        cvm_acpi_cache_put(&c, &answer);
        assert_true(cvm_acpi_cache_get(&c, &got));
    }
    assert_int_equal(unlinkat(c.dir, c.name, 0), 0);
    assert_int_equal(mkfifoat(c.dir, c.name, 0600), 0); /* nobody waits for it */
    assert_false(cvm_acpi_cache_get(&c, &got));
    cvm_autoclose int fd = openat(c.dir, c.name, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
}

/* Every length of a good entry but the last is a miss. */
static void test_entries_cut_short(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(make_binary(*state, "one"));
    cvm_autoacpicache struct cvm_acpi_cache c = open_cache(*state, &e, &m);
    const struct cvm_acpi_digests answer = { 0 };
    struct cvm_acpi_digests got;
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_acpi_cache_put(&c, &answer);
    cvm_autoclose int fd = openat(c.dir, c.name, O_RDONLY | O_CLOEXEC);
    must(cvm_file_read(fd, c.name, 4096, &text, &err), &err);
    for (size_t n = 0; n + 2 < text.len; n += 7) {
        must(cvm_file_write(c.dir, c.name, text.data, n, 0600, &err), &err);
        assert_false(cvm_acpi_cache_get(&c, &got));
    }
}

static void assert_digest_of(int dir, const char *path, const char *content)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 got;
    struct cvm_sha256 want;
    must(cvm_acpi_cache_emulator_digest(dir, path, &got, &err), &err);
    must(cvm_sha256(content, strlen(content), &want, &err), &err);
    assert_memory_equal(&got, &want, sizeof got);
}

/* The digest is kept by what the file is: as soon as that changes, the file is read again. */
static void test_emulator_digest(void **state)
{
    const struct place *p = *state;
    const struct timespec same[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    cvm_autoclose int dir = open(place_path(p, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *path = make_binary(p, "one");
    assert_digest_of(dir, path,
                     "\x7f"
                     "ELFone");
    assert_int_equal(place_count(p, "state"), 0); /* ctime is of this moment: not kept */
    sleep(3);
    assert_digest_of(dir, path,
                     "\x7f"
                     "ELFone");
    assert_int_equal(place_count(p, "state"), 1);
    place_write_text(p, "binary",
                     "\x7f"
                     "ELFtwo"); /* same inode and size, mtime put back */
    assert_int_equal(utimensat(p->fd, "binary", same, 0), 0);
    assert_digest_of(dir, path,
                     "\x7f"
                     "ELFtwo");
}

/* What is kept is used: an entry with another digest is believed as long as the file is as it was.
 */
static void test_emulator_digest_is_recalled(void **state)
{
    const struct place *p = *state;
    cvm_autoclose int dir = open(place_path(p, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cvm_error err = { 0 };
    struct cvm_file_id id;
    struct cvm_sha256 got;
    char name[64];
    char text[512];
    const char *path = make_binary(p, "one");
    cvm_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(cvm_file_identify(fd, path, &id, &err), &err);
    snprintf(name, sizeof name, "state/emulator-%llx-%llx.json", (unsigned long long)id.device,
             (unsigned long long)id.inode);
    for (int off = 0; off < 2; off++) {
        snprintf(text, sizeof text,
                 "{\"format\":1,\"device\":%llu,\"inode\":%llu,\"size\":%llu,\"mtime_ns\":%lld,"
                 "\"ctime_ns\":%lld,\"sha256\":\"%064x\"}",
                 (unsigned long long)id.device, (unsigned long long)id.inode,
                 (unsigned long long)id.size, (long long)id.mtime_ns, (long long)id.ctime_ns + off,
                 7);
        place_write_text(p, name, text);
        must(cvm_acpi_cache_emulator_digest(dir, path, &got, &err), &err);
        assert_int_equal(got.bytes[31] == 7 && got.bytes[0] == 0, off == 0);
    }
}

static void test_scripts_are_not_cached(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const char *path = fake_emulator(*state, "");
    const struct cvm_emulator e = emulator_of(path);
    cvm_autoacpicache struct cvm_acpi_cache c = open_cache(*state, &e, &m);
    struct cvm_acpi_digests got = { 0 };
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    assert_int_equal(c.dir, -1);
    cvm_acpi_cache_put(&c, &got);
    assert_false(cvm_acpi_cache_get(&c, &got));
    cvm_autoclose int dir = open(place_path(*state, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_false(cvm_acpi_cache_emulator_digest(dir, path, &digest, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "/emulator' is no ELF file");
}

static void test_without_a_state_directory(void **state)
{
    const struct cvm_machine m = fake_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_emulator e = emulator_of(make_binary(*state, "one"));
    cvm_autoacpicache struct cvm_acpi_cache c = open_cache(*state, &e, &m);
    assert_int_equal(c.dir, -1);
    assert_false(place_has(*state, "state"));
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)
#define CACHED(f) cmocka_unit_test_setup_teardown(f, cached_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        PLACED(test_equal),
        PLACED(test_a_td_is_compared_without_its_edges),
        PLACED(test_a_difference),
        PLACED(test_no_answer),
        CACHED(test_answers_are_kept),
        CACHED(test_what_tells_entries_apart),
        cmocka_unit_test(test_facts),
        CACHED(test_corrupt_entries),
        CACHED(test_entries_cut_short),
        CACHED(test_emulator_digest),
        CACHED(test_emulator_digest_is_recalled),
        CACHED(test_scripts_are_not_cached),
        PLACED(test_without_a_state_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
