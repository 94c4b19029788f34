#include "measure/include/cvm/measure.h"

#include "measure/base/hash.h"
#include "measure/firmware.h"
#include "measure/kernel.h"
#include "measure/pe.h"
#include "measure/rtmr.h"

/* From here on (bytes) a machine's low memory ends at 2 GiB, where a compact kernel digest fits. */
#define COMPACT_MEMORY (UINT64_C(2) << 30)
#define COMPACT_MEMORY_FROM (UINT64_C(2816) << 20)

/* What both ways in come to. */
struct parts {
    struct cvm_sha384 mrtd;
    struct cvm_sha384 cfv;
    enum cvm_digest_source cfv_source;
    const struct cvm_firmware_variables *variables; /* NULL where they are not known */
    struct cvm_td_ranges ranges;
    struct cvm_sha384 kernel, cmdline, initrd;
    enum cvm_digest_source source; /* of the last three */
};

static bool expect(const struct cvm_machine *machine, const struct parts *parts,
                   struct cvm_expectation *out, struct cvm_error *err)
{
    struct cvm_expectation e = { .mrtd = parts->mrtd };
    const struct rtmr0_input in = {
        .machine = machine,
        .ranges = &parts->ranges,
        .cfv = &parts->cfv,
        .cfv_source = parts->cfv_source,
        .variables = parts->variables,
    };
    if (!rtmr0_put_events(&in, &e.events, &e.acpi_extrapolated, err) ||
        !rtmr1_put_events(&parts->kernel, parts->source, &e.events, err)) {
        return false;
    }
    if (machine->kernel_measures != CVM_KERNEL_MEASURES_NOTHING) {
        rtmr2_put_events(&parts->cmdline, &parts->initrd, parts->source, &e.events);
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!cvm_event_list_replay(&e.events, i, &e.rtmr[i], err)) {
            return false;
        }
    }
    *out = e;
    return true;
}

static bool hash_kernel(const struct cvm_image *image, const struct cvm_machine *machine,
                        struct cvm_sha384 *out, struct cvm_error *err)
{
    if (machine->kernel_header == CVM_KERNEL_AS_IS) {
        return pe_authenticode(image->kernel, out, err);
    }
    cvm_autofree uint8_t *copy = malloc(image->kernel.size + 1);
    if (copy == NULL) {
        return cvm_fail_nomem(err, "copy of the kernel", image->kernel.size);
    }
    if (image->kernel.size != 0) {
        memcpy(copy, image->kernel.data, image->kernel.size);
    }
    return kernel_rewrite_header(copy, image->kernel.size, machine, image->cmdline,
                                 image->initrd_size, err) &&
           pe_authenticode((struct cvm_bytes){ copy, image->kernel.size }, out, err);
}

static bool measure_boot_files(const struct cvm_image *image, const struct cvm_machine *machine,
                               enum cvm_cmdline_form form, struct cvm_sha384 *kernel,
                               struct cvm_sha384 *cmdline, struct cvm_error *err)
{
    if (!hash_kernel(image, machine, kernel, err)) {
        return cvm_context(err, "kernel");
    }
    return rtmr2_hash_cmdline(image->cmdline, form, cmdline, err);
}

/* What is known of the firmware already, or its file: *out is then the answer. */
static bool look_at_firmware(const struct cvm_image *image, struct cvm_firmware *inspected,
                             const struct cvm_firmware **out, struct cvm_error *err)
{
    struct cvm_sha384 digest;
    *out = image->inspected != NULL ? image->inspected : inspected;
    if (image->inspected == NULL) {
        return cvm_firmware_inspect(image->firmware, inspected, err) ||
               cvm_context(err, "firmware");
    }
    if (image->firmware.size == 0) {
        return true;
    }
    if (!cvm_sha384(image->firmware.data, image->firmware.size, &digest, err)) {
        return false;
    }
    return memcmp(&digest, &image->inspected->digest, sizeof digest) == 0
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "firmware: the file is not the one that was inspected");
}

/* The layout that the machine names, or the one that was read out of the file. */
static bool choose_layout(const struct cvm_firmware *firmware, struct cvm_machine *machine,
                          struct cvm_error *err)
{
    if (machine->layout != NULL) {
        return true;
    }
    if (firmware->layout_state == CVM_LAYOUT_UNKNOWN) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "firmware: its layout is not known: %s",
                        firmware->layout_reason);
    }
    machine->layout = &firmware->layout;
    return true;
}

