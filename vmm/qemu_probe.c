#include "vmm/qemu_probe.h"

#include "measure/base/file.h"
#include "vmm/process.h"
#include "vmm/smbios.h"
#include "vmm/swtpm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    /* fw_cfg, as ports */
    FW_CFG_SELECT = 0x510,
    FW_CFG_DMA_HIGH = 0x514,
    FW_CFG_DMA_LOW = 0x518,
    FW_CFG_DIRECTORY = 0x19,
    FW_CFG_DMA_READ = 2,

    PCI_ADDRESS = 0xcf8,
    PCI_DATA = 0xcfc,

    /*
     * Where in guest memory descriptors of transfers lie, and where each transfer goes. A
     * descriptor serves once; what it transfers beyond the end of a file is zeros.
     */
    DESCRIPTORS = 0x10000,
    NUM_DESCRIPTORS = CVM_PROBE_MAX_FILES + 1, /* the directory's is the first */
    LANDING = 0x100000,
    MIN_MEMORY = LANDING + CVM_PROBE_MAX_FILE_SIZE,

    MAX_ARGUMENTS = 1024,
    KERNEL_SIZE = 4096, /* zeros: a setup header that says nothing, and the sectors it implies */

    BASE_TIMEOUT_MS = 20000,
    TIMEOUT_MS_PER_CPU = 100,
};

void cvm_probed_files_free(struct cvm_probed_file *files, size_t num_files)
{
    for (size_t i = 0; i < num_files; i++) {
        cvm_buf_free(&files[i].data);
    }
}

/* --- the command line --- */

struct arguments {
    char *items[MAX_ARGUMENTS]; /* owned; the last one is NULL */
    size_t count;
    bool failed;
};

static void free_arguments(struct arguments *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->items[i]);
    }
}

static void add(struct arguments *a, const char *fmt, ...) CVM_PRINTF(2, 3);

static void add(struct arguments *a, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0 || a->count + 1 == MAX_ARGUMENTS) {
        a->failed = true;
        free(n < 0 ? NULL : text);
        return;
    }
    a->items[a->count++] = text;
}

static void add_option(struct arguments *a, const char *option, const char *value)
{
    add(a, "%s", option);
    add(a, "%s", value);
}

/*
 * The model shows in no ACPI table; in SMBIOS it does. An AMD processor would move memory above
 * 4 GiB out of the way of its own I/O. The window has to lie within what can be addressed.
 */
static void add_cpus(struct arguments *a, const struct cvm_probe *p, enum cvm_accelerator accel)
{
    const struct cvm_machine *m = p->machine;
    uint64_t hole = m->pci_hole64_size;
    bool wide = m->memory_size >= UINT64_C(1) << 45 || hole >= UINT64_C(1) << 45;
    bool many = m->cpu_count > 255;
    add(a, "-accel");
    add(a, "%s%s", cvm_accelerator_word(accel),
        accel == CVM_ACCEL_TCG           ? ",thread=single" /* for CPUs that never run */
        : accel == CVM_ACCEL_KVM && many ? ",kernel-irqchip=split"
                                         : "");
    add(a, "-cpu");
    add(a, "%s,phys-bits=%d,vendor=GenuineIntel%s", p->cpu == NULL ? "qemu64" : p->cpu,
        wide ? 52 : 46, many && accel != CVM_ACCEL_KVM ? ",+x2apic" : "");
    add(a, "-smp");
    add(a, "%u,sockets=1,cores=%u,threads=1", m->cpu_count, m->cpu_count);
}

static void add_memory(struct arguments *a, const struct cvm_machine *m)
{
    unsigned long long mib = m->memory_size >> 20;
    add(a, "-m");
    add(a, "%lluM", mib);
    if (m->num_numa_nodes == 0) {
        add(a, "-object");
        add(a, "memory-backend-ram,id=ram,size=%lluM,reserve=off", mib);
    }
}

