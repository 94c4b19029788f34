#include "tests/support/check.h"
#include "tests/unit/vmm/place.h"

#include "measure/base/file.h"
#include "vmm/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CID_FIRST = 100, CID_COUNT = 64 };

static struct cvm_store open_store(const struct place *p)
{
    struct cvm_error err = { 0 };
    struct cvm_store s;
    must(cvm_store_open(p->path, true, &s, &err), &err);
    return s;
}

static bool write_record(int dir_fd, const char *name, uint32_t cid, struct cvm_error *err)
{
    char text[512];
    int n = snprintf(text, sizeof text,
                     "{\"name\":\"%s\",\"uuid\":\"00000000-0000-4000-8000-000000000000\","
                     "\"image\":\"/i\",\"emulator\":\"/e\",\"libvirt_uri\":\"test:///default\","
                     "\"created\":\"2025-01-01T00:00:00Z\",\"cid\":%u,\"no_tee\":true,"
                     "\"has_vsock\":true}",
                     name, cid);
    return cvm_file_write(dir_fd, "vm.json", text, (size_t)n, 0644, err);
}

/* A whole launch as far as the store sees it. */
static bool launch(const struct cvm_store *s, const char *name, uint32_t *cid,
                   struct cvm_error *err)
{
    cvm_autoclaim struct cvm_claim c = CVM_CLAIM_NONE;
    if (!cvm_store_claim(s, name, CID_FIRST, CID_COUNT, &c, err) || !cvm_claim_make(&c, err) ||
        !write_record(c.fd, name, c.cid, err) || !cvm_claim_commit(&c, err)) {
        return false;
    }
    *cid = c.cid;
    return true;
}

static uint32_t must_launch(const struct cvm_store *s, const char *name)
{
    struct cvm_error err = { 0 };
    uint32_t cid = 0;
    must(launch(s, name, &cid, &err), &err);
    return cid;
}

/* --- the directory --- */

