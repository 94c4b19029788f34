#include "vmm/store.h"

#include "measure/base/file.h"
#include "vmm/request.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FIELD(f) offsetof(struct cvm_vm_record, f)
/* clang-format off */
static const struct cvm_json_field record_fields[] = {
    { "name",        CVM_JSON_STRING, FIELD(name), .required = true },
    { "uuid",        CVM_JSON_STRING, FIELD(uuid), .required = true, .min = 36, .max = 36 },
    { "image",       CVM_JSON_STRING, FIELD(image), .required = true },
    { "emulator",    CVM_JSON_STRING, FIELD(emulator), .required = true },
    { "libvirt_uri", CVM_JSON_STRING, FIELD(libvirt_uri), .required = true },
    { "created",     CVM_JSON_STRING, FIELD(created), .required = true },
    { "cid",         CVM_JSON_NUMBER, FIELD(cid), .required = true, .min = 3, .max = UINT32_MAX },
    { "no_tee",      CVM_JSON_BOOL,   FIELD(no_tee), .required = true },
    { "has_vsock",   CVM_JSON_BOOL,   FIELD(has_vsock), .required = true },
    { "resources",   CVM_JSON_OBJECT, FIELD(resources) },
    { 0 },
};
/* clang-format on */

/* --- the directory --- */

bool cvm_store_open(const char *path, bool create, struct cvm_store *out, struct cvm_error *err)
{
    *out = (struct cvm_store){ .fd = -1 };
    cvm_autofree char *guests = NULL;
    if (asprintf(&guests, "%s/vms", path) < 0) {
        guests = NULL;
        return cvm_fail_nomem(err, path, strlen(path));
    }
    if (create && !cvm_dir_make(guests, 0711, err)) {
        return cvm_context(err, "state directory");
    }
    out->path = realpath(guests, NULL);
    if (out->path == NULL) {
        return cvm_fail_errno(err, errno, "state directory '%s'", guests);
    }
    return cvm_dir_open(out->path, &out->fd, err) || cvm_context(err, "state directory");
}

void cvm_store_close(struct cvm_store *s)
{
    free(s->path);
    cvm_close_at(&s->fd);
    *s = (struct cvm_store){ .fd = -1 };
}

/* --- guests --- */

static bool load_json(int dir_fd, const char *name, struct json_object **out, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    cvm_autobuf struct cvm_buf text = { 0 };
    return cvm_file_open_beneath(dir_fd, name, &fd, err) &&
           cvm_file_read(fd, name, CVM_JSON_MAX_SIZE, &text, err) &&
           cvm_json_parse(name, cvm_buf_bytes(&text), out, err);
}

bool cvm_vm_load_json(const struct cvm_vm *vm, const char *name, struct json_object **out,
                      struct cvm_error *err)
{
    return load_json(vm->fd, name, out, err);
}

static bool load_record(int dir_fd, struct cvm_vm_record *out, struct cvm_error *err)
{
    return load_json(dir_fd, "vm.json", &out->document, err) &&
           cvm_json_decode(out->document, record_fields, CVM_JSON_REJECT_UNKNOWN, out, err);
}

bool cvm_vm_open(const struct cvm_store *s, const char *name, bool lock, struct cvm_vm *out,
                 struct cvm_error *err)
{
    if (!cvm_check_name(name, err)) {
        return false;
    }
    out->fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (out->fd < 0 && errno == ENOENT) {
        return cvm_fail(err, CVM_ERR_USAGE, "there is no guest '%s' in '%s'", name, s->path);
    }
    if (out->fd < 0) {
        return cvm_fail_errno(err, errno, "guest '%s'", name);
    }
    if (lock && flock(out->fd, LOCK_EX | LOCK_NB) != 0) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "guest '%s': another process works on it; try again",
                        name);
    }
    if (asprintf(&out->path, "%s/%s", s->path, name) < 0) {
        out->path = NULL;
        return cvm_fail_nomem(err, name, strlen(name));
    }
    return load_record(out->fd, &out->record, err) || cvm_context(err, "guest '%s'", name);
}

