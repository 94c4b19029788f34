#include "vmm/qemu_probe.h"

#include "measure/base/file.h"
#include "measure/base/reader.h"
#include "vmm/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    /* fw_cfg, as ports */
    FW_CFG_SELECT = 0x510,
    FW_CFG_DMA_HIGH = 0x514,
    FW_CFG_DMA_LOW = 0x518,
    FW_CFG_DIRECTORY = 0x19,
    FW_CFG_DMA_READ = 2,
    DIRECTORY_ENTRY = 64,
    MAX_ENTRIES = 256,

    PCI_ADDRESS = 0xcf8,
    PCI_DATA = 0xcfc,

    /* Where in guest memory descriptors of transfers lie, and what they transfer goes. */
    DESCRIPTORS = 0x10000,
    LANDING = 0x200000,
    CHUNK = 128 * 1024,
    NUM_CHUNKS = 8,

    MAX_ARGUMENTS = 512,
};

void cvm_probed_files_free(struct cvm_probed_files *files)
{
    cvm_buf_free(&files->tables);
    cvm_buf_free(&files->rsdp);
    cvm_buf_free(&files->loader);
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

/* More CPUs than an 8-bit APIC ID can number exist with KVM only; none of them ever runs. */
static void add_cpus(struct arguments *a, const struct cvm_machine *m)
{
    bool many = m->cpu_count > 255;
    add_option(a, "-accel", many ? "kvm" : "tcg");
    /* An AMD processor would move memory above 4 GiB out of the way of its own I/O. */
    add(a, "-cpu");
    add(a, "%s,phys-bits=46,vendor=GenuineIntel", many ? "qemu64" : "max");
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

static void add_platform(struct arguments *a, const char *emulator, const struct cvm_machine *m)
{
    add(a, "%s", emulator);
    add(a, "-machine");
    add(a, "q35,smm=%s,pic=%s,hpet=off,usb=off%s%s", m->smm ? "on" : "off", m->pic ? "on" : "off",
        m->num_numa_nodes == 0 ? ",memory-backend=ram" : "",
        m->cpu_count > 255 ? ",kernel-irqchip=split" : "");
    add_cpus(a, m);
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
    for (unsigned i = 0; i < NUM_CHUNKS; i++) {
        unsigned at = DESCRIPTORS + 16 * i;
        add(a, "-device");
        add(a, "loader,addr=0x%x,data=0x%08x%08x,data-len=8,data-be=on", at, FW_CFG_DMA_READ,
            CHUNK);
        add(a, "-device");
        add(a, "loader,addr=0x%x,data=0x%016x,data-len=8,data-be=on", at + 8, LANDING + i * CHUNK);
    }
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

struct entry {
    uint32_t size;
    uint16_t key;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * Transfers what follows of the selected file into the landing place of a descriptor. The register
 * is big-endian, the port is not.
 */
static bool transfer(struct cvm_qmp *q, unsigned descriptor, struct cvm_error *err)
{
    uint32_t address = DESCRIPTORS + 16 * descriptor;
    const uint8_t bytes[] = { (uint8_t)address, (uint8_t)(address >> 8), (uint8_t)(address >> 16),
                              (uint8_t)(address >> 24) };
    return out(q, WORD, FW_CFG_DMA_HIGH, 0, err) && out(q, WORD, FW_CFG_DMA_LOW, be32(bytes), err);
}

/* Has the emulator write its memory from the landing place on into a file, and reads that. */
static bool save_landing(struct cvm_qmp *q, unsigned descriptor, size_t size,
                         struct cvm_buf *out_buf, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf ignored = { 0 };
    char path[] = "/tmp/cvm-probe-XXXXXX";
    char command[128];
    cvm_autoclose int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "temporary file");
    }
    snprintf(command, sizeof command, "pmemsave 0x%x %zu \"%s\"", LANDING + descriptor * CHUNK,
             size, path);
    bool ok = cvm_qmp_monitor(q, command, &ignored, err) &&
              cvm_file_load(path, (size_t)NUM_CHUNKS * CHUNK, out_buf, err);
    unlink(path);
    return ok;
}

/* Files follow each other over the descriptors, each starting at a fresh one. */
static bool read_file(struct cvm_qmp *q, const struct entry *file, unsigned *descriptor,
                      struct cvm_buf *out_buf, struct cvm_error *err)
{
    unsigned chunks = (file->size + CHUNK - 1) / CHUNK;
    unsigned first = *descriptor;
    if (file->size == 0 || chunks > NUM_CHUNKS - first) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "a file of %u bytes in fw_cfg", file->size);
    }
    if (!out(q, HALFWORD, FW_CFG_SELECT, file->key, err)) {
        return false;
    }
    for (unsigned i = 0; i < chunks; i++) {
        if (!transfer(q, (*descriptor)++, err)) {
            return false;
        }
    }
    return save_landing(q, first, file->size, out_buf, err);
}

