#include "vmm/domain_xml.h"

#include "vmm/domain_devices.h"
#include "vmm/share_disk.h"
#include "vmm/template.h"

#include <stdio.h>

/* Stands at the end of the line before, so that its absence leaves no blank line. */
#define READONLY "\n      <readonly/>"

/* Markup rendered from a template, without its final newline where it stands in a line. */
struct fragment {
    struct cvm_buf text;
};

#define autofragment CVM_CLEANUP(free_fragment)

static void free_fragment(struct fragment *f)
{
    cvm_buf_free(&f->text);
}

/* A document on its way: the inputs, and how far the devices of each kind are. */
struct rendering {
    const struct cvm_machine *machine;
    const struct cvm_domain *domain;
    unsigned disks, nics, volumes;
    unsigned slot;              /* of the device that is being rendered */
    struct fragment share_args; /* what QEMU is told where libvirt has no element for the share */
};

static void free_rendering(struct rendering *r)
{
    free_fragment(&r->share_args);
}

typedef bool device_renderer(struct rendering *r, const char *address, struct fragment *out,
                             struct cvm_error *err);

/* The markup as a C string; "" where nothing was rendered. */
static const char *markup_of(struct fragment *f)
{
    return f->text.len == 0 ? "" : (const char *)f->text.data;
}

static bool render(const char *template, const struct cvm_template_value *values,
                   struct fragment *out, struct cvm_error *err)
{
    if (!cvm_template_render(template, cvm_template_find(template), values, &out->text, err)) {
        return false;
    }
    cvm_put_u8(&out->text, '\0');
    return cvm_buf_finish(&out->text, template, err);
}

/* As render(), for markup that stands within a line. */
static bool render_inline(const char *template, const struct cvm_template_value *values,
                          struct fragment *out, struct cvm_error *err)
{
    if (!render(template, values, out, err)) {
        return false;
    }
    size_t end = out->text.len - 2; /* the newline before the NUL */
    if (out->text.data[end] == '\n') {
        out->text.data[end] = '\0';
    }
    return true;
}

static bool render_address(unsigned slot, struct fragment *out, struct cvm_error *err)
{
    char text[8];
    snprintf(text, sizeof text, "%02x", slot);
    return render_inline("address", (const struct cvm_template_value[]){ { "slot", text }, { 0 } },
                         out, err);
}

static const char *next_target(struct rendering *r, char *buffer, size_t size)
{
    snprintf(buffer, size, "vd%c", (char)('a' + r->disks++));
    return buffer;
}

static bool render_disk(struct rendering *r, const char *file, bool readonly, const char *address,
                        struct fragment *out, struct cvm_error *err)
{
    char target[8];
    const struct cvm_template_value values[] = {
        { "file", file },
        { "target", next_target(r, target, sizeof target) },
        { "readonly", .markup = readonly ? READONLY : "" },
        { "address", .markup = address },
        { 0 },
    };
    return render("disk", values, out, err);
}

static bool render_rootfs(struct rendering *r, const char *address, struct fragment *out,
                          struct cvm_error *err)
{
    return render_disk(r, r->domain->rootfs, true, address, out, err);
}

static bool render_data_disk(struct rendering *r, const char *address, struct fragment *out,
                             struct cvm_error *err)
{
    return render_disk(r, r->domain->data_disk, false, address, out, err);
}

static bool render_volume(struct rendering *r, const char *address, struct fragment *out,
                          struct cvm_error *err)
{
    return render_disk(r, r->domain->volumes[r->volumes++].path, true, address, out, err);
}

static bool render_nic(struct rendering *r, const char *address, struct fragment *out,
                       struct cvm_error *err)
{
    static const char *const templates[] = {
        [CVM_NETWORK_USER] = "nic_user",
        [CVM_NETWORK_BRIDGE] = "nic_bridge",
        [CVM_NETWORK_NETWORK] = "nic_network",
        [CVM_NETWORK_DIRECT] = "nic_direct",
    };
    const struct cvm_network *nic = &r->domain->networks[r->nics];
    autofragment struct fragment mac = { 0 };
    char index[16];
    snprintf(index, sizeof index, "%u", r->nics++);
    if (nic->mac != NULL &&
        !render_inline("mac", (const struct cvm_template_value[]){ { "mac", nic->mac }, { 0 } },
                       &mac, err)) {
        return false;
    }
    const struct cvm_template_value values[] = {
        { "index", index },
        { "mac", .markup = markup_of(&mac) },
        { "address", .markup = address },
        { nic->source == NULL ? NULL : "source", nic->source }, /* a user network has none */
        { 0 },
    };
    return render(templates[nic->mode], values, out, err);
}

