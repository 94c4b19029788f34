/*
 * Domain documents against tests/golden/domain-*.xml.
 *
 * As "test_domain_xml --write DIR" it writes them instead: see tests/regenerate.sh.
 */
#include "tests/support/check.h"

#include "measure/base/file.h"
#include "vmm/domain_xml.h"
#include "vmm/machine.h"
#include "vmm/xml.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)

struct golden_case {
    const char *name; /* of the golden file: domain-NAME.xml */
    struct cvm_vm_config config;
    struct cvm_domain domain;
    const char *numa_nodes; /* of the config, as JSON; NULL */
};

#define PATHS                                                                                      \
    .firmware = "/srv/images/dstack-0.5.11/ovmf.fd",                                               \
    .kernel = "/srv/images/dstack-0.5.11/bzImage",                                                 \
    .initrd = "/srv/images/dstack-0.5.11/initramfs.cpio.gz", .cmdline = "console=ttyS0 panic=1",   \
    .data_disk = "/var/lib/cvm/vms/web/disk.raw", .share_dir = "/var/lib/cvm/vms/web/shared",      \
    .share_image = "/var/lib/cvm/vms/web/share.img",                                               \
    .console_log = "/var/lib/cvm/vms/web/console.log"
#define ROOTFS .rootfs = "/srv/images/dstack-0.5.11/rootfs.img.verity"
#define COMMON                                                                                     \
    .name = "web", .uuid = "6f1e4fc5-0b1c-4d5e-9f00-0123456789ab",                                 \
    .os_image_hash = "e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db",           \
    .emulator = "/usr/bin/qemu-system-x86_64", .cid = 10000, .address_bits = 46,                   \
    .mr_config_id = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct cvm_network one_user[] = { { "user", CVM_NETWORK_USER, NULL, NULL } };
static const struct cvm_network bridge_and_user[] = {
    { "bridge", CVM_NETWORK_BRIDGE, "br0", NULL },
    { "user", CVM_NETWORK_USER, NULL, "52:54:00:12:34:56" },
};
static const struct cvm_network network_and_direct[] = {
    { "network", CVM_NETWORK_NETWORK, "default", "52:54:00:00:00:01" },
    { "direct", CVM_NETWORK_DIRECT, "eth0", NULL },
};
static const struct cvm_network odd_bridge[] = {
    { "bridge", CVM_NETWORK_BRIDGE, "b&<>'\",", NULL },
};
static const struct cvm_network each_mode[] = {
    { "user", CVM_NETWORK_USER, NULL, "52:54:00:00:00:01" },
    { "bridge", CVM_NETWORK_BRIDGE, "br0", "52:54:00:00:00:02" },
    { "network", CVM_NETWORK_NETWORK, "default", "52:54:00:00:00:03" },
    { "direct", CVM_NETWORK_DIRECT, "eth0", "52:54:00:00:00:04" },
};
static const struct cvm_volume volumes[] = { { "/srv/volumes/a.img" }, { "/srv/volumes/b.img" } };
static const struct cvm_volume odd_volume[] = { { "/srv/<v>&'\",.img" } };

#define AT(b)                                                                                      \
    {                                                                                              \
        .address = {.bus = (b) }                                                                   \
    }
static const struct cvm_placement eight_and_four = {
    .gpus = { AT(0x18), AT(0x2a), AT(0x3a), AT(0x5d), AT(0x9a), AT(0xab), AT(0xba), AT(0xdb) },
    .num_gpus = 8,
    .nvswitches = { AT(0x05), AT(0x06), AT(0x07), AT(0x08) },
    .num_nvswitches = 4,
};
static const struct cvm_placement two_nodes = {
    .gpus = { AT(0x18),
              AT(0x2a),
              AT(0x3a),
              AT(0x5d),
              { .address = { .domain = 0x10001, .bus = 0x9a, .slot = 31, .function = 7 } },
              AT(0xab),
              AT(0xba),
              AT(0xdb) },
    .num_gpus = 8,
    .nvswitches = { AT(0x05), AT(0x06), AT(0x07), AT(0x08) },
    .num_nvswitches = 4,
    .nodes = { { .bound = true, .host_node = 0 }, { .bound = true, .host_node = 3 } },
    .num_nodes = 2,
    .cpu_count = 16,
    .page_size = GIB,
    .pinned = true,
    .cpus = { 0, 1, 2, 3, 4, 5, 6, 7, 96, 97, 98, 99, 100, 101, 102, 103 },
};
static const struct cvm_placement one_gpu = { .gpus = { AT(0x18) }, .num_gpus = 1 };
static const struct cvm_placement stand_in = {
    .gpus = { AT(0x18), AT(0x2a) },
    .num_gpus = 2,
    .nodes = { { .bound = true, .host_node = 0 } },
    .num_nodes = 1,
    .cpu_count = 2,
    .page_size = 2 << 20,
    .pinned = true,
    .cpus = { 4, 5 },
    .stand_in = true,
};

