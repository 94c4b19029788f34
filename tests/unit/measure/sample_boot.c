#include "tests/unit/measure/sample_boot.h"

#include "measure/base/hex.h"
#include "tests/support/check.h"

struct cvm_machine deployed_machine(uint32_t cpu_count, const char *layout)
{
    struct cvm_error err = { 0 };
    struct cvm_machine machine = {
        .qemu = { 8, 2, 2 },
        .interrupt_trigger = CVM_TRIGGER_EDGE,
        .cpu_count = cpu_count,
        .memory_size = UINT64_C(2) << 30,
        .pic = true,
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
        .page_add_order = CVM_PAGES_TWO_PASS,
        .kernel_header = CVM_KERNEL_REWRITTEN,
        .layout = cvm_layout_find(layout),
    };
    const struct cvm_device_counts counts = { .rootfs = 1, .nics = 1 };
    must(cvm_machine_place_devices(&machine, &counts, &err), &err);
    return machine;
}

const struct cvm_event *event_at(const struct cvm_expectation *e, unsigned rtmr, uint32_t index)
{
    for (uint32_t i = 0; i < e->events.num_events; i++) {
        if (e->events.events[i].rtmr == rtmr && index-- == 0) {
            return &e->events.events[i];
        }
    }
    fail_msg("register %u has too few events", rtmr);
    return NULL;
}

struct extends load_extends(const char *name, unsigned rtmr)
{
    struct extends out = { .count = 0 };
    struct cvm_buf file = load_vector(name);
    cvm_put_u8(&file, 0);
    char *rest = NULL;
    for (char *line = strtok_r((char *)file.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        struct cvm_error err = { 0 };
        const char *hex = line + strlen("RTMR 0 ");
        assert_int_equal(strlen(line), strlen("RTMR 0 ") + 96);
        if (line[5] != (char)('0' + rtmr)) {
            continue;
        }
        assert_true(out.count < MAX_EXTENDS);
        struct cvm_sha384 *digest = &out.digests[out.count++];
        must(cvm_hex_decode(hex, strlen(hex), digest->bytes, 48, &err), &err);
    }
    cvm_buf_free(&file);
    return out;
}

struct cvm_machine booted_machine(const char *layout)
{
    struct cvm_error err = { 0 };
    struct cvm_machine machine = deployed_machine(1, layout);
    machine.qemu = (struct cvm_qemu_version){ 9, 1, 0 };
    machine.interrupt_trigger = CVM_TRIGGER_LEVEL;
    machine.pic = false;
    machine.page_add_order = CVM_PAGES_SINGLE_PASS;
    const struct cvm_device_counts counts = { .rootfs = 0, .nics = 1 };
    must(cvm_machine_place_devices(&machine, &counts, &err), &err);
    assert_int_equal(machine.num_devices, 4);
    return machine;
}

void assert_extends(const struct cvm_expectation *e, unsigned rtmr, uint32_t from,
                    const struct extends *want, const char *except)
{
    for (uint32_t i = from; i < want->count; i++) {
        const struct cvm_event *event = event_at(e, rtmr, i);
        if (strstr(except, event->name) == NULL) {
            assert_bytes(event->digest.bytes, 48, want->digests[i].bytes, 48);
        }
    }
}
