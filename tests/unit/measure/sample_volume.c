#include "tests/unit/measure/sample_volume.h"

#include "measure/base/guid.h"
#include "tests/support/check.h"
#include "tests/unit/measure/samples.h"

#include <lzma.h>

static void fill_up(struct cvm_buf *b, size_t size)
{
    assert_true(b->len <= size);
    while (b->len < size) {
        cvm_put_u8(b, 0xff);
    }
}

struct cvm_buf volume_build(const char *file_system, const char *name, const struct cvm_buf *files,
                            size_t size)
{
    struct cvm_buf b = { 0 };
    cvm_put_zeros(&b, 16);
    cvm_put_guid(&b, file_system);
    cvm_put_le(&b, size, 8);
    cvm_put_text(&b, "_FVH");
    cvm_put_le(&b, 0x4feff, 4);                 /* attributes: erased is 1 */
    cvm_put_le(&b, 0x48, 2);                    /* header length */
    cvm_put_le(&b, 0, 2);                       /* checksum */
    cvm_put_le(&b, name == NULL ? 0 : 0x48, 2); /* extended header */
    cvm_put_le(&b, 0x0200, 2);                  /* reserved, revision */
    cvm_put_le(&b, size / 0x1000, 4);           /* block map */
    cvm_put_le(&b, 0x1000, 4);
    cvm_put_zeros(&b, 8);
    if (name != NULL) {
        cvm_put_guid(&b, name);
        cvm_put_le(&b, 20, 4);
        cvm_put_padding(&b, 8);
    }
    cvm_put_bytes(&b, files->data, files->len);
    fill_up(&b, size);
    assert_false(b.failed);
    return b;
}

void put_ffs_file(struct cvm_buf *files, const char *guid, uint8_t type, struct cvm_bytes contents)
{
    size_t size = 24 + contents.size;
    cvm_put_guid(files, guid);
    cvm_put_le(files, 0xaa00, 2); /* checksums */
    cvm_put_u8(files, type);
    cvm_put_u8(files, 0);
    cvm_put_le(files, size, 3);
    cvm_put_u8(files, 0xf8); /* state: data valid, in erase polarity 1 */
    cvm_put_bytes(files, contents.data, contents.size);
    while (files->len % 8 != 0) {
        cvm_put_u8(files, 0xff);
    }
}

void put_section_of(struct cvm_buf *sections, uint8_t type, struct cvm_bytes contents)
{
    cvm_put_padding(sections, 4);
    if (contents.size + 4 < 0xffffff) {
        cvm_put_le(sections, contents.size + 4, 3);
        cvm_put_u8(sections, type);
    } else {
        cvm_put_le(sections, 0xffffff, 3);
        cvm_put_u8(sections, type);
        cvm_put_le(sections, contents.size + 8, 4);
    }
    cvm_put_bytes(sections, contents.data, contents.size);
}

void put_guided_section(struct cvm_buf *sections, const char *guid, struct cvm_bytes contents)
{
    struct cvm_buf inside = { 0 };
    cvm_put_guid(&inside, guid);
    cvm_put_le(&inside, 24, 2);
    cvm_put_le(&inside, 1, 2); /* processing required */
    cvm_put_bytes(&inside, contents.data, contents.size);
    put_section_of(sections, 0x02, bytes_of(&inside));
    cvm_buf_free(&inside);
}

struct cvm_buf lzma_pack(struct cvm_bytes bytes, bool with_size)
{
    struct cvm_buf out = { 0 };
    uint8_t chunk[4096];
    lzma_options_lzma options;
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret ret = LZMA_OK;
    assert_false(lzma_lzma_preset(&options, 1));
    options.dict_size = 1 << 20;
    assert_int_equal(lzma_alone_encoder(&s, &options), LZMA_OK);
    s.next_in = bytes.data;
    s.avail_in = bytes.size;
    while (ret == LZMA_OK) {
        s.next_out = chunk;
        s.avail_out = sizeof chunk;
        ret = lzma_code(&s, LZMA_FINISH);
        cvm_put_bytes(&out, chunk, sizeof chunk - s.avail_out);
    }
    assert_int_equal(ret, LZMA_STREAM_END);
    lzma_end(&s);
    if (with_size) { /* the encoder never says; what marks the end is allowed all the same */
        cvm_buf_patch_le(&out, 5, bytes.size, 8);
    }
    return out;
}

static void put_driver(struct cvm_buf *files, bool present, const char *guid)
{
    const uint8_t code[5] = { 0x4d, 0x5a, 1, 2, 3 };
    if (present) {
        put_ffs_file(files, guid, 0x07, (struct cvm_bytes){ code, sizeof code });
    }
}

