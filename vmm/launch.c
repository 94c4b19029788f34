#include "vmm/launch.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "vmm/domain_xml.h"
#include "vmm/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
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
    cvm_autofree char *console = NULL;
    cvm_autobuf struct cvm_buf mr_config_id = { 0 };
    if (asprintf(&disk, "%s/disk.raw", out->directory) < 0 ||
        asprintf(&shared, "%s/shared", out->directory) < 0 ||
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
        .share_readonly = b->metadata.shared_ro.value,
        .volumes = plan->request->volumes,
        .networks = plan->request->networks,
        .cid = out->cid,
        .vsock_stand_in = out->vsock_stand_in,
        .tdx = tdx,
        .kvm = tdx || strcmp(host->accelerator, "kvm") == 0,
        .address_bits =
            host->guest_address_bits.set ? host->guest_address_bits.value : DEFAULT_ADDRESS_BITS,
        .mr_config_id = (const char *)mr_config_id.data,
        .qgs_socket = host->qgs_socket,
        .console_log = console,
        .run_as = run_as(host),
    };
    if (!cvm_domain_xml_render(&plan->machine, &domain, &out->xml, err)) {
        return false;
    }
    cvm_put_u8(&out->xml, '\0');
    return cvm_buf_finish(&out->xml, "domain document", err);
}

/* --- the directory --- */

static bool write_text(int dir_fd, const char *name, const struct cvm_buf *text,
                       struct cvm_error *err)
{
    return cvm_file_write(dir_fd, name, text->data, text->len, 0644, err);
}

static bool write_json(int dir_fd, const char *name, struct json_object *document,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_put_any(&b, NULL, document);
    return cvm_json_finish(&b, CVM_JSON_PRETTY, &text, err) && write_text(dir_fd, name, &text, err);
}

static bool write_expected(const struct cvm_launch_plan *plan, int dir_fd, struct cvm_error *err)
{
    const struct cvm_report report = cvm_launch_plan_report(plan);
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_report_put(&report, &b);
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_PRETTY, &text, err) &&
           write_text(dir_fd, "expected.json", &text, err);
}

static bool write_record(const struct cvm_launch_plan *plan, const struct cvm_launched *l,
                         int dir_fd, struct cvm_error *err)
{
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "name", plan->request->name);
    cvm_json_put_string(&b, "uuid", l->uuid);
    cvm_json_put_string(&b, "image", plan->bundle.path);
    cvm_json_put_string(&b, "emulator", plan->host->emulator);
    cvm_json_put_string(&b, "libvirt_uri", plan->host->libvirt_uri);
    cvm_json_put_string(&b, "created", created);
    cvm_json_put_u64(&b, "cid", l->cid);
    cvm_json_put_bool(&b, "no_tee", plan->request->no_tee.value);
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_PRETTY, &text, err) &&
           write_text(dir_fd, "vm.json", &text, err);
}

/* A sparse file: it takes room as the guest writes. */
static bool make_disk(int dir_fd, uint64_t size, struct cvm_error *err)
{
    cvm_autoclose int fd =
        openat(dir_fd, "disk.raw", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        return cvm_fail_errno(err, errno, "create disk of %llu bytes", (unsigned long long)size);
    }
    return true;
}

/* "+64055:+64055"; false for names, which libvirt understands as well. */
static bool parse_owner(const char *owner, uid_t *uid, gid_t *gid)
{
    char *end;
    if (owner[0] != '+') {
        return false;
    }
    *uid = (uid_t)strtoul(owner + 1, &end, 10);
    if (end == owner + 1 || strncmp(end, ":+", 2) != 0) {
        return false;
    }
    const char *group = end + 2;
    *gid = (gid_t)strtoul(group, &end, 10);
    return end != group && *end == '\0';
}

