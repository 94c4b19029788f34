/*
 * cvm firmware: what an OVMF file is, and what a TD that boots it measures.
 */
#include "measure/base/file.h"
#include "measure/variable_store.h"
#include "vmm/cli/commands.h"
#include "vmm/report.h"

#include <stdio.h>

enum { MAX_FIRMWARE = 64 << 20 };

/* Everything that is said of one file. */
struct answer {
    const char *path;
    struct cvm_buf bytes;
    struct cvm_firmware firmware;
    struct cvm_warnings warnings;
};

static void free_answer(struct answer *a)
{
    cvm_buf_free(&a->bytes);
    cvm_warnings_free(&a->warnings);
}

static const char *type_word(uint32_t type)
{
    static const char *const words[] = {
        [CVM_TDVF_BFV] = "BFV",
        [CVM_TDVF_CFV] = "CFV",
        [CVM_TDVF_TD_HOB] = "TD_HOB",
        [CVM_TDVF_TEMP_MEM] = "TempMem",
    };
    return type < sizeof words / sizeof words[0] ? words[type] : "other";
}

static const char *format_word(enum cvm_store_format format)
{
    static const char *const words[] = {
        [CVM_STORE_NONE] = "none",
        [CVM_STORE_PLAIN] = "plain",
        [CVM_STORE_AUTHENTICATED] = "authenticated",
    };
    return words[format];
}

static const char *variant_of(const struct cvm_firmware *f)
{
    return f->layout.name[0] == '\0' ? NULL : f->layout.name;
}

static const char *evidence_of(const struct cvm_firmware *f)
{
    return f->layout_state == CVM_LAYOUT_VERIFIED ? cvm_firmware_evidence(&f->digest) : NULL;
}

/* "boot0001" for the boot options in turn, else the event's own name. */
static const char *event_name(enum cvm_layout_kind kind, unsigned *next_option, char buffer[16])
{
    if (kind != CVM_LAYOUT_BOOT_OPTION) {
        return cvm_layout_event_name(kind);
    }
    snprintf(buffer, 16, "boot%04x", (*next_option)++ & 0xffffu);
    return buffer;
}

/* The variables that are measured by their contents. */
#define VARIABLE(f) offsetof(struct cvm_firmware_variables, f)
static const struct {
    const char *name;
    size_t offset;
} measured[] = {
    { "pk", VARIABLE(pk) },
    { "kek", VARIABLE(kek) },
    { "db", VARIABLE(db) },
    { "dbx", VARIABLE(dbx) },
};

static const struct cvm_secure_variable *measured_at(const struct cvm_firmware_variables *v,
                                                     size_t i)
{
    return (const struct cvm_secure_variable *)(const void *)((const char *)v + measured[i].offset);
}

/* --- the variables that the store holds --- */

/* A name as people read it; what is not ASCII is shown as "?". */
static void put_name(struct cvm_buf *out, struct cvm_bytes name)
{
    for (size_t i = 0; i + 1 < name.size; i += 2) {
        uint8_t c = name.data[i];
        if (c == 0 && name.data[i + 1] == 0) {
            break;
        }
        cvm_put_u8(out, name.data[i + 1] == 0 && c >= ' ' && c < 0x7f ? c : '?');
    }
    cvm_put_u8(out, '\0');
}

struct listing {
    struct cvm_json_builder *json; /* one of the two */
    struct cvm_buf *text;
    bool failed;
};

static void list_variable(void *data, const struct variable *v)
{
    struct listing *l = data;
    cvm_autobuf struct cvm_buf name = { 0 };
    char vendor[CVM_GUID_TEXT];
    if (!variable_is_live(v)) {
        return;
    }
    put_name(&name, v->name);
    if (name.failed) {
        l->failed = true;
        return;
    }
    cvm_guid_text(&v->vendor, vendor);
    if (l->text != NULL) {
        cvm_put_format(l->text, "  %-36s %-24s %7zu\n", vendor, (const char *)name.data,
                       v->data.size);
        return;
    }
    cvm_json_begin_object(l->json, NULL);
    cvm_json_put_string(l->json, "name", (const char *)name.data);
    cvm_json_put_string(l->json, "guid", vendor);
    cvm_json_put_u64(l->json, "size", v->data.size);
    cvm_json_end(l->json);
}

static bool list_variables(const struct answer *a, struct listing *l, struct cvm_error *err)
{
    struct variable_store store;
    for (uint32_t i = 0; i < a->firmware.tdvf.num_sections; i++) {
        const struct cvm_tdvf_section *s = &a->firmware.tdvf.sections[i];
        const struct cvm_bytes section = { a->bytes.data + s->data_offset, s->raw_size };
        if (s->type == CVM_TDVF_CFV &&
            (!variable_store_open(section, s->data_offset, &store, err) ||
             !variable_store_walk(&store, list_variable, l, err))) {
            return false;
        }
    }
    return l->failed ? cvm_fail_nomem(err, "list of variables", 0) : true;
}

/* --- JSON --- */