static void test_opening(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    struct cvm_store s;
    assert_false(cvm_store_open(place_path(p, "a/b"), false, &s, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "state directory '");
    assert_false(place_has(p, "a"));
    must(cvm_store_open(place_path(p, "a/b//c/"), true, &s, &err), &err);
    assert_true(place_has(p, "a/b/c/vms"));
    assert_string_equal(s.path + strlen(s.path) - 10, "/a/b/c/vms");
    cvm_store_close(&s);
    cvm_store_close(&s); /* takes a closed one as well */
    must(cvm_store_open(place_path(p, "a/b/c"), true, &s, &err), &err);
    cvm_store_close(&s);
    place_write_text(p, "file", "");
    assert_false(cvm_store_open(place_path(p, "file"), true, &s, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "state directory: create directory '");
}

static void test_a_guest_appears_whole_or_not_at_all(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    struct cvm_claim c = CVM_CLAIM_NONE;
    must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
    assert_int_equal(place_count(p, "vms"), 1); /* .lock */
    must(cvm_claim_make(&c, &err), &err);
    assert_int_equal(place_count(p, "vms"), 2);
    must(cvm_store_list(&s, &names, &err), &err);
    assert_int_equal(names.count, 0);
    assert_false(place_has(p, "vms/web"));
    must(write_record(c.fd, "web", c.cid, &err), &err);
    must(cvm_claim_commit(&c, &err), &err);
    assert_true(place_has(p, "vms/web/vm.json"));
    cvm_claim_drop(&c);
    cvm_claim_drop(&c);
    assert_int_equal(place_count(p, "vms"), 2); /* .lock, web */
    must(cvm_store_list(&s, &names, &err), &err);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.items[0], "web");
}

static void test_what_is_dropped_leaves_nothing(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    for (int step = 0; step < 3; step++) {
        struct cvm_claim c = CVM_CLAIM_NONE;
        must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
        assert_int_equal(c.cid, CID_FIRST);
        if (step > 0) {
            must(cvm_claim_make(&c, &err), &err);
        }
        if (step > 1) {
            must(write_record(c.fd, "web", c.cid, &err), &err);
            assert_int_equal(mkdirat(c.fd, "shared", 0755), 0);
        }
        cvm_claim_drop(&c);
        assert_int_equal(place_count(p, "vms"), 1);
    }
    assert_int_equal(must_launch(&s, "web"), CID_FIRST);
}

static void test_a_name_that_is_taken(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    uint32_t cid = 0;
    must_launch(&s, "web");
    assert_false(launch(&s, "web", &cid, &err));
    assert_error(&err, CVM_ERR_USAGE, "a guest 'web' exists already; remove it first");
    assert_false(cvm_store_peek(&s, "web", CID_FIRST, CID_COUNT, &cid, &err));
    assert_error(&err, CVM_ERR_USAGE, "a guest 'web' exists already");
    must(cvm_store_peek(&s, "web2", CID_FIRST, CID_COUNT, &cid, &err), &err);
    assert_int_equal(cid, CID_FIRST + 1);
    place_write_text(p, "vms/file", "");
    place_symlink(p, "nowhere", "vms/link");
    assert_false(launch(&s, "file", &cid, &err));
    assert_error(&err, CVM_ERR_USAGE, "exists already");
    assert_false(launch(&s, "link", &cid, &err));
    assert_error(&err, CVM_ERR_USAGE, "exists already");
    assert_int_equal(place_count(p, "vms"), 4); /* nothing half-made */
}

/* A directory that somebody else puts there meanwhile is not overwritten. */
static void test_commit_replaces_nothing(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    struct cvm_claim c = CVM_CLAIM_NONE;
    must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
    must(cvm_claim_make(&c, &err), &err);
    place_mkdir(p, "vms/web");
    assert_false(cvm_claim_commit(&c, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "create guest 'web'");
    cvm_claim_drop(&c);
    assert_int_equal(place_count(p, "vms"), 2);
    assert_int_equal(place_count(p, "vms/web"), 0);
}

/* --- CIDs --- */

static void test_the_lowest_free_cid(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    uint32_t cid = 0;
    char name[8];
    for (uint32_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "g%u", i);
        assert_int_equal(must_launch(&s, name), CID_FIRST + i);
    }
    must(cvm_store_delete(&s, "g1", &err), &err);
    must(cvm_store_delete(&s, "g3", &err), &err);
    assert_int_equal(must_launch(&s, "a"), CID_FIRST + 1);
    assert_int_equal(must_launch(&s, "b"), CID_FIRST + 3);
    /* Guests outside a range do not count in it. */
    must(cvm_store_peek(&s, "x", 3, 10, &cid, &err), &err);
    assert_int_equal(cid, 3);
    must(cvm_store_peek(&s, "x", CID_FIRST - 1, 3, &cid, &err), &err);
    assert_int_equal(cid, CID_FIRST - 1);
    must(cvm_store_peek(&s, "x", CID_FIRST, 6, &cid, &err), &err);
    assert_int_equal(cid, CID_FIRST + 5);
    assert_false(cvm_store_peek(&s, "x", CID_FIRST, 5, &cid, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "all CIDs from 100 to 104 are taken");
}

/* A record that cannot be read may hold any CID. */
static void test_a_record_that_cannot_be_read(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "", "vm.json: not JSON" },
        { "[]", "not a JSON object" },
        { "{\"name\":\"odd\"}", "key 'uuid' is missing" },
        { "{\"cid\":2}", "key 'cid': 2 is not within 3 to" },
        { "{\"imag\":2}", "unknown key 'imag', did you mean 'image'?" },
    };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    uint32_t cid = 0;
    place_mkdir(p, "vms/odd");
    assert_false(launch(&s, "web", &cid, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "guest 'odd': 'vm.json' cannot be opened: no such file");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        place_write_text(p, "vms/odd/vm.json", bad[i].text);
        assert_false(launch(&s, "web", &cid, &err));
        assert_non_null(strstr(err.msg, "guest 'odd': "));
        assert_error(&err, CVM_ERR_MALFORMED, bad[i].message);
    }
    place_write_text(p, "outside", "{}");
    place_delete(p, "vms/odd/vm.json");
    place_symlink(p, "../../outside", "vms/odd/vm.json");
    assert_false(launch(&s, "web", &cid, &err));
    assert_error(&err, CVM_ERR_MALFORMED, "guest 'odd': 'vm.json' leads out of its directory");
    assert_false(place_has(p, "vms/web"));
}