static bool render_vsock(struct rendering *r, const char *address, struct fragment *out,
                         struct cvm_error *err)
{
    char cid[16];
    snprintf(cid, sizeof cid, "%u", r->domain->cid);
    const struct cvm_template_value stand_in[] = { { "address", .markup = address }, { 0 } };
    const struct cvm_template_value values[] = {
        { "cid", cid },
        { "address", .markup = address },
        { 0 },
    };
    return r->domain->vsock_stand_in ? render("vsock_stand_in", stand_in, out, err)
                                     : render("vsock", values, out, err);
}

static bool render_share_9p(struct rendering *r, const char *address, struct fragment *out,
                            struct cvm_error *err)
{
    const struct cvm_template_value values[] = {
        { "dir", r->domain->share_dir },
        { "readonly", .markup = r->domain->share_readonly ? READONLY : "" },
        { "address", .markup = address },
        { 0 },
    };
    return render("share_9p", values, out, err);
}

static bool render_share_vhd(struct rendering *r, const char *address, struct fragment *out,
                             struct cvm_error *err)
{
    return render_disk(r, r->domain->share_image, true, address, out, err);
}

/* What -blockdev takes: JSON, in which no character of a path means anything else. */
static bool build_blockdev(const char *dir, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "driver", "vvfat");
    cvm_json_put_string(&b, "node-name", "cvm-share");
    cvm_json_put_string(&b, "dir", dir);
    cvm_json_put_string(&b, "label", CVM_SHARE_LABEL);
    cvm_json_put_bool(&b, "read-only", true);
    cvm_json_end(&b);
    if (!cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err)) {
        return false;
    }
    cvm_put_u8(out, '\0');
    return cvm_buf_finish(out, "blockdev", err);
}

/* No element, but arguments: libvirt does not know that the slot is taken. */
static bool render_share_vvfat(struct rendering *r, const char *address, struct fragment *out,
                               struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf blockdev = { 0 };
    char hex[8];
    snprintf(hex, sizeof hex, "%x", r->slot);
    (void)address;
    (void)out;
    if (!build_blockdev(r->domain->share_dir, &blockdev, err)) {
        return false;
    }
    const struct cvm_template_value values[] = {
        { "blockdev", (const char *)blockdev.data },
        { "slot", hex },
        { 0 },
    };
    return render("share_vvfat", values, &r->share_args, err);
}

static bool render_share(struct rendering *r, const char *address, struct fragment *out,
                         struct cvm_error *err)
{
    static const struct {
        const char *mode;
        device_renderer *render;
    } modes[] = {
        { "9p", render_share_9p },
        { "vhd", render_share_vhd },
        { "vvfat", render_share_vvfat },
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(r->domain->share_mode, modes[i].mode) == 0) {
            return modes[i].render(r, address, out, err);
        }
    }
    return cvm_fail(err, CVM_ERR_UNSUPPORTED, "host_share_mode '%s' cannot be launched",
                    r->domain->share_mode);
}

static device_renderer *const renderers[] = {
    [CVM_DEVICE_ROOTFS] = render_rootfs, [CVM_DEVICE_DATA_DISK] = render_data_disk,
    [CVM_DEVICE_VOLUME] = render_volume, [CVM_DEVICE_NIC] = render_nic,
    [CVM_DEVICE_VSOCK] = render_vsock,   [CVM_DEVICE_SHARE] = render_share,
};

