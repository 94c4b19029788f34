#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "vmm/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *make_program(const struct place *p, const char *name, const char *script)
{
    place_write_text(p, name, script);
    assert_int_equal(fchmodat(p->fd, name, 0755, 0), 0);
    return place_path(p, name);
}

/* --- finding --- */

static void assert_found(const char *name, const char *want)
{
    struct cvm_error err = { 0 };
    cvm_autofree char *path = NULL;
    must(cvm_program_find(name, "some-package", &path, &err), &err);
    assert_string_equal(path, want);
}

static void test_finding(void **state)
{
    const struct place *p = *state;
    char list[256];
    place_mkdir(p, "a");
    place_mkdir(p, "b");
    place_mkdir(p, "a/cvm-test-one"); /* a directory can be entered, not run */
    make_program(p, "b/cvm-test-one", "#!/bin/sh\n");
    make_program(p, "a/cvm-test-two", "#!/bin/sh\n");
    make_program(p, "b/cvm-test-two", "#!/bin/sh\n");
    place_write_text(p, "a/cvm-test-three", "no program");
    snprintf(list, sizeof list, "relative::%s/absent:%s/a:%s/b", p->path, p->path, p->path);
    setenv("PATH", list, 1);
    assert_found("cvm-test-one", place_path(p, "b/cvm-test-one"));
    assert_found("cvm-test-two", place_path(p, "a/cvm-test-two"));
    struct cvm_error err = { 0 };
    char *path = NULL;
    assert_false(cvm_program_find("cvm-test-three", "some-package", &path, &err));
    assert_null(path);
    assert_error(&err, CVM_ERR_UNSUPPORTED,
                 "there is no program 'cvm-test-three' (package some-package)");
}

/* Ordinary users' PATH has no /usr/sbin. */
static void test_finding_without_a_path(void **state)
{
    (void)state;
    unsetenv("PATH");
    assert_found("ldconfig", "/usr/sbin/ldconfig");
    setenv("PATH", "", 1);
    assert_found("ldconfig", "/usr/sbin/ldconfig");
}

/* --- running --- */

static bool run(const char *path, const struct cvm_program *how, char *text, size_t size,
                struct cvm_error *err)
{
    const char *const argv[] = { path, "one two", NULL };
    struct cvm_program program = *how;
    program.argv = argv;
    return cvm_program_run(&program, text, size, err);
}

static void test_running(void **state)
{
    static const char *const environment[] = { "PATH=/bin:/usr/bin", "WORD=seven", NULL };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    char text[256];
    const char *path = make_program(p, "say",
                                    "#!/bin/sh\necho \"$1 $# $WORD\"; pwd\n"
                                    "echo complaint >&2; read -r line || echo end\n");
    char want[256];
    snprintf(want, sizeof want, "one two 1 seven\n%s\nend\n", p->path);
    const struct cvm_program how = { .environment = environment, .dir_fd = p->fd };
    must(run(path, &how, text, sizeof text, &err), &err);
    assert_string_equal(text, want);
    const struct cvm_program loud = { .environment = environment, .dir_fd = p->fd, .errors = true };
    must(run(path, &loud, text, sizeof text, &err), &err);
    assert_non_null(strstr(text, "complaint\n"));
}

/* At every size of the buffer: what fits, with a NUL. */
static void test_short_buffers(void **state)
{
    static const char said[] = "twelve bytes";
    const char *path = make_program(*state, "say", "#!/bin/sh\nprintf 'twelve bytes'\n");
    const struct cvm_program how = { .dir_fd = -1 };
    for (size_t size = 1; size <= sizeof said + 1; size++) {
        struct cvm_error err = { 0 };
        char text[sizeof said + 2];
        size_t fits = size <= sizeof said ? size - 1 : sizeof said - 1;
        memset(text, '#', sizeof text);
        must(run(path, &how, text, size, &err), &err);
        assert_memory_equal(text, said, fits);
        assert_int_equal(text[fits], '\0');
        for (size_t i = size; i < sizeof text; i++) {
            assert_int_equal(text[i], '#');
        }
    }
}

static void test_failures(void **state)
{
    static const struct {
        const char *script, *message;
    } bad[] = {
        { "#!/bin/sh\necho why; exit 3\n", "ended with status 3" },
        { "#!/bin/sh\necho why; kill -9 $$\n", "ended by signal 9" },
    };
    const struct cvm_program how = { .dir_fd = -1 };
    char text[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        place_delete(*state, "bad");
        assert_false(
            run(make_program(*state, "bad", bad[i].script), &how, text, sizeof text, &err));
        assert_error(&err, CVM_ERR_SYSTEM, bad[i].message);
        assert_string_equal(text, "why\n");
    }
    struct cvm_error err = { 0 };
    assert_false(run(place_path(*state, "absent"), &how, text, sizeof text, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "No such file");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_running), TEST(test_short_buffers),          TEST(test_failures),
        TEST(test_finding), TEST(test_finding_without_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