/* --- guests --- */

static void test_opening_guests(void **state)
{
    static const char *const bad[] = { "", ".", "..", ".lock", "../web", "web/", "-x" };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    must_launch(&s, "web");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
        assert_false(cvm_vm_open(&s, bad[i], false, &vm, &err));
        assert_error(&err, CVM_ERR_MALFORMED, "name");
    }
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    assert_false(cvm_vm_open(&s, "wbe", false, &vm, &err));
    assert_error(&err, CVM_ERR_USAGE, "there is no guest 'wbe' in '");
    place_symlink(p, "web", "vms/link");
    assert_false(cvm_vm_open(&s, "link", false, &vm, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "guest 'link'");
    must(cvm_vm_open(&s, "web", false, &vm, &err), &err);
    assert_string_equal(vm.record.name, "web");
    assert_string_equal(vm.record.libvirt_uri, "test:///default");
    assert_int_equal(vm.record.cid.value, CID_FIRST);
    assert_true(vm.record.no_tee.value);
    assert_string_equal(vm.path + strlen(vm.path) - 8, "/vms/web");
}

static void test_a_lock_that_is_held(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(*state);
    must_launch(&s, "web");
    {
        cvm_autovm struct cvm_vm first = CVM_VM_NONE;
        cvm_autovm struct cvm_vm second = CVM_VM_NONE;
        cvm_autovm struct cvm_vm reader = CVM_VM_NONE;
        must(cvm_vm_open(&s, "web", true, &first, &err), &err);
        assert_false(cvm_vm_open(&s, "web", true, &second, &err));
        assert_error(&err, CVM_ERR_SYSTEM, "guest 'web': another process works on it; try again");
        must(cvm_vm_open(&s, "web", false, &reader, &err), &err);
    }
    cvm_autovm struct cvm_vm after = CVM_VM_NONE;
    must(cvm_vm_open(&s, "web", true, &after, &err), &err);
}

/* From commit until the claim is dropped, the guest belongs to its launch. */
static void test_a_launch_holds_its_guest(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(*state);
    struct cvm_claim c = CVM_CLAIM_NONE;
    cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
    must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
    must(cvm_claim_make(&c, &err), &err);
    must(write_record(c.fd, "web", c.cid, &err), &err);
    must(cvm_claim_commit(&c, &err), &err);
    assert_false(cvm_vm_open(&s, "web", true, &vm, &err));
    assert_error(&err, CVM_ERR_SYSTEM, "another process works on it");
    cvm_vm_close(&vm);
    assert_int_equal(must_launch(&s, "other"), CID_FIRST + 1); /* the store is free again */
    cvm_claim_drop(&c);
    must(cvm_vm_open(&s, "web", true, &vm, &err), &err);
}

static void test_the_list_is_sorted_and_has_guests_only(void **state)
{
    static const char *const want[] = { "0", "Z", "a", "a-b", "b" };
    static const char *const made[] = { "b", "a-b", "Z", "0", "a" };
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    for (size_t i = 0; i < 5; i++) {
        must_launch(&s, made[i]);
    }
    place_write_text(p, "vms/file", "");
    place_symlink(p, "a", "vms/link");
    place_mkdir(p, "vms/.hidden");
    must(cvm_store_list(&s, &names, &err), &err);
    assert_int_equal(names.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(names.items[i], want[i]);
    }
}

/* --- deleting --- */

