#include "measure/rtmr.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/efi.h"
#include "measure/fw_cfg_item.h"
#include "measure/include/cvm/acpi.h"
#include "measure/include/cvm/smbios.h"
#include "measure/td_hob.h"

/*
 * The SMBIOS event of a 2 GiB guest, as captured by the deployed verifiers of dstack 0.5.11: QEMU
 * 8.2, CPU signature 0x000c06f2, manufacturer and product "dstack". It stands in where the CPU is
 * not known, and only for that memory.
 */
#define CAPTURED_SMBIOS_MEMORY (UINT64_C(2) << 30)
#define CAPTURED_SMBIOS                                                                            \
    "fb66919801f1dfc9c4c273b6a739380790cb0fd3cb706a42f6ac050510ebc8618e7fba53a1564522f5c6f0dc9e1f41a6"

/* What builds say that set no strings of their own. */
static const struct cvm_smbios_firmware upstream_strings = { "EDK II", "unknown", "02/02/2022" };

/* The work of one call. */
struct rtmr0 {
    const struct rtmr0_input *in;
    struct cvm_acpi acpi;
    bool smbios_extrapolated;
    uint32_t next_boot_option;
};

/* Where a rule puts its event: the digest, and where it came from. */
struct result {
    struct cvm_sha384 digest;
    enum cvm_digest_source source;
};

static bool hash_buf(const struct cvm_buf *b, struct result *out, struct cvm_error *err)
{
    return cvm_buf_finish(b, "event data", err) && cvm_sha384(b->data, b->len, &out->digest, err);
}

static bool put_td_hob(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                       struct cvm_error *err)
{
    (void)kind;
    cvm_autobuf struct cvm_buf hob = { 0 };
    return td_hob_build(r->in->machine, r->in->ranges, &hob, err) && hash_buf(&hob, out, err);
}

static bool put_cfv(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                    struct cvm_error *err)
{
    (void)kind;
    (void)err;
    *out = (struct result){ *r->in->cfv, r->in->cfv_source };
    return true;
}

static bool put_fw_cfg(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf item = { 0 };
    fw_cfg_item_put(r->in->machine, kind, &item);
    return hash_buf(&item, out, err);
}

static bool put_separator(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                          struct cvm_error *err)
{
    static const uint8_t zeros[4] = { 0 };
    (void)r;
    (void)kind;
    return cvm_sha384(zeros, sizeof zeros, &out->digest, err);
}

/* The state of secure boot, in builds that can change it. */
static bool put_secureboot(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                           struct cvm_error *err)
{
    (void)kind;
    const struct cvm_firmware_variables *variables = r->in->variables;
    const uint8_t state[1] = { variables != NULL && variables->secure_boot };
    cvm_autobuf struct cvm_buf event = { 0 };
    efi_put_variable_event(
        &event, EFI_GLOBAL_VARIABLE_GUID, "SecureBoot",
        (struct cvm_bytes){ state, r->in->machine->layout->secure_boot_byte ? sizeof state : 0 });
    return hash_buf(&event, out, err);
}

/* Keys that are enrolled in the variable store, or empty variables. */
static bool put_variable(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                         struct cvm_error *err)
{
    static const struct {
        const char *guid, *name;
        size_t offset;
    } variables[CVM_LAYOUT_KINDS] = {
#define STORED(f) offsetof(struct cvm_firmware_variables, f)
        [CVM_LAYOUT_PK] = { EFI_GLOBAL_VARIABLE_GUID, "PK", STORED(pk) },
        [CVM_LAYOUT_KEK] = { EFI_GLOBAL_VARIABLE_GUID, "KEK", STORED(kek) },
        [CVM_LAYOUT_DB] = { EFI_IMAGE_SECURITY_DATABASE_GUID, "db", STORED(db) },
        [CVM_LAYOUT_DBX] = { EFI_IMAGE_SECURITY_DATABASE_GUID, "dbx", STORED(dbx) },
#undef STORED
    };
    if (r->in->variables != NULL) {
        const char *stored = (const char *)r->in->variables + variables[kind].offset;
        out->digest = ((const struct cvm_secure_variable *)(const void *)stored)->digest;
        return true;
    }
    cvm_autobuf struct cvm_buf event = { 0 };
    efi_put_variable_event(&event, variables[kind].guid, variables[kind].name,
                           (struct cvm_bytes){ 0 });
    return hash_buf(&event, out, err);
}

/* The three ACPI files are built when the first of them is asked for. */
static bool put_acpi(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                     struct cvm_error *err)
{
    if (r->acpi.tables.data == NULL && !cvm_acpi_build(r->in->machine, &r->acpi, err)) {
        return false;
    }
    const struct cvm_acpi_file *file = kind == CVM_LAYOUT_ACPI_LOADER ? &r->acpi.loader
                                       : kind == CVM_LAYOUT_ACPI_RSDP ? &r->acpi.rsdp
                                                                      : &r->acpi.tables;
    return cvm_sha384(file->data, file->size, &out->digest, err);
}

