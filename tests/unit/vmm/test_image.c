#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "measure/base/hash.h"
#include "vmm/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static bool open_bundle(const struct place *p, struct cvm_bundle *out, struct cvm_error *err)
{
    *out = (struct cvm_bundle)CVM_BUNDLE_NONE;
    return cvm_bundle_open(place_path(p, "bundle"), out, err);
}

/* Opening the bundle fails like this, and says which bundle. */
static void expect_open_error(const struct place *p, enum cvm_error_code code, const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    if (open_bundle(p, &b, &err)) {
        fail_msg("opened, instead of: %s", message);
    }
    assert_non_null(strstr(err.msg, "image '/"));
    assert_error(&err, code, message);
}

static void expect_verify_error(const struct place *p, bool measured_only, enum cvm_error_code code,
                                const char *message)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    must(open_bundle(p, &b, &err), &err);
    assert_false(cvm_bundle_verify(&b, measured_only, NULL, &err));
    assert_error(&err, code, message);
}

static void expect_good(const struct place *p)
{
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    must(open_bundle(p, &b, &err), &err);
    must(cvm_bundle_verify(&b, false, NULL, &err), &err);
    must(cvm_bundle_unchanged(&b, &err), &err);
}

/* --- a good bundle --- */

static unsigned progress_calls;

static void count_progress(const char *file, uint64_t done, uint64_t size)
{
    assert_non_null(file);
    assert_true(done <= size);
    progress_calls++;
}

static void test_a_good_bundle(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    must(open_bundle(p, &b, &err), &err);
    assert_string_equal(b.name, "bundle");
    assert_true(b.path[0] == '/');
    assert_string_equal(b.metadata.cmdline, "console=ttyS0");
    assert_string_equal(b.metadata.version, "0.5.11");
    assert_null(b.metadata.ovmf_variant);
    assert_false(b.metadata.is_dev.set);
    assert_string_equal(b.files[CVM_BUNDLE_KERNEL].name, "kernel");
    assert_string_equal(b.files[CVM_BUNDLE_ROOTFS].path, place_path(p, "bundle/rootfs.img.verity"));
    assert_true(b.has_hash);
    assert_int_equal(b.measurement.len, 0);
    assert_string_equal(cvm_bundle_rootfs_device(&b), "virtio-blk");
    must(cvm_bundle_launchable(&b, &err), &err);
    progress_calls = 0;
    must(cvm_bundle_verify(&b, false, count_progress, &err), &err);
    assert_true(progress_calls >= 5);
    must(cvm_bundle_verify(&b, true, NULL, &err), &err);
    must(cvm_bundle_unchanged(&b, &err), &err);
}

static void test_what_is_read_of_it(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autocontents struct cvm_bundle_contents c = { 0 };
    struct cvm_sha384 initrd;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    must(open_bundle(p, &b, &err), &err);
    must(cvm_bundle_read(&b, &c, &err), &err);
    assert_bytes(c.image.firmware.data, c.image.firmware.size, "a firmware", 10);
    assert_bytes(c.image.kernel.data, c.image.kernel.size, "a kernel", 8);
    assert_int_equal(c.image.initrd_size, 9);
    must(cvm_sha384("an initrd", 9, &initrd, &err), &err);
    assert_bytes(c.image.initrd.bytes, 48, initrd.bytes, 48);
    assert_string_equal(c.image.cmdline, "console=ttyS0");
}

static void test_by_link_and_with_a_slash(void **state)
{
    const struct place *p = *state;
    static const char *const ways[] = { "bundle/", "bundle/.", "link", "link/../bundle" };
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_symlink(p, "bundle", "link");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
        must(cvm_bundle_open(place_path(p, ways[i]), &b, &err), &err);
        assert_string_equal(b.name, "bundle"); /* the directory's own name, not how it was called */
    }
}

/* --- metadata.json --- */

#define REST "\"cmdline\":\"\",\"initrd\":\"initrd\",\"bios\":\"ovmf.fd\""