/* The directory: u32 count, then entries of u32 size, u16 key, u16, name; all big-endian. */
static bool find_files(struct cvm_qmp *q, const char *const *names, struct entry *found,
                       size_t num_names, unsigned *descriptor, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf directory = { 0 };
    const struct entry whole = { 4 + MAX_ENTRIES * DIRECTORY_ENTRY, FW_CFG_DIRECTORY };
    if (!read_file(q, &whole, descriptor, &directory, err)) {
        return cvm_context(err, "directory");
    }
    struct cvm_reader r = cvm_reader_of(directory.data, directory.len);
    const uint8_t *count = cvm_read_bytes(&r, 4);
    size_t left = num_names;
    for (uint32_t i = 0; count != NULL && i < be32(count) && i < MAX_ENTRIES; i++) {
        const uint8_t *e = cvm_read_bytes(&r, DIRECTORY_ENTRY);
        for (size_t k = 0; e != NULL && k < num_names; k++) {
            if (strncmp((const char *)e + 8, names[k], DIRECTORY_ENTRY - 8) == 0) {
                found[k] = (struct entry){ be32(e), (uint16_t)(e[4] << 8 | e[5]) };
                left--;
            }
        }
    }
    return left == 0 ? true
                     : cvm_fail(err, CVM_ERR_SYSTEM, "the emulator has no ACPI files in fw_cfg");
}

static bool read_files(struct cvm_qmp *q, struct cvm_probed_files *files, struct cvm_error *err)
{
    static const char *const names[] = { "etc/table-loader", "etc/acpi/rsdp", "etc/acpi/tables" };
    struct cvm_buf *const targets[] = { &files->loader, &files->rsdp, &files->tables };
    struct entry found[3] = { 0 };
    unsigned descriptor = 0;
    if (!find_files(q, names, found, 3, &descriptor, err)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!read_file(q, &found[i], &descriptor, targets[i], err)) {
            return cvm_context(err, "'%s'", names[i]);
        }
    }
    return true;
}

bool cvm_qemu_probe(const char *emulator, const struct cvm_machine *machine,
                    struct cvm_probed_files *files, struct cvm_error *err)
{
    CVM_CLEANUP(free_arguments)
    struct arguments a = { 0 };
    cvm_autoqmp struct cvm_qmp q = CVM_QMP_NONE;
    if (machine->tpm) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED, "a machine with a TPM cannot be asked for yet");
    }
    add_platform(&a, emulator, machine);
    add_nodes(&a, machine);
    add_devices(&a, machine);
    add_descriptors(&a);
    if (a.failed) {
        return cvm_fail_nomem(err, "command line", MAX_ARGUMENTS);
    }
    if (!cvm_qmp_start(a.items, &q, err) || !program_registers(&q, machine, err) ||
        !read_files(&q, files, err)) {
        return cvm_context(err, "emulator '%s'", emulator);
    }
    return true;
}
