/* Sections that are accepted lie in the file and in memory, and can be measured. */
#include "tests/fuzz/fuzz.h"

#include "measure/mrtd.h"
#include "measure/td_hob.h"

enum { MAX_HASHED = 1 << 20 }; /* bytes of memory; more only takes longer */

static uint64_t check_sections(const struct cvm_tdvf *tdvf, size_t file_size)
{
    uint64_t memory = 0;
    fuzz_require(tdvf->num_sections <= CVM_TDVF_MAX_SECTIONS, "few sections");
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        const struct cvm_tdvf_section *s = &tdvf->sections[i];
        fuzz_require((uint64_t)s->data_offset + s->raw_size <= file_size, "data in the file");
        fuzz_require(s->raw_size <= s->mem_size, "data in memory");
        fuzz_require(s->mem_addr % 4096 == 0 && s->mem_size % 4096 == 0, "whole pages");
        fuzz_require(s->mem_size <= UINT64_MAX - s->mem_addr, "no wrap");
        memory += s->mem_size;
    }
    return memory;
}

static void check_ranges(const struct cvm_tdvf *tdvf)
{
    struct cvm_error err = { 0 };
    struct cvm_td_ranges ranges;
    cvm_autobuf struct cvm_buf hob = { 0 };
    const struct cvm_machine machine = { .memory_size = UINT64_C(64) << 30 };
    if (fuzz_accepted(cvm_tdvf_ranges(tdvf, &ranges, &err), &err) &&
        fuzz_accepted(td_hob_build(&machine, &ranges, &hob, &err), &err)) {
        fuzz_require(hob.len >= 56 + 48 && hob.len % 48 == 56 % 48, "whole blocks");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_sha384 mrtd;
    const struct cvm_bytes firmware = { data, size };
    if (!fuzz_accepted(cvm_tdvf_parse(firmware, &tdvf, &err), &err)) {
        return 0;
    }
    check_ranges(&tdvf);
    if (check_sections(&tdvf, size) <= MAX_HASHED) {
        fuzz_require(mrtd_compute(firmware, &tdvf, CVM_PAGES_SINGLE_PASS, &mrtd, &err) &&
                         mrtd_compute(firmware, &tdvf, CVM_PAGES_TWO_PASS, &mrtd, &err),
                     "can be measured");
    }
    return 0;
}
