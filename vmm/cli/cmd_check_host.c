/*
 * cvm check-host: what is missing on this host, in plain words.
 */
#include "vmm/cli/commands.h"
#include "vmm/device_pool.h"
#include "vmm/hypervisor.h"
#include "vmm/machine.h"
#include "vmm/share_disk.h"
#include "vmm/tpm.h"
#include "vmm/vfio.h"

#include "measure/include/cvm/acpi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

enum { MAX_CHECKS = 16 + CVM_MAX_SELECTORS * 2, DETAIL_SIZE = 400, NAME_SIZE = 32 };

enum check_result { CHECK_OK, CHECK_MISSING, CHECK_NOTE };

struct check {
    char name[NAME_SIZE];
    enum check_result result;
    char detail[DETAIL_SIZE];
};

struct checks {
    struct check items[MAX_CHECKS];
    size_t count;
};

static void note(struct checks *c, const char *name, enum check_result result, const char *fmt, ...)
    CVM_PRINTF(4, 5);

static void note(struct checks *c, const char *name, enum check_result result, const char *fmt, ...)
{
    if (c->count == MAX_CHECKS) {
        return;
    }
    struct check *check = &c->items[c->count++];
    va_list args;
    snprintf(check->name, sizeof check->name, "%s", name);
    check->result = result;
    va_start(args, fmt);
    vsnprintf(check->detail, sizeof check->detail, fmt, args);
    va_end(args);
}

static void check_device(struct checks *c, const char *path, const char *remedy)
{
    if (access(path, R_OK | W_OK) == 0) {
        note(c, path, CHECK_OK, "usable");
        return;
    }
    note(c, path, CHECK_MISSING, "%s; %s", errno == ENOENT ? "does not exist" : "no access",
         remedy);
}

static void check_kvm_module(struct checks *c)
{
    static const char path[] = "/sys/module/kvm_intel/parameters/tdx";
    char value = '?';
    cvm_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &value, 1) != 1) {
        note(c, "kvm_intel tdx", CHECK_MISSING,
             "%s does not exist: the kernel has no TDX support, or kvm_intel is not loaded", path);
        return;
    }
    note(c, "kvm_intel tdx", value == 'Y' ? CHECK_OK : CHECK_MISSING, "%s",
         value == 'Y' ? "on" : "off; load kvm_intel with tdx=1, and enable TDX in the BIOS");
}

static void check_emulator(struct checks *c, const struct cvm_host *host)
{
    static const struct cvm_qemu_version first_tdx = { 8, 0, 0 };
    struct cvm_error problem = { 0 };
    struct cvm_qemu_version v;
    if (!cvm_emulator_version(host->emulator, &v, &problem)) {
        note(c, "emulator", CHECK_MISSING, "%.300s", problem.msg);
        return;
    }
    struct cvm_machine machine = { .qemu = v,
                                   .cpu_count = 1,
                                   .memory_size = UINT64_C(1) << 31,
                                   .pciexbar_base = CVM_PCIEXBAR_BASE,
                                   .pci_window64_base = CVM_PCI_WINDOW64_BASE };
    struct cvm_acpi acpi = { 0 };
    bool known = cvm_acpi_build(&machine, &acpi, &problem);
    bool capable = cvm_qemu_version_compare(v, first_tdx) >= 0;
    note(c, "emulator", known && capable ? CHECK_OK : CHECK_MISSING, "%s is QEMU %u.%u.%u%s%s",
         host->emulator, v.major, v.minor, v.micro, capable ? "" : ", which is too old for TDX",
         !known              ? ", whose ACPI tables are not known"
         : acpi.extrapolated ? ", whose ACPI tables are extrapolated"
                             : "");
    cvm_acpi_free(&acpi);
}

/* Only guests that ask for it need it. */
static void check_tpm(struct checks *c, struct cvm_hypervisor *h, const struct cvm_host *host)
{
    struct cvm_error problem = { 0 };
    if (cvm_tpm_possible(h, host->emulator, &problem)) {
        note(c, "swtpm", CHECK_OK, "guests can have a TPM");
        return;
    }
    note(c, "swtpm", CHECK_NOTE, "%.300s", problem.msg);
}

static void check_share_disk(struct checks *c)
{
    struct cvm_error problem = { 0 };
    if (cvm_share_disk_possible(&problem)) {
        note(c, "share as a disk", CHECK_OK, "host_share_mode 'vhd' can be used");
        return;
    }
    note(c, "share as a disk", CHECK_NOTE, "%.300s", problem.msg);
}