static bool render_devices(struct rendering *r, struct fragment *out, struct cvm_error *err)
{
    for (uint32_t i = 0; i < r->machine->num_devices; i++) {
        const struct cvm_pci_device *device = &r->machine->devices[i];
        autofragment struct fragment address = { 0 };
        autofragment struct fragment one = { 0 };
        if (cvm_domain_is_controller(device->role)) {
            continue;
        }
        r->slot = device->slot;
        if (!render_address(r->slot, &address, err) ||
            !renderers[device->role](r, markup_of(&address), &one, err)) {
            return false;
        }
        cvm_put_text(&out->text, markup_of(&one));
    }
    cvm_put_u8(&out->text, '\0');
    return cvm_buf_finish(&out->text, "devices", err);
}

static bool render_cpu(const struct rendering *r, const char *cpu_count, const char *numa,
                       struct fragment *out, struct cvm_error *err)
{
    char bits[16];
    snprintf(bits, sizeof bits, "%llu", (unsigned long long)r->domain->address_bits);
    const struct cvm_template_value host[] = {
        { "cpu_count", cpu_count },
        { "numa", .markup = numa },
        { 0 },
    };
    const struct cvm_template_value emulated[] = {
        { "cpu_count", cpu_count },
        { "address_bits", bits },
        { "numa", .markup = numa },
        { 0 },
    };
    return r->domain->kvm ? render_inline("cpu_host", host, out, err)
                          : render_inline("cpu_emulated", emulated, out, err);
}

static bool render_launch_security(const struct cvm_domain *d, struct fragment *out,
                                   struct cvm_error *err)
{
    autofragment struct fragment path = { 0 };
    const struct cvm_template_value socket[] = { { "path", d->qgs_socket }, { 0 } };
    if (d->qgs_socket != NULL && !render_inline("qgs_path", socket, &path, err)) {
        return false;
    }
    const struct cvm_template_value values[] = {
        { "mr_config_id", d->mr_config_id },
        { "path", .markup = markup_of(&path) },
        { 0 },
    };
    return render("launch_security", values, out, err);
}

/* The parts that exist or not. */
struct options {
    struct fragment pcihole64, seclabel, launch_security, hotplug_off, sysinfo, tpm;
};

static void free_options(struct options *o)
{
    free_fragment(&o->pcihole64);
    free_fragment(&o->seclabel);
    free_fragment(&o->launch_security);
    free_fragment(&o->hotplug_off);
    free_fragment(&o->sysinfo);
    free_fragment(&o->tpm);
}

/* The strings that were chosen; nothing where QEMU's defaults stand. */
static bool render_sysinfo(const struct cvm_smbios *smbios, struct fragment *out,
                           struct cvm_error *err)
{
    autofragment struct fragment entries = { 0 };
    for (size_t i = 0; cvm_smbios_name(i) != NULL; i++) {
        autofragment struct fragment entry = { 0 };
        const struct cvm_template_value values[] = {
            { "name", cvm_smbios_name(i) },
            { "value", cvm_smbios_value(smbios, i) },
            { 0 },
        };
        if (*cvm_smbios_value(smbios, i) != '\0') {
            if (!render("sysinfo_entry", values, &entry, err)) {
                return false;
            }
            cvm_put_text(&entries.text, markup_of(&entry));
        }
    }
    if (entries.text.len == 0) {
        return cvm_buf_finish(&entries.text, "SMBIOS strings", err);
    }
    cvm_put_u8(&entries.text, '\0');
    const struct cvm_template_value values[] = {
        { "entries", .markup = markup_of(&entries) },
        { 0 },
    };
    return cvm_buf_finish(&entries.text, "SMBIOS strings", err) &&
           render("sysinfo", values, out, err);
}

static bool render_options(const struct rendering *r, struct options *o, struct cvm_error *err)
{
    const struct cvm_machine *m = r->machine;
    const struct cvm_domain *d = r->domain;
    char kib[32];
    snprintf(kib, sizeof kib, "%llu", (unsigned long long)(m->pci_hole64_size >> 10));
    const struct cvm_template_value hole[] = { { "kib", kib }, { 0 } };
    const struct cvm_template_value label[] = { { "run_as", d->run_as }, { 0 } };
    const struct cvm_template_value none[] = { { 0 } };
    return (m->pci_hole64_size == 0 || render_inline("pcihole64", hole, &o->pcihole64, err)) &&
           (d->run_as == NULL || render("seclabel", label, &o->seclabel, err)) &&
           (!d->tdx || render_launch_security(d, &o->launch_security, err)) &&
           (!m->hotplug_off || render("hotplug_off", none, &o->hotplug_off, err)) &&
           (!m->tpm || render("tpm", none, &o->tpm, err)) &&
           render_sysinfo(&m->smbios, &o->sysinfo, err);
}