/* What the files say and the events do not. */
static bool add_remarks(const struct cvm_image *image, const struct cvm_firmware *firmware,
                        struct cvm_expectation *out, struct cvm_error *err)
{
    out->unknown_variables = firmware->variables.format == CVM_STORE_NONE && !firmware->empty_store;
    out->stored_boot_options = firmware->variables.boot_options;
    out->secure_boot = firmware->variables.secure_boot && firmware->features.secure_boot_config;
    kernel_read_version(image->kernel, &out->kernel);
    return pe_is_signed(image->kernel, &out->kernel.is_signed, err) || cvm_context(err, "kernel");
}

bool cvm_measure_image(const struct cvm_machine *machine, const struct cvm_image *image,
                       struct cvm_expectation *out, struct cvm_error *err)
{
    struct cvm_firmware inspected;
    const struct cvm_firmware *firmware;
    struct cvm_machine m = *machine;
    struct cvm_expectation e;
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    if (!look_at_firmware(image, &inspected, &firmware, err) || !choose_layout(firmware, &m, err)) {
        return false;
    }
    bool single = m.page_add_order == CVM_PAGES_SINGLE_PASS;
    struct parts parts = {
        .mrtd = single ? firmware->mrtd_single_pass : firmware->mrtd_two_pass,
        .cfv = firmware->cfv,
        .cfv_source = CVM_DIGEST_COMPUTED,
        .variables = &firmware->variables,
        .ranges = firmware->ranges,
        .initrd = image->initrd,
        .source = CVM_DIGEST_COMPUTED,
    };
    if (!measure_boot_files(image, &m, m.layout->cmdline_form, &parts.kernel, &parts.cmdline,
                            err) ||
        !expect(&m, &parts, &e, err) || !add_remarks(image, firmware, &e, err)) {
        return false;
    }
    *out = e;
    return true;
}

bool cvm_compact_fits_memory(uint64_t memory_size)
{
    return memory_size == COMPACT_MEMORY || memory_size >= COMPACT_MEMORY_FROM;
}

bool cvm_measure_compact(const struct cvm_machine *machine, const struct cvm_compact *compact,
                         struct cvm_expectation *out, struct cvm_error *err)
{
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    if (!cvm_compact_fits_memory(machine->memory_size)) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a compact measurement fits machines of exactly 2 GiB or at least 2816 MiB "
                        "of memory, and this one has %llu bytes",
                        (unsigned long long)machine->memory_size);
    }
    bool single = machine->page_add_order == CVM_PAGES_SINGLE_PASS;
    struct parts parts = {
        .mrtd = single ? compact->mrtd_single_pass : compact->mrtd_two_pass,
        .cfv_source = CVM_DIGEST_WELL_KNOWN,
        .ranges = compact->ranges,
        .kernel = compact->kernel_authenticode,
        .cmdline = compact->cmdline,
        .initrd = compact->initrd,
        .source = CVM_DIGEST_DECLARED,
    };
    return firmware_hash_empty_cfv(&parts.cfv, err) && expect(machine, &parts, out, err);
}

bool cvm_compact_from_image(const struct cvm_image *image, const struct cvm_layout *layout,
                            enum cvm_kernel_header kernel_header, struct cvm_compact *out,
                            struct cvm_error *err)
{
    struct cvm_firmware inspected;
    const struct cvm_firmware *firmware;
    struct cvm_compact compact = { .initrd = image->initrd };
    const struct cvm_machine machine = {
        /* all that the kernel's header depends on */
        .memory_size = COMPACT_MEMORY,
        .kernel_header = kernel_header,
    };
    if (layout->name[0] == '\0' || strlen(layout->name) >= sizeof compact.ovmf) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a firmware layout without a name has no compact measurement");
    }
    memcpy(compact.ovmf, layout->name, strlen(layout->name) + 1);
    if (!look_at_firmware(image, &inspected, &firmware, err) ||
        !measure_boot_files(image, &machine, layout->cmdline_form, &compact.kernel_authenticode,
                            &compact.cmdline, err)) {
        return false;
    }
    compact.ranges = firmware->ranges;
    compact.mrtd_single_pass = firmware->mrtd_single_pass;
    compact.mrtd_two_pass = firmware->mrtd_two_pass;
    *out = compact;
    return true;
}
