#include "measure/variable_store.h"

#include "measure/base/hash.h"
#include "tests/support/check.h"
#include "tests/unit/measure/sample_volume.h"
#include "tests/unit/measure/samples.h"

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SECURITY "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define ENABLE "f0a30bc7-af08-4556-99c4-001009c93a44"
#define DATA(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

enum { ADDED = 0x3f, IN_DELETION = 0x3e, DELETED = 0x3c, SIZE = 0x2000, BASE = 0x5000 };

static struct cvm_firmware_variables measure(const struct cvm_buf *section)
{
    struct cvm_error err = { 0 };
    struct cvm_firmware_variables v;
    must(variable_store_measure(bytes_of(section), BASE, &v, &err), &err);
    return v;
}

static struct cvm_firmware_variables
measure_variables(bool authenticated, const struct sample_variable *variables, size_t count)
{
    struct cvm_buf section = store_build(authenticated, variables, count, SIZE);
    struct cvm_firmware_variables v = measure(&section);
    cvm_buf_free(&section);
    return v;
}

#define MEASURE(authenticated, ...)                                                                \
    measure_variables(authenticated, (const struct sample_variable[]){ __VA_ARGS__ },              \
                      sizeof((const struct sample_variable[]){ __VA_ARGS__ }) /                    \
                          sizeof(struct sample_variable))

static void assert_refused(const struct cvm_buf *section, enum cvm_error_code code,
                           const char *message)
{
    struct cvm_error err = { 0 };
    struct cvm_firmware_variables v;
    assert_false(variable_store_measure(bytes_of(section), BASE, &v, &err));
    assert_error(&err, code, message);
}

static void empty_stores(void **state)
{
    (void)state;
    for (int authenticated = 0; authenticated < 2; authenticated++) {
        struct cvm_buf section = store_build(authenticated == 1, NULL, 0, SIZE);
        const struct cvm_firmware_variables v = measure(&section);
        assert_int_equal(v.format, authenticated ? CVM_STORE_AUTHENTICATED : CVM_STORE_PLAIN);
        assert_int_equal(v.store_size, SIZE - 0x48);
        assert_int_equal(v.num_live, 0);
        assert_false(v.secure_boot || v.boot_options || v.pk.present || v.dbx.present);
        /* the digests of variables without data, as TDX hardware logged them */
        assert_hex(
            v.pk.digest.bytes, 48,
            "6f2e3cbc14f9def86980f5f66fd85e99d63e69a73014ed8a5633ce56eca5b64b692108c56110e22acadcef58c3250f1b");
        assert_hex(
            v.dbx.digest.bytes, 48,
            "18cc6e01f0c6ea99aa23f8a280423e94ad81d96d0aeb5180504fc0f7a40cb3619dd39bd6a95ec1680a86ed6ab0f9828d");
        cvm_buf_free(&section);
    }
}

/* GUID, u64 length of the name, u64 length of the data, name, data */
static void a_variable_with_data(void **state)
{
    (void)state;
    static const uint8_t event[] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc,
                                     0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f, 2,    0,    0,    0,
                                     0,    0,    0,    0,    3,    0,    0,    0,    0,    0,
                                     0,    0,    'd',  0,    'b',  0,    'k',  'e',  'y' };
    for (int authenticated = 0; authenticated < 2; authenticated++) {
        struct cvm_error err = { 0 };
        struct cvm_sha384 want;
        const struct cvm_firmware_variables v =
            MEASURE(authenticated == 1, { DELETED, SECURITY, "db", DATA("old one") },
                    { ADDED, GLOBAL, "db", DATA("another vendor's") },
                    { ADDED, SECURITY, "dbt", DATA("another name") },
                    { ADDED, SECURITY, "db", DATA("key") });
        must(cvm_sha384(event, sizeof event, &want, &err), &err);
        assert_true(v.db.present);
        assert_int_equal(v.db.size, 3);
        assert_bytes(v.db.digest.bytes, 48, want.bytes, 48);
        assert_false(v.dbx.present);
        assert_int_equal(v.num_live, 3);
    }
}

static void assert_db_size(struct cvm_firmware_variables v, uint32_t size)
{
    assert_int_equal(v.db.size, size);
}

/* A variable that is being replaced stays until its successor is there. */
static void which_one_is_live(void **state)
{
    (void)state;
    assert_db_size(MEASURE(true, { IN_DELETION, SECURITY, "db", DATA("1") }), 1);
    assert_db_size(MEASURE(true, { IN_DELETION, SECURITY, "db", DATA("1") },
                           { ADDED, SECURITY, "db", DATA("22") }),
                   2);
    assert_db_size(MEASURE(true, { ADDED, SECURITY, "db", DATA("22") },
                           { IN_DELETION, SECURITY, "db", DATA("1") }),
                   2);
    assert_db_size(MEASURE(true, { IN_DELETION, SECURITY, "db", DATA("1") },
                           { IN_DELETION, SECURITY, "db", DATA("333") }),
                   3);
    assert_db_size(MEASURE(true, { ADDED, SECURITY, "db", DATA("22") },
                           { ADDED, SECURITY, "db", DATA("333") }),
                   2);
    assert_db_size(MEASURE(true, { DELETED, SECURITY, "db", DATA("1") }), 0);
    assert_db_size(MEASURE(true, { 0x7f, SECURITY, "db", DATA("1") }), 0);
    assert_db_size(MEASURE(true, { 0xff, SECURITY, "db", DATA("") }), 0);
}