static void add_platform(struct arguments *a, const struct cvm_probe *p, enum cvm_accelerator accel)
{
    const struct cvm_machine *m = p->machine;
    add(a, "%s", p->emulator->path);
    add(a, "-machine");
    add(a, "q35,smm=%s,pic=%s,hpet=off,usb=off%s", m->smm ? "on" : "off", m->pic ? "on" : "off",
        m->num_numa_nodes == 0 ? ",memory-backend=ram" : "");
    add_cpus(a, p, accel);
    add_memory(a, m);
    add(a, "-S");
    add(a, "-nodefaults");
    add(a, "-no-user-config");
    add_option(a, "-display", "none");
    add_option(a, "-serial", "null");
    add_option(a, "-qmp", "stdio");
    if (m->hotplug_off) {
        add_option(a, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
    }
    if (m->pci_hole64_size != 0) {
        add(a, "-global");
        add(a, "q35-pcihost.pci-hole64-size=%llu", (unsigned long long)m->pci_hole64_size);
    }
}

static void add_nodes(struct arguments *a, const struct cvm_machine *m)
{
    uint32_t cpu = 0;
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *n = &m->numa_nodes[i];
        add(a, "-object");
        add(a, "memory-backend-ram,id=ram%u,size=%lluM,reserve=off", i,
            (unsigned long long)(n->memory_size >> 20));
        add(a, "-numa");
        add(a, "node,nodeid=%u,memdev=ram%u,cpus=%u-%u", i, i, cpu, cpu + n->cpu_count - 1);
        cpu += n->cpu_count;
    }
}

static void add_port(struct arguments *a, const char *bus, unsigned slot, unsigned chassis)
{
    add(a, "-device");
    add(a, "pcie-root-port,id=port%u,bus=%s,addr=0x%x,chassis=%u", chassis, bus, slot, chassis);
    add(a, "-device");
    add(a, "virtio-rng-pci,bus=port%u", chassis);
}

/* Expanders in the order of their nodes, each with its ports. */
static void add_expander(struct arguments *a, const struct cvm_machine *m, uint32_t index,
                         unsigned slot, unsigned *chassis)
{
    uint32_t node = 0;
    for (uint32_t seen = 0; node < m->num_numa_nodes; node++) {
        seen += m->numa_nodes[node].has_expander;
        if (seen == index + 1) {
            break;
        }
    }
    char name[16];
    snprintf(name, sizeof name, "pxb%u", index);
    add(a, "-device");
    add(a, "pxb-pcie,id=%s,bus=pcie.0,addr=0x%x,bus_nr=%u,numa_node=%u", name, slot,
        m->numa_nodes[node].expander_bus, node);
    for (uint32_t i = 0; i < m->numa_nodes[node].num_gpus; i++) {
        add_port(a, name, i, ++*chassis);
    }
}

static bool is_port(const struct cvm_pci_device *d)
{
    return d->role == CVM_DEVICE_GPU_PORT || d->role == CVM_DEVICE_NVSWITCH_PORT;
}

/*
 * Endpoints, then expanders with what is behind them, then ports of the root bus: the emulator
 * numbers hot-plug buses in the order in which it meets them.
 */
static void add_devices(struct arguments *a, const struct cvm_machine *m)
{
    unsigned chassis = 0;
    uint32_t expanders = 0;
    for (uint32_t i = 0; i < m->num_devices; i++) {
        const struct cvm_pci_device *d = &m->devices[i];
        if (d->role != CVM_DEVICE_EXPANDER && !is_port(d)) {
            add(a, "-device");
            add(a, "virtio-rng-pci,bus=pcie.0,addr=0x%x", d->slot);
        }
    }
    for (uint32_t i = 0; i < m->num_devices; i++) {
        if (m->devices[i].role == CVM_DEVICE_EXPANDER) {
            add_expander(a, m, expanders++, m->devices[i].slot, &chassis);
        }
    }
    for (uint32_t i = 0; i < m->num_devices; i++) {
        if (is_port(&m->devices[i])) {
            add_port(a, "pcie.0", m->devices[i].slot, ++chassis);
        }
    }
}

/* Descriptors of transfers, big-endian: u32 control, u32 length, u64 address. */
static void add_descriptors(struct arguments *a)
{
    for (unsigned i = 0; i < NUM_DESCRIPTORS; i++) {
        unsigned at = DESCRIPTORS + 16 * i;
        add(a, "-device");
        add(a, "loader,addr=0x%x,data=0x%08x%08x,data-len=8,data-be=on", at, FW_CFG_DMA_READ,
            CVM_PROBE_MAX_FILE_SIZE);
        add(a, "-device");
        add(a, "loader,addr=0x%x,data=0x%016x,data-len=8,data-be=on", at + 8, LANDING);
    }
}

