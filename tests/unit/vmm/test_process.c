#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LONG_MS = 20000 };

static bool run(const char *script, size_t max, unsigned timeout_ms, struct cvm_buf *out,
                int *status, struct cvm_error *err)
{
    char *const argv[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                           (char *)(uintptr_t)script, NULL };
    const struct cvm_capture how = { .timeout_ms = timeout_ms, .max = max, .dir_fd = -1 };
    return cvm_process_capture(argv, &how, out, status, err);
}

static void test_capture(void **state)
{
    static const struct {
        const char *script;
        size_t max;
        const char *text;
        int status;
    } cases[] = {
        { "echo hello", 100, "hello\n", 0 }, { "echo hello", 3, "hel", 0 },
        { "echo hello", 0, "", 0 },          { "echo a; echo b >&2; exit 3", 100, "a\n", 3 << 8 },
        { "kill -9 $$", 100, "", SIGKILL },  { "cat", 100, "", 0 }, /* there is no input */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        int status = -1;
        must(run(cases[i].script, cases[i].max, LONG_MS, &out, &status, &err), &err);
        assert_int_equal(status, cases[i].status);
        assert_bytes(out.data, out.len, cases[i].text, strlen(cases[i].text));
    }
}

/* More than a pipe holds is read, and thrown away. */
static void test_capture_of_much(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    int status = -1;
    (void)state;
    must(run("head -c 1000000 /dev/zero", 1000, LONG_MS, &out, &status, &err), &err);
    assert_int_equal(out.len, 1000);
    assert_int_equal(status, 0);
}

/* Whether it says nothing, talks for ever, or closes its output and stays. */
static void test_programs_that_do_not_end(void **state)
{
    static const char *const scripts[] = { "sleep 60", "yes", "exec >&-; sleep 60" };
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobuf struct cvm_buf out = { 0 };
        int status = -1;
        uint64_t before = cvm_now_ms();
        assert_false(run(scripts[i], 100, 200, &out, &status, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "'/bin/sh' is not done within 200 ms");
        assert_true(cvm_now_ms() - before < LONG_MS);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
}

static void test_what_is_no_program(void **state)
{
    char *const argv[] = { (char *)(uintptr_t) "/absent", NULL };
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf out = { 0 };
    int status = -1;
    (void)state;
    const struct cvm_capture how = { .timeout_ms = LONG_MS, .max = 100, .dir_fd = -1 };
    assert_false(cvm_process_capture(argv, &how, &out, &status, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "run '/absent': No such file or directory");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The child of a process that is killed goes with it. */
static void test_children_do_not_outlive_us(void **state)
{
    int fds[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid_t parent = fork();
    if (parent == 0) {
        char *const argv[] = { (char *)(uintptr_t) "/bin/sleep", (char *)(uintptr_t) "60", NULL };
        const struct cvm_process_io io = { -1, fds[1], -1, -1, -1, NULL };
        struct cvm_error err = { 0 };
        pid_t pid;
        _exit(cvm_process_start(argv, &io, &pid, &err) ? kill(getpid(), SIGKILL) : 1);
    }
    close(fds[1]);
    int status;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(read(fds[0], &byte, 1), 0); /* whoever held the other end is gone */
    close(fds[0]);
}

static void test_a_descriptor_is_kept(void **state)
{
    int fds[2];
    char script[64];
    char text[8] = "";
    struct cvm_error err = { 0 };
    cvm_autoprocess pid_t pid = -1;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    snprintf(script, sizeof script, "echo kept >&%d", fds[1]);
    char *const argv[] = { (char *)(uintptr_t) "/bin/bash", (char *)(uintptr_t) "-c", script,
                           NULL };
    const struct cvm_process_io io = { -1, -1, -1, fds[1], -1, NULL };
    must(cvm_process_start(argv, &io, &pid, &err), &err);
    close(fds[1]);
    assert_int_equal(read(fds[0], text, sizeof text), 5);
    assert_memory_equal(text, "kept\n", 5);
    close(fds[0]);
}

/* Elsewhere only where the path needs no quoting anywhere. */
static void test_where_private_directories_are(void **state)
{
    const struct place *p = *state;
    const char *old = getenv("TMPDIR");
    cvm_autofree char *kept = old == NULL ? NULL : strdup(old);
    const struct {
        const char *variable, *parent;
    } cases[] = {
        { p->path, p->path },
        { "relative", "/tmp" },
        { "/tmp/a b", "/tmp" },
        { "/tmp/\"x", "/tmp" },
        { "/a-path-of-more-than-sixty-four-characters-would-not-fit-everywhere", "/tmp" },
        { "", "/tmp" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CVM_CLEANUP(cvm_private_dir_delete)
        struct cvm_private_dir dir = { "" };
        struct cvm_error err = { 0 };
        setenv("TMPDIR", cases[i].variable, 1);
        must(cvm_private_dir_make(&dir, &err), &err);
        size_t n = strlen(cases[i].parent);
        assert_memory_equal(dir.path, cases[i].parent, n);
        assert_memory_equal(dir.path + n, "/cvm-", 5);
    }
    unsetenv("TMPDIR");
    if (kept != NULL) {
        setenv("TMPDIR", kept, 1);
    }
}

static void test_private_directory(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_private_dir dir = { "" };
    struct stat st;
    char path[128];
    (void)state;
    cvm_private_dir_delete(&dir); /* none was made */
    must(cvm_private_dir_make(&dir, &err), &err);
    assert_int_equal(stat(dir.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/folder", dir.path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/folder/link", dir.path);
    assert_int_equal(symlink("/etc", path), 0);
    snprintf(path, sizeof path, "%s/outside", dir.path);
    assert_int_equal(symlink("/etc", path), 0);
    snprintf(path, sizeof path, "%s", dir.path);
    cvm_private_dir_delete(&dir);
    assert_string_equal(dir.path, "");
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(stat("/etc/passwd", &st), 0);
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_capture_of_much),
        cmocka_unit_test(test_programs_that_do_not_end),
        cmocka_unit_test(test_what_is_no_program),
        cmocka_unit_test(test_children_do_not_outlive_us),
        cmocka_unit_test(test_a_descriptor_is_kept),
        PLACED(test_where_private_directories_are),
        cmocka_unit_test(test_private_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
