#include "vmm/tool.h"

#include "measure/base/hex.h"
#include "measure/base/reader.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

#ifndef CVM_VERSION
#error "CVM_VERSION is the project's version"
#endif

enum { MAX_BUILD_ID = 32, NOTE_ALIGNMENT = 4 };

static void skip_padding(struct cvm_reader *r)
{
    size_t odd = r->pos % NOTE_ALIGNMENT;
    cvm_read_skip(r, odd == 0 ? 0 : NOTE_ALIGNMENT - odd);
}

/* Appends the build ID of a note segment to the version, where there is one. */
static void append_build_id(struct cvm_tool *tool, const void *notes, size_t size)
{
    struct cvm_error ignored = { 0 };
    struct cvm_reader r = cvm_reader_of(notes, size);
    while (cvm_reader_left(&r) != 0 && cvm_reader_ok(&r, "note", &ignored)) {
        uint32_t name_size = cvm_read_u32le(&r);
        uint32_t id_size = cvm_read_u32le(&r);
        uint32_t type = cvm_read_u32le(&r);
        const uint8_t *name = cvm_read_bytes(&r, name_size);
        skip_padding(&r);
        const uint8_t *id = cvm_read_bytes(&r, id_size);
        skip_padding(&r);
        if (name != NULL && id != NULL && type == NT_GNU_BUILD_ID && name_size == sizeof "GNU" &&
            memcmp(name, "GNU", sizeof "GNU") == 0 && id_size <= MAX_BUILD_ID) {
            char hex[2 * MAX_BUILD_ID + 1];
            cvm_hex_encode(id, id_size, hex);
            snprintf(tool->text, sizeof tool->text, "%s %s", CVM_VERSION, hex);
            return;
        }
    }
}

/* The first object is the program itself. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE) {
            uintptr_t address = info->dlpi_addr + segment->p_vaddr;
            append_build_id(data, (const void *)address, segment->p_memsz);
        }
    }
    return 1;
}

struct cvm_tool cvm_tool_identify(void)
{
    struct cvm_tool tool = { .text = CVM_VERSION };
    dl_iterate_phdr(look_at_program, &tool);
    return tool;
}