/* Hosts that give nothing away are asked for nothing. */
static bool gives_devices(const struct cvm_host *host)
{
    return host->devices.gpus.count + host->devices.nvswitches.count != 0;
}

static void check_iommufd(struct checks *c, const struct cvm_host *host, struct cvm_hypervisor *h,
                          unsigned long version)
{
    struct cvm_error problem = { 0 };
    const char *root = cvm_host_root(&host->devices);
    enum cvm_iommufd_form form = CVM_IOMMUFD_NONE;
    bool refused = false;
    if (!gives_devices(host)) {
        return;
    }
    if (!cvm_hypervisor_refuses_iommufd(h, host->emulator, &refused, &problem) ||
        !cvm_iommufd_choose(host->devices.iommufd, root, version, refused, &form, &problem)) {
        note(c, "iommufd", CHECK_NOTE, "%.300s", problem.msg);
        return;
    }
    note(c, "iommufd", CHECK_OK, "%s",
         form != CVM_IOMMUFD_NONE                   ? "used for GPUs and NVSwitches"
         : host->devices.iommufd == CVM_IOMMUFD_OFF ? "off in the host configuration"
         : !cvm_sysfs_has(root, "/dev/iommu")       ? "no /dev/iommu: VFIO groups are used"
                                                    : "not offered by libvirt, which 12.1 and "
                                                      "newer do: VFIO groups are used");
}

static void check_libvirt(struct checks *c, const struct cvm_host *host)
{
    struct cvm_error problem = { 0 };
    cvm_autohypervisor struct cvm_hypervisor *h = NULL;
    unsigned long v = 0;
    bool has_tdx = false;
    if (!cvm_hypervisor_open(host->libvirt_uri, &h, &problem) ||
        !cvm_hypervisor_version(h, &v, &problem)) {
        note(c, "libvirt", CHECK_MISSING, "%.300s", problem.msg);
        return;
    }
    note(c, "libvirt", CHECK_OK, "%s, version %lu.%lu.%lu", host->libvirt_uri, v / 1000000,
         v / 1000 % 1000, v % 1000);
    check_iommufd(c, host, h, v);
    if (!cvm_hypervisor_has_tdx(h, host->emulator, &has_tdx, &problem)) {
        note(c, "libvirt tdx", CHECK_MISSING, "%.300s", problem.msg);
        return;
    }
    note(c, "libvirt tdx", has_tdx ? CHECK_OK : CHECK_MISSING, "%s",
         has_tdx ? "launchSecurity of type tdx is reported"
                 : "no launchSecurity of type tdx is reported (libvirt 11.6 and QEMU 10.1 or newer "
                   "on a host with TDX report it)");
    check_tpm(c, h, host);
}

static void check_directory(struct checks *c, const char *name, const char *path, int mode)
{
    if (access(path, mode) == 0) {
        note(c, name, CHECK_OK, "%s", path);
        return;
    }
    note(c, name, CHECK_NOTE, "'%s': %s", path, errno == ENOENT ? "does not exist" : "no access");
}

static void check_quote_service(struct checks *c, const struct cvm_host *host)
{
    static const char usual[] = "/var/run/tdx-qgs/qgs.socket";
    const char *path = host->qgs_socket != NULL ? host->qgs_socket : usual;
    bool exists = access(path, F_OK) == 0;
    note(c, "quote service", exists ? CHECK_OK : CHECK_NOTE, "'%s'%s", path,
         exists ? "" : " does not exist: guests could not get quotes");
}

/* --- what may be given to guests --- */

static void check_pool(struct checks *c, const struct cvm_host *host)
{
    struct cvm_error problem = { 0 };
    cvm_autoholdings struct cvm_holdings held = { 0 };
    cvm_autopool struct cvm_device_pool pool = { 0 };
    cvm_autowarnings struct cvm_warnings absent = { 0 };
    if (!cvm_holdings_of_host(host, &held, &problem) ||
        !cvm_device_pool_load(&host->devices, &held, &pool, &absent, &problem)) {
        note(c, "devices", CHECK_NOTE, "%.300s", problem.msg);
        return;
    }
    for (unsigned i = 0; i < absent.count; i++) {
        note(c, "devices", CHECK_NOTE, "%.300s", absent.items[i]);
    }
    for (size_t i = 0; i < pool.count; i++) {
        const struct cvm_pool_device *d = &pool.items[i];
        const struct cvm_pci_facts *f = &d->facts;
        const struct cvm_pci_text at = cvm_pci_address_text(f->address);
        char name[NAME_SIZE];
        struct cvm_error why = { 0 };
        snprintf(name, sizeof name, "%s %s", cvm_pool_word(d->kind), at.text);
        if (!cvm_vfio_check(cvm_host_root(&host->devices), cvm_pool_word(d->kind), f->address,
                            &why)) {
            note(c, name, CHECK_NOTE, "%.350s", why.msg);
            continue;
        }
        note(c, name, CHECK_OK, "%04x:%04x, NUMA node %d, %s%s", f->vendor, f->device, f->numa_node,
             d->owner == NULL ? "free" : "held by guest ", d->owner == NULL ? "" : d->owner);
    }
}

