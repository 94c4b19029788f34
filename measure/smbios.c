#include "measure/include/cvm/smbios.h"

#include "measure/base/buf.h"

#include <stdio.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define FOUR_GIB (4 * GIB)

/* --- which QEMU writes what --- */

/* The type of entry point decides how long type 4 is, and how long everything may be. */
enum entry_point {
    ENTRY_2,    /* 2.8 */
    ENTRY_3,    /* 3.0 */
    ENTRY_AUTO, /* 2.8 where that can say it, else 3.0 */
};

struct profile {
    struct cvm_qemu_version since; /* the oldest version that the row describes */
    bool unseen;                   /* no binary of this version has been compared */
    enum entry_point entry_point;
    uint8_t processor_family;    /* of type 4 */
    bool htt_by_cpus;            /* bit 28 of EDX is set for more than one CPU */
    uint64_t memory_device_size; /* bytes that one type 17 stands for */
};

/*
 * Ascending. Binaries compared: 7.2.22, 8.2.0, 9.1.0, 10.0.13, 11.1.2; and, as machine types of
 * newer ones, pc-q35-8.0, 9.0, 10.1 and 10.2. What a machine type does not show follows the
 * release in which it first appeared in QEMU's history: processor_family in 9.0, which no binary
 * of that series confirmed, and htt_by_cpus in 10.0.
 */
static const struct profile profiles[] = {
    {
        .since = { 7, 2, 0 },
        .entry_point = ENTRY_2,
        .processor_family = 0x01, /* other */
        .memory_device_size = 16 * GIB,
    },
    {
        .since = { 8, 1, 0 },
        .entry_point = ENTRY_3,
        .processor_family = 0x01,
        .memory_device_size = 16 * GIB,
    },
    {
        .since = { 9, 0, 0 },
        .unseen = true,
        .entry_point = ENTRY_AUTO,
        .processor_family = 0xfe, /* see the second field for it */
        .memory_device_size = 16 * GIB,
    },
    {
        .since = { 9, 1, 0 },
        .entry_point = ENTRY_AUTO,
        .processor_family = 0xfe,
        .memory_device_size = 2047 * TIB,
    },
    {
        .since = { 10, 0, 0 },
        .entry_point = ENTRY_AUTO,
        .processor_family = 0xfe,
        .htt_by_cpus = true,
        .memory_device_size = 2047 * TIB,
    },
    {
        .since = { 10, 2, 0 },
        .entry_point = ENTRY_AUTO,
        .processor_family = 0xfe,
        .htt_by_cpus = true,
        .memory_device_size = 2 * TIB,
    },
};

/* The newest release series whose binary has been compared. */
static const struct cvm_qemu_version newest_seen = { 11, 1, UINT16_MAX };

static const struct profile *profile_for(struct cvm_qemu_version version)
{
    const struct profile *found = NULL;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (cvm_qemu_version_compare(profiles[i].since, version) <= 0) {
            found = &profiles[i];
        }
    }
    return found;
}

/* --- structures --- */

enum {
    HANDLE_SYSTEM = 0x100,
    HANDLE_CHASSIS = 0x300,
    HANDLE_PROCESSOR = 0x400,
    HANDLE_MEMORY_ARRAY = 0x1000,
    HANDLE_MEMORY_DEVICES = 0x1100,
    HANDLE_MEMORY_RANGES = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00,

    NOT_PROVIDED = 0xfffe, /* a handle */
    MAX_STRINGS = 6,       /* of one structure */
    STRING_SIZE = sizeof((struct cvm_smbios *)NULL)->product,
};

struct tables {
    const struct cvm_machine *machine;
    const struct profile *profile;
    enum entry_point entry_point;
    char version[32]; /* the machine type, which several structures carry */
    struct cvm_buf out;

    /* the structure being written */
    size_t start;
    const char *strings[MAX_STRINGS];
    unsigned num_strings;
};

static void begin(struct tables *t, uint8_t type, unsigned handle)
{
    t->start = t->out.len;
    t->num_strings = 0;
    cvm_put_u8(&t->out, type);
    cvm_put_u8(&t->out, 0); /* length: see end() */
    cvm_put_le(&t->out, handle, 2);
}

