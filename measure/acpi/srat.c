/*
 * System Resource Affinity Table.        Source: ACPI 6.5, 5.2.16
 */
#include "measure/acpi/madt.h"

enum { TYPE_LOCAL_APIC = 0, TYPE_MEMORY = 1, TYPE_LOCAL_X2APIC = 2, ENABLED = 1 };

#define LOW_HOLE_START UINT64_C(0xa0000) /* 640 KiB */
#define LOW_HOLE_END UINT64_C(0x100000)  /* 1 MiB */
#define FOUR_GIB (UINT64_C(1) << 32)

static void put_x2apic_affinity(struct cvm_buf *t, uint32_t node, uint32_t apic_id)
{
    cvm_put_u8(t, TYPE_LOCAL_X2APIC);
    cvm_put_u8(t, 24);         /* Length */
    cvm_put_le(t, 0, 2);       /* Reserved */
    cvm_put_le(t, node, 4);    /* Proximity Domain */
    cvm_put_le(t, apic_id, 4); /* X2APIC ID */
    cvm_put_le(t, ENABLED, 4); /* Flags */
    cvm_put_le(t, 0, 4);       /* Clock Domain */
    cvm_put_le(t, 0, 4);       /* Reserved */
}

static void put_cpu_affinity(struct cvm_buf *t, uint32_t node, uint32_t apic_id)
{
    if (acpi_needs_x2apic(apic_id)) {
        put_x2apic_affinity(t, node, apic_id);
        return;
    }
    cvm_put_u8(t, TYPE_LOCAL_APIC);
    cvm_put_u8(t, 16);               /* Length */
    cvm_put_u8(t, (uint8_t)node);    /* Proximity Domain, bits 0-7 */
    cvm_put_u8(t, (uint8_t)apic_id); /* APIC ID */
    cvm_put_le(t, ENABLED, 4);       /* Flags */
    cvm_put_u8(t, 0);                /* Local SAPIC EID */
    cvm_put_le(t, node >> 8, 3);     /* Proximity Domain, bits 8-31 */
    cvm_put_le(t, 0, 4);             /* Clock Domain */
}

static void put_memory_affinity(struct cvm_buf *t, uint32_t node, uint64_t base, uint64_t length,
                                uint32_t flags)
{
    cvm_put_u8(t, TYPE_MEMORY);
    cvm_put_u8(t, 40);        /* Length */
    cvm_put_le(t, node, 4);   /* Proximity Domain */
    cvm_put_le(t, 0, 2);      /* Reserved */
    cvm_put_le(t, base, 8);   /* Base Address */
    cvm_put_le(t, length, 8); /* Length */
    cvm_put_le(t, 0, 4);      /* Reserved */
    cvm_put_le(t, flags, 4);  /* Flags */
    cvm_put_le(t, 0, 8);      /* Reserved */
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A node's part of RAM, counted without holes, as ranges of addresses; returns how many. */
static unsigned put_node_memory(struct acpi_build *b, uint32_t node, uint64_t from, uint64_t to)
{
    uint64_t low_end = cvm_machine_ram_below_4g(b->machine);
    const struct {
        uint64_t from, to; /* of RAM, counted without holes */
        uint64_t base;     /* where that lies */
    } pieces[] = {
        { 0, LOW_HOLE_START, 0 },
        { LOW_HOLE_END, low_end, LOW_HOLE_END },
        { low_end, b->machine->memory_size, FOUR_GIB },
    };
    unsigned count = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        uint64_t start = larger(from, pieces[i].from);
        uint64_t end = smaller(to, pieces[i].to);
        if (start < end) {
            put_memory_affinity(&b->tables, node, pieces[i].base + (start - pieces[i].from),
                                end - start, ENABLED);
            count++;
        }
    }
    return count;
}

void acpi_build_srat(struct acpi_build *b)
{
    const struct cvm_machine *m = b->machine;
    uint32_t cpu = 0;
    uint64_t at = 0;
    unsigned ranges = 0;
    acpi_table_begin(b, "SRAT", 1);
    cvm_put_le(&b->tables, 1, 4); /* Reserved: must be 1 */
    cvm_put_zeros(&b->tables, 8); /* Reserved */
    for (uint32_t node = 0; node < m->num_numa_nodes; node++) {
        for (uint32_t i = 0; i < m->numa_nodes[node].cpu_count; i++) {
            put_cpu_affinity(&b->tables, node, cpu++);
        }
    }
    for (uint32_t node = 0; node < m->num_numa_nodes; node++) {
        uint64_t end = at + m->numa_nodes[node].memory_size;
        ranges += put_node_memory(b, node, at, end);
        at = end;
    }
    for (; ranges < m->num_numa_nodes + 2; ranges++) { /* room for both holes is always taken */
        put_memory_affinity(&b->tables, 0, 0, 0, 0);
    }
    acpi_table_list(b, acpi_table_end(b));
}
