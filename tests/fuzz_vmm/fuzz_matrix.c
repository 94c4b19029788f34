/* Every shape of a matrix that is accepted says what a strict vm_config of its values says. */
#include "tests/fuzz/fuzz.h"

#include "vmm/matrix.h"

enum { MAX_SIZE = 4096, MAX_LOOKED_AT = 64 };

/* The shape as JSON, without the keys that are null. */
static struct json_object *shape_of(const struct cvm_matrix *m, size_t shape)
{
    struct cvm_error err = { 0 };
    struct json_object *out = NULL;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    for (size_t i = 0; i < m->num_keys; i++) {
        const struct cvm_json_field *f = m->keys[i].field;
        if (cvm_matrix_says(m, shape, f->key)) {
            cvm_json_put_value(&b, f->key, f->kind, cvm_matrix_value(m, shape, i));
        }
    }
    cvm_json_end(&b);
    fuzz_require(cvm_json_take(&b, &out, &err), "is written");
    return out;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_shape(const struct cvm_matrix *m, size_t shape)
{
    struct cvm_error err = { 0 };
    struct cvm_vm_config applied = { 0 };
    struct cvm_vm_config read = { 0 };
    cvm_autojson struct json_object *text = shape_of(m, shape);
    fuzz_require(cvm_vm_config_decode_strict(text, &read, &err), "is a vm_config");
    cvm_matrix_apply(m, shape, &applied);
    fuzz_require(applied.cpu_count.set == read.cpu_count.set &&
                     applied.cpu_count.value == read.cpu_count.value &&
                     applied.memory_size.value == read.memory_size.value &&
                     applied.pic.set == read.pic.set && applied.pic.value == read.pic.value &&
                     same_text(applied.qemu_version, read.qemu_version) &&
                     cvm_json_array_length(applied.numa_nodes) ==
                         cvm_json_array_length(read.numa_nodes),
                 "says what it is written as");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *document = NULL;
    cvm_automatrix struct cvm_matrix m = { 0 };
    if (size > MAX_SIZE ||
        !fuzz_accepted(cvm_json_parse("it", (struct cvm_bytes){ data, size }, &document, &err),
                       &err) ||
        !fuzz_accepted(cvm_matrix_parse(document, &m, &err), &err)) {
        return 0;
    }
    fuzz_require(m.num_shapes != 0 && m.num_shapes <= CVM_MATRIX_MAX_SHAPES, "keeps its limits");
    size_t step = 1 + m.num_shapes / MAX_LOOKED_AT;
    for (size_t i = 0; i < m.num_shapes; i += step) {
        check_shape(&m, i);
    }
    check_shape(&m, m.num_shapes - 1);
    return 0;
}