bool cvm_vm_open_listed(const struct cvm_store *s, const char *name, bool *found,
                        struct cvm_vm *out, struct cvm_error *err)
{
    *found = cvm_vm_open(s, name, false, out, err);
    if (!*found && err->code == CVM_ERR_USAGE) {
        *err = (struct cvm_error){ 0 };
    }
    return err->code == CVM_OK;
}

void cvm_vm_close(struct cvm_vm *vm)
{
    free(vm->path);
    cvm_close_at(&vm->fd);
    cvm_json_free(vm->record.document);
    *vm = (struct cvm_vm)CVM_VM_NONE;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(struct cvm_names *names, const char *name, struct cvm_error *err)
{
    char **grown = realloc(names->items, (names->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, "names", names->count);
    }
    names->items = grown;
    names->items[names->count] = strdup(name);
    if (names->items[names->count] == NULL) {
        return cvm_fail_nomem(err, "name", strlen(name));
    }
    names->count++;
    return true;
}

bool cvm_store_list(const struct cvm_store *s, struct cvm_names *out, struct cvm_error *err)
{
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    CVM_CLEANUP(cvm_dir_stop_at)
    DIR *dir = cvm_dir_read(s->fd);
    if (dir == NULL) {
        return cvm_fail_errno(err, errno, "read directory '%s'", s->path);
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat st;
        if (entry->d_name[0] != '.' &&
            fstatat(s->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
            !add_name(&names, entry->d_name, err)) {
            return false;
        }
    }
    if (names.count != 0) {
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    }
    *out = names;
    names = (struct cvm_names){ 0 };
    return true;
}

void cvm_names_free(struct cvm_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    free(names->items);
    *names = (struct cvm_names){ 0 };
}

/* --- deleting --- */

/* Deletes what is in a directory; links are removed, never followed. */
static bool empty_directory(int fd, unsigned depth, struct cvm_error *err)
{
    enum { MAX_DEPTH = 64 };
    CVM_CLEANUP(cvm_dir_stop_at)
    DIR *dir = cvm_dir_read(fd);
    if (dir == NULL || depth == MAX_DEPTH) {
        return cvm_fail_errno(err, dir == NULL ? errno : ELOOP, "read directory");
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(fd, name, 0) == 0) {
            continue;
        }
        cvm_autoclose int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) {
            return cvm_fail_errno(err, errno, "delete '%s'", name);
        }
        if (!empty_directory(sub, depth + 1, err)) {
            return cvm_context(err, "'%s'", name);
        }
        if (unlinkat(fd, name, AT_REMOVEDIR) != 0) {
            return cvm_fail_errno(err, errno, "delete '%s'", name);
        }
    }
    return true;
}

static bool delete_tree(int dir_fd, const char *name, struct cvm_error *err)
{
    cvm_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "open '%s'", name);
    }
    if (!empty_directory(fd, 0, err)) {
        return cvm_context(err, "'%s'", name);
    }
    return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0
               ? true
               : cvm_fail_errno(err, errno, "delete '%s'", name);
}

/* --- claims --- */

static bool lock_store(const struct cvm_store *s, int *out, struct cvm_error *err)
{
    cvm_autoclose int fd = openat(s->fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "lock '%s/.lock'", s->path);
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return cvm_fail_errno(err, errno, "lock '%s/.lock'", s->path);
        }
    }
    *out = cvm_steal_fd(&fd);
    return true;
}

/* Which CIDs of the range are taken; a guest whose record cannot be read stops the search. */
static bool mark_cids(const struct cvm_store *s, uint32_t first, uint32_t count, bool *taken,
                      struct cvm_error *err)
{
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    if (!cvm_store_list(s, &names, err)) {
        return false;
    }
    for (size_t i = 0; i < names.count; i++) {
        cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
        bool found;
        if (!cvm_vm_open_listed(s, names.items[i], &found, &vm, err)) {
            return false;
        }
        uint64_t cid = vm.record.cid.value;
        if (found && cid >= first && cid - first < count) {
            taken[cid - first] = true;
        }
    }
    return true;
}

