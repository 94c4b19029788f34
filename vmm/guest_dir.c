#include "vmm/guest_dir.h"

#include "measure/base/file.h"
#include "vmm/share_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <time.h>

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
    struct cvm_resources resources;
    cvm_placement_resources(&plan->placement, &resources);
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "name", plan->request->name);
    cvm_json_put_string(&b, "uuid", l->uuid);
    cvm_json_put_string(&b, "image", plan->bundle.path);
    cvm_json_put_string(&b, "emulator", plan->host->emulator);
    cvm_json_put_string(&b, "libvirt_uri", plan->host->libvirt_uri);
    cvm_json_put_string(&b, "created", created);
    cvm_json_put_u64(&b, "cid", l->cid);
    cvm_json_put_bool(&b, "no_tee", plan->request->no_tee.value);
    cvm_json_put_bool(&b, "has_vsock", !l->vsock_stand_in);
    if (!cvm_resources_put(&resources, &b, err)) {
        return false;
    }
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

/* "+64055" is a number, anything else a name. */
static bool parse_user(const char *text, uid_t *out)
{
    char *end;
    if (text[0] == '+') {
        *out = (uid_t)strtoul(text + 1, &end, 10);
        return end != text + 1 && *end == '\0';
    }
    const struct passwd *user = getpwnam(text);
    *out = user == NULL ? 0 : user->pw_uid;
    return user != NULL;
}

static bool parse_group(const char *text, gid_t *out)
{
    char *end;
    if (text[0] == '+') {
        *out = (gid_t)strtoul(text + 1, &end, 10);
        return end != text + 1 && *end == '\0';
    }
    const struct group *group = getgrnam(text);
    *out = group == NULL ? 0 : group->gr_gid;
    return group != NULL;
}

/* "+64055:+64055" or "libvirt-qemu:kvm". */
static bool parse_owner(const char *owner, uid_t *uid, gid_t *gid, struct cvm_error *err)
{
    char user[128];
    const char *colon = strchr(owner, ':');
    size_t length = colon == NULL ? 0 : (size_t)(colon - owner);
    if (length == 0 || length >= sizeof user) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "run_as '%s' is not USER:GROUP", owner);
    }
    memcpy(user, owner, length);
    user[length] = '\0';
    return parse_user(user, uid) && parse_group(colon + 1, gid)
               ? true
               : cvm_fail(err, CVM_ERR_MALFORMED, "run_as '%s' names nobody on this host", owner);
}

static bool give_away_share(int dir_fd, uid_t uid, gid_t gid, struct cvm_error *err)
{
    cvm_autoclose int fd = openat(dir_fd, "shared", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "open directory 'shared'");
    }
    for (size_t i = 0; i < CVM_SHARE_FILES; i++) {
        if (fchownat(fd, cvm_share_names[i], uid, gid, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != ENOENT) {
            return cvm_fail_errno(err, errno, "give '%s' to its reader", cvm_share_names[i]);
        }
    }
    return true;
}

/* QEMU may run as somebody else: what it reads and writes must then be theirs. */
static bool give_away(int dir_fd, const char *owner, struct cvm_error *err)
{
    static const char *const theirs[] = { "disk.raw", "console.log", "shared" };
    uid_t uid = 0;
    gid_t gid = 0;
    if (owner == NULL || geteuid() != 0) {
        return true;
    }
    if (!parse_owner(owner, &uid, &gid, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
        if (fchownat(dir_fd, theirs[i], uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
            return cvm_fail_errno(err, errno, "give '%s' to %s", theirs[i], owner);
        }
    }
    return give_away_share(dir_fd, uid, gid, err);
}

bool cvm_guest_dir_write(const struct cvm_guest_files *f, int dir_fd, struct cvm_error *err)
{
    const struct cvm_launched *l = f->launched;
    return write_json(dir_fd, "request.json", f->plan->request->document, err) &&
           write_text(dir_fd, "vm_config.json", f->vm_config, err) &&
           write_expected(f->plan, dir_fd, err) &&
           (f->manifest->len == 0 || write_text(dir_fd, CVM_GUEST_MANIFEST, f->manifest, err)) &&
           cvm_file_write(dir_fd, "domain.xml", l->xml.data, l->xml.len - 1, 0644, err) &&
           cvm_share_write(f->share, dir_fd, err) &&
           make_disk(dir_fd, f->plan->request->disk_size.value, err) &&
           cvm_file_write(dir_fd, "console.log", "", 0, 0640, err) &&
           give_away(dir_fd, f->owner, err) &&
           (!f->share_is_image || cvm_share_disk_make(dir_fd, err)) &&
           write_record(f->plan, l, dir_fd, err);
}
