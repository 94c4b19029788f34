/*
 * What a guest's SMBIOS shows of the host's CPU.
 */
#include "tests/support/check.h"

#include "vmm/host_cpu.h"

#include <string.h>

static struct cvm_machine machine_of(struct cvm_qemu_version version, uint32_t cpus)
{
    return (struct cvm_machine){ .qemu = version, .cpu_count = cpus };
}

static void test_guests(void **state)
{
    static const struct {
        struct cvm_qemu_version qemu;
        uint32_t cpus, eax, edx;
        bool is_td;
        uint32_t signature, features; /* 0: not known */
        const char *warning;
    } cases[] = {
        /* Emerald Rapids, in TDs whose events were reproduced */
        { { 8, 2, 2 }, 8, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0x2fabfbff, NULL },
        { { 8, 2, 2 }, 1, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0x2fabfbff, NULL },
        { { 9, 1, 0 }, 2, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0x2fabfbff, "no QEMU 9.1" },
        { { 10, 1, 0 }, 2, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0, "what QEMU 10.1 shows" },
        { { 11, 1, 2 }, 2, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0, "what QEMU 11.1 shows" },
        { { 7, 2, 22 }, 2, 0x000c06f2, 0xbfebfbff, true, 0x000c06f2, 0, NULL },
        /* vectors/smbios: kvm-host-1 and -2 of qemu-11.1, and what older ones showed there */
        { { 11, 1, 2 }, 1, 0x00a10f11, 0x178bfbff, false, 0x00a10f11, 0x078bfbff, NULL },
        { { 11, 1, 2 }, 2, 0x00a10f11, 0x178bfbff, false, 0x00a10f11, 0x178bfbff, NULL },
        { { 9, 1, 0 }, 2, 0x00a10f11, 0x178bfbff, false, 0x00a10f11, 0x078bfbff, NULL },
        { { 7, 2, 22 }, 2, 0x00a10f11, 0x178bfbff, false, 0x00a10f11, 0x078bfbff, NULL },
        /* the type of processor and reserved bits are no part of the signature */
        { { 8, 2, 2 }, 1, 0xf00cf6f2, 0xbfebfbff, true, 0x000c06f2, 0x2fabfbff, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cvm_autowarnings struct cvm_warnings warnings = { 0 };
        struct cvm_machine m = machine_of(cases[i].qemu, cases[i].cpus);
        cvm_host_cpu_fill(cases[i].eax, cases[i].edx, cases[i].is_td, &m, &warnings);
        assert_true(m.cpu_signature.set);
        assert_int_equal(m.cpu_signature.value, cases[i].signature);
        assert_int_equal(m.cpu_features_edx.set, cases[i].features != 0);
        assert_int_equal(m.cpu_features_edx.value, cases[i].features);
        assert_int_equal(warnings.count, cases[i].warning != NULL);
        if (cases[i].warning != NULL) {
            assert_non_null(strstr(warnings.items[0], cases[i].warning));
        }
    }
}

static void test_what_is_said_stays(void **state)
{
    (void)state;
    cvm_autowarnings struct cvm_warnings warnings = { 0 };
    struct cvm_machine m = machine_of((struct cvm_qemu_version){ 11, 1, 2 }, 2);
    m.cpu_signature = (struct cvm_opt_u32){ true, 1 };
    m.cpu_features_edx = (struct cvm_opt_u32){ true, 2 };
    const struct cvm_machine said = m;
    cvm_host_cpu_fill(0x000c06f2, 0xbfebfbff, true, &m, &warnings);
    assert_bytes(&m, sizeof m, &said, sizeof said);
    assert_int_equal(warnings.count, 0);
}

/* The CPU this runs on has at least what every x86-64 has. */
static void test_this_host(void **state)
{
    const uint32_t always = 0x07808179; /* FPU, TSC to PAE, CX8, CMOV, MMX to SSE2 */
    uint32_t eax = 0;
    uint32_t edx = 0;
    (void)state;
    if (!cvm_host_cpu_read(&eax, &edx)) {
        skip();
    }
    assert_int_not_equal(eax, 0);
    assert_int_equal(edx & always, always);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_what_is_said_stays),
        cmocka_unit_test(test_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