static void test_bad_metadata(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "", "metadata.json: not JSON" },
        { "no JSON", "metadata.json: not JSON at offset" },
        { "[]", "metadata.json: not a JSON object" },
        { "\"x\"", "metadata.json: not a JSON object" },
        { "{}", "metadata.json: key 'cmdline' is missing" },
        { "{" REST "}", "metadata.json: key 'kernel' is missing" },
        { "{" REST ",\"kernel\":null}", "metadata.json: key 'kernel' is missing" },
        { "{" REST ",\"kernel\":\"\"}", "metadata.json: key 'kernel': a length of 0" },
        { "{" REST ",\"kernel\":7}", "metadata.json: key 'kernel' is not a string" },
        { "{" REST ",\"kernel\":\"ker\\u0000nel\"}", "key 'kernel' is not a string" },
        { "{" REST ",\"kernel\":\"kernel\",\"version\":0.5}", "key 'version' is not a string" },
        { "{" REST ",\"kernel\":\"kernel\",\"version\":5}", "key 'version' is not a string" },
        { "{" REST ",\"kernel\":\"kernel\",\"is_dev\":\"no\"}", "key 'is_dev' is not true or" },
        { "{" REST ",\"kernel\":\"kernel\",\"kernel_header_normalized\":1}",
          "key 'kernel_header_normalized' is not true or false" },
        { "{" REST ",\"kernel\":\"kernel\",\"ovmf_variant\":[]}", "key 'ovmf_variant' is not a" },
        { "{" REST ",\"kernel\":\"kernel\"} {}", "metadata.json: not JSON at offset" },
        { "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "nested too deep" },
    };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        place_write_text(p, "bundle/metadata.json", bad[i].text);
        expect_open_error(p, CVM_ERR_MALFORMED, bad[i].message);
    }
    place_delete(p, "bundle/metadata.json");
    expect_open_error(p, CVM_ERR_MALFORMED, "'metadata.json' cannot be opened: no such file");
}

static void test_metadata_that_is_too_large(void **state)
{
    enum { SIZE = 2 << 20 };
    const struct place *p = *state;
    cvm_autofree char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, ' ', SIZE);
    memcpy(text, BUNDLE_METADATA, sizeof BUNDLE_METADATA - 1);
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write(p, "bundle/metadata.json", text, SIZE);
    expect_open_error(p, CVM_ERR_MALFORMED,
                      "'metadata.json' is larger than the limit of 1048576 bytes");
    place_write(p, "bundle/metadata.json", text, SIZE / 2);
    bundle_seal(p, "bundle");
    expect_good(p);
}

static void test_other_keys_are_kept(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    bundle_make(p, "bundle",
                "{" REST ",\"kernel\":\"kernel\",\"rootfs\":null,\"version\":\"\",\"shared_ro\":"
                "true,\"kernl\":1,\"future\":{\"x\":[]}}");
    must(open_bundle(p, &b, &err), &err);
    assert_true(b.metadata.shared_ro.value);
    assert_string_equal(b.metadata.version, "");
    assert_null(b.files[CVM_BUNDLE_ROOTFS].name);
    assert_string_equal(cvm_bundle_rootfs_device(&b), "none");
    must(cvm_bundle_launchable(&b, &err), &err);
}

/* --- the files it names --- */

static void name_kernel(const struct place *p, const char *name)
{
    char text[512];
    snprintf(text, sizeof text, "{" REST ",\"kernel\":\"%s\"}", name);
    place_write_text(p, "bundle/metadata.json", text);
}

static void test_paths_that_lead_out(void **state)
{
    static const struct {
        const char *name, *message;
    } bad[] = {
        { "../outside", "metadata.json: kernel: '../outside' leads out of its directory" },
        { "sub/../../outside", "leads out of its directory" },
        { "/etc/passwd", "metadata.json: kernel: '/etc/passwd' leads out of its directory" },
        { "..", "leads out of its directory" },
        { "link-out", "metadata.json: kernel: 'link-out' leads out of its directory" },
        { "link-absolute", "leads out of its directory" },
        { "link-dir/outside", "leads out of its directory" },
        { "link-nowhere", "metadata.json: kernel: 'link-nowhere' cannot be opened: no such file" },
        { "link-loop", "cannot be opened: not a regular file" },
        { "absent", "metadata.json: kernel: 'absent' cannot be opened: no such file" },
        { "kernel/x", "cannot be opened: not a regular file" },
        { "fifo", "metadata.json: kernel: 'fifo' is not a regular file" },
        { "sub", "metadata.json: kernel: 'sub' is not a regular file" },
        { ".", "metadata.json: kernel: '.' is not a regular file" },
    };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write_text(p, "outside", "x");
    place_mkdir(p, "bundle/sub");
    place_symlink(p, "../outside", "bundle/link-out");
    place_symlink(p, place_path(p, "bundle/kernel"), "bundle/link-absolute");
    place_symlink(p, "..", "bundle/link-dir");
    place_symlink(p, "nowhere", "bundle/link-nowhere");
    place_symlink(p, "link-loop", "bundle/link-loop");
    assert_int_equal(mkfifoat(p->fd, "bundle/fifo", 0600), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        name_kernel(p, bad[i].name);
        expect_open_error(p, CVM_ERR_MALFORMED, bad[i].message);
    }
}

