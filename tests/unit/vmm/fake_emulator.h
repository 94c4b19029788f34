/*
 * Programs that pass for an emulator: shell scripts in a test's place.
 */
#ifndef CVM_TESTS_FAKE_EMULATOR_H
#define CVM_TESTS_FAKE_EMULATOR_H

#include "measure/include/cvm/machine.h"
#include "tests/unit/vmm/place.h"

/* Makes an executable script "emulator" and returns its path, as place_path() does. */
const char *fake_program(const struct place *p, const char *script);

/*
 * The same, an emulator of version 9.2.1 with TCG, whose monitor answers everything with nothing.
 * Of its CPU it says what the shell variables cpus, family, model and words hold, by default that
 * it is of family 6, model 207, stepping 2, with 0x78bfbfd in EDX. What it saves of its memory are
 * the files memory-1, memory-2, ... of the place, in that order; `started` gets a line for each
 * start of a machine.
 *
 * @param extra  shell lines that come first, for each of its runs; $* is its command line.
 */
const char *fake_emulator(const struct place *p, const char *extra);

/* A small machine of that emulator's version. */
struct cvm_machine fake_machine(enum cvm_interrupt_trigger trigger);

/* Writes what the emulator saves when it is asked for the directory and these files in this order.
 */
void fake_files(const struct place *p, const char *const *names, const struct cvm_buf *files,
                unsigned count);

/* Writes what the emulator saves when it is asked for ACPI files; sizes are those of the files. */
void fake_memory(const struct place *p, const struct cvm_buf files[3]);

#endif
