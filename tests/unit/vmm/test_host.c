#include "tests/support/check.h"
#include "tests/unit/vmm/fake_emulator.h"

#include "vmm/host.h"

#include <stdio.h>
#include <sys/wait.h>

static const char *const variables[] = { "CVM_CONFIG", "CVM_CONNECT", "CVM_IMAGE_DIR",
                                         "CVM_STATE_DIR", "CVM_EMULATOR" };

static int setup(void **state)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        unsetenv(variables[i]);
    }
    return place_setup(state);
}

/* Loads a configuration of this text; the path is that of the file "host.json". */
static bool load(const struct place *p, const char *text, struct cvm_host *out,
                 struct cvm_error *err)
{
    place_write_text(p, "host.json", text);
    const struct cvm_host_options options = { .config = place_path(p, "host.json") };
    return cvm_host_load(&options, out, err);
}

static void test_defaults(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    must(load(*state, "{}", &h, &err), &err);
    assert_string_equal(h.libvirt_uri, "qemu:///system");
    assert_string_equal(h.emulator, "/usr/bin/qemu-system-x86_64");
    assert_string_equal(h.image_dir, "/var/lib/cvm/images");
    assert_string_equal(h.state_dir, "/var/lib/cvm");
    assert_string_equal(h.accelerator, "kvm");
    assert_string_equal(h.attestation_variant, "auto");
    assert_string_equal(h.acpi_check, "warn");
    assert_false(h.cid_first.set || h.cid_count.set || h.host_api_port.set);
    assert_null(h.qgs_socket);
    assert_null(h.run_as);
    assert_false(h.qemu.pic.set);
}

static void test_without_a_configuration(void **state)
{
    const struct cvm_host_options options = { .state_dir = "/elsewhere" };
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    (void)state;
    if (access(CVM_HOST_CONFIG, F_OK) == 0) {
        skip();
    }
    must(cvm_host_load(&options, &h, &err), &err);
    assert_null(h.document);
    assert_string_equal(h.state_dir, "/elsewhere");
    assert_string_equal(h.image_dir, "/var/lib/cvm/images");
}

static void test_every_key(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    must(
        load(
            *state,
            "{\"libvirt_uri\":\"qemu:///session\",\"emulator\":\"/opt/qemu\",\"accelerator\":"
            "\"tcg\",\"image_dir\":\"/i\",\"state_dir\":\"/s\",\"kms_urls\":[\"k\"],"
            "\"gateway_urls\":[\"g\",\"h\"],\"pccs_url\":\"https://p\",\"docker_registry\":\"r\","
            "\"host_api_port\":11000,\"cid_first\":3,\"cid_count\":5,\"qgs_socket\":\"/q\","
            "\"attestation_variant\":\"lite\",\"acpi_check\":\"off\",\"guest_address_bits\":46,\"run_as\":\"+0:+0\","
            "\"qemu\":{\"pic\":true,\"smm\":false,\"hotplug_off\":true,"
            "\"qemu_single_pass_add_pages\":false,\"pci_hole64_size\":\"1T\",\"pciexbar_base\":"
            "2952790016,\"pci_window64_base\":4294967296,\"host_share_mode\":\"vvfat\"},"
            "\"smbios\":{\"manufacturer\":\"M\"}}",
            &h, &err),
        &err);
    assert_string_equal(h.libvirt_uri, "qemu:///session");
    assert_string_equal(h.emulator, "/opt/qemu");
    assert_string_equal(h.accelerator, "tcg");
    assert_string_equal(h.image_dir, "/i");
    assert_string_equal(h.state_dir, "/s");
    assert_int_equal(cvm_json_array_length(h.gateway_urls), 2);
    assert_string_equal(h.pccs_url, "https://p");
    assert_int_equal(h.host_api_port.value, 11000);
    assert_int_equal(h.cid_first.value, 3);
    assert_int_equal(h.cid_count.value, 5);
    assert_string_equal(h.qgs_socket, "/q");
    assert_string_equal(h.attestation_variant, "lite");
    assert_string_equal(h.acpi_check, "off");
    assert_int_equal(h.guest_address_bits.value, 46);
    assert_string_equal(h.run_as, "+0:+0");
    assert_true(h.qemu.pic.value && h.qemu.smm.set && h.qemu.hotplug_off.value);
    assert_int_equal(h.qemu.pci_hole64_size.value, UINT64_C(1) << 40);
    assert_string_equal(h.qemu.host_share_mode, "vvfat");
    assert_string_equal(h.smbios.manufacturer, "M");
    assert_null(h.smbios.product);
}