static void add_tpm(struct arguments *a, int socket)
{
    add(a, "-chardev");
    add(a, "socket,id=tpm,fd=%d", socket);
    add_option(a, "-tpmdev", "emulator,id=tpm0,chardev=tpm");
    add_option(a, "-device", "tpm-tis,tpmdev=tpm0");
}

/* "type=1,product=x": commas of a value are doubled. */
static bool add_smbios(struct arguments *a, const struct cvm_smbios *smbios, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_put_text(&text, "type=1");
    size_t bare = text.len;
    for (size_t i = 0; cvm_smbios_name(i) != NULL; i++) {
        const char *value = cvm_smbios_value(smbios, i);
        if (*value == '\0') {
            continue;
        }
        cvm_put_format(&text, ",%s=", cvm_smbios_name(i));
        for (; *value != '\0'; value++) {
            cvm_put_text(&text, *value == ',' ? "," : "");
            cvm_put_u8(&text, (uint8_t)*value);
        }
    }
    size_t size = text.len;
    cvm_put_u8(&text, '\0');
    if (!cvm_buf_finish(&text, "SMBIOS option", err)) {
        return false;
    }
    if (size != bare) {
        add_option(a, "-smbios", (const char *)text.data);
    }
    return true;
}

static void add_items(struct arguments *a, const struct cvm_machine *m, const char *kernel)
{
    add_option(a, "-kernel", kernel);
    if (m->boot_menu_wait != 0) {
        add(a, "-boot");
        add(a, "splash-time=%u", m->boot_menu_wait);
    }
    if (m->pci_mmio64_mb != 0) {
        add(a, "-fw_cfg");
        add(a, "name=opt/ovmf/X-PciMmio64Mb,string=%u", m->pci_mmio64_mb);
    }
}

/* What lies beside the command line. */
struct beside {
    int tpm_socket; /* -1: none */
    char kernel[sizeof((struct cvm_private_dir *)NULL)->path + 8];
};

static bool build_arguments(const struct cvm_probe *p, enum cvm_accelerator accel,
                            const struct beside *beside, struct arguments *a, struct cvm_error *err)
{
    add_platform(a, p, accel);
    add_nodes(a, p->machine);
    add_devices(a, p->machine);
    add_descriptors(a);
    if (beside->tpm_socket >= 0) {
        add_tpm(a, beside->tpm_socket);
    }
    if (p->with_items) {
        add_items(a, p->machine, beside->kernel);
        if (!add_smbios(a, &p->machine->smbios, err)) {
            return false;
        }
    }
    for (size_t i = 0; p->options != NULL && p->options[i] != NULL; i++) {
        add(a, "%s", p->options[i]);
    }
    return !a->failed ? true : cvm_fail_nomem(err, "command line", MAX_ARGUMENTS);
}

/* --- ports and registers --- */

/* Widths of the monitor's `o` command. */
enum { HALFWORD = 'h', WORD = 'w' };

static bool out(struct cvm_qmp *q, char width, unsigned port, uint32_t value, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf answer = { 0 };
    char command[64];
    snprintf(command, sizeof command, "o /%c 0x%x 0x%x", width, port, value);
    if (!cvm_qmp_monitor(q, command, &answer, err)) {
        return false;
    }
    return answer.len == 1 /* nothing but the NUL */
               ? true
               : cvm_fail(err, CVM_ERR_SYSTEM, "the monitor does not understand '%s'", command);
}

struct pci_write {
    unsigned slot, function, offset;
    uint32_t value;
};

