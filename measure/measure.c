#include "measure/include/cvm/measure.h"

#include "measure/base/cleanup.h"
#include "measure/base/hash.h"
#include "measure/facts.h"
#include "measure/firmware.h"
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
    struct rtmr0_extrapolated extrapolated;
    if (!rtmr0_put_events(&in, &e.events, &extrapolated, err) ||
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
    e.acpi_extrapolated = extrapolated.acpi;
    e.smbios_extrapolated = extrapolated.smbios;
    *out = e;
    return true;
}

/* What the machine does not say of the firmware is what was read out of the file. */
static bool complete_machine(const struct cvm_firmware *firmware, struct cvm_machine *machine,
                             struct cvm_error *err)
{
    if (machine->firmware_strings.vendor[0] == '\0') {
        machine->firmware_strings = firmware->strings;
    }
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
static void add_remarks(const struct image_facts *facts, struct cvm_expectation *out)
{
    const struct cvm_firmware *firmware = &facts->firmware;
    out->unknown_variables = firmware->variables.format == CVM_STORE_NONE && !firmware->empty_store;
    out->stored_boot_options = firmware->variables.boot_options;
    out->secure_boot = firmware->variables.secure_boot && firmware->features.secure_boot_config;
    out->kernel = facts->kernel;
}

static struct parts parts_of(const struct image_facts *facts, const struct cvm_machine *machine)
{
    const struct cvm_firmware *firmware = &facts->firmware;
    bool single = machine->page_add_order == CVM_PAGES_SINGLE_PASS;
    return (struct parts){
        .mrtd = single ? firmware->mrtd_single_pass : firmware->mrtd_two_pass,
        .cfv = firmware->cfv,
        .cfv_source = CVM_DIGEST_COMPUTED,
        .variables = &firmware->variables,
        .ranges = firmware->ranges,
        .initrd = facts->initrd,
        .source = CVM_DIGEST_COMPUTED,
    };
}

bool image_facts_measure(const struct image_facts *facts, const struct cvm_machine *machine,
                         const char *cmdline, struct cvm_expectation *out, struct cvm_error *err)
{
    struct kernel_form form = { 0 };
    struct cvm_machine m = *machine;
    struct cvm_expectation e;
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    if (!facts->has_firmware) {
        return cvm_fail(err, CVM_ERR_USAGE, "the firmware was not read");
    }
    if (!complete_machine(&facts->firmware, &m, err) ||
        !image_facts_kernel_form(facts, &m, cmdline, &form, err)) {
        return false;
    }
    const struct cvm_sha384 *kernel = image_facts_find_kernel(facts, &form);
    if (kernel == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "the kernel was not read for this machine");
    }
    struct parts parts = parts_of(facts, &m);
    parts.kernel = *kernel;
    if (!rtmr2_hash_cmdline(cmdline, m.layout->cmdline_form, &parts.cmdline, err) ||
        !expect(&m, &parts, &e, err)) {
        return false;
    }
    add_remarks(facts, &e);
    *out = e;
    return true;
}

/* What is known of the firmware already must be of this file. */
static bool check_inspected(const struct cvm_image *image, struct cvm_error *err)
{
    struct cvm_sha384 digest;
    if (image->firmware.size == 0) {
        return true;
    }
    if (!cvm_sha384(image->firmware.data, image->firmware.size, &digest, err)) {
        return false;
    }
    return cvm_sha384_equal(&digest, &image->inspected->digest)
               ? true
               : cvm_fail(err, CVM_ERR_MISMATCH,
                          "firmware: the file is not the one that was inspected");
}

/* What of an image needs no machine. */
static bool take_facts(const struct cvm_image *image, struct image_facts *out,
                       struct cvm_error *err)
{
    *out = (struct image_facts){ .initrd = image->initrd, .initrd_size = image->initrd_size };
    image_facts_take_kernel(out, image->kernel);
    if (image->inspected == NULL) {
        return image_facts_take_firmware(out, image->firmware, err);
    }
    out->firmware = *image->inspected;
    out->has_firmware = true;
    return check_inspected(image, err);
}

bool cvm_measure_image(const struct cvm_machine *machine, const struct cvm_image *image,
                       struct cvm_expectation *out, struct cvm_error *err)
{
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    autofacts struct image_facts facts = { 0 };
    return take_facts(image, &facts, err) &&
           image_facts_complete(&facts, image->firmware, image->kernel, machine, image->cmdline,
                                err) &&
           image_facts_measure(&facts, machine, image->cmdline, out, err);
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
    struct cvm_compact compact = { .initrd = image->initrd };
    struct kernel_form form = { 0 };
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
    autofacts struct image_facts facts = { 0 };
    if (!take_facts(image, &facts, err) ||
        !image_facts_complete(&facts, image->firmware, image->kernel, &machine, image->cmdline,
                              err) ||
        !image_facts_kernel_form(&facts, &machine, image->cmdline, &form, err) ||
        !rtmr2_hash_cmdline(image->cmdline, layout->cmdline_form, &compact.cmdline, err)) {
        return false;
    }
    compact.ranges = facts.firmware.ranges;
    compact.mrtd_single_pass = facts.firmware.mrtd_single_pass;
    compact.mrtd_two_pass = facts.firmware.mrtd_two_pass;
    compact.kernel_authenticode = *image_facts_find_kernel(&facts, &form);
    *out = compact;
    return true;
}