static void test_a_tree_is_deleted_and_links_are_not_followed(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    must_launch(&s, "web");
    place_mkdir(p, "outside");
    place_write_text(p, "outside/precious", "x");
    place_mkdir(p, "vms/web/shared");
    place_mkdir(p, "vms/web/shared/deep");
    place_write_text(p, "vms/web/shared/deep/.file", "x");
    place_symlink(p, "../../../outside", "vms/web/shared/dir");
    place_symlink(p, place_path(p, "outside/precious"), "vms/web/shared/file");
    place_symlink(p, ".", "vms/web/shared/loop");
    assert_int_equal(mkfifoat(p->fd, "vms/web/fifo", 0600), 0);
    must(cvm_store_delete(&s, "web", &err), &err);
    assert_int_equal(place_count(p, "vms"), 1);
    assert_true(place_has(p, "outside/precious"));
    assert_false(cvm_store_delete(&s, "web", &err));
    assert_error(&err, CVM_ERR_SYSTEM, "guest 'web'");
}

static void test_a_tree_that_is_too_deep(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    char path[512] = "vms/web";
    must_launch(&s, "web");
    for (int i = 0; i < 70; i++) {
        strcat(path, "/d");
        place_mkdir(p, path);
    }
    assert_false(cvm_store_delete(&s, "web", &err));
    assert_error(&err, CVM_ERR_SYSTEM, "'d': 'd'");
}

/* What a launch that was killed left, the next one removes. */
static void test_leftovers_of_launches(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    place_mkdir(p, "vms/.web.1.new");
    place_mkdir(p, "vms/.web.1.new/shared");
    place_write_text(p, "vms/.web.1.new/disk.raw", "x");
    place_mkdir(p, "vms/.keep.1.old");
    struct cvm_claim c = CVM_CLAIM_NONE;
    must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
    assert_false(place_has(p, "vms/.web.1.new"));
    assert_true(place_has(p, "vms/.keep.1.old"));
    cvm_claim_drop(&c);
}

/* The same for a removal that was killed: its disk would take room for ever. */
static void test_leftovers_of_removals(void **state)
{
    const struct place *p = *state;
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(p);
    place_mkdir(p, "vms/.web.1.gone");
    place_write_text(p, "vms/.web.1.gone/disk.raw", "x");
    place_mkdir(p, "vms/.db.1.gone");
    cvm_autoclose int busy = openat(s.fd, ".db.1.gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(busy, LOCK_EX | LOCK_NB), 0); /* somebody is still at it */
    struct cvm_claim c = CVM_CLAIM_NONE;
    must(cvm_store_claim(&s, "web", CID_FIRST, CID_COUNT, &c, &err), &err);
    assert_false(place_has(p, "vms/.web.1.gone"));
    assert_true(place_has(p, "vms/.db.1.gone"));
    cvm_claim_drop(&c);
}

/* --- many at once --- */

enum { PROCESSES = 8, ROUNDS = 100 };

/* Ends the process, with what went wrong on stderr. */
static void finish(bool ok, const struct cvm_error *err)
{
    if (!ok) {
        fprintf(stderr, "process %ld: %s\n", (long)getpid(), err->msg);
    }
    _exit(ok ? 0 : 1);
}

static void in_processes(const struct place *p, void (*run)(const struct cvm_store *s, unsigned i))
{
    pid_t pids[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct cvm_error err = { 0 };
            struct cvm_store s;
            alarm(120);
            finish(cvm_store_open(p->path, true, &s, &err) && (run(&s, i), true), &err);
        }
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        failed += status != 0;
    }
    assert_int_equal(failed, 0);
}

static void launch_three(const struct cvm_store *s, unsigned i)
{
    for (unsigned n = 0; n < 3; n++) {
        struct cvm_error err = { 0 };
        uint32_t cid;
        char name[32];
        snprintf(name, sizeof name, "g%u-%u", i, n);
        if (!launch(s, name, &cid, &err)) {
            finish(false, &err);
        }
    }
}

