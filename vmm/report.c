#include "vmm/report.h"

#include "measure/base/hex.h"

#include <stdio.h>

const char *cvm_qemu_version_text(const struct cvm_machine *machine, char *buffer, size_t size)
{
    snprintf(buffer, size, "%u.%u.%u", machine->qemu.major, machine->qemu.minor,
             machine->qemu.micro);
    return buffer;
}

struct cvm_hex384 cvm_sha384_text(const struct cvm_sha384 *digest)
{
    struct cvm_hex384 hex;
    cvm_hex_encode(digest->bytes, sizeof digest->bytes, hex.text);
    return hex;
}

struct cvm_hex256 cvm_sha256_text(const struct cvm_sha256 *digest)
{
    struct cvm_hex256 hex;
    cvm_hex_encode(digest->bytes, sizeof digest->bytes, hex.text);
    return hex;
}

static void put_digest(struct cvm_json_builder *b, const char *key, const struct cvm_sha384 *digest)
{
    cvm_json_put_hex(b, key, digest->bytes, sizeof digest->bytes);
}

static void put_resolved(struct cvm_json_builder *b, const char *key, const char *value,
                         const char *source)
{
    cvm_json_begin_object(b, key);
    cvm_json_put_string(b, "value", value);
    cvm_json_put_string(b, "source", source);
    cvm_json_end(b);
}

