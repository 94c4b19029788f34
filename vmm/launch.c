#include "vmm/launch.h"

#include "vmm/acpi_check.h"
#include "vmm/boot.h"
#include "vmm/domain_xml.h"
#include "vmm/guest_dir.h"
#include "vmm/launch_sign.h"
#include "vmm/log.h"
#include "vmm/share_disk.h"
#include "vmm/tpm.h"

#include <stdio.h>
#include <uuid/uuid.h>

enum { DEFAULT_CID_FIRST = 10000, DEFAULT_CID_COUNT = 1000, DEFAULT_ADDRESS_BITS = 46 };

void cvm_launched_free(struct cvm_launched *l)
{
    free(l->directory);
    cvm_buf_free(&l->xml);
    l->directory = NULL;
}

/* --- what the host can do --- */

static bool check_tdx(struct cvm_hypervisor *h, const struct cvm_host *host, struct cvm_error *err)
{
    bool has_tdx = false;
    if (!cvm_hypervisor_has_tdx(h, host->emulator, &has_tdx, err)) {
        return false;
    }
    if (has_tdx) {
        return true;
    }
    bool kvm = access("/dev/kvm", F_OK) == 0;
    bool module = access("/sys/module/kvm_intel/parameters/tdx", F_OK) == 0;
    return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                    "this host cannot start a TD: %s; `cvm check-host` says more. To run the guest "
                    "without TDX, say \"no_tee\": true in the request",
                    !kvm      ? "it has no /dev/kvm"
                    : !module ? "its kvm_intel module has no TDX support (or is not loaded)"
                              : "libvirt reports no launchSecurity of type tdx for this emulator "
                                "(libvirt 11.6 and QEMU 10.1 or newer are needed)");
}

static bool uses_kvm(const struct cvm_launch_plan *plan)
{
    return !plan->request->no_tee.value || strcmp(plan->host->accelerator, "kvm") == 0;
}

/*
 * Two modes need what only a daemon has: the network driver, and the netlink service, without which
 * libvirt ends whichever process sees the end of a guest with a macvtap.
 */
static bool check_networks(const struct cvm_hypervisor *h, const struct cvm_request *r,
                           struct cvm_error *err)
{
    for (size_t i = 0; i < r->num_networks && cvm_hypervisor_is_embedded(h); i++) {
        enum cvm_network_mode mode = r->networks[i].mode;
        if (mode == CVM_NETWORK_NETWORK || mode == CVM_NETWORK_DIRECT) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "networks[%zu]: mode '%s' needs a libvirt daemon; the embedded driver "
                            "has 'user' and 'bridge'",
                            i, r->networks[i].mode_word);
        }
    }
    return true;
}

/* Everything that the guest needs and this host may lack, before anything is written. */
static bool check_host(struct cvm_hypervisor *h, const struct cvm_launch_plan *plan,
                       struct cvm_error *err)
{
    return (plan->request->no_tee.value || check_tdx(h, plan->host, err)) &&
           check_networks(h, plan->request, err) &&
           (!plan->machine.tpm || cvm_tpm_possible(h, plan->host->emulator, err)) &&
           (!cvm_share_disk_needed(plan->config.host_share_mode) || cvm_share_disk_possible(err));
}

/* Whether another device has to take vsock's slot; without TDX only, and never silently. */
static bool check_vsock(struct cvm_launch_plan *plan, bool *stand_in, struct cvm_error *err)
{
    *stand_in = access("/dev/vhost-vsock", F_OK) != 0;
    if (!*stand_in) {
        return true;
    }
    if (!plan->request->no_tee.value) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "this host has no /dev/vhost-vsock; load the vhost_vsock module");
    }
    cvm_warn(&plan->warnings, "this host has no /dev/vhost-vsock: a virtio-rng device takes the "
                              "slot, and the guest has no vsock");
    return true;
}