/* QEMU's option parser takes two commas for one that belongs to the value. */
static bool double_commas(const char *path, struct fragment *out, struct cvm_error *err)
{
    for (const char *p = path; *p != '\0'; p++) {
        cvm_put_text(&out->text, *p == ',' ? ",," : (const char[]){ *p, '\0' });
    }
    cvm_put_u8(&out->text, '\0');
    return cvm_buf_finish(&out->text, "console log", err);
}

bool cvm_domain_xml_render(const struct cvm_machine *machine, const struct cvm_domain *domain,
                           struct cvm_buf *out, struct cvm_error *err)
{
    CVM_CLEANUP(free_rendering)
    struct rendering r = { .machine = machine, .domain = domain };
    autofragment struct fragment devices = { 0 };
    autofragment struct fragment cpu = { 0 };
    autofragment struct fragment console = { 0 };
    CVM_CLEANUP(cvm_domain_parts_free)
    struct cvm_domain_parts parts = { 0 };
    CVM_CLEANUP(free_options)
    struct options o = { 0 };
    char cpu_count[16];
    char memory_kib[32];
    snprintf(cpu_count, sizeof cpu_count, "%u", machine->cpu_count);
    snprintf(memory_kib, sizeof memory_kib, "%llu",
             (unsigned long long)(machine->memory_size >> 10));
    if (!render_devices(&r, &devices, err) ||
        !cvm_domain_parts_render(machine, domain, &parts, err) ||
        !render_cpu(&r, cpu_count, (const char *)parts.numa.data, &cpu, err) ||
        !render_options(&r, &o, err) || !double_commas(domain->console_log, &console, err)) {
        return false;
    }
    const struct cvm_template_value values[] = {
        { "type", domain->kvm ? "kvm" : "qemu" },
        { "name", domain->name },
        { "uuid", domain->uuid },
        { "os_image_hash", domain->os_image_hash },
        { "memory_kib", memory_kib },
        { "cpu_count", cpu_count },
        { "firmware", domain->firmware },
        { "kernel", domain->kernel },
        { "initrd", domain->initrd },
        { "cmdline", domain->cmdline },
        { "smm", machine->smm ? "on" : "off" },
        { "emulator", domain->emulator },
        { "pic", machine->pic ? "on" : "off" },
        { "console_log", markup_of(&console) },
        { "ioapic", .markup = domain->kvm ? "    <ioapic driver='qemu'/>\n" : "" },
        { "cpu", .markup = markup_of(&cpu) },
        { "pcihole64", .markup = markup_of(&o.pcihole64) },
        { "devices", .markup = markup_of(&devices) },
        { "controllers", .markup = (const char *)parts.controllers.data },
        { "hostdevs", .markup = (const char *)parts.hostdevs.data },
        { "memory_backing", .markup = (const char *)parts.memory_backing.data },
        { "iommufd", .markup = (const char *)parts.iommufd.data },
        { "cputune", .markup = (const char *)parts.cputune.data },
        { "numatune", .markup = (const char *)parts.numatune.data },
        { "seclabel", .markup = markup_of(&o.seclabel) },
        { "launch_security", .markup = markup_of(&o.launch_security) },
        { "hotplug_off", .markup = markup_of(&o.hotplug_off) },
        { "sysinfo", .markup = markup_of(&o.sysinfo) },
        { "smbios", .markup = o.sysinfo.text.len == 0 ? "" : "    <smbios mode='sysinfo'/>\n" },
        { "tpm", .markup = markup_of(&o.tpm) },
        { "share_args", .markup = markup_of(&r.share_args) },
        { 0 },
    };
    return cvm_template_render("domain", cvm_template_find("domain"), values, out, err);
}