/* Whether the captured guest's type 1 can be this machine's: nothing said, or what that one had. */
static bool fits_capture(const struct cvm_smbios *s)
{
    const char *const said[] = { s->manufacturer, s->product };
    const char *const unsaid[] = { s->version, s->serial, s->sku, s->family };
    bool fits = true;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        fits &= said[i][0] == '\0' || strcmp(said[i], "dstack") == 0;
    }
    for (size_t i = 0; i < sizeof unsaid / sizeof unsaid[0]; i++) {
        fits &= unsaid[i][0] == '\0';
    }
    return fits;
}

static bool take_captured_smbios(const struct cvm_machine *m, struct result *out,
                                 struct cvm_error *err)
{
    if (m->memory_size != CAPTURED_SMBIOS_MEMORY || !fits_capture(&m->smbios)) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "event smbios of RTMR0 depends on the guest's CPU, and cpu_signature or "
                        "cpu_features_edx is not known; a capture is at hand for 2 GiB of memory "
                        "and QEMU's or dstack's type 1 strings only");
    }
    out->source = CVM_DIGEST_CAPTURED;
    return cvm_hex_decode(CAPTURED_SMBIOS, sizeof CAPTURED_SMBIOS - 1, out->digest.bytes,
                          sizeof out->digest.bytes, err);
}

static bool put_smbios(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                       struct cvm_error *err)
{
    const struct cvm_machine *m = r->in->machine;
    CVM_CLEANUP(cvm_smbios_tables_free)
    struct cvm_smbios_tables tables = { 0 };
    (void)kind;
    if (!m->cpu_signature.set || !m->cpu_features_edx.set) {
        return take_captured_smbios(m, out, err);
    }
    bool known = m->firmware_strings.vendor[0] != '\0';
    out->source = known ? CVM_DIGEST_COMPUTED : CVM_DIGEST_WELL_KNOWN;
    if (!cvm_smbios_build(m, &tables, err)) {
        return cvm_context(err, "event smbios of RTMR0");
    }
    r->smbios_extrapolated = tables.extrapolated;
    return cvm_smbios_digest((struct cvm_bytes){ tables.data, tables.size },
                             known ? &m->firmware_strings : &upstream_strings, &out->digest, err);
}

static bool put_boot_order(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                           struct cvm_error *err)
{
    (void)kind;
    cvm_autobuf struct cvm_buf numbers = { 0 };
    for (uint32_t i = 0; i < r->in->machine->layout->num_boot_options; i++) {
        cvm_put_le(&numbers, i, 2);
    }
    return hash_buf(&numbers, out, err);
}

static bool put_boot_option(struct rtmr0 *r, enum cvm_layout_kind kind, struct result *out,
                            struct cvm_error *err)
{
    (void)kind;
    const struct cvm_layout *layout = r->in->machine->layout;
    cvm_autobuf struct cvm_buf option = { 0 };
    efi_put_load_option(&option, cvm_boot_option_at(layout->boot_options[r->next_boot_option]));
    return hash_buf(&option, out, err);
}

/* One function per kind of event; the digest is that of the event's data. */
static bool (*const rules[CVM_LAYOUT_KINDS])(struct rtmr0 *r, enum cvm_layout_kind kind,
                                             struct result *out, struct cvm_error *err) = {
    [CVM_LAYOUT_TD_HOB] = put_td_hob,
    [CVM_LAYOUT_CFV] = put_cfv,
    [CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS] = put_fw_cfg,
    [CVM_LAYOUT_FWCFG_BOOTMENU] = put_fw_cfg,
    [CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT] = put_fw_cfg,
    [CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END] = put_fw_cfg,
    [CVM_LAYOUT_FWCFG_PCI_MMIO64_MB] = put_fw_cfg,
    [CVM_LAYOUT_FWCFG_BOOTORDER] = put_fw_cfg,
    [CVM_LAYOUT_SECUREBOOT] = put_secureboot,
    [CVM_LAYOUT_PK] = put_variable,
    [CVM_LAYOUT_KEK] = put_variable,
    [CVM_LAYOUT_DB] = put_variable,
    [CVM_LAYOUT_DBX] = put_variable,
    [CVM_LAYOUT_SEPARATOR] = put_separator,
    [CVM_LAYOUT_ACPI_LOADER] = put_acpi,
    [CVM_LAYOUT_ACPI_RSDP] = put_acpi,
    [CVM_LAYOUT_ACPI_TABLES] = put_acpi,
    [CVM_LAYOUT_SMBIOS] = put_smbios,
    [CVM_LAYOUT_BOOT_ORDER] = put_boot_order,
    [CVM_LAYOUT_BOOT_OPTION] = put_boot_option,
};

static const char *const boot_option_names[CVM_LAYOUT_MAX_BOOT_OPTIONS] = {
    "boot0000",
    "boot0001",
    "boot0002",
    "boot0003",
};

static void append(struct cvm_event_list *list, unsigned rtmr, const char *name,
                   const struct cvm_sha384 *digest, enum cvm_digest_source source)
{
    list->events[list->num_events++] = (struct cvm_event){ rtmr, name, *digest, source };
}

static void free_work(struct rtmr0 *r)
{
    cvm_acpi_free(&r->acpi);
}

