#include "measure/include/cvm/measure.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/kernel.h"
#include "measure/mrtd.h"
#include "measure/pe.h"
#include "measure/prepared.h"
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
    if (!rtmr0_put_events(&in, &e.events, &e.acpi_extrapolated, err) ||
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

/* --- prepared images --- */

struct cvm_prepared {
    bool is_compact;
    struct cvm_compact compact;
    struct cvm_image image;      /* borrowed */
    struct parts parts;          /* but for mrtd and kernel */
    struct cvm_sha384 mrtd[2];   /* by enum cvm_page_add_order */
    bool has_kernel[2];          /* by enum cvm_kernel_header: whether it could be hashed so */
    struct cvm_sha384 kernel[2]; /* the rewritten one for this much low memory */
    uint64_t below_4g;
};

/* A form of the kernel that cannot be hashed matters to the machines only that ask for it. */
static void prepare_kernels(const struct cvm_machine *usual, struct cvm_prepared *p)
{
    for (int header = CVM_KERNEL_REWRITTEN; header <= CVM_KERNEL_AS_IS; header++) {
        struct cvm_error ignored = { 0 };
        struct cvm_machine machine = *usual;
        machine.kernel_header = (enum cvm_kernel_header)header;
        p->has_kernel[header] = hash_kernel(&p->image, &machine, &p->kernel[header], &ignored);
    }
}

static bool prepare(struct cvm_prepared *p, const struct cvm_machine *usual, struct cvm_error *err)
{
    struct cvm_tdvf tdvf;
    if (!cvm_tdvf_parse(p->image.firmware, &tdvf, err) ||
        !cvm_tdvf_ranges(&tdvf, &p->parts.ranges, err) ||
        !hash_cfv(p->image.firmware, &tdvf, &p->parts.cfv, err) ||
        !mrtd_compute(p->image.firmware, &tdvf, CVM_PAGES_SINGLE_PASS,
                      &p->mrtd[CVM_PAGES_SINGLE_PASS], err) ||
        !mrtd_compute(p->image.firmware, &tdvf, CVM_PAGES_TWO_PASS, &p->mrtd[CVM_PAGES_TWO_PASS],
                      err)) {
        return cvm_context(err, "firmware");
    }
    prepare_kernels(usual, p);
    return rtmr2_hash_cmdline(p->image.cmdline, &p->parts.cmdline, err);
}

bool cvm_prepare_image(const struct cvm_image *image, uint64_t memory_size,
                       struct cvm_prepared **out, struct cvm_error *err)
{
    const struct cvm_machine usual = { .memory_size = memory_size };
    cvm_autofree struct cvm_prepared *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return cvm_fail_nomem(err, "prepared image", sizeof *p);
    }
    p->image = *image;
    p->below_4g = cvm_machine_ram_below_4g(&usual);
    p->parts.cfv_source = CVM_DIGEST_COMPUTED;
    p->parts.initrd = image->initrd;
    p->parts.source = CVM_DIGEST_COMPUTED;
    if (!prepare(p, &usual, err)) {
        return false;
    }
    *out = cvm_steal(&p);
    return true;
}

bool cvm_prepare_compact(const struct cvm_compact *compact, struct cvm_prepared **out,
                         struct cvm_error *err)
{
    struct cvm_prepared *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return cvm_fail_nomem(err, "prepared image", sizeof *p);
    }
    p->is_compact = true;
    p->compact = *compact;
    *out = p;
    return true;
}

bool cvm_measure_prepared(const struct cvm_machine *machine, const struct cvm_prepared *prepared,
                          struct cvm_expectation *out, struct cvm_error *err)
{
    const struct cvm_prepared *p = prepared;
    if (p->is_compact) {
        return cvm_measure_compact(machine, &p->compact, out, err);
    }
    if (!cvm_machine_check(machine, err)) {
        return cvm_context(err, "machine");
    }
    struct parts parts = p->parts;
    bool as_is = machine->kernel_header == CVM_KERNEL_AS_IS;
    bool usual = as_is || cvm_machine_ram_below_4g(machine) == p->below_4g;
    parts.mrtd = p->mrtd[machine->page_add_order];
    parts.kernel = p->kernel[machine->kernel_header];
    if (!(usual && p->has_kernel[machine->kernel_header]) &&
        !hash_kernel(&p->image, machine, &parts.kernel, err)) {
        return cvm_context(err, "kernel");
    }
    return expect(machine, &parts, out, err);
}

void cvm_prepared_free(struct cvm_prepared *prepared)
{
    free(prepared);
}