static void put_sections(const struct cvm_tdvf *tdvf, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "sections");
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *s = &tdvf->sections[i];
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "type", type_word(s->type));
        cvm_json_put_u64(b, "data_offset", s->data_offset);
        cvm_json_put_u64(b, "raw_size", s->raw_size);
        cvm_json_put_u64(b, "mem_addr", s->mem_addr);
        cvm_json_put_u64(b, "mem_size", s->mem_size);
        cvm_json_put_bool(b, "mr_extend", (s->attributes & CVM_TDVF_MR_EXTEND) != 0);
        cvm_json_put_bool(b, "page_aug", (s->attributes & CVM_TDVF_PAGE_AUG) != 0);
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

static void put_events(const struct cvm_layout *layout, struct cvm_json_builder *b)
{
    unsigned next_option = 0;
    char buffer[16];
    cvm_json_begin_array(b, "events");
    for (uint32_t i = 0; i < layout->num_events; i++) {
        enum cvm_layout_kind kind = layout->events[i];
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "name", event_name(kind, &next_option, buffer));
        cvm_json_put_string(b, "source", cvm_layout_event_source(kind));
        cvm_json_put_bool(b, "optional", cvm_layout_event_is_optional(kind));
        cvm_json_end(b);
    }
    cvm_json_end(b);
    cvm_json_begin_array(b, "boot_options");
    for (uint32_t i = 0; i < layout->num_boot_options; i++) {
        const struct cvm_boot_option *option = cvm_boot_option_at(layout->boot_options[i]);
        cvm_json_begin_object(b, NULL);
        cvm_json_put_string(b, "description", option->description);
        cvm_json_put_u64(b, "attributes", option->attributes);
        cvm_json_put_string(b, "volume_guid", option->volume_guid);
        cvm_json_put_string(b, "file_guid", option->file_guid);
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

static void put_layout(const struct cvm_firmware *f, struct cvm_json_builder *b)
{
    bool known = f->layout_state != CVM_LAYOUT_UNKNOWN;
    cvm_json_put_string(b, "ovmf_variant", variant_of(f));
    cvm_json_begin_object(b, "layout");
    cvm_json_put_string(b, "source", cvm_layout_state_word(f->layout_state));
    cvm_json_put_string(b, "reason", known ? NULL : f->layout_reason);
    cvm_json_put_string(b, "evidence", evidence_of(f));
    cvm_json_put_bool(b, "measures", f->layout.num_events != 0);
    cvm_json_put_u64(b, "num_events", cvm_layout_num_usual_events(&f->layout));
    put_events(&f->layout, b);
    cvm_json_put_bool(b, "fw_cfg", f->features.fw_cfg);
    cvm_json_put_bool(b, "acpi", f->features.acpi);
    cvm_json_put_bool(b, "smbios", f->features.smbios);
    cvm_json_put_bool(b, "secure_boot_byte", f->layout.secure_boot_byte);
    cvm_json_put_string(b, "cmdline_form",
                        f->layout.num_events == 0 ? NULL
                                                  : cvm_cmdline_form_word(f->layout.cmdline_form));
    cvm_json_end(b);
}

static bool put_store(const struct answer *a, struct cvm_json_builder *b, struct cvm_error *err)
{
    const struct cvm_firmware_variables *v = &a->firmware.variables;
    struct listing l = { .json = b };
    cvm_json_begin_object(b, "variable_store");
    cvm_json_put_string(b, "format", format_word(v->format));
    cvm_json_put_u64(b, "size", v->store_size);
    cvm_json_put_bool(b, "secure_boot", v->secure_boot);
    cvm_json_begin_object(b, "measured");
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++) {
        const struct cvm_secure_variable *m = measured_at(v, i);
        cvm_json_begin_object(b, measured[i].name);
        cvm_json_put_bool(b, "present", m->present);
        cvm_json_put_u64(b, "size", m->size);
        cvm_json_put_hex(b, "event_digest", m->digest.bytes, sizeof m->digest.bytes);
        cvm_json_end(b);
    }
    cvm_json_end(b);
    cvm_json_begin_array(b, "variables");
    bool ok = list_variables(a, &l, err);
    cvm_json_end(b);
    cvm_json_end(b);
    return ok;
}

static bool print_json(const struct answer *a, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    const struct cvm_firmware *f = &a->firmware;
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "file", a->path);
    cvm_json_put_u64(&b, "size", f->size);
    cvm_json_put_hex(&b, "sha384", f->digest.bytes, sizeof f->digest.bytes);
    put_sections(&f->tdvf, &b);
    put_layout(f, &b);
    cvm_json_put_hex(&b, "cfv", f->cfv.bytes, sizeof f->cfv.bytes);
    if (!put_store(a, &b, err)) {
        return false;
    }
    cvm_json_begin_object(&b, "mrtd");
    cvm_json_put_hex(&b, "single_pass", f->mrtd_single_pass.bytes,
                     sizeof f->mrtd_single_pass.bytes);
    cvm_json_put_hex(&b, "two_pass", f->mrtd_two_pass.bytes, sizeof f->mrtd_two_pass.bytes);
    cvm_json_end(&b);
    cvm_warnings_put(&a->warnings, &b);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

/* --- text --- */

