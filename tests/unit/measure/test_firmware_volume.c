#include "measure/firmware_volume.h"

#include "tests/support/check.h"
#include "tests/unit/measure/sample_volume.h"
#include "tests/unit/measure/samples.h"

#define A "11111111-1111-1111-1111-111111111111"
#define B "22222222-2222-2222-2222-222222222222"
#define C "33333333-3333-3333-3333-333333333333"

enum { MAX_SEEN = 16 };

/* What a walk met. */
struct seen {
    uint32_t num_files;
    struct {
        struct cvm_guid name, volume;
        bool has_volume;
        size_t size;
    } files[MAX_SEEN];
    uint32_t num_unknown;
    uint32_t num_unpacked;
};

static void see_file(void *data, const struct fv_file *file)
{
    struct seen *s = data;
    assert_true(s->num_files < MAX_SEEN);
    s->files[s->num_files].name = file->name;
    s->files[s->num_files].has_volume = file->volume != NULL;
    if (file->volume != NULL) {
        s->files[s->num_files].volume = *file->volume;
    }
    s->files[s->num_files].size = file->contents.size;
    s->num_files++;
}

static void see_unpacked(void *data, struct cvm_bytes bytes)
{
    struct seen *s = data;
    assert_true(bytes.size != 0);
    s->num_unpacked++;
}

static void see_unknown(void *data, const struct cvm_guid *method)
{
    struct seen *s = data;
    assert_true(cvm_guid_is(method->bytes, C));
    s->num_unknown++;
}

static bool walk(struct cvm_bytes region, struct seen *seen, struct fv_visitor *visitor,
                 struct cvm_error *err)
{
    *seen = (struct seen){ .num_files = 0 };
    *visitor = (struct fv_visitor){
        .data = seen,
        .on_file = see_file,
        .on_unpacked = see_unpacked,
        .on_unknown_packing = see_unknown,
    };
    return fv_walk(region, 0x10000, visitor, err);
}

static void assert_refused(const struct cvm_buf *region, const char *message)
{
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    assert_false(walk(bytes_of(region), &seen, &visitor, &err));
    assert_error(&err, CVM_ERR_MALFORMED, message);
}

/* Files of 24, 25 and 32 bytes: a volume of them. */
static struct cvm_buf build_plain(const char *name)
{
    struct cvm_buf files = { 0 };
    const uint8_t bytes[8] = { 0 };
    put_ffs_file(&files, A, 0x07, (struct cvm_bytes){ NULL, 0 });
    put_ffs_file(&files, B, 0x02, (struct cvm_bytes){ bytes, 1 });
    put_ffs_file(&files, C, 0x0b, (struct cvm_bytes){ bytes, 0 });
    struct cvm_buf volume = volume_build(SAMPLE_FFS2, name, &files, 0x1000);
    cvm_buf_free(&files);
    return volume;
}

static void files_of_a_volume(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf volume = build_plain(SAMPLE_DXEFV);
    must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
    assert_int_equal(visitor.num_volumes, 1);
    assert_int_equal(visitor.num_files, 3);
    assert_int_equal(seen.num_files, 3);
    assert_true(cvm_guid_is(seen.files[0].name.bytes, A));
    assert_true(cvm_guid_is(seen.files[2].name.bytes, C));
    assert_int_equal(seen.files[1].size, 1);
    assert_true(cvm_guid_is(seen.files[1].volume.bytes, SAMPLE_DXEFV));
    cvm_buf_free(&volume);
    volume = build_plain(NULL);
    must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
    assert_int_equal(seen.num_files, 3);
    assert_false(seen.files[0].has_volume);
    cvm_buf_free(&volume);
}

/* What is no volume is passed over, in steps of 4096; a volume of variables has no files. */
static void volumes_of_a_region(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf region = sample_fill(0x3000);
    struct cvm_buf volume = build_plain(SAMPLE_DXEFV);
    struct cvm_buf store = store_build(true, NULL, 0, 0x1000);
    cvm_put_bytes(&region, volume.data, volume.len);
    cvm_put_bytes(&region, store.data, store.len);
    cvm_put_bytes(&region, volume.data, volume.len);
    must(walk(bytes_of(&region), &seen, &visitor, &err), &err);
    assert_int_equal(visitor.num_volumes, 3);
    assert_int_equal(seen.num_files, 6);
    cvm_buf_free(&region);
    cvm_buf_free(&volume);
    cvm_buf_free(&store);
}

