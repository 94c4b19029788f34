#include "measure/firmware_layout.h"

#include "measure/firmware_volume.h"
#include "measure/include/cvm/smbios.h"

#include <stdio.h>

#define DXEFV "7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"

/* What the walk over the volumes collects. */
struct findings {
    struct cvm_firmware_features features;
    struct cvm_smbios_firmware strings;
    bool has_dxefv;
    bool has_unknown_packing;
    struct cvm_guid packing;
};

#define FEATURE(f) offsetof(struct cvm_firmware_features, f)

/* Files of the volume of DXE drivers, and what their presence means. */
static const struct {
    const char *guid;
    size_t feature;
} drivers[] = {
    { "f062221e-c607-44c2-b0b4-c3886331d351", FEATURE(measures) }, /* TdTcg2Dxe */
    { "d27fed59-abb4-4fed-bead-2a878c7e4a7e", FEATURE(smbios) },   /* SmbiosMeasurementDxe */
    { "eec25bdc-67f2-4d95-b1d5-f81b2039d11d", FEATURE(boot_manager_menu) }, /* BootManagerMenuApp */
    { "462caa21-7614-4503-836e-8ab6f4662331", FEATURE(ui_app) },            /* UiApp */
    { "f0e6a44f-7195-41c3-ac64-54f202cd0a21",
      FEATURE(secure_boot_config) }, /* SecureBootConfigDxe */
};

/* Texts of the code, each with its NUL. */
#define TEXT(t) t, sizeof(t)
static const struct {
    const char *text;
    size_t size;
    size_t feature;
} texts[] = {
    { TEXT("QEMU FW CFG"), FEATURE(fw_cfg) },
    { TEXT("ACPI DATA"), FEATURE(acpi) },
    { TEXT("initrd=initrd "), FEATURE(cmdline_prefix) },
    { TEXT(" initrd=initrd"), FEATURE(cmdline_suffix) },
};

static void set(struct cvm_firmware_features *features, size_t feature)
{
    *(bool *)((char *)features + feature) = true;
}

static void find_texts(void *data, struct cvm_bytes bytes)
{
    struct findings *f = data;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (memmem(bytes.data, bytes.size, texts[i].text, texts[i].size) != NULL) {
            set(&f->features, texts[i].feature);
        }
    }
}

/* The strings are those of one driver, which lies in one volume. */
static void look_at_unpacked(void *data, struct cvm_bytes bytes)
{
    struct findings *f = data;
    struct cvm_error not_here = { 0 };
    find_texts(f, bytes);
    (void)!cvm_smbios_find_strings(bytes, &f->strings, &not_here);
}

static void find_driver(void *data, const struct fv_file *file)
{
    struct findings *f = data;
    if (file->volume == NULL || !cvm_guid_is(file->volume->bytes, DXEFV)) {
        return;
    }
    f->has_dxefv = true;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (cvm_guid_is(file->name.bytes, drivers[i].guid)) {
            set(&f->features, drivers[i].feature);
        }
    }
}

static void keep_packing(void *data, const struct cvm_guid *method)
{
    struct findings *f = data;
    f->has_unknown_packing = true;
    f->packing = *method;
}

/* --- from features to events --- */

static void add(struct cvm_layout *layout, const enum cvm_layout_kind *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        layout->events[layout->num_events++] = kinds[i];
    }
}

#define ADD(layout, ...)                                                                           \
    add(layout, (const enum cvm_layout_kind[]){ __VA_ARGS__ },                                     \
        sizeof((const enum cvm_layout_kind[]){ __VA_ARGS__ }) / sizeof(enum cvm_layout_kind))

static void add_boot_option(struct cvm_layout *layout, enum cvm_boot_app app)
{
    if (layout->num_boot_options == 0) {
        ADD(layout, CVM_LAYOUT_BOOT_ORDER);
    }
    layout->boot_options[layout->num_boot_options++] = app;
    ADD(layout, CVM_LAYOUT_BOOT_OPTION);
}

