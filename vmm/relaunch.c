/*
 * Starting a guest that was launched before.
 */
#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "vmm/boot.h"
#include "vmm/launch.h"
#include "vmm/log.h"
#include "vmm/share_disk.h"
#include "vmm/tpm.h"

#include <stdio.h>

static bool load_declared(const struct cvm_vm *vm, struct json_object **document,
                          struct cvm_vm_config *out, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    if (asprintf(&path, "%s/vm_config.json", vm->path) < 0) {
        path = NULL;
        return cvm_fail_nomem(err, "path", 0);
    }
    return cvm_json_load(path, document, err) && cvm_vm_config_decode(*document, out, err);
}

/* The guest's declaration must still be true of the emulator and of the image. */
static bool check_declared(const struct cvm_vm *vm, const struct cvm_bundle *bundle,
                           const struct cvm_vm_config *declared, struct cvm_error *err)
{
    char hash[2 * sizeof bundle->os_image_hash + 1];
    struct cvm_qemu_version then;
    struct cvm_qemu_version now;
    if (!cvm_qemu_version_parse(declared->qemu_version == NULL ? "" : declared->qemu_version, &then,
                                err) ||
        !cvm_emulator_version(vm->record.emulator, &now, err)) {
        return false;
    }
    cvm_hex_encode(bundle->os_image_hash.bytes, sizeof bundle->os_image_hash, hash);
    if (declared->os_image_hash == NULL || strcmp(declared->os_image_hash, hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH,
                        "'%s' is another image now: the guest is declared with os_image_hash %s",
                        bundle->path, declared->os_image_hash);
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

/* What the guest needs of this host besides. */
static bool prepare(struct cvm_hypervisor *h, const struct cvm_vm *vm,
                    const struct cvm_vm_config *declared, struct cvm_error *err)
{
    return (!declared->swtpm.value || cvm_tpm_possible(h, vm->record.emulator, err)) &&
           (!cvm_share_disk_needed(declared->host_share_mode) || cvm_share_disk_make(vm->fd, err));
}

/* What the guest holds of the host must be there still; of a stand-in's guest nothing is. */
static bool check_resources(const struct cvm_host *host, const struct cvm_vm *vm,
                            struct cvm_error *err)
{
    struct cvm_resources r;
    return cvm_resources_decode(vm->record.resources, &r, err) &&
           (r.stand_in || cvm_resources_check(&r, cvm_host_root(&host->devices), err));
}

bool cvm_launch_again(const struct cvm_host *host, const struct cvm_vm *vm,
                      cvm_bundle_progress *progress, struct cvm_error *err)
{
    cvm_autohypervisor struct cvm_hypervisor *h = NULL;
    cvm_autobundle struct cvm_bundle bundle = CVM_BUNDLE_NONE;
    cvm_autorequest struct cvm_request request = { 0 };
    cvm_autobuf struct cvm_buf xml = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config declared = { 0 };
    if (!cvm_hypervisor_open(host->libvirt_uri, &h, err) || !check_off(h, vm, err) ||
        !check_resources(host, vm, err) || !load_domain_xml(vm, &xml, err) ||
        !load_request(vm, &request, err) || !load_declared(vm, &document, &declared, err) ||
        !cvm_bundle_open(vm->record.image, &bundle, err) ||
        !check_declared(vm, &bundle, &declared, err) ||
        !cvm_bundle_verify(&bundle, false, progress, err) || !prepare(h, vm, &declared, err)) {
        return false;
    }
    if (cvm_hypervisor_define(h, (const char *)xml.data, err) &&
        cvm_boot(h, &bundle, &request, vm->record.uuid, err)) {
        return true;
    }
    cvm_boot_take_back(h, vm->record.uuid, false);
    return false;
}
