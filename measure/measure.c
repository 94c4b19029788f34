#include "measure/include/cvm/measure.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/kernel.h"
#include "measure/mrtd.h"
#include "measure/pe.h"
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

static bool hash_cfv(struct cvm_bytes firmware, const struct cvm_tdvf *tdvf, struct cvm_sha384 *out,
                     struct cvm_error *err)
{
    const struct cvm_tdvf_section *cfv = NULL;
    unsigned found = 0;
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        if (tdvf->sections[i].type == CVM_TDVF_CFV) {
            cfv = &tdvf->sections[i];
            found++;
        }
    }
    if (found != 1) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "%u CFV sections instead of one", found);
    }
    return cvm_sha384(firmware.data + cfv->data_offset, cfv->raw_size, out, err);
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
                               struct cvm_sha384 *kernel, struct cvm_sha384 *cmdline,
                               struct cvm_error *err)
{
    if (!hash_kernel(image, machine, kernel, err)) {
        return cvm_context(err, "kernel");
    }
    return rtmr2_hash_cmdline(image->cmdline, cmdline, err);
}

bool cvm_measure_image(const struct cvm_machine *machine, const struct cvm_image *image,
                       struct cvm_expectation *out, struct cvm_error *err)
{
    struct cvm_tdvf tdvf;
    struct parts parts = {
        .cfv_source = CVM_DIGEST_COMPUTED,
        .initrd = image->initrd,
        .source = CVM_DIGEST_COMPUTED,
    };
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    if (!cvm_tdvf_parse(image->firmware, &tdvf, err) ||
        !cvm_tdvf_ranges(&tdvf, &parts.ranges, err) ||
        !hash_cfv(image->firmware, &tdvf, &parts.cfv, err) ||
        !mrtd_compute(image->firmware, &tdvf, machine->page_add_order, &parts.mrtd, err)) {
        return cvm_context(err, "firmware");
    }
    return measure_boot_files(image, machine, &parts.kernel, &parts.cmdline, err) &&
           expect(machine, &parts, out, err);
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
    struct cvm_tdvf tdvf;
    struct cvm_compact compact = { .initrd = image->initrd };
    const struct cvm_machine machine = {
        /* all that the kernel's header depends on */
        .memory_size = COMPACT_MEMORY,
        .kernel_header = kernel_header,
    };
    if (layout->name == NULL || strlen(layout->name) >= sizeof compact.ovmf) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "a firmware layout without a name has no compact measurement");
    }
    memcpy(compact.ovmf, layout->name, strlen(layout->name) + 1);
    if (!cvm_tdvf_parse(image->firmware, &tdvf, err) ||
        !cvm_tdvf_ranges(&tdvf, &compact.ranges, err) ||
        !mrtd_compute(image->firmware, &tdvf, CVM_PAGES_SINGLE_PASS, &compact.mrtd_single_pass,
                      err) ||
        !mrtd_compute(image->firmware, &tdvf, CVM_PAGES_TWO_PASS, &compact.mrtd_two_pass, err)) {
        return cvm_context(err, "firmware");
    }
    if (!measure_boot_files(image, &machine, &compact.kernel_authenticode, &compact.cmdline, err)) {
        return false;
    }
    *out = compact;
    return true;
}
