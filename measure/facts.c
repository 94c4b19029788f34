#include "measure/facts.h"

#include "measure/base/cleanup.h"
#include "measure/pe.h"

void image_facts_free(struct image_facts *facts)
{
    free(facts->kernels);
    *facts = (struct image_facts){ 0 };
}

bool image_facts_take_firmware(struct image_facts *facts, struct cvm_bytes firmware,
                               struct cvm_error *err)
{
    facts->has_firmware = cvm_firmware_inspect(firmware, &facts->firmware, err);
    return facts->has_firmware || cvm_context(err, "firmware");
}

/* --- kernel --- */

void image_facts_take_kernel(struct image_facts *facts, struct cvm_bytes kernel)
{
    struct cvm_error ignored = { 0 };
    facts->has_setup = kernel_read_setup(kernel, &facts->setup, &ignored);
    ignored = (struct cvm_error){ 0 };
    kernel_read_version(kernel, &facts->kernel);
    (void)!pe_is_signed(kernel, &facts->kernel.is_signed, &ignored);
}

bool image_facts_kernel_form(const struct image_facts *facts, const struct cvm_machine *machine,
                             const char *cmdline, struct kernel_form *out, struct cvm_error *err)
{
    struct kernel_form form = { .header = machine->kernel_header };
    if (form.header == CVM_KERNEL_REWRITTEN &&
        !(facts->has_setup ? kernel_place_initrd(&facts->setup, machine, cmdline,
                                                 facts->initrd_size, &form.initrd_address, err)
                           : cvm_fail(err, CVM_ERR_MALFORMED, "no Linux setup header"))) {
        return cvm_context(err, "kernel");
    }
    *out = form;
    return true;
}

const struct cvm_sha384 *image_facts_find_kernel(const struct image_facts *facts,
                                                 const struct kernel_form *form)
{
    for (size_t i = 0; i < facts->num_kernels; i++) {
        const struct kernel_digest *k = &facts->kernels[i];
        if (k->form.header == form->header && k->form.initrd_address == form->initrd_address) {
            return &k->digest;
        }
    }
    return NULL;
}

static bool hash_rewritten(const struct image_facts *facts, struct cvm_bytes kernel,
                           const struct kernel_form *form, struct cvm_sha384 *out,
                           struct cvm_error *err)
{
    cvm_autofree uint8_t *copy = malloc(kernel.size + 1);
    if (copy == NULL) {
        return cvm_fail_nomem(err, "copy of the kernel", kernel.size);
    }
    memcpy(copy, kernel.data, kernel.size);
    kernel_rewrite_header(copy, &facts->setup, facts->initrd_size, form->initrd_address);
    return pe_authenticode((struct cvm_bytes){ copy, kernel.size }, out, err);
}

bool image_facts_hash_kernel(const struct image_facts *facts, struct cvm_bytes kernel,
                             const struct kernel_form *form, struct cvm_sha384 *out,
                             struct cvm_error *err)
{
    bool ok = form->header == CVM_KERNEL_AS_IS ? pe_authenticode(kernel, out, err)
                                               : hash_rewritten(facts, kernel, form, out, err);
    return ok || cvm_context(err, "kernel");
}

bool image_facts_add_kernel(struct image_facts *facts, const struct kernel_digest *kernel,
                            struct cvm_error *err)
{
    size_t count = facts->num_kernels + 1;
    struct kernel_digest *grown = realloc(facts->kernels, count * sizeof *grown);
    if (grown == NULL) {
        return cvm_fail_nomem(err, "digests of the kernel", count * sizeof *grown);
    }
    grown[facts->num_kernels] = *kernel;
    facts->kernels = grown;
    facts->num_kernels = count;
    return true;
}

/* --- for a machine --- */

/* Whether the digest of the machine's form is there; one that has no form will be told why. */
static bool lacks_kernel(const struct image_facts *facts, const struct cvm_machine *machine,
                         const char *cmdline)
{
    struct cvm_error ignored = { 0 };
    struct kernel_form form = { 0 };
    if (machine->kernel_header == CVM_KERNEL_REWRITTEN && !facts->has_setup) {
        return true;
    }
    return image_facts_kernel_form(facts, machine, cmdline, &form, &ignored) &&
           image_facts_find_kernel(facts, &form) == NULL;
}

unsigned image_facts_need(const struct image_facts *facts, const struct cvm_machine *machine,
                          const char *cmdline)
{
    return (facts->has_firmware ? 0 : NEED_FIRMWARE) |
           (lacks_kernel(facts, machine, cmdline) ? NEED_KERNEL : 0);
}

static bool complete_kernel(struct image_facts *facts, struct cvm_bytes bytes,
                            const struct cvm_machine *machine, const char *cmdline,
                            struct cvm_error *err)
{
    struct kernel_digest kernel = { 0 };
    if (machine->kernel_header == CVM_KERNEL_REWRITTEN && !facts->has_setup) {
        if (!kernel_read_setup(bytes, &facts->setup, err)) {
            return cvm_context(err, "kernel");
        }
        facts->has_setup = true;
    }
    return image_facts_kernel_form(facts, machine, cmdline, &kernel.form, err) &&
           image_facts_hash_kernel(facts, bytes, &kernel.form, &kernel.digest, err) &&
           image_facts_add_kernel(facts, &kernel, err);
}

bool image_facts_complete(struct image_facts *facts, struct cvm_bytes firmware,
                          struct cvm_bytes kernel, const struct cvm_machine *machine,
                          const char *cmdline, struct cvm_error *err)
{
    if (!facts->has_firmware && !image_facts_take_firmware(facts, firmware, err)) {
        return false;
    }
    return (image_facts_need(facts, machine, cmdline) & NEED_KERNEL) == 0 ||
           complete_kernel(facts, kernel, machine, cmdline, err);
}
