#include "vmm/pci_host.h"

#include "measure/base/cleanup.h"

#include <ctype.h>
#include <stdio.h>

#define DEVICES "/sys/bus/pci/devices"
#define GROUPS "/sys/kernel/iommu_groups"

/* --- addresses --- */

/* Takes min to max hex digits from *text. */
static bool take_hex(const char **text, unsigned min, unsigned max, uint64_t *out)
{
    const char *p = *text;
    unsigned n = 0;
    *out = 0;
    for (; n < max && isxdigit((unsigned char)p[n]); n++) {
        unsigned char c = (unsigned char)tolower((unsigned char)p[n]);
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *text = p + n;
    return n >= min;
}

static bool take_char(const char **text, char c)
{
    bool ok = **text == c;
    *text += ok;
    return ok;
}

bool cvm_pci_address_parse(const char *text, struct cvm_pci_address *out, struct cvm_error *err)
{
    enum { MAX_SLOT = 31, MAX_FUNCTION = 7 };
    const char *p = text;
    const char *first = strchr(text, ':');
    bool has_domain = first != NULL && strchr(first + 1, ':') != NULL;
    uint64_t domain = 0;
    uint64_t bus;
    uint64_t slot;
    uint64_t function;
    bool ok = (!has_domain || (take_hex(&p, 4, 8, &domain) && take_char(&p, ':'))) &&
              take_hex(&p, 2, 2, &bus) && take_char(&p, ':') && take_hex(&p, 2, 2, &slot) &&
              take_char(&p, '.') && take_hex(&p, 1, 1, &function) && *p == '\0';
    if (!ok || slot > MAX_SLOT || function > MAX_FUNCTION) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%.64s' is not a PCI address like 0000:18:00.0",
                        text);
    }
    *out = (struct cvm_pci_address){
        .domain = (uint32_t)domain,
        .bus = (uint8_t)bus,
        .slot = (uint8_t)slot,
        .function = (uint8_t)function,
    };
    return true;
}

bool cvm_pci_id_parse(const char *text, uint16_t *vendor, uint16_t *device, struct cvm_error *err)
{
    const char *p = text;
    uint64_t v;
    uint64_t d;
    if (!take_hex(&p, 4, 4, &v) || !take_char(&p, ':') || !take_hex(&p, 4, 4, &d) || *p != '\0') {
        return cvm_fail(err, CVM_ERR_MALFORMED, "'%.64s' is not VENDOR:DEVICE like 10de:2335",
                        text);
    }
    *vendor = (uint16_t)v;
    *device = (uint16_t)d;
    return true;
}

struct cvm_pci_text cvm_pci_address_text(struct cvm_pci_address address)
{
    struct cvm_pci_text t;
    snprintf(t.text, sizeof t.text, "%04x:%02x:%02x.%x", address.domain, address.bus, address.slot,
             address.function);
    return t;
}

static uint64_t order_of(struct cvm_pci_address a)
{
    return (uint64_t)a.domain << 16 | (uint64_t)a.bus << 8 | (uint64_t)a.slot << 3 | a.function;
}

int cvm_pci_address_compare(struct cvm_pci_address a, struct cvm_pci_address b)
{
    return (order_of(a) > order_of(b)) - (order_of(a) < order_of(b));
}

/* --- a device --- */

struct device_path {
    char text[CVM_SYSFS_PATH];
};

static struct device_path path_of(struct cvm_pci_address address, const char *file)
{
    struct device_path p;
    snprintf(p.text, sizeof p.text, DEVICES "/%s%s", cvm_pci_address_text(address).text, file);
    return p;
}

bool cvm_pci_exists(const char *root, struct cvm_pci_address address)
{
    return cvm_sysfs_has(root, path_of(address, "").text);
}

static bool malformed(const char *root, const char *path, const char *text, struct cvm_error *err)
{
    return cvm_fail(err, CVM_ERR_MALFORMED, "'%s%s' says '%.40s'", root, path, text);
}

/* "0x10de": a number of up to so many hex digits. */
static bool read_hex(const char *root, struct cvm_pci_address address, const char *file,
                     unsigned digits, uint64_t *out, struct cvm_error *err)
{
    char text[64];
    struct device_path path = path_of(address, file);
    if (!cvm_sysfs_text(root, path.text, text, sizeof text, err)) {
        return false;
    }
    const char *p = text;
    return take_char(&p, '0') && take_char(&p, 'x') && take_hex(&p, 1, digits, out) && *p == '\0'
               ? true
               : malformed(root, path.text, text, err);
}

/* A decimal number below 10^9. */
static bool parse_decimal(const char *text, uint32_t *out)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 9 || text[n] != '\0') {
        return false;
    }
    *out = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

static bool read_node(const char *root, struct cvm_pci_address address, int *out,
                      struct cvm_error *err)
{
    char text[64];
    uint32_t node = 0;
    struct device_path path = path_of(address, "/numa_node");
    if (!cvm_sysfs_has(root, path.text)) { /* a kernel without NUMA */
        *out = -1;
        return true;
    }
    if (!cvm_sysfs_text(root, path.text, text, sizeof text, err)) {
        return false;
    }
    bool none = strcmp(text, "-1") == 0;
    if (!none && !parse_decimal(text, &node)) {
        return malformed(root, path.text, text, err);
    }
    *out = none ? -1 : (int)node;
    return true;
}

static bool read_group(const char *root, struct cvm_pci_facts *f, struct cvm_error *err)
{
    char name[CVM_SYSFS_NAME];
    struct device_path path = path_of(f->address, "/iommu_group");
    if (!cvm_sysfs_link(root, path.text, name, err)) {
        return false;
    }
    f->has_group = name[0] != '\0';
    return !f->has_group || parse_decimal(name, &f->iommu_group)
               ? true
               : malformed(root, path.text, name, err);
}