static bool check_kinds(const struct cvm_layout *layout, struct cvm_error *err)
{
    for (uint32_t i = 0; i < layout->num_events; i++) {
        if ((unsigned)layout->events[i] >= CVM_LAYOUT_KINDS) {
            return cvm_fail(err, CVM_ERR_USAGE, "firmware layout: event %u is of no known kind, %u",
                            i, (unsigned)layout->events[i]);
        }
    }
    for (uint32_t i = 0; i < layout->num_boot_options; i++) {
        if (cvm_boot_option_at(layout->boot_options[i]) == NULL) {
            return cvm_fail(err, CVM_ERR_USAGE,
                            "firmware layout: boot option %u is of no known kind, %u", i,
                            (unsigned)layout->boot_options[i]);
        }
    }
    return true;
}

/* A layout may come from a caller: its counts are checked before they are used. */
static bool check_layout(const struct cvm_layout *layout, struct cvm_error *err)
{
    if (layout == NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "the machine names no firmware layout");
    }
    uint32_t options = 0;
    for (uint32_t i = 0; i < layout->num_events && i < CVM_LAYOUT_MAX_EVENTS; i++) {
        options += layout->events[i] == CVM_LAYOUT_BOOT_OPTION;
    }
    if (layout->num_events > CVM_LAYOUT_MAX_EVENTS || options != layout->num_boot_options ||
        options > CVM_LAYOUT_MAX_BOOT_OPTIONS) {
        return cvm_fail(err, CVM_ERR_USAGE, "firmware layout: %u events, %u of %u boot options",
                        layout->num_events, options, layout->num_boot_options);
    }
    if (layout->num_events == 0) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "the firmware measures nothing in a TD, where RTMR0 to RTMR2 stay zero");
    }
    return check_kinds(layout, err);
}

bool rtmr0_put_events(const struct rtmr0_input *in, struct cvm_event_list *list,
                      struct rtmr0_extrapolated *extrapolated, struct cvm_error *err)
{
    const struct cvm_layout *layout = in->machine->layout;
    if (!cvm_machine_check(in->machine, err) || !check_layout(layout, err)) {
        return false;
    }
    CVM_CLEANUP(free_work)
    struct rtmr0 r = { .in = in };
    for (uint32_t i = 0; i < layout->num_events; i++) {
        enum cvm_layout_kind kind = layout->events[i];
        struct result result = { .source = CVM_DIGEST_COMPUTED };
        const char *name = cvm_layout_event_name(kind);
        if (!fw_cfg_item_exists(in->machine, kind)) {
            continue; /* nor is it measured */
        }
        if (!rules[kind](&r, kind, &result, err)) {
            return false;
        }
        if (kind == CVM_LAYOUT_BOOT_OPTION) {
            name = boot_option_names[r.next_boot_option++];
        }
        append(list, 0, name, &result.digest, result.source);
    }
    *extrapolated = (struct rtmr0_extrapolated){
        .acpi = r.acpi.extrapolated,
        .smbios = r.smbios_extrapolated,
    };
    return true;
}

bool rtmr1_put_events(const struct cvm_sha384 *kernel, enum cvm_digest_source source,
                      struct cvm_event_list *list, struct cvm_error *err)
{
    static const struct {
        const char *name;
        struct cvm_bytes data;
    } fixed[] = {
#define ACTION(text) { (const uint8_t *)(text), sizeof(text) - 1 }
        { "calling_efi_application", ACTION("Calling EFI Application from Boot Option") },
        { "separator", ACTION("\0\0\0\0") },
        { "exit_boot_services_invocation", ACTION("Exit Boot Services Invocation") },
        { "exit_boot_services_success", ACTION("Exit Boot Services Returned with Success") },
#undef ACTION
    };
    append(list, 1, "kernel", kernel, source);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        struct cvm_sha384 digest;
        if (!cvm_sha384(fixed[i].data.data, fixed[i].data.size, &digest, err)) {
            return false;
        }
        append(list, 1, fixed[i].name, &digest, CVM_DIGEST_COMPUTED);
    }
    return true;
}

void rtmr2_put_events(const struct cvm_sha384 *cmdline, const struct cvm_sha384 *initrd,
                      enum cvm_digest_source source, struct cvm_event_list *list)
{
    append(list, 2, "cmdline", cmdline, source);
    append(list, 2, "initrd", initrd, source);
}

bool rtmr2_hash_cmdline(const char *cmdline, enum cvm_cmdline_form form, struct cvm_sha384 *out,
                        struct cvm_error *err)
{
    for (const char *p = cmdline; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED, "command line: character %zu is not ASCII",
                            (size_t)(p - cmdline));
        }
    }
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_put_utf16(&text, form == CVM_CMDLINE_PREFIX ? "initrd=initrd " : "");
    cvm_put_utf16(&text, cmdline);
    cvm_put_utf16(&text, form == CVM_CMDLINE_SUFFIX ? " initrd=initrd" : "");
    cvm_put_le(&text, 0, 2);
    return cvm_buf_finish(&text, "command line", err) && cvm_sha384(text.data, text.len, out, err);
}
