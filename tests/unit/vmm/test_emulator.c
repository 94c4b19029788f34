#include "tests/support/check.h"
#include "tests/unit/vmm/fake_emulator.h"

#include "vmm/emulator.h"
#include "vmm/process.h"

enum { QTEST = 1 << CVM_ACCEL_QTEST, TCG = 1 << CVM_ACCEL_TCG, KVM = 1 << CVM_ACCEL_KVM };

static void test_listed(void **state)
{
    static const struct {
        const char *help;
        unsigned want;
    } cases[] = {
        { "Accelerators supported in QEMU binary:\ntcg\nkvm\n", TCG | KVM },
        { "Accelerators supported in QEMU binary:\r\nkvm\r\n", KVM },
        { "Possible accelerators: qtest tcg xen", QTEST | TCG },
        { "tcgx kvm- xqtest", 0 },
        { "", 0 },
        { "\n \n", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cvm_accelerators_listed(cases[i].help), cases[i].want);
    }
}

static void test_choice(void **state)
{
    enum { NONE = -1 };
    static const struct {
        unsigned has;
        struct cvm_qemu_version version;
        uint32_t cpus;
        int want;
    } cases[] = {
        { QTEST | TCG | KVM, { 7, 2, 0 }, 255, CVM_ACCEL_QTEST },
        { QTEST | TCG | KVM, { 9, 0, 0 }, 4096, CVM_ACCEL_QTEST },
        { QTEST | TCG | KVM, { 8, 2, 2 }, 256, CVM_ACCEL_KVM },
        { TCG | KVM, { 7, 2, 22 }, 1, CVM_ACCEL_TCG },
        { TCG | KVM, { 7, 2, 22 }, 255, CVM_ACCEL_TCG },
        { TCG | KVM, { 7, 2, 22 }, 256, CVM_ACCEL_KVM },
        { TCG | KVM, { 9, 0, 0 }, 256, CVM_ACCEL_TCG },
        { TCG, { 8, 2, 9 }, 256, NONE },
        { KVM, { 8, 2, 9 }, 4, CVM_ACCEL_KVM },
        { 0, { 9, 2, 0 }, 1, NONE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct cvm_emulator e = { "/q", cases[i].version, "", cases[i].has };
        struct cvm_error err = { 0 };
        enum cvm_accelerator got = CVM_NUM_ACCELERATORS;
        bool ok = cvm_accelerator_choose(&e, cases[i].cpus, &got, &err);
        assert_int_equal(ok ? (int)got : NONE, cases[i].want);
        if (!ok) {
            assert_error(&err, CVM_ERR_UNSUPPORTED, "has no accelerator that makes a machine of");
        }
    }
}

/* What `--version` says is tested with struct cvm_host's tests; here: the rest. */
static void test_asking(void **state)
{
    static const struct {
        const char *extra;
        unsigned want;
    } cases[] = {
        { "", TCG },
        { "[ \"$*\" = '-accel help' ] && { echo qtest; echo kvm; exit; }", QTEST | KVM },
        /* left out of the help, but there */
        { "case \"$*\" in *qtest*) set -- -S;; esac", QTEST | TCG },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_emulator e;
        must(cvm_emulator_ask(fake_emulator(*state, cases[i].extra), 10000, &e, &err), &err);
        assert_int_equal(e.accelerators, cases[i].want);
        assert_string_equal(e.says, "9.2.1 (fake)");
        assert_int_equal(e.version.minor, 2);
    }
}

static void test_one_that_hangs(void **state)
{
    static const char *const scripts[] = {
        "#!/bin/sh\nexec sleep 60\n",
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo QEMU emulator version 9.2.1\n"
        "exec sleep 60\n",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_emulator e;
        uint64_t before = cvm_now_ms();
        assert_false(cvm_emulator_ask(fake_program(*state, scripts[i]), 500, &e, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "/emulator' is not done within 500 ms");
        assert_true(cvm_now_ms() - before < 20000);
    }
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_choice),
        PLACED(test_asking),
        PLACED(test_one_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