static const struct golden_case cases[] = {
    { "no-tee",
      { .cpu_count = { true, 2 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "7.2.22",
        .interrupt_trigger = "level" },
      { COMMON, PATHS, ROOTFS, .networks = one_user, .share_mode = "9p" } },
    { "tdx",
      { .cpu_count = { true, 8 }, .memory_size = { true, 16 * GIB }, .qemu_version = "10.1.0" },
      { COMMON, PATHS, ROOTFS, .networks = one_user, .share_mode = "9p", .tdx = true, .kvm = true,
        .qgs_socket = "/var/run/tdx-qgs/qgs.socket", .run_as = "+64055:+64055" } },
    { "hotplug-off",
      { .cpu_count = { true, 4 },
        .memory_size = { true, 4 * GIB },
        .qemu_version = "9.2.1",
        .hotplug_off = { true, true },
        .num_nics = { true, 2 },
        .num_verity_volumes = { true, 2 },
        .pci_hole64_size = { true, 64 * GIB },
        .pic = { true, true },
        .smm = { true, true } },
      { COMMON, PATHS, ROOTFS, .networks = bridge_and_user, .volumes = volumes, .share_mode = "9p",
        .tdx = true, .kvm = true } },
    { "no-rootfs",
      { .cpu_count = { true, 1 },
        .memory_size = { true, GIB },
        .qemu_version = "8.2.2",
        .rootfs_device = "none",
        .num_nics = { true, 2 } },
      { COMMON, PATHS, .networks = network_and_direct, .share_mode = "9p", .share_readonly = true,
        .kvm = true, .vsock_stand_in = true } },
    /* All that a TD can have at once, with the share as an image. */
    { "tdx-full",
      { .cpu_count = { true, 16 },
        .memory_size = { true, 64 * GIB },
        .qemu_version = "10.1.0",
        .host_share_mode = "vhd",
        .swtpm = { true, true },
        .hotplug_off = { true, true },
        .pci_hole64_size = { true, 1024 * GIB },
        .num_nics = { true, 4 },
        .num_verity_volumes = { true, 2 },
        .smbios = { "Example, Inc.", "cvm \"one\" <1>", "1.0", "S/N 7", "sku&1", "'family'" } },
      { COMMON, PATHS, ROOTFS, .networks = each_mode, .volumes = volumes, .share_mode = "vhd",
        .tdx = true, .kvm = true, .qgs_socket = "/var/run/tdx-qgs/qgs.socket" } },
    { "vvfat",
      { .cpu_count = { true, 2 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "10.1.0",
        .host_share_mode = "vvfat",
        .num_verity_volumes = { true, 2 },
        .smbios = { .product = "cvm" } },
      { COMMON, PATHS, ROOTFS, .networks = one_user, .volumes = volumes, .share_mode = "vvfat",
        .tdx = true, .kvm = true } },
    { "escapes",
      { .cpu_count = { true, 1 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "9.2.1",
        .num_verity_volumes = { true, 1 } },
      { .name = "a&<b>'c'\"d\",e",
        .uuid = "6f1e4fc5-0b1c-4d5e-9f00-0123456789ab",
        .os_image_hash = "00",
        .emulator = "/opt/q&<>'\",/qemu",
        .firmware = "/srv/a&b<c>'d',,/ovmf.fd",
        .kernel = "/srv/\"e\",f/bzImage",
        .initrd = "/srv/&amp;/initrd",
        .cmdline = "console=ttyS0 x=\"1,2\" y='&' z=<>",
        .rootfs = "/srv/$[x]${y}/rootfs",
        .data_disk = "/v/'&\",/disk.raw",
        .share_dir = "/v/'&\",/shared",
        .share_mode = "9p",
        .volumes = odd_volume,
        .networks = odd_bridge,
        .cid = UINT32_MAX,
        .tdx = true,
        .kvm = true,
        .mr_config_id = "<&>",
        .qgs_socket = "/run/'&\"<>",
        .console_log = "/v/'&\",x,,y/console.log",
        .run_as = "u<s>er:&group" } },
    { "gpus",
      { .cpu_count = { true, 64 },
        .memory_size = { true, 512 * GIB },
        .qemu_version = "10.1.0",
        .pci_hole64_size = { true, 2048 * GIB },
        .hotplug_off = { true, true },
        .num_gpus = { true, 8 },
        .num_nvswitches = { true, 4 } },
      { COMMON, PATHS, ROOTFS, .share_mode = "9p", .networks = one_user, .tdx = true, .kvm = true,
        .placement = &eight_and_four } },
    { "nodes",
      { .cpu_count = { true, 16 },
        .memory_size = { true, 64 * GIB },
        .qemu_version = "10.1.0",
        .pci_hole64_size = { true, 256 * GIB },
        .hugepages = { true, true },
        .num_gpus = { true, 8 },
        .num_nvswitches = { true, 4 } },
      { COMMON, PATHS, ROOTFS, .share_mode = "9p", .networks = one_user, .tdx = true, .kvm = true,
        .placement = &two_nodes, .iommufd = CVM_IOMMUFD_PER_DEVICE },
      "[{\"cpu_count\":8,\"memory_size\":\"32G\",\"pxb_bus\":5,\"num_gpus\":4},"
      "{\"cpu_count\":8,\"memory_size\":\"32G\",\"pxb_bus\":10,\"num_gpus\":4}]" },
    { "iommufd",
      { .cpu_count = { true, 4 },
        .memory_size = { true, 16 * GIB },
        .qemu_version = "10.2.0",
        .pci_hole64_size = { true, 256 * GIB },
        .num_gpus = { true, 1 } },
      { COMMON, PATHS, ROOTFS, .share_mode = "9p", .networks = one_user, .tdx = true, .kvm = true,
        .placement = &one_gpu, .iommufd = CVM_IOMMUFD_PER_DOMAIN } },
    { "stand-in",
      { .cpu_count = { true, 2 },
        .memory_size = { true, 2 * GIB },
        .qemu_version = "7.2.22",
        .interrupt_trigger = "level",
        .hugepages = { true, true },
        .num_gpus = { true, 2 } },
      { COMMON, PATHS, ROOTFS, .share_mode = "9p", .networks = one_user, .placement = &stand_in,
        .iommufd = CVM_IOMMUFD_PER_DOMAIN } },
};

/* The machine of a case. */
static bool fill(const struct golden_case *c, struct cvm_machine *machine, struct cvm_error *err)
{
    struct cvm_vm_config config = c->config;
    cvm_autojson struct json_object *nodes = NULL;
    const char *text = c->numa_nodes == NULL ? "[]" : c->numa_nodes;
    if (!cvm_json_parse("nodes", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, &nodes,
                        err)) {
        return false;
    }
    config.numa_nodes = nodes;
    return cvm_machine_fill_platform(&config, machine, err);
}

/* The document of a case with a NUL; the caller frees it. */
static struct cvm_buf render(const struct golden_case *c, struct cvm_machine *machine)
{
    struct cvm_error err = { 0 };
    struct cvm_buf xml = { 0 };
    must(fill(c, machine, &err), &err);
    must(cvm_domain_xml_render(machine, &c->domain, &xml, &err), &err);
    cvm_put_u8(&xml, '\0');
    assert_false(xml.failed);
    return xml;
}

static void test_golden_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_machine machine;
        cvm_autobuf struct cvm_buf golden = { 0 };
        char path[1024];
        snprintf(path, sizeof path, "%s/domain-%s.xml", CVM_GOLDEN_DIR, cases[i].name);
        must(cvm_file_load(path, 1 << 20, &golden, &err), &err);
        cvm_autobuf struct cvm_buf xml = render(&cases[i], &machine);
        print_message("%s\n", path);
        assert_bytes(xml.data, xml.len - 1, golden.data, golden.len);
    }
}

static void must_match(const struct cvm_buf *xml, const char *xpath)
{
    struct cvm_error err = { 0 };
    bool matches = false;
    must(cvm_xml_matches((const char *)xml->data, xpath, &matches, &err), &err);
    if (!matches) {
        fail_msg("nothing matches %s", xpath);
    }
}

/* The element that a share is; NULL where it is arguments of QEMU's. */
static const char *share_element(const char *mode)
{
    static const struct {
        const char *mode, *element;
    } shares[] = {
        { "9p", "filesystem" },
        { "vhd", "disk[readonly and contains(source/@file, '/share.img')]" },
        { "vvfat", NULL },
    };
    size_t i = 0;
    while (strcmp(shares[i].mode, mode) != 0) {
        i++;
    }
    return shares[i].element;
}

static void must_have_device(const struct cvm_buf *xml, const char *element, unsigned slot)
{
    char xpath[256];
    if (element != NULL) {
        snprintf(xpath, sizeof xpath,
                 "/domain/devices/%s/address[@type='pci' and @domain='0x0000' and "
                 "@bus='0x00' and @slot='0x%02x' and @function='0x0']",
                 element, slot);
    } else {
        snprintf(xpath, sizeof xpath,
                 "/domain/*/*[@value='virtio-blk-pci,drive=cvm-share,bus=pcie.0,addr=0x%x']", slot);
    }
    must_match(xml, xpath);
}

/* Every device is at the slot that the machine says, by the kind of element it is. */
static void test_slots(void **state)
{
    static const char *const elements[] = {
        [CVM_DEVICE_ROOTFS] = "disk[readonly]",
        [CVM_DEVICE_DATA_DISK] = "disk[not(readonly)]",
        [CVM_DEVICE_VOLUME] = "disk[readonly]",
        [CVM_DEVICE_NIC] = "interface",
        [CVM_DEVICE_VSOCK] = "*[self::vsock or self::rng]",
        [CVM_DEVICE_SHARE] = "filesystem",
        [CVM_DEVICE_GPU_PORT] = "controller[@model='pcie-root-port']",
        [CVM_DEVICE_NVSWITCH_PORT] = "controller[@model='pcie-root-port']",
        [CVM_DEVICE_EXPANDER] = "controller[@model='pcie-expander-bus']",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_machine m;
        char xpath[256];
        cvm_autobuf struct cvm_buf xml = render(&cases[i], &m);
        const char *share = share_element(cases[i].domain.share_mode);
        snprintf(xpath, sizeof xpath,
                 "/domain/devices[count(*/address[@type='pci' and @bus='0x00'])=%u]",
                 share == NULL ? m.num_devices - 1 : m.num_devices);
        must_match(&xml, xpath);
        for (uint32_t d = 0; d < m.num_devices; d++) {
            bool is_share = m.devices[d].role == CVM_DEVICE_SHARE;
            must_have_device(&xml, is_share ? share : elements[m.devices[d].role],
                             m.devices[d].slot);
        }
    }
}

static const struct golden_case *find_case(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            return &cases[i];
        }
    }
    fail_msg("no case '%s'", name);
    return NULL;
}

