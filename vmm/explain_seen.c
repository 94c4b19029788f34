/*
 * What was seen, and whether a machine gives it.
 */
#include "measure/base/hex.h"
#include "vmm/explain.h"

#include <string.h>

static const struct cvm_sha384 *value_of(const struct cvm_expectation *e, const char *name)
{
    static const char *const registers[] = { "rtmr0", "rtmr1", "rtmr2" };
    if (strcmp(name, "mrtd") == 0) {
        return &e->mrtd;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(name, registers[i]) == 0) {
            return &e->rtmr[i];
        }
    }
    for (uint32_t i = 0; i < e->events.num_events; i++) {
        if (strcmp(e->events.events[i].name, name) == 0) {
            return &e->events.events[i].digest;
        }
    }
    return NULL;
}

static bool begins_with(const struct cvm_sha384 *value, const struct cvm_seen *seen)
{
    unsigned whole = seen->digits / 2;
    return memcmp(value->bytes, seen->value.bytes, whole) == 0 &&
           (seen->digits % 2 == 0 || value->bytes[whole] >> 4 == seen->value.bytes[whole] >> 4);
}

bool cvm_seen_fits(const struct cvm_seen *seen, const struct cvm_expectation *e)
{
    const struct cvm_sha384 *value = value_of(e, seen->name);
    return value != NULL && begins_with(value, seen);
}

bool cvm_seen_parse(const char *text, char name[32], struct cvm_seen *out, struct cvm_error *err)
{
    const char *equals = strchr(text, '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - text);
    size_t digits = equals == NULL ? 0 : strlen(equals + 1);
    char padded[97];
    struct cvm_seen seen = { .name = name, .digits = (unsigned)digits };
    if (length == 0 || length > 31) {
        return cvm_fail(err, CVM_ERR_USAGE, "'%.64s' is not NAME=DIGEST", text);
    }
    if (digits < CVM_EXPLAIN_MIN_DIGITS || digits > 96) {
        return cvm_fail(err, CVM_ERR_USAGE, "'%.40s': %zu digits of a digest (%d to 96)", text,
                        digits, CVM_EXPLAIN_MIN_DIGITS);
    }
    memset(padded, '0', sizeof padded);
    memcpy(padded, equals + 1, digits);
    if (!cvm_hex_decode(padded, 96, seen.value.bytes, sizeof seen.value.bytes, err)) {
        err->code = CVM_ERR_USAGE;
        return cvm_context(err, "'%.40s'", text);
    }
    memcpy(name, text, length);
    name[length] = '\0';
    *out = seen;
    return true;
}

static bool is_event_of_a_layout(const char *name)
{
    for (unsigned kind = 0; kind < CVM_LAYOUT_KINDS; kind++) {
        if (kind != CVM_LAYOUT_BOOT_OPTION && strcmp(cvm_layout_event_name(kind), name) == 0) {
            return true;
        }
    }
    return false;
}

/* A name that no machine could give would make every search a vain one. */
bool cvm_seen_check(const struct cvm_seen *seen, struct cvm_error *err)
{
    static const char *const known[] = { "mrtd",     "rtmr0",    "rtmr1",   "rtmr2",
                                         "kernel",   "cmdline",  "initrd",  "boot0000",
                                         "boot0001", "boot0002", "boot0003" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i], seen->name) == 0) {
            return true;
        }
    }
    if (is_event_of_a_layout(seen->name)) {
        return true;
    }
    return cvm_fail(err, CVM_ERR_USAGE,
                    "'%.32s' is no register or event (mrtd, rtmr0 to rtmr2, acpi_tables, td_hob, "
                    "...)",
                    seen->name);
}
