#include "tests/unit/measure/samples.h"

#include "tests/support/check.h"

const struct kernel_sample kernel_modern = {
    .protocol = 0x20f,
    .loadflags = 0x01,
    .xloadflags = 0x003f,
    .initrd_addr_max = 0x7fffffff,
};

struct cvm_buf pe_build(const struct pe_sample *sample)
{
    struct cvm_buf b = sample_fill(sample->size);
    size_t pe = sample->e_lfanew;
    size_t directories_at = pe + 24 + (sample->plus ? 108 : 92);
    size_t certificate_at = pe + (sample->plus ? PE32_PLUS_CERTIFICATE_DIR : PE32_CERTIFICATE_DIR);
    uint32_t optional_size = sample->plus ? 112 + 16 * 8 : 96 + 16 * 8;
    size_t sections_at = pe + 24 + optional_size;
    assert_true(sections_at + 40 * (size_t)sample->num_sections <= b.len);

    cvm_buf_patch_le(&b, 0, 0x5a4d, 2); /* MZ */
    cvm_buf_patch_le(&b, 0x3c, pe, 4);
    cvm_buf_patch_le(&b, pe, 0x4550, 4); /* PE\0\0 */
    cvm_buf_patch_le(&b, pe + PE_NUM_SECTIONS, sample->num_sections, 2);
    cvm_buf_patch_le(&b, pe + PE_OPTIONAL_SIZE, optional_size, 2);
    cvm_buf_patch_le(&b, pe + PE_MAGIC, sample->plus ? 0x20b : 0x10b, 2);
    cvm_buf_patch_le(&b, pe + PE_SIZE_OF_HEADERS, sample->size_of_headers, 4);
    cvm_buf_patch_le(&b, directories_at, sample->num_directories, 4);
    cvm_buf_patch_le(&b, certificate_at, sample->size - sample->certificate_size, 4);
    cvm_buf_patch_le(&b, certificate_at + 4, sample->certificate_size, 4);
    for (uint32_t i = 0; i < sample->num_sections; i++) {
        size_t section = sections_at + 40 * (size_t)i;
        cvm_buf_patch_le(&b, section + 16, sample->sections[i].raw_size, 4);
        cvm_buf_patch_le(&b, section + 20, sample->sections[i].raw_offset, 4);
    }
    return b;
}

struct cvm_buf kernel_build(const struct kernel_sample *sample)
{
    static const struct pe_sample pe = {
        .plus = true,
        .e_lfanew = 0x40,
        .size_of_headers = 0x400,
        .num_directories = 16,
        .num_sections = 2,
        .sections = { { 0x400, 0x200 }, { 0x600, 0x900 } },
        .size = 0x1000,
    };
    struct cvm_buf b = pe_build(&pe);
    memcpy(b.data + 0x202, "HdrS", 4);
    cvm_buf_patch_le(&b, 0x206, sample->protocol, 2);
    cvm_buf_patch_le(&b, 0x211, sample->loadflags, 1);
    cvm_buf_patch_le(&b, 0x22c, sample->initrd_addr_max, 4);
    cvm_buf_patch_le(&b, 0x236, sample->xloadflags, 2);
    return b;
}
