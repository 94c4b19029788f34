#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "measure/base/file.h"
#include "vmm/program.h"
#include "vmm/share_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define MIB (1 << 20)

static const char *const names[] = { "app-compose.json", ".sys-config.json", ".user-config",
                                     ".encrypted-env", ".instance_info" };

enum { NUM_NAMES = sizeof names / sizeof names[0] };

/* A share with all files, each with contents of its own; names other than these stay out. */
static void make_share(const struct place *p)
{
    place_mkdir(p, "shared");
    place_write_text(p, "shared/other", "not for the guest");
    for (size_t i = 0; i < NUM_NAMES; i++) {
        char path[64];
        char contents[700];
        memset(contents, 'a' + (int)i, sizeof contents);
        snprintf(path, sizeof path, "shared/%s", names[i]);
        place_write(p, path, contents, 500 + i * 12); /* on both sides of a sector's end */
    }
}

/* What the image holds under a name, by a reader that did not make it. */
static void assert_holds(const struct place *p, const char *name, const char *want, size_t size)
{
    struct cvm_error err = { 0 };
    char file[64];
    char text[1024];
    cvm_autofree char *mtype = NULL;
    must(cvm_program_find("mtype", "mtools", &mtype, &err), &err);
    snprintf(file, sizeof file, "::/%s", name);
    const char *const argv[] = { mtype, "-i", "share.img", file, NULL };
    const struct cvm_program program = { .argv = argv, .dir_fd = p->fd };
    must(cvm_program_run(&program, text, sizeof text, &err), &err);
    assert_int_equal(strlen(text), size);
    assert_memory_equal(text, want, size);
}

static void test_the_image_holds_the_files(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make_share(p);
    must(cvm_share_disk_make(p->fd, &err), &err);
    for (size_t i = 0; i < NUM_NAMES; i++) {
        char want[700];
        memset(want, 'a' + (int)i, sizeof want);
        assert_holds(p, names[i], want, 500 + i * 12);
    }
    cvm_autobuf struct cvm_buf image = place_read(p, "share.img");
    assert_int_equal((image.len - 1) % MIB, 0);
    assert_memory_equal(image.data + 43, "DSTACKSHR  FAT16   ", 19); /* label and kind */
    assert_int_equal(place_count(p, "."), 2);
    assert_null(memmem(image.data, image.len, "not for the guest", 17));
}

static void set_times(const struct place *p, const char *name, time_t seconds)
{
    const struct timespec times[2] = { { seconds, 1 }, { seconds, 2 } };
    assert_int_equal(utimensat(p->fd, name, times, 0), 0);
}

/* Neither when it is made nor when the files were shows in it, nor who makes it. */
static void test_the_same_files_give_the_same_image(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make_share(p);
    must(cvm_share_disk_make(p->fd, &err), &err);
    cvm_autobuf struct cvm_buf first = place_read(p, "share.img");
    for (size_t i = 0; i < NUM_NAMES; i++) {
        char path[64];
        snprintf(path, sizeof path, "shared/%s", names[i]);
        set_times(p, path, 1000000000 + (time_t)i);
    }
    place_write_text(p, ".mtoolsrc", "nonsense");
    setenv("HOME", p->path, 1);
    setenv("MTOOLSRC", place_path(p, ".mtoolsrc"), 1);
    setenv("TZ", "Asia/Tokyo", 1);
    setenv("SOURCE_DATE_EPOCH", "1", 1);
    sleep(2); /* as FAT counts */
    must(cvm_share_disk_make(p->fd, &err), &err);
    cvm_autobuf struct cvm_buf second = place_read(p, "share.img");
    assert_bytes(second.data, second.len, first.data, first.len);
}

static void test_an_older_image_is_replaced(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    make_share(p);
    place_write_text(p, "share.img", "spoilt");
    place_write_text(p, ".share.img.new", "left by one that was killed");
    must(cvm_share_disk_make(p->fd, &err), &err);
    place_delete(p, "shared/.user-config");
    place_write_text(p, "shared/app-compose.json", "{}");
    must(cvm_share_disk_make(p->fd, &err), &err);
    assert_holds(p, "app-compose.json", "{}", 2);
    cvm_autobuf struct cvm_buf image = place_read(p, "share.img");
    assert_null(memmem(image.data, image.len, "cccccccc", 8));
    assert_int_equal(place_count(p, "."), 2);
}