static bool choose_cid(const struct cvm_store *s, uint32_t first, uint32_t count, uint32_t *out,
                       struct cvm_error *err)
{
    cvm_autofree bool *taken = calloc(count, sizeof *taken);
    if (taken == NULL) {
        return cvm_fail_nomem(err, "CIDs", count);
    }
    if (!mark_cids(s, first, count, taken, err)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!taken[i]) {
            *out = first + i;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_SYSTEM, "all CIDs from %u to %u are taken", first,
                    first + (count - 1));
}

bool cvm_store_delete(const struct cvm_store *s, const char *name, struct cvm_error *err)
{
    char gone[96];
    cvm_autoclose int lock = -1; /* a launch that looks through all guests must not meet this one */
    snprintf(gone, sizeof gone, ".%s.%ld.gone", name, (long)getpid());
    if (!lock_store(s, &lock, err)) {
        return false;
    }
    if (renameat(s->fd, name, s->fd, gone) != 0) {
        return cvm_fail_errno(err, errno, "guest '%s'", name);
    }
    cvm_close_at(&lock);
    lock = -1;
    return delete_tree(s->fd, gone, err);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text);
    size_t m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* Whether nobody works on a directory any more. */
static bool is_abandoned(const struct cvm_store *s, const char *name)
{
    cvm_autoclose int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/*
 * What a launch or a removal that was killed left behind. Nobody else makes one while we hold the
 * store's lock; a removal under way holds that of its directory.
 */
static void sweep(const struct cvm_store *s)
{
    CVM_CLEANUP(cvm_dir_stop_at)
    DIR *dir = cvm_dir_read(s->fd);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        bool leftover = name[0] == '.' && (has_suffix(name, ".new") ||
                                           (has_suffix(name, ".gone") && is_abandoned(s, name)));
        if (leftover) {
            struct cvm_error ignored = { 0 };
            (void)!delete_tree(s->fd, name, &ignored);
        }
    }
}

bool cvm_store_peek(const struct cvm_store *s, const char *name, uint32_t cid_first,
                    uint32_t cid_count, uint32_t *cid, struct cvm_error *err)
{
    struct stat st;
    if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "a guest '%s' exists already; remove it first, or choose another name",
                        name);
    }
    return choose_cid(s, cid_first, cid_count, cid, err);
}

bool cvm_store_claim(const struct cvm_store *s, const char *name, uint32_t cid_first,
                     uint32_t cid_count, struct cvm_claim *out, struct cvm_error *err)
{
    out->store = s;
    out->name = name;
    snprintf(out->temporary, sizeof out->temporary, ".%s.%ld.new", name, (long)getpid());
    if (!lock_store(s, &out->lock, err)) {
        return false;
    }
    sweep(s);
    return cvm_store_peek(s, name, cid_first, cid_count, &out->cid, err);
}

bool cvm_claim_make(struct cvm_claim *c, struct cvm_error *err)
{
    int dir = c->store->fd;
    if (mkdirat(dir, c->temporary, 0711) != 0) {
        return cvm_fail_errno(err, errno, "create directory '%s'", c->temporary);
    }
    c->fd = openat(dir, c->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (c->fd < 0) {
        cvm_fail_errno(err, errno, "open directory '%s'", c->temporary);
        unlinkat(dir, c->temporary, AT_REMOVEDIR);
        return false;
    }
    return true;
}

bool cvm_claim_commit(struct cvm_claim *c, struct cvm_error *err)
{
    int dir = c->store->fd;
    if (flock(c->fd, LOCK_EX | LOCK_NB) != 0 ||
        renameat2(dir, c->temporary, dir, c->name, RENAME_NOREPLACE) != 0 || fsync(dir) != 0) {
        return cvm_fail_errno(err, errno, "create guest '%s'", c->name);
    }
    /* The guest exists; its directory stays locked until the claim is dropped. */
    c->temporary[0] = '\0';
    cvm_close_at(&c->lock);
    c->lock = -1;
    return true;
}

void cvm_claim_drop(struct cvm_claim *c)
{
    if (c->fd >= 0 && c->temporary[0] != '\0') {
        struct cvm_error ignored = { 0 };
        (void)!delete_tree(c->store->fd, c->temporary, &ignored);
    }
    cvm_close_at(&c->fd);
    cvm_close_at(&c->lock);
    *c = (struct cvm_claim)CVM_CLAIM_NONE;
}
