#include "vmm/manifest_shapes.h"

#include "measure/base/file.h"
#include "measure/base/hex.h"
#include "vmm/host.h"
#include "vmm/matrix.h"

#include <stdio.h>

static bool ask_emulator(const char *emulator, struct cvm_measured_shapes *out,
                         struct cvm_error *err)
{
    struct cvm_qemu_version v;
    if (emulator == NULL) {
        return true;
    }
    if (!cvm_emulator_version(emulator, &v, err)) {
        return false;
    }
    snprintf(out->emulator_version, sizeof out->emulator_version, "%u.%u.%u", v.major, v.minor,
             v.micro);
    out->emulator = strdup(emulator);
    return out->emulator != NULL ? true : cvm_fail_nomem(err, emulator, strlen(emulator));
}

bool cvm_measured_shapes_open(const char *image, const char *emulator,
                              cvm_bundle_progress *progress, struct cvm_measured_shapes *out,
                              struct cvm_error *err)
{
    if (!ask_emulator(emulator, out, err) || !cvm_bundle_open(image, &out->bundle, err)) {
        return false;
    }
    if (!out->bundle.has_hash) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "image '%s': no sha256sum.txt, so it has no identity to sign",
                        out->bundle.path);
    }
    return cvm_bundle_facts_open(&out->bundle, NULL, progress, &out->facts, err);
}

/* --- one machine --- */

static void free_shape(struct cvm_measured_shape *s)
{
    if (s != NULL) {
        free(s->name);
        cvm_buf_free(&s->vm_config);
        cvm_json_free(s->document);
        cvm_warnings_free(&s->warnings);
        free(s);
    }
}

static void free_shape_at(struct cvm_measured_shape **slot)
{
    free_shape(*slot);
}

/* The declaration must be of this image, and of the emulator where one was named. */
static bool complete(const struct cvm_measured_shapes *shapes, struct cvm_measured_shape *s,
                     struct cvm_error *err)
{
    const struct cvm_bundle *bundle = &shapes->bundle;
    const char *declared = s->config.os_image_hash;
    struct cvm_qemu_version version;
    char text[20];
    cvm_hex_encode(bundle->os_image_hash.bytes, sizeof bundle->os_image_hash.bytes,
                   s->os_image_hash);
    if (declared != NULL && strcmp(declared, s->os_image_hash) != 0) {
        return cvm_fail(err, CVM_ERR_MISMATCH, "it declares os_image_hash %s, image '%s' has %s",
                        declared, bundle->name, s->os_image_hash);
    }
    s->resolution.qemu_version_source = "vm_config";
    if (*shapes->emulator_version == '\0') {
        return true;
    }
    if (s->config.qemu_version == NULL) {
        s->config.qemu_version = shapes->emulator_version;
        s->resolution.qemu_version_source = "emulator";
        return true;
    }
    if (!cvm_qemu_version_parse(s->config.qemu_version, &version, err)) {
        return false;
    }
    snprintf(text, sizeof text, "%u.%u.%u", version.major, version.minor, version.micro);
    return strcmp(text, shapes->emulator_version) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH, "it declares QEMU %s, emulator '%s' is %s", text,
                          shapes->emulator, shapes->emulator_version);
}

static bool fill(const struct cvm_measured_shapes *shapes, bool no_tee,
                 const struct cvm_compact *compact, struct cvm_measured_shape *s,
                 struct cvm_error *err)
{
    const struct cvm_measure_evidence evidence = {
        .bundle = &shapes->bundle,
        .compact = compact,
        .declared = true,
        .firmware = &shapes->facts.record.facts.firmware,
        .no_tee = no_tee,
    };
    const char *source = s->resolution.qemu_version_source;
    s->firmware = evidence.firmware;
    bool ok = cvm_machine_fill_platform(&s->config, &s->machine, err) &&
              cvm_machine_fill_firmware(&s->config, &evidence, &s->machine, &s->resolution,
                                        &s->warnings, err);
    s->resolution.qemu_version_source = source;
    return ok;
}

