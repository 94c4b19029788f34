/* The vm_config that is written for a machine describes that machine, whatever was read before. */
#include "tests/fuzz/fuzz.h"

#include "vmm/machine.h"

static const struct cvm_measure_evidence evidence = { .declared = true };

/* Errors that are no fault of the text: what is missing, and a digest that differs. */
static bool accepted(bool ok, struct cvm_error *err)
{
    if (!ok && (err->code == CVM_ERR_USAGE || err->code == CVM_ERR_MISMATCH)) {
        *err = (struct cvm_error){ 0 };
        return false;
    }
    bool good = fuzz_accepted(ok, err);
    *err = (struct cvm_error){ 0 };
    return good;
}

static bool fill(const struct cvm_vm_config *config, struct cvm_machine *out)
{
    struct cvm_error err = { 0 };
    struct cvm_resolution r = { 0 };
    cvm_autowarnings struct cvm_warnings w = { 0 };
    return accepted(cvm_machine_fill_platform(config, out, &err), &err) &&
           accepted(cvm_machine_fill_firmware(config, &evidence, out, &r, &w, &err), &err);
}

static void check_round_trip(const struct cvm_vm_config *config, const struct cvm_machine *machine)
{
    struct cvm_error err = { 0 };
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autojson struct json_object *written = NULL;
    struct cvm_vm_config read = { 0 };
    struct cvm_machine again;
    cvm_json_begin_object(&b, NULL);
    cvm_vm_config_put(machine, config, &b);
    cvm_json_end(&b);
    fuzz_require(cvm_json_take(&b, &written, &err), "is written");
    fuzz_require(cvm_vm_config_decode_strict(written, &read, &err), "is read again");
    fuzz_require(fill(&read, &again), "describes a machine");
    fuzz_require(cvm_machine_equal(machine, &again), "describes the same machine");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct cvm_vm_config config = { 0 };
    struct cvm_machine machine;
    CVM_CLEANUP(cvm_tdx_measurement_free)
    struct cvm_tdx_measurement carried = { 0 };
    if (!accepted(cvm_json_parse("it", (struct cvm_bytes){ data, size }, &document, &err), &err) ||
        !accepted(cvm_vm_config_decode(document, &config, &err), &err)) {
        return 0;
    }
    if (config.tdx_measurement != NULL) {
        (void)!accepted(cvm_tdx_measurement_decode(&config, &carried, &err), &err);
    }
    if (fill(&config, &machine)) {
        check_round_trip(&config, &machine);
    }
    return 0;
}