/* What firmware programs, and the tables show: docs/measurement.md. */
static bool program_registers(struct cvm_qmp *q, const struct cvm_machine *m, struct cvm_error *err)
{
    enum { LPC = 0x1f, PM_BASE = 0x600, ENABLE = 1, ACPI_ENABLE = 0x80, MEMORY_SPACE = 2 };
    unsigned first = m->num_devices == 0 ? 0 : m->devices[0].slot;
    const struct pci_write writes[] = {
        { 0, 0, 0x64, (uint32_t)(m->pciexbar_base >> 32) },
        { 0, 0, 0x60, (uint32_t)m->pciexbar_base | ENABLE },
        { LPC, 0, 0x40, PM_BASE | ENABLE },
        { LPC, 0, 0x44, ACPI_ENABLE },
        /* A 64-bit range of the first endpoint (BAR 4) opens the window. */
        { first, 0, 0x20, (uint32_t)m->pci_window64_base },
        { first, 0, 0x24, (uint32_t)(m->pci_window64_base >> 32) },
        { first, 0, 0x04, MEMORY_SPACE },
    };
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        const struct pci_write *w = &writes[i];
        uint32_t address = 0x80000000u | w->slot << 11 | w->function << 8 | w->offset;
        if (!out(q, WORD, PCI_ADDRESS, address, err) || !out(q, WORD, PCI_DATA, w->value, err)) {
            return false;
        }
    }
    return true;
}

/* --- fw_cfg --- */

/* A conversation in which files are read. */
struct probing {
    struct cvm_qmp qmp;
    struct cvm_private_dir dir;
    unsigned descriptors_used;
};

/* Transfers the selected file to the landing place. The register is big-endian, the port is not. */
static bool transfer(struct probing *p, struct cvm_error *err)
{
    uint32_t address = DESCRIPTORS + 16 * p->descriptors_used++;
    return out(&p->qmp, WORD, FW_CFG_DMA_HIGH, 0, err) &&
           out(&p->qmp, WORD, FW_CFG_DMA_LOW, cvm_swap32(address), err);
}

/* Has the emulator write its memory from the landing place on into a file, and reads that. */
static bool save_landing(struct probing *p, size_t size, struct cvm_buf *data,
                         struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf answer = { 0 };
    char path[sizeof p->dir.path + 8];
    char command[160];
    snprintf(path, sizeof path, "%s/memory", p->dir.path);
    snprintf(command, sizeof command, "pmemsave 0x%x %zu \"%s\"", LANDING, size, path);
    bool ok = cvm_qmp_monitor(&p->qmp, command, &answer, err) &&
              cvm_file_load(path, CVM_PROBE_MAX_FILE_SIZE, data, err);
    unlink(path);
    if (!ok) {
        return false;
    }
    return data->len == size ? true
                             : cvm_fail(err, CVM_ERR_SYSTEM, "the emulator wrote %zu bytes of %zu",
                                        data->len, size);
}

static bool read_file(struct probing *p, const struct cvm_fw_cfg_entry *file, struct cvm_buf *data,
                      struct cvm_error *err)
{
    if (file->size == 0 || file->size > CVM_PROBE_MAX_FILE_SIZE) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "a file of %u bytes in fw_cfg; 1 to %d are read",
                        file->size, CVM_PROBE_MAX_FILE_SIZE);
    }
    return out(&p->qmp, HALFWORD, FW_CFG_SELECT, file->key, err) && transfer(p, err) &&
           save_landing(p, file->size, data, err);
}

/* Finds out what selects a file; *out is all zeros for one that the emulator may lack, and does. */
static bool find_file(const struct cvm_buf *directory, const struct cvm_probed_file *file,
                      struct cvm_fw_cfg_entry *out, struct cvm_error *err)
{
    if (file->fixed.size != 0) {
        *out = file->fixed;
        return true;
    }
    return file->optional
               ? cvm_fw_cfg_look_for(directory->data, directory->len, file->name, out, err)
               : cvm_fw_cfg_find(directory->data, directory->len, file->name, out, err);
}

static bool read_files(struct probing *p, struct cvm_probed_file *files, size_t num_files,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf directory = { 0 };
    const struct cvm_fw_cfg_entry whole = { CVM_FW_CFG_MAX_DIRECTORY, FW_CFG_DIRECTORY };
    if (!read_file(p, &whole, &directory, err)) {
        return cvm_context(err, "directory of fw_cfg");
    }
    for (size_t i = 0; i < num_files; i++) {
        struct cvm_fw_cfg_entry found;
        cvm_buf_free(&files[i].data);
        if (!find_file(&directory, &files[i], &found, err)) {
            return false;
        }
        files[i].found = found.key != 0;
        if (files[i].optional && found.size == 0) {
            continue;
        }
        if (!read_file(p, &found, &files[i].data, err)) {
            return cvm_context(err, "'%s'", files[i].name);
        }
    }
    return true;
}