static void add_events(const struct cvm_firmware_features *f, struct cvm_layout *layout)
{
    ADD(layout, CVM_LAYOUT_TD_HOB, CVM_LAYOUT_CFV);
    if (f->fw_cfg) {
        ADD(layout, CVM_LAYOUT_FWCFG_EXTRA_PCI_ROOTS, CVM_LAYOUT_FWCFG_BOOTMENU,
            CVM_LAYOUT_FWCFG_BOOT_MENU_WAIT, CVM_LAYOUT_FWCFG_RESERVED_MEMORY_END,
            CVM_LAYOUT_FWCFG_PCI_MMIO64_MB, CVM_LAYOUT_FWCFG_BOOTORDER);
    }
    ADD(layout, CVM_LAYOUT_SECUREBOOT, CVM_LAYOUT_PK, CVM_LAYOUT_KEK, CVM_LAYOUT_DB, CVM_LAYOUT_DBX,
        CVM_LAYOUT_SEPARATOR);
    if (f->acpi) {
        ADD(layout, CVM_LAYOUT_ACPI_LOADER, CVM_LAYOUT_ACPI_RSDP, CVM_LAYOUT_ACPI_TABLES);
    }
    if (f->smbios) {
        ADD(layout, CVM_LAYOUT_SMBIOS);
    }
    if (f->boot_manager_menu) {
        add_boot_option(layout, CVM_BOOT_MANAGER_MENU);
    }
    if (f->ui_app) {
        add_boot_option(layout, f->fw_cfg ? CVM_BOOT_FIRMWARE_SETUP : CVM_BOOT_UI_APP);
    }
}

/* Gives the layout the name of the known one that extends RTMR0 alike. */
static void find_name(struct cvm_layout *layout)
{
    const struct cvm_layout *known;
    for (size_t i = 0; (known = cvm_layout_at(i)) != NULL; i++) {
        if (cvm_layout_same_events(known, layout)) {
            memcpy(layout->name, known->name, sizeof layout->name);
        }
    }
}

bool firmware_layout_of(const struct cvm_firmware_features *features, struct cvm_layout *out,
                        char reason[CVM_LAYOUT_REASON_SIZE])
{
    struct cvm_layout layout = { .num_events = 0 };
    if (!features->measures) {
        *out = layout;
        return true;
    }
    if (features->cmdline_prefix == features->cmdline_suffix) {
        snprintf(reason, CVM_LAYOUT_REASON_SIZE,
                 "the firmware has %s of the texts that put initrd=initrd into the command line",
                 features->cmdline_prefix ? "both" : "none");
        return false;
    }
    if (features->boot_manager_menu && features->ui_app && !features->fw_cfg) {
        snprintf(reason, CVM_LAYOUT_REASON_SIZE,
                 "the firmware has BootManagerMenuApp and UiApp and does not measure fw_cfg items: "
                 "no such build was seen, and its boot options are not known");
        return false;
    }
    add_events(features, &layout);
    layout.secure_boot_byte = features->secure_boot_config;
    layout.cmdline_form = features->cmdline_prefix ? CVM_CMDLINE_PREFIX : CVM_CMDLINE_SUFFIX;
    find_name(&layout);
    *out = layout;
    return true;
}

/* --- the file --- */

static bool walk_code(struct cvm_bytes bytes, const struct cvm_tdvf *tdvf,
                      struct fv_visitor *visitor, struct cvm_error *err)
{
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *s = &tdvf->sections[i];
        if (s->type != CVM_TDVF_BFV) {
            continue;
        }
        const struct cvm_bytes region = { bytes.data + s->data_offset, s->raw_size };
        if (!fv_walk(region, s->data_offset, visitor, err)) {
            return false;
        }
    }
    return true;
}

/* Where the drivers were not found, there is nothing to derive from. */
static bool explain_missing(const struct findings *f, uint32_t num_volumes, char *reason)
{
    char packing[CVM_GUID_TEXT];
    if (f->has_dxefv) {
        return false;
    }
    if (num_volumes == 0) {
        snprintf(reason, CVM_LAYOUT_REASON_SIZE, "its code is in no firmware volume");
    } else if (f->has_unknown_packing) {
        cvm_guid_text(&f->packing, packing);
        snprintf(reason, CVM_LAYOUT_REASON_SIZE, "a section is packed by %s, which is not known",
                 packing);
    } else {
        snprintf(reason, CVM_LAYOUT_REASON_SIZE,
                 "it has no volume " DXEFV " with the drivers that measure");
    }
    return true;
}

bool firmware_derive_layout(struct cvm_bytes bytes, struct cvm_firmware *firmware,
                            struct cvm_error *err)
{
    struct findings f = { .has_dxefv = false };
    struct fv_visitor visitor = {
        .data = &f,
        .on_file = find_driver,
        .on_unpacked = look_at_unpacked,
        .on_unknown_packing = keep_packing,
    };
    find_texts(&f, bytes);
    if (!walk_code(bytes, &firmware->tdvf, &visitor, err)) {
        return false;
    }
    firmware->features = f.features;
    firmware->strings = f.strings;
    firmware->layout_state = CVM_LAYOUT_UNKNOWN;
    if (!explain_missing(&f, visitor.num_volumes, firmware->layout_reason) &&
        firmware_layout_of(&f.features, &firmware->layout, firmware->layout_reason)) {
        firmware->layout_state = CVM_LAYOUT_DERIVED;
    }
    return true;
}
