#!/usr/bin/env python3
"""MRTD a second time, written from the specification alone.

    mrtd_reference.py               the constants of test_mrtd.c and test_tdvf.c
    mrtd_reference.py FIRMWARE...   both orders of real files

It shares nothing with measure/: it builds the same synthetic files as
test_mrtd.c, finds the TDVF descriptor in the bytes, and hashes the records of
TDH.MEM.PAGE.ADD and TDH.MR.EXTEND as docs/measurement.md lists them.
"""

import hashlib
import struct
import sys
import uuid

BFV, CFV, TD_HOB, TEMP_MEM = range(4)
EXTEND, AUG = 1, 2
DESCRIPTOR_FROM_END = 0x900
OFFSET_GUID = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
OTHER_GUID = uuid.UUID("dc886566-984a-4798-a75e-5585a7bf67cc").bytes_le
FOOTER_GUID = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le

# name -> size of the file, sections: data offset, raw size, address, memory size, type, attributes
SAMPLES = {
    "plain": (0x4000, [
        (0x1000, 0x3000, 0xFFFFD000, 0x3000, BFV, EXTEND),
        (0, 0x1000, 0xFFFFC000, 0x1000, CFV, 0),
        (0, 0, 0x810000, 0x10000, TEMP_MEM, 0),
        (0, 0, 0x80B000, 0x2000, TEMP_MEM, 0),
        (0, 0, 0x809000, 0x2000, TD_HOB, 0),
        (0, 0, 0x800000, 0x6000, TEMP_MEM, 0),
    ]),
    "everything extended": (0x5000, [
        (0x2000, 0x3000, 0xFFFFD000, 0x3000, BFV, EXTEND),
        (0, 0x2000, 0xFFFFB000, 0x2000, CFV, EXTEND),
        (0, 0, 0x809000, 0x2000, TD_HOB, EXTEND),
        (0, 0, 0x80B000, 0x3000, TEMP_MEM, EXTEND),
    ]),
    "pages added later": (0x3000, [
        (0, 0, 0x100000000, 0x2000, TEMP_MEM, AUG),
        (0, 0x1000, 0xFFFFC000, 0x1000, CFV, AUG),
        (0x1000, 0x2000, 0xFFFFE000, 0x2000, BFV, EXTEND),
        (0, 0, 0x809000, 0x1000, TD_HOB, 0),
    ]),
    "one page each": (0x2000, [
        (0x1000, 0x1000, 0xFFFFF000, 0x1000, BFV, EXTEND),
        (0, 0x1000, 0xFFFFE000, 0x1000, CFV, EXTEND),
        (0, 0, 0x123456789000, 0x1000, TEMP_MEM, EXTEND),
        (0, 0, 0x809000, 0x1000, TD_HOB, 0),
    ]),
}


def build(size, sections):
    """A synthetic firmware file."""
    image = bytearray((i * 7 + (i >> 8) * 13 + 5) & 0xFF for i in range(size))
    descriptor = b"TDVF" + struct.pack("<III", 16 + 32 * len(sections), 1, len(sections))
    for section in sections:
        descriptor += struct.pack("<IIQQII", *section)
    at = size - DESCRIPTOR_FROM_END
    image[at:at + len(descriptor)] = descriptor
    table = struct.pack("<IH", DESCRIPTOR_FROM_END, 22) + OFFSET_GUID
    table += struct.pack("<IH", 0x12345678, 22) + OTHER_GUID
    table += struct.pack("<H", len(table) + 18) + FOOTER_GUID
    image[size - 32 - len(table):size - 32] = table
    return bytes(image)


def parse(image):
    """The sections of a firmware file that is known to be well-formed."""
    end = len(image) - 32
    assert image[end - 16:end] == FOOTER_GUID
    end -= 18
    while image[end - 16:end] != OFFSET_GUID:
        end -= struct.unpack_from("<H", image, end - 18)[0]
    at = len(image) - struct.unpack_from("<I", image, end - 22)[0]
    signature, _, version, count = struct.unpack_from("<4sIII", image, at)
    assert (signature, version) == (b"TDVF", 1)
    return [struct.unpack_from("<IIQQII", image, at + 16 + 32 * i) for i in range(count)]


def record(name, address):
    return name.ljust(16, b"\0") + struct.pack("<Q", address) + bytes(104)


def mrtd(image, two_pass):
    digest = hashlib.sha384()
    for data_offset, raw_size, address, mem_size, _, attributes in parse(image):
        assert raw_size in (0, mem_size)
        data = image[data_offset:data_offset + raw_size] or bytes(mem_size)
        steps = []  # (pass, page, record)
        for page in range(0, mem_size, 4096):
            if not attributes & AUG:
                steps.append((0, page, record(b"MEM.PAGE.ADD", address + page)))
            if attributes & EXTEND:
                for at in range(page, page + 4096, 256):
                    steps.append((1, page, record(b"MR.EXTEND", address + at) + data[at:at + 256]))
        if two_pass:
            steps.sort(key=lambda step: step[0])  # stable: addresses keep their order
        for step in steps:
            digest.update(step[2])
    return digest.hexdigest()


def main():
    files = {name: build(*sample) for name, sample in SAMPLES.items()}
    if len(sys.argv) > 1:
        files = {}
        for path in sys.argv[1:]:
            with open(path, "rb") as file:
                files[path] = file.read()
    for name, image in files.items():
        print(name)
        print("  file sha256", hashlib.sha256(image).hexdigest())
        print("  single pass", mrtd(image, False))
        print("  two pass   ", mrtd(image, True))


if __name__ == "__main__":
    main()