static void print_layout(const struct cvm_firmware *f, struct cvm_buf *text)
{
    unsigned next_option = 0;
    char buffer[16];
    if (f->layout_state == CVM_LAYOUT_UNKNOWN) {
        cvm_put_format(text, "layout        unknown: %s\n", f->layout_reason);
        return;
    }
    if (f->layout.num_events == 0) {
        cvm_put_format(text, "layout        %s: measures nothing in a TD\n",
                       cvm_layout_state_word(f->layout_state));
        return;
    }
    cvm_put_format(text, "layout        %s: %u events\n", cvm_layout_state_word(f->layout_state),
                   cvm_layout_num_usual_events(&f->layout));
    if (evidence_of(f) != NULL) {
        cvm_put_format(text, "evidence      %s\n", evidence_of(f));
    }
    cvm_put_format(text, "ovmf_variant  %s\n", variant_of(f) == NULL ? "none" : variant_of(f));
    cvm_put_format(text, "command line  %s\n",
                   f->layout.cmdline_form == CVM_CMDLINE_PREFIX ? "behind initrd=initrd (prefix)"
                                                                : "before initrd=initrd (suffix)");
    cvm_put_text(text, "\nevents of rtmr0\n");
    for (uint32_t i = 0; i < f->layout.num_events; i++) {
        enum cvm_layout_kind kind = f->layout.events[i];
        cvm_put_format(text, "  %-26s %s%s\n", event_name(kind, &next_option, buffer),
                       cvm_layout_event_source(kind),
                       cvm_layout_event_is_optional(kind) ? ", where the machine has it" : "");
    }
}

static void print_sections(const struct cvm_tdvf *tdvf, struct cvm_buf *text)
{
    cvm_put_text(text, "\nsections (in the file: offset, size; in memory: address, size)\n");
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *s = &tdvf->sections[i];
        cvm_put_format(text, "  %-8s 0x%06x 0x%06x  0x%08llx 0x%06llx%s%s\n", type_word(s->type),
                       s->data_offset, s->raw_size, (unsigned long long)s->mem_addr,
                       (unsigned long long)s->mem_size,
                       (s->attributes & CVM_TDVF_MR_EXTEND) != 0 ? " extended" : "",
                       (s->attributes & CVM_TDVF_PAGE_AUG) != 0 ? " added later" : "");
    }
}

static bool print_store(const struct answer *a, struct cvm_buf *text, struct cvm_error *err)
{
    const struct cvm_firmware_variables *v = &a->firmware.variables;
    struct listing l = { .text = text };
    if (v->format == CVM_STORE_NONE) {
        cvm_put_text(text, "\nvariable store: none that is known\n");
        return true;
    }
    cvm_put_format(text, "\nvariable store: %s, %u bytes, %u variables, secure boot %s\n",
                   format_word(v->format), v->store_size, v->num_live,
                   v->secure_boot ? "on" : "off");
    return list_variables(a, &l, err);
}

static bool print_text(const struct answer *a, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    const struct cvm_firmware *f = &a->firmware;
    cvm_put_format(&text, "file          %s\nsize          %llu\nsha384        %s\n", a->path,
                   (unsigned long long)f->size, cvm_sha384_text(&f->digest).text);
    cvm_put_format(&text, "mrtd          %s  single pass\n",
                   cvm_sha384_text(&f->mrtd_single_pass).text);
    cvm_put_format(&text, "mrtd          %s  two pass\n", cvm_sha384_text(&f->mrtd_two_pass).text);
    cvm_put_format(&text, "cfv           %s\n", cvm_sha384_text(&f->cfv).text);
    print_layout(f, &text);
    print_sections(&f->tdvf, &text);
    return print_store(a, &text, err) && cvm_buf_finish(&text, "answer", err) &&
           cli_print(&text, err);
}

static void warn(struct answer *a)
{
    const struct cvm_firmware *f = &a->firmware;
    if (f->variables.boot_options) {
        cvm_warn(&a->warnings,
                 "the variable store holds boot options: the events boot_order and boot#### are "
                 "known for a store without any");
    }
    if (f->variables.format == CVM_STORE_NONE) {
        cvm_warn(&a->warnings, "the CFV section holds no variable store that is known");
    }
}

static bool run_firmware(const struct cli *cli, const void *data, struct cvm_error *err)
{
    (void)data;
    CVM_CLEANUP(free_answer)
    struct answer a = { .path = cli->operands[0] };
    if (!cvm_file_load(a.path, MAX_FIRMWARE, &a.bytes, err)) {
        return false;
    }
    if (!cvm_firmware_inspect(cvm_buf_bytes(&a.bytes), &a.firmware, err)) {
        return cvm_context(err, "firmware '%s'", a.path);
    }
    warn(&a);
    cli_warn(cli, &a.warnings);
    return cli->json ? print_json(&a, err) : print_text(&a, err);
}

const struct cli_command cmd_firmware = {
    .name = "firmware",
    .operands = "FILE",
    .summary = "Show what an OVMF file is: sections, event layout, variable store, MRTD.",
    .example = "cvm firmware /usr/share/ovmf/OVMF.fd",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_firmware,
};