static void state_of_secure_boot(void **state)
{
    (void)state;
    const struct sample_variable pk = { ADDED, GLOBAL, "PK", DATA("platform key") };
    assert_true(MEASURE(true, pk).secure_boot);
    assert_true(MEASURE(true, pk, { ADDED, ENABLE, "SecureBootEnable", DATA("\1") }).secure_boot);
    assert_false(MEASURE(true, pk, { ADDED, ENABLE, "SecureBootEnable", DATA("\0") }).secure_boot);
    assert_false(MEASURE(true, { ADDED, ENABLE, "SecureBootEnable", DATA("\1") }).secure_boot);
    assert_true(MEASURE(true, pk, { ADDED, GLOBAL, "SecureBootEnable", DATA("\0") }).secure_boot);
}

static void boot_options_are_noticed(void **state)
{
    (void)state;
    assert_true(MEASURE(true, { ADDED, GLOBAL, "BootOrder", DATA("\0\0") }).boot_options);
    assert_true(MEASURE(true, { ADDED, GLOBAL, "Boot00AF", DATA("\0\0") }).boot_options);
    assert_false(MEASURE(true, { DELETED, GLOBAL, "Boot0000", DATA("\0\0") }).boot_options);
    assert_false(MEASURE(true, { ADDED, GLOBAL, "BootNext", DATA("\0\0") }).boot_options);
    assert_false(MEASURE(true, { ADDED, GLOBAL, "Boot00", DATA("\0\0") }).boot_options);
    assert_false(MEASURE(true, { ADDED, SECURITY, "Boot0000", DATA("\0\0") }).boot_options);
}

static void what_is_no_store(void **state)
{
    (void)state;
    struct cvm_buf noise = sample_fill(SIZE);
    const struct cvm_firmware_variables v = measure(&noise);
    assert_int_equal(v.format, CVM_STORE_NONE);
    assert_false(v.pk.present);
    struct cvm_buf other = volume_build(SAMPLE_FFS2, NULL, &(struct cvm_buf){ 0 }, SIZE);
    assert_int_equal(measure(&other).format, CVM_STORE_NONE);
    cvm_buf_free(&other);
    cvm_buf_free(&noise);
}

static void bad_headers(void **state)
{
    (void)state;
    struct cvm_buf s = store_build(true, NULL, 0, SIZE);
    cvm_buf_patch_le(&s, STORE_STATE_AT, 0x00, 1);
    assert_refused(&s, CVM_ERR_MALFORMED,
                   "variable store at offset 0x5048: format 0x5a, state 0x00, and not");
    cvm_buf_patch_le(&s, STORE_STATE_AT, 0xfe, 1);
    cvm_buf_patch_le(&s, STORE_FORMAT_AT, 0xff, 1);
    assert_refused(&s, CVM_ERR_MALFORMED, "format 0xff, state 0xfe");
    cvm_buf_patch_le(&s, STORE_FORMAT_AT, 0x5a, 1);
    cvm_buf_patch_le(&s, STORE_SIZE_AT, SIZE - 0x47, 4);
    assert_refused(&s, CVM_ERR_MALFORMED, "size 8121, between 28 and the volume's 8120");
    cvm_buf_patch_le(&s, STORE_SIZE_AT, 27, 4);
    assert_refused(&s, CVM_ERR_MALFORMED, "size 27, between 28");
    cvm_buf_patch_le(&s, STORE_SIZE_AT, 28, 4);
    assert_int_equal(measure(&s).num_live, 0);
    cvm_buf_patch_le(&s, 0x48, 0, 4);
    assert_refused(&s, CVM_ERR_UNSUPPORTED, "neither authenticated nor plain");
    cvm_buf_patch_le(&s, VOLUME_LENGTH, SIZE + 1, 8);
    assert_refused(&s, CVM_ERR_MALFORMED, "firmware volume at offset 0x5000: length 0x2001");
    cvm_buf_patch_le(&s, VOLUME_LENGTH, SIZE, 8);
    cvm_buf_patch_le(&s, VOLUME_HEADER_LENGTH, 0x4a, 2);
    assert_refused(&s, CVM_ERR_MALFORMED, "is not aligned to 4");
    cvm_buf_free(&s);
}

