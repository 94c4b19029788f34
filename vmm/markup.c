#include "vmm/markup.h"

void cvm_put_escaped(struct cvm_buf *out, const char *text)
{
    static const struct {
        char character;
        const char *escaped;
    } special[] = {
        { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&apos;" },
    };
    for (const char *p = text; *p != '\0'; p++) {
        const char *escaped = NULL;
        for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
            escaped = *p == special[i].character ? special[i].escaped : escaped;
        }
        if (escaped != NULL) {
            cvm_put_text(out, escaped);
        } else {
            cvm_put_u8(out, (uint8_t)*p);
        }
    }
}