static struct cvm_buf build_dxefv(const struct cvm_firmware_features *f)
{
    struct cvm_buf files = { 0 };
    struct cvm_buf texts = { 0 };
    cvm_put_bytes(&texts, "QEMU FW CFG", f->fw_cfg ? 12 : 0);
    cvm_put_bytes(&texts, "ACPI DATA", f->acpi ? 10 : 0);
    cvm_put_bytes(&texts, "initrd=initrd ", f->cmdline_prefix ? 15 : 0);
    cvm_put_bytes(&texts, " initrd=initrd", f->cmdline_suffix ? 15 : 0);
    put_ffs_file(&files, "00112233-4455-6677-8899-aabbccddeeff", 0x07, bytes_of(&texts));
    put_driver(&files, f->secure_boot_config, "f0e6a44f-7195-41c3-ac64-54f202cd0a21");
    put_driver(&files, f->measures, "f062221e-c607-44c2-b0b4-c3886331d351");
    put_driver(&files, f->smbios, "d27fed59-abb4-4fed-bead-2a878c7e4a7e");
    put_driver(&files, f->ui_app, "462caa21-7614-4503-836e-8ab6f4662331");
    put_driver(&files, f->boot_manager_menu, "eec25bdc-67f2-4d95-b1d5-f81b2039d11d");
    struct cvm_buf volume = volume_build(SAMPLE_FFS2, SAMPLE_DXEFV, &files, 0x2000);
    cvm_buf_free(&texts);
    cvm_buf_free(&files);
    return volume;
}

/* FVMAIN_COMPACT: one file, in it one packed section, in that one volume. */
static struct cvm_buf build_compact(const struct cvm_firmware_features *features)
{
    struct cvm_buf inner = { 0 };
    struct cvm_buf outer = { 0 };
    struct cvm_buf files = { 0 };
    struct cvm_buf dxefv = build_dxefv(features);
    put_section_of(&inner, 0x17, bytes_of(&dxefv));
    struct cvm_buf packed = lzma_pack(bytes_of(&inner), true);
    put_guided_section(&outer, SAMPLE_LZMA, bytes_of(&packed));
    put_ffs_file(&files, "9e21fd93-9c72-4c15-8c4b-e77f1db2d792", 0x0b, bytes_of(&outer));
    struct cvm_buf volume =
        volume_build(SAMPLE_FFS2, "48db5e17-707c-472d-91cd-1613e7ef51b0", &files, 0x2000);
    cvm_buf_free(&dxefv);
    cvm_buf_free(&inner);
    cvm_buf_free(&packed);
    cvm_buf_free(&outer);
    cvm_buf_free(&files);
    return volume;
}

struct cvm_buf firmware_build_volumes(const struct cvm_firmware_features *features,
                                      struct cvm_bytes store)
{
    enum { CODE = 0x4000 };
    uint32_t cfv = (uint32_t)store.size;
    const struct firmware_sample sample = {
        .size = cfv + CODE,
        .num_sections = 6,
        .sections = {
            { cfv, CODE, 0xffffc000, CODE, CVM_TDVF_BFV, CVM_TDVF_MR_EXTEND },
            { 0, cfv, 0xffffc000 - cfv, cfv, CVM_TDVF_CFV, 0 },
            { 0, 0, 0x810000, 0x10000, CVM_TDVF_TEMP_MEM, 0 },
            { 0, 0, 0x80b000, 0x2000, CVM_TDVF_TEMP_MEM, 0 },
            { 0, 0, 0x809000, 0x2000, CVM_TDVF_TD_HOB, 0 },
            { 0, 0, 0x800000, 0x6000, CVM_TDVF_TEMP_MEM, 0 },
        },
    };
    struct cvm_buf firmware = firmware_build(&sample);
    struct cvm_buf volume = build_compact(features);
    memcpy(firmware.data, store.data, store.size);
    memcpy(firmware.data + cfv, volume.data, volume.len);
    cvm_buf_free(&volume);
    return firmware;
}

/* --- variable stores --- */

static void put_variable(struct cvm_buf *b, bool authenticated, const struct sample_variable *v)
{
    cvm_put_padding(b, 4);
    cvm_put_le(b, 0x55aa, 2);
    cvm_put_u8(b, v->state);
    cvm_put_u8(b, 0);
    cvm_put_le(b, 0x27, 4);
    if (authenticated) {
        cvm_put_zeros(b, 8 + 16 + 4);
    }
    cvm_put_le(b, 2 * (strlen(v->name) + 1), 4);
    cvm_put_le(b, v->data.size, 4);
    cvm_put_guid(b, v->guid);
    cvm_put_utf16(b, v->name);
    cvm_put_le(b, 0, 2);
    cvm_put_bytes(b, v->data.data, v->data.size);
}

struct cvm_buf store_build(bool authenticated, const struct sample_variable *variables,
                           size_t count, size_t size)
{
    struct cvm_buf nothing = { 0 };
    struct cvm_buf b = { 0 };
    struct cvm_buf volume = volume_build(SAMPLE_NV, NULL, &nothing, size);
    cvm_put_guid(&b, authenticated ? "aaf32c78-947b-439a-a180-2e144ec37792"
                                   : "ddcf3616-3275-4164-98b6-fe85707ffe7d");
    cvm_put_le(&b, size - 0x48, 4);
    cvm_put_u8(&b, 0x5a);
    cvm_put_u8(&b, 0xfe);
    cvm_put_zeros(&b, 6);
    for (size_t i = 0; i < count; i++) {
        put_variable(&b, authenticated, &variables[i]);
    }
    assert_true(!b.failed && b.len <= size - 0x48);
    memcpy(volume.data + 0x48, b.data, b.len);
    cvm_buf_free(&b);
    return volume;
}
