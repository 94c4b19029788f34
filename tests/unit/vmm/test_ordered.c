#include "tests/support/check.h"

#include "vmm/ordered.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct count {
    atomic_uint worked, dropped;
    size_t taken;    /* results, in order */
    size_t fail_at;  /* the result that is refused; SIZE_MAX for none */
    bool slow_start; /* the first jobs take longest */
};

struct result {
    size_t *square; /* owned: what is not dropped, ASan reports */
    size_t index;
};

static struct count *counting; /* `drop` is given no context */

static void work(void *context, size_t index, void *slot)
{
    struct count *c = context;
    struct result *r = slot;
    assert_null(r->square); /* slots are zeroed */
    if (c->slow_start && index < 8) {
        usleep(2000);
    }
    r->square = malloc(sizeof *r->square);
    *r->square = index * index;
    r->index = index;
    c->worked++;
}

static bool take(void *context, size_t index, void *slot, struct cvm_error *err)
{
    struct count *c = context;
    const struct result *r = slot;
    assert_int_equal(index, c->taken);
    assert_int_equal(r->index, index);
    assert_int_equal(*r->square, index * index);
    if (index == c->fail_at) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "result %zu is refused", index);
    }
    c->taken++;
    return true;
}

static void drop(void *slot)
{
    struct result *r = slot;
    free(r->square);
    counting->dropped++;
}

static bool run(size_t count, unsigned threads, struct count *c, struct cvm_error *err)
{
    const struct cvm_ordered jobs = {
        .count = count,
        .slot_size = sizeof(struct result),
        .context = c,
        .work = work,
        .take = take,
        .drop = drop,
    };
    counting = c;
    return cvm_ordered_run(&jobs, threads, err);
}

static void test_all_in_order(void **state)
{
    (void)state;
    static const size_t counts[] = { 0, 1, 2, 15, 16, 17, 1000 };
    static const unsigned threads[] = { 0, 1, 2, 7, 1000 };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t j = 0; j < sizeof threads / sizeof threads[0]; j++) {
            struct cvm_error err = { 0 };
            struct count c = { .fail_at = SIZE_MAX, .slow_start = true };
            must(run(counts[i], threads[j], &c, &err), &err);
            assert_int_equal(c.taken, counts[i]);
            assert_int_equal(c.worked, counts[i]);
            assert_int_equal(c.dropped, counts[i]);
        }
    }
}

static void test_one_that_is_refused(void **state)
{
    (void)state;
    static const size_t at[] = { 0, 1, 31, 32, 500, 999 };
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        for (unsigned threads = 1; threads < 5; threads++) {
            struct cvm_error err = { 0 };
            struct count c = { .fail_at = at[i] };
            assert_false(run(1000, threads, &c, &err));
            assert_error(&err, CVM_ERR_SYSTEM, "is refused");
            assert_int_equal(c.taken, at[i]);
            assert_int_equal(c.dropped, c.worked);
            assert_true(c.worked <= at[i] + 1 + 16 * threads);
        }
    }
}

static bool run_a_few(struct cvm_error *err)
{
    struct count c = { .fail_at = SIZE_MAX };
    return run(0, 1, &c, err); /* no jobs: they would allocate in other threads */
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(run_a_few), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_in_order),
        cmocka_unit_test(test_one_that_is_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