static void check_huge_pages(struct checks *c, const struct cvm_host *host)
{
    struct cvm_error problem = { 0 };
    const char *root = cvm_host_root(&host->devices);
    struct cvm_cpu_set nodes;
    if (!cvm_host_nodes(root, &nodes, &problem)) {
        note(c, "huge pages", CHECK_NOTE, "%.300s", problem.msg);
        return;
    }
    for (uint32_t node = 0; node < CVM_MAX_HOST_NODES; node++) {
        const struct cvm_huge_pages pages = {
            .bound = true,
            .node = node,
            .size = host->devices.hugepage_size.value,
        };
        uint64_t available = 0;
        if (!cvm_cpu_set_has(&nodes, node)) {
            continue;
        }
        if (!cvm_huge_pages_free(root, &pages, &available, &problem)) {
            note(c, "huge pages", CHECK_NOTE, "%.300s", problem.msg);
            return;
        }
        note(c, "huge pages", CHECK_OK, "NUMA node %u: %llu free of %llu KiB", node,
             (unsigned long long)available, (unsigned long long)pages.size >> 10);
    }
}

static void check_devices(struct checks *c, const struct cvm_host *host)
{
    if (!gives_devices(host)) {
        return;
    }
    check_pool(c, host);
    check_huge_pages(c, host);
}

static bool answer(const struct cli *cli, const struct checks *c, bool ready, struct cvm_error *err)
{
    static const char *const words[] = {
        [CHECK_OK] = "ok",
        [CHECK_MISSING] = "missing",
        [CHECK_NOTE] = "note",
    };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_bool(&b, "ready_for_tdx", ready);
    cvm_json_begin_array(&b, "checks");
    for (size_t i = 0; i < c->count; i++) {
        const struct check *check = &c->items[i];
        cvm_json_begin_object(&b, NULL);
        cvm_json_put_string(&b, "name", check->name);
        cvm_json_put_string(&b, "result", words[check->result]);
        cvm_json_put_string(&b, "detail", check->detail);
        cvm_json_end(&b);
        cvm_put_format(&text, "%-8s %-22s %s\n", words[check->result], check->name, check->detail);
    }
    cvm_json_end(&b);
    cvm_json_end(&b);
    return cli->json ? cli_print_json(&b, err)
                     : cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
}

static bool run_check_host(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    cvm_autohost struct cvm_host host = { 0 };
    struct checks checks = { 0 };
    bool ready = true;
    if (!cvm_host_load(&cli->host, &host, err)) {
        return false;
    }
    check_device(&checks, "/dev/kvm", "load the kvm_intel module, or join the group kvm");
    check_kvm_module(&checks);
    check_device(&checks, "/dev/vhost-vsock", "load the vhost_vsock module");
    check_emulator(&checks, &host);
    check_libvirt(&checks, &host);
    check_share_disk(&checks);
    check_quote_service(&checks, &host);
    check_directory(&checks, "image directory", host.image_dir, R_OK | X_OK);
    check_directory(&checks, "state directory", host.state_dir, W_OK | X_OK);
    check_devices(&checks, &host);
    for (size_t i = 0; i < checks.count; i++) {
        ready &= checks.items[i].result != CHECK_MISSING;
    }
    if (!answer(cli, &checks, ready, err)) {
        return false;
    }
    return ready ? true : cvm_fail(err, CVM_ERR_MISMATCH, "this host cannot start TDX guests yet");
}

const struct cli_command cmd_check_host = {
    .name = "check-host",
    .operands = "",
    .summary = "Say what this host lacks for TDX guests; exit status 0 when nothing.",
    .example = "cvm check-host",
    .run = run_check_host,
};