/* A string's number; its characters follow the structure. An empty one has number 0. */
static void put_string(struct tables *t, const char *text)
{
    if (text[0] == '\0') {
        cvm_put_u8(&t->out, 0);
        return;
    }
    t->strings[t->num_strings++] = text;
    cvm_put_u8(&t->out, (uint8_t)t->num_strings);
}

static void end(struct tables *t)
{
    cvm_buf_patch_le(&t->out, t->start + 1, t->out.len - t->start, 1);
    for (unsigned i = 0; i < t->num_strings; i++) {
        cvm_put_bytes(&t->out, t->strings[i], strnlen(t->strings[i], STRING_SIZE - 1));
        cvm_put_u8(&t->out, 0);
    }
    cvm_put_zeros(&t->out, t->num_strings == 0 ? 2 : 1);
}

static const char *either(const char *chosen, const char *fallback)
{
    return chosen[0] != '\0' ? chosen : fallback;
}

static void put_system(struct tables *t)
{
    const struct cvm_smbios *s = &t->machine->smbios;
    begin(t, 1, HANDLE_SYSTEM);
    put_string(t, either(s->manufacturer, "QEMU"));
    put_string(t, either(s->product, "Standard PC (Q35 + ICH9, 2009)"));
    put_string(t, either(s->version, t->version));
    put_string(t, s->serial);
    cvm_put_zeros(&t->out, 16); /* UUID, which is not measured */
    cvm_put_u8(&t->out, 6);     /* wake-up: power switch */
    put_string(t, s->sku);
    put_string(t, s->family);
    end(t);
}

static void put_chassis(struct tables *t)
{
    begin(t, 3, HANDLE_CHASSIS);
    put_string(t, "QEMU");
    cvm_put_u8(&t->out, 1); /* type: other */
    put_string(t, t->version);
    cvm_put_le(&t->out, 0, 2); /* serial, asset tag */
    cvm_put_u8(&t->out, 3);    /* boot-up state: safe */
    cvm_put_u8(&t->out, 3);    /* power supply: safe */
    cvm_put_u8(&t->out, 3);    /* thermal: safe */
    cvm_put_u8(&t->out, 2);    /* security: unknown */
    cvm_put_le(&t->out, 0, 4); /* OEM-defined */
    cvm_put_le(&t->out, 0, 4); /* height, cords, contained elements and their length */
    cvm_put_u8(&t->out, 0);    /* SKU */
    end(t);
}

static void put_processor(struct tables *t)
{
    uint32_t cpus = t->machine->cpu_count;
    uint8_t count = (uint8_t)(cpus > 0xff ? 0xff : cpus);
    begin(t, 4, HANDLE_PROCESSOR);
    put_string(t, "CPU 0");
    cvm_put_u8(&t->out, 3); /* type: central processor */
    cvm_put_u8(&t->out, t->profile->processor_family);
    put_string(t, "QEMU");
    cvm_put_le(&t->out, t->machine->cpu_signature.value, 4);
    cvm_put_le(&t->out, cvm_smbios_features_edx(t->machine), 4);
    put_string(t, t->version);
    cvm_put_u8(&t->out, 0);       /* voltage */
    cvm_put_le(&t->out, 0, 2);    /* external clock: unknown */
    cvm_put_le(&t->out, 2000, 2); /* highest and current speed, MHz */
    cvm_put_le(&t->out, 2000, 2);
    cvm_put_u8(&t->out, 0x41);      /* status: populated, enabled */
    cvm_put_u8(&t->out, 1);         /* upgrade: other */
    cvm_put_le(&t->out, 0xffff, 2); /* caches L1 to L3: none */
    cvm_put_le(&t->out, 0xffff, 2);
    cvm_put_le(&t->out, 0xffff, 2);
    cvm_put_zeros(&t->out, 3);  /* serial, asset tag, part */
    cvm_put_u8(&t->out, count); /* cores, enabled cores, threads */
    cvm_put_u8(&t->out, count);
    cvm_put_u8(&t->out, count);
    cvm_put_le(&t->out, 2, 2); /* characteristics: unknown */
    cvm_put_le(&t->out, 1, 2); /* family: other */
    if (t->entry_point == ENTRY_3) {
        cvm_put_le(&t->out, cpus, 2); /* the counts again, as far as they go */
        cvm_put_le(&t->out, cpus, 2);
        cvm_put_le(&t->out, cpus, 2);
    }
    end(t);
}

