#!/usr/bin/env python3
"""Captures golden ACPI files from an emulator with its CPUs stopped.

usage: capture_stopped_acpi.py EMULATOR OUT [--no-tpm]

EMULATOR is a QEMU binary; swtpm has to be on PATH, and KVM to be there for the machines of more than
255 CPUs where QEMU is older than 9.0. --no-tpm is for a build without TPMs: the machines have none
then. Each machine of MACHINES below is started with a plain command line: nothing of cvm has a
part in it. The registers that firmware programs are written with the monitor's `o`, memory is written
and read through the gdb stub, and the files come through fw_cfg's DMA. OUT gets cases.json,
NNN.tables.bin.gz and commands.txt, the format of tests/vectors/acpi.

A virtio-rng stands in every slot that has an endpoint and behind each port.
"""
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

MIB, GIB = 1 << 20, 1 << 30
DESCRIPTOR, LANDING = 0x1000, 0x100000


def node(cpus, memory, bus=None, gpus=0):
    return {"cpu_count": cpus, "memory_size": memory, "pxb_bus": bus, "num_gpus": gpus}


# Shapes that the other families do not have. gpus are those of the root bus.
MACHINES = [
    dict(cpus=4, memory=4 * GIB, tpm=True, nodes=[node(2, 2 * GIB, 5, 2), node(2, 2 * GIB, 10, 1)]),
    dict(cpus=6, memory=3 * GIB, tpm=True, hotplug_off=True,
         nodes=[node(1, GIB), node(2, GIB), node(3, GIB)]),
    dict(cpus=4, memory=4 * GIB, tpm=True, pic=True, smm=True, hotplug_off=True, gpus=2, nvswitches=1,
         nodes=[node(4, 4 * GIB, 9, 3)]),
    dict(cpus=2, memory=2 * GIB, tpm=True, pic=True, smm=True, gpus=3, nvswitches=2),
    dict(cpus=256, memory=8 * GIB),
    dict(cpus=288, memory=64 * GIB, tpm=True, hotplug_off=True,
         nodes=[node(144, 32 * GIB, 5, 4), node(144, 32 * GIB, 10, 4)]),
    dict(cpus=16, memory=16 * GIB, nodes=[node(8, 8 * GIB, 1, 32), node(8, 8 * GIB, 223, 32)]),
    dict(cpus=8, memory=8 * GIB, nodes=[node(1, GIB, 8 + 3 * i, 2) for i in range(8)]),
    dict(cpus=4, memory=8 * GIB, gpus=3, nvswitches=2,
         nodes=[node(1, 2 * GIB, 6), node(1, 2 * GIB), node(1, 2 * GIB, 255), node(1, 2 * GIB)]),
    dict(cpus=2, memory=2 * GIB, nics=26),
    dict(cpus=2, memory=2 * GIB, nics=0, gpus=16, nvswitches=10),
    dict(cpus=1, memory=64 * MIB, nics=0, rootfs="none"),
    dict(cpus=2, memory=1 * GIB, pciexbar=0xb0000000, window=0x70000000000),
    dict(cpus=3, memory=0xb0000000 - MIB, pciexbar=0xc0000000, hole=GIB, volumes=3),
]


def describe(m, version):
    """The machine in the words of a vm_config."""
    d = {"cpu_count": m["cpus"], "memory_size": m["memory"], "qemu_version": version,
         "pic": m.get("pic", False), "smm": m.get("smm", False), "interrupt_trigger": "level",
         "pci_hole64_size": m.get("hole", 0), "hugepages": "nodes" in m,
         "num_gpus": m.get("gpus", 0) + sum(n["num_gpus"] for n in m.get("nodes", [])),
         "num_nvswitches": m.get("nvswitches", 0), "num_nics": m.get("nics", 1),
         "num_verity_volumes": m.get("volumes", 0), "swtpm": m.get("tpm", False),
         "hotplug_off": m.get("hotplug_off", False), "host_share_mode": "9p",
         "rootfs_device": m.get("rootfs", "virtio-blk")}
    if "nodes" in m:
        d["numa_nodes"] = m["nodes"]
    for key, name in (("pciexbar", "pciexbar_base"), ("window", "pci_window64_base")):
        if key in m:
            d[name] = m[key]
    return d


