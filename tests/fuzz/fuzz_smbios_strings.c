/* Reads no byte outside the volume, and what it finds are strings: printable, with their NUL. */
#include "tests/fuzz/fuzz.h"

#include "measure/include/cvm/smbios.h"

#include <string.h>

static void check(const char *text)
{
    size_t length = strnlen(text, sizeof((struct cvm_smbios_firmware *)NULL)->vendor);
    fuzz_require(length >= 3 && length < sizeof((struct cvm_smbios_firmware *)NULL)->vendor,
                 "has a string's length");
    for (size_t i = 0; i < length; i++) {
        fuzz_require(text[i] >= 0x20 && text[i] < 0x7f, "is printable");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_smbios_firmware found;
    if (fuzz_accepted(cvm_smbios_find_strings((struct cvm_bytes){ data, size }, &found, &err),
                      &err)) {
        check(found.vendor);
        check(found.version);
        check(found.date);
    }
    return 0;
}
