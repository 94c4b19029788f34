#include "tests/support/check.h"

#include <fcntl.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int open_null(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_descriptor_is_closed_at_the_end_of_its_scope(void **state)
{
    int seen;
    (void)state;
    {
        cvm_autoclose int fd = open_null();
        seen = fd;
        assert_true(is_open(seen));
    }
    assert_false(is_open(seen));
    {
        cvm_autoclose int none = -1;
        assert_int_equal(none, -1); /* and nothing is closed */
    }
}

static int open_and_hand_over(void)
{
    cvm_autoclose int fd = open_null();
    int taken = cvm_steal_fd(&fd);
    assert_int_equal(fd, -1);
    return taken;
}

static void test_stolen_descriptor_stays_open(void **state)
{
    (void)state;
    int fd = open_and_hand_over();
    assert_true(is_open(fd));
    close(fd);
}

static char *allocate_and_hand_over(void)
{
    cvm_autofree char *text = strdup("kept");
    assert_non_null(text);
    char *taken = cvm_steal(&text);
    assert_null(text);
    return taken;
}

static void test_stolen_memory_outlives_its_scope(void **state)
{
    (void)state;
    cvm_autofree char *text = allocate_and_hand_over();
    assert_string_equal(text, "kept"); /* ASan: no use after free, and no leak */
    cvm_autofree char *none = NULL;
    assert_null(cvm_steal(&none));
}

static unsigned calls;

static void count_call(const int *value)
{
    calls += (unsigned)*value;
}

static void test_cleanups_run_with_the_variable(void **state)
{
    (void)state;
    calls = 0;
    {
        CVM_CLEANUP(count_call)
        int a = 1;
        CVM_CLEANUP(count_call)
        int b = 0;
        b = 10;
        assert_int_equal(a + b, 11);
        assert_int_equal(calls, 0);
    }
    assert_int_equal(calls, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptor_is_closed_at_the_end_of_its_scope),
        cmocka_unit_test(test_stolen_descriptor_stays_open),
        cmocka_unit_test(test_stolen_memory_outlives_its_scope),
        cmocka_unit_test(test_cleanups_run_with_the_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