static enum cvm_pci_bar_kind kind_of(uint64_t flags)
{
    enum { IO = 0x100, MEMORY = 0x200, PREFETCH = 0x2000, MEMORY_64 = 0x100000 };
    if ((flags & MEMORY) != 0) {
        bool window64 = (flags & PREFETCH) != 0 && (flags & MEMORY_64) != 0;
        return window64 ? CVM_PCI_BAR_MEM64 : CVM_PCI_BAR_MEM32;
    }
    return (flags & IO) != 0 ? CVM_PCI_BAR_IO : CVM_PCI_BAR_NONE;
}

/* "0xSTART 0xEND 0xFLAGS", 16 digits each; all zeros where there is none. */
static bool take_bar(const char **text, struct cvm_pci_bar *out)
{
    uint64_t values[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        if ((i > 0 && !take_char(text, ' ')) || !take_char(text, '0') || !take_char(text, 'x') ||
            !take_hex(text, 1, 16, &values[i])) {
            return false;
        }
    }
    enum cvm_pci_bar_kind kind = kind_of(values[2]);
    bool none = kind == CVM_PCI_BAR_NONE;
    bool whole = values[1] - values[0] == UINT64_MAX;
    if (!none && (values[1] < values[0] || whole)) {
        return false;
    }
    *out = (struct cvm_pci_bar){
        .kind = kind,
        .size = none ? 0 : values[1] - values[0] + 1,
    };
    return true;
}

bool cvm_pci_parse_bars(const char *text, struct cvm_pci_bar out[CVM_PCI_NUM_BARS],
                        struct cvm_error *err)
{
    struct cvm_pci_bar bars[CVM_PCI_NUM_BARS];
    const char *p = text;
    for (unsigned i = 0; i < CVM_PCI_NUM_BARS; i++) {
        const char *line = p;
        if (!take_bar(&p, &bars[i]) || (!take_char(&p, '\n') && *p != '\0')) {
            size_t n = strcspn(line, "\n");
            return cvm_fail(err, CVM_ERR_MALFORMED, "line %u is not a range: '%.*s'", i + 1,
                            (int)(n < 80 ? n : 80), line);
        }
    }
    memcpy(out, bars, sizeof bars);
    return true;
}

static bool read_bars(const char *root, struct cvm_pci_facts *f, struct cvm_error *err)
{
    char text[4096];
    struct device_path path = path_of(f->address, "/resource");
    if (!cvm_sysfs_text(root, path.text, text, sizeof text, err)) {
        return false;
    }
    return cvm_pci_parse_bars(text, f->bars, err) || cvm_context(err, "'%s%s'", root, path.text);
}

bool cvm_pci_read_id(const char *root, struct cvm_pci_address address, uint16_t *vendor,
                     uint16_t *device, struct cvm_error *err)
{
    uint64_t v = 0;
    uint64_t d = 0;
    if (!read_hex(root, address, "/vendor", 4, &v, err) ||
        !read_hex(root, address, "/device", 4, &d, err)) {
        return cvm_context(err, "PCI device %s", cvm_pci_address_text(address).text);
    }
    *vendor = (uint16_t)v;
    *device = (uint16_t)d;
    return true;
}

bool cvm_pci_read(const char *root, struct cvm_pci_address address, struct cvm_pci_facts *out,
                  struct cvm_error *err)
{
    struct cvm_pci_facts f = { .address = address };
    uint64_t class = 0;
    if (!cvm_pci_read_id(root, address, &f.vendor, &f.device, err)) {
        return false;
    }
    if (!read_hex(root, address, "/class", 6, &class, err) ||
        !read_node(root, address, &f.numa_node, err) || !read_group(root, &f, err) ||
        !cvm_sysfs_link(root, path_of(address, "/driver").text, f.driver, err) ||
        !read_bars(root, &f, err)) {
        return cvm_context(err, "PCI device %s", cvm_pci_address_text(address).text);
    }
    f.class = (uint32_t) class;
    *out = f;
    return true;
}

/* --- several --- */

static int compare(const void *a, const void *b)
{
    const struct cvm_pci_address *x = a;
    const struct cvm_pci_address *y = b;
    return cvm_pci_address_compare(*x, *y);
}

static bool list(const char *root, const char *path, struct cvm_pci_addresses *out,
                 struct cvm_error *err)
{
    CVM_CLEANUP(cvm_sysfs_names_free)
    struct cvm_sysfs_names names = { 0 };
    if (!cvm_sysfs_list(root, path, &names, err)) {
        return false;
    }
    cvm_autofree struct cvm_pci_address *items = calloc(names.count + 1, sizeof *items);
    if (items == NULL) {
        return cvm_fail_nomem(err, "PCI devices", names.count);
    }
    for (size_t i = 0; i < names.count; i++) {
        if (!cvm_pci_address_parse(names.items[i], &items[i], err)) {
            return cvm_context(err, "'%s%s'", root, path);
        }
    }
    qsort(items, names.count, sizeof *items, compare);
    *out = (struct cvm_pci_addresses){ cvm_steal(&items), names.count };
    return true;
}

bool cvm_pci_list(const char *root, struct cvm_pci_addresses *out, struct cvm_error *err)
{
    return list(root, DEVICES, out, err);
}

bool cvm_pci_list_group(const char *root, uint32_t group, struct cvm_pci_addresses *out,
                        struct cvm_error *err)
{
    char path[CVM_SYSFS_PATH];
    snprintf(path, sizeof path, GROUPS "/%u/devices", group);
    return list(root, path, out, err);
}

void cvm_pci_addresses_free(struct cvm_pci_addresses *addresses)
{
    free(addresses->items);
    *addresses = (struct cvm_pci_addresses){ 0 };
}
