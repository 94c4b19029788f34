/* The cache of a state directory: when an entry counts, and when nothing is written. */
#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/digest_cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define CACHE "state/cache/digests"
#define LONG_AGO (10 * CVM_DIGEST_MIN_AGE)

static void make(const struct place *p)
{
    bundle_make(p, "bundle", BUNDLE_METADATA);
}

/* Opens the bundle; `later` ns from now, so that its files are as old. */
static struct cvm_bundle open_later(const struct place *p, int64_t later)
{
    struct cvm_error err = { 0 };
    struct cvm_bundle b = CVM_BUNDLE_NONE;
    must(cvm_bundle_open(place_path(p, "bundle"), &b, &err), &err);
    b.opened_ns += later;
    return b;
}

static bool store(const struct place *p, const struct cvm_bundle *b, uint8_t mark,
                  struct cvm_error *err)
{
    cvm_autorecord struct cvm_digest_record r = { 0 };
    memset(r.facts.initrd.bytes, mark, sizeof r.facts.initrd.bytes);
    r.facts.firmware.ranges = (struct cvm_td_ranges){
        .ranges = { { 0x809000, 0x2000 } },
        .num_ranges = 1,
        .td_hob = 0x809000,
    };
    return cvm_digest_cache_store(place_path(p, "state"), b, &r, err);
}

static void must_store(const struct place *p, uint8_t mark)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
    must(store(p, &b, mark, &err), &err);
}

/* The mark of the entry that is found; -1 for a miss, whose reason is then in err. */
static int find(const struct place *p, struct cvm_error *err)
{
    cvm_autobundle struct cvm_bundle b = open_later(p, 0);
    cvm_autorecord struct cvm_digest_record r = { 0 };
    return cvm_digest_cache_load(place_path(p, "state"), &b, &r, err) ? r.facts.initrd.bytes[47]
                                                                      : -1;
}

static void expect_miss(const struct place *p, enum cvm_error_code code, const char *why)
{
    struct cvm_error err = { 0 };
    assert_int_equal(find(p, &err), -1);
    assert_error(&err, code, why);
}

/* The path of the only entry, below the place. */
static const char *entry_path(const struct place *p)
{
    static char path[128];
    struct stat st;
    assert_int_equal(stat(place_path(p, "bundle"), &st), 0);
    snprintf(path, sizeof path, CACHE "/%016llx-%016llx", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    assert_true(place_has(p, path));
    return path;
}

static void test_what_is_kept_is_found(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    expect_miss(p, CVM_ERR_SYSTEM, "No such file");
    must_store(p, 1);
    assert_int_equal(find(p, &err), 1);
    must_store(p, 2);
    assert_int_equal(find(p, &err), 2);
    assert_int_equal(place_count(p, CACHE), 1);
}

static void test_files_that_are_replaced(void **state)
{
    static const char *const names[] = { "kernel", "initrd", "ovmf.fd" };
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        char aside[64];
        struct stat st;
        struct cvm_error err = { 0 };
        place_delete(p, "bundle");
        make(p);
        must_store(p, 1);
        assert_int_equal(find(p, &err), 1);
        snprintf(path, sizeof path, "bundle/%s", names[i]);
        snprintf(aside, sizeof aside, "bundle/%s.new", names[i]);
        assert_int_equal(fstatat(p->fd, path, &st, 0), 0);

        /* In place, as large as before, with its mtime set back. */
        const struct timespec times[2] = { st.st_atim, st.st_mtim };
        cvm_autobuf struct cvm_buf text = place_read(p, path);
        place_write(p, path, text.data, text.len - 1);
        assert_int_equal(utimensat(p->fd, path, times, 0), 0);
        expect_miss(p, CVM_ERR_MISMATCH, "is another file now");

        /* By another file with the same contents and times. */
        must_store(p, 2);
        place_write(p, aside, text.data, text.len - 1);
        assert_int_equal(renameat(p->fd, aside, p->fd, path), 0);
        assert_int_equal(utimensat(p->fd, path, times, 0), 0);
        expect_miss(p, CVM_ERR_MISMATCH, "is another file now");

        must_store(p, 3);
        assert_int_equal(find(p, &err), 3);
    }
}

