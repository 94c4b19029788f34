/**
 * The machine: every fact about a VM that reaches a measurement, and nothing else.
 *
 * It is the hinge of the project. The launch side fills it once, renders the
 * libvirt domain and vm_config from it, and hands it to this library, which
 * computes ACPI tables, the TD hand-off block and the registers from it. A second
 * copy of any of these facts would be a defect.
 *
 * Source:  docs/measurement.md; the device model is that of deployed dstack-style
 *          launchers (root bus slots in a fixed order of roles).
 * Threads: plain data, no global state.
 */
#ifndef CVM_MACHINE_H
#define CVM_MACHINE_H

#include "cvm/error.h"
#include "cvm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A QEMU version as MAJOR.MINOR.MICRO. */
struct cvm_qemu_version {
    uint16_t major;
    uint16_t minor;
    uint16_t micro;
};

/**
 * How the platform's interrupts are declared in the APIC table and the DSDT. TDX trees of
 * QEMU before 9.2 say edge, every other QEMU says level.
 */
enum cvm_interrupt_trigger { CVM_TRIGGER_LEVEL, CVM_TRIGGER_EDGE };

/** In which order the VMM adds and extends the firmware's pages (MRTD). */
enum cvm_page_add_order {
    CVM_PAGES_SINGLE_PASS, /**< per page: add, then its 16 extends */
    CVM_PAGES_TWO_PASS,    /**< per section: all adds, then all extends */
};

/** What the firmware receives as the kernel. */
enum cvm_kernel_header {
    CVM_KERNEL_REWRITTEN, /**< QEMU writes into the Linux setup header first */
    CVM_KERNEL_AS_IS,     /**< the file's own bytes */
};

/** Whether the kernel's EFI stub extends RTMR2; it learned to around Linux 6.9. */
enum cvm_kernel_measures {
    CVM_KERNEL_MEASURES_ASSUMED, /**< yes, since nobody says otherwise */
    CVM_KERNEL_MEASURES,
    CVM_KERNEL_MEASURES_NOTHING, /**< RTMR2 stays zero */
};

/** What a device on the root bus is for. Only that its slot is taken reaches a measurement. */
enum cvm_device_role {
    CVM_DEVICE_ROOTFS,
    CVM_DEVICE_DATA_DISK,
    CVM_DEVICE_VOLUME,
    CVM_DEVICE_NIC,
    CVM_DEVICE_VSOCK,
    CVM_DEVICE_SHARE,
    CVM_DEVICE_GPU_PORT,      /**< a root port with a GPU behind it */
    CVM_DEVICE_NVSWITCH_PORT, /**< a root port with an NVSwitch behind it */
    CVM_DEVICE_EXPANDER,      /**< a pxb-pcie; the i-th one belongs to the i-th node that has one */
};

/** An endpoint or root port of the root bus, at function 0 of its slot. */
struct cvm_pci_device {
    enum cvm_device_role role;
    uint8_t slot; /**< 1 to 30 */
};

/** Which window of a root port a BAR of the device behind it lies in. */
enum cvm_bar_kind {
    CVM_BAR_MEM32, /**< memory below 4 GiB: 32-bit BARs, and 64-bit ones that are not prefetchable
                    */
    CVM_BAR_MEM64, /**< 64-bit prefetchable memory */
};

struct cvm_bar {
    uint64_t size; /**< bytes; a power of two */
    enum cvm_bar_kind kind;
};

enum { CVM_MAX_BARS = 6 };

/**
 * The BARs of each device behind root ports of one kind. The firmware opens windows for them,
 * which the tables show. Where they are not known, the tables are those of a machine whose
 * firmware opened none.
 */
struct cvm_port_bars {
    bool known;
    uint32_t count;
    struct cvm_bar bars[CVM_MAX_BARS];
};

enum {
    CVM_MAX_DEVICES = 30, /**< slots of the root bus that are free on a q35 machine */
    CVM_MAX_CPUS = 4096,  /**< on the newest QEMU; older ones have fewer */
    CVM_MAX_NUMA_NODES = 8,
};

