#!/usr/bin/env python3
"""Prints machines that nobody listed, as `cvm acpi --machines` reads them.

    machines.py VERSION COUNT [SEED]

They are the same for the same arguments. Values are drawn so that each kind of machine occurs:
with and without hot-plug, PIC, SMM, TPM, volumes, network interfaces, GPUs and NVSwitches on the root
bus, NUMA nodes with and without expanders, and GPUs behind these; with and without SMBIOS strings, a
stated CPU and items of fw_cfg. The first few are extremes.
"""

import json
import random
import sys

MIB = 1 << 20
GIB = 1 << 30
SLOTS = 30  # of the root bus
SLOTS_BESIDE_EXPANDERS = 15
MANDATORY = 3  # data disk, vsock, share

EXTREMES = [
    {"cpu_count": 255, "memory_size": 2 * GIB},
    {"cpu_count": 1, "memory_size": 64 * MIB, "num_nics": 26},
    {"cpu_count": 2, "memory_size": 0xb0000000 - MIB, "num_nics": 0, "num_gpus": 16,
     "num_nvswitches": 10},
    {"cpu_count": 64, "memory_size": 2 << 40, "pci_hole64_size": 16 << 40, "num_gpus": 8,
     "num_nvswitches": 4, "hotplug_off": True},
    {"cpu_count": 16, "memory_size": 16 * GIB, "hugepages": True, "num_gpus": 64, "swtpm": True,
     "numa_nodes": [{"cpu_count": 8, "memory_size": 8 * GIB, "pxb_bus": 1, "num_gpus": 32},
                    {"cpu_count": 8, "memory_size": 8 * GIB, "pxb_bus": 223, "num_gpus": 32}]},
    {"cpu_count": 8, "memory_size": 8 * GIB, "hugepages": True, "num_gpus": 16,
     "numa_nodes": [{"cpu_count": 1, "memory_size": GIB, "pxb_bus": 8 + 3 * i, "num_gpus": 2}
                    for i in range(8)]},
] + [  # expanders without ports, on buses that QEMU counts in its own way
    {"cpu_count": len(buses), "memory_size": len(buses) * GIB, "hugepages": True,
     "numa_nodes": [{"cpu_count": 1, "memory_size": GIB, "pxb_bus": bus, "num_gpus": 0}
                    for bus in buses]}
    for buses in ([255], [7, 8], [5, 6, 8], [5, 6, 7, 8])
]


def split(rng, total, parts):
    """Positive whole numbers that add up to the total."""
    cuts = sorted(rng.sample(range(1, total), parts - 1))
    return [b - a for a, b in zip([0] + cuts, cuts + [total])]


def nodes(rng, machine):
    """Puts CPUs and memory into nodes; returns how many GPUs are behind expanders."""
    count = rng.randint(1, min(8, machine["cpu_count"]))
    cpus = split(rng, machine["cpu_count"], count)
    memory = split(rng, machine["memory_size"] // MIB, count)
    bus = 1 + machine["num_gpus"] + machine["num_nvswitches"] + rng.randint(0, 20)
    result, behind = [], 0
    for i in range(count):
        node = {"cpu_count": cpus[i], "memory_size": memory[i] * MIB, "pxb_bus": None, "num_gpus": 0}
        gpus = rng.randint(0, 8)
        if rng.random() < 0.6 and bus + gpus <= 255:
            node["pxb_bus"], node["num_gpus"] = bus, gpus
            behind += gpus
            bus += gpus + 1 + rng.randint(0, 10)
        result.append(node)
    machine["numa_nodes"] = result
    machine["hugepages"] = True
    return behind


def ordinary(rng):
    with_nodes = rng.random() < 0.5
    machine = {
        "cpu_count": rng.choice([rng.randint(1, 8), rng.randint(9, 64), rng.randint(65, 255)]),
        "memory_size": rng.choice([rng.randint(64, 4096), rng.randint(4097, 1 << 20)]) * MIB,
        "pic": rng.random() < 0.4,
        "smm": rng.random() < 0.4,
        "swtpm": rng.random() < 0.4,
        "hotplug_off": rng.random() < 0.4,
        "pci_hole64_size": rng.choice([0, rng.randint(1, 4096) * GIB]),
        "rootfs_device": rng.choice(["virtio-blk", "cdrom", "none"]),
    }
    free = (SLOTS_BESIDE_EXPANDERS if with_nodes else SLOTS) - MANDATORY - 1
    for key in ("num_nics", "num_verity_volumes", "num_gpus", "num_nvswitches"):
        machine[key] = rng.choice([0, 1, rng.randint(0, 6)])
        machine[key] = min(machine[key], free)
        free -= machine[key]
    if with_nodes:
        machine["num_gpus"] += nodes(rng, machine)
    return machine


def text(rng):
    """Printable ASCII; commas, quotes and signs that an option's parser could take for its own."""
    some = "".join(chr(rng.randint(0x20, 0x7e)) for _ in range(rng.randint(1, 20)))
    return rng.choice(["dstack", ",", "a,b,,c", "x=y,serial=z", "\"'\\ %s", "n" * 63, some])


def items(rng):
    """What shows in no ACPI table."""
    result = {}
    if rng.random() < 0.6:
        names = ["manufacturer", "product", "version", "serial", "sku", "family"]
        result["smbios"] = {n: text(rng) for n in names if rng.random() < 0.5}
    if rng.random() < 0.3:
        result["cpu_signature"], result["cpu_features_edx"] = 0x000c06f2, 0x2fabfbff
    if rng.random() < 0.4:
        result["boot_menu_wait"] = rng.choice([1, 65535, rng.randint(1, 65535)])
    if rng.random() < 0.4:
        result["pci_mmio64_mb"] = rng.choice([1, 0xffffffff, rng.randint(1, 1 << 20)])
    if rng.random() < 0.2:
        result["reserved_memory_end"] = rng.randint(1, 1 << 40)
    return result


def main():
    version, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    machines = EXTREMES[:count] + [ordinary(rng) for _ in range(count - len(EXTREMES))]
    for machine in machines:
        machine.update(items(rng))
    json.dump([{"name": f"{i:03}", "machine": {"qemu_version": version,
                                               "interrupt_trigger": "level", **machine}}
               for i, machine in enumerate(machines)], sys.stdout)


if __name__ == "__main__":
    main()