/* The emulator itself is asked for the machine's tables, as the request or else the host says. */
static bool check_acpi(struct cvm_launch_plan *plan, struct cvm_error *err)
{
    const char *word = plan->request->acpi_check;
    enum cvm_acpi_check mode;
    return cvm_acpi_check_parse(word != NULL ? word : plan->host->acpi_check, &mode, err) &&
           cvm_acpi_check(mode, plan->host->emulator, &plan->machine, plan->host->state_dir,
                          &plan->warnings, err);
}

static bool has_devices(const struct cvm_placement *p)
{
    return p->num_gpus + p->num_nvswitches != 0 && !p->stand_in;
}

/* How the document is to ask for iommufd; h is NULL where libvirt is not asked. */
static bool choose_iommufd(struct cvm_hypervisor *h, const struct cvm_launch_plan *plan,
                           struct cvm_launched *out, struct cvm_error *err)
{
    enum { NEWEST = 999999999 };
    const struct cvm_host_devices *devices = &plan->host->devices;
    unsigned long version = devices->iommufd == CVM_IOMMUFD_ON ? NEWEST : 0;
    bool refused = false;
    if (!has_devices(&plan->placement)) {
        return true;
    }
    if (h != NULL && (!cvm_hypervisor_version(h, &version, err) ||
                      !cvm_hypervisor_refuses_iommufd(h, plan->host->emulator, &refused, err))) {
        return false;
    }
    return cvm_iommufd_choose(devices->iommufd, cvm_host_root(devices), version, refused,
                              &out->iommufd, err);
}

/* Devices that are not ready, or too few huge pages, would fail later and in other words. */
static bool check_resources(const struct cvm_launch_plan *plan, struct cvm_error *err)
{
    struct cvm_resources r;
    cvm_placement_resources(&plan->placement, &r);
    return cvm_resources_check(&r, cvm_host_root(&plan->host->devices), err);
}

/* --- the domain document --- */

/* Root gives QEMU an identity of its own choice; an ordinary user has only one. */
static const char *run_as(const struct cvm_host *host)
{
    if (host->run_as != NULL) {
        return host->run_as;
    }
    return geteuid() == 0 ? "+0:+0" : NULL;
}

static bool render_domain(const struct cvm_launch_plan *plan, const struct cvm_share *share,
                          struct cvm_launched *out, struct cvm_error *err)
{
    const struct cvm_bundle *b = &plan->bundle;
    const struct cvm_host *host = plan->host;
    cvm_autofree char *disk = NULL;
    cvm_autofree char *shared = NULL;
    cvm_autofree char *image = NULL;
    cvm_autofree char *console = NULL;
    cvm_autobuf struct cvm_buf mr_config_id = { 0 };
    if (asprintf(&disk, "%s/disk.raw", out->directory) < 0 ||
        asprintf(&shared, "%s/shared", out->directory) < 0 ||
        asprintf(&image, "%s/" CVM_SHARE_IMAGE, out->directory) < 0 ||
        asprintf(&console, "%s/console.log", out->directory) < 0) {
        return cvm_fail_nomem(err, "paths", 0);
    }
    if (!cvm_mr_config_id(&share->compose_hash, &mr_config_id, err)) {
        return false;
    }
    bool tdx = !plan->request->no_tee.value;
    const struct cvm_domain domain = {
        .name = plan->request->name,
        .uuid = out->uuid,
        .os_image_hash = plan->os_image_hash,
        .emulator = host->emulator,
        .firmware = b->files[CVM_BUNDLE_BIOS].path,
        .kernel = b->files[CVM_BUNDLE_KERNEL].path,
        .initrd = b->files[CVM_BUNDLE_INITRD].path,
        .cmdline = b->metadata.cmdline,
        .rootfs = b->files[CVM_BUNDLE_ROOTFS].path,
        .data_disk = disk,
        .share_dir = shared,
        .share_mode = plan->config.host_share_mode == NULL ? "9p" : plan->config.host_share_mode,
        .share_image = image,
        .share_readonly = b->metadata.shared_ro.value,
        .volumes = plan->request->volumes,
        .networks = plan->request->networks,
        .cid = out->cid,
        .vsock_stand_in = out->vsock_stand_in,
        .tdx = tdx,
        .kvm = uses_kvm(plan),
        .address_bits =
            host->guest_address_bits.set ? host->guest_address_bits.value : DEFAULT_ADDRESS_BITS,
        .mr_config_id = (const char *)mr_config_id.data,
        .qgs_socket = host->qgs_socket,
        .console_log = console,
        .run_as = run_as(host),
        .placement = &plan->placement,
        .iommufd = out->iommufd,
    };
    if (!cvm_domain_xml_render(&plan->machine, &domain, &out->xml, err)) {
        return false;
    }
    cvm_put_u8(&out->xml, '\0');
    return cvm_buf_finish(&out->xml, "domain document", err);
}

