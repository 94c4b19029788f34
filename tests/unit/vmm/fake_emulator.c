#include "tests/unit/vmm/fake_emulator.h"

#include "tests/support/check.h"
#include "vmm/fw_cfg.h"

#include <stdio.h>
#include <sys/stat.h>

const char *fake_program(const struct place *p, const char *script)
{
    place_delete(p, "emulator");
    place_write_text(p, "emulator", script);
    assert_int_equal(fchmodat(p->fd, "emulator", 0755, 0), 0);
    return place_path(p, "emulator");
}

/* The path is cut out of the command that saves memory. */
static const char monitor[] =
    "case \"$*\" in\n"
    "--version) echo 'QEMU emulator version 9.2.1 (fake)'; exit;;\n"
    "'-accel help') echo Accelerators supported in QEMU binary:; echo tcg; exit;;\n"
    "*qtest*) echo 'invalid accelerator qtest' >&2; exit 1;;\n"
    "esac\n"
    "echo \"$*\" >>\"$here/started\"\n"
    "printf '{\"QMP\": {}}\\r\\n'\n"
    "n=0\n"
    "while read -r line; do\n"
    "  reply='\"\"'\n"
    "  case $line in\n"
    "  *pmemsave*)\n"
    "    n=$((n + 1)); file=${line#*/tmp/}; file=/tmp/${file%%[!A-Za-z0-9/._-]*}\n"
    "    cp \"$here/memory-$n\" \"$file\";;\n"
    "  *query-cpus-fast*) reply=${cpus-'[{\"qom-path\": \"/cpu\"}]'};;\n"
    "  *'\"family\"'*) reply=${family-6};;\n"
    "  *'\"model\"'*) reply=${model-207};;\n"
    "  *'\"stepping\"'*) reply=2;;\n"
    "  *feature-words*) reply=${words-'[{\"cpuid-register\": \"ECX\", \"cpuid-input-eax\": 1,\n"
    "    \"features\": 5}, {\"cpuid-register\": \"EDX\", \"cpuid-input-eax\": 1,\n"
    "    \"features\": 126614525}]'};;\n"
    "  esac\n"
    "  printf '{\"timestamp\": {}, \"event\": \"NOISE\"}\\n{\"return\": %s}\\n' \\\n"
    "    \"$(echo \"$reply\" | tr -d '\\n')\"\n"
    "done\n";

const char *fake_emulator(const struct place *p, const char *extra)
{
    cvm_autobuf struct cvm_buf script = { 0 };
    cvm_put_format(&script, "#!/bin/sh\nhere=%s\n%s\n%s", p->path, extra, monitor);
    cvm_put_u8(&script, '\0');
    assert_false(script.failed);
    return fake_program(p, (const char *)script.data);
}

struct cvm_machine fake_machine(enum cvm_interrupt_trigger trigger)
{
    struct cvm_error err = { 0 };
    struct cvm_machine m = {
        .qemu = { 9, 2, 1 },
        .interrupt_trigger = trigger,
        .cpu_count = 2,
        .memory_size = UINT64_C(2) << 30,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
    };
    must(cvm_machine_place_devices(&m, &(struct cvm_device_counts){ .nics = 1 }, &err), &err);
    return m;
}

static void put_be(struct cvm_buf *b, uint32_t value)
{
    cvm_put_le(b, cvm_swap32(value), 4);
}

void fake_files(const struct place *p, const char *const *names, const struct cvm_buf *files,
                unsigned count)
{
    cvm_autobuf struct cvm_buf directory = { 0 };
    put_be(&directory, count);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        size_t end = directory.len + 4 + 4 + CVM_FW_CFG_NAME_SIZE;
        put_be(&directory, (uint32_t)files[i].len);
        put_be(&directory, (0x20 + i) << 16);
        cvm_put_text(&directory, names[i]);
        cvm_put_zeros(&directory, end - directory.len);
        snprintf(name, sizeof name, "memory-%u", i + 2);
        place_write(p, name, files[i].data, files[i].len);
    }
    cvm_put_zeros(&directory, CVM_FW_CFG_MAX_DIRECTORY - directory.len);
    place_write(p, "memory-1", directory.data, directory.len);
}

void fake_memory(const struct place *p, const struct cvm_buf files[3])
{
    static const char *const names[] = { "etc/table-loader", "etc/acpi/rsdp", "etc/acpi/tables" };
    fake_files(p, names, files, 3);
}
