#include "tests/unit/vmm/host_tree.h"

#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static void make_parents(const struct place *p, const char *path)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(p->fd, copy, 0755) != 0 && errno != EEXIST) {
            fail_msg("cannot make '%s'", copy);
        }
        *slash = '/';
    }
}

void tree_write(const struct place *p, const char *path, const char *text)
{
    make_parents(p, path);
    place_write_text(p, path, text);
}

void tree_link(const struct place *p, const char *path, const char *target)
{
    make_parents(p, path);
    unlinkat(p->fd, path, 0);
    place_symlink(p, target, path);
}

void tree_nodes(const struct place *p, unsigned count, unsigned cpus)
{
    char path[128];
    char text[64];
    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof path, "sys/devices/system/node/node%u/cpulist", i);
        snprintf(text, sizeof text, "%u-%u\n", i * cpus, i * cpus + cpus - 1);
        tree_write(p, path, text);
    }
    snprintf(text, sizeof text, count == 1 ? "0\n" : "0-%u\n", count - 1);
    tree_write(p, "sys/devices/system/node/online", text);
}

void tree_pages(const struct place *p, unsigned node, unsigned free_pages)
{
    char path[128];
    char text[16];
    snprintf(path, sizeof path,
             "sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages", node);
    snprintf(text, sizeof text, "%u\n", free_pages);
    tree_write(p, path, text);
}

static void write_in(const struct place *p, const char *address, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "sys/bus/pci/devices/%s/%s", address, file);
    tree_write(p, path, text);
}

static void link_in(const struct place *p, const char *address, const char *file,
                    const char *target)
{
    char path[256];
    snprintf(path, sizeof path, "sys/bus/pci/devices/%s/%s", address, file);
    tree_link(p, path, target);
}

static void add_group(const struct place *p, const struct tree_device *d)
{
    char text[256];
    snprintf(text, sizeof text, "../../../../kernel/iommu_groups/%u", d->group);
    link_in(p, d->address, "iommu_group", text);
    snprintf(text, sizeof text, "sys/kernel/iommu_groups/%u/devices/%s", d->group, d->address);
    tree_link(p, text, "../../../../bus/pci/devices");
    snprintf(text, sizeof text, "dev/vfio/%u", d->group);
    tree_write(p, text, "");
}

/* A small 32-bit range, and the large one. */
static void write_ranges(char *out, size_t size, unsigned gib)
{
    static const char none[] = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
    const uint64_t start = UINT64_C(0x4000000000);
    char large[64];
    snprintf(large, sizeof large, "0x%016llx 0x%016llx 0x000000000014220c\n",
             (unsigned long long)start, (unsigned long long)(start + ((uint64_t)gib << 30) - 1));
    snprintf(out, size, "0x00000000e0000000 0x00000000e0ffffff 0x0000000000040200\n%s%s%s%s%s%s",
             none, gib == 0 ? none : large, none, none, none, none);
}

void tree_add(const struct place *p, const struct tree_device *d)
{
    const char *driver = d->driver == NULL ? "vfio-pci" : d->driver;
    char text[1024];
    snprintf(text, sizeof text, "0x%.4s\n", d->id);
    write_in(p, d->address, "vendor", text);
    snprintf(text, sizeof text, "0x%s\n", d->id + 5);
    write_in(p, d->address, "device", text);
    write_in(p, d->address, "class", "0x030200\n");
    snprintf(text, sizeof text, "%d\n", d->node);
    write_in(p, d->address, "numa_node", text);
    write_ranges(text, sizeof text, d->gib);
    write_in(p, d->address, "resource", text);
    if (driver[0] != '\0') {
        snprintf(text, sizeof text, "../../drivers/%s", driver);
        link_in(p, d->address, "driver", text);
    }
    if (d->group != 0) {
        add_group(p, d);
    }
    tree_write(p, "dev/vfio/vfio", "");
}

void tree_hgx(const struct place *p)
{
    char address[16];
    for (unsigned i = 1; i <= 8; i++) {
        snprintf(address, sizeof address, "0000:%u0:00.0", i);
        tree_add(p, &(struct tree_device){ .address = address,
                                           .id = "10de:2335",
                                           .group = 10 + i,
                                           .node = i > 4,
                                           .gib = 128 });
    }
    for (unsigned i = 1; i <= 4; i++) {
        snprintf(address, sizeof address, "0000:0%u:00.0", i);
        tree_add(p, &(struct tree_device){
                        .address = address, .id = "10de:22a3", .group = i, .gib = 1 });
    }
}
