#include "tests/support/check.h"

#include "measure/acpi/acpi.h"
#include "measure/acpi/profile.h"

#define UPSTREAM ACPI_UPSTREAM
#define TDX ACPI_TDX_TREE

static const struct acpi_profile *profile_of(struct cvm_qemu_version version,
                                             enum acpi_flavour flavour, bool *extrapolated)
{
    struct cvm_error err = { 0 };
    const struct acpi_profile *p = acpi_profile_for(version, flavour, extrapolated, &err);
    if (p == NULL) {
        fail_msg("%s", err.msg);
    }
    return p;
}

static bool is_zero(struct cvm_qemu_version v)
{
    return v.major == 0 && v.minor == 0 && v.micro == 0;
}

/* Each row says where it was seen, and has its place. */
static void test_rows(void **state)
{
    size_t count;
    const struct acpi_profile *rows = acpi_profiles(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool extrapolated;
        const struct acpi_profile *p = &rows[i];
        assert_true(p->where != NULL && p->where[0] != '\0');
        bool seen = p->evidence == ACPI_SEEN_VECTORS;
        assert_int_equal(strstr(p->where, "tests/vectors/acpi/qemu-") != NULL, seen);
        assert_int_equal(is_zero(p->compared_from), !seen);
        assert_int_equal(is_zero(p->compared_until), !seen);
        assert_true(cvm_qemu_version_compare(p->compared_from, p->compared_until) <= 0);
        assert_ptr_equal(profile_of(p->since, p->flavour, &extrapolated), p);
        if (i > 0 && rows[i - 1].flavour == p->flavour) {
            assert_true(cvm_qemu_version_compare(rows[i - 1].since, p->since) < 0);
        }
    }
    assert_int_equal(rows[0].flavour, TDX);
    assert_int_equal(rows[count - 1].flavour, UPSTREAM);
}

