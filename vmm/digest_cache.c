#include "vmm/digest_cache.h"

#include "vmm/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { ENTRY_NAME_SIZE = 40, STALE_SECONDS = 3600 };

const enum cvm_bundle_role cvm_cached_roles[CVM_CACHED_ROLES] = {
    CVM_BUNDLE_KERNEL,
    CVM_BUNDLE_INITRD,
    CVM_BUNDLE_BIOS,
};

/* --- names --- */

static bool directory_path(const char *state_dir, char **out, struct cvm_error *err)
{
    if (asprintf(out, "%s/cache/digests", state_dir) < 0) {
        *out = NULL;
        return cvm_fail_nomem(err, state_dir, strlen(state_dir));
    }
    return true;
}

/* After the directory, not its contents: what replaces them replaces the entry. */
static bool entry_name(const struct cvm_bundle *b, char name[ENTRY_NAME_SIZE],
                       struct cvm_error *err)
{
    struct cvm_file_id id;
    if (!cvm_file_identify(b->dir_fd, b->path, &id, err)) {
        return false;
    }
    snprintf(name, ENTRY_NAME_SIZE, "%016llx-%016llx", (unsigned long long)id.device,
             (unsigned long long)id.inode);
    return true;
}

/* --- reading --- */

/* Nobody but the user and root may have written it. */
static bool check_owner(int fd, struct cvm_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return cvm_fail_errno(err, errno, "stat");
    }
    bool mine = st.st_uid == 0 || st.st_uid == geteuid();
    return mine && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED, "others may have written it");
}

static bool check_same_files(const struct cvm_digest_record *r, const struct cvm_bundle *b,
                             struct cvm_error *err)
{
    if (memcmp(&r->os_image_hash, &b->os_image_hash, sizeof r->os_image_hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH, "made of another image");
    }
    for (size_t i = 0; i < CVM_CACHED_ROLES; i++) {
        enum cvm_bundle_role role = cvm_cached_roles[i];
        if (!cvm_file_id_equal(&r->files[role], &b->files[role].id)) {
            return cvm_fail(err, CVM_ERR_MISMATCH, "'%s' is another file now", b->files[role].name);
        }
    }
    return true;
}

bool cvm_digest_cache_load(const char *state_dir, const struct cvm_bundle *bundle,
                           struct cvm_digest_record *out, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    char name[ENTRY_NAME_SIZE];
    cvm_autoclose int dir = -1;
    cvm_autoclose int fd = -1;
    cvm_autobuf struct cvm_buf entry = { 0 };
    cvm_autorecord struct cvm_digest_record record = { 0 };
    const struct cvm_tool tool = cvm_tool_identify();
    if (!bundle->has_hash) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "the image has no sha256sum.txt");
    }
    if (!directory_path(state_dir, &path, err) || !entry_name(bundle, name, err) ||
        !cvm_dir_open(path, &dir, err)) {
        return false;
    }
    if (!cvm_file_open_beneath(dir, name, &fd, err) || !check_owner(fd, err) ||
        !cvm_file_read(fd, name, CVM_DIGEST_MAX_SIZE, &entry, err) ||
        !cvm_digest_record_parse(cvm_buf_bytes(&entry), tool.text, &record, err) ||
        !check_same_files(&record, bundle, err)) {
        return cvm_context(err, "entry '%s/%s'", path, name);
    }
    *out = record;
    record = (struct cvm_digest_record){ 0 };
    return true;
}

/* --- writing --- */

/*
 * A file that was written just before it was opened could be written again without its times
 * showing that: they are as coarse as two seconds.
 */
static bool check_age(const struct cvm_bundle *b, struct cvm_error *err)
{
    for (size_t i = 0; i < CVM_CACHED_ROLES; i++) {
        const struct cvm_bundle_file *f = &b->files[cvm_cached_roles[i]];
        int64_t newest = f->id.mtime_ns > f->id.ctime_ns ? f->id.mtime_ns : f->id.ctime_ns;
        if (newest > b->opened_ns - CVM_DIGEST_MIN_AGE) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED, "'%s' was changed a moment ago", f->name);
        }
    }
    return true;
}

/* Removes what killed writers left, and the oldest entry where there are too many. */
static void sweep(int dir_fd)
{
    char oldest[ENTRY_NAME_SIZE] = "";
    time_t oldest_time = 0;
    unsigned count = 0;
    CVM_CLEANUP(cvm_dir_stop_at)
    DIR *dir = cvm_dir_read(dir_fd);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat st;
        const char *name = entry->d_name;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        if (name[0] == '.') {
            if (st.st_mtime + STALE_SECONDS < time(NULL)) {
                unlinkat(dir_fd, name, 0);
            }
            continue;
        }
        count++;
        if (strlen(name) < sizeof oldest && (*oldest == '\0' || st.st_mtime < oldest_time)) {
            memcpy(oldest, name, strlen(name) + 1);
            oldest_time = st.st_mtime;
        }
    }
    if (count > CVM_DIGEST_MAX_ENTRIES) {
        unlinkat(dir_fd, oldest, 0);
    }
}

static void name_files(struct cvm_digest_record *record, const struct cvm_bundle *b)
{
    record->os_image_hash = b->os_image_hash;
    for (size_t i = 0; i < CVM_CACHED_ROLES; i++) {
        record->files[cvm_cached_roles[i]] = b->files[cvm_cached_roles[i]].id;
    }
}

bool cvm_digest_cache_store(const char *state_dir, const struct cvm_bundle *bundle,
                            struct cvm_digest_record *record, struct cvm_error *err)
{
    cvm_autofree char *path = NULL;
    char name[ENTRY_NAME_SIZE];
    cvm_autoclose int dir = -1;
    cvm_autobuf struct cvm_buf entry = { 0 };
    const struct cvm_tool tool = cvm_tool_identify();
    if (!bundle->has_hash) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "the image has no sha256sum.txt");
    }
    name_files(record, bundle);
    if (!check_age(bundle, err) || !cvm_bundle_unchanged(bundle, err) ||
        !entry_name(bundle, name, err) ||
        !cvm_digest_record_build(record, tool.text, &entry, err) ||
        !directory_path(state_dir, &path, err) || !cvm_dir_make(path, 0755, err) ||
        !cvm_dir_open(path, &dir, err) ||
        !cvm_file_write(dir, name, entry.data, entry.len, 0644, err)) {
        return false;
    }
    sweep(dir);
    return true;
}