def platform(m, version):
    many = m["cpus"] > 255  # needs x2APIC, which older ones have with KVM only
    with_kvm = many and int(version.split(".")[0]) < 9
    on = lambda key: "on" if m.get(key) else "off"  # noqa: E731
    args = ["-machine", f"q35,smm={on('smm')},pic={on('pic')},hpet=off,usb=off",
            "-accel", "kvm,kernel-irqchip=split" if with_kvm else "tcg,thread=single",
            "-cpu", "qemu64,phys-bits=46,vendor=GenuineIntel" + (",+x2apic" if many and not with_kvm else ""),
            "-smp", f"{m['cpus']},sockets=1,cores={m['cpus']},threads=1",
            "-m", f"{m['memory'] // MIB}M", "-S", "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", "null"]
    if m.get("hotplug_off"):
        args += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    if m.get("hole"):
        args += ["-global", f"q35-pcihost.pci-hole64-size={m['hole']}"]
    cpu = 0
    for i, n in enumerate(m.get("nodes", [])):
        args += ["-object", f"memory-backend-ram,id=m{i},size={n['memory_size']},reserve=off",
                 "-numa", f"node,nodeid={i},memdev=m{i},cpus={cpu}-{cpu + n['cpu_count'] - 1}"]
        cpu += n["cpu_count"]
    if "nodes" not in m:
        args += ["-object", f"memory-backend-ram,id=ram,size={m['memory']},reserve=off",
                 "-machine", "memory-backend=ram"]
    return args


def devices(m):
    """Endpoints, expanders with their ports, ports of the root bus: in this order on the line."""
    args, ports = [], 0

    def port(bus, slot):
        nonlocal ports
        ports += 1
        return ["-device", f"pcie-root-port,id=p{ports},bus={bus},addr={slot:#x},chassis={ports}",
                "-device", f"virtio-rng-pci,bus=p{ports}"]

    endpoints = (m.get("rootfs", "virtio-blk") == "virtio-blk") + 1 + m.get("volumes", 0) \
        + m.get("nics", 1) + 2
    for slot in range(1, endpoints + 1):
        args += ["-device", f"virtio-rng-pci,bus=pcie.0,addr={slot:#x}"]
    with_expander = [(i, n) for i, n in enumerate(m.get("nodes", [])) if n["pxb_bus"] is not None]
    for k, (i, n) in enumerate(with_expander):
        args += ["-device", f"pxb-pcie,id=x{k},bus=pcie.0,addr={16 + k:#x},bus_nr={n['pxb_bus']},numa_node={i}"]
        for slot in range(n["num_gpus"]):
            args += port(f"x{k}", slot)
    for slot in range(endpoints + 1, endpoints + 1 + m.get("gpus", 0) + m.get("nvswitches", 0)):
        args += port("pcie.0", slot)
    return args


class Gdb:
    """The remote protocol's m and M packets. With paging off an address is a physical one."""

    def __init__(self, connection):
        self.socket = connection
        self.file = self.socket.makefile("rb")

    def ask(self, text):
        self.socket.sendall(b"$%s#%02x" % (text, sum(text) & 255))
        while self.file.read(1) != b"$":
            pass
        answer = b""
        while (c := self.file.read(1)) != b"#":
            answer += c
        self.file.read(2)
        self.socket.sendall(b"+")
        return answer

    def write(self, address, data):
        assert self.ask(b"M%x,%x:%s" % (address, len(data), data.hex().encode())) == b"OK"

    def read(self, address, size):
        data = b""
        while len(data) < size:
            data += bytes.fromhex(self.ask(b"m%x,%x" % (address + len(data), min(1024, size - len(data)))).decode())
        return data


class Monitor:
    """QMP on a socket, for commands of the human monitor."""

    def __init__(self, connection):
        self.socket = connection
        self.file = self.socket.makefile("r")
        self.version = json.loads(self.file.readline())["QMP"]["version"]["qemu"]
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while "return" not in (answer := json.loads(self.file.readline())):
            assert "error" not in answer, answer
        return answer["return"]

    def out(self, width, port, value):
        assert self.execute("human-monitor-command", **{"command-line": f"o /{width} {port:#x} {value:#x}"}) == ""


def program(monitor, m):
    """What firmware has programmed by the time it asks: the four registers of docs/measurement.md."""
    window = m.get("window", 0x380000000000)
    for slot, offset, value in ((0, 0x64, 0), (0, 0x60, m.get("pciexbar", 0xe0000000) | 1), (31, 0x40, 0x601),
                                (31, 0x44, 0x80), (1, 0x20, window & 0xffffffff), (1, 0x24, window >> 32),
                                (1, 4, 2)):
        monitor.out("w", 0xcf8, 0x80000000 | slot << 11 | offset)
        monitor.out("w", 0xcfc, value)


