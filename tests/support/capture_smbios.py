#!/usr/bin/env python3
"""Reads etc/smbios/smbios-tables out of an emulator for a list of machines.

    capture_smbios.py EMULATOR MACHINES.json OUTDIR

MACHINES.json is an array of {"name", "machine", "options"}: what the emulator is given beside the
fixed part of its command line. OUTDIR gets cases.json, which repeats each entry with the
emulator's version, what the emulator itself says of its first CPU (CPUID leaf 1, over QMP), the
type of entry point, size and SHA-384, and NAME.bin.gz, the file's bytes, gzipped.

Nothing of the project is used. No guest runs: fw_cfg is driven through its ports with the human
monitor's `o` command, its transfers land in guest memory, and `pmemsave` saves them.
"""
import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

FIXED = ["-S", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "null",
         "-qmp", "stdio"]
DESCRIPTORS, LANDING, STEP, STEPS = 0x10000, 0x100000, 0x10000, 16
DIRECTORY_KEY, DIRECTORY_SIZE = 0x19, 4 + 64 * 64


def descriptors():
    """Transfers, big-endian: u32 control (2 = read), u32 length, u64 address. Each serves once."""
    for i in range(STEPS):
        at = DESCRIPTORS + 16 * i
        for where, value in (at, 2 << 32 | STEP), (at + 8, LANDING + i * STEP):
            yield from ("-device", f"loader,addr={where:#x},data={value:#x},data-len=8,data-be=on")


class Emulator:
    def __init__(self, program, options):
        self.used = 0
        self.process = subprocess.Popen([program, *FIXED, *options, *descriptors()],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def __enter__(self):
        greeting = self.process.stdout.readline()
        if not greeting:
            raise RuntimeError(self.process.stderr.read().decode().strip())
        version = json.loads(greeting)["QMP"]["version"]["qemu"]
        self.version = "{major}.{minor}.{micro}".format(**version)
        self.run("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def run(self, command, **arguments):
        request = json.dumps({"execute": command, "arguments": arguments})
        self.process.stdin.write(request.encode() + b"\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(self.process.stderr.read().decode().strip())
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{request}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        said = self.run("human-monitor-command", **{"command-line": line}).strip()
        if said:
            raise RuntimeError(f"{line}: {said}")

    def read(self, key, size):
        first = self.used
        self.monitor(f"o /h 0x510 {key:#x}")
        for _ in range(0, size, STEP):
            if self.used == STEPS:
                raise RuntimeError(f"{size} bytes are too many")
            # The register is big-endian, the port is not.
            address = struct.pack(">I", DESCRIPTORS + 16 * self.used)
            self.monitor("o /w 0x514 0")
            self.monitor(f"o /w 0x518 {struct.unpack('<I', address)[0]:#x}")
            self.used += 1
        with tempfile.NamedTemporaryFile() as target:
            self.monitor(f'pmemsave {LANDING + first * STEP:#x} {size} "{target.name}"')
            return target.read()

    def files(self):
        directory = self.read(DIRECTORY_KEY, DIRECTORY_SIZE)
        for i in range(min(struct.unpack_from(">I", directory)[0], 64)):
            size, key = struct.unpack_from(">IH", directory, 4 + 64 * i)
            name = directory[12 + 64 * i:68 + 64 * i].split(b"\0")[0].decode()
            yield name, (key, size)

    def cpu(self):
        """Signature and EDX of CPUID leaf 1 as the emulator keeps them for its first CPU."""
        path = self.run("query-cpus-fast")[0]["qom-path"]
        family, model, stepping = (self.run("qom-get", path=path, property=name)
                                   for name in ("family", "model", "stepping"))
        signature = model >> 4 << 16 | (model & 15) << 4 | stepping
        signature |= 0xf00 | family - 15 << 20 if family > 15 else family << 8
        for word in self.run("qom-get", path=path, property="feature-words"):
            if word["cpuid-input-eax"] == 1 and word["cpuid-register"] == "EDX":
                return signature, word["features"]
        raise RuntimeError("no feature word for leaf 1")


def capture(program, entry, out):
    with Emulator(program, entry["options"]) as emulator:
        files = dict(emulator.files())
        tables = emulator.read(*files["etc/smbios/smbios-tables"])
        anchor = emulator.read(*files["etc/smbios/smbios-anchor"])
        signature, features = emulator.cpu()
        version = emulator.version
    with open(os.path.join(out, entry["name"] + ".bin.gz"), "wb") as target:
        target.write(gzip.compress(tables, 9, mtime=0))
    print(entry["name"], version, len(tables), file=sys.stderr)
    return dict(entry, qemu_version=version, cpu_signature=signature, cpu_features_edx=features,
                entry_point="3.0" if anchor.startswith(b"_SM3_") else "2.x", size=len(tables),
                sha384=hashlib.sha384(tables).hexdigest())


def main():
    program, machines, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    with open(machines) as source:
        cases = [capture(program, entry, out) for entry in json.load(source)]
    with open(os.path.join(out, "cases.json"), "w") as target:
        json.dump(cases, target, indent=1)
        target.write("\n")


main()