static void put_events(const struct cvm_event_list *list, struct cvm_json_builder *b)
{
    unsigned index[CVM_NUM_RTMRS] = { 0 };
    cvm_json_begin_array(b, "events");
    for (uint32_t i = 0; i < list->num_events; i++) {
        const struct cvm_event *event = &list->events[i];
        char name[8];
        snprintf(name, sizeof name, "rtmr%u", event->rtmr);
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "register", name);
        cvm_json_put_u64(b, "index", index[event->rtmr]++);
        cvm_json_put_string(b, "name", event->name);
        put_digest(b, "digest", &event->digest);
        cvm_json_put_string(b, "source", cvm_digest_source_word(event->source));
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

static const char *kernel_measures_word(const struct cvm_machine *machine)
{
    return machine->kernel_measures == CVM_KERNEL_MEASURES_NOTHING ? "no" : "yes";
}

/* The events that were measured, and how they were come by. */
static void put_layout(const struct cvm_report *r, struct cvm_json_builder *b)
{
    const struct cvm_layout *layout = r->machine->layout;
    const char *evidence = r->firmware == NULL ? NULL : cvm_firmware_evidence(&r->firmware->digest);
    cvm_json_begin_object(b, "layout");
    cvm_json_put_string(b, "value", layout->name[0] == '\0' ? NULL : layout->name);
    cvm_json_put_string(b, "source", r->resolution->layout_source);
    cvm_json_put_u64(b, "num_events", cvm_layout_num_usual_events(layout));
    cvm_json_put_string(b, "cmdline_form", cvm_cmdline_form_word(layout->cmdline_form));
    cvm_json_put_string(b, "evidence",
                        strcmp(r->resolution->layout_source, "verified") == 0 ? evidence : NULL);
    cvm_json_end(b);
}

void cvm_report_put_resolution(const struct cvm_report *r, struct cvm_json_builder *b)
{
    char version[20];
    const struct cvm_resolution *res = r->resolution;
    cvm_json_begin_object(b, "ovmf_variant");
    cvm_json_put_string(b, "value", res->variant.layout->name);
    cvm_json_put_string(b, "source", res->variant.source);
    cvm_json_put_string(b, "rule", res->variant.rule);
    cvm_json_end(b);
    put_layout(r, b);
    put_resolved(b, "kernel_measures", kernel_measures_word(r->machine),
                 res->kernel_measures_source);
    put_resolved(b, "kernel_header", cvm_kernel_header_word(r->machine->kernel_header),
                 res->kernel_header_source);
    put_resolved(b, "page_add_order", cvm_page_add_order_word(r->machine->page_add_order),
                 res->page_add_order_source);
    put_resolved(b, "qemu_version", cvm_qemu_version_text(r->machine, version, sizeof version),
                 res->qemu_version_source);
}

void cvm_report_put_registers(const struct cvm_expectation *expectation, struct cvm_json_builder *b)
{
    put_digest(b, "mrtd", &expectation->mrtd);
    put_digest(b, "rtmr0", &expectation->rtmr[0]);
    put_digest(b, "rtmr1", &expectation->rtmr[1]);
    put_digest(b, "rtmr2", &expectation->rtmr[2]);
}

void cvm_report_put(const struct cvm_report *r, struct cvm_json_builder *b)
{
    cvm_report_put_registers(r->expectation, b);
    put_events(&r->expectation->events, b);
    cvm_report_put_resolution(r, b);
    cvm_json_put_string(b, "os_image_hash", r->os_image_hash);
    cvm_json_put_any(b, "vm_config", r->vm_config);
    cvm_warnings_put(r->warnings, b);
}

void cvm_report_print(const struct cvm_report *r, struct cvm_buf *out)
{
    char version[20];
    const struct cvm_resolution *res = r->resolution;
    const struct cvm_expectation *e = r->expectation;
    cvm_put_format(out, "mrtd   %s\n", cvm_sha384_text(&e->mrtd).text);
    for (unsigned i = 0; i < 3; i++) {
        cvm_put_format(out, "rtmr%u  %s\n", i, cvm_sha384_text(&e->rtmr[i]).text);
    }
    const struct cvm_layout *layout = r->machine->layout;
    cvm_put_format(out, "\novmf_variant    %s (%s)\n", res->variant.layout->name,
                   res->variant.rule);
    cvm_put_format(out, "layout          %s, %u events (%s)\n",
                   layout->name[0] == '\0' ? "without a name" : layout->name,
                   cvm_layout_num_usual_events(layout), res->layout_source);
    cvm_put_format(out, "kernel_measures %s (%s)\n", kernel_measures_word(r->machine),
                   res->kernel_measures_source);
    cvm_put_format(out, "kernel_header   %s (%s)\n",
                   cvm_kernel_header_word(r->machine->kernel_header), res->kernel_header_source);
    cvm_put_format(out, "page_add_order  %s (%s)\n",
                   cvm_page_add_order_word(r->machine->page_add_order), res->page_add_order_source);
    cvm_put_format(out, "qemu_version    %s (%s)\n",
                   cvm_qemu_version_text(r->machine, version, sizeof version),
                   res->qemu_version_source);
    cvm_put_format(out, "os_image_hash   %s\n\n",
                   r->os_image_hash == NULL ? "unknown" : r->os_image_hash);
    for (uint32_t i = 0; i < e->events.num_events; i++) {
        const struct cvm_event *event = &e->events.events[i];
        cvm_put_format(
            out, "rtmr%u  %-30s %s%s%s\n", event->rtmr, event->name,
            cvm_sha384_text(&event->digest).text, event->source == CVM_DIGEST_COMPUTED ? "" : "  ",
            event->source == CVM_DIGEST_COMPUTED ? "" : cvm_digest_source_word(event->source));
    }
}

static void warn_extrapolated(const struct cvm_machine *machine, const char *what,
                              struct cvm_warnings *warnings)
{
    cvm_warn(warnings,
             "no QEMU %u.%u was ever compared: its %s tables are extrapolated from the nearest "
             "version that was",
             machine->qemu.major, machine->qemu.minor, what);
}

/* What is known of others, not of this firmware or host. */
static void warn_event(const struct cvm_event *event, struct cvm_warnings *warnings)
{
    bool is_smbios = strcmp(event->name, "smbios") == 0;
    if (event->source == CVM_DIGEST_CAPTURED) {
        cvm_warn(warnings,
                 "event %s of rtmr%u is a capture from another host (a 2 GiB guest of the dstack "
                 "0.5.11 verifiers: QEMU 8.2, CPU signature 0x000c06f2, manufacturer and product "
                 "'dstack'), not computed: it differs with CPU and machine type",
                 event->name, event->rtmr);
    }
    if (event->source == CVM_DIGEST_WELL_KNOWN && is_smbios) {
        cvm_warn(warnings,
                 "event %s of rtmr%u is that of an upstream build of the firmware ('EDK II', "
                 "'unknown', '02/02/2022'), since this one's own SMBIOS strings are not known",
                 event->name, event->rtmr);
    }
    if (event->source == CVM_DIGEST_WELL_KNOWN && !is_smbios) {
        cvm_warn(warnings,
                 "event %s of rtmr%u is that of an empty variable store, since a compact "
                 "measurement does not say: wrong for firmware with enrolled keys",
                 event->name, event->rtmr);
    }
}

static void warn_bars(const struct cvm_machine *machine, struct cvm_warnings *warnings)
{
    bool has_ports = cvm_machine_num_gpus(machine) != 0 ||
                     cvm_machine_count(machine, CVM_DEVICE_NVSWITCH_PORT) != 0;
    if (has_ports && !cvm_machine_knows_bars(machine)) {
        cvm_warn(warnings,
                 "nothing says which BARs are behind the root ports (gpu_bars, nvswitch_bars): the "
                 "ACPI tables are right where all of them fit into pci_hole64_size and no node has "
                 "an expander");
    }
}

static void warn_firmware(const struct cvm_expectation *e, struct cvm_warnings *warnings)
{
    if (e->unknown_variables) {
        cvm_warn(warnings,
                 "the firmware's CFV section holds no variable store that is known: the events "
                 "secureboot, pk, kek, db and dbx are right only where no keys are enrolled");
    }
    if (e->stored_boot_options) {
        cvm_warn(warnings,
                 "the firmware's variable store holds boot options: the events boot_order and "
                 "boot#### are those of a store without any");
    }
    if (e->secure_boot && !e->kernel.is_signed) {
        cvm_warn(warnings,
                 "secure boot is on in the firmware's variable store, and the kernel is not "
                 "signed: the firmware refuses it, or (older builds) measures no kernel");
    }
}

/* Without a kernel's file there is a compact measurement, which speaks of RTMR2 itself. */
static void warn_kernel(const struct cvm_expectation *e, const struct cvm_machine *machine,
                        bool has_kernel, struct cvm_warnings *warnings)
{
    if (!has_kernel || machine->kernel_measures != CVM_KERNEL_MEASURES_ASSUMED) {
        return;
    }
    if (!e->kernel.version_known) {
        cvm_warn(warnings, "the kernel does not say its version: where it is older than 6.9, RTMR2 "
                           "may stay zero");
    } else if (e->kernel.is_old) {
        cvm_warn(warnings,
                 "kernel %s is older than 6.9, whose EFI stub may measure nothing: RTMR2 may stay "
                 "zero (--kernel-measures no expects that)",
                 e->kernel.version);
    }
}

void cvm_report_warn(const struct cvm_expectation *expectation, const struct cvm_machine *machine,
                     struct cvm_warnings *warnings)
{
    bool has_kernel = true;
    if (expectation->acpi_extrapolated) {
        warn_extrapolated(machine, "ACPI", warnings);
    }
    if (expectation->smbios_extrapolated) {
        warn_extrapolated(machine, "SMBIOS", warnings);
    }
    warn_bars(machine, warnings);
    warn_firmware(expectation, warnings);
    for (uint32_t i = 0; i < expectation->events.num_events; i++) {
        const struct cvm_event *event = &expectation->events.events[i];
        warn_event(event, warnings);
        bool from_compact =
            event->source == CVM_DIGEST_DECLARED && strcmp(event->name, "kernel") == 0;
        has_kernel = has_kernel && !from_compact;
        if (from_compact && machine->kernel_header == CVM_KERNEL_AS_IS) {
            cvm_warn(warnings,
                     "this QEMU serves the kernel as it is: its digest from the compact "
                     "measurement is right only where the image's kernel header is normalized");
        }
    }
    warn_kernel(expectation, machine, has_kernel, warnings);
}