/** A NUMA node; the nodes' CPUs and memory follow each other in order. */
struct cvm_numa_node {
    uint32_t cpu_count;
    uint64_t memory_size; /**< bytes */
    bool has_expander;    /**< whether a pxb-pcie belongs to the node */
    uint8_t expander_bus; /**< its bus number, where it has one; ascending over the nodes */
    uint32_t num_gpus;    /**< root ports with GPUs behind the expander */
};

/**
 * The guest's SMBIOS type 1 strings ("system information") that somebody chose, each with its
 * NUL; an empty one is QEMU's default. They are in etc/smbios/smbios-tables, which some firmware
 * measures without the serial number.
 */
struct cvm_smbios {
    char manufacturer[64], product[64], version[64], serial[64], sku[64], family[64];
};

/**
 * The strings of the SMBIOS type 0 structure that OVMF adds: printable ASCII with their NULs;
 * an empty vendor says that they are not known.
 */
struct cvm_smbios_firmware {
    char vendor[64];
    char version[64];
    char date[64]; /**< "MM/DD/YYYY" */
};

struct cvm_layout; /* cvm/layout.h: the firmware's list of RTMR0 events */

struct cvm_machine {
    struct cvm_qemu_version qemu;
    enum cvm_interrupt_trigger interrupt_trigger;

    uint32_t cpu_count;   /**< 1 to CVM_MAX_CPUS */
    uint64_t memory_size; /**< bytes; a multiple of 1 MiB */

    bool pic; /**< the i8259 pair exists */
    bool smm;
    bool tpm;         /**< a tpm-tis device on the ISA bus */
    bool hotplug_off; /**< ACPI PCI hot-plug on the root bus is off */

    uint64_t pci_hole64_size;   /**< bytes; 0 means QEMU's default of 32 GiB */
    uint64_t pciexbar_base;     /**< where the firmware puts PCIEXBAR */
    uint64_t pci_window64_base; /**< where the firmware puts the 64-bit PCI window */

    /* fw_cfg items that newer firmware measures; 0 means that there is no such item */
    uint16_t boot_menu_wait;      /**< etc/boot-menu-wait, milliseconds */
    uint64_t reserved_memory_end; /**< etc/reserved-memory-end, an address */
    uint32_t pci_mmio64_mb;       /**< opt/ovmf/X-PciMmio64Mb, MiB */

    struct cvm_pci_device devices[CVM_MAX_DEVICES]; /**< root bus, ascending slots */
    uint32_t num_devices;

    struct cvm_numa_node numa_nodes[CVM_MAX_NUMA_NODES];
    uint32_t num_numa_nodes;

    struct cvm_port_bars gpu_bars;      /**< of the devices behind GPU ports, all alike */
    struct cvm_port_bars nvswitch_bars; /**< of those behind NVSwitch ports */

    struct cvm_smbios smbios;

    /*
     * CPUID leaf 1 of the guest's CPU, as SMBIOS type 4 has it; only firmware that measures SMBIOS
     * depends on them. Bit 28 of EDX (HTT) is set where QEMU sets it, whatever stands here.
     */
    struct cvm_opt_u32 cpu_signature;    /**< EAX */
    struct cvm_opt_u32 cpu_features_edx; /**< EDX */
    struct cvm_smbios_firmware firmware_strings;

    enum cvm_page_add_order page_add_order;
    enum cvm_kernel_header kernel_header;
    enum cvm_kernel_measures kernel_measures;
    /** Borrowed: a known layout, which is constant, or the one in a struct cvm_firmware, whose
        owner keeps it for as long as the machine is used. */
    const struct cvm_layout *layout;
};

/** Where most firmware puts PCIEXBAR and, at 46 address bits, the 64-bit window. */
#define CVM_PCIEXBAR_BASE UINT64_C(0xe0000000)
#define CVM_PCI_WINDOW64_BASE UINT64_C(0x380000000000)

