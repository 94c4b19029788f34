#include "tests/support/check.h"

#include "measure/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Each test has a directory of its own, opened and current: "in" below it is what is confined. */
struct place {
    char path[64];
    int home; /* where the test came from */
    int dir;  /* path/in */
};

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    struct cvm_error err = { 0 };
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    snprintf(p->path, sizeof p->path, "/tmp/cvm-test-file.XXXXXX");
    p->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_non_null(mkdtemp(p->path));
    assert_int_equal(chdir(p->path), 0);
    assert_int_equal(mkdir("in", 0755), 0);
    assert_int_equal(mkdir("in/sub", 0755), 0);
    put_file("secret", "outside");
    put_file("in/plain", "hello");
    put_file("in/sub/deep", "deep");
    put_file("in/empty", "");
    must(cvm_dir_open("in", &p->dir, &err), &err);
    *state = p;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    int result = nftw(p->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    result |= fchdir(p->home);
    close(p->dir);
    close(p->home);
    free(p);
    return result;
}

/* How many entries "in" has, to see that nothing was left behind. */
static unsigned count_entries(void)
{
    unsigned count = 0;
    DIR *d = opendir("in");
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count - 2; /* "." and ".." */
}

static void assert_content(const char *path, const char *text)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf got = { 0 };
    must(cvm_file_load(path, 1 << 20, &got, &err), &err);
    assert_bytes(got.data, got.len, text, strlen(text));
}

static void assert_opens(int dir, const char *name, const char *text)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf got = { 0 };
    cvm_autoclose int fd = -1;
    must(cvm_file_open_beneath(dir, name, &fd, &err), &err);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    must(cvm_file_read(fd, name, 100, &got, &err), &err);
    assert_bytes(got.data, got.len, text, strlen(text));
}

static void assert_refused(int dir, const char *name, const char *why)
{
    struct cvm_error err = { 0 };
    int fd = -1;
    assert_false(cvm_file_open_beneath(dir, name, &fd, &err));
    assert_int_equal(fd, -1);
    assert_non_null(strstr(err.msg, name));
    assert_error(&err, CVM_ERR_MALFORMED, why);
}

