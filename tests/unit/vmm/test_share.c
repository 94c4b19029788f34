#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "measure/base/base64.h"
#include "measure/base/hash.h"
#include "vmm/share.h"

#include <stdio.h>
#include <sys/stat.h>

#define VM_CONFIG "{\"spec_version\":1,\"image\":\"a\\\"b\"}"
/* The same within a JSON string. */
#define VM_CONFIG_QUOTED "{\\\"spec_version\\\":1,\\\"image\\\":\\\"a\\\\\\\"b\\\"}"

static void decode(const char *text, struct cvm_request *out)
{
    struct cvm_error err = { 0 };
    struct json_object *o = NULL;
    must(cvm_json_parse("it", (struct cvm_bytes){ (const uint8_t *)text, strlen(text) }, &o, &err),
         &err);
    must(cvm_request_decode(o, out, &err), &err);
}

/* A request with these keys beside the required ones. */
static void make_request(struct cvm_request *out, const char *app_compose, const char *more)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"name\":\"web\",\"image\":\"i\",\"vcpu\":1,\"memory\":\"2G\",\"disk_size\":\"1G\","
             "\"app_compose\":%s%s}",
             app_compose, more);
    decode(text, out);
}

static bool load(const struct cvm_request *request, const struct cvm_host *host,
                 struct cvm_share *out, struct cvm_error *err)
{
    struct cvm_launch_plan plan = CVM_LAUNCH_PLAN_NONE;
    plan.request = request;
    plan.host = host;
    *out = (struct cvm_share){ 0 };
    return cvm_share_load(&plan, VM_CONFIG, out, err);
}

static void assert_file(const struct place *p, const char *name, const char *want)
{
    cvm_autobuf struct cvm_buf text = place_read(p, name);
    assert_bytes(text.data, text.len - 1, want, strlen(want));
}