static const struct {
    const char *name, *xpath;
} facts[] = {
    { "no-tee", "/domain[@type='qemu' and not(launchSecurity) and not(seclabel)]" },
    { "no-tee", "/domain/cpu/maxphysaddr[@bits='46']" },
    { "no-tee", "/domain[memory='2097152' and vcpu='2']" },
    { "tdx", "/domain[@type='kvm']/launchSecurity[@type='tdx']/quoteGenerationService"
             "[@path='/var/run/tdx-qgs/qgs.socket']" },
    { "tdx", "/domain/seclabel[label='+64055:+64055']" },
    { "tdx", "/domain/features/ioapic[@driver='qemu']" },
    { "hotplug-off", "/domain/launchSecurity/quoteGenerationService[not(@path)]" },
    { "hotplug-off", "/domain/devices/controller[@model='pcie-root']/pcihole64='67108864'" },
    { "hotplug-off", "/domain/devices/interface[2]/mac[@address='52:54:00:12:34:56']" },
    { "hotplug-off", "/domain/devices/interface[1][not(mac)]/source[@bridge='br0']" },
    { "hotplug-off", "/domain/features/smm[@state='on']" },
    { "hotplug-off", "/domain/devices[count(disk/target[@dev='vda' or @dev='vdb' or "
                     "@dev='vdc' or @dev='vdd'])=4]" },
    { "no-rootfs", "/domain/devices[count(disk)=1 and rng and not(vsock)]" },
    { "no-rootfs", "/domain/devices/filesystem/readonly" },
    { "no-rootfs", "/domain/devices/interface[@type='direct']/source[@dev='eth0']" },
    { "no-tee", "/domain[not(sysinfo) and not(os/smbios) and not(devices/tpm)]" },
    { "tdx-full", "/domain/devices/tpm[@model='tpm-tis']/backend[@type='emulator']" },
    { "tdx-full", "/domain/os/smbios[@mode='sysinfo']" },
    { "tdx-full", "/domain/sysinfo[@type='smbios' and count(*)=1]/system[count(*)=6]" },
    { "tdx-full", "/domain/sysinfo/system[entry[@name='product']='cvm \"one\" <1>']" },
    { "tdx-full", "/domain/sysinfo/system[entry[@name='serial']='S/N 7']" },
    { "tdx-full", "/domain/devices[count(disk)=5 and not(filesystem)]/disk[5]/target"
                  "[@dev='vde']" },
    { "vvfat", "/domain/sysinfo/system[count(*)=1]/entry[@name='product']" },
    { "vvfat", "/domain/*/*[@value='{\"driver\":\"vvfat\",\"node-name\":\"cvm-share\","
               "\"dir\":\"/var/lib/cvm/vms/web/shared\",\"label\":\"DSTACKSHR\","
               "\"read-only\":true}']" },
    { "escapes", "/domain/name[contains(., \"a&<b>'c'\") and contains(., '\"d\",e')]" },
    { "escapes", "/domain/os[loader=\"/srv/a&b<c>'d',,/ovmf.fd\"]" },
    { "escapes", "/domain/os[kernel='/srv/\"e\",f/bzImage' and initrd='/srv/&amp;/initrd']" },
    { "escapes", "/domain/devices/disk/source[@file='/srv/$[x]${y}/rootfs']" },
    { "escapes", "/domain/*/*[contains(@value, 'x,,,,y/console.log,logappend')]" },
    { "escapes", "/domain/devices/vsock/cid[@address='4294967295']" },
    { "gpus", "/domain/devices[count(hostdev[@managed='no'])=12 and "
              "count(controller[@model='pcie-root-port'])=12]" },
    { "gpus", "/domain[not(memoryBacking) and not(numatune) and not(cputune) and "
              "not(iommufd)]/cpu[not(numa)]" },
    { "gpus", "/domain/devices/hostdev[alias/@name='ua-nvswitch0' and "
              "source/address/@bus='0x05' and address/@bus='0x09']" },
    { "gpus", "/domain/devices/controller[@index='9']/address[@slot='0x0e']" },
    { "nodes", "/domain/devices/controller[@index='6' and @model='pcie-expander-bus']/target"
               "[@busNr='10' and node='1']" },
    { "nodes", "/domain/devices/hostdev[alias/@name='ua-gpu4' and address/@bus='0x07']/source/"
               "address[@domain='0x10001' and @slot='0x1f' and @function='0x7']" },
    { "nodes", "/domain/devices/controller[@index='7']/address[@bus='0x06' and @slot='0x00']" },
    { "nodes", "/domain/devices/controller[@index='11']/address[@bus='0x00']" },
    { "nodes", "/domain/cpu/numa/cell[2][@id='1' and @cpus='8-15' and @memory='33554432']" },
    { "nodes", "/domain/numatune/memnode[@cellid='1' and @nodeset='3']" },
    { "nodes", "/domain[count(cputune/vcpupin)=16]/cputune/vcpupin[@vcpu='8' and "
               "@cpuset='96']" },
    { "nodes", "/domain/memoryBacking/hugepages/page[@size='1048576']" },
    { "nodes", "/domain[not(iommufd)]/devices[count(hostdev/driver[@iommufd='yes'])=12]" },
    { "iommufd", "/domain[iommufd/@enabled='yes']/devices/hostdev/driver[not(@iommufd)]" },
    { "stand-in", "/domain[not(memoryBacking) and not(numatune) and not(cputune) and "
                  "not(iommufd)]/cpu/numa/cell[@memory='2097152']" },
    { "stand-in", "/domain/devices[count(rng[alias])=2 and not(hostdev)]" },
};

