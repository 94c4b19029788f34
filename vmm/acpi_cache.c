#include "vmm/acpi_cache.h"

#include "measure/base/file.h"
#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "vmm/json.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_ENTRY = 4096 };

/* --- files of the cache --- */

static void put_format(struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_put_u64(b, "format", CVM_ACPI_CACHE_FORMAT);
}

static void write_entry(int dir, const char *name, struct cvm_json_builder *b)
{
    cvm_autobuf struct cvm_buf text = { 0 };
    struct cvm_error err = { 0 };
    cvm_json_end(b);
    if (!cvm_json_finish(b, CVM_JSON_PRETTY, &text, &err) ||
        !cvm_file_write(dir, name, text.data, text.len, 0600, &err)) {
        cvm_log("the cache of ACPI answers was not written: %s", err.msg);
    }
}

/* Decodes an entry into a zeroed struct; whatever is wrong with it, it is as good as none. */
static bool read_entry(int dir, const char *name, const struct cvm_json_field *fields, void *out,
                       struct json_object **document)
{
    struct cvm_error err = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    if (cvm_file_read(fd, name, MAX_ENTRY, &text, &err) &&
        cvm_json_parse(name, cvm_buf_bytes(&text), document, &err) &&
        cvm_json_decode(*document, fields, CVM_JSON_REJECT_UNKNOWN, out, &err)) {
        return true;
    }
    cvm_log("an entry of the cache of ACPI answers is ignored: %s", err.msg);
    return false;
}

/* --- the emulator's digest --- */

struct identity_entry {
    struct cvm_opt_u64 format, device, inode, size, mtime_ns, ctime_ns;
    const char *sha256;
};

#define IDENTITY(f) offsetof(struct identity_entry, f)
/* clang-format off */
static const struct cvm_json_field identity_fields[] = {
    { "format",   CVM_JSON_NUMBER, IDENTITY(format), .required = true, .min = CVM_ACPI_CACHE_FORMAT, .max = CVM_ACPI_CACHE_FORMAT },
    { "device",   CVM_JSON_NUMBER, IDENTITY(device), .required = true },
    { "inode",    CVM_JSON_NUMBER, IDENTITY(inode), .required = true },
    { "size",     CVM_JSON_NUMBER, IDENTITY(size), .required = true },
    { "mtime_ns", CVM_JSON_NUMBER, IDENTITY(mtime_ns), .required = true },
    { "ctime_ns", CVM_JSON_NUMBER, IDENTITY(ctime_ns), .required = true },
    { "sha256",   CVM_JSON_STRING, IDENTITY(sha256), .required = true, .min = 64, .max = 64 },
    { 0 },
};
/* clang-format on */

static void name_identity(const struct cvm_file_id *id, char *name, size_t size)
{
    snprintf(name, size, "emulator-%llx-%llx.json", (unsigned long long)id->device,
             (unsigned long long)id->inode);
}

static bool recall_digest(int dir, const struct cvm_file_id *id, struct cvm_sha256 *out)
{
    char name[64];
    struct identity_entry e = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct cvm_error ignored = { 0 };
    name_identity(id, name, sizeof name);
    return read_entry(dir, name, identity_fields, &e, &document) && e.device.value == id->device &&
           e.inode.value == id->inode && e.size.value == id->size &&
           e.mtime_ns.value == (uint64_t)id->mtime_ns &&
           e.ctime_ns.value == (uint64_t)id->ctime_ns &&
           cvm_hex_decode(e.sha256, 64, out->bytes, sizeof out->bytes, &ignored);
}

/* Clocks of file systems tick slowly: a second change within a tick would go unseen. */
static bool is_settled(const struct cvm_file_id *id)
{
    enum { SETTLED_AFTER_S = 2 };
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t limit = (int64_t)(now.tv_sec - SETTLED_AFTER_S) * 1000000000;
    return id->mtime_ns >= 0 && id->mtime_ns < limit && id->ctime_ns >= 0 && id->ctime_ns < limit;
}

