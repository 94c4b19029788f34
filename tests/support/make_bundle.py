#!/usr/bin/env python3
"""Makes a small image bundle that is valid in every byte, or wrong in one named way.

The firmware has TDVF metadata as in docs/measurement.md (the four memory ranges there, a variable
store and code), the kernel is a PE32+ image with a Linux setup header. Nothing in it runs.
"""
import argparse
import hashlib
import json
import os
import struct
import uuid

PAGE = 4096
FOOTER = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
TDVF_OFFSET = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le


def section(offset, raw, address, memory, kind, attributes=0):
    return struct.pack("<IIQQII", offset, raw, address, memory, kind, attributes)


def firmware(wrong):
    size = 64 * PAGE
    cfv, code = 16 * PAGE, 48 * PAGE
    image = bytearray((i * 7 + 3) & 0xFF for i in range(size))
    bfv_size = {"firmware-data": code + PAGE}.get(wrong, code)
    sections = [
        section(cfv, bfv_size, 0xFFFD0000, bfv_size, 0, 1),
        section(0, cfv, 0xFFFC0000, cfv, 1),
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


def kernel(size, wrong):
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
        "bzImage": kernel(args.kernel_size, args.wrong),
        "initramfs.cpio.gz": initrd(args.initrd_size),
        "ovmf.fd": firmware(args.wrong),
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