static void test_what_documents_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct cvm_machine m;
        char xpath[320];
        cvm_autobuf struct cvm_buf xml = render(find_case(facts[i].name), &m);
        /* A boolean expression becomes a set of nodes that it is a condition of. */
        snprintf(xpath, sizeof xpath, "/*[%s]", facts[i].xpath);
        must_match(&xml, xpath);
    }
}

static void expect_error(const struct golden_case *c, const struct cvm_machine *m,
                         enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf xml = { 0 };
    assert_false(cvm_domain_xml_render(m, &c->domain, &xml, &err));
    assert_error(&err, code, message);
}

static void test_what_cannot_be_said(void **state)
{
    struct golden_case c = *find_case("tdx");
    struct cvm_error err = { 0 };
    struct cvm_machine m;
    (void)state;
    must(cvm_machine_fill_platform(&c.config, &m, &err), &err);
    c.domain.share_mode = "nfs";
    expect_error(&c, &m, CVM_ERR_UNSUPPORTED, "host_share_mode 'nfs' cannot be launched");
    c.domain.share_mode = "9p";
    c.domain.cmdline = "a\nb";
    expect_error(&c, &m, CVM_ERR_MALFORMED, "value 'cmdline' has a control character");
    c.domain.cmdline = "quiet";
    c.domain.console_log = "/tmp/\x01";
    expect_error(&c, &m, CVM_ERR_MALFORMED, "value 'console_log' has a control character");
    c = *find_case("tdx");
    c.config.num_gpus = (struct cvm_opt_u64){ true, 1 };
    must(cvm_machine_fill_platform(&c.config, &m, &err), &err);
    expect_error(&c, &m, CVM_ERR_UNSUPPORTED,
                 "the machine has ports for 1 GPUs and 0 NVSwitches, and 0 and 0 are given to it");
    c.domain.placement = &eight_and_four;
    expect_error(&c, &m, CVM_ERR_UNSUPPORTED, "and 8 and 4 are given to it");
}