static void sizes_past_the_store(void **state)
{
    (void)state;
    enum { NAME_SIZE = STORE_FIRST + 36, DATA_SIZE = NAME_SIZE + 4 };
    const struct sample_variable v = { ADDED, SECURITY, "db", DATA("key") };
    struct cvm_buf s = store_build(true, &v, 1, SIZE);
    cvm_buf_patch_le(&s, DATA_SIZE, SIZE - STORE_FIRST - 60 - 5, 4);
    assert_refused(&s, CVM_ERR_MALFORMED,
                   "variable at offset 0x5064: a name of 6 bytes and data of 8027 run past the "
                   "store, which has 8032 left");
    cvm_buf_patch_le(&s, DATA_SIZE, UINT32_MAX, 4);
    assert_refused(&s, CVM_ERR_MALFORMED, "data of 4294967295 run past the store");
    cvm_buf_patch_le(&s, DATA_SIZE, 3, 4);
    cvm_buf_patch_le(&s, NAME_SIZE, UINT32_MAX - 2, 4);
    assert_refused(&s, CVM_ERR_MALFORMED, "a name of 4294967293 bytes");
    cvm_buf_patch_le(&s, STORE_FIRST + 2, DELETED, 1); /* also where nobody looks at it any more */
    assert_refused(&s, CVM_ERR_MALFORMED, "a name of 4294967293 bytes");
    cvm_buf_patch_le(&s, NAME_SIZE, UINT32_MAX, 4); /* but sizes that never were written are none */
    assert_int_equal(measure(&s).num_live, 0);
    cvm_buf_patch_le(&s, STORE_SIZE_AT, 28 + 30, 4);
    assert_refused(&s, CVM_ERR_MALFORMED, "variable's header: needs 28 bytes");
    cvm_buf_free(&s);
}

static void ten_thousand_variables(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct sample_variable *variables = malloc(COUNT * sizeof *variables);
    assert_non_null(variables);
    for (size_t i = 0; i < COUNT; i++) {
        variables[i] = (struct sample_variable){ ADDED, GLOBAL, "V", { NULL, 0 } };
    }
    struct cvm_buf s = store_build(true, variables, COUNT, 0xa0000);
    assert_refused(&s, CVM_ERR_MALFORMED, "variable store: more than 4096 variables");
    cvm_buf_free(&s);
    s = store_build(true, variables, VARIABLE_STORE_MAX, 0xa0000);
    assert_int_equal(measure(&s).num_live, VARIABLE_STORE_MAX);
    cvm_buf_free(&s);
    free(variables);
}

/* A store that ends anywhere is read without a byte behind it. */
static void short_input_at_every_length(void **state)
{
    (void)state;
    const struct sample_variable variables[] = {
        { ADDED, SECURITY, "db", DATA("key") },
        { ADDED, GLOBAL, "PK", DATA("platform key") },
    };
    struct cvm_buf s = store_build(true, variables, 2, 0x200);
    for (size_t n = 0; n < s.len; n++) {
        struct cvm_error err = { 0 };
        struct cvm_firmware_variables v;
        uint8_t *copy = exact_copy(s.data, n);
        bool ok = variable_store_measure((struct cvm_bytes){ copy, n }, BASE, &v, &err);
        assert_int_equal(ok, n < 56); /* no volume is begun */
        free(copy);
        if (n < STORE_FIRST) {
            continue;
        }
        copy = exact_copy(s.data, n); /* volume and store are made to end there */
        copy[VOLUME_LENGTH] = (uint8_t)n;
        copy[VOLUME_LENGTH + 1] = (uint8_t)(n >> 8);
        copy[STORE_SIZE_AT] = (uint8_t)(n - 0x48);
        copy[STORE_SIZE_AT + 1] = (uint8_t)((n - 0x48) >> 8);
        err.code = CVM_OK;
        ok = variable_store_measure((struct cvm_bytes){ copy, n }, BASE, &v, &err);
        assert_true(ok || err.code == CVM_ERR_MALFORMED);
        free(copy);
    }
    cvm_buf_free(&s);
}

static struct cvm_buf failing;

static bool measure_failing(struct cvm_error *err)
{
    struct cvm_firmware_variables v;
    return variable_store_measure(bytes_of(&failing), BASE, &v, err);
}

static void out_of_memory(void **state)
{
    (void)state;
    failing = store_build(true, NULL, 0, SIZE);
    assert_true(fail_each_allocation(measure_failing) > 3);
    cvm_buf_free(&failing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_stores),
        cmocka_unit_test(a_variable_with_data),
        cmocka_unit_test(which_one_is_live),
        cmocka_unit_test(state_of_secure_boot),
        cmocka_unit_test(boot_options_are_noticed),
        cmocka_unit_test(what_is_no_store),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(sizes_past_the_store),
        cmocka_unit_test(ten_thousand_variables),
        cmocka_unit_test(short_input_at_every_length),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