/* Deleted files and padding are there, but not for the firmware; state bits are inverted. */
static void files_that_do_not_count(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf volume = build_plain(SAMPLE_DXEFV);
    volume.data[VOLUME_FILES + FILE_STATE] = 0xe8; /* deleted */
    volume.data[VOLUME_FILES + 24 + 18] = 0xf0;    /* padding */
    must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
    assert_int_equal(visitor.num_files, 3);
    assert_int_equal(seen.num_files, 1);
    assert_true(cvm_guid_is(seen.files[0].name.bytes, C));
    cvm_buf_free(&volume);
}

/* --- sections --- */

/* A volume with one file of this type, which holds these sections. */
static struct cvm_buf wrap(const struct cvm_buf *sections)
{
    struct cvm_buf files = { 0 };
    put_ffs_file(&files, A, 0x0b, bytes_of(sections));
    size_t size = (0x60 + files.len + 0x1000) & ~(size_t)0xfff;
    struct cvm_buf volume = volume_build(SAMPLE_FFS2, NULL, &files, size);
    cvm_buf_free(&files);
    return volume;
}

static struct cvm_buf packed_in(const struct cvm_buf *volume)
{
    struct cvm_buf inner = { 0 };
    struct cvm_buf outer = { 0 };
    put_section_of(&inner, 0x19, (struct cvm_bytes){ (const uint8_t *)"raw", 3 });
    put_section_of(&inner, 0x17, bytes_of(volume));
    struct cvm_buf stream = lzma_pack(bytes_of(&inner), true);
    put_guided_section(&outer, SAMPLE_LZMA, bytes_of(&stream));
    struct cvm_buf out = wrap(&outer);
    cvm_buf_free(&inner);
    cvm_buf_free(&outer);
    cvm_buf_free(&stream);
    return out;
}

static void volumes_in_packed_sections(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf plain = build_plain(SAMPLE_DXEFV);
    struct cvm_buf once = packed_in(&plain);
    struct cvm_buf twice = packed_in(&once);
    must(walk(bytes_of(&twice), &seen, &visitor, &err), &err);
    assert_int_equal(visitor.num_volumes, 1);
    assert_int_equal(visitor.num_files, 5);
    assert_int_equal(seen.num_unpacked, 2);
    assert_true(visitor.unpacked > plain.len + once.len);
    assert_true(cvm_guid_is(seen.files[2].volume.bytes, SAMPLE_DXEFV));
    cvm_buf_free(&plain);
    cvm_buf_free(&once);
    cvm_buf_free(&twice);
}

/* Deeper than any real build: the walk must end, and not on a full stack. */
static void nested_too_deep(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf volume = build_plain(NULL);
    for (int depth = 1; depth <= 9; depth++) {
        struct cvm_buf sections = { 0 };
        put_section_of(&sections, 0x17, bytes_of(&volume));
        cvm_buf_free(&volume);
        volume = wrap(&sections);
        cvm_buf_free(&sections);
        if (depth <= FV_MAX_DEPTH) {
            must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
        } else {
            assert_refused(&volume, "in each other more than 8 deep");
        }
    }
    cvm_buf_free(&volume);
}

static void other_packings(void **state)
{
    (void)state;
    struct cvm_error err = { 0 };
    struct seen seen;
    struct fv_visitor visitor;
    struct cvm_buf plain = build_plain(SAMPLE_DXEFV);
    struct cvm_buf inside = { 0 };
    struct cvm_buf sections = { 0 };
    put_section_of(&inside, 0x17, bytes_of(&plain));
    put_guided_section(&sections, C, bytes_of(&inside));
    struct cvm_buf volume = wrap(&sections);
    must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
    assert_int_equal(seen.num_unknown, 1);
    assert_int_equal(seen.num_files, 1);
    volume.data[0x48 + 24 + 4 + 18] = 0; /* no processing required: to be read as it is */
    must(walk(bytes_of(&volume), &seen, &visitor, &err), &err);
    assert_int_equal(seen.num_unknown, 0);
    assert_int_equal(seen.num_files, 4);
    cvm_buf_free(&plain);
    cvm_buf_free(&inside);
    cvm_buf_free(&sections);
    cvm_buf_free(&volume);
}