static bool measure(struct cvm_measured_shapes *shapes, bool no_tee, struct cvm_measured_shape *s,
                    struct cvm_error *err)
{
    CVM_CLEANUP(cvm_tdx_measurement_free)
    struct cvm_tdx_measurement carried = { 0 };
    if (!cvm_json_parse("it", cvm_buf_bytes(&s->vm_config), &s->document, err) ||
        !cvm_vm_config_decode(s->document, &s->config, err) || !complete(shapes, s, err) ||
        (s->config.tdx_measurement != NULL &&
         !cvm_tdx_measurement_decode(&s->config, &carried, err))) {
        return false;
    }
    const struct cvm_compact *compact = s->config.tdx_measurement == NULL ? NULL : &carried.compact;
    if (!fill(shapes, no_tee, compact, s, err) ||
        !cvm_bundle_facts_complete(&shapes->facts, &s->machine, err) ||
        !cvm_bundle_facts_measure(&shapes->facts, &s->machine, &s->expectation, err)) {
        return false;
    }
    cvm_report_warn(&s->expectation, &s->machine, &s->warnings);
    return true;
}

/* Takes the shape over. */
static bool append(struct cvm_measured_shapes *shapes, struct cvm_measured_shape **shape,
                   struct cvm_error *err)
{
    struct cvm_measured_shape **grown =
        realloc(shapes->items, (shapes->count + 1) * sizeof(struct cvm_measured_shape *));
    if (grown == NULL) {
        return cvm_fail_nomem(err, "machines", shapes->count);
    }
    shapes->items = grown;
    shapes->items[shapes->count++] = cvm_steal(shape);
    return true;
}

/* A shape with a name; NULL where memory is out. */
static struct cvm_measured_shape *start_shape(const char *name, size_t length,
                                              struct cvm_error *err)
{
    struct cvm_measured_shape *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->name = strndup(name, length);
    }
    if (s == NULL || s->name == NULL) {
        free_shape(s);
        (void)cvm_fail_nomem(err, "machine", sizeof *s);
        return NULL;
    }
    return s;
}

bool cvm_measured_shapes_add(struct cvm_measured_shapes *shapes, const char *name,
                             struct cvm_bytes vm_config, struct cvm_error *err)
{
    CVM_CLEANUP(free_shape_at)
    struct cvm_measured_shape *s = start_shape(name, strlen(name), err);
    if (s == NULL) {
        return false;
    }
    cvm_put_bytes(&s->vm_config, vm_config.data, vm_config.size);
    return cvm_buf_finish(&s->vm_config, name, err) && measure(shapes, false, s, err) &&
           append(shapes, &s, err);
}

/* The name of a file without ".json", malloc()ed. */
static bool name_of(const char *path, char **out, struct cvm_error *err)
{
    static const char suffix[] = ".json";
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    size_t length = strlen(base);
    if (length > sizeof suffix - 1 && strcmp(base + length - (sizeof suffix - 1), suffix) == 0) {
        length -= sizeof suffix - 1;
    }
    *out = strndup(base, length);
    return *out != NULL ? true : cvm_fail_nomem(err, path, length);
}

bool cvm_measured_shapes_add_file(struct cvm_measured_shapes *shapes, const char *path,
                                  struct cvm_error *err)
{
    cvm_autofree char *name = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    return (name_of(path, &name, err) && cvm_file_load(path, CVM_JSON_MAX_SIZE, &text, err) &&
            cvm_measured_shapes_add(shapes, name, cvm_buf_bytes(&text), err)) ||
           cvm_context(err, "vm_config '%s'", path);
}

/* --- many machines --- */

/* The declaration that a shape of a matrix comes to. */
static bool declare(const struct cvm_measured_shapes *shapes, const struct cvm_matrix *matrix,
                    size_t index, struct cvm_buf *out, struct cvm_error *err)
{
    CVM_CLEANUP(free_shape_at)
    struct cvm_measured_shape *s = start_shape("", 0, err);
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (s == NULL) {
        return false;
    }
    s->config.image = shapes->bundle.name;
    s->config.rootfs_device = cvm_bundle_rootfs_device(&shapes->bundle);
    cvm_matrix_apply(matrix, index, &s->config);
    if (!complete(shapes, s, err) || !fill(shapes, false, NULL, s, err)) {
        return false;
    }
    s->config.os_image_hash = s->os_image_hash;
    s->config.ovmf_variant = s->resolution.variant.layout->name;
    cvm_json_begin_object(&b, NULL);
    cvm_vm_config_put(&s->machine, &s->config, &b);
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}