/* --- the whole way --- */

static bool define_and_start(struct cvm_hypervisor *h, const struct cvm_launch_plan *plan,
                             const struct cvm_launched *l, struct cvm_error *err)
{
    cvm_log("defining domain '%s', %s", plan->request->name, l->uuid);
    if (cvm_hypervisor_define(h, (const char *)l->xml.data, err) &&
        cvm_boot(h, &plan->bundle, plan->request, l->uuid, err)) {
        return true;
    }
    cvm_boot_take_back(h, l->uuid, true);
    return false;
}

static bool check_free(struct cvm_hypervisor *h, const char *name, struct cvm_error *err)
{
    bool taken = false;
    if (!cvm_hypervisor_has_name(h, name, &taken, err)) {
        return false;
    }
    return !taken ? true
                  : cvm_fail(err, CVM_ERR_USAGE,
                             "libvirt has a domain '%s' already, which this program did not make",
                             name);
}

/* What a launch works out before it writes anything. */
struct work {
    struct cvm_share share;
    struct cvm_buf vm_config; /* text */
    struct cvm_buf manifest;  /* text; empty where the host signs nothing */
    uint32_t cid_first, cid_count;
};

static void free_work(struct work *w)
{
    cvm_share_free(&w->share);
    cvm_buf_free(&w->vm_config);
    cvm_buf_free(&w->manifest);
}

static bool render_vm_config(const struct cvm_launch_plan *plan, struct cvm_buf *out,
                             struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder json = { 0 };
    cvm_json_put_any(&json, NULL, plan->vm_config);
    return cvm_json_finish(&json, CVM_JSON_ONE_LINE, out, err);
}

static bool choose_cids(const struct cvm_host *host, struct work *w, struct cvm_error *err)
{
    uint64_t first = host->cid_first.set ? host->cid_first.value : DEFAULT_CID_FIRST;
    uint64_t count = host->cid_count.set ? host->cid_count.value : DEFAULT_CID_COUNT;
    if (count > UINT32_MAX - first) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "cid_first %llu + cid_count %llu exceed 2^32 - 1",
                        (unsigned long long)first, (unsigned long long)count);
    }
    w->cid_first = (uint32_t)first;
    w->cid_count = (uint32_t)count;
    return true;
}

static bool prepare(struct cvm_launch_plan *plan, struct work *w, struct cvm_launched *out,
                    struct cvm_error *err)
{
    uuid_t uuid;
    uuid_generate_random(uuid);
    uuid_unparse_lower(uuid, out->uuid);
    if (!choose_cids(plan->host, w, err) || !check_vsock(plan, &out->vsock_stand_in, err) ||
        !render_vm_config(plan, &w->vm_config, err)) {
        return false;
    }
    cvm_autofree char *text = strndup((const char *)w->vm_config.data, w->vm_config.len);
    return text != NULL ? cvm_share_load(plan, text, &w->share, err)
                        : cvm_fail_nomem(err, "vm_config", w->vm_config.len);
}

