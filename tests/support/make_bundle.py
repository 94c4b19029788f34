#!/usr/bin/env python3
"""Makes a small image bundle that is valid in every byte, or wrong in one named way.

The firmware has TDVF metadata as in docs/measurement.md (the four memory ranges there, a variable
store and code), the kernel is a PE32+ image with a Linux setup header. Nothing in it runs. Without
--layout the code is in no firmware volume, and nothing can be told of its layout.
"""
import argparse
import hashlib
import json
import lzma
import os
import struct
import uuid

PAGE = 4096
FOOTER = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
TDVF_OFFSET = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le


def section(offset, raw, address, memory, kind, attributes=0):
    return struct.pack("<IIQQII", offset, raw, address, memory, kind, attributes)


# What the drivers' volume and its texts hold, by --layout.
LAYOUTS = {
    "pre202505": (["TdTcg2Dxe", "UiApp"], ["ACPI DATA", " initrd=initrd"]),
    "stable202505": (["TdTcg2Dxe", "SmbiosMeasurementDxe", "BootManagerMenuApp", "UiApp"],
                     ["QEMU FW CFG", "ACPI DATA", " initrd=initrd"]),
    "stable202505-prefix": (["TdTcg2Dxe", "SmbiosMeasurementDxe", "BootManagerMenuApp", "UiApp"],
                            ["QEMU FW CFG", "ACPI DATA", "initrd=initrd "]),
    "unnamed": (["TdTcg2Dxe", "SecureBootConfigDxe"], ["ACPI DATA", "initrd=initrd "]),
    "silent": (["UiApp"], [" initrd=initrd"]),
}
DRIVERS = {
    "TdTcg2Dxe": "f062221e-c607-44c2-b0b4-c3886331d351",
    "SmbiosMeasurementDxe": "d27fed59-abb4-4fed-bead-2a878c7e4a7e",
    "BootManagerMenuApp": "eec25bdc-67f2-4d95-b1d5-f81b2039d11d",
    "UiApp": "462caa21-7614-4503-836e-8ab6f4662331",
    "SecureBootConfigDxe": "f0e6a44f-7195-41c3-ac64-54f202cd0a21",
}
FFS2 = uuid.UUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3").bytes_le
NV = uuid.UUID("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes_le
LZMA = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le
DXEFV = uuid.UUID("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1").bytes_le
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le


def volume(file_system, name, contents, size):
    ext_header = 0x48 if name else 0
    header = bytes(16) + file_system + struct.pack("<Q4sIHHHBBIIII", size, b"_FVH", 0x4FEFF, 0x48,
                                                   0, ext_header, 0, 2, size // PAGE, PAGE, 0, 0)
    if name:
        header += name + struct.pack("<I", 20) + bytes(4)
    assert len(header) + len(contents) <= size
    return (header + contents).ljust(size, b"\xff")


def ffs_file(name, kind, contents, wrong=""):
    size = {"file-size-0": 0, "file-too-long": 0x40000}.get(wrong, 24 + len(contents))
    header = name + struct.pack("<HBB", 0xAA00, kind, 0) + size.to_bytes(3, "little") + b"\xf8"
    return (header + contents).ljust((24 + len(contents) + 7) & ~7, b"\xff")


def section_of(kind, contents):
    return (len(contents) + 4).to_bytes(3, "little") + bytes([kind]) + contents


def code_volume(layout, wrong):
    names, texts = LAYOUTS[layout]
    contents = b"".join(text.encode() + b"\0" for text in texts)
    files = ffs_file(bytes(15) + b"\1", 7, contents)
    files += b"".join(ffs_file(uuid.UUID(DRIVERS[name]).bytes_le, 7, name.encode())
                      for name in names)
    inner = section_of(0x17, volume(FFS2, DXEFV, files, 2 * PAGE))
    if wrong == "lzma-bomb":
        inner = bytes(65 << 20)
    packed = lzma.compress(inner, lzma.FORMAT_ALONE)
    if wrong == "lzma-truncated":
        packed = packed[:-20]
    guided = section_of(2, LZMA + struct.pack("<HH", 24, 1) + packed)
    outer = bytearray(volume(FFS2, bytes(15) + b"\2", ffs_file(bytes(15) + b"\3", 0x0B, guided,
                                                              wrong), 8 * PAGE))
    if wrong == "volume-length":
        struct.pack_into("<Q", outer, 32, 1 << 30)
    if wrong == "extended-header":
        struct.pack_into("<I", outer, 0x58, 1 << 30)
    return bytes(outer)


def variable(name, guid, data, wrong):
    size = 1 << 20 if wrong == "variable-size" else len(data)
    text = (name + "\0").encode("utf-16le")
    header = struct.pack("<HBBI28xII", 0x55AA, 0x3F, 0, 0x27, len(text), size)
    return (header + guid + text + data + bytes(3))[:(len(header) + 16 + len(text) + len(data) + 3)
                                                    & ~3]


def store_volume(size, keys, wrong):
    variables = variable("PK", GLOBAL, b"a platform key", wrong) if keys else b""
    if wrong == "variables-10000":
        variables = variable("V", GLOBAL, b"", "") * 10000
    state = 0 if wrong == "store-state" else 0xFE
    authenticated = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
    store = authenticated + struct.pack("<IBB6x", size - 0x48, 0x5A, state) + variables
    return volume(NV, None, store, size)


def firmware(wrong, layout, keys):
    cfv, code = (160 if wrong == "variables-10000" else 16) * PAGE, 48 * PAGE
    size = cfv + code
    image = bytearray((i * 7 + 3) & 0xFF for i in range(size))
    if layout:
        image[:cfv] = store_volume(cfv, keys or wrong == "variable-size", wrong)
        outer = code_volume(layout, wrong)
        image[cfv:cfv + len(outer)] = outer
    bfv_size = {"firmware-data": code + PAGE}.get(wrong, code)
    sections = [
        section(cfv, bfv_size, 0xFFFD0000, bfv_size, 0, 1),
        section(0, cfv, 0xFFFD0000 - cfv, cfv, 1),
        section(0, 0, 0x810000, 0x10000, 3),
        section(0, 0, 0x80B000, 0x2000, 3),
        section(0, 0, 0x809000, 0x2000, 2),
        section(0, 0, 0x800000, 0x6000, 3),
    ]
    if wrong == "firmware-wrap":
        sections[2] = section(0, 0, 0xFFFFFFFFFFFFF000, 0x2000, 3)
    count = 0xFFFFFFFF if wrong == "firmware-count" else len(sections)
    body = b"".join(sections)
    descriptor = b"TDVF" + struct.pack("<III", 16 + len(body), 1, count) + body
    at = size - 0x1000
    image[at:at + len(descriptor)] = descriptor
    entry = struct.pack("<I", size - at) + struct.pack("<H", 22) + TDVF_OFFSET
    footer = struct.pack("<H", len(entry) + 18) + FOOTER
    table = entry + footer
    image[size - 32 - len(table):size - 32] = table
    return bytes(image)


def kernel(size, wrong, version):
    image = bytearray((i * 5 + 1) & 0xFF for i in range(size))
    image[0:0x400] = bytes(0x400)
    pe = 0x240  # behind the setup header
    image[0:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, size + 16 if wrong == "kernel-lfanew" else pe)
    image[pe:pe + 4] = b"PE\0\0"
    optional = 112 + 16 * 8
    count = 90 if wrong == "kernel-sections" else 1
    struct.pack_into("<HHIIIHH", image, pe + 4, 0x8664, count, 0, 0, 0, optional, 0x206)
    opt = pe + 24
    headers = {"kernel-headers-0": 0, "kernel-headers-huge": 0xFFFFFFF0}.get(wrong, 0x1000)
    struct.pack_into("<H", image, opt, 0x20B)
    struct.pack_into("<II", image, opt + 60, headers, 0x1234)
    struct.pack_into("<I", image, opt + 108, 16)
    at, raw = (0, 0) if wrong == "kernel-sections" else (0x1000, size - 0x1000)
    struct.pack_into("<8sIIIIIIHHI", image, opt + optional, b".text", raw, 0x1000, raw, at, 0, 0,
                     0, 0, 0x60000020)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x20F)
    image[0x211] = 1
    struct.pack_into("<I", image, 0x22C, 0x7FFFFFFF)
    struct.pack_into("<H", image, 0x236, 0x3F)
    struct.pack_into("<H", image, 0x20E, 0x600)
    image[0x800:0x800 + len(version) + 1] = version.encode() + b"\0"
    if wrong == "kernel-sections":  # a table that runs past the end of a short file
        return bytes(image[:0x400])
    return bytes(image)


def initrd(size):
    block = hashlib.sha512(b"initrd").digest() * 1024
    return (block * (size // len(block) + 1))[:size]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--kernel-size", type=int, default=0x8000)
    parser.add_argument("--initrd-size", type=int, default=70000)
    parser.add_argument("--version", default="0.5.11")
    parser.add_argument("--ovmf-variant", default="")
    parser.add_argument("--layout", default="", choices=["", *LAYOUTS],
                        help="the layout that the firmware's volumes say")
    parser.add_argument("--keys", action="store_true", help="a PK is enrolled (with --layout)")
    parser.add_argument("--kernel-version", default="6.12.0-sample")
    parser.add_argument("--wrong", default="", help="what is wrong with it")
    parser.add_argument("--metadata", help="JSON object whose keys replace those of metadata.json")
    args = parser.parse_args()
    os.makedirs(args.directory)
    metadata = {
        "cmdline": "console=ttyS0", "kernel": "bzImage", "initrd": "initramfs.cpio.gz",
        "bios": "ovmf.fd", "rootfs": "rootfs.img.verity", "shared_ro": True, "is_dev": False,
        "version": args.version, "ovmf_variant": args.ovmf_variant,
    }
    metadata = {key: value for key, value in metadata.items() if value != ""}
    metadata.update(json.loads(args.metadata or "{}"))
    files = {
        "bzImage": kernel(args.kernel_size, args.wrong, args.kernel_version),
        "initramfs.cpio.gz": initrd(args.initrd_size),
        "ovmf.fd": firmware(args.wrong, args.layout, args.keys),
        "rootfs.img.verity": b"root" * 1024,
        "metadata.json": json.dumps(metadata, indent=4).encode() + b"\n",
    }
    listing = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                      for name, data in sorted(files.items()))
    files["sha256sum.txt"] = listing.encode()
    files["digest.txt"] = hashlib.sha256(listing.encode()).hexdigest().encode() + b"\n"
    for name, data in files.items():
        with open(os.path.join(args.directory, name), "wb") as out:
            out.write(data)


main()
