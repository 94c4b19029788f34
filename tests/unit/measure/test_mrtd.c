/*
 * The expected values are those of mrtd_reference.py in this directory, a second
 * implementation from the specification that shares nothing with measure/. To see them again:
 *
 *     tests/unit/measure/mrtd_reference.py
 *     tests/unit/measure/mrtd_reference.py /usr/share/ovmf/OVMF.fd
 */
#include "measure/mrtd.h"

#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

enum { MAX_FIRMWARE = 64 << 20 };

struct known {
    const char *file; /* SHA-256, so that a sample built otherwise is seen as such */
    const char *single_pass;
    const char *two_pass;
};

static void assert_file(const struct cvm_buf *firmware, const char *sha256)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    must(cvm_sha256(firmware->data, firmware->len, &digest, &err), &err);
    assert_hex(digest.bytes, sizeof digest.bytes, sha256);
}

static void assert_mrtd(const struct cvm_buf *firmware, const struct known *want)
{
    struct cvm_error err = { 0 };
    struct cvm_tdvf tdvf;
    struct cvm_sha384 mrtd;
    uint8_t *exact = exact_copy(firmware->data, firmware->len);
    const struct cvm_bytes file = { exact, firmware->len };
    must(cvm_tdvf_parse(file, &tdvf, &err), &err);
    must(mrtd_compute(file, &tdvf, CVM_PAGES_SINGLE_PASS, &mrtd, &err), &err);
    assert_hex(mrtd.bytes, sizeof mrtd.bytes, want->single_pass);
    must(mrtd_compute(file, &tdvf, CVM_PAGES_TWO_PASS, &mrtd, &err), &err);
    assert_hex(mrtd.bytes, sizeof mrtd.bytes, want->two_pass);
    free(exact);
}

static void check(const struct firmware_sample *sample, const struct known *want)
{
    struct cvm_buf firmware = firmware_build(sample);
    assert_file(&firmware, want->file);
    assert_mrtd(&firmware, want);
    cvm_buf_free(&firmware);
}

static void plain(void **state)
{
    (void)state;
    static const struct known want = {
        "80ecc562242e3b9ff3f78ac253379d1154d3780b8d26b24668b9d64cb41e4153",
        "6131ad76aaeaf1dcf52c2a67f178a0120b0dd9ccd471d01ca3db6f94f7496d7e22cd17f249857ba01294700fb5b95e08",
        "3624eee3bc1bcb2bf7e43a20c2353254a6b50e3607c9a11b2bc0f179e0217395edc3e72c37248cf89334f0c1555094d6",
    };
    check(&firmware_plain, &want);
}

/* Memory without data counts as zeros. */
static void everything_extended(void **state)
{
    (void)state;
    static const struct firmware_sample sample = {
        .size = 0x5000,
        .num_sections = 4,
        .sections = {
            { 0x2000, 0x3000, 0xffffd000, 0x3000, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
            { 0, 0x2000, 0xffffb000, 0x2000, CVM_TDVF_CFV, CVM_TDVF_MR_EXTEND },
            { 0, 0, 0x809000, 0x2000, CVM_TDVF_TD_HOB, CVM_TDVF_MR_EXTEND },
            { 0, 0, 0x80b000, 0x3000, CVM_TDVF_TEMP_MEM, CVM_TDVF_MR_EXTEND },
        },
    };
    static const struct known want = {
        "84cb8dbe4931e778810bba1a9ec59bc573cec93b9eee3fd51aeea8ab59d83b0a",
        "da31e17c056b8542e6072c9d2a0ba8a1a871acf921332787a0a2999fd48c9d413cc414b9b2e9d5ccc483a6b816d7543a",
        "6db2dbfdd03a7e5268cccc52553deaa11cb9319c1cf45c994a10a0e94280197f523c3be89308091a223080a7e802ce12",
    };
    check(&sample, &want);
}

static void pages_added_later(void **state)
{
    (void)state;
    static const struct firmware_sample sample = {
        .size = 0x3000,
        .num_sections = 4,
        .sections = {
            { 0, 0, 0x100000000, 0x2000, CVM_TDVF_TEMP_MEM, CVM_TDVF_PAGE_AUG },
            { 0, 0x1000, 0xffffc000, 0x1000, CVM_TDVF_CFV, CVM_TDVF_PAGE_AUG },
            { 0x1000, 0x2000, 0xffffe000, 0x2000, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
            { 0, 0, 0x809000, 0x1000, CVM_TDVF_TD_HOB, 0 },
        },
    };
    static const struct known want = {
        "39edc153462055d5a75272d06a1afd734895753f3f77afd3caaad5364a091a1f",
        "3416edbda550c43ea145c7c48273e4b102a33ef49419f759e9307a320ea787e7950b8cc22a5f2523d4b1eb184e329c2e",
        "ce55a00c015f6ff4cc5d76064238fdf9851c4db51719d3d1bcb0f8c4970b407f560caef44b0e47dc1f72adf024ead7bf",
    };
    check(&sample, &want);
}

/* Where no section has a second page the two orders are the same. */
static void one_page_each(void **state)
{
    (void)state;
    static const struct firmware_sample sample = {
        .size = 0x2000,
        .num_sections = 4,
        .sections = {
            { 0x1000, 0x1000, 0xfffff000, 0x1000, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
            { 0, 0x1000, 0xffffe000, 0x1000, CVM_TDVF_CFV, CVM_TDVF_MR_EXTEND },
            { 0, 0, 0x123456789000, 0x1000, CVM_TDVF_TEMP_MEM, CVM_TDVF_MR_EXTEND },
            { 0, 0, 0x809000, 0x1000, CVM_TDVF_TD_HOB, 0 },
        },
    };
    static const struct known want = {
        "da0664bca930afae921e4ec20f8aa0877ff9f1bb97c832107b92d563f97bdc7b",
        "158f251491d04deee5cd48313260d82536dfb9f8bc5295993e2f4dffa07d9cf3193a654ec3feefe1b2d5d70859011700",
        "158f251491d04deee5cd48313260d82536dfb9f8bc5295993e2f4dffa07d9cf3193a654ec3feefe1b2d5d70859011700",
    };
    check(&sample, &want);
}

/* Only the build of Debian's package that the reference was run on. */
static void debian_firmware(void **state)
{
    (void)state;
    static const struct known want = {
        "7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773", /* 2022.11-6+deb12u2 */
        "4c7206f0f483c524f12c366c711e9049030a8d47c471ee5aa9c4999a08de4057fb887fed0744d5631a212967fb231c47",
        "acccbcc870a381adab0d3919d90a7f268ac3b0364771f202ed4bb4e892d045b33db3b32e6924cba830a724eed443f7e1",
    };
    struct cvm_error err = { 0 };
    struct cvm_sha256 digest;
    struct cvm_buf file = { 0 };
    char hex[2 * sizeof digest.bytes + 1] = "";
    if (cvm_file_load("/usr/share/ovmf/OVMF.fd", MAX_FIRMWARE, &file, &err)) {
        must(cvm_sha256(file.data, file.len, &digest, &err), &err);
        cvm_hex_encode(digest.bytes, sizeof digest.bytes, hex);
    }
    if (strcmp(hex, want.file) != 0) {
        cvm_buf_free(&file);
        print_message("not checked: another build of OVMF.fd, or none\n");
        skip();
    }
    assert_mrtd(&file, &want);
    cvm_buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(everything_extended),
        cmocka_unit_test(pages_added_later),
        cmocka_unit_test(one_page_each),
        cmocka_unit_test(debian_firmware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