/* --- the whole --- */

static void stop_probing(struct probing *p)
{
    cvm_qmp_close(&p->qmp);
    cvm_private_dir_delete(&p->dir);
}

/* The state of the TPM, in a directory of its own beside what the emulator writes. */
static bool start_tpm(const struct probing *p, struct cvm_swtpm *tpm, struct cvm_error *err)
{
    char path[sizeof p->dir.path + 8];
    snprintf(path, sizeof path, "%s/tpm", p->dir.path);
    return mkdir(path, 0700) == 0 ? cvm_swtpm_start(path, tpm, err)
                                  : cvm_fail_errno(err, errno, "create directory '%s'", path);
}

/* A file to boot directly, of which nothing is ever run. */
static bool write_kernel(const struct probing *p, struct beside *out, struct cvm_error *err)
{
    static const uint8_t zeros[KERNEL_SIZE] = { 0 };
    cvm_autoclose int dir = -1;
    snprintf(out->kernel, sizeof out->kernel, "%s/kernel", p->dir.path);
    return cvm_dir_open(p->dir.path, &dir, err) &&
           cvm_file_write(dir, "kernel", zeros, sizeof zeros, 0600, err);
}

static unsigned timeout_of(const struct cvm_probe *probe)
{
    return probe->timeout_ms != 0
               ? probe->timeout_ms
               : BASE_TIMEOUT_MS + TIMEOUT_MS_PER_CPU * probe->machine->cpu_count;
}

static bool check_askable(const struct cvm_probe *probe, size_t num_files, struct cvm_error *err)
{
    const struct cvm_machine *m = probe->machine;
    if (num_files > CVM_PROBE_MAX_FILES) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "%zu files at once, at most %d", num_files,
                        CVM_PROBE_MAX_FILES);
    }
    return m->memory_size >= MIN_MEMORY
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "memory_size %llu: a machine of less than %d bytes cannot be asked for",
                          (unsigned long long)m->memory_size, MIN_MEMORY);
}

static bool ask(const struct cvm_probe *probe, struct probing *p, struct cvm_probed_file *files,
                size_t num_files, struct cvm_probed_cpu *cpu, struct cvm_error *err)
{
    return program_registers(&p->qmp, probe->machine, err) &&
           (cpu == NULL || cvm_qemu_cpu_ask(&p->qmp, cpu, err)) &&
           read_files(p, files, num_files, err);
}

bool cvm_qemu_probe(const struct cvm_probe *probe, struct cvm_probed_file *files, size_t num_files,
                    struct cvm_probed_cpu *cpu, struct cvm_error *err)
{
    CVM_CLEANUP(free_arguments)
    struct arguments a = { 0 };
    CVM_CLEANUP(stop_probing)
    struct probing p = { .qmp = CVM_QMP_NONE };
    cvm_autoswtpm struct cvm_swtpm tpm = CVM_SWTPM_NONE; /* ends first: its state lies in p.dir */
    struct beside beside = { 0 };
    enum cvm_accelerator accel;
    if (!check_askable(probe, num_files, err) ||
        !cvm_accelerator_choose(probe->emulator, probe->machine->cpu_count, &accel, err) ||
        !cvm_private_dir_make(&p.dir, err) || (probe->machine->tpm && !start_tpm(&p, &tpm, err)) ||
        (probe->with_items && !write_kernel(&p, &beside, err))) {
        return false;
    }
    beside.tpm_socket = tpm.socket;
    if (!build_arguments(probe, accel, &beside, &a, err)) {
        return false;
    }
    if (!cvm_qmp_start(a.items, tpm.socket, timeout_of(probe), &p.qmp, err) ||
        !ask(probe, &p, files, num_files, cpu, err)) {
        return cvm_context(err, "emulator '%s'", probe->emulator->path);
    }
    return true;
}
