#include "tests/support/check.h"

#include "vmm/nearest.h"

#include <string.h>

static const char *nearest(const char *typed, const char *const *words)
{
    const char *best = NULL;
    for (; *words != NULL; words++) {
        best = cvm_nearer(typed, best, *words);
    }
    return best;
}

static void test_a_slip_is_found(void **state)
{
    static const char *const words[] = {
        "memory", "memory_size", "vcpu", "volumes", "cmdline", NULL
    };
    static const struct {
        const char *typed, *meant;
    } slips[] = {
        { "memry", "memory" },
        { "memory_sise", "memory_size" },
        { "vcpus", "vcpu" },
        { "volume", "volumes" },
        { "cmd_line", "cmdline" },
        { "momery", "memory" },
        { "memorysize", "memory_size" },
        { "vpcu", "vcpu" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        const char *found = nearest(slips[i].typed, words);
        if (found == NULL) {
            fail_msg("'%s' suggests nothing", slips[i].typed);
        }
        assert_string_equal(found, slips[i].meant);
    }
}

static void test_another_word_is_not_taken_for_a_slip(void **state)
{
    static const char *const words[] = { "memory", "vcpu", "no_tee", NULL };
    static const char *const typed[] = { "", "x", "cpu_count", "disk", "memory_of_an_elephant" };
    (void)state;
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
        assert_null(nearest(typed[i], words));
    }
}

static void test_the_nearest_wins_in_any_order(void **state)
{
    (void)state;
    const char *near = "verify";
    const char *nearer = "verity";
    assert_ptr_equal(cvm_nearer("verity_", near, nearer), nearer);
    assert_ptr_equal(cvm_nearer("verity_", nearer, near), nearer);
    assert_ptr_equal(cvm_nearer("verity", NULL, NULL), NULL);
    assert_ptr_equal(cvm_nearer("verity", nearer, NULL), nearer);
    assert_ptr_equal(cvm_nearer("verity", NULL, nearer), nearer);
}

/* The row of the distance has room for 64 letters: longer words are too far from everything. */
static void test_long_words_are_never_near(void **state)
{
    char typed[128];
    char known[128];
    (void)state;
    for (size_t length = 60; length < sizeof typed; length++) {
        memset(typed, 'a', length);
        memset(known, 'a', length);
        typed[length] = known[length] = '\0';
        typed[length / 2] = 'b';
        assert_int_equal(cvm_nearer(typed, NULL, known) != NULL, length <= 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slip_is_found),
        cmocka_unit_test(test_another_word_is_not_taken_for_a_slip),
        cmocka_unit_test(test_the_nearest_wins_in_any_order),
        cmocka_unit_test(test_long_words_are_never_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
