#include "vmm/acpi_check.h"

#include "vmm/acpi_cache.h"
#include "vmm/acpi_probe.h"
#include "vmm/log.h"

bool cvm_acpi_check_parse(const char *word, enum cvm_acpi_check *out, struct cvm_error *err)
{
    static const char *const words[] = {
        [CVM_ACPI_CHECK_OFF] = "off",
        [CVM_ACPI_CHECK_WARN] = "warn",
        [CVM_ACPI_CHECK_REQUIRE] = "require",
    };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            *out = (enum cvm_acpi_check)i;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_MALFORMED, "acpi_check is '%.16s', not 'off', 'warn' or 'require'",
                    word);
}

/* CVM_ERR_MISMATCH where the answer is another than what was generated. */
static bool judge(const struct cvm_emulator *emulator, const struct cvm_acpi_files *ours,
                  const struct cvm_acpi_files *theirs, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf phrase = { 0 };
    struct cvm_acpi_comparison c;
    cvm_acpi_compare(ours, theirs, &c);
    if (c.equal) {
        return true;
    }
    cvm_acpi_comparison_phrase(&c, &phrase);
    cvm_put_u8(&phrase, '\0');
    return cvm_buf_finish(&phrase, "differences", err) &&
           cvm_fail(err, CVM_ERR_MISMATCH,
                    "emulator '%s' writes other ACPI files than were predicted, so the guest would "
                    "measure another RTMR0: %.600s (`cvm acpi --against` shows more)",
                    emulator->path, (const char *)phrase.data);
}

static bool ask(const char *path, const struct cvm_machine *machine,
                const struct cvm_acpi_files *ours, const struct cvm_acpi_cache *cache,
                struct cvm_error *err)
{
    cvm_autoprobedacpi struct cvm_probed_acpi probed = CVM_PROBED_ACPI_NONE;
    struct cvm_acpi_digests answer;
    struct cvm_emulator emulator;
    cvm_log("asking emulator '%s' for the ACPI files of the machine", path);
    if (!cvm_emulator_ask(path, CVM_EMULATOR_TIMEOUT_MS, &emulator, err) ||
        !cvm_acpi_probe(&emulator, machine, 0, &probed, err)) {
        return false;
    }
    const struct cvm_acpi_files theirs = cvm_probed_acpi_files(&probed);
    if (!cvm_acpi_digest(&theirs, &answer, err)) {
        return false;
    }
    cvm_acpi_cache_put(cache, &answer);
    return judge(&emulator, ours, &theirs, err);
}

/* A cached answer that is not ours is asked for again: only whole files can be shown. */
static bool check(const char *path, const struct cvm_machine *machine, const char *state_dir,
                  struct cvm_error *err)
{
    cvm_autoacpicache struct cvm_acpi_cache cache = CVM_ACPI_CACHE_NONE;
    CVM_CLEANUP(cvm_acpi_free)
    struct cvm_acpi acpi = { 0 };
    struct cvm_acpi_digests wanted;
    struct cvm_acpi_digests answer;
    struct cvm_emulator emulator;
    if (!cvm_emulator_identify(path, CVM_EMULATOR_TIMEOUT_MS, &emulator, err) ||
        !cvm_acpi_build_as_asked(machine, &acpi, err)) {
        return false;
    }
    const struct cvm_acpi_files ours = cvm_acpi_files_of(&acpi);
    if (!cvm_acpi_digest(&ours, &wanted, err)) {
        return false;
    }
    cvm_acpi_cache_open(state_dir, &emulator, machine, &cache);
    if (cvm_acpi_cache_get(&cache, &answer) && memcmp(&answer, &wanted, sizeof answer) == 0) {
        cvm_log("emulator '%s' has said before that it writes these ACPI files", path);
        return true;
    }
    return ask(path, machine, &ours, &cache, err);
}

bool cvm_acpi_check(enum cvm_acpi_check mode, const char *emulator,
                    const struct cvm_machine *machine, const char *state_dir,
                    struct cvm_warnings *warnings, struct cvm_error *err)
{
    struct cvm_error why = { 0 };
    if (mode == CVM_ACPI_CHECK_OFF || check(emulator, machine, state_dir, &why)) {
        return true;
    }
    if (why.code != CVM_ERR_MISMATCH) {
        cvm_context(&why, "the emulator could not be asked for its ACPI files");
    }
    if (mode == CVM_ACPI_CHECK_REQUIRE) {
        *err = why;
        return cvm_context(err, "acpi_check");
    }
    cvm_warn(warnings, "%s", why.msg);
    return true;
}
