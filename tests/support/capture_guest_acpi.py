#!/usr/bin/env python3
"""Captures golden ACPI files from inside guests, after real firmware numbered their buses.

usage: capture_guest_acpi.py EMULATOR FIRMWARE BUNDLE OUT [--pic]

EMULATOR is a QEMU binary, FIRMWARE an OVMF.fd, BUNDLE a directory of packaging/make-bundle, whose
kernel and initrd boot under TCG. Each machine of MACHINES below is started with a plain command
line: nothing of cvm has a part in it. The guest prints its files. OUT gets cases.json, NNN.tables.bin.gz
and commands.txt, the format of tests/vectors/acpi.

Behind each port sits an ivshmem-plain (a 32-bit BAR of 256 bytes and a 64-bit one of any size) or a
virtio-rng (4 KiB and 16 KiB): devices without I/O ports, as GPUs and NVSwitches are.
"""
import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

MIB, GIB = 1 << 20, 1 << 30
BEGIN, END = "BEGIN-TABLES", "END-TABLES"


def node(cpus, memory, bus=None, gpus=0):
    return {"cpu_count": cpus, "memory_size": memory, "pxb_bus": bus, "num_gpus": gpus}


# gpu, nvswitch: bytes of the large BAR behind each port; 0: a virtio-rng. root_gpus: on the root bus.
MACHINES = [
    dict(cpus=1, memory=1 * GIB, root_gpus=1, gpu=0),
    dict(cpus=2, memory=2560 * MIB, root_gpus=2, gpu=128 * GIB, hotplug_off=True),
    dict(cpus=2, memory=2 * GIB, root_gpus=8, gpu=128 * GIB, nvswitches=4, nvswitch=64 * MIB, hole=4096 * GIB),
    dict(cpus=2, memory=2 * GIB, root_gpus=3, gpu=16 * GIB, nvswitches=1, nvswitch=64 * MIB, hole=64 * GIB),
    dict(cpus=4, memory=2 * GIB, nodes=[node(2, GIB, 5, 1), node(2, GIB, 10, 1)], gpu=0),
    dict(cpus=4, memory=2560 * MIB, nodes=[node(2, GIB, 5, 3), node(2, 1536 * MIB, 10, 1)], gpu=128 * GIB,
         nvswitches=2, nvswitch=64 * MIB),
    dict(cpus=4, memory=2 * GIB, nodes=[node(2, GIB, 5, 2), node(2, GIB)], root_gpus=1, gpu=16 * MIB,
         hole=2048 * GIB),
    dict(cpus=4, memory=2 * GIB, nodes=[node(2, GIB, 5, 2), node(2, GIB, 10, 1)], root_gpus=1, gpu=16 * GIB,
         nvswitches=1, nvswitch=64 * MIB, hotplug_off=True),
    dict(cpus=4, memory=2 * GIB, nodes=[node(1, 512 * MIB, b, 2) for b in (5, 8, 11, 14)], gpu=64 * GIB),
    dict(cpus=2, memory=4 * GIB, nodes=[node(2, 4 * GIB, 5, 8)], gpu=256 * GIB),
    dict(cpus=4, memory=2 * GIB, nodes=[node(2, GIB, 5, 0), node(2, GIB, 7, 1)], gpu=32 * GIB),
]


def bars(size):
    small, large = (256, size) if size else (4096, 16384)
    return [{"size": small, "kind": "mem32"}, {"size": large, "kind": "mem64"}]


def describe(m, version, pic):
    """The machine in the words of a vm_config."""
    d = {"cpu_count": m["cpus"], "memory_size": m["memory"], "qemu_version": version, "pic": pic, "smm": False,
         "interrupt_trigger": "level", "pci_hole64_size": m.get("hole", 0), "hugepages": "nodes" in m,
         "num_gpus": m.get("root_gpus", 0) + sum(n["num_gpus"] for n in m.get("nodes", [])),
         "num_nvswitches": m.get("nvswitches", 0), "num_nics": 0, "num_verity_volumes": 0, "swtpm": False,
         "hotplug_off": m.get("hotplug_off", False), "host_share_mode": "9p", "rootfs_device": "cdrom",
         "gpu_bars": bars(m["gpu"])}
    if "nodes" in m:
        d["numa_nodes"] = m["nodes"]
    if "nvswitches" in m:
        d["nvswitch_bars"] = bars(m["nvswitch"])
    return d