static void put_memory_array(struct tables *t, uint64_t devices)
{
    uint64_t size = t->machine->memory_size;
    bool fits = size < 2 * TIB;
    begin(t, 16, HANDLE_MEMORY_ARRAY);
    cvm_put_u8(&t->out, 1); /* location: other */
    cvm_put_u8(&t->out, 3); /* use: system memory */
    cvm_put_u8(&t->out, 6); /* error correction: multi-bit */
    cvm_put_le(&t->out, fits ? size / KIB : 2 * TIB / KIB, 4);
    cvm_put_le(&t->out, NOT_PROVIDED, 2); /* error information */
    cvm_put_le(&t->out, devices, 2);
    cvm_put_le(&t->out, fits ? 0 : size, 8);
    end(t);
}

static void put_memory_device(struct tables *t, unsigned number, uint64_t size)
{
    enum { EXTENDED = 0x7fff }; /* in the field of the size in MiB: see the extended one */
    char locator[24];
    bool fits = size / MIB < EXTENDED;
    snprintf(locator, sizeof locator, "DIMM %u", number);
    begin(t, 17, HANDLE_MEMORY_DEVICES + number);
    cvm_put_le(&t->out, HANDLE_MEMORY_ARRAY, 2);
    cvm_put_le(&t->out, NOT_PROVIDED, 2); /* error information */
    cvm_put_le(&t->out, 0xffff, 2);       /* widths: unknown */
    cvm_put_le(&t->out, 0xffff, 2);
    cvm_put_le(&t->out, fits ? size / MIB : EXTENDED, 2);
    cvm_put_u8(&t->out, 9); /* form factor: DIMM */
    cvm_put_u8(&t->out, 0); /* in no set */
    put_string(t, locator);
    cvm_put_u8(&t->out, 0);    /* bank locator */
    cvm_put_u8(&t->out, 7);    /* type: RAM */
    cvm_put_le(&t->out, 2, 2); /* type detail: other */
    cvm_put_le(&t->out, 0, 2); /* speed: unknown */
    put_string(t, "QEMU");
    cvm_put_zeros(&t->out, 3); /* serial, asset tag, part */
    cvm_put_u8(&t->out, 0);    /* attributes */
    cvm_put_le(&t->out, fits ? 0 : size / MIB, 4);
    cvm_put_zeros(&t->out, 8); /* configured speed; minimum, maximum, configured voltage */
    end(t);
}

static void put_memory_range(struct tables *t, unsigned handle, uint64_t start, uint64_t size)
{
    uint64_t last = start + size - 1;
    bool fits = last / KIB < UINT32_MAX;
    begin(t, 19, handle);
    cvm_put_le(&t->out, fits ? start / KIB : UINT32_MAX, 4);
    cvm_put_le(&t->out, fits ? last / KIB : UINT32_MAX, 4);
    cvm_put_le(&t->out, HANDLE_MEMORY_ARRAY, 2);
    cvm_put_u8(&t->out, 1); /* devices in a row */
    cvm_put_le(&t->out, fits ? 0 : start, 8);
    cvm_put_le(&t->out, fits ? 0 : last, 8);
    end(t);
}

static bool put_memory(struct tables *t, struct cvm_error *err)
{
    enum { BEFORE_RANGES = HANDLE_MEMORY_RANGES - HANDLE_MEMORY_DEVICES };
    uint64_t size = t->machine->memory_size;
    uint64_t device = t->profile->memory_device_size;
    uint64_t devices = (size + device - 1) / device;
    uint64_t low = cvm_machine_ram_below_4g(t->machine);
    /* Where the devices need more handles than lie before the ranges', those move. */
    uint64_t shift = devices > BEFORE_RANGES ? devices - BEFORE_RANGES : 0;
    if (HANDLE_MEMORY_RANGES + shift + 2 >= HANDLE_BOOT) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "SMBIOS tables of QEMU %u.%u.%u cannot hold memory_size %llu",
                        t->machine->qemu.major, t->machine->qemu.minor, t->machine->qemu.micro,
                        (unsigned long long)size);
    }
    put_memory_array(t, devices);
    for (unsigned i = 0; i < devices; i++) {
        put_memory_device(t, i, i + 1 < devices ? device : (size - 1) % device + 1);
    }
    unsigned ranges = HANDLE_MEMORY_RANGES + (unsigned)shift;
    put_memory_range(t, ranges, 0, low);
    if (size > low) {
        put_memory_range(t, ranges + 1, FOUR_GIB, size - low);
    }
    return true;
}