static void keep_digest(int dir, const struct cvm_file_id *id, const struct cvm_sha256 *digest)
{
    char name[64];
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (!is_settled(id)) {
        return;
    }
    name_identity(id, name, sizeof name);
    put_format(&b);
    cvm_json_put_u64(&b, "device", id->device);
    cvm_json_put_u64(&b, "inode", id->inode);
    cvm_json_put_u64(&b, "size", id->size);
    cvm_json_put_u64(&b, "mtime_ns", (uint64_t)id->mtime_ns);
    cvm_json_put_u64(&b, "ctime_ns", (uint64_t)id->ctime_ns);
    cvm_json_put_hex(&b, "sha256", digest->bytes, sizeof digest->bytes);
    write_entry(dir, name, &b);
}

/* Hashes the whole file, which has to begin as an ELF file does. */
static bool hash_program(int fd, const char *path, struct cvm_sha256 *out, struct cvm_error *err)
{
    static const uint8_t elf[] = { 0x7f, 'E', 'L', 'F' };
    cvm_autohash struct cvm_hash h = { 0 };
    uint8_t chunk[65536];
    size_t got = 1;
    if (!cvm_hash_init(&h, CVM_HASH_SHA256, err)) {
        return false;
    }
    for (uint64_t at = 0; got != 0; at += got) {
        if (!cvm_file_read_at(fd, path, chunk, sizeof chunk, at, &got, err)) {
            return false;
        }
        if (at == 0 && (got < sizeof elf || memcmp(chunk, elf, sizeof elf) != 0)) {
            return cvm_fail(err, CVM_ERR_UNSUPPORTED,
                            "'%s' is no ELF file: its digest would not say which emulator it runs",
                            path);
        }
        if (!cvm_hash_update(&h, chunk, got, err)) {
            return false;
        }
    }
    return cvm_hash_final(&h, out->bytes, err);
}

bool cvm_acpi_cache_emulator_digest(int dir, const char *path, struct cvm_sha256 *out,
                                    struct cvm_error *err)
{
    cvm_autoclose int fd = -1;
    struct cvm_file_id before;
    struct cvm_file_id after;
    if (!cvm_file_open(path, &fd, err) || !cvm_file_identify(fd, path, &before, err)) {
        return false;
    }
    if (recall_digest(dir, &before, out)) {
        return true;
    }
    if (!hash_program(fd, path, out, err) || !cvm_file_identify(fd, path, &after, err)) {
        return false;
    }
    if (!cvm_file_id_equal(&before, &after)) {
        return cvm_fail(err, CVM_ERR_SYSTEM, "'%s' changed while it was read", path);
    }
    keep_digest(dir, &before, out);
    return true;
}

/* --- the key --- */

enum { KIND_ENDPOINT, KIND_PORT, KIND_EXPANDER };

static uint8_t kind_of(enum cvm_device_role role)
{
    switch (role) {
    case CVM_DEVICE_GPU_PORT:
    case CVM_DEVICE_NVSWITCH_PORT:
        return KIND_PORT;
    case CVM_DEVICE_EXPANDER:
        return KIND_EXPANDER;
    default:
        return KIND_ENDPOINT;
    }
}

void cvm_acpi_put_facts(const struct cvm_machine *m, struct cvm_buf *out)
{
    const uint64_t facts[] = {
        m->qemu.major,
        m->qemu.minor,
        m->qemu.micro,
        m->interrupt_trigger,
        m->cpu_count,
        m->memory_size,
        m->pic,
        m->smm,
        m->tpm,
        m->hotplug_off,
        m->pci_hole64_size,
        m->pciexbar_base,
        m->pci_window64_base,
        m->num_devices,
        m->num_numa_nodes,
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        cvm_put_le(out, facts[i], 8);
    }
    for (uint32_t i = 0; i < m->num_devices; i++) {
        cvm_put_u8(out, kind_of(m->devices[i].role));
        cvm_put_u8(out, m->devices[i].slot);
    }
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        const struct cvm_numa_node *n = &m->numa_nodes[i];
        const uint64_t node[] = { n->cpu_count, n->memory_size, n->has_expander, n->expander_bus,
                                  n->num_gpus };
        for (size_t k = 0; k < sizeof node / sizeof node[0]; k++) {
            cvm_put_le(out, node[k], 8);
        }
    }
}

