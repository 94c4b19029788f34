#include "vmm/explain.h"
#include "vmm/launch_plan.h"

#include <dirent.h>

void cvm_explain_images_init(struct cvm_explain_images *images,
                             const struct cvm_explain_input *input)
{
    *images = (struct cvm_explain_images){ .input = input, .count = 1 };
    for (size_t i = 0; i < CVM_EXPLAIN_MAX_IMAGES; i++) {
        images->items[i].bundle = (struct cvm_bundle)CVM_BUNDLE_NONE;
    }
    pthread_rwlock_init(&images->lock, NULL);
}

void cvm_explain_images_free(struct cvm_explain_images *images)
{
    for (uint32_t i = 0; i < images->count; i++) {
        cvm_bundle_facts_free(&images->items[i].facts);
        cvm_bundle_free(&images->items[i].bundle);
    }
    pthread_rwlock_destroy(&images->lock);
}

const struct cvm_firmware *cvm_explain_images_firmware(struct cvm_explain_images *images,
                                                       uint32_t index)
{
    struct cvm_explain_image *image = &images->items[index];
    struct cvm_error ignored = { 0 };
    pthread_rwlock_wrlock(&images->lock);
    if (!image->tried) {
        image->tried = true;
        image->readable =
            cvm_bundle_facts_open(&image->bundle, NULL, NULL, &image->facts, &ignored);
    }
    bool readable = image->readable;
    pthread_rwlock_unlock(&images->lock);
    return readable ? &image->facts.record.facts.firmware : NULL;
}

/* What is known of the image may do; if not, it is completed while nobody else looks. */
static bool measure_facts(struct cvm_explain_images *images, struct cvm_bundle_facts *facts,
                          const struct cvm_machine *machine, struct cvm_expectation *out,
                          struct cvm_error *err)
{
    const char *cmdline = facts->bundle->metadata.cmdline;
    const struct image_facts *known = &facts->record.facts;
    pthread_rwlock_rdlock(&images->lock);
    bool ready = image_facts_need(known, machine, cmdline) == 0;
    bool ok = ready && image_facts_measure(known, machine, cmdline, out, err);
    pthread_rwlock_unlock(&images->lock);
    if (ready) {
        return ok;
    }
    pthread_rwlock_wrlock(&images->lock);
    ok = cvm_bundle_facts_complete(facts, machine, err) &&
         image_facts_measure(known, machine, cmdline, out, err);
    pthread_rwlock_unlock(&images->lock);
    return ok;
}

bool cvm_explain_images_measure(struct cvm_explain_images *images, uint32_t index,
                                const struct cvm_machine *machine, struct cvm_expectation *out,
                                struct cvm_error *err)
{
    struct cvm_declared *d = images->input->declared;
    if (index == 0 && !d->has_bundle) {
        return cvm_measure_compact(machine, &d->carried.compact, out, err);
    }
    return measure_facts(images, index == 0 ? &d->facts : &images->items[index].facts, machine, out,
                         err);
}

static int is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A directory that is no bundle, or the declared one again, is none to try. */
static void add(struct cvm_explain_images *images, const char *name)
{
    struct cvm_error ignored = { 0 };
    cvm_autofree char *path = NULL;
    cvm_autobundle struct cvm_bundle bundle = CVM_BUNDLE_NONE;
    const struct cvm_declared *d = images->input->declared;
    if (images->count == CVM_EXPLAIN_MAX_IMAGES ||
        !cvm_bundle_path(images->input->host, name, &path, &ignored) ||
        !cvm_bundle_open(path, &bundle, &ignored) ||
        (d->has_bundle && strcmp(bundle.path, d->bundle.path) == 0)) {
        return;
    }
    images->items[images->count++].bundle = bundle;
    bundle = (struct cvm_bundle)CVM_BUNDLE_NONE;
}

void cvm_explain_images_find(struct cvm_explain_images *images)
{
    struct dirent **entries = NULL;
    if (images->input->host == NULL) {
        return;
    }
    int count = scandir(images->input->host->image_dir, &entries, is_candidate, alphasort);
    for (int i = 0; i < count; i++) {
        add(images, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}