static void test_bad_configurations(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "[]", "not a JSON object" },
        { "{\"image_dri\":\"/x\"}", "unknown key 'image_dri', did you mean 'image_dir'?" },
        { "{\"accelerator\":\"xen\"}", "key 'accelerator': 'xen' is none of" },
        { "{\"attestation_variant\":\"Lite\"}", "key 'attestation_variant': 'Lite' is none of" },
        { "{\"acpi_check\":\"on\"}", "key 'acpi_check': 'on' is none of: off warn require" },
        { "{\"cid_first\":2}", "key 'cid_first': 2 is not within 3 to 4294967294" },
        { "{\"cid_count\":0}", "key 'cid_count': 0 is not within 1 to" },
        { "{\"guest_address_bits\":53}", "key 'guest_address_bits': 53 is not within 36 to 52" },
        { "{\"host_api_port\":\"1\"}", "key 'host_api_port' is not a whole number" },
        { "{\"libvirt_uri\":\"\"}", "key 'libvirt_uri': a length of 0" },
        { "{\"kms_urls\":\"x\"}", "key 'kms_urls' is not an array" },
        { "{\"qemu\":[]}", "key 'qemu' is not an object" },
        { "{\"qemu\":{\"smn\":true}}", "unknown key 'smn', did you mean 'smm'?" },
        { "{\"smbios\":{\"producct\":\"x\"}}", "key 'smbios': unknown key 'producct'" },
        { "{", "not JSON" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autohost struct cvm_host h = { 0 };
        if (load(*state, bad[i].text, &h, &err)) {
            fail_msg("accepted: %s", bad[i].text);
        }
        assert_non_null(strstr(err.msg, "host configuration"));
        assert_non_null(strstr(err.msg, "host.json'"));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
}

