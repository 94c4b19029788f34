/*
 * Resource templates.        Source: ACPI 6.5, 6.4 (resource data types)
 */
#include "measure/acpi/aml.h"
#include "measure/acpi/aml_internal.h"

enum {
    OP_BUFFER = 0x11,
    TAG_IRQ_2 = 0x22, /* small item 4 of 2 bytes: mask only */
    TAG_IRQ_3 = 0x23, /* of 3 bytes: mask and flags */
    TAG_IO_7 = 0x47,
    TAG_MEMORY32_FIXED = 0x86,
    TAG_END = 0x79, /* with a checksum of 0: not computed */
    TAG_ADDRESS_32 = 0x87,
    TAG_ADDRESS_16 = 0x88,
    TAG_INTERRUPT = 0x89,
    TAG_ADDRESS_64 = 0x8a,
};

/* A template is Buffer (size) { descriptors, end tag }: the size goes in front at the end. */
void aml_resources(struct aml *a)
{
    cvm_put_u8(a->out, OP_BUFFER);
    aml_begin(a);
}

void aml_resources_end(struct aml *a)
{
    cvm_put_u8(a->out, TAG_END);
    cvm_put_u8(a->out, 0);
    if (a->depth == 0) {
        aml_break(a, "a resource template closed that was never opened");
        return;
    }
    size_t start = a->open[a->depth - 1];
    uint8_t storage[16];
    struct cvm_buf size = { .data = storage, .cap = sizeof storage }; /* never grows */
    struct aml encoder = aml_on(&size);
    aml_int(&encoder, a->out->len - start);
    cvm_buf_insert(a->out, start, storage, size.len);
    aml_end(a);
}

void aml_io(struct aml *a, uint16_t port, uint8_t alignment, uint8_t length)
{
    cvm_put_u8(a->out, TAG_IO_7);
    cvm_put_u8(a->out, 1); /* decodes 16 bits */
    cvm_put_le(a->out, port, 2);
    cvm_put_le(a->out, port, 2);
    cvm_put_u8(a->out, alignment);
    cvm_put_u8(a->out, length);
}

void aml_memory32_fixed(struct aml *a, uint32_t base, uint32_t length)
{
    cvm_put_u8(a->out, TAG_MEMORY32_FIXED);
    cvm_put_le(a->out, 9, 2);
    cvm_put_u8(a->out, 1); /* read-write */
    cvm_put_le(a->out, base, 4);
    cvm_put_le(a->out, length, 4);
}

void aml_irq_no_flags(struct aml *a, unsigned irq)
{
    cvm_put_u8(a->out, TAG_IRQ_2);
    cvm_put_le(a->out, UINT64_C(1) << irq, 2);
}

void aml_irq_level_low_shared(struct aml *a, unsigned irq)
{
    cvm_put_u8(a->out, TAG_IRQ_3);
    cvm_put_le(a->out, UINT64_C(1) << irq, 2);
    cvm_put_u8(a->out, 0x18); /* level, active low, shared */
}

void aml_interrupts(struct aml *a, bool edge, const uint32_t *irqs, uint8_t count)
{
    cvm_put_u8(a->out, TAG_INTERRUPT);
    cvm_put_le(a->out, 2u + 4u * count, 2);
    cvm_put_u8(a->out, edge ? 0x0b : 0x09); /* consumer, shared, active high */
    cvm_put_u8(a->out, count);
    for (uint8_t i = 0; i < count; i++) {
        cvm_put_le(a->out, irqs[i], 4);
    }
}

void aml_range(struct aml *a, size_t width, enum aml_range_kind kind, uint8_t type_flags,
               uint64_t first, uint64_t last)
{
    uint8_t tag = width == 2 ? TAG_ADDRESS_16 : width == 4 ? TAG_ADDRESS_32 : TAG_ADDRESS_64;
    cvm_put_u8(a->out, tag);
    cvm_put_le(a->out, 3 + 5 * width, 2);
    cvm_put_u8(a->out, (uint8_t)kind);
    cvm_put_u8(a->out, 0x0c); /* producer, positive decode, both ends fixed */
    cvm_put_u8(a->out, type_flags);
    cvm_put_le(a->out, 0, width); /* granularity */
    cvm_put_le(a->out, first, width);
    cvm_put_le(a->out, last, width);
    cvm_put_le(a->out, 0, width); /* translation offset */
    cvm_put_le(a->out, last - first + 1, width);
}