/** How many devices of each role a machine has. */
struct cvm_device_counts {
    uint32_t rootfs; /**< 0 or 1: whether a virtio disk carries the root file system */
    uint32_t volumes;
    uint32_t nics;
    uint32_t gpus; /**< behind ports of the root bus; those behind expanders are the nodes' */
    uint32_t nvswitches;
    uint32_t expanders;
};

/**
 * Places devices in slots 1, 2, 3, ... in the fixed order of roles: rootfs, data disk,
 * volumes, NICs, vsock, share, GPU ports, NVSwitch ports. Data disk, vsock and share always
 * exist, once each. Expanders have slots of their own, from 16 on.
 *
 * @param machine its devices and num_devices are replaced; nothing else is touched.
 * @return false with CVM_ERR_UNSUPPORTED where they need more slots than there are.
 */
CVM_API CVM_MUST_CHECK bool cvm_machine_place_devices(struct cvm_machine *machine,
                                                      const struct cvm_device_counts *counts,
                                                      struct cvm_error *err);

/** GPUs behind ports of the root bus and of expanders. */
CVM_API uint32_t cvm_machine_num_gpus(const struct cvm_machine *machine);

/**
 * Whether the machine says what the firmware finds behind all of its root ports, so that the
 * windows it opens can be worked out.
 */
CVM_API bool cvm_machine_knows_bars(const struct cvm_machine *machine);

/** How many devices of one role the machine has. */
CVM_API uint32_t cvm_machine_count(const struct cvm_machine *machine, enum cvm_device_role role);

/**
 * Whether the machine can exist: CPU count by QEMU version, memory size and alignment, slots
 * unique and in range, windows that neither overlap RAM nor wrap, NUMA nodes that have all CPUs
 * and memory, at most 32 ports behind an expander, and a bus number for every port: those on the
 * root bus below the first expander's, each expander's before the next, none past 255; SMBIOS
 * strings of printable ASCII.
 *
 * @return false with CVM_ERR_MALFORMED naming the field, its value and the limit, or
 *         CVM_ERR_UNSUPPORTED for what this library cannot describe yet.
 */
CVM_API CVM_MUST_CHECK bool cvm_machine_check(const struct cvm_machine *machine,
                                              struct cvm_error *err);

/** Whether two machines are the same in every fact; layouts are compared by their contents. */
CVM_API bool cvm_machine_equal(const struct cvm_machine *a, const struct cvm_machine *b);

/** Whether two ports have the same BARs behind them, or both none that are known. */
CVM_API bool cvm_port_bars_equal(const struct cvm_port_bars *a, const struct cvm_port_bars *b);

/**
 * Where the machine's memory lies: below_4g bytes from address 0, the rest from 4 GiB on.
 * QEMU's q35 splits at 2 GiB as soon as the machine has 0xb0000000 bytes or more.
 */
CVM_API uint64_t cvm_machine_ram_below_4g(const struct cvm_machine *machine);

/** Orders versions: negative, zero or positive as a is older than, equal to or newer than b. */
CVM_API int cvm_qemu_version_compare(struct cvm_qemu_version a, struct cvm_qemu_version b);

/**
 * What a version implies where nobody says otherwise.
 * interrupt_trigger: edge for 8.0.0 <= version < 9.2.0, level otherwise (TDX trees).
 * pic: on for 8.x, off otherwise. page_add_order: two pass for 8.0.0 <= version < 9.0.0,
 * single pass for newer. kernel_header: rewritten up to 10.1, as it is from 10.2.0 on.
 */
CVM_API enum cvm_interrupt_trigger cvm_qemu_default_trigger(struct cvm_qemu_version version);
CVM_API bool cvm_qemu_default_pic(struct cvm_qemu_version version);
CVM_API enum cvm_kernel_header cvm_qemu_default_kernel_header(struct cvm_qemu_version version);

/** @return false with CVM_ERR_UNSUPPORTED for a QEMU older than 8.0.0, which has no TDX. */
CVM_API CVM_MUST_CHECK bool cvm_qemu_default_page_add_order(struct cvm_qemu_version version,
                                                            enum cvm_page_add_order *out,
                                                            struct cvm_error *err);

#ifdef __cplusplus
}
#endif

#endif
