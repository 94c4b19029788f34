/* Variables that a walk meets lie in the store, and what is measured follows from them. */
#include "tests/fuzz/fuzz.h"

#include "measure/variable_store.h"

struct count {
    struct cvm_bytes section;
    uint32_t live, all;
};

static bool inside(struct cvm_bytes whole, struct cvm_bytes part)
{
    return part.size == 0 || (part.data >= whole.data && part.size <= whole.size &&
                              part.data - whole.data <= (ptrdiff_t)(whole.size - part.size));
}

static void see(void *data, const struct variable *v)
{
    struct count *c = data;
    c->all++;
    c->live += variable_is_live(v);
    fuzz_require(inside(c->section, v->name) && inside(c->section, v->data), "in the store");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct variable_store store;
    struct cvm_firmware_variables measured;
    struct count c = { .section = { data, size } };
    if (!fuzz_accepted(variable_store_open(c.section, 0x1000, &store, &err), &err) ||
        !fuzz_accepted(variable_store_walk(&store, see, &c, &err), &err)) {
        return 0;
    }
    fuzz_require(c.all <= VARIABLE_STORE_MAX, "few variables");
    fuzz_require(variable_store_measure(c.section, 0x1000, &measured, &err), "can be measured");
    fuzz_require(measured.num_live == c.live, "live ones are counted");
    fuzz_require(measured.pk.size <= size && measured.dbx.size <= size, "data in the store");
    fuzz_require(measured.pk.present || !measured.secure_boot, "no secure boot without PK");
    return 0;
}
