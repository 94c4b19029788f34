/*
 * DSDT: where the pins of each slot lead, through link devices with the PIC (LNKA to LNKH)
 * and straight to I/O APIC inputs without it (GSIA to GSIH).
 */
#include "measure/acpi/dsdt.h"

enum { NUM_SLOTS = 32, NUM_PINS = 4 };

/*
 * Pins rotate over links E to H on slots 0 to 24, as behind a bridge; the chip set's own
 * slots have A to D in order, slot 30 E to H.
 */
static char link_of(unsigned slot, unsigned pin)
{
    if (slot < 25) {
        return (char)('E' + (slot + pin) % NUM_PINS);
    }
    return (char)((slot == 30 ? 'E' : 'A') + pin);
}

/* Package of { address, pin, link, 0 } for every pin; prefix is "LNK" or "GSI". */
static void put_routing_table(struct aml *a, const char *name, const char *prefix)
{
    aml_name(a, name);
    aml_package(a, NUM_SLOTS * NUM_PINS);
    for (unsigned slot = 0; slot < NUM_SLOTS; slot++) {
        for (unsigned pin = 0; pin < NUM_PINS; pin++) {
            const char link[] = { prefix[0], prefix[1], prefix[2], link_of(slot, pin), '\0' };
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_namestring(a, link);
            aml_int(a, 0);
            aml_end(a);
        }
    }
    aml_end(a);
}

static void put_interrupts(struct dsdt *d, const char *name, const uint32_t *irqs, uint8_t count)
{
    aml_name(&d->aml, name);
    aml_resources(&d->aml);
    aml_interrupts(&d->aml, d->machine->interrupt_trigger == CVM_TRIGGER_EDGE, irqs, count);
    aml_resources_end(&d->aml);
}

/* IQST: a link's status from its register; IQCR: its current resources. */
static void put_link_helpers(struct dsdt *d)
{
    static const uint32_t none = 0;
    struct aml *a = &d->aml;
    aml_method(a, "IQST", 1, AML_NOT_SERIALIZED);
    aml_asl(a, "If (And (0x80, Arg0, Zero)) { Return (0x09) } Return (0x0B)");
    aml_end(a);

    aml_method(a, "IQCR", 1, AML_SERIALIZED);
    put_interrupts(d, "PRR0", &none, 1);
    aml_asl(a, "CreateDWordField (PRR0, 5, PRRI)"
               "Store (And (Arg0, 0x0F, Zero), PRRI)"
               "Return (PRR0)");
    aml_end(a);
}

static void put_link_device(struct dsdt *d, unsigned number)
{
    static const uint32_t possible[] = { 5, 10, 11 };
    const char letter = (char)('A' + number);
    const char name[] = { 'L', 'N', 'K', letter, '\0' };
    struct aml *a = &d->aml;
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", number);
    put_interrupts(d, "_PRS", possible, 3);
    aml_method(a, "_STA", 0, AML_NOT_SERIALIZED);
    aml_asl(a, "Return (IQST (PRQ%c)) }", letter);
    aml_method(a, "_DIS", 0, AML_NOT_SERIALIZED);
    aml_asl(a, "Or (PRQ%c, 0x80, PRQ%c) }", letter, letter);
    aml_method(a, "_CRS", 0, AML_NOT_SERIALIZED);
    aml_asl(a, "Return (IQCR (PRQ%c)) }", letter);
    aml_method(a, "_SRS", 1, AML_NOT_SERIALIZED);
    aml_asl(a, "CreateDWordField (Arg0, 5, PRRI) Store (PRRI, PRQ%c) }", letter);
    aml_end(a);
}

static void put_gsi_device(struct dsdt *d, unsigned number)
{
    const char name[] = { 'G', 'S', 'I', (char)('A' + number), '\0' };
    const uint32_t gsi = 16 + number;
    struct aml *a = &d->aml;
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", gsi);
    put_interrupts(d, "_PRS", &gsi, 1);
    put_interrupts(d, "_CRS", &gsi, 1);
    aml_method(a, "_DIS", 0, AML_NOT_SERIALIZED);
    aml_end(a);
    aml_method(a, "_SRS", 1, AML_NOT_SERIALIZED);
    aml_end(a);
    aml_end(a);
}

void dsdt_put_interrupt_routing(struct dsdt *d)
{
    enum { NUM_LINKS = 8 };
    struct aml *a = &d->aml;
    aml_name_int(a, "PICF", 0);
    aml_method(a, "_PIC", 1, AML_NOT_SERIALIZED);
    aml_asl(a, "Store (Arg0, PICF) }");

    aml_scope(a, "_SB");
    {
        aml_scope(a, "PCI0");
        put_routing_table(a, "PRTP", "LNK");
        put_routing_table(a, "PRTA", "GSI");
        aml_method(a, "_PRT", 0, AML_NOT_SERIALIZED);
        aml_asl(a, "If (LEqual (PICF, Zero)) { Return (PRTP) } Else { Return (PRTA) } }");
        aml_end(a);

        put_link_helpers(d);
        for (unsigned i = 0; i < NUM_LINKS; i++) {
            put_link_device(d, i);
        }
        for (unsigned i = 0; i < NUM_LINKS; i++) {
            put_gsi_device(d, i);
        }
    }
    aml_end(a);
}