static bool add_shape(struct cvm_measured_shapes *shapes, const struct cvm_matrix *matrix,
                      size_t index, const char *prefix, struct cvm_error *err)
{
    cvm_autofree char *name = NULL;
    cvm_autobuf struct cvm_buf text = { 0 };
    if (asprintf(&name, "%s-%zu", prefix, index) < 0) {
        name = NULL;
        return cvm_fail_nomem(err, prefix, strlen(prefix));
    }
    return (declare(shapes, matrix, index, &text, err) &&
            cvm_measured_shapes_add(shapes, name, cvm_buf_bytes(&text), err)) ||
           cvm_context(err, "shape %zu", index);
}

bool cvm_measured_shapes_add_matrix(struct cvm_measured_shapes *shapes, const char *path,
                                    struct cvm_error *err)
{
    cvm_automatrix struct cvm_matrix matrix = { 0 };
    cvm_autofree char *name = NULL;
    if (!cvm_matrix_load(path, &matrix, err) || !name_of(path, &name, err)) {
        return false;
    }
    for (size_t i = 0; i < matrix.num_shapes; i++) {
        if (!add_shape(shapes, &matrix, i, name, err)) {
            return cvm_context(err, "matrix '%s'", path);
        }
    }
    return true;
}

/* --- guests --- */

struct registers {
    const char *values[CVM_REGISTERS];
};

static bool check_expected(const struct cvm_vm *vm, const struct cvm_measured_shape *s,
                           struct cvm_error *err)
{
    struct cvm_json_field fields[CVM_REGISTERS + 1] = { 0 };
    const struct cvm_expectation *e = &s->expectation;
    const struct cvm_sha384 *now[] = { &e->mrtd, &e->rtmr[0], &e->rtmr[1], &e->rtmr[2] };
    struct registers then = { 0 };
    cvm_autojson struct json_object *expected = NULL;
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        fields[i] = (struct cvm_json_field){
            cvm_register_word(i), CVM_JSON_STRING, i * sizeof(const char *), true, 96, 96
        };
    }
    if (!cvm_vm_load_json(vm, "expected.json", &expected, err)) {
        return false;
    }
    if (!cvm_json_decode(expected, fields, CVM_JSON_IGNORE_UNKNOWN, &then, err)) {
        return cvm_context(err, "expected.json");
    }
    for (unsigned i = 0; i < CVM_REGISTERS; i++) {
        if (strcmp(then.values[i], cvm_sha384_text(now[i]).text) != 0) {
            return cvm_fail(err, CVM_ERR_MISMATCH,
                            "%s was expected to be %s at its launch, its vm_config and image give "
                            "%s",
                            cvm_register_word(i), then.values[i], cvm_sha384_text(now[i]).text);
        }
    }
    return true;
}

static bool measure_guest(struct cvm_measured_shapes *shapes, const struct cvm_vm *vm,
                          struct cvm_measured_shape *s, struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    return cvm_file_open_beneath(vm->fd, "vm_config.json", &fd, err) &&
           cvm_file_read(fd, "vm_config.json", CVM_JSON_MAX_SIZE, &s->vm_config, err) &&
           measure(shapes, vm->record.no_tee.value, s, err) && check_expected(vm, s, err);
}

bool cvm_measured_shapes_add_guest(struct cvm_measured_shapes *shapes, const struct cvm_vm *vm,
                                   struct cvm_error *err)
{
    CVM_CLEANUP(free_shape_at)
    struct cvm_measured_shape *s = start_shape(vm->record.name, strlen(vm->record.name), err);
    return s != NULL && measure_guest(shapes, vm, s, err)
               ? append(shapes, &s, err)
               : cvm_context(err, "guest '%s'", vm->record.name);
}

struct cvm_draft_shape cvm_measured_shape_draft(const struct cvm_measured_shape *s)
{
    return (struct cvm_draft_shape){
        .name = s->name,
        .vm_config = cvm_buf_bytes(&s->vm_config),
        .report = { .machine = &s->machine,
                    .resolution = &s->resolution,
                    .firmware = s->firmware,
                    .expectation = &s->expectation,
                    .os_image_hash = s->os_image_hash,
                    .vm_config = s->document,
                    .warnings = &s->warnings },
    };
}

void cvm_measured_shapes_free(struct cvm_measured_shapes *shapes)
{
    for (size_t i = 0; i < shapes->count; i++) {
        free_shape(shapes->items[i]);
    }
    free(shapes->items);
    free(shapes->emulator);
    cvm_bundle_facts_free(&shapes->facts);
    cvm_bundle_free(&shapes->bundle);
    *shapes = (struct cvm_measured_shapes)CVM_MEASURED_SHAPES_NONE;
}