static void test_the_least(void **state)
{
    const struct place *p = *state;
    const struct cvm_host host = { 0 };
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    cvm_autoshare struct cvm_share s = { 0 };
    make_request(&r, "{\"a\": [1, 2],\"b\":\"x/y\"}", "");
    must(load(&r, &host, &s, &err), &err);
    must(cvm_share_write(&s, p->fd, &err), &err);
    assert_int_equal(place_count(p, "shared"), 2);
    assert_file(p, "shared/app-compose.json", "{\"a\":[1,2],\"b\":\"x/y\"}");
    assert_file(p, "shared/.sys-config.json",
                "{\"kms_urls\":[],\"gateway_urls\":[],\"pccs_url\":null,\"docker_registry\":null,"
                "\"vm_config\":\"" VM_CONFIG_QUOTED "\"}");
    assert_false(cvm_share_write(&s, p->fd, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "create directory 'shared'");
}

static void test_everything(void **state)
{
    static const char compose[] = "{\n  \"runner\" : \"docker-compose\" }\n\n"; /* kept as it is */
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    cvm_autorequest struct cvm_request urls = { 0 };
    cvm_autoshare struct cvm_share s = { 0 };
    struct cvm_sha256 want;
    char path[512];
    char more[1024];
    place_write_text(p, "compose", compose);
    place_write(p, "user", "a\0b\n", 4);
    place_write_text(p, "env", "secret");
    snprintf(path, sizeof path, "\"%s/compose\"", p->path);
    snprintf(more, sizeof more,
             ",\"user_config\":\"%s/user\",\"encrypted_env\":\"%s/env\",\"gateway_urls\":[\"g\"],"
             "\"app_id\":\"00112233445566778899aabbccddeeff00112233\"",
             p->path, p->path);
    make_request(&r, path, more);
    make_request(&urls, "{}", ",\"kms_urls\":[\"k1\",\"k2\"],\"gateway_urls\":[\"other\"]");
    const struct cvm_host host = {
        .kms_urls = urls.kms_urls,
        .gateway_urls = urls.gateway_urls, /* the request's own win */
        .pccs_url = "https://pccs",
        .docker_registry = "reg",
        .host_api_port = { true, 11000 },
    };
    must(load(&r, &host, &s, &err), &err);
    must(cvm_sha256(compose, sizeof compose - 1, &want, &err), &err);
    assert_bytes(s.compose_hash.bytes, 32, want.bytes, 32);
    must(cvm_share_write(&s, p->fd, &err), &err);
    assert_int_equal(place_count(p, "shared"), 5);
    assert_file(p, "shared/app-compose.json", compose);
    assert_file(p, "shared/.encrypted-env", "secret");
    assert_file(p, "shared/.instance_info",
                "{\"app_id\":\"00112233445566778899aabbccddeeff00112233\"}");
    assert_file(p, "shared/.sys-config.json",
                "{\"kms_urls\":[\"k1\",\"k2\"],\"gateway_urls\":[\"g\"],\"pccs_url\":"
                "\"https://pccs\",\"collateral_urls\":{\"pccs\":\"https://pccs\"},"
                "\"docker_registry\":\"reg\",\"host_api_url\":\"vsock://2:11000/api\","
                "\"vm_config\":\"" VM_CONFIG_QUOTED "\"}");
    cvm_autobuf struct cvm_buf user = place_read(p, "shared/.user-config");
    assert_bytes(user.data, user.len - 1, "a\0b\n", 4);
}

/* What a request gives as an object has the hash of the text that the guest reads. */
static void test_the_compose_hash_of_an_object(void **state)
{
    static const char written[] = "{\"name\":\"\xc3\xa9\",\"n\":1.50,\"u\":\"a/b\"}";
    const struct cvm_host host = { 0 };
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    cvm_autoshare struct cvm_share s = { 0 };
    struct cvm_sha256 want;
    (void)state;
    make_request(&r, "{ \"name\" : \"\\u00e9\", \"n\": 1.50, \"u\": \"a\\/b\" }", "");
    must(load(&r, &host, &s, &err), &err);
    assert_bytes(s.app_compose.data, s.app_compose.len, written, sizeof written - 1);
    must(cvm_sha256(written, sizeof written - 1, &want, &err), &err);
    assert_bytes(s.compose_hash.bytes, 32, want.bytes, 32);
}

static void test_files_that_cannot_be_read(void **state)
{
    static const struct {
        const char *app_compose, *more, *message;
    } bad[] = {
        { "\"/absent/compose\"", "", "app_compose: open '/absent/compose'" },
        { "{}", ",\"user_config\":\"/absent/u\"", "user_config: open '/absent/u'" },
        { "{}", ",\"encrypted_env\":\"/absent/e\"", "encrypted_env: open '/absent/e'" },
    };
    const struct place *p = *state;
    const struct cvm_host host = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autorequest struct cvm_request r = { 0 };
        cvm_autoshare struct cvm_share s = { 0 };
        make_request(&r, bad[i].app_compose, bad[i].more);
        assert_false(load(&r, &host, &s, &err));
        assert_error(&err, CVM_ERR_SYSTEM, bad[i].message);
    }
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    cvm_autoshare struct cvm_share s = { 0 };
    cvm_autofree char *large = calloc(1, (4 << 20) + 1);
    char path[512];
    assert_non_null(large);
    place_write(p, "large", large, (4 << 20) + 1);
    snprintf(path, sizeof path, "\"%s/large\"", p->path);
    make_request(&r, path, "");
    assert_false(load(&r, &host, &s, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "is larger than the limit of 4194304 bytes");
}

/* The share may hold secrets: others on the host do not read them. */
static void test_who_may_read(void **state)
{
    const struct place *p = *state;
    const struct cvm_host host = { 0 };
    struct cvm_error err = { 0 };
    cvm_autorequest struct cvm_request r = { 0 };
    cvm_autoshare struct cvm_share s = { 0 };
    struct stat st;
    make_request(&r, "{}", "");
    must(load(&r, &host, &s, &err), &err);
    must(cvm_share_write(&s, p->fd, &err), &err);
    assert_int_equal(fstatat(p->fd, "shared", &st, 0), 0);
    assert_int_equal(st.st_mode & 07, 0);
    assert_int_equal(fstatat(p->fd, "shared/.sys-config.json", &st, 0), 0);
    assert_int_equal(st.st_mode & 07, 0);
}

/* Version 1: the byte 1, the compose hash, zeros up to 48 bytes, in base64. */
static void test_mr_config_id(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 hash;
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autobuf struct cvm_buf bytes = { 0 };
    uint8_t want[48] = { 1 };
    (void)state;
    for (size_t i = 0; i < sizeof hash.bytes; i++) {
        hash.bytes[i] = want[1 + i] = (uint8_t)(0xe0 + i);
    }
    must(cvm_mr_config_id(&hash, &text, &err), &err);
    assert_int_equal(text.data[text.len - 1], 0);
    assert_int_equal(text.len, 65);
    must(cvm_base64_decode((const char *)text.data, text.len - 1, &bytes, &err), &err);
    assert_bytes(bytes.data, bytes.len, want, sizeof want);
}

/* echo -n | sha256sum: a known answer of the whole way. */
static void test_mr_config_id_of_nothing(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_sha256 hash;
    cvm_autobuf struct cvm_buf text = { 0 };
    static const char want[] = "AeOwxEKY/BwUmvv0yJlvuSQnrkHkZJuTTKSVmRt4UrhVAAAAAAAAAAAAAAAAAAAA";
    (void)state;
    must(cvm_sha256(NULL, 0, &hash, &err), &err);
    must(cvm_mr_config_id(&hash, &text, &err), &err);
    assert_bytes(text.data, text.len, want, sizeof want);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_least),
        TEST(test_everything),
        TEST(test_the_compose_hash_of_an_object),
        TEST(test_files_that_cannot_be_read),
        TEST(test_who_may_read),
        cmocka_unit_test(test_mr_config_id),
        cmocka_unit_test(test_mr_config_id_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