/* 40 MiB twice is more than 64, in two sections as in one. */
static void bombs(void **state)
{
    (void)state;
    struct cvm_buf zeros = { 0 };
    struct cvm_buf sections = { 0 };
    cvm_put_zeros(&zeros, 65 << 20);
    struct cvm_buf stream = lzma_pack(bytes_of(&zeros), false);
    put_guided_section(&sections, SAMPLE_LZMA, bytes_of(&stream));
    struct cvm_buf volume = wrap(&sections);
    assert_refused(&volume, "packed section at offset 0x10060: LZMA stream: unpacks to more than "
                            "67108864 bytes");
    cvm_buf_free(&stream);
    cvm_buf_free(&sections);
    cvm_buf_free(&volume);
    /* a pad section, so that the walk goes on behind it */
    zeros.len = 40 << 20;
    cvm_buf_patch_le(&zeros, 0, 0xffffff, 3);
    cvm_buf_patch_le(&zeros, 3, 0x19, 1);
    cvm_buf_patch_le(&zeros, 4, zeros.len, 4);
    stream = lzma_pack(bytes_of(&zeros), true);
    put_guided_section(&sections, SAMPLE_LZMA, bytes_of(&stream));
    put_guided_section(&sections, SAMPLE_LZMA, bytes_of(&stream));
    volume = wrap(&sections);
    assert_refused(&volume, "LZMA stream: unpacks to more than 25165824 bytes");
    cvm_buf_free(&zeros);
    cvm_buf_free(&stream);
    cvm_buf_free(&sections);
    cvm_buf_free(&volume);
}

/* --- what cannot be --- */

static void bad_volumes(void **state)
{
    (void)state;
    struct cvm_buf volume = build_plain(SAMPLE_DXEFV);
    cvm_buf_patch_le(&volume, VOLUME_LENGTH, 0x1001, 8);
    assert_refused(&volume, "firmware volume at offset 0x10000: length 0x1001 runs past the end, "
                            "0x1000 are left");
    cvm_buf_patch_le(&volume, VOLUME_LENGTH, UINT64_MAX, 8);
    assert_refused(&volume, "length 0xffffffffffffffff runs past the end");
    cvm_buf_patch_le(&volume, VOLUME_LENGTH, 0x40, 8);
    assert_refused(&volume, "header of 72 bytes in a volume of 0x40");
    cvm_buf_patch_le(&volume, VOLUME_LENGTH, 0x1000, 8);
    cvm_buf_patch_le(&volume, VOLUME_HEADER_LENGTH, 8, 2);
    assert_refused(&volume, "header of 8 bytes");
    cvm_buf_patch_le(&volume, VOLUME_HEADER_LENGTH, 0x48, 2);
    cvm_buf_patch_le(&volume, VOLUME_EXT_HEADER, 0x1001, 2);
    assert_refused(&volume, "extended volume header: lies past the end");
    cvm_buf_patch_le(&volume, VOLUME_EXT_HEADER, 0xffc, 2);
    assert_refused(&volume, "extended volume header: needs 16 bytes");
    cvm_buf_patch_le(&volume, VOLUME_EXT_HEADER, 0x48, 2);
    cvm_buf_patch_le(&volume, VOLUME_EXT_SIZE, 0xfb9, 4);
    assert_refused(&volume,
                   "extended header at 0x48 of its volume: 4025 bytes run past the volume");
    cvm_buf_patch_le(&volume, VOLUME_EXT_SIZE, 0xffffffff, 4);
    assert_refused(&volume, "4294967295 bytes run past the volume");
    cvm_buf_patch_le(&volume, VOLUME_EXT_SIZE, 0, 4);
    assert_refused(&volume, "extended header at 0x48 of its volume: 0 bytes");
    cvm_buf_free(&volume);
}

static void bad_files(void **state)
{
    (void)state;
    struct cvm_buf volume = build_plain(SAMPLE_DXEFV);
    cvm_buf_patch_le(&volume, VOLUME_FILES + FILE_SIZE, 0, 3);
    assert_refused(&volume, "FFS file at offset 0x10060: size 0, less than its header of 24");
    cvm_buf_patch_le(&volume, VOLUME_FILES + FILE_SIZE, 23, 3);
    assert_refused(&volume, "size 23, less than its header");
    cvm_buf_patch_le(&volume, VOLUME_FILES + FILE_SIZE, 0xfa1, 3);
    assert_refused(&volume, "FFS file at offset 0x10060: 4001 bytes run past its volume, which has "
                            "4000 left");
    cvm_buf_patch_le(&volume, VOLUME_FILES + FILE_ATTRIBUTES, 1, 1); /* size in the next 8 bytes */
    cvm_buf_patch_le(&volume, VOLUME_FILES + 24, UINT64_MAX, 8);
    assert_refused(&volume, "18446744073709551615 bytes run past its volume");
    cvm_buf_patch_le(&volume, VOLUME_FILES + 24, 31, 8);
    assert_refused(&volume, "size 31, less than its header of 32");
    cvm_buf_free(&volume);
}