/* QEMU may run as somebody else ("+64055:+64055"): what it writes must then be theirs. */
static bool give_away(int dir_fd, const char *owner, struct cvm_error *err)
{
    static const char *const written[] = { "disk.raw", "console.log" };
    uid_t uid;
    gid_t gid;
    if (owner == NULL || geteuid() != 0 || !parse_owner(owner, &uid, &gid)) {
        return true;
    }
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        if (fchownat(dir_fd, written[i], uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
            return cvm_fail_errno(err, errno, "give '%s' to %s", written[i], owner);
        }
    }
    return true;
}

static bool write_directory(const struct cvm_launch_plan *plan, const struct cvm_share *share,
                            const struct cvm_buf *vm_config, const struct cvm_launched *l,
                            int dir_fd, struct cvm_error *err)
{
    return write_json(dir_fd, "request.json", plan->request->document, err) &&
           write_text(dir_fd, "vm_config.json", vm_config, err) &&
           write_expected(plan, dir_fd, err) &&
           cvm_file_write(dir_fd, "domain.xml", l->xml.data, l->xml.len - 1, 0644, err) &&
           cvm_share_write(share, dir_fd, err) &&
           make_disk(dir_fd, plan->request->disk_size.value, err) &&
           cvm_file_write(dir_fd, "console.log", "", 0, 0640, err) &&
           give_away(dir_fd, run_as(plan->host), err) && write_record(plan, l, dir_fd, err);
}

/* --- starting --- */

static bool forward_ports(struct cvm_hypervisor *h, const struct cvm_request *r, const char *uuid,
                          struct cvm_error *err)
{
    unsigned nic = 0;
    while (nic < r->num_networks && r->networks[nic].mode != CVM_NETWORK_USER) {
        nic++;
    }
    for (size_t i = 0; i < r->num_ports; i++) {
        const struct cvm_port *p = &r->ports[i];
        if (!cvm_hypervisor_forward(h, uuid, nic, p->protocol, p->address,
                                    (unsigned)p->host_port.value, (unsigned)p->guest_port.value,
                                    err)) {
            return false;
        }
    }
    return true;
}

/*
 * The guest's CPUs run only after QEMU has read firmware, kernel and initrd, and the files are
 * still those that were verified.
 */
static bool start(struct cvm_hypervisor *h, const struct cvm_bundle *bundle,
                  const struct cvm_request *request, const char *uuid, struct cvm_error *err)
{
    return cvm_bundle_unchanged(bundle, err) && cvm_hypervisor_start_paused(h, uuid, err) &&
           cvm_bundle_unchanged(bundle, err) && forward_ports(h, request, uuid, err) &&
           cvm_hypervisor_resume(h, uuid, err);
}

/* Takes back a start; what goes wrong here must not hide why. */
static void take_back(struct cvm_hypervisor *h, const char *uuid, bool undefine)
{
    struct cvm_error ignored = { 0 };
    bool graceful;
    (void)!cvm_hypervisor_stop(h, uuid, 0, &graceful, &ignored);
    ignored = (struct cvm_error){ 0 };
    if (undefine) {
        (void)!cvm_hypervisor_undefine(h, uuid, &ignored);
    }
}

static bool define_and_start(struct cvm_hypervisor *h, const struct cvm_launch_plan *plan,
                             const struct cvm_launched *l, struct cvm_error *err)
{
    if (cvm_hypervisor_define(h, (const char *)l->xml.data, err) &&
        start(h, &plan->bundle, plan->request, l->uuid, err)) {
        return true;
    }
    take_back(h, l->uuid, true);
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
    uint32_t cid_first, cid_count;
};

