/*
 * Machines for a manifest: declarations of one image, measured from the image's files.
 *
 * What is signed was computed now. A guest's recorded expectation is not taken over but has to be
 * what its declaration comes to.
 */
#ifndef CVM_VMM_MANIFEST_SHAPES_H
#define CVM_VMM_MANIFEST_SHAPES_H

#include "vmm/bundle_facts.h"
#include "vmm/manifest_draft.h"
#include "vmm/store.h"

struct cvm_measured_shape {
    char *name;               /* owned */
    struct cvm_buf vm_config; /* the declaration's bytes */
    struct json_object *document;
    struct cvm_vm_config config; /* borrows from document */
    char os_image_hash[65];
    const struct cvm_firmware *firmware; /* the image's, borrowed */
    struct cvm_machine machine;
    struct cvm_resolution resolution;
    struct cvm_warnings warnings;
    struct cvm_expectation expectation;
};

/*
 * One image, its files, and machines that start it. Starts as CVM_MEASURED_SHAPES_NONE and does
 * not move once it is open.
 */
struct cvm_measured_shapes {
    struct cvm_bundle bundle;
    struct cvm_bundle_facts facts;     /* layouts of machines may be in it */
    char *emulator;                    /* owned; NULL where none was named */
    char emulator_version[20];         /* empty where it is not known */
    struct cvm_measured_shape **items; /* owned; they do not move */
    size_t count;
};

#define CVM_MEASURED_SHAPES_NONE                                                                   \
    {                                                                                              \
        .bundle = CVM_BUNDLE_NONE                                                                  \
    }
#define cvm_automeasuredshapes CVM_CLEANUP(cvm_measured_shapes_free)

/*
 * Opens, verifies and reads the image; has to come first.
 *
 * @param emulator  asked for its version; NULL.
 * @return false with CVM_ERR_MALFORMED for an image without sha256sum.txt, which has no identity.
 */
CVM_MUST_CHECK bool cvm_measured_shapes_open(const char *image, const char *emulator,
                                             cvm_bundle_progress *progress,
                                             struct cvm_measured_shapes *out,
                                             struct cvm_error *err);

/*
 * Measures the machine that a vm_config (its text, borrowed) declares.
 *
 * @return false with CVM_ERR_MISMATCH where it declares another image or another QEMU than the
 *         emulator that was named.
 */
CVM_MUST_CHECK bool cvm_measured_shapes_add(struct cvm_measured_shapes *shapes, const char *name,
                                            struct cvm_bytes vm_config, struct cvm_error *err);

/* The same for a file, whose name without ".json" is the machine's. */
CVM_MUST_CHECK bool cvm_measured_shapes_add_file(struct cvm_measured_shapes *shapes,
                                                 const char *path, struct cvm_error *err);

/*
 * Measures every machine of a matrix (vmm/matrix.h): "NAME-0", "NAME-1" and so on, in its order,
 * NAME being that of the file without ".json". Each gets the vm_config that it comes to.
 */
CVM_MUST_CHECK bool cvm_measured_shapes_add_matrix(struct cvm_measured_shapes *shapes,
                                                   const char *path, struct cvm_error *err);

/*
 * Measures the machine of a guest that was launched.
 *
 * @return false with CVM_ERR_MISMATCH also where that is not what the guest's expected.json says.
 */
CVM_MUST_CHECK bool cvm_measured_shapes_add_guest(struct cvm_measured_shapes *shapes,
                                                  const struct cvm_vm *vm, struct cvm_error *err);

/* A shape as a draft takes it; valid as long as the shapes. */
struct cvm_draft_shape cvm_measured_shape_draft(const struct cvm_measured_shape *shape);

void cvm_measured_shapes_free(struct cvm_measured_shapes *shapes);

#endif
