/*
 * The parts of the DSDT, in the order in which they appear.
 */
#ifndef CVM_ACPI_DSDT_H
#define CVM_ACPI_DSDT_H

#include "measure/acpi/aml.h"
#include "measure/acpi/pci_ranges.h"
#include "measure/acpi/profile.h"

/* What every part reads. */
struct dsdt {
    struct aml aml;
    const struct cvm_machine *machine;
    const struct acpi_profile *profile;
    struct acpi_pci_ranges ranges;
};

/* dsdt_pci.c: the host bridge, what it decodes, hot-plug, the devices on the root bus */
void dsdt_put_host_bridge(struct dsdt *d);
void dsdt_put_hotplug_methods(struct dsdt *d);
void dsdt_put_host_bridge_resources(struct dsdt *d);
void dsdt_put_root_bus(struct dsdt *d);
void dsdt_put_hotplug_event(struct dsdt *d);

/* _OSC, granting at most these of the control fields. */
void dsdt_put_osc_method(struct aml *a, unsigned granted);

/* dsdt_port.c: root ports and what is behind them */
void dsdt_put_behind_port(struct dsdt *d, uint32_t index); /* nothing for other devices */
void dsdt_put_port_scopes(struct dsdt *d);                 /* where PCNT is not inline */
void dsdt_put_port_events(struct dsdt *d);                 /* the calls of every port's PCNT */
unsigned dsdt_count_ports(const struct cvm_machine *machine);

/* dsdt_expander.c: pxb-pcie host bridges */
void dsdt_put_expanders(struct dsdt *d);
uint8_t dsdt_last_root_bus(const struct cvm_machine *machine); /* the last bus of PCI0 */

/* tpm.c: tpm-tis on the ISA bus */
void dsdt_put_tpm(struct dsdt *d);
void dsdt_put_tpm_resources(struct aml *a);

/* dsdt_irq.c: interrupt routing and link devices */
void dsdt_put_interrupt_routing(struct dsdt *d);

/* dsdt_cpu.c: CPUs and their hot-plug */
void dsdt_put_cpus(struct dsdt *d);

/* dsdt_isa.c: what hangs on the LPC bridge */
void dsdt_put_lpc_bridge(struct dsdt *d);

#endif