static void test_selection(void **state)
{
    static const struct {
        enum acpi_flavour flavour;
        struct cvm_qemu_version version;
        struct cvm_qemu_version row;
        bool extrapolated;
    } cases[] = {
        { UPSTREAM, { 7, 2, 0 }, { 7, 2, 0 }, false },
        { UPSTREAM, { 7, 2, 22 }, { 7, 2, 0 }, false },
        { UPSTREAM, { 7, 2, 49 }, { 7, 2, 0 }, false },
        { UPSTREAM, { 7, 2, 50 }, { 7, 2, 0 }, true }, /* on its way to 8.0 */
        { UPSTREAM, { 8, 0, 0 }, { 8, 0, 0 }, true },
        { UPSTREAM, { 8, 1, 0 }, { 8, 1, 0 }, true },
        { UPSTREAM, { 8, 2, 2 }, { 8, 1, 0 }, false },
        { UPSTREAM, { 9, 0, 4 }, { 8, 1, 0 }, true },
        { UPSTREAM, { 9, 1, 0 }, { 9, 1, 0 }, false },
        { UPSTREAM, { 9, 2, 1 }, { 9, 2, 0 }, false },
        { UPSTREAM, { 10, 0, 13 }, { 10, 0, 0 }, false },
        { UPSTREAM, { 10, 1, 0 }, { 10, 0, 0 }, true }, /* between two that were compared */
        { UPSTREAM, { 10, 2, 9 }, { 10, 0, 0 }, true },
        { UPSTREAM, { 11, 0, 0 }, { 11, 0, 0 }, true },
        { UPSTREAM, { 11, 0, 65535 }, { 11, 0, 0 }, true },
        { UPSTREAM, { 11, 1, 2 }, { 11, 1, 0 }, false },
        { UPSTREAM, { 11, 1, 92 }, { 11, 1, 0 }, true },
        { UPSTREAM, { 11, 2, 0 }, { 11, 1, 0 }, true }, /* newer than all */
        { UPSTREAM, { 65535, 65535, 65535 }, { 11, 1, 0 }, true },
        { TDX, { 8, 0, 0 }, { 8, 0, 0 }, true },
        { TDX, { 8, 0, 65535 }, { 8, 0, 0 }, true },
        { TDX, { 8, 1, 0 }, { 8, 1, 0 }, false },
        { TDX, { 8, 2, 2 }, { 8, 1, 0 }, false },
        { TDX, { 9, 0, 0 }, { 8, 1, 0 }, false },
        { TDX, { 9, 0, 92 }, { 8, 1, 0 }, true },
        { TDX, { 9, 1, 0 }, { 9, 1, 0 }, false },
        { TDX, { 9, 1, 49 }, { 9, 1, 0 }, false },
        { TDX, { 9, 2, 0 }, { 9, 2, 0 }, true }, /* such a tree declares levels */
        { TDX, { 10, 0, 2 }, { 10, 0, 0 }, true },
        { TDX, { 11, 1, 2 }, { 11, 1, 0 }, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool extrapolated = !cases[i].extrapolated;
        const struct acpi_profile *p =
            profile_of(cases[i].version, cases[i].flavour, &extrapolated);
        if (cvm_qemu_version_compare(p->since, cases[i].row) != 0 ||
            extrapolated != cases[i].extrapolated) {
            fail_msg("case %zu: the row of %u.%u.%u, extrapolated %d", i, p->since.major,
                     p->since.minor, p->since.micro, extrapolated);
        }
    }
}

static void test_versions_without_profile(void **state)
{
    static const struct {
        enum acpi_flavour flavour;
        struct cvm_qemu_version version;
        const char *message;
    } old[] = {
        { UPSTREAM, { 0, 0, 0 }, "QEMU 0.0.0: the oldest known version is 7.2.0" },
        { UPSTREAM, { 7, 1, 65535 }, "QEMU 7.1.65535: the oldest known version is 7.2.0" },
        { TDX,
          { 7, 2, 22 },
          "QEMU 7.2.22 with edge-triggered interrupts: the oldest known version is 8.0.0" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        struct cvm_error err = { 0 };
        bool extrapolated;
        assert_null(acpi_profile_for(old[i].version, (enum acpi_flavour)old[i].flavour,
                                     &extrapolated, &err));
        assert_error(&err, CVM_ERR_UNSUPPORTED, old[i].message);
    }
}

/* A machine with an expander, whose routing table is what the two trees of 9.1 differ in. */
static struct cvm_machine expander_machine(enum cvm_interrupt_trigger trigger)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 9, 1, 0 },
        .interrupt_trigger = trigger,
        .cpu_count = 2,
        .memory_size = UINT64_C(2) << 30,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
        .num_numa_nodes = 1,
    };
    m.numa_nodes[0].cpu_count = m.cpu_count;
    m.numa_nodes[0].memory_size = m.memory_size;
    m.numa_nodes[0].has_expander = true;
    m.numa_nodes[0].expander_bus = 5;
    m.numa_nodes[0].num_gpus = 1;
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .expanders = 1 }, &err), &err);
    return m;
}

static void build(const struct cvm_machine *m, enum acpi_flavour flavour, struct cvm_acpi *out)
{
    struct cvm_error err = { 0 };
    must(acpi_build_flavour(m, flavour, out, &err), &err);
}

/* The tree is known apart from the trigger: a TDX tree writes its own code's tables always. */
static void test_tree_apart_from_trigger(void **state)
{
    const struct cvm_machine level = expander_machine(CVM_TRIGGER_LEVEL);
    const struct cvm_machine edge = expander_machine(CVM_TRIGGER_EDGE);
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi upstream = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi tree = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi td = { 0 };
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi by_trigger = { 0 };
    struct cvm_error err = { 0 };
    (void)state;
    assert_int_equal(acpi_flavour_of(&level), ACPI_UPSTREAM);
    assert_int_equal(acpi_flavour_of(&edge), ACPI_TDX_TREE);
    build(&level, ACPI_UPSTREAM, &upstream);
    build(&level, ACPI_TDX_TREE, &tree);
    build(&edge, ACPI_TDX_TREE, &td);
    must(cvm_acpi_build(&edge, &by_trigger, &err), &err);
    assert_true(upstream.tables_used < tree.tables_used); /* a loop against a table */
    assert_true(tree.tables_used < td.tables_used); /* its APIC table overrides every interrupt */
    assert_bytes(by_trigger.tables.data, by_trigger.tables.size, td.tables.data, td.tables.size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_versions_without_profile),
        cmocka_unit_test(test_tree_apart_from_trigger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