static void test_links_that_stay_inside(void **state)
{
    static const char *const good[] = { "link", "./kernel", "sub/../kernel", "sub/link" };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_mkdir(p, "bundle/sub");
    place_symlink(p, "kernel", "bundle/link");
    place_symlink(p, "../kernel", "bundle/sub/link");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
        name_kernel(p, good[i]);
        bundle_seal(p, "bundle");
        must(open_bundle(p, &b, &err), &err);
        assert_int_equal(b.files[CVM_BUNDLE_KERNEL].id.size, 8);
    }
}

static void test_other_files_that_are_no_files(void **state)
{
    static const char *const names[] = { "sha256sum.txt", "digest.txt", "measurement.tdx.cbor",
                                         "initrd",        "ovmf.fd",    "rootfs.img.verity" };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write_text(p, "outside", "x");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "bundle/%s", names[i]);
        place_delete(p, path);
        place_mkdir(p, path);
        expect_open_error(p, CVM_ERR_MALFORMED, "is not a regular file");
        place_delete(p, path);
        place_symlink(p, "../outside", path);
        expect_open_error(p, CVM_ERR_MALFORMED, "leads out of its directory");
        place_delete(p, "bundle");
        bundle_make(p, "bundle", BUNDLE_METADATA);
    }
}

static void test_what_is_no_bundle(void **state)
{
    const struct place *p = *state;
    expect_open_error(p, CVM_ERR_SYSTEM, "open directory: No such file or directory");
    place_write_text(p, "bundle", "a file");
    expect_open_error(p, CVM_ERR_SYSTEM, "open directory '");
}

/* --- identity and digests --- */

static void test_an_identity_that_does_not_fit(void **state)
{
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    cvm_autobuf struct cvm_buf sums = place_read(p, "bundle/sha256sum.txt");
    place_write(p, "bundle/sha256sum.txt", sums.data, sums.len - 2);
    expect_open_error(p, CVM_ERR_MISMATCH, "digest.txt is not the SHA-256 of sha256sum.txt");
    bundle_seal(p, "bundle");
    place_write_text(p, "bundle/digest.txt", "e3b0");
    expect_open_error(p, CVM_ERR_MALFORMED, "digest.txt");
    place_delete(p, "bundle/digest.txt");
    expect_good(p);
}

static void test_a_bundle_without_a_list(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_delete(p, "bundle/sha256sum.txt");
    must(open_bundle(p, &b, &err), &err);
    assert_false(b.has_hash);
    assert_false(cvm_bundle_verify(&b, true, NULL, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "no sha256sum.txt to verify against");
}

static void test_files_that_were_altered(void **state)
{
    static const struct {
        const char *name;
        bool measured;
    } files[] = {
        { "kernel", true }, { "initrd", true }, { "ovmf.fd", true }, { "rootfs.img.verity", false }
    };
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[64];
        char message[128];
        bundle_make(p, "bundle", BUNDLE_METADATA);
        snprintf(path, sizeof path, "bundle/%s", files[i].name);
        snprintf(message, sizeof message, "'%s' does not have the digest in sha256sum.txt",
                 files[i].name);
        place_write_text(p, path, "altered");
        expect_verify_error(p, false, CVM_ERR_MISMATCH, message);
        if (files[i].measured) {
            expect_verify_error(p, true, CVM_ERR_MISMATCH, message);
        }
        place_delete(p, "bundle");
    }
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write_text(p, "bundle/metadata.json", BUNDLE_METADATA " ");
    expect_verify_error(p, true, CVM_ERR_MISMATCH, "'metadata.json' does not have the digest");
}

