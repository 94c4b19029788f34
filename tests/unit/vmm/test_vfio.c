#include "tests/support/check.h"
#include "tests/unit/vmm/host_tree.h"

#include "vmm/vfio.h"

static const struct cvm_pci_address gpu = { .bus = 0x18 };

static void expect(const struct place *p, const char *message)
{
    struct cvm_error err = { 0 };
    if (message == NULL) {
        must(cvm_vfio_check(p->path, "GPU", gpu, &err), &err);
        return;
    }
    assert_false(cvm_vfio_check(p->path, "GPU", gpu, &err));
    assert_error(&err, CVM_ERR_SYSTEM, message);
}

static void add(const struct place *p, const char *address, const char *driver, unsigned group)
{
    tree_add(
        p, &(struct tree_device){
               .address = address, .id = "10de:2335", .driver = driver, .group = group, .gib = 1 });
}

static void test_drivers(void **state)
{
    static const char *const good[] = { "vfio-pci", "nvgrace-gpu-vfio-pci", "mlx5_vfio_pci" };
    const struct place *p = *state;
    expect(p, "GPU 0000:18:00.0: the host has no such device any more");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        add(p, "0000:18:00.0", good[i], 7);
        expect(p, NULL);
    }
    add(p, "0000:18:00.0", "nvidia", 7);
    expect(p,
           "GPU 0000:18:00.0 belongs to the host's driver 'nvidia', and must have vfio-pci; stop "
           "what uses it, then run: driverctl set-override 0000:18:00.0 vfio-pci");
    add(p, "0000:18:00.0", "vfio-pci-not", 7);
    expect(p, "driver 'vfio-pci-not'");
    place_delete(p, "sys/bus/pci/devices/0000:18:00.0/driver");
    expect(p, "GPU 0000:18:00.0 has no driver, and must have vfio-pci; run: driverctl set-override "
              "0000:18:00.0 vfio-pci");
}

static void test_groups(void **state)
{
    const struct place *p = *state;
    add(p, "0000:18:00.0", NULL, 0);
    expect(p, "GPU 0000:18:00.0 is in no IOMMU group: the host's IOMMU is off; switch VT-d on in "
              "the BIOS and boot the kernel with intel_iommu=on");
    add(p, "0000:18:00.0", NULL, 7);
    add(p, "0000:18:00.1", "snd_hda_intel", 7);
    expect(p,
           "GPU 0000:18:00.0 shares IOMMU group 7 with 0000:18:00.1, which belongs to the host's "
           "driver 'snd_hda_intel'; all of a group goes to guests or none; run: driverctl "
           "set-override 0000:18:00.1 vfio-pci");
    add(p, "0000:18:00.1", "vfio-pci", 7);
    expect(p, NULL);
    place_delete(p, "sys/bus/pci/devices/0000:18:00.1/driver");
    expect(p, NULL);
    /* A bridge stays with the host. */
    add(p, "0000:17:00.0", "pcieport", 7);
    expect(p, "shares IOMMU group 7 with 0000:17:00.0");
    tree_write(p, "sys/bus/pci/devices/0000:17:00.0/class", "0x060400\n");
    expect(p, NULL);
}

static void test_interfaces(void **state)
{
    const struct place *p = *state;
    add(p, "0000:18:00.0", NULL, 7);
    expect(p, NULL);
    place_delete(p, "dev/vfio/7");
    expect(p, "/dev/vfio/7, the IOMMU group of GPU 0000:18:00.0, does not exist");
    place_delete(p, "dev/vfio/vfio");
    expect(p, "/dev/vfio/vfio does not exist; run: modprobe vfio-pci");
}

static void test_resources(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_resources r = { .gpus = { gpu }, .num_gpus = 1 };
    add(p, "0000:18:00.0", NULL, 7);
    must(cvm_resources_check(&r, p->path, &err), &err);
    r.nvswitches[r.num_nvswitches++] = (struct cvm_pci_address){ .bus = 5 };
    assert_false(cvm_resources_check(&r, p->path, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "NVSwitch 0000:05:00.0: the host has no such device");
    r.num_nvswitches = 0;
    r.huge_pages[r.num_huge_pages++] = (struct cvm_huge_pages){ true, 0, 2 << 20, 8 };
    assert_false(cvm_resources_check(&r, p->path, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "host node 0 has 0 free huge pages");
    tree_pages(p, 0, 8);
    must(cvm_resources_check(&r, p->path, &err), &err);
}

static void test_iommufd(void **state)
{
    static const struct {
        enum cvm_iommufd_use use;
        bool has_device, refused;
        unsigned long libvirt;
        enum cvm_iommufd_form form;
        const char *message;
    } cases[] = {
        { CVM_IOMMUFD_AUTO, false, false, 12008000, CVM_IOMMUFD_NONE, NULL },
        { CVM_IOMMUFD_AUTO, true, false, 9000000, CVM_IOMMUFD_NONE, NULL },
        { CVM_IOMMUFD_AUTO, true, false, 12000999, CVM_IOMMUFD_NONE, NULL },
        { CVM_IOMMUFD_AUTO, true, false, 12001000, CVM_IOMMUFD_PER_DEVICE, NULL },
        { CVM_IOMMUFD_AUTO, true, false, 12001999, CVM_IOMMUFD_PER_DEVICE, NULL },
        { CVM_IOMMUFD_AUTO, true, false, 12002000, CVM_IOMMUFD_PER_DOMAIN, NULL },
        { CVM_IOMMUFD_AUTO, true, true, 12008000, CVM_IOMMUFD_NONE, NULL },
        { CVM_IOMMUFD_OFF, true, false, 12008000, CVM_IOMMUFD_NONE, NULL },
        { CVM_IOMMUFD_ON, true, false, 12008000, CVM_IOMMUFD_PER_DOMAIN, NULL },
        { CVM_IOMMUFD_ON, false, false, 12008000, 0, "but the host has no /dev/iommu" },
        { CVM_IOMMUFD_ON, true, true, 12008000, 0, "but libvirt reports that this emulator has" },
        { CVM_IOMMUFD_ON, true, false, 11003000, 0, "but libvirt is older than 12.1" },
    };
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        enum cvm_iommufd_form form;
        place_delete(p, "dev/iommu");
        if (cases[i].has_device) {
            tree_write(p, "dev/iommu", "");
        }
        bool ok = cvm_iommufd_choose(cases[i].use, p->path, cases[i].libvirt, cases[i].refused,
                                     &form, &err);
        if (cases[i].message != NULL) {
            assert_false(ok);
            assert_error(&err, CVM_ERR_UNSUPPORTED, cases[i].message);
            continue;
        }
        must(ok, &err);
        assert_int_equal(form, cases[i].form);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drivers),   TEST(test_groups),  TEST(test_interfaces),
        TEST(test_resources), TEST(test_iommufd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