def read_fw_cfg(monitor, gdb, key, size):
    gdb.write(DESCRIPTOR, struct.pack(">IIQ", key << 16 | 8 | 2, size, LANDING))  # select and read
    monitor.out("w", 0x514, 0)
    monitor.out("w", 0x518, int.from_bytes(struct.pack(">I", DESCRIPTOR), "little"))
    control = struct.unpack(">I", gdb.read(DESCRIPTOR, 4))[0]
    assert control == 0, f"fw_cfg answers {control:#x}"
    return gdb.read(LANDING, size)


def read_files(monitor, gdb):
    count = struct.unpack(">I", read_fw_cfg(monitor, gdb, 0x19, 4))[0]
    raw = read_fw_cfg(monitor, gdb, 0x19, 4 + 64 * count)
    keys = {}
    for i in range(count):
        size, key, _, name = struct.unpack(">IHH56s", raw[4 + 64 * i:68 + 64 * i])
        keys[name.split(b"\0")[0].decode()] = (key, size)
    return {word: read_fw_cfg(monitor, gdb, *keys[name]) for word, name in
            (("loader", "etc/table-loader"), ("rsdp", "etc/acpi/rsdp"), ("tables", "etc/acpi/tables"))}


def connect(path, process):
    """A connection to what the process listens on, as soon as it does."""
    for _ in range(1200):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            assert process.poll() is None, "it ended"
            time.sleep(0.05)
    raise TimeoutError(path)


def start_tpm(directory):
    """A TPM 2.0, and the emulator's end of its control channel."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={directory}", "--ctrl",
                                f"type=unixio,clientfd={theirs.fileno()}"], pass_fds=[theirs.fileno()],
                               stderr=subprocess.DEVNULL)
    theirs.close()
    return process, ours


def version_of(emulator):
    """Its first line, and the version in it."""
    text = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout
    return re.match(r"QEMU emulator version (\d+\.\d+\.\d+).*", text)


def capture(emulator, m):
    directory = tempfile.mkdtemp()
    version = version_of(emulator)[1]
    command = [emulator] + platform(m, version) + devices(m)
    running, keep = [], []
    try:
        if m.get("tpm"):
            process, tpm = start_tpm(directory)
            running.append(process)
            keep = [tpm]
            command += ["-chardev", f"socket,id=c,fd={tpm.fileno()}", "-tpmdev", "emulator,id=t,chardev=c",
                        "-device", "tpm-tis,tpmdev=t"]
        command += ["-qmp", f"unix:{directory}/qmp,server=on,wait=off",
                    "-chardev", f"socket,id=g,path={directory}/gdb,server=on,wait=off", "-gdb", "chardev:g"]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=[s.fileno() for s in keep]))
        monitor = Monitor(connect(f"{directory}/qmp", running[-1]))
        gdb = Gdb(connect(f"{directory}/gdb", running[-1]))
        program(monitor, m)
        assert version == "{major}.{minor}.{micro}".format(**monitor.version)
        text = re.sub(re.escape(directory), "DIR", " ".join(command[1:]))
        return read_files(monitor, gdb), version, text
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
        for tpm in keep:
            tpm.close()
        shutil.rmtree(directory)


def signatures(tables):
    names, at = [], 0
    while tables[at:at + 4].strip(b"\0"):
        names.append(tables[at:at + 4].decode())
        at += struct.unpack("<I", tables[at + 4:at + 8])[0]
    return names, at


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--no-tpm"]):
        sys.exit(__doc__)
    emulator, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    cases, commands = [], [f"# {version_of(emulator)[0]}\n"]
    for i, m in enumerate(MACHINES):
        m = {**m, "tpm": m.get("tpm", False) and sys.argv[3:] == []}
        files, version, command = capture(emulator, m)
        names, used = signatures(files["tables"])
        assert not files["tables"][used:].strip(b"\0"), "something follows the tables"
        cases.append({"name": f"{i:03}", "machine": describe(m, version),
                      "sha384": {k: hashlib.sha384(files[k]).hexdigest() for k in ("tables", "rsdp", "loader")},
                      "tables_size": len(files["tables"]), "tables_used": used, "signatures": names})
        commands.append(f"{i:03}: {command}\n")
        with open(f"{out}/{i:03}.tables.bin.gz", "wb") as f:
            f.write(gzip.compress(files["tables"][:used], 9, mtime=0))
        print(f"{i:03}", version, " ".join(names), used, flush=True)
    with open(f"{out}/cases.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")
    with open(f"{out}/commands.txt", "w") as f:
        f.writelines(commands)


if __name__ == "__main__":
    main()