class CommandLine:
    def __init__(self, m, pic):
        self.args, self.chassis, self.m = [], 0, m
        self.add("-machine", f"q35,smm=off,hpet=off,usb=off,pic={'on' if pic else 'off'}")
        self.add("-accel", "tcg", "-cpu", "max,phys-bits=46", "-smp", f"{m['cpus']},sockets=1")
        self.add("-m", f"{m['memory'] // MIB}M", "-nodefaults", "-no-user-config", "-display", "none")
        self.add("-boot", "strict=off")
        self.devices()

    def add(self, *args):
        self.args += args

    def port(self, bus, slot, size):
        self.chassis += 1
        name = f"port{self.chassis}"
        self.add("-device", f"pcie-root-port,id={name},bus={bus},addr={slot:#x},chassis={self.chassis}")
        if size:
            self.add("-object", f"memory-backend-ram,id=m{name},size={size},share=on,reserve=off")
            self.add("-device", f"ivshmem-plain,bus={name},memdev=m{name}")
        else:
            self.add("-device", f"virtio-rng-pci,bus={name}")

    def devices(self):
        m, cpu = self.m, 0
        for slot in (1, 2, 3):  # data disk, vsock, share
            self.add("-device", f"virtio-rng-pci,bus=pcie.0,addr={slot:#x}")
        for i, n in enumerate(m.get("nodes", [])):
            self.add("-object", f"memory-backend-ram,id=ram{i},size={n['memory_size']}")
            self.add("-numa", f"node,nodeid={i},memdev=ram{i},cpus={cpu}-{cpu + n['cpu_count'] - 1}")
            cpu += n["cpu_count"]
        expanders = [(i, n) for i, n in enumerate(m.get("nodes", [])) if n["pxb_bus"] is not None]
        for k, (i, n) in enumerate(expanders):
            self.add("-device", f"pxb-pcie,id=pxb{i},bus=pcie.0,addr={0x10 + k:#x},bus_nr={n['pxb_bus']},numa_node={i}")
            for slot in range(n["num_gpus"]):
                self.port(f"pxb{i}", slot, m["gpu"])
        slot = 4
        for count, size in ((m.get("root_gpus", 0), m["gpu"]), (m.get("nvswitches", 0), m.get("nvswitch"))):
            for _ in range(count):
                self.port("pcie.0", slot, size)
                slot += 1
        if m.get("hotplug_off"):
            self.add("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
        if m.get("hole"):
            self.add("-global", f"q35-pcihost.pci-hole64-size={m['hole']}")


def make_initrd(bundle, directory):
    """The bundle's own, with an init that also prints the tables."""
    initrd = os.path.join(directory, "initrd")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/guest-init")) as f:
        init = f.read()
    dump = f"echo {BEGIN}; gzip -9c /sys/firmware/qemu_fw_cfg/by_name/etc/acpi/tables/raw | base64; echo {END}"
    assert "\nreport_machine\n" in init
    with open(os.path.join(directory, "init"), "w") as f:
        f.write(init.replace("\nreport_machine\n", f"\nreport_machine\n{dump}\n"))
    os.chmod(os.path.join(directory, "init"), 0o755)
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=directory, input=b"init\n",
                             stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(bundle, "initramfs.cpio.gz"), "rb") as original, open(initrd, "wb") as out:
        out.write(original.read() + gzip.compress(archive))
    return initrd


def boot(emulator, firmware, bundle, initrd, args, directory):
    """What the guest printed. On a busy host an emulated guest's clock sometimes stops: then again."""
    console = os.path.join(directory, "console")
    for _ in range(5):
        try:
            subprocess.run([emulator, *args, "-serial", f"file:{console}", "-bios", firmware,
                            "-kernel", os.path.join(bundle, "bzImage"), "-initrd", initrd,
                            "-append", "console=ttyS0 no_timer_check panic=1"], timeout=90, check=True)
        except subprocess.TimeoutExpired:
            continue
        with open(console, errors="replace") as f:
            return f.read().replace("\r", "")
    sys.exit("the guest never came to its end")


def read_guest(text):
    digests = dict(re.findall(r"^cvm-guest: sha384 (\S+) ([0-9a-f]{96})$", text, re.M))
    tables = gzip.decompress(base64.b64decode(text.split(BEGIN + "\n")[1].split(END)[0]))
    assert hashlib.sha384(tables).hexdigest() == digests["etc/acpi/tables"]
    return tables, {"tables": digests["etc/acpi/tables"], "rsdp": digests["etc/acpi/rsdp"],
                    "loader": digests["etc/table-loader"]}


def split(tables):
    """Signatures, and where the last table ends."""
    at, signatures = 0, []
    while tables[at:at + 4].strip(b"\0"):
        signatures.append(tables[at:at + 4].decode())
        at += int.from_bytes(tables[at + 4:at + 8], "little")
    return signatures, at


def main():
    emulator, firmware, bundle, out = sys.argv[1:5]
    pic = "--pic" in sys.argv[5:]
    said = subprocess.run([emulator, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version = re.search(r"version (\d+\.\d+\.\d+)", said).group(1)
    os.makedirs(out, exist_ok=True)
    cases, commands = [], [f"# {said.splitlines()[0]}", f"# firmware SHA-256 {hashlib.sha256(open(firmware, 'rb').read()).hexdigest()}"]
    with tempfile.TemporaryDirectory() as directory:
        initrd = make_initrd(bundle, directory)
        for i, m in enumerate(MACHINES):
            args = CommandLine(m, pic).args
            tables, digests = read_guest(boot(emulator, firmware, bundle, initrd, args, directory))
            signatures, used = split(tables)
            name = f"{i:03d}"
            with open(os.path.join(out, f"{name}.tables.bin.gz"), "wb") as f:
                f.write(gzip.compress(tables[:used], mtime=0))
            cases.append({"name": name, "machine": describe(m, version, pic), "sha384": digests,
                          "tables_size": len(tables), "tables_used": used, "signatures": signatures})
            commands.append(f"{name}: {' '.join(args)}")
            print(name, digests["tables"][:16], flush=True)
    with open(os.path.join(out, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    with open(os.path.join(out, "commands.txt"), "w") as f:
        f.write("\n".join(commands) + "\n")


if __name__ == "__main__":
    main()