/* Writes the list anew from lines that are given, with the digest that goes with it. */
static void write_list(const struct place *p, const char *text)
{
    place_write_text(p, "bundle/sha256sum.txt", text);
    place_delete(p, "bundle/digest.txt");
}

static void test_measured_files_that_are_not_listed(void **state)
{
    static const char *const names[] = { "metadata.json", "kernel", "initrd", "ovmf.fd" };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    cvm_autobuf struct cvm_buf sums = place_read(p, "bundle/sha256sum.txt");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        char message[128];
        cvm_autofree char *text = strdup((const char *)sums.data);
        assert_non_null(text);
        snprintf(name, sizeof name, "  %s\n", names[i]);
        snprintf(message, sizeof message, "'%s' is not listed in sha256sum.txt", names[i]);
        strstr(text, name)[2] = 'X'; /* listed under another name */
        write_list(p, text);
        expect_verify_error(p, true, CVM_ERR_MISMATCH, message);
    }
}

static void test_lists_that_are_bad(void **state)
{
    const struct place *p = *state;
    cvm_autobuf struct cvm_buf text = { 0 };
    bundle_make(p, "bundle", BUNDLE_METADATA);
    cvm_autobuf struct cvm_buf sums = place_read(p, "bundle/sha256sum.txt");
    write_list(p, "not a list");
    expect_verify_error(p, false, CVM_ERR_MALFORMED, "sha256sum.txt: line 1: not a line of");
    cvm_put_format(&text, "%s%.64s  ../outside\n", (const char *)sums.data,
                   (const char *)sums.data);
    cvm_put_u8(&text, '\0');
    write_list(p, (const char *)text.data);
    expect_verify_error(p, false, CVM_ERR_MALFORMED, "'../outside' leads out of its directory");
    cvm_buf_free(&text);
    cvm_put_format(&text, "%s%.64s  absent\n", (const char *)sums.data, (const char *)sums.data);
    cvm_put_u8(&text, '\0');
    write_list(p, (const char *)text.data);
    expect_verify_error(p, false, CVM_ERR_MALFORMED, "'absent' cannot be opened: no such file");
}

/* --- changes after it was opened --- */

static void change_content(const struct place *p, const char *path)
{
    place_write_text(p, path, "other content");
}

/* The same size and content: still not the file that was verified. */
static void change_by_rename(const struct place *p, const char *path)
{
    cvm_autobuf struct cvm_buf text = place_read(p, path);
    place_write(p, "new", text.data, text.len - 1);
    assert_int_equal(renameat(p->fd, "new", p->fd, path), 0);
}

static void change_times(const struct place *p, const char *path)
{
    const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
    assert_int_equal(utimensat(p->fd, path, times, 0), 0);
}

static void change_to_nothing(const struct place *p, const char *path)
{
    place_delete(p, path);
}

static void change_to_link(const struct place *p, const char *path)
{
    cvm_autobuf struct cvm_buf text = place_read(p, path);
    place_delete(p, path);
    place_write(p, "bundle/other", text.data, text.len - 1);
    place_symlink(p, "other", path);
}

static void change_to_link_out(const struct place *p, const char *path)
{
    assert_int_equal(renameat(p->fd, path, p->fd, "moved"), 0);
    place_symlink(p, "../moved", path);
}

/* The directory itself: libvirt is given paths, not the files that were opened. */
static void change_directory(const struct place *p, const char *path)
{
    (void)path;
    assert_int_equal(renameat(p->fd, "bundle", p->fd, "old"), 0);
    bundle_make(p, "bundle", BUNDLE_METADATA);
}