static void bad_sections(void **state)
{
    (void)state;
    struct cvm_buf sections = { 0 };
    put_guided_section(&sections, SAMPLE_LZMA, (struct cvm_bytes){ (const uint8_t *)"x", 1 });
    struct cvm_buf volume = wrap(&sections);
    size_t at = 0x48 + 24;
    assert_refused(&volume, "packed section at offset 0x10060: LZMA stream header: needs 5 bytes");
    cvm_buf_patch_le(&volume, at, 3, 3);
    assert_refused(&volume, "section at offset 0x10060: 3 bytes, with a header of 4 and 25 left");
    cvm_buf_patch_le(&volume, at, 26, 3);
    assert_refused(&volume, "section at offset 0x10060: 26 bytes");
    cvm_buf_patch_le(&volume, at, 0xffffff, 3);
    assert_refused(&volume, "with a header of 8 and 25 left");
    cvm_buf_patch_le(&volume, at, 25, 3);
    cvm_buf_patch_le(&volume, at + 20, 23, 2);
    assert_refused(&volume, "GUIDed section at offset 0x10060: data at 23, between 24 and 25");
    cvm_buf_patch_le(&volume, at + 20, 26, 2);
    assert_refused(&volume, "data at 26, between 24 and 25");
    cvm_buf_patch_le(&volume, at, 10, 3);
    assert_refused(&volume, "GUIDed section: needs 16 bytes");
    cvm_buf_free(&sections);
    cvm_buf_free(&volume);
}

/* A region that ends anywhere: never a read behind it, and a volume that is cut is told. */
static void short_input_at_every_length(void **state)
{
    (void)state;
    struct cvm_buf plain = build_plain(SAMPLE_DXEFV);
    struct cvm_buf volume = packed_in(&plain);
    for (size_t n = 0; n < volume.len; n += n < 0x400 ? 1 : 61) {
        struct cvm_error err = { 0 };
        struct seen seen;
        struct fv_visitor visitor;
        uint8_t *copy = exact_copy(volume.data, n);
        bool ok = walk((struct cvm_bytes){ copy, n }, &seen, &visitor, &err);
        assert_int_equal(ok, n < 56); /* too short to begin a volume */
        if (!ok) {
            assert_error(&err, CVM_ERR_MALFORMED, "runs past the end");
        }
        free(copy);
    }
    /* the same with the volume made to end there */
    for (size_t n = 0x48; n < volume.len; n += n < 0x400 ? 1 : 61) {
        struct cvm_error err = { 0 };
        struct seen seen;
        struct fv_visitor visitor;
        uint8_t *copy = exact_copy(volume.data, n);
        for (size_t i = 0; i < 8; i++) {
            copy[VOLUME_LENGTH + i] = (uint8_t)((uint64_t)n >> (8 * i));
        }
        if (!walk((struct cvm_bytes){ copy, n }, &seen, &visitor, &err)) {
            assert_int_equal(err.code, CVM_ERR_MALFORMED);
        }
        free(copy);
    }
    cvm_buf_free(&plain);
    cvm_buf_free(&volume);
}

static struct cvm_buf failing;

static bool walk_failing(struct cvm_error *err)
{
    struct seen seen;
    struct fv_visitor visitor;
    return walk(bytes_of(&failing), &seen, &visitor, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    struct cvm_buf plain = build_plain(SAMPLE_DXEFV);
    failing = packed_in(&plain);
    assert_true(fail_each_allocation(walk_failing) > 2);
    cvm_buf_free(&failing);
    cvm_buf_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_volume),
        cmocka_unit_test(volumes_of_a_region),
        cmocka_unit_test(files_that_do_not_count),
        cmocka_unit_test(volumes_in_packed_sections),
        cmocka_unit_test(nested_too_deep),
        cmocka_unit_test(other_packings),
        cmocka_unit_test(bombs),
        cmocka_unit_test(bad_volumes),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(bad_sections),
        cmocka_unit_test(short_input_at_every_length),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