static void free_work(struct work *w)
{
    cvm_share_free(&w->share);
    cvm_buf_free(&w->vm_config);
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
    if (!prepare(plan, &w, out, err)) {
        return false;
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
    return cvm_claim_make(claim, err) &&
           write_directory(plan, &w->share, &w->vm_config, l, claim->fd, err) &&
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
    if (!prepare(plan, &w, out, err) || !cvm_hypervisor_open(plan->host->libvirt_uri, &h, err) ||
        (!plan->request->no_tee.value && !check_tdx(h, plan->host, err)) ||
        !cvm_store_open(plan->host->state_dir, true, &store, err) ||
        !cvm_store_claim(&store, name, w.cid_first, w.cid_count, &claim, err) ||
        !check_free(h, name, err)) {
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

/* --- starting again --- */

/* The guest's declaration must still be true of the emulator and of the image. */
static bool check_declared(const struct cvm_vm *vm, const struct cvm_bundle *bundle,
                           struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config declared = { 0 };
    char hash[2 * sizeof bundle->os_image_hash + 1];
    struct cvm_qemu_version then;
    struct cvm_qemu_version now;
    if (asprintf(&path, "%s/vm_config.json", vm->path) < 0) {
        path = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    if (!cvm_json_load(path, &document, err) || !cvm_vm_config_decode(document, &declared, err) ||
        !cvm_qemu_version_parse(declared.qemu_version == NULL ? "" : declared.qemu_version, &then,
                                err) ||
        !cvm_emulator_version(vm->record.emulator, &now, err)) {
        return false;
    }
    cvm_hex_encode(bundle->os_image_hash.bytes, sizeof bundle->os_image_hash, hash);
    if (declared.os_image_hash == NULL || strcmp(declared.os_image_hash, hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "'%s' is another image now: the guest is declared with os_image_hash %s",
                        bundle->path, declared.os_image_hash);
    }
    return cvm_qemu_version_compare(then, now) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "'%s' is now QEMU %u.%u.%u, but the guest is declared with %u.%u.%u and "
                          "would measure differently; remove it and launch it anew",
                          vm->record.emulator, now.major, now.minor, now.micro, then.major,
                          then.minor, then.micro);
}

static bool load_domain_xml(const struct cvm_vm *vm, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    if (!cvm_file_open_beneath(vm->fd, "domain.xml", &fd, err) ||
        !cvm_file_read(fd, "domain.xml", CVM_JSON_MAX_SIZE, out, err)) {
        return false;
    }
    cvm_put_u8(out, '\0');
    return cvm_buf_finish(out, "domain.xml", err);
}

static bool load_request(const struct cvm_vm *vm, struct cvm_request *out, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (asprintf(&path, "%s/request.json", vm->path) < 0) {
        path = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    return cvm_request_load(path, out, err);
}

static bool check_off(struct cvm_hypervisor *h, const struct cvm_vm *vm, struct cvm_error *err)
{
    enum cvm_domain_state state;
    if (!cvm_hypervisor_state(h, vm->record.uuid, &state, err)) {
        return false;
    }
    return state != CVM_DOMAIN_RUNNING && state != CVM_DOMAIN_PAUSED
               ? true
               : cvm_fail(err, CVM_ERR_USAGE, "it is %s already", cvm_domain_state_word(state));
}

bool cvm_launch_again(const struct cvm_host *host, const struct cvm_vm *vm,
                      cvm_bundle_progress *progress, struct cvm_error *err)
{
    cvm_autohypervisor struct cvm_hypervisor *h = NULL;
    cvm_autobundle struct cvm_bundle bundle = CVM_BUNDLE_NONE;
    cvm_autorequest struct cvm_request request = { 0 };
    cvm_autobuf struct cvm_buf xml = { 0 };
    if (!cvm_hypervisor_open(host->libvirt_uri, &h, err) || !check_off(h, vm, err) ||
        !load_domain_xml(vm, &xml, err) || !load_request(vm, &request, err) ||
        !cvm_bundle_open(vm->record.image, &bundle, err) || !check_declared(vm, &bundle, err) ||
        !cvm_bundle_verify(&bundle, false, progress, err)) {
        return false;
    }
    if (cvm_hypervisor_define(h, (const char *)xml.data, err) &&
        start(h, &bundle, &request, vm->record.uuid, err)) {
        return true;
    }
    take_back(h, vm->record.uuid, false);
    return false;
}
