#include "measure/include/cvm/measure.h"

#include "measure/base/cleanup.h"
#include "measure/base/hex.h"
#include "measure/facts.h"
#include "measure/rtmr.h"

/* An empty variable store of a 4 MiB build: what deployed verifiers assume of every image. */
#define EMPTY_CFV                                                                                  \
    "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790"

/* From here on (bytes) a machine's low memory ends at 2 GiB, where a compact kernel digest fits. */
#define COMPACT_MEMORY (UINT64_C(2) << 30)
#define COMPACT_MEMORY_FROM (UINT64_C(2816) << 20)

/* What both ways in come to. */
struct parts {
    struct cvm_sha384 mrtd;
    struct cvm_sha384 cfv;
    enum cvm_digest_source cfv_source;
    struct cvm_td_ranges ranges;
    struct cvm_sha384 kernel, cmdline, initrd;
    enum cvm_digest_source source; /* of the last three */
};

static bool hash_empty_cfv(struct cvm_sha384 *out, struct cvm_error *err)
{
    return cvm_hex_decode(EMPTY_CFV, sizeof EMPTY_CFV - 1, out->bytes, sizeof out->bytes, err);
}

static bool expect(const struct cvm_machine *machine, const struct parts *parts,
                   struct cvm_expectation *out, struct cvm_error *err)
{
    struct cvm_expectation e = { .mrtd = parts->mrtd };
    const struct rtmr0_input in = {
        .machine = machine,
        .ranges = &parts->ranges,
        .cfv = &parts->cfv,
        .cfv_source = parts->cfv_source,
    };
    struct rtmr0_extrapolated extrapolated;
    if (!rtmr0_put_events(&in, &e.events, &extrapolated, err) ||
        !rtmr1_put_events(&parts->kernel, parts->source, &e.events, err)) {
        return false;
    }
    rtmr2_put_events(&parts->cmdline, &parts->initrd, parts->source, &e.events);
    for (unsigned i = 0; i < 3; i++) {
        if (!cvm_event_list_replay(&e.events, i, &e.rtmr[i], err)) {
            return false;
        }
    }
    struct cvm_sha384 empty;
    if (!hash_empty_cfv(&empty, err)) {
        return false;
    }
    e.acpi_extrapolated = extrapolated.acpi;
    e.smbios_extrapolated = extrapolated.smbios;
    e.unknown_variables = memcmp(&empty, &parts->cfv, sizeof empty) != 0;
    *out = e;
    return true;
}

bool image_facts_measure(const struct image_facts *facts, const struct cvm_machine *machine,
                         const char *cmdline, struct cvm_expectation *out, struct cvm_error *err)
{
    struct kernel_form form = { 0 };
    struct parts parts = {
        .mrtd = facts->mrtd[machine->page_add_order],
        .cfv = facts->firmware.cfv,
        .cfv_source = CVM_DIGEST_COMPUTED,
        .ranges = facts->firmware.ranges,
        .initrd = facts->initrd,
        .source = CVM_DIGEST_COMPUTED,
    };
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    if (!image_facts_kernel_form(facts, machine, cmdline, &form, err)) {
        return false;
    }
    const struct cvm_sha384 *kernel = image_facts_find_kernel(facts, &form);
    if (kernel == NULL || !facts->has_firmware || !facts->has_mrtd[machine->page_add_order]) {
        return cvm_fail(err, CVM_ERR_USAGE, "the image was not read for this machine");
    }
    parts.kernel = *kernel;
    return rtmr2_hash_cmdline(cmdline, &parts.cmdline, err) && expect(machine, &parts, out, err);
}

/* What of an image needs no machine. */
static struct image_facts facts_of(const struct cvm_image *image)
{
    struct image_facts facts = { .initrd = image->initrd, .initrd_size = image->initrd_size };
    image_facts_take_kernel(&facts, image->kernel);
    return facts;
}

bool cvm_measure_image(const struct cvm_machine *machine, const struct cvm_image *image,
                       struct cvm_expectation *out, struct cvm_error *err)
{
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    autofacts struct image_facts facts = facts_of(image);
    return image_facts_complete(&facts, image->firmware, image->kernel, machine, image->cmdline,
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
    return hash_empty_cfv(&parts.cfv, err) && expect(machine, &parts, out, err);
}

bool cvm_compact_from_image(const struct cvm_image *image, const struct cvm_layout *layout,
                            enum cvm_kernel_header kernel_header, struct cvm_compact *out,
                            struct cvm_error *err)
{
    struct cvm_compact compact = { .initrd = image->initrd };
    struct kernel_form form = { 0 };
    struct cvm_machine machine = {
        /* all that the kernel's header depends on */
        .memory_size = COMPACT_MEMORY,
        .kernel_header = kernel_header,
    };
    if (layout->name == NULL || strlen(layout->name) >= sizeof compact.ovmf) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a firmware layout without a name has no compact measurement");
    }
    memcpy(compact.ovmf, layout->name, strlen(layout->name) + 1);
    autofacts struct image_facts facts = facts_of(image);
    for (unsigned order = 0; order < IMAGE_FACTS_ORDERS; order++) {
        machine.page_add_order = (enum cvm_page_add_order)order;
        if (!image_facts_complete(&facts, image->firmware, image->kernel, &machine, image->cmdline,
                                  err)) {
            return false;
        }
    }
    if (!image_facts_kernel_form(&facts, &machine, image->cmdline, &form, err) ||
        !rtmr2_hash_cmdline(image->cmdline, &compact.cmdline, err)) {
        return false;
    }
    compact.ranges = facts.firmware.ranges;
    compact.mrtd_single_pass = facts.mrtd[CVM_PAGES_SINGLE_PASS];
    compact.mrtd_two_pass = facts.mrtd[CVM_PAGES_TWO_PASS];
    compact.kernel_authenticode = *image_facts_find_kernel(&facts, &form);
    *out = compact;
    return true;
}