/* URLs go into .sys-config.json as they are; what is no text would reach the guest. */
static void test_urls_are_strings(void **state)
{
    static const char *const bad[] = { "{\"kms_urls\":[1]}", "{\"gateway_urls\":[\"a\",{}]}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autohost struct cvm_host h = { 0 };
        if (load(*state, bad[i], &h, &err)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_error(&err, CVM_ERR_MALFORMED, "is not a string");
    }
}

static void test_a_configuration_that_is_named_must_exist(void **state)
{
    const struct cvm_host_options options = { .config = place_path(*state, "absent.json") };
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    assert_false(cvm_host_load(&options, &h, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "host configuration: open '");
}

/* Option, variable, configuration, default: the first that says something. */
static void test_the_order_of_places(void **state)
{
    const struct place *p = *state;
    static const char text[] = "{\"libvirt_uri\":\"conf\",\"image_dir\":\"conf\",\"state_dir\":"
                               "\"conf\",\"emulator\":\"conf\"}";
    place_write_text(p, "host.json", text);
    for (int step = 0; step < 3; step++) {
        static const char *const winners[] = { "conf", "variable", "option" };
        struct cvm_error err = { 0 };
        cvm_autohost struct cvm_host h = { 0 };
        struct cvm_host_options options = { .config = place_path(p, "host.json") };
        for (size_t i = 1; i < sizeof variables / sizeof variables[0]; i++) {
            setenv(variables[i], step == 0 ? "" : "variable", 1); /* an empty one says nothing */
        }
        if (step == 2) {
            options.connect = options.image_dir = options.state_dir = options.emulator = "option";
        }
        must(cvm_host_load(&options, &h, &err), &err);
        assert_string_equal(h.libvirt_uri, winners[step]);
        assert_string_equal(h.image_dir, winners[step]);
        assert_string_equal(h.state_dir, winners[step]);
        assert_string_equal(h.emulator, winners[step]);
    }
}

static void test_a_configuration_by_variable(void **state)
{
    const struct place *p = *state;
    const struct cvm_host_options none = { 0 };
    struct cvm_error err = { 0 };
    cvm_autohost struct cvm_host h = { 0 };
    place_write_text(p, "other.json", "{\"state_dir\":\"/from/other\"}");
    setenv("CVM_CONFIG", place_path(p, "other.json"), 1);
    must(cvm_host_load(&none, &h, &err), &err);
    assert_string_equal(h.state_dir, "/from/other");
}

/* --- the emulator's version --- */

static void test_versions_of_emulators(void **state)
{
    static const struct {
        const char *script;
        struct cvm_qemu_version version;
    } good[] = {
        { "#!/bin/sh\necho \"QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.0)\"\n"
          "echo Copyright\n",
          { 8, 2, 2 } },
        { "#!/bin/sh\nprintf 'QEMU emulator version 9.1.0\\r\\n'\n", { 9, 1, 0 } },
        { "#!/bin/sh\n[ \"$#\" = 1 ] && [ \"$1\" = --version ] && "
          "printf 'QEMU emulator version 11.0.50 (v11.0.0-123-gabc)'\n",
          { 11, 0, 50 } },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_qemu_version v;
        must(cvm_emulator_version(fake_program(*state, good[i].script), &v, &err), &err);
        assert_memory_equal(&v, &good[i].version, sizeof v);
    }
}

static void test_what_is_no_emulator(void **state)
{
    static const struct {
        const char *script;
        enum cvm_error_code code;
        const char *message;
    } bad[] = {
        { "#!/bin/sh\necho hello\n", CVM_ERR_SYSTEM, "'hello' is not what QEMU says" },
        { "#!/bin/sh\n", CVM_ERR_SYSTEM, "'' is not what QEMU says" },
        { "#!/bin/sh\nexit 3\n", CVM_ERR_SYSTEM, "--version: ended with status 3" },
        { "#!/bin/sh\nkill -9 $$\n", CVM_ERR_SYSTEM, "--version: ended by signal 9" },
        { "#!/absent/interpreter\n", CVM_ERR_SYSTEM, "run" },
        { "#!/bin/sh\necho QEMU emulator version unknown\n", CVM_ERR_MALFORMED,
          "'unknown' is not a QEMU version" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cvm_error err = { 0 };
        struct cvm_qemu_version v;
        if (cvm_emulator_version(fake_program(*state, bad[i].script), &v, &err)) {
            fail_msg("accepted: %s", bad[i].script);
        }
        assert_non_null(strstr(err.msg, "emulator '/"));
        assert_error(&err, bad[i].code, bad[i].message);
    }
    struct cvm_error err = { 0 };
    struct cvm_qemu_version v;
    assert_false(cvm_emulator_version(place_path(*state, "absent"), &v, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "absent': run");
}

/* A program that prints more than a pipe holds must not wait for us while we wait for it. */
static void test_a_talkative_program(void **state)
{
    struct cvm_error err = { 0 };
    struct cvm_qemu_version v;
    const char *program = fake_program(*state, "#!/bin/sh\necho 'QEMU emulator version 9.2.1'\n"
                                               "head -c 1000000 /dev/zero\n");
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        bool ok = cvm_emulator_version(program, &v, &err);
        _exit(ok || err.code == CVM_ERR_SYSTEM ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* 14: it waited until the alarm */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_without_a_configuration),
        TEST(test_every_key),
        TEST(test_bad_configurations),
        TEST(test_urls_are_strings),
        TEST(test_a_configuration_that_is_named_must_exist),
        TEST(test_the_order_of_places),
        TEST(test_a_configuration_by_variable),
        TEST(test_versions_of_emulators),
        TEST(test_what_is_no_emulator),
        TEST(test_a_talkative_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
