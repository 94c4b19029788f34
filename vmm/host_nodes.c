#include "vmm/host_nodes.h"

#include "vmm/sysfs.h"

#include <stdio.h>

#define NODES "/sys/devices/system/node"

/* A list of CPUs of a large host, as text. */
enum { LIST_SIZE = 65536 };

/* --- sets --- */

bool cvm_cpu_set_has(const struct cvm_cpu_set *set, unsigned cpu)
{
    return cpu < CVM_MAX_HOST_CPUS && (set->words[cpu / 64] >> cpu % 64 & 1) != 0;
}

void cvm_cpu_set_add(struct cvm_cpu_set *set, unsigned cpu)
{
    if (cpu < CVM_MAX_HOST_CPUS) {
        set->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
    }
}

unsigned cvm_cpu_set_count(const struct cvm_cpu_set *set)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CVM_MAX_HOST_CPUS; i++) {
        count += cvm_cpu_set_has(set, i);
    }
    return count;
}

/* Up to six digits, and less than the largest set. */
static bool take_number(const char **text, unsigned *out)
{
    size_t n = strspn(*text, "0123456789");
    *out = 0;
    for (size_t i = 0; i < n && i < 6; i++) {
        *out = *out * 10 + (unsigned)((*text)[i] - '0');
    }
    *text += n;
    return n >= 1 && n <= 6 && *out < CVM_MAX_HOST_CPUS;
}

static bool take_range(const char **text, struct cvm_cpu_set *out)
{
    unsigned first;
    if (!take_number(text, &first)) {
        return false;
    }
    unsigned last = first;
    if (**text == '-') {
        ++*text;
        if (!take_number(text, &last) || last < first) {
            return false;
        }
    }
    for (unsigned i = first; i <= last; i++) {
        cvm_cpu_set_add(out, i);
    }
    return true;
}

bool cvm_cpu_set_parse(const char *text, struct cvm_cpu_set *out, struct cvm_error *err)
{
    struct cvm_cpu_set set = { 0 };
    const char *p = text;
    while (*p != '\0') {
        if (!take_range(&p, &set) || (*p != '\0' && (*p != ',' || p[1] == '\0'))) {
            return cvm_fail(err, CVM_ERR_MALFORMED, "'%.64s' is not a list like 0-3,8 below %d",
                            text, CVM_MAX_HOST_CPUS);
        }
        p += *p == ',';
    }
    *out = set;
    return true;
}

void cvm_cpu_set_put(const struct cvm_cpu_set *set, struct cvm_buf *out)
{
    const char *separator = "";
    for (unsigned i = 0; i < CVM_MAX_HOST_CPUS; i++) {
        if (!cvm_cpu_set_has(set, i)) {
            continue;
        }
        unsigned last = i;
        while (cvm_cpu_set_has(set, last + 1)) {
            last++;
        }
        cvm_put_format(out, last == i ? "%s%u" : "%s%u-%u", separator, i, last);
        separator = ",";
        i = last;
    }
}

/* --- nodes --- */

static bool read_set(const char *root, const char *path, struct cvm_cpu_set *out,
                     struct cvm_error *err)
{
    cvm_autofree char *text = malloc(LIST_SIZE);
    if (text == NULL) {
        return cvm_fail_nomem(err, path, LIST_SIZE);
    }
    if (!cvm_sysfs_text(root, path, text, LIST_SIZE, err)) {
        return false;
    }
    return cvm_cpu_set_parse(text, out, err) || cvm_context(err, "'%s%s'", root, path);
}

bool cvm_host_nodes(const char *root, struct cvm_cpu_set *out, struct cvm_error *err)
{
    return read_set(root, NODES "/online", out, err) || cvm_context(err, "NUMA nodes of the host");
}

bool cvm_host_node_cpus(const char *root, uint32_t node, struct cvm_cpu_set *out,
                        struct cvm_error *err)
{
    char path[128];
    snprintf(path, sizeof path, NODES "/node%u/cpulist", node);
    return read_set(root, path, out, err) || cvm_context(err, "CPUs of host node %u", node);
}

/* --- huge pages --- */

static void counter_path(const struct cvm_huge_pages *p, const char *name, char *out, size_t size)
{
    unsigned long long kib = p->size >> 10;
    if (p->bound) {
        snprintf(out, size, NODES "/node%u/hugepages/hugepages-%llukB/%s", p->node, kib, name);
        return;
    }
    snprintf(out, size, "/sys/kernel/mm/hugepages/hugepages-%llukB/%s", kib, name);
}

bool cvm_huge_pages_free(const char *root, const struct cvm_huge_pages *of, uint64_t *out,
                         struct cvm_error *err)
{
    enum { MAX_DIGITS = 15 };
    char path[160];
    char text[32];
    counter_path(of, "free_hugepages", path, sizeof path);
    if (!cvm_sysfs_has(root, path)) { /* a size, or a node, without any */
        *out = 0;
        return true;
    }
    if (!cvm_sysfs_text(root, path, text, sizeof text, err)) {
        return false;
    }
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > MAX_DIGITS || text[n] != '\0') {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%s%s' says '%s'", root, path, text);
    }
    *out = strtoull(text, NULL, 10);
    return true;
}

bool cvm_huge_pages_check(const char *root, const struct cvm_huge_pages *wanted,
                          struct cvm_error *err)
{
    uint64_t available = 0;
    char path[160];
    char where[32] = "the host";
    if (!cvm_huge_pages_free(root, wanted, &available, err)) {
        return false;
    }
    if (available >= wanted->count) {
        return true;
    }
    if (wanted->bound) {
        snprintf(where, sizeof where, "host node %u", wanted->node);
    }
    counter_path(wanted, "nr_hugepages", path, sizeof path);
    return cvm_fail(err, CVM_ERR_SYSTEM,
                    "%s has %llu free huge pages of %llu KiB, and the guest needs %llu; write a "
                    "larger number into %s, or reserve them when the host boots",
                    where, (unsigned long long)available, (unsigned long long)wanted->size >> 10,
                    (unsigned long long)wanted->count, path);
}
