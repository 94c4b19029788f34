/*
 * Fixed ACPI Description Table, revision 3.        Source: ACPI 6.5, 5.2.9
 */
#include "measure/acpi/table.h"

enum {
    PM_BASE = 0x600, /* where the firmware puts the ICH9's power-management block */
    PM1_EVENT = PM_BASE,
    PM1_CONTROL = PM_BASE + 4,
    PM_TIMER = PM_BASE + 8,
    GPE0 = PM_BASE + 0x20,
    SCI_IRQ = 9,
    APM_PORT = 0xb2,
    RESET_PORT = 0xcf9,
};

enum fadt_flags {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_SLP_BUTTON = 1 << 5,
    FADT_RTC_S4 = 1 << 7,
    FADT_RESET_REG_SUP = 1 << 10,
    FADT_USE_PLATFORM_CLOCK = 1 << 15,
    FADT_FORCE_APIC_CLUSTER_MODEL = 1 << 18,
};

/* APIC IDs above 7 do not fit the flat model of logical destinations. */
static uint32_t flags_of(const struct cvm_machine *machine)
{
    uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RTC_S4 |
                     FADT_RESET_REG_SUP | FADT_USE_PLATFORM_CLOCK;
    return machine->cpu_count > 8 ? flags | FADT_FORCE_APIC_CLUSTER_MODEL : flags;
}

/* Generic Address Structure in system I/O space. */
static void put_io_register(struct cvm_buf *t, uint8_t bits, uint64_t address)
{
    cvm_put_u8(t, 1); /* Address Space ID: system I/O */
    cvm_put_u8(t, bits);
    cvm_put_u8(t, 0); /* Register Bit Offset */
    cvm_put_u8(t, 0); /* Access Size: undefined */
    cvm_put_le(t, address, 8);
}

static void put_no_register(struct cvm_buf *t)
{
    cvm_put_zeros(t, 12);
}

static void put_legacy_blocks(struct cvm_buf *t)
{
    cvm_put_le(t, PM1_EVENT, 4);   /* PM1a_EVT_BLK */
    cvm_put_le(t, 0, 4);           /* PM1b_EVT_BLK */
    cvm_put_le(t, PM1_CONTROL, 4); /* PM1a_CNT_BLK */
    cvm_put_le(t, 0, 4);           /* PM1b_CNT_BLK */
    cvm_put_le(t, 0, 4);           /* PM2_CNT_BLK */
    cvm_put_le(t, PM_TIMER, 4);    /* PM_TMR_BLK */
    cvm_put_le(t, GPE0, 4);        /* GPE0_BLK */
    cvm_put_le(t, 0, 4);           /* GPE1_BLK */
    cvm_put_u8(t, 4);              /* PM1_EVT_LEN */
    cvm_put_u8(t, 2);              /* PM1_CNT_LEN */
    cvm_put_u8(t, 0);              /* PM2_CNT_LEN */
    cvm_put_u8(t, 4);              /* PM_TMR_LEN */
    cvm_put_u8(t, 16);             /* GPE0_BLK_LEN */
    cvm_put_u8(t, 0);              /* GPE1_BLK_LEN */
    cvm_put_u8(t, 0);              /* GPE1_BASE */
    cvm_put_u8(t, 0);              /* CST_CNT */
}

static void put_extended_blocks(struct cvm_buf *t)
{
    put_io_register(t, 32, PM1_EVENT);   /* X_PM1a_EVT_BLK */
    put_no_register(t);                  /* X_PM1b_EVT_BLK */
    put_io_register(t, 16, PM1_CONTROL); /* X_PM1a_CNT_BLK */
    put_no_register(t);                  /* X_PM1b_CNT_BLK */
    put_no_register(t);                  /* X_PM2_CNT_BLK */
    put_io_register(t, 32, PM_TIMER);    /* X_PM_TMR_BLK */
    put_io_register(t, 128, GPE0);       /* X_GPE0_BLK */
    put_no_register(t);                  /* X_GPE1_BLK */
}

void acpi_build_fadt(struct acpi_build *b)
{
    struct cvm_buf *t = &b->tables;
    bool smm = b->machine->smm;

    acpi_table_begin(b, "FACP", 3);
    acpi_put_pointer(b, b->facs, 4);      /* FIRMWARE_CTRL */
    acpi_put_pointer(b, b->dsdt, 4);      /* DSDT */
    cvm_put_u8(t, 1);                     /* reserved; INT_MODEL in ACPI 1.0 */
    cvm_put_u8(t, 0);                     /* Preferred_PM_Profile: unspecified */
    cvm_put_le(t, SCI_IRQ, 2);            /* SCI_INT */
    cvm_put_le(t, smm ? APM_PORT : 0, 4); /* SMI_CMD */
    cvm_put_u8(t, smm ? 2 : 0);           /* ACPI_ENABLE */
    cvm_put_u8(t, smm ? 3 : 0);           /* ACPI_DISABLE */
    cvm_put_u8(t, 0);                     /* S4BIOS_REQ */
    cvm_put_u8(t, 0);                     /* PSTATE_CNT */
    put_legacy_blocks(t);
    cvm_put_le(t, 0xfff, 2);                /* P_LVL2_LAT: no C2 */
    cvm_put_le(t, 0xfff, 2);                /* P_LVL3_LAT: no C3 */
    cvm_put_zeros(t, 4);                    /* FLUSH_SIZE, FLUSH_STRIDE */
    cvm_put_zeros(t, 2);                    /* DUTY_OFFSET, DUTY_WIDTH */
    cvm_put_zeros(t, 2);                    /* DAY_ALRM, MON_ALRM */
    cvm_put_u8(t, 0x32);                    /* CENTURY */
    cvm_put_le(t, 1 << 1, 2);               /* IAPC_BOOT_ARCH: 8042 present */
    cvm_put_u8(t, 0);                       /* Reserved */
    cvm_put_le(t, flags_of(b->machine), 4); /* Flags */
    put_io_register(t, 8, RESET_PORT);      /* RESET_REG */
    cvm_put_u8(t, 0x0f);                    /* RESET_VALUE */
    cvm_put_zeros(t, 2);                    /* ARM_BOOT_ARCH */
    cvm_put_u8(t, 0);                       /* FADT Minor Version */
    cvm_put_zeros(t, 8);                    /* X_FIRMWARE_CTRL */
    acpi_put_pointer(b, b->dsdt, 8);        /* X_DSDT */
    put_extended_blocks(t);
    acpi_table_list(b, acpi_table_end(b));
}
