#include "tests/support/fault.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static unsigned fail_at; /* counts down; 0 means off */
static bool hit;

static bool fails_now(void)
{
    if (fail_at == 0 || --fail_at != 0) {
        return false;
    }
    hit = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

/* --- shared libraries: --wrap does not reach them, so their import tables are rewritten --- */

/* What is needed of a loaded library's dynamic section; addresses as the loader relocated them. */
struct imports {
    ElfW(Addr) base;
    const ElfW(Rela) * tables[2]; /* calls, and other relocations */
    size_t sizes[2];              /* bytes */
    const ElfW(Sym) * symbols;
    const char *names;
};

static void read_dynamic(struct imports *im, const ElfW(Dyn) * dynamic)
{
    for (const ElfW(Dyn) *d = dynamic; d->d_tag != DT_NULL; d++) {
        const void *at = (const void *)(uintptr_t)d->d_un.d_ptr;
        switch (d->d_tag) {
        case DT_JMPREL:
            im->tables[0] = at;
            break;
        case DT_PLTRELSZ:
            im->sizes[0] = d->d_un.d_val;
            break;
        case DT_RELA:
            im->tables[1] = at;
            break;
        case DT_RELASZ:
            im->sizes[1] = d->d_un.d_val;
            break;
        case DT_SYMTAB:
            im->symbols = at;
            break;
        case DT_STRTAB:
            im->names = at;
            break;
        default:
            break;
        }
    }
}

static uintptr_t replacement_of(const char *name)
{
    if (strcmp(name, "malloc") == 0) {
        return (uintptr_t)__wrap_malloc;
    }
    if (strcmp(name, "calloc") == 0) {
        return (uintptr_t)__wrap_calloc;
    }
    return strcmp(name, "realloc") == 0 ? (uintptr_t)__wrap_realloc : 0;
}

/* The slot may lie in a page that became read-only after relocation. */
static void write_slot(uintptr_t slot, uintptr_t value)
{
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)(slot / page_size * page_size);
    if (mprotect(page, page_size, PROT_READ | PROT_WRITE) != 0) {
        perror("fault_hook_libraries: mprotect");
        abort();
    }
    memcpy((void *)slot, &value, sizeof value);
}

static unsigned redirect(const struct imports *im)
{
    unsigned count = 0;
    for (size_t t = 0; t < 2; t++) {
        if (im->tables[t] == NULL || im->symbols == NULL || im->names == NULL) {
            continue;
        }
        for (size_t i = 0; i < im->sizes[t] / sizeof(ElfW(Rela)); i++) {
            const ElfW(Rela) *r = &im->tables[t][i];
            const ElfW(Sym) *symbol = &im->symbols[ELF64_R_SYM(r->r_info)];
            uintptr_t to = replacement_of(im->names + symbol->st_name);
            if (to != 0) {
                write_slot(im->base + r->r_offset, to);
                count++;
            }
        }
    }
    return count;
}

static int hook_library(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)size;
    if (strstr(info->dlpi_name, "/libcbor.so") == NULL) {
        return 0;
    }
    struct imports im = { .base = info->dlpi_addr };
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
            read_dynamic(&im, (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr));
        }
    }
    *(unsigned *)count += redirect(&im);
    return 0;
}

void fault_hook_libraries(void)
{
    unsigned count = 0;
    dl_iterate_phdr(hook_library, &count);
    if (count == 0) {
        fputs("fault_hook_libraries: libcbor imports no allocator\n", stderr);
        abort();
    }
}

void fault_at(unsigned n)
{
    fail_at = n;
    hit = false;
}

bool fault_hit(void)
{
    fail_at = 0;
    return hit;
}