static void test_cids_of_concurrent_launches(void **state)
{
    struct cvm_error err = { 0 };
    bool seen[3 * PROCESSES] = { false };
    in_processes(*state, launch_three);
    cvm_autostore struct cvm_store s = open_store(*state);
    CVM_CLEANUP(cvm_names_free)
    struct cvm_names names = { 0 };
    must(cvm_store_list(&s, &names, &err), &err);
    assert_int_equal(names.count, 3 * PROCESSES);
    for (size_t i = 0; i < names.count; i++) {
        cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
        must(cvm_vm_open(&s, names.items[i], false, &vm, &err), &err);
        uint64_t at = vm.record.cid.value - CID_FIRST;
        assert_true(at < 3 * PROCESSES); /* the lowest ones, without a gap */
        assert_false(seen[at]);
        seen[at] = true;
    }
}

/* All want the same name: one of them gets it, the others are told why not. */
static void launch_the_same(const struct cvm_store *s, unsigned i)
{
    struct cvm_error err = { 0 };
    uint32_t cid;
    (void)i;
    if (!launch(s, "web", &cid, &err) && err.code != CVM_ERR_USAGE) {
        finish(false, &err);
    }
}

static void test_one_name_for_many(void **state)
{
    in_processes(*state, launch_the_same);
    assert_int_equal(place_count(*state, "vms"), 2);
    assert_true(place_has(*state, "vms/web/vm.json"));
}

static void hold_the_store(const struct cvm_store *s, int ready)
{
    struct cvm_error err = { 0 };
    struct cvm_claim c = CVM_CLAIM_NONE;
    struct stat st;
    alarm(60);
    bool ok = cvm_store_claim(s, "db", CID_FIRST, CID_COUNT, &c, &err) && write(ready, "", 1) == 1;
    usleep(300000);
    finish(ok && fstatat(s->fd, "web", &st, 0) == 0, &err);
}

/* A launch that looks through all guests must not find one that is going away. */
static void test_a_removal_waits_for_a_launch(void **state)
{
    struct cvm_error err = { 0 };
    cvm_autostore struct cvm_store s = open_store(*state);
    int ready[2];
    char byte;
    int status = -1;
    must_launch(&s, "web");
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        hold_the_store(&s, ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    must(cvm_store_delete(&s, "web", &err), &err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
}

/* Guests come and go: neither disturbs the others. */
static void launch_and_delete(const struct cvm_store *s, unsigned i)
{
    for (unsigned n = 0; n < ROUNDS; n++) {
        struct cvm_error err = { 0 };
        uint32_t cid;
        char name[32];
        snprintf(name, sizeof name, "g%u", i);
        cvm_autovm struct cvm_vm vm = CVM_VM_NONE;
        if (!launch(s, name, &cid, &err) || !cvm_vm_open(s, name, true, &vm, &err) ||
            !cvm_store_delete(s, name, &err)) {
            finish(false, &err);
        }
    }
}

static void test_guests_that_come_and_go(void **state)
{
    in_processes(*state, launch_and_delete);
    assert_int_equal(place_count(*state, "vms"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opening),
        TEST(test_a_guest_appears_whole_or_not_at_all),
        TEST(test_what_is_dropped_leaves_nothing),
        TEST(test_a_name_that_is_taken),
        TEST(test_commit_replaces_nothing),
        TEST(test_the_lowest_free_cid),
        TEST(test_a_record_that_cannot_be_read),
        TEST(test_opening_guests),
        TEST(test_a_lock_that_is_held),
        TEST(test_a_launch_holds_its_guest),
        TEST(test_the_list_is_sorted_and_has_guests_only),
        TEST(test_a_tree_is_deleted_and_links_are_not_followed),
        TEST(test_a_tree_that_is_too_deep),
        TEST(test_leftovers_of_launches),
        TEST(test_leftovers_of_removals),
        TEST(test_cids_of_concurrent_launches),
        TEST(test_one_name_for_many),
        TEST(test_a_removal_waits_for_a_launch),
        TEST(test_guests_that_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