static bool render_case(const char *name, struct cvm_error *err)
{
    const struct golden_case *c = find_case(name);
    struct cvm_machine m;
    cvm_autobuf struct cvm_buf xml = { 0 };
    return cvm_machine_fill_platform(&c->config, &m, err) &&
           cvm_domain_xml_render(&m, &c->domain, &xml, err);
}

static bool render_largest(struct cvm_error *err)
{
    return render_case("tdx-full", err);
}

static bool render_vvfat(struct cvm_error *err)
{
    return render_case("vvfat", err);
}

static struct cvm_machine machine_of_nodes;

static bool render_nodes(struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf xml = { 0 };
    return cvm_domain_xml_render(&machine_of_nodes, &find_case("nodes")->domain, &xml, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(render_largest) >= 10);
    assert_true(fail_each_allocation(render_vvfat) >= 10);
    struct cvm_error err = { 0 };
    must(fill(find_case("nodes"), &machine_of_nodes, &err), &err);
    assert_true(fail_each_allocation(render_nodes) >= 10);
}

static int write_golden(const char *directory)
{
    struct cvm_error err = { 0 };
    cvm_autoclose int fd = -1;
    bool ok = cvm_dir_open(directory, &fd, &err);
    for (size_t i = 0; ok && i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_machine m;
        cvm_autobuf struct cvm_buf xml = { 0 };
        char name[64];
        snprintf(name, sizeof name, "domain-%s.xml", cases[i].name);
        ok = fill(&cases[i], &m, &err) && cvm_domain_xml_render(&m, &cases[i].domain, &xml, &err) &&
             cvm_file_write(fd, name, xml.data, xml.len, 0644, &err);
    }
    if (!ok) {
        fprintf(stderr, "test_domain_xml: %s\n", err.msg);
    }
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_documents),   cmocka_unit_test(test_slots),
        cmocka_unit_test(test_what_documents_say), cmocka_unit_test(test_what_cannot_be_said),
        cmocka_unit_test(test_out_of_memory),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        return write_golden(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