static bool name_directory(const struct cvm_launch_plan *plan, const char *guests,
                           struct cvm_launched *out, struct cvm_error *err)
{
    if (asprintf(&out->directory, "%s/%s", guests, plan->request->name) < 0) {
        out->directory = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    return true;
}

bool cvm_launch_preview(struct cvm_launch_plan *plan, struct cvm_launched *out,
                        struct cvm_error *err)
{
    cvm_autostore struct cvm_store store = { .fd = -1 };
    cvm_autofree char *guests = NULL;
    CVM_CLEANUP(free_work)
    struct work w = { 0 };
    if (!prepare(plan, &w, out, err) || !choose_iommufd(NULL, plan, out, err)) {
        return false;
    }
    struct cvm_error problem = { 0 };
    if (!check_resources(plan, &problem)) {
        cvm_warn(&plan->warnings, "a launch would fail now: %s", problem.msg);
    }
    out->cid = w.cid_first;
    if (asprintf(&guests, "%s/vms", plan->host->state_dir) < 0) {
        guests = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    if (access(guests, F_OK) == 0 &&
        (!cvm_store_open(plan->host->state_dir, false, &store, err) ||
         !cvm_store_peek(&store, plan->request->name, w.cid_first, w.cid_count, &out->cid, err))) {
        return false;
    }
    return name_directory(plan, store.path == NULL ? guests : store.path, out, err) &&
           render_domain(plan, &w.share, out, err);
}

/* Makes the directory and gives it its name; afterwards the guest exists, without a domain. */
static bool write_guest(const struct cvm_launch_plan *plan, const struct work *w,
                        struct cvm_claim *claim, const struct cvm_launched *l,
                        struct cvm_error *err)
{
    const struct cvm_guest_files files = {
        .plan = plan,
        .launched = l,
        .share = &w->share,
        .vm_config = &w->vm_config,
        .share_is_image = cvm_share_disk_needed(plan->config.host_share_mode),
        .manifest = &w->manifest,
        .owner = run_as(plan->host),
    };
    cvm_log("writing '%s'", l->directory);
    return cvm_claim_make(claim, err) && cvm_guest_dir_write(&files, claim->fd, err) &&
           cvm_claim_commit(claim, err);
}

bool cvm_launch(struct cvm_launch_plan *plan, struct cvm_launched *out, struct cvm_error *err)
{
    cvm_autohypervisor struct cvm_hypervisor *h = NULL;
    cvm_autostore struct cvm_store store = { .fd = -1 };
    cvm_autoclaim struct cvm_claim claim = CVM_CLAIM_NONE;
    CVM_CLEANUP(free_work)
    struct work w = { 0 };
    const char *name = plan->request->name;
    if (!prepare(plan, &w, out, err) || !check_acpi(plan, err) ||
        !cvm_launch_sign(plan, &w.vm_config, &w.manifest, err) ||
        !cvm_hypervisor_open(plan->host->libvirt_uri, &h, err) || !check_host(h, plan, err) ||
        !choose_iommufd(h, plan, out, err) ||
        !cvm_store_open(plan->host->state_dir, true, &store, err) ||
        !cvm_store_claim(&store, name, w.cid_first, w.cid_count, &claim, err) ||
        !check_free(h, name, err) || !cvm_launch_plan_place_again(plan, &store, err) ||
        !check_resources(plan, err)) {
        return false;
    }
    out->cid = claim.cid;
    if (!name_directory(plan, store.path, out, err) || !render_domain(plan, &w.share, out, err) ||
        !write_guest(plan, &w, &claim, out, err)) {
        return false;
    }
    if (define_and_start(h, plan, out, err)) {
        return true;
    }
    struct cvm_error ignored = { 0 };
    (void)!cvm_store_delete(&store, name, &ignored);
    return false;
}
