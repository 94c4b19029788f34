/* What the kernel and people write of devices and CPUs: what is accepted means one thing. */
#include "tests/fuzz/fuzz.h"

#include "measure/base/cleanup.h"
#include "vmm/host_nodes.h"
#include "vmm/pci_host.h"

static void check_address(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_pci_address a;
    struct cvm_pci_address again;
    if (!fuzz_accepted(cvm_pci_address_parse(text, &a, &err), &err)) {
        return;
    }
    fuzz_require(a.slot <= 31 && a.function <= 7, "an address in range");
    const struct cvm_pci_text printed = cvm_pci_address_text(a);
    fuzz_require(cvm_pci_address_parse(printed.text, &again, &err), "a printed address is one");
    fuzz_require(cvm_pci_address_compare(a, again) == 0, "the same address");
}

static void check_set(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_cpu_set set;
    struct cvm_cpu_set again;
    cvm_autobuf struct cvm_buf printed = { 0 };
    if (!fuzz_accepted(cvm_cpu_set_parse(text, &set, &err), &err)) {
        return;
    }
    cvm_cpu_set_put(&set, &printed);
    cvm_put_u8(&printed, '\0');
    fuzz_require(!printed.failed, "printing");
    fuzz_require(cvm_cpu_set_parse((const char *)printed.data, &again, &err), "a printed set");
    fuzz_require(memcmp(&set, &again, sizeof set) == 0, "the same set");
}

static void check_bars(const char *text)
{
    struct cvm_error err = { 0 };
    struct cvm_pci_bar bars[CVM_PCI_NUM_BARS];
    fuzz_accepted(cvm_pci_parse_bars(text, bars, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cvm_error err = { 0 };
    uint16_t vendor;
    uint16_t device;
    cvm_autofree char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size != 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    check_address(text);
    check_set(text);
    check_bars(text);
    fuzz_accepted(cvm_pci_id_parse(text, &vendor, &device, &err), &err);
    return 0;
}
