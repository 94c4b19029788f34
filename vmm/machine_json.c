#include "vmm/machine_json.h"

#include "measure/include/cvm/layout.h"
#include "vmm/machine.h"
#include "vmm/report.h"

static const char *role_word(enum cvm_device_role role)
{
    static const char *const words[] = {
        [CVM_DEVICE_ROOTFS] = "rootfs",     [CVM_DEVICE_DATA_DISK] = "data-disk",
        [CVM_DEVICE_VOLUME] = "volume",     [CVM_DEVICE_NIC] = "nic",
        [CVM_DEVICE_VSOCK] = "vsock",       [CVM_DEVICE_SHARE] = "share",
        [CVM_DEVICE_GPU_PORT] = "gpu-port", [CVM_DEVICE_NVSWITCH_PORT] = "nvswitch-port",
        [CVM_DEVICE_EXPANDER] = "expander",
    };
    return words[role];
}

static void put_devices(const struct cvm_machine *m, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "devices");
    for (uint32_t i = 0; i < m->num_devices; i++) {
        cvm_json_begin_object(b, NULL);
        cvm_json_put_u64(b, "slot", m->devices[i].slot);
        cvm_json_put_string(b, "role", role_word(m->devices[i].role));
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

void cvm_numa_node_put(const struct cvm_numa_node *node, struct cvm_json_builder *b)
{
    cvm_json_begin_object(b, NULL);
    cvm_json_put_u64(b, "cpu_count", node->cpu_count);
    cvm_json_put_u64(b, "memory_size", node->memory_size);
    if (node->has_expander) {
        cvm_json_put_u64(b, "pxb_bus", node->expander_bus);
    } else {
        cvm_json_put_null(b, "pxb_bus");
    }
    cvm_json_put_u64(b, "num_gpus", node->num_gpus);
    cvm_json_end(b);
}

void cvm_machine_put_nodes(const struct cvm_machine *m, struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, "numa_nodes");
    for (uint32_t i = 0; i < m->num_numa_nodes; i++) {
        cvm_numa_node_put(&m->numa_nodes[i], b);
    }
    cvm_json_end(b);
}

void cvm_port_bars_put(const char *key, const struct cvm_port_bars *bars,
                       struct cvm_json_builder *b)
{
    cvm_json_begin_array(b, key);
    for (uint32_t i = 0; i < bars->count; i++) {
        cvm_json_begin_object(b, NULL);
        cvm_json_put_u64(b, "size", bars->bars[i].size);
        cvm_json_put_string(b, "kind", cvm_bar_kind_word(bars->bars[i].kind));
        cvm_json_end(b);
    }
    cvm_json_end(b);
}

void cvm_machine_put_bars(const char *key, const struct cvm_port_bars *bars,
                          struct cvm_json_builder *b)
{
    if (bars->known) {
        cvm_port_bars_put(key, bars, b);
    }
}

/* Facts that only firmware looks at which measures SMBIOS or fw_cfg items: where they are set. */
static void put_firmware_facts(const struct cvm_machine *m, struct cvm_json_builder *b)
{
    const struct {
        const char *key;
        bool set;
        uint64_t value;
    } facts[] = {
        { "cpu_signature", m->cpu_signature.set, m->cpu_signature.value },
        { "cpu_features_edx", m->cpu_features_edx.set, m->cpu_features_edx.value },
        { "boot_menu_wait", m->boot_menu_wait != 0, m->boot_menu_wait },
        { "reserved_memory_end", m->reserved_memory_end != 0, m->reserved_memory_end },
        { "pci_mmio64_mb", m->pci_mmio64_mb != 0, m->pci_mmio64_mb },
    };
    cvm_smbios_put(&m->smbios, b);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (facts[i].set) {
            cvm_json_put_u64(b, facts[i].key, facts[i].value);
        }
    }
}

void cvm_machine_put(const struct cvm_machine *m, struct cvm_json_builder *b)
{
    char version[20];
    cvm_json_begin_object(b, "machine");
    cvm_json_put_string(b, "qemu_version", cvm_qemu_version_text(m, version, sizeof version));
    cvm_json_put_string(b, "interrupt_trigger", cvm_trigger_word(m->interrupt_trigger));
    cvm_json_put_u64(b, "cpu_count", m->cpu_count);
    cvm_json_put_u64(b, "memory_size", m->memory_size);
    cvm_json_put_bool(b, "pic", m->pic);
    cvm_json_put_bool(b, "smm", m->smm);
    cvm_json_put_bool(b, "tpm", m->tpm);
    cvm_json_put_bool(b, "hotplug_off", m->hotplug_off);
    cvm_json_put_u64(b, "pci_hole64_size", m->pci_hole64_size);
    cvm_json_put_u64(b, "pciexbar_base", m->pciexbar_base);
    cvm_json_put_u64(b, "pci_window64_base", m->pci_window64_base);
    put_devices(m, b);
    cvm_machine_put_nodes(m, b);
    cvm_machine_put_bars("gpu_bars", &m->gpu_bars, b);
    cvm_machine_put_bars("nvswitch_bars", &m->nvswitch_bars, b);
    cvm_json_put_string(b, "page_add_order", cvm_page_add_order_word(m->page_add_order));
    cvm_json_put_string(b, "kernel_header", cvm_kernel_header_word(m->kernel_header));
    cvm_json_put_bool(b, "kernel_measures", m->kernel_measures != CVM_KERNEL_MEASURES_NOTHING);
    /* A layout that was read out of a file may have no name. */
    cvm_json_put_string(b, "ovmf_variant", m->layout->name[0] == '\0' ? NULL : m->layout->name);
    put_firmware_facts(m, b);
    cvm_json_end(b);
}