static void test_changes_are_noticed(void **state)
{
    static void (*const changes[])(const struct place *, const char *) = {
        change_content, change_by_rename,   change_times,     change_to_nothing,
        change_to_link, change_to_link_out, change_directory,
    };
    static const char *const files[] = { "metadata.json", "kernel", "initrd", "ovmf.fd",
                                         "rootfs.img.verity" };
    const struct place *p = *state;
    for (size_t i = 0; i < 5 * (sizeof changes / sizeof changes[0]); i++) {
        struct cvm_error err = { 0 };
        cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
        char path[64];
        snprintf(path, sizeof path, "bundle/%s", files[i % 5]);
        bundle_make(p, "bundle", BUNDLE_METADATA);
        must(open_bundle(p, &b, &err), &err);
        must(cvm_bundle_verify(&b, false, NULL, &err), &err);
        changes[i / 5](p, path);
        if (cvm_bundle_unchanged(&b, &err)) {
            fail_msg("change %zu of '%s' went unnoticed", i / 5, path);
        }
        assert_non_null(strstr(err.msg, "image '/"));
        static const char *const left[] = { "bundle", "old", "moved", "new" };
        for (size_t j = 0; j < 4; j++) {
            place_delete(p, left[j]);
        }
    }
}

/* What was opened is what is hashed: a file that is replaced meanwhile changes nothing. */
static void test_the_open_file_is_what_counts(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
    cvm_autocontents struct cvm_bundle_contents c = { 0 };
    bundle_make(p, "bundle", BUNDLE_METADATA);
    must(open_bundle(p, &b, &err), &err);
    place_write_text(p, "new", "evil");
    assert_int_equal(renameat(p->fd, "new", p->fd, "bundle/kernel"), 0);
    must(cvm_bundle_verify(&b, false, NULL, &err), &err);
    must(cvm_bundle_read(&b, &c, &err), &err);
    assert_bytes(c.image.kernel.data, c.image.kernel.size, "a kernel", 8);
    assert_false(cvm_bundle_unchanged(&b, &err));
    assert_error(&err, CVM_ERR_MISMATCH, "'kernel' changed after it was verified");
}

/* --- what can be launched --- */

static void test_what_can_be_launched(void **state)
{
    static const struct {
        const char *version, *rootfs, *device, *refused;
    } cases[] = {
        { "0.5.0", "rootfs.img.verity", "virtio-blk", NULL },
        { "0.5.0.rc1", "rootfs.img.verity", "virtio-blk", NULL },
        { "nonsense", "rootfs.img.verity", "virtio-blk", NULL },
        { "0.4.99", "rootfs.img.verity", "virtio-blk", "version 0.4.99; images below 0.5.0" },
        { "0.4.2", "rootfs.iso", "cdrom", "version 0.4.2; images below 0.5.0" },
        { "0.5.4", "rootfs.iso", "cdrom", "a CD-ROM root file system ('rootfs.iso')" },
    };
    const struct place *p = *state;
    bundle_make(p, "bundle", BUNDLE_METADATA);
    place_write_text(p, "bundle/rootfs.iso", "x");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cvm_error err = { 0 };
        cvm_autobundle struct cvm_bundle b = CVM_BUNDLE_NONE;
        char text[512];
        snprintf(text, sizeof text,
                 "{" REST ",\"kernel\":\"kernel\",\"version\":\"%s\",\"rootfs\":\"%s\"}",
                 cases[i].version, cases[i].rootfs);
        place_write_text(p, "bundle/metadata.json", text);
        must(open_bundle(p, &b, &err), &err);
        assert_string_equal(cvm_bundle_rootfs_device(&b), cases[i].device);
        assert_int_equal(cvm_bundle_launchable(&b, &err), cases[i].refused == NULL);
        if (cases[i].refused != NULL) {
            assert_error(&err, CVM_ERR_UNSUPPORTED, cases[i].refused);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_bundle),
        TEST(test_what_is_read_of_it),
        TEST(test_by_link_and_with_a_slash),
        TEST(test_bad_metadata),
        TEST(test_metadata_that_is_too_large),
        TEST(test_other_keys_are_kept),
        TEST(test_paths_that_lead_out),
        TEST(test_links_that_stay_inside),
        TEST(test_other_files_that_are_no_files),
        TEST(test_what_is_no_bundle),
        TEST(test_an_identity_that_does_not_fit),
        TEST(test_a_bundle_without_a_list),
        TEST(test_files_that_were_altered),
        TEST(test_measured_files_that_are_not_listed),
        TEST(test_lists_that_are_bad),
        TEST(test_changes_are_noticed),
        TEST(test_the_open_file_is_what_counts),
        TEST(test_what_can_be_launched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