static void put_boot(struct tables *t)
{
    begin(t, 32, HANDLE_BOOT);
    cvm_put_zeros(&t->out, 7); /* reserved; status: no errors */
    end(t);
}

static void put_end(struct tables *t)
{
    begin(t, 127, HANDLE_END);
    end(t);
}

static bool build(struct tables *t, struct cvm_error *err)
{
    put_system(t);
    put_chassis(t);
    put_processor(t);
    if (!put_memory(t, err)) {
        return false;
    }
    put_boot(t);
    put_end(t);
    return cvm_buf_finish(&t->out, "SMBIOS tables", err);
}

/* --- the whole --- */

/* What a 2.8 entry point can tell: 16 bits of length, and from 9.0 on 254 CPUs. */
static bool fits_entry_2(const struct tables *t)
{
    bool counts = t->profile->entry_point != ENTRY_AUTO || t->machine->cpu_count < 0xff;
    return counts && t->out.len <= UINT16_MAX;
}

static bool check(const struct cvm_machine *m, struct cvm_error *err)
{
    if (!cvm_machine_check(m, err)) {
        return false;
    }
    if (!m->cpu_signature.set || !m->cpu_features_edx.set) {
        return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                        "SMBIOS depends on the guest's CPU: %s%s%s (CPUID leaf 1, EAX and EDX) not "
                        "known",
                        m->cpu_signature.set ? "" : "cpu_signature",
                        m->cpu_signature.set || m->cpu_features_edx.set ? "" : " and ",
                        m->cpu_features_edx.set ? "" : "cpu_features_edx");
    }
    return profile_for(m->qemu) != NULL
               ? true
               : cvm_fail(err, CVM_ERR_UNSUPPORTED,
                          "SMBIOS tables of QEMU %u.%u.%u: the oldest known version is 7.2.0",
                          m->qemu.major, m->qemu.minor, m->qemu.micro);
}

static void free_tables(struct tables *t)
{
    cvm_buf_free(&t->out);
}

bool cvm_smbios_build(const struct cvm_machine *machine, struct cvm_smbios_tables *out,
                      struct cvm_error *err)
{
    CVM_CLEANUP(free_tables)
    struct tables t = { .machine = machine };
    if (!check(machine, err)) {
        return false;
    }
    t.profile = profile_for(machine->qemu);
    t.entry_point = t.profile->entry_point == ENTRY_3 ? ENTRY_3 : ENTRY_2;
    snprintf(t.version, sizeof t.version, "pc-q35-%u.%u", machine->qemu.major, machine->qemu.minor);
    if (!build(&t, err)) {
        return false;
    }
    if (t.entry_point == ENTRY_2 && !fits_entry_2(&t)) {
        if (t.profile->entry_point != ENTRY_AUTO) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "SMBIOS tables of %zu bytes: QEMU %u.%u.%u starts no machine with more "
                            "than 65535",
                            t.out.len, machine->qemu.major, machine->qemu.minor,
                            machine->qemu.micro);
        }
        t.entry_point = ENTRY_3;
        t.out.len = 0;
        if (!build(&t, err)) {
            return false;
        }
    }
    *out = (struct cvm_smbios_tables){
        .data = t.out.data,
        .size = t.out.len,
        .extrapolated =
            t.profile->unseen || cvm_qemu_version_compare(machine->qemu, newest_seen) > 0,
    };
    t.out = (struct cvm_buf){ 0 };
    return true;
}

void cvm_smbios_tables_free(struct cvm_smbios_tables *tables)
{
    free(tables->data);
    *tables = (struct cvm_smbios_tables){ 0 };
}

uint32_t cvm_smbios_features_edx(const struct cvm_machine *machine)
{
    const uint32_t htt = UINT32_C(1) << 28;
    const struct profile *profile = profile_for(machine->qemu);
    if (!machine->cpu_features_edx.set) {
        return 0;
    }
    bool set = profile != NULL && profile->htt_by_cpus && machine->cpu_count > 1;
    return machine->cpu_features_edx.value | (set ? htt : 0);
}
