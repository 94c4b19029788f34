/*
 * Expectations as JSON and as text: what `cvm measure` prints and a launch writes.
 */
#ifndef CVM_VMM_REPORT_H
#define CVM_VMM_REPORT_H

#include "vmm/machine.h"

/* A measured machine. All borrowed. */
struct cvm_report {
    const struct cvm_machine *machine;
    const struct cvm_resolution *resolution;
    const struct cvm_firmware *firmware; /* NULL where the file is not at hand */
    const struct cvm_expectation *expectation;
    const char *os_image_hash;     /* NULL where it is not known */
    struct json_object *vm_config; /* as measured */
    const struct cvm_warnings *warnings;
};

/* Adds the keys of `cvm measure` to the open object of b. */
void cvm_report_put(const struct cvm_report *report, struct cvm_json_builder *b);

/* Adds only the four registers. */
void cvm_report_put_registers(const struct cvm_expectation *expectation,
                              struct cvm_json_builder *b);

/*
 * Adds only what was resolved: ovmf_variant, layout, kernel_header, kernel_measures,
 * page_add_order, qemu_version.
 */
void cvm_report_put_resolution(const struct cvm_report *report, struct cvm_json_builder *b);

/* Appends the same for people. */
void cvm_report_print(const struct cvm_report *report, struct cvm_buf *out);

/* Adds a warning for every digest that was not computed from files and machine. */
void cvm_report_warn(const struct cvm_expectation *expectation, const struct cvm_machine *machine,
                     struct cvm_warnings *warnings);

/* "8.2.2" of a machine's QEMU, in a buffer of at least 20 characters. */
const char *cvm_qemu_version_text(const struct cvm_machine *machine, char *buffer, size_t size);

/* A digest in hex, in a buffer. */
struct cvm_hex384 {
    char text[97];
};
struct cvm_hex384 cvm_sha384_text(const struct cvm_sha384 *digest);

struct cvm_hex256 {
    char text[65];
};
struct cvm_hex256 cvm_sha256_text(const struct cvm_sha256 *digest);

#endif