static void test_open_directory(void **state)
{
    struct cvm_error err = { 0 };
    int fd = -1;
    (void)state;
    assert_false(cvm_dir_open("nowhere", &fd, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "open directory 'nowhere': No such file or directory");
    assert_false(cvm_dir_open("in/plain", &fd, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "open directory 'in/plain': Not a directory");
}

static void test_beneath_finds_what_is_inside(void **state)
{
    const struct place *p = *state;
    assert_int_equal(symlink("sub/deep", "in/link"), 0);
    assert_int_equal(symlink("../plain", "in/sub/up"), 0);
    assert_int_equal(symlink("sub", "in/dirlink"), 0);
    assert_opens(p->dir, "plain", "hello");
    assert_opens(p->dir, "sub/deep", "deep");
    assert_opens(p->dir, "sub/../plain", "hello");
    assert_opens(p->dir, "link", "deep");
    assert_opens(p->dir, "sub/up", "hello");
    assert_opens(p->dir, "dirlink/deep", "deep");
    assert_opens(p->dir, "empty", "");
}

static void test_beneath_refuses_what_leads_out(void **state)
{
    const struct place *p = *state;
    char absolute[128];
    snprintf(absolute, sizeof absolute, "%s/in/plain", p->path);
    assert_int_equal(symlink("../secret", "in/out"), 0);
    assert_int_equal(symlink("../../secret", "in/sub/out"), 0);
    assert_int_equal(symlink(absolute, "in/absolute"), 0);
    assert_int_equal(symlink("..", "in/parent"), 0);
    assert_refused(p->dir, "..", "leads out of its directory");
    assert_refused(p->dir, "../secret", "leads out of its directory");
    assert_refused(p->dir, "../in/plain", "leads out of its directory");
    assert_refused(p->dir, "sub/../../secret", "leads out of its directory");
    assert_refused(p->dir, "/etc/passwd", "leads out of its directory");
    assert_refused(p->dir, absolute, "leads out of its directory");
    assert_refused(p->dir, "out", "leads out of its directory");
    assert_refused(p->dir, "sub/out", "leads out of its directory");
    assert_refused(p->dir, "absolute", "leads out of its directory");
    assert_refused(p->dir, "parent/secret", "leads out of its directory");
}

static void test_beneath_refuses_what_is_no_regular_file(void **state)
{
    const struct place *p = *state;
    assert_int_equal(mkfifo("in/fifo", 0644), 0);
    assert_int_equal(symlink("loop", "in/loop"), 0);
    assert_int_equal(symlink("gone", "in/dangling"), 0);
    assert_refused(p->dir, "fifo", "is not a regular file"); /* and does not hang */
    assert_refused(p->dir, "sub", "is not a regular file");
    assert_refused(p->dir, ".", "is not a regular file");
    assert_refused(p->dir, "loop", "not a regular file");
    assert_refused(p->dir, "plain/x", "not a regular file");
    assert_refused(p->dir, "missing", "no such file");
    assert_refused(p->dir, "dangling", "no such file");
    assert_refused(p->dir, "", "no such file");
}

static void test_open_anywhere(void **state)
{
    struct cvm_error err = { 0 };
    int fd = -1;
    (void)state;
    assert_int_equal(mkfifo("fifo", 0644), 0);
    assert_content("in/../in/plain", "hello");
    assert_false(cvm_file_open("missing", &fd, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "open 'missing': No such file or directory");
    assert_false(cvm_file_open("fifo", &fd, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "'fifo' is not a regular file");
    assert_false(cvm_file_open("in", &fd, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "'in' is not a regular file");
    assert_false(cvm_file_open("/dev/zero", &fd, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "'/dev/zero' is not a regular file");
    assert_int_equal(fd, -1);
}

static void test_read_cap(void **state)
{
    (void)state;
    for (size_t max = 0; max <= 8; max++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf got = { 0 };
        assert_int_equal(cvm_file_load("in/plain", max, &got, &err), max >= 5);
        assert_int_equal(got.len, max >= 5 ? 5 : 0);
        if (max < 5) {
            assert_error(&err, CVM_ERR_MALFORMED, "'in/plain' is larger than the limit of ");
        }
    }
}

static void test_read_starts_at_the_start_and_appends(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf got = { 0 };
    cvm_autoclose int fd = -1;
    (void)state;
    cvm_put_text(&got, "> ");
    must(cvm_file_open("in/plain", &fd, &err), &err);
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    must(cvm_file_read(fd, "plain", 5, &got, &err), &err);
    must(cvm_file_read(fd, "plain", 5, &got, &err), &err);
    assert_bytes(got.data, got.len, "> hellohello", 12);
    cvm_put_zeros(&got, 1000); /* a buffer like any other afterwards */
    assert_int_equal(got.len, 1012);
}

static void test_read_keeps_an_earlier_failure(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf got = { 0 };
    (void)state;
    cvm_put_zeros(&got, SIZE_MAX);
    assert_true(got.failed);
    assert_false(cvm_file_load("in/plain", 100, &got, &err));
    assert_error(&err, CVM_ERR_NOMEM, "plain");
}

static void test_read_notices_a_size_that_is_not_true(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf got = { 0 };
    (void)state;
    /* A file of /proc says that it has 0 bytes, as one would that grew after it was looked at. */
    assert_false(cvm_file_load("/proc/self/status", 1 << 20, &got, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "changed its size while it was read");
    assert_int_equal(got.len, 0);
}

static void test_identity(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_file_id a;
    struct cvm_file_id b;
    cvm_autoclose int fd = -1;
    (void)state;
    must(cvm_file_open("in/plain", &fd, &err), &err);
    must(cvm_file_identify(fd, "plain", &a, &err), &err);
    must(cvm_file_identify(fd, "plain", &b, &err), &err);
    assert_int_equal(a.size, 5);
    assert_true(cvm_file_id_equal(&a, &b));

    const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1, .tv_nsec = 1 } };
    assert_int_equal(futimens(fd, times), 0); /* the same content, touched */
    must(cvm_file_identify(fd, "plain", &b, &err), &err);
    assert_false(cvm_file_id_equal(&a, &b));

    cvm_autoclose int other = -1;
    must(cvm_file_open("in/sub/deep", &other, &err), &err);
    must(cvm_file_identify(other, "deep", &b, &err), &err);
    assert_false(cvm_file_id_equal(&a, &b));

    assert_false(cvm_file_identify(-1, "plain", &b, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "stat 'plain': Bad file descriptor");
}

static void test_identity_compares_every_field(void **state)
{
    const struct cvm_file_id base = { 1, 2, 3, 4, 5 };
    struct cvm_file_id changed[] = { base, base, base, base, base };
    (void)state;
    changed[0].device++;
    changed[1].inode++;
    changed[2].size++;
    changed[3].mtime_ns++;
    changed[4].ctime_ns++;
    assert_true(cvm_file_id_equal(&base, &base));
    for (size_t i = 0; i < 5; i++) {
        assert_false(cvm_file_id_equal(&base, &changed[i]));
    }
}

static void test_write_creates_and_replaces(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct stat st;
    unsigned before = count_entries();
    mode_t old = umask(0);
    must(cvm_file_write(p->dir, "new", "first", 5, 0640, &err), &err);
    umask(old);
    assert_int_equal(stat("in/new", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_content("in/new", "first");

    cvm_autoclose int fd = -1;
    cvm_autobuf struct cvm_buf seen = { 0 };
    must(cvm_file_open("in/new", &fd, &err), &err);
    must(cvm_file_write(p->dir, "new", "second one", 10, 0600, &err), &err);
    must(cvm_file_read(fd, "old", 100, &seen, &err), &err);
    assert_bytes(seen.data, seen.len, "first", 5); /* who had it open still reads it whole */
    assert_content("in/new", "second one");
    must(cvm_file_write(p->dir, "new", NULL, 0, 0600, &err), &err);
    assert_content("in/new", "");
    assert_int_equal(count_entries(), before + 1);
}

/* A write that fails half-way: the file size limit stops it after 3 bytes. */
static void test_write_that_fails_leaves_the_old_file(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct rlimit old;
    unsigned before = count_entries();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const struct rlimit tiny = { .rlim_cur = 3, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    bool ok = cvm_file_write(p->dir, "plain", "replacement", 11, 0644, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_false(ok);
    assert_error(&err, CVM_ERR_SYSTEM, "write 'plain': File too large");
    assert_content("in/plain", "hello");
    assert_int_equal(count_entries(), before);
}

static void test_write_over_what_cannot_be_replaced(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    unsigned before = count_entries();
    assert_false(cvm_file_write(p->dir, "sub", "x", 1, 0644, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "write 'sub': Is a directory");
    assert_false(cvm_file_write(p->dir, "nowhere/x", "x", 1, 0644, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "No such file or directory");
    assert_false(cvm_file_write(-1, "x", "x", 1, 0644, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "Bad file descriptor");
    assert_content("in/sub/deep", "deep");
    assert_int_equal(count_entries(), before);
}

static void test_write_refuses_long_names(void **state)
{
    const struct place *p = *state;
    unsigned before = count_entries();
    for (size_t n = 200; n <= 300; n++) {
        struct cvm_error err = { 0 };
        char name[301] = "";
        memset(name, 'n', n);
        if (cvm_file_write(p->dir, name, "x", 1, 0644, &err)) {
            assert_in_range(n, 1, 255);
            assert_int_equal(unlinkat(p->dir, name, 0), 0);
        } else {
            assert_in_range(n, 230, 300);
            assert_error(&err, CVM_ERR_USAGE, "is too long");
        }
    }
    assert_int_equal(count_entries(), before);
}

/* What a process that died left, when process numbers come round again (1 in a container). */
static void test_write_survives_a_leftover(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    char leftover[64];
    snprintf(leftover, sizeof leftover, "in/.plain.%ld.new", (long)getpid());
    put_file(leftover, "half of i");
    must(cvm_file_write(p->dir, "plain", "whole", 5, 0644, &err), &err);
    assert_content("in/plain", "whole");
}

static void test_make_directories(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct stat st;
    char path[4096];
    must(cvm_dir_make("in/a/b/c", 0750, &err), &err);
    must(cvm_dir_make("in/a/b/c", 0700, &err), &err);
    must(cvm_dir_make("in//a/b/d/", 0700, &err), &err);
    assert_int_equal(stat("in/a/b/c", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    assert_non_null(getcwd(path, sizeof path - 8));
    must(cvm_dir_make(strcat(path, "/in/e/f"), 0755, &err), &err);
    assert_int_equal(stat("in/e/f", &st), 0);
    assert_false(cvm_dir_make("in/plain/x", 0755, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "create directory 'in/plain/x': Not a directory");
    assert_false(cvm_dir_make("", 0755, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "create directory ''");
}

static void test_settle(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autoclose int fd = -1;
    must(cvm_file_open_beneath(p->dir, "plain", &fd, &err), &err);
    must(cvm_file_settle(fd, "plain", &err), &err);
    assert_false(cvm_file_settle(-1, "plain", &err));
    assert_error(&err, CVM_ERR_SYSTEM, "write out 'plain'");
}

static bool read_and_append(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf got = { 0 };
    return cvm_file_load("in/plain", 100, &got, err) &&
           cvm_file_load("in/sub/deep", 100, &got, err);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(read_and_append), 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_directory),
        TEST(test_beneath_finds_what_is_inside),
        TEST(test_beneath_refuses_what_leads_out),
        TEST(test_beneath_refuses_what_is_no_regular_file),
        TEST(test_open_anywhere),
        TEST(test_read_cap),
        TEST(test_read_starts_at_the_start_and_appends),
        TEST(test_read_keeps_an_earlier_failure),
        TEST(test_read_notices_a_size_that_is_not_true),
        TEST(test_identity),
        TEST(test_identity_compares_every_field),
        TEST(test_write_creates_and_replaces),
        TEST(test_write_that_fails_leaves_the_old_file),
        TEST(test_write_over_what_cannot_be_replaced),
        TEST(test_write_refuses_long_names),
        TEST(test_write_survives_a_leftover),
        TEST(test_make_directories),
        TEST(test_settle),
        TEST(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