static void test_another_list(void **state)
{
    const struct place *p = *state;
    make(p);
    must_store(p, 1);
    place_write_text(p, "bundle/rootfs.img.verity", "another one");
    bundle_seal(p, "bundle");
    expect_miss(p, CVM_ERR_MISMATCH, "made of another image");
}

static void test_without_a_list(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    place_delete(p, "bundle/sha256sum.txt");
    place_delete(p, "bundle/digest.txt");
    expect_miss(p, CVM_ERR_UNSUPPORTED, "no sha256sum.txt");
    cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
    assert_false(store(p, &b, 1, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "no sha256sum.txt");
    assert_false(place_has(p, "state"));
}

/* Files that were changed a moment before they were opened may change without a trace. */
static void test_young_files_are_not_kept(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    cvm_autobundle struct cvm_bundle now = open_later(p, 0);
    assert_false(store(p, &now, 1, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "was changed a moment ago");

    int64_t youngest = INT64_MIN;
    for (size_t i = 0; i < CVM_CACHED_ROLES; i++) {
        int64_t ctime = now.files[cvm_cached_roles[i]].id.ctime_ns;
        youngest = ctime > youngest ? ctime : youngest;
    }
    now.opened_ns = youngest + CVM_DIGEST_MIN_AGE - 1;
    assert_false(store(p, &now, 1, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "was changed a moment ago");
    now.opened_ns++;
    must(store(p, &now, 1, &err), &err);

    const struct timespec future[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 4102444800 } };
    assert_int_equal(utimensat(p->fd, "bundle/kernel", future, 0), 0);
    cvm_autobundle struct cvm_bundle later = open_later(p, LONG_AGO);
    assert_false(store(p, &later, 1, &err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "'kernel' was changed a moment ago");
}

static void test_files_that_change_meanwhile(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
    place_write_text(p, "bundle/initrd", "AN INITRD");
    assert_false(store(p, &b, 1, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "'initrd' changed");
    assert_false(place_has(p, "state"));
}

/* A mapping that was written to before a file was settled stamps the file at its next store. */
static void test_a_mapping_that_is_older(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct statfs fs;
    make(p);
    assert_int_equal(fstatfs(p->fd, &fs), 0);
    if (fs.f_type == TMPFS_MAGIC) {
        skip();
    }
    cvm_autoclose int fd = openat(p->fd, "bundle/kernel", O_RDWR | O_CLOEXEC);
    char *kernel = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(kernel, MAP_FAILED);
    kernel[0] = 'A';
    cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
    must(cvm_file_settle(b.files[CVM_BUNDLE_KERNEL].fd, "kernel", &err), &err);
    must(store(p, &b, 1, &err), &err);
    usleep(20000); /* the kernel's clock for times ticks every few ms */
    kernel[0] = 'B';
    expect_miss(p, CVM_ERR_MISMATCH, "'kernel' is another file now");
    munmap(kernel, 8);
}

static void test_damaged_entries(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    must_store(p, 1);
    const char *entry = entry_path(p);
    cvm_autobuf struct cvm_buf bytes = place_read(p, entry);
    size_t size = bytes.len - 1;
    for (size_t at = 0; at < size; at++) {
        bytes.data[at] ^= 0x40;
        place_write(p, entry, bytes.data, size);
        bytes.data[at] ^= 0x40;
        if (find(p, &err) != -1) {
            fail_msg("found with byte %zu changed", at);
        }
        err = (struct cvm_error){ 0 };
        place_write(p, entry, bytes.data, at);
        assert_int_equal(find(p, &err), -1);
        err = (struct cvm_error){ 0 };
    }
    place_write(p, entry, bytes.data, size);
    assert_int_equal(find(p, &err), 1);
    place_delete(p, entry);
    place_mkdir(p, entry);
    expect_miss(p, CVM_ERR_MALFORMED, "not a regular file");
}

static void test_another_format_is_replaced(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    must_store(p, 1);
    const char *entry = entry_path(p);
    cvm_autobuf struct cvm_buf bytes = place_read(p, entry);
    bytes.data[8] = 2;
    place_write(p, entry, bytes.data, bytes.len - 1);
    expect_miss(p, CVM_ERR_UNSUPPORTED, "format 2, not 3");
    must_store(p, 3);
    assert_int_equal(find(p, &err), 3);
    assert_int_equal(place_count(p, CACHE), 1);
}

/* Entries that somebody else could have written. */
static void test_whose_entry_it_is(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    must_store(p, 1);
    const char *entry = entry_path(p);
    static const mode_t open_modes[] = { 0664, 0646, 0666 };
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(fchmodat(p->fd, entry, open_modes[i], 0), 0);
        expect_miss(p, CVM_ERR_UNSUPPORTED, "others may have written it");
    }
    assert_int_equal(fchmodat(p->fd, entry, 0600, 0), 0);
    assert_int_equal(find(p, &err), 1);
    if (geteuid() == 0) {
        assert_int_equal(fchownat(p->fd, entry, 65534, 65534, 0), 0);
        expect_miss(p, CVM_ERR_UNSUPPORTED, "others may have written it");
    }
}

static void expect_not_written(const struct place *p, const char *why)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
    assert_false(store(p, &b, 1, &err));
    assert_error(&err, CVM_ERR_SYSTEM, why);
}

static void test_state_that_cannot_be_written(void **state)
{
    const struct place *p = *state;
    make(p);
    place_write_text(p, "state", "a file");
    expect_not_written(p, "Not a directory");
    expect_miss(p, CVM_ERR_SYSTEM, "Not a directory");
    place_delete(p, "state");
    place_mkdir(p, "state");
    assert_int_equal(fchmodat(p->fd, "state", 0555, 0), 0);
    if (geteuid() != 0) {
        expect_not_written(p, "Permission denied");
        return;
    }
    assert_int_equal(chmod(p->path, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    expect_not_written(p, "Permission denied");
    assert_int_equal(seteuid(0), 0);
}

static void test_only_so_many(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make(p);
    must_store(p, 1);
    for (unsigned i = 0; i < CVM_DIGEST_MAX_ENTRIES; i++) {
        char name[64];
        const struct timespec old[2] = { { 0 }, { .tv_sec = 1000 + i } };
        snprintf(name, sizeof name, CACHE "/%016x-%016x", 1, i);
        place_write_text(p, name, "x");
        assert_int_equal(utimensat(p->fd, name, old, 0), 0);
    }
    place_write_text(p, CACHE "/.half.new", "x");
    place_write_text(p, CACHE "/.dead.new", "x");
    const struct timespec old[2] = { { 0 }, { .tv_sec = 1000 } };
    assert_int_equal(utimensat(p->fd, CACHE "/.dead.new", old, 0), 0);
    must_store(p, 2);
    assert_false(place_has(p, CACHE "/0000000000000001-0000000000000000"));
    assert_true(place_has(p, CACHE "/0000000000000001-0000000000000001"));
    assert_false(place_has(p, CACHE "/.dead.new"));
    assert_true(place_has(p, CACHE "/.half.new"));
    assert_int_equal(find(p, &err), 2);
}

/* --- several processes --- */

enum { WRITERS = 3, READERS = 3, ROUNDS = 40 };

static int write_rounds(const struct place *p)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct cvm_error err = { 0 };
        cvm_autobundle struct cvm_bundle b = open_later(p, LONG_AGO);
        if (!store(p, &b, (uint8_t)(1 + i), &err)) {
            return 1;
        }
    }
    return 0;
}

/* There is an entry from the start: whoever does not find one has met half of one. */
static int read_rounds(const struct place *p)
{
    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        struct cvm_error err = { 0 };
        if (find(p, &err) < 1) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
    }
    return 0;
}

static void test_writers_and_readers(void **state)
{
    const struct place *p = *state;
    make(p);
    must_store(p, 1);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(i < WRITERS ? write_rounds(p) : read_rounds(p));
        }
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        int status = -1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(place_count(p, CACHE), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_kept_is_found),
        TEST(test_files_that_are_replaced),
        TEST(test_another_list),
        TEST(test_without_a_list),
        TEST(test_young_files_are_not_kept),
        TEST(test_files_that_change_meanwhile),
        TEST(test_a_mapping_that_is_older),
        TEST(test_damaged_entries),
        TEST(test_another_format_is_replaced),
        TEST(test_whose_entry_it_is),
        TEST(test_state_that_cannot_be_written),
        TEST(test_only_so_many),
        TEST(test_writers_and_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