static bool name_entry(int dir, const struct cvm_emulator *emulator,
                       const struct cvm_machine *machine, struct cvm_acpi_cache *out,
                       struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf key = { 0 };
    struct cvm_sha256 digest;
    if (!cvm_acpi_cache_emulator_digest(dir, emulator->path, &digest, err)) {
        return false;
    }
    cvm_put_le(&key, CVM_ACPI_CACHE_FORMAT, 4);
    cvm_put_bytes(&key, digest.bytes, sizeof digest.bytes);
    cvm_put_text(&key, emulator->says);
    cvm_put_u8(&key, '\0');
    cvm_acpi_put_facts(machine, &key);
    if (!cvm_buf_finish(&key, "key", err) || !cvm_sha256(key.data, key.len, &digest, err)) {
        return false;
    }
    cvm_hex_encode(digest.bytes, sizeof digest.bytes, out->name);
    memcpy(out->name + 64, ".json", sizeof ".json");
    return true;
}

/* --- opening --- */

static bool open_folder(int parent, const char *name, int *out, struct cvm_error *err)
{
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return cvm_fail_errno(err, errno, "create directory '%s'", name);
    }
    *out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *out >= 0 ? true : cvm_fail_errno(err, errno, "open directory '%s'", name);
}

void cvm_acpi_cache_open(const char *state_dir, const struct cvm_emulator *emulator,
                         const struct cvm_machine *machine, struct cvm_acpi_cache *out)
{
    struct cvm_error err = { 0 };
    cvm_autoclose int state = -1;
    cvm_autoclose int cache = -1;
    cvm_autoclose int dir = -1;
    *out = (struct cvm_acpi_cache)CVM_ACPI_CACHE_NONE;
    if (!cvm_dir_open(state_dir, &state, &err) || !open_folder(state, "cache", &cache, &err) ||
        !open_folder(cache, "acpi", &dir, &err) || !name_entry(dir, emulator, machine, out, &err)) {
        cvm_log("the emulator's answer is not cached: %s", err.msg);
        return;
    }
    out->dir = cvm_steal_fd(&dir);
}

void cvm_acpi_cache_close(struct cvm_acpi_cache *cache)
{
    cvm_close_at(&cache->dir);
    cache->dir = -1;
}

/* --- answers --- */

struct answer_entry {
    struct cvm_opt_u64 format;
    const char *digest[CVM_NUM_ACPI_FILES];
};

#define ANSWER(f) offsetof(struct answer_entry, f)
/* clang-format off */
static const struct cvm_json_field answer_fields[] = {
    { "format", CVM_JSON_NUMBER, ANSWER(format), .required = true, .min = CVM_ACPI_CACHE_FORMAT, .max = CVM_ACPI_CACHE_FORMAT },
    { "loader", CVM_JSON_STRING, ANSWER(digest[CVM_ACPI_FILE_LOADER]), .required = true, .min = 96, .max = 96 },
    { "rsdp",   CVM_JSON_STRING, ANSWER(digest[CVM_ACPI_FILE_RSDP]), .required = true, .min = 96, .max = 96 },
    { "tables", CVM_JSON_STRING, ANSWER(digest[CVM_ACPI_FILE_TABLES]), .required = true, .min = 96, .max = 96 },
    { 0 },
};
/* clang-format on */

bool cvm_acpi_cache_get(const struct cvm_acpi_cache *cache, struct cvm_acpi_digests *out)
{
    struct answer_entry e = { 0 };
    cvm_autojson struct json_object *document = NULL;
    struct cvm_error ignored = { 0 };
    if (cache->dir < 0 || !read_entry(cache->dir, cache->name, answer_fields, &e, &document)) {
        return false;
    }
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        if (!cvm_hex_decode(e.digest[i], 96, out->file[i].bytes, sizeof out->file[i].bytes,
                            &ignored)) {
            return false;
        }
    }
    return true;
}

void cvm_acpi_cache_put(const struct cvm_acpi_cache *cache, const struct cvm_acpi_digests *answer)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (cache->dir < 0) {
        return;
    }
    put_format(&b);
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        cvm_json_put_hex(&b, answer_fields[i + 1].key, answer->file[i].bytes,
                         sizeof answer->file[i].bytes);
    }
    write_entry(cache->dir, cache->name, &b);
}

bool cvm_acpi_digest(const struct cvm_acpi_files *files, struct cvm_acpi_digests *out,
                     struct cvm_error *err)
{
    for (size_t i = 0; i < CVM_NUM_ACPI_FILES; i++) {
        if (!cvm_sha384(files->file[i].data, files->file[i].size, &out->file[i], err)) {
            return false;
        }
    }
    return true;
}
