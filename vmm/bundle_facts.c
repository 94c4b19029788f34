#include "vmm/bundle_facts.h"

#include "vmm/log.h"
#include "vmm/measure_bundle.h"

void cvm_bundle_facts_free(struct cvm_bundle_facts *f)
{
    cvm_digest_record_free(&f->record);
    cvm_buf_free(&f->firmware);
    cvm_buf_free(&f->kernel);
}

/* --- from the cache --- */

/* metadata.json was read in any case; the others had these digests when they were hashed. */
static bool verify_record(const struct cvm_bundle *b, const struct cvm_digest_record *record,
                          struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf metadata = { 0 };
    if (!cvm_bundle_read_file(b, CVM_BUNDLE_METADATA, &metadata, err) ||
        !cvm_bundle_verify_bytes(b, CVM_BUNDLE_METADATA, cvm_buf_bytes(&metadata), err)) {
        return false;
    }
    for (size_t i = 0; i < CVM_CACHED_ROLES; i++) {
        struct cvm_sha256 listed;
        if (!cvm_bundle_listed_digest(b, cvm_cached_roles[i], &listed, err)) {
            return false;
        }
        if (memcmp(&listed, &record->digests[cvm_cached_roles[i]], sizeof listed) != 0) {
            return cvm_fail(err, CVM_ERR_MISMATCH, "'%s' is listed with another digest",
                            b->files[cvm_cached_roles[i]].name);
        }
    }
    return true;
}

static bool take_cached(struct cvm_bundle_facts *f)
{
    struct cvm_error why = { 0 };
    cvm_autorecord struct cvm_digest_record record = { 0 };
    if (!cvm_digest_cache_load(f->state_dir, f->bundle, &record, &why) ||
        !verify_record(f->bundle, &record, &why)) {
        cvm_log("digest cache: the files are read: %s", why.msg);
        return false;
    }
    cvm_log("digest cache: image '%s' was hashed before", f->bundle->path);
    f->record = record;
    record = (struct cvm_digest_record){ 0 };
    return true;
}

/* --- from the files --- */

static bool settle(const struct cvm_bundle *b, enum cvm_bundle_role role, struct cvm_error *err)
{
    const struct cvm_bundle_file *file = &b->files[role];
    return cvm_file_settle(file->fd, file->name, err);
}

/* Whether what is read now may be kept: not where the file system cannot settle a file. */
static void settle_files(struct cvm_bundle_facts *f)
{
    struct cvm_error why = { 0 };
    for (size_t i = 0; f->state_dir != NULL && i < CVM_CACHED_ROLES; i++) {
        if (!settle(f->bundle, cvm_cached_roles[i], &why)) {
            cvm_log("digest cache: nothing is kept: %s", why.msg);
            f->state_dir = NULL;
        }
    }
}

static bool take_digests(struct cvm_bundle_facts *f, struct cvm_error *err)
{
    for (size_t i = 0; f->bundle->has_hash && i < CVM_CACHED_ROLES; i++) {
        if (!cvm_bundle_listed_digest(f->bundle, cvm_cached_roles[i],
                                      &f->record.digests[cvm_cached_roles[i]], err)) {
            return false;
        }
    }
    return true;
}

static bool take_files(struct cvm_bundle_facts *f, cvm_bundle_progress *progress,
                       struct cvm_error *err)
{
    const struct cvm_bundle *b = f->bundle;
    cvm_autocontents struct cvm_bundle_contents contents = { 0 };
    settle_files(f);
    if (!cvm_bundle_read_verified(b, b->has_hash ? CVM_VERIFY_MEASURED : CVM_VERIFY_NOTHING,
                                  progress, &contents, err) ||
        !take_digests(f, err)) {
        return false;
    }
    f->record.facts.initrd = contents.image.initrd;
    f->record.facts.initrd_size = contents.image.initrd_size;
    f->firmware = contents.firmware;
    f->kernel = contents.kernel;
    contents = (struct cvm_bundle_contents){ 0 };
    f->changed = true;
    image_facts_take_kernel(&f->record.facts, cvm_buf_bytes(&f->kernel));
    return image_facts_take_firmware(&f->record.facts, cvm_buf_bytes(&f->firmware), err) ||
           cvm_context(err, "image '%s'", b->path);
}

bool cvm_bundle_facts_open(const struct cvm_bundle *bundle, const char *state_dir,
                           cvm_bundle_progress *progress, struct cvm_bundle_facts *out,
                           struct cvm_error *err)
{
    *out = (struct cvm_bundle_facts){ .bundle = bundle, .state_dir = state_dir };
    return (state_dir != NULL && take_cached(out)) || take_files(out, progress, err);
}

static bool read_role(struct cvm_bundle_facts *f, enum cvm_bundle_role role, struct cvm_buf *out,
                      struct cvm_error *err)
{
    const struct cvm_bundle *b = f->bundle;
    if (out->data != NULL) {
        return true;
    }
    settle_files(f);
    return cvm_bundle_read_file(b, role, out, err) &&
           (!b->has_hash || cvm_bundle_verify_bytes(b, role, cvm_buf_bytes(out), err));
}

bool cvm_bundle_facts_read(struct cvm_bundle_facts *f, unsigned need, struct cvm_error *err)
{
    return ((need & NEED_FIRMWARE) == 0 || read_role(f, CVM_BUNDLE_BIOS, &f->firmware, err)) &&
           ((need & NEED_KERNEL) == 0 || read_role(f, CVM_BUNDLE_KERNEL, &f->kernel, err));
}

bool cvm_bundle_facts_complete(struct cvm_bundle_facts *f, const struct cvm_machine *machine,
                               struct cvm_error *err)
{
    const char *cmdline = f->bundle->metadata.cmdline;
    unsigned need = image_facts_need(&f->record.facts, machine, cmdline);
    if (need == 0) {
        return true;
    }
    f->changed = true;
    return cvm_bundle_facts_read(f, need, err) &&
           (image_facts_complete(&f->record.facts, cvm_buf_bytes(&f->firmware),
                                 cvm_buf_bytes(&f->kernel), machine, cmdline, err) ||
            cvm_context(err, "image '%s'", f->bundle->path));
}

bool cvm_bundle_facts_measure(const struct cvm_bundle_facts *f, const struct cvm_machine *machine,
                              struct cvm_expectation *out, struct cvm_error *err)
{
    return image_facts_measure(&f->record.facts, machine, f->bundle->metadata.cmdline, out, err) ||
           cvm_context(err, "image '%s'", f->bundle->path);
}

void cvm_bundle_facts_keep(struct cvm_bundle_facts *f)
{
    struct cvm_error why = { 0 };
    if (f->state_dir == NULL || !f->changed) {
        return;
    }
    if (cvm_digest_cache_store(f->state_dir, f->bundle, &f->record, &why)) {
        f->changed = false;
        cvm_log("digest cache: image '%s' is kept", f->bundle->path);
        return;
    }
    cvm_log("digest cache: nothing is kept: %s", why.msg);
}
