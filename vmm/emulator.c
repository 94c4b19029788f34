#include "vmm/emulator.h"

#include "vmm/machine.h"
#include "vmm/process.h"
#include "vmm/qmp.h"

#include <stdio.h>

enum { MAX_ANSWER = 4096 };

/* --- the version --- */

/* What the program prints when it is run with one or two words, up to its first NUL. */
static bool capture(const char *path, const char *const words[2], unsigned timeout_ms,
                    struct cvm_buf *out, struct cvm_error *err)
{
    char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)words[0],
                           (char *)(uintptr_t)words[1], NULL };
    const struct cvm_capture how = { .timeout_ms = timeout_ms, .max = MAX_ANSWER, .dir_fd = -1 };
    int status = -1;
    if (!cvm_process_capture(argv, &how, out, &status, err)) {
        return false;
    }
    cvm_put_u8(out, '\0');
    return cvm_buf_finish(out, "answer", err) &&
           (cvm_process_succeeded(status, err) || cvm_context(err, "%s", words[0]));
}

static bool ask_version(struct cvm_emulator *e, unsigned timeout_ms, struct cvm_error *err)
{
    static const char *const words[] = { "--version", NULL };
    static const char prefix[] = "QEMU emulator version ";
    cvm_autobuf struct cvm_buf answer = { 0 };
    if (!capture(e->path, words, timeout_ms, &answer, err)) {
        return false;
    }
    char *text = (char *)answer.data;
    text[strcspn(text, "\r\n")] = '\0';
    if (strncmp(text, prefix, sizeof prefix - 1) != 0) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "'%.100s' is not what QEMU says", text);
    }
    snprintf(e->says, sizeof e->says, "%s", text + sizeof prefix - 1);
    return cvm_qemu_version_parse(e->says, &e->version, err);
}

bool cvm_emulator_identify(const char *path, unsigned timeout_ms, struct cvm_emulator *out,
                           struct cvm_error *err)
{
    struct cvm_emulator e = { .path = path };
    if (!ask_version(&e, timeout_ms, err)) {
        return cvm_context(err, "emulator '%s'", path);
    }
    *out = e;
    return true;
}

bool cvm_emulator_version(const char *path, struct cvm_qemu_version *out, struct cvm_error *err)
{
    struct cvm_emulator e;
    if (!cvm_emulator_identify(path, CVM_EMULATOR_TIMEOUT_MS, &e, err)) {
        return false;
    }
    *out = e.version;
    return true;
}

/* --- accelerators --- */

/*
 * In the order in which they are preferred. Beyond 255 CPUs an APIC ID needs x2APIC, which QEMU
 * before 9.0 has with KVM only, whether or not a CPU ever runs.
 */
static const struct {
    const char *word;
    struct cvm_qemu_version many_since; /* the first that takes more than 255 CPUs */
} accelerators[CVM_NUM_ACCELERATORS] = {
    [CVM_ACCEL_QTEST] = { "qtest", { 9, 0, 0 } },
    [CVM_ACCEL_TCG] = { "tcg", { 9, 0, 0 } },
    [CVM_ACCEL_KVM] = { "kvm", { 0, 0, 0 } },
};

const char *cvm_accelerator_word(enum cvm_accelerator accelerator)
{
    return accelerators[accelerator].word;
}

unsigned cvm_accelerators_listed(const char *help)
{
    unsigned found = 0;
    while (*help != '\0') {
        size_t length = strcspn(help, " \r\n");
        for (unsigned i = 0; i < CVM_NUM_ACCELERATORS; i++) {
            const char *word = accelerators[i].word;
            if (length == strlen(word) && memcmp(help, word, length) == 0) {
                found |= 1u << i;
            }
        }
        help += length;
        help += strspn(help, " \r\n");
    }
    return found;
}

/* QEMU leaves the accelerator of its tests out of its help, so a machine of none is tried. */
static bool has_qtest(const char *path, unsigned timeout_ms)
{
    static const char *const words[] = {
        "-machine",        "none",     "-accel", "qtest", "-S",    "-nodefaults",
        "-no-user-config", "-display", "none",   "-qmp",  "stdio",
    };
    enum { NUM_WORDS = sizeof words / sizeof words[0] };
    char *argv[NUM_WORDS + 2] = { (char *)(uintptr_t)path };
    struct cvm_error ignored = { 0 };
    cvm_autoqmp struct cvm_qmp q = CVM_QMP_NONE;
    for (size_t i = 0; i < NUM_WORDS; i++) {
        argv[i + 1] = (char *)(uintptr_t)words[i];
    }
    return cvm_qmp_start(argv, -1, timeout_ms, &q, &ignored);
}

bool cvm_emulator_ask(const char *path, unsigned timeout_ms, struct cvm_emulator *out,
                      struct cvm_error *err)
{
    static const char *const words[] = { "-accel", "help" };
    cvm_autobuf struct cvm_buf help = { 0 };
    struct cvm_emulator e;
    if (!cvm_emulator_identify(path, timeout_ms, &e, err)) {
        return false;
    }
    if (!capture(path, words, timeout_ms, &help, err)) {
        return cvm_context(err, "emulator '%s'", path);
    }
    e.accelerators = cvm_accelerators_listed((const char *)help.data);
    if ((e.accelerators & 1u << CVM_ACCEL_QTEST) == 0 && has_qtest(path, timeout_ms)) {
        e.accelerators |= 1u << CVM_ACCEL_QTEST;
    }
    *out = e;
    return true;
}

bool cvm_accelerator_choose(const struct cvm_emulator *emulator, uint32_t cpu_count,
                            enum cvm_accelerator *out, struct cvm_error *err)
{
    for (unsigned i = 0; i < CVM_NUM_ACCELERATORS; i++) {
        bool many = cvm_qemu_version_compare(emulator->version, accelerators[i].many_since) >= 0;
        if ((emulator->accelerators & 1u << i) != 0 && (many || cpu_count <= 255)) {
            *out = (enum cvm_accelerator)i;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                    "emulator '%s': QEMU %u.%u.%u as it was built has no accelerator that makes a "
                    "machine of %u CPUs",
                    emulator->path, emulator->version.major, emulator->version.minor,
                    emulator->version.micro, cpu_count);
}
