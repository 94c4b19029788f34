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
    pthread_mutex_init(&images->lock, NULL);
}

void cvm_explain_images_free(struct cvm_explain_images *images)
{
    for (uint32_t i = 0; i < images->count; i++) {
        cvm_prepared_free(images->items[i].prepared);
        cvm_bundle_contents_free(&images->items[i].contents);
        cvm_bundle_free(&images->items[i].bundle);
    }
    pthread_mutex_destroy(&images->lock);
}

static bool prepare(const struct cvm_explain_images *images, uint32_t index,
                    struct cvm_explain_image *image, struct cvm_error *err)
{
    const struct cvm_declared *d = images->input->declared;
    if (index == 0 && !d->has_bundle) {
        return cvm_prepare_compact(&d->carried.compact, &image->prepared, err);
    }
    const struct cvm_bundle *bundle = index == 0 ? &d->bundle : &image->bundle;
    return cvm_bundle_read(bundle, &image->contents, err) &&
           cvm_prepare_image(&image->contents.image, d->machine.memory_size, &image->prepared, err);
}

const struct cvm_prepared *cvm_explain_images_get(struct cvm_explain_images *images, uint32_t index,
                                                  struct cvm_error *err)
{
    struct cvm_explain_image *image = &images->items[index];
    pthread_mutex_lock(&images->lock);
    if (!image->tried) {
        image->tried = true;
        if (!prepare(images, index, image, err)) {
            image->prepared = NULL;
        }
    }
    pthread_mutex_unlock(&images->lock);
    return image->prepared;
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
