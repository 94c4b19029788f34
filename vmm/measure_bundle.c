#include "vmm/measure_bundle.h"

#include <pthread.h>

struct verification {
    const struct cvm_bundle *bundle;
    enum cvm_verify_extent extent;
    cvm_bundle_progress *progress;
    bool ok;
    struct cvm_error err;
};

static void *verify(void *data)
{
    struct verification *v = data;
    v->ok = v->extent == CVM_VERIFY_NOTHING ||
            cvm_bundle_verify(v->bundle, v->extent == CVM_VERIFY_MEASURED, v->progress, &v->err);
    return NULL;
}

bool cvm_bundle_read_verified(const struct cvm_bundle *bundle, enum cvm_verify_extent extent,
                              cvm_bundle_progress *progress, struct cvm_bundle_contents *out,
                              struct cvm_error *err)
{
    struct verification v = { .bundle = bundle, .extent = extent, .progress = progress };
    pthread_t thread;
    if (pthread_create(&thread, NULL, verify, &v) != 0) { /* one after the other, then */
        verify(&v);
        *err = v.err;
        return v.ok && cvm_bundle_read(bundle, out, err);
    }
    bool read = cvm_bundle_read(bundle, out, err);
    pthread_join(thread, NULL);
    if (!v.ok) {
        *err = v.err;
    }
    return v.ok && read;
}