static void test_sizes(void **state)
{
    static const struct {
        size_t file, image;
    } sizes[] = { { 0, 3 * MIB }, { 1, 3 * MIB }, { 3 * MIB, 4 * MIB }, { 16 * MIB, 17 * MIB } };
    const struct place *p = *state;
    place_mkdir(p, "shared");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct cvm_error err = { 0 };
        struct stat st;
        place_write_text(p, "shared/app-compose.json", "");
        assert_int_equal(truncate(place_path(p, "shared/app-compose.json"), (off_t)sizes[i].file),
                         0);
        must(cvm_share_disk_make(p->fd, &err), &err);
        assert_int_equal(fstatat(p->fd, "share.img", &st, 0), 0);
        assert_int_equal(st.st_size, sizes[i].image);
        assert_int_equal(st.st_mode & 07777, 0640);
    }
}

/* Nothing but the older image is left. */
static void expect_failure(const struct place *p, enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    place_write_text(p, "share.img", "older");
    assert_false(cvm_share_disk_make(p->fd, &err));
    assert_non_null(strstr(err.msg, "'share.img': "));
    assert_error(&err, code, message);
    cvm_autobuf struct cvm_buf image = place_read(p, "share.img");
    assert_string_equal(image.data, "older");
    assert_false(place_has(p, ".share.img.new"));
}

static void test_more_than_the_disk_holds(void **state)
{
    const struct place *p = *state;
    place_mkdir(p, "shared");
    place_write_text(p, "shared/.user-config", "");
    assert_int_equal(truncate(place_path(p, "shared/.user-config"), 30 * MIB), 0);
    expect_failure(p, CVM_ERR_UNSUPPORTED, "the share's files take 61440 sectors; its disk holds");
}

static void test_what_is_no_file(void **state)
{
    const struct place *p = *state;
    make_share(p);
    place_delete(p, "shared/.user-config");
    place_symlink(p, "/etc/passwd", "shared/.user-config");
    expect_failure(p, CVM_ERR_MALFORMED, "'shared/.user-config' is not a regular file");
    place_delete(p, "shared/.user-config");
    assert_int_equal(mkfifoat(p->fd, "shared/.user-config", 0600), 0);
    expect_failure(p, CVM_ERR_MALFORMED, "'shared/.user-config' is not a regular file");
}

static void make_program(const struct place *p, const char *name, const char *script)
{
    place_delete(p, name);
    place_write_text(p, name, script);
    assert_int_equal(fchmodat(p->fd, name, 0755, 0), 0);
}

static void test_programs_that_fail(void **state)
{
    const struct place *p = *state;
    make_share(p);
    setenv("PATH", p->path, 1);
    make_program(p, "mkfs.vfat", "#!/bin/sh\necho 'no room'; exit 1\n");
    make_program(p, "mcopy", "#!/bin/sh\n");
    expect_failure(p, CVM_ERR_SYSTEM, "mkfs.vfat' said 'no room ': ended with status 1");
    make_program(p, "mkfs.vfat", "#!/bin/sh\n");
    make_program(p, "mcopy", "#!/bin/sh\nprintf 'disk\\033 full\\n' >&2; exit 2\n");
    expect_failure(p, CVM_ERR_SYSTEM, "mcopy' said 'disk  full ': ended with status 2");
    place_delete(p, "mcopy");
    expect_failure(p, CVM_ERR_UNSUPPORTED,
                   "host_share_mode 'vhd': there is no program 'mcopy' (package mtools)");
    struct cvm_error err = { 0 };
    assert_false(cvm_share_disk_possible(&err));
    assert_error(&err, CVM_ERR_UNSUPPORTED, "there is no program 'mcopy'");
}

static void test_who_needs_one(void **state)
{
    (void)state;
    assert_true(cvm_share_disk_needed("vhd"));
    assert_false(cvm_share_disk_needed("9p") || cvm_share_disk_needed("vvfat") ||
                 cvm_share_disk_needed(NULL));
}

static int setup(void **state)
{
    setenv("PATH", "/usr/bin:/bin", 1);
    return place_setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_image_holds_the_files),  TEST(test_the_same_files_give_the_same_image),
        TEST(test_an_older_image_is_replaced), TEST(test_sizes),
        TEST(test_more_than_the_disk_holds),   TEST(test_what_is_no_file),
        TEST(test_programs_that_fail),         TEST(test_who_needs_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
