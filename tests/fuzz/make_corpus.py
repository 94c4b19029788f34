#!/usr/bin/env python3
"""Writes tests/fuzz/corpus: for each parser valid samples, and samples with a known defect.

    make_corpus.py

It replaces the samples of the same names. What libFuzzer finds is added by hand, under a name that
says what it is. The compact measurement is the captured one of tests/vectors/hw.
"""

import base64
import json
import pathlib
import struct
import uuid

HERE = pathlib.Path(__file__).resolve().parent
VECTOR = HERE.parent / "vectors/hw/tdx-lite-2cpu-2g.json"


def patched(data, at, fmt, *values):
    """A copy with values packed over what lies at offset `at` (from the end where negative)."""
    copy = bytearray(data)
    packed = struct.pack("<" + fmt, *values)
    at %= len(copy)
    copy[at:at + len(packed)] = packed
    return bytes(copy)


def guid(text):
    return uuid.UUID(text).bytes_le


def firmware(size=0x1000):
    sections = [
        (0, size, 0xFFFFF000, 0x1000, 0, 1),
        (0, size, 0xFFFFE000, 0x1000, 1, 0),
        (0, 0, 0x810000, 0x10000, 3, 0),
        (0, 0, 0x809000, 0x2000, 2, 0),
    ]
    descriptor = b"TDVF" + struct.pack("<III", 16 + 32 * len(sections), 1, len(sections))
    descriptor += b"".join(struct.pack("<IIQQII", *s) for s in sections)
    table = struct.pack("<IH", 0x200, 22) + guid("e47a6535-984a-4798-865e-4685a7bf8ec2")
    table += struct.pack("<IH", 0, 22) + guid("dc886566-984a-4798-a75e-5585a7bf67cc")
    table += struct.pack("<H", 62) + guid("96b582de-1fb2-45f7-baea-a366c55a082d")
    image = bytes(size - 0x200) + descriptor
    return image.ljust(size - 32 - len(table), b"\0") + table + bytes(32)


def tdvf_samples():
    good = firmware()
    descriptor = -0x200
    section = descriptor + 16
    return {
        "valid": good,
        "empty": b"",
        "truncated-at-the-end": good[:-1],
        "truncated-at-the-start": good[0x100:],
        "table-length-0": patched(good, -50, "H", 0),
        "table-length-ffff": patched(good, -50, "H", 0xFFFF),
        "entry-length-0": patched(good, -68, "H", 0),
        "descriptor-past-the-start": patched(good, -94, "I", 0xFFFFFFFF),
        "descriptor-at-the-end": patched(good, -94, "I", 8),
        "count-ffffffff": patched(good, descriptor + 12, "I", 0xFFFFFFFF),
        "count-wraps-length": patched(good, descriptor + 4, "III", 16, 1, 0x08000000),
        "version-2": patched(good, descriptor + 8, "I", 2),
        "data-wraps": patched(good, section, "II", 0xFFFFF800, 0x1000),
        "data-past-the-end": patched(good, section, "II", 1, 0x1000),
        "memory-wraps": patched(good, section + 8, "QQ", 0xFFFFFFFFFFFFF000, 0x2000),
        "memory-not-in-pages": patched(good, section + 8, "QQ", 0xFFFFF800, 0x1000),
        "memory-huge": patched(good, section + 16, "Q", 1 << 40),
        "ranges-overlap": patched(good, section + 64 + 8, "QQ", 0x80A000, 0x1000),
        "two-hobs": patched(good, section + 64 + 24, "I", 2),
        "type-unknown": patched(good, section + 24, "I", 7),
    }


def pe_image(plus, at=0x40, size=0x600):
    optional_size = 112 + 128 if plus else 96 + 128
    directories_at = 108 if plus else 92
    optional = bytearray(optional_size)
    struct.pack_into("<H", optional, 0, 0x20B if plus else 0x10B)
    struct.pack_into("<I", optional, 60, 0x200)
    struct.pack_into("<I", optional, directories_at, 16)
    struct.pack_into("<II", optional, directories_at + 4 + 32, size - 0x80, 0x80)
    headers = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", at)
    headers = headers.ljust(at, b"\0") + b"PE\0\0"
    headers += struct.pack("<HHIIIHH", 0x8664, 2, 0, 0, 0, optional_size, 0) + optional
    for raw_offset, raw_size in ((0x400, 0x100), (0x200, 0x200)):
        headers += bytes(16) + struct.pack("<II", raw_size, raw_offset) + bytes(16)
    return headers.ljust(0x200, b"\0") + bytes(i * 7 & 0xFF for i in range(size - 0x200))


def pe_samples():
    good = pe_image(True)
    optional = 0x40 + 24
    section = optional + 240
    return {
        "valid-pe32": pe_image(False),
        "valid-pe32-plus": good,
        "empty": b"",
        "truncated-headers": good[:0x100],
        "truncated-section-table": good[:section + 50],
        "truncated-data": good[:0x3FF],
        "e_lfanew-past-the-end": patched(good, 0x3C, "I", 0xFFFFFFF0),
        "e_lfanew-at-the-end": patched(good, 0x3C, "I", len(good)),
        "size-of-headers-0": patched(good, optional + 60, "I", 0),
        "size-of-headers-fffffff0": patched(good, optional + 60, "I", 0xFFFFFFF0),
        "optional-header-0": patched(good, 0x40 + 20, "H", 0),
        "optional-header-ffff": patched(good, 0x40 + 20, "H", 0xFFFF),
        "sections-97": patched(good, 0x40 + 6, "H", 97),
        "sections-96": patched(good, 0x40 + 6, "H", 96),
        "section-wraps": patched(good, section + 16, "II", 0x200, 0xFFFFFF00),
        "section-huge": patched(good, section + 16, "I", 0xFFFFFFFF),
        "sections-overlap": patched(good, section + 16, "II", 0x400, 0x200),
        "directories-4": patched(good, optional + 108, "I", 4),
        "directories-ffffffff": patched(good, optional + 108, "I", 0xFFFFFFFF),
        "certificates-too-large": patched(good, optional + 108 + 4 + 36, "I", 0x10000),
    }


def kernel_image(protocol=0x20F, loadflags=1, xloadflags=0x3F, initrd_addr_max=0x7FFFFFFF):
    image = patched(pe_image(True), 0x202, "4sH", b"HdrS", protocol)
    image = patched(image, 0x211, "B", loadflags)
    image = patched(image, 0x22C, "I", initrd_addr_max)
    return patched(image, 0x236, "H", xloadflags)[:0x400]


def kernel_samples():
    good = kernel_image()
    return {
        "valid": good,
        "valid-protocol-2.11": kernel_image(protocol=0x20B),
        "valid-protocol-2.03": kernel_image(protocol=0x203, initrd_addr_max=0),
        "valid-limit-37ffffff": kernel_image(xloadflags=0x3D, initrd_addr_max=0x37FFFFFF),
        "limit-1": kernel_image(xloadflags=0, initrd_addr_max=1),
        "all-ones": kernel_image(0xFFFF, 0xFF, 0xFFFF, 0xFFFFFFFF),
        "protocol-2.02": kernel_image(protocol=0x202),
        "loaded-low": kernel_image(loadflags=0xFE),
        "no-magic": patched(good, 0x202, "B", 0),
        "truncated-in-the-header": good[:0x237],
        "truncated-before-the-header": good[:0x202],
        "empty": b"",
    }


def compact_samples():
    config = json.loads(VECTOR.read_text())["vm_config"]
    good = base64.b64decode(config["tdx_measurement"]["measurement"])
    td_hob = good.index(b"\x66td_hob") + 7
    return {
        "valid": good,
        "empty": b"",
        "truncated": good[:200],
        "trailing": good + b"\0",
        "version-2": patched(good, 9, "B", 2),
        "version-in-two-bytes": good[:9] + b"\x18\x03" + good[10:],
        "indefinite-map": b"\xbf" + good[1:] + b"\xff",
        "indefinite-text": b"\xa3\x7f" + good[1:9] + b"\xff" + good[9:],
        "key-missing": b"\xa2" + good[:good.index(b"\x64tdvf")][1:],
        "key-surplus": b"\xa4" + good[1:] + b"\x61x\x00",
        "pairs-huge": b"\xbb" + b"\xff" * 8 + good[1:],
        "bytes-huge": good[:32] + b"\x5b" + b"\xff" * 8 + good[34:],
        "maps-in-maps": b"\xa1\x00" * 3000 + b"\x00",
        "ranges-overlap": good[:td_hob] + bytes.fromhex("48" "8010" "00" "02" "0002" "0102"),
        "ranges-huge": good[:td_hob] + b"\x4c\x80\x10\x09" + b"\xff" * 8 + b"\x01",
        "ranges-wrap": good[:td_hob] + b"\x4c" + b"\xff" * 7 + b"\x07\x00\x01\x00\x01",
    }


def quote_samples():
    good = bytes.fromhex(json.loads(VECTOR.read_text())["quote_hex"])
    body = good[48:632]
    head5 = patched(good[:48], 0, "H", 5)
    return {
        "valid": good.rstrip(b"\0") + b"\0",
        "valid-padded": good,
        "valid-hex": good.hex().encode(),
        "valid-base64": base64.b64encode(good),
        "version-5-td-1.0": head5 + struct.pack("<HI", 2, 584) + body + good[632:],
        "version-5-td-1.5": head5 + struct.pack("<HI", 3, 648) + body + bytes(64) + good[632:],
        "version-5-size": head5 + struct.pack("<HI", 3, 0xFFFFFFFF) + body + good[632:],
        "version-3": patched(good, 0, "H", 3),
        "sgx": patched(good, 4, "I", 0),
        "section-huge": patched(good, 632, "I", 0xFFFFFFFF),
        "section-short": patched(good, 632, "I", 100),
        "certification-huge": patched(good, 766, "I", 0xFFFFFFF0),
        "certification-5": patched(good, 764, "H", 5),
        "auth-data-ffff": patched(good, 770 + 448, "H", 0xFFFF),
        "certificates-type-1": patched(good, 770 + 448 + 34, "H", 1),
        "certificates-none": good[:1258] + b"\0" * 3678,
        "signature-zero": patched(good, 636, "64s", bytes(64)),
        "key-zero": patched(good, 700, "64s", bytes(64)),
        "trailing": good[:-1] + b"\1",
        "truncated-body": good[:600],
        "truncated": good[:3000],
        "empty": b"",
    }


def binary_log(events, algorithms=((0x0C, 48),), end=b""):
    spec = b"Spec ID Event03\0" + bytes(4) + b"\0\2\0\2" + struct.pack("<I", len(algorithms))
    spec += b"".join(struct.pack("<HH", *a) for a in algorithms) + b"\0"
    log = struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(spec)) + spec
    for register, kind, data in events:
        log += struct.pack("<III", register, kind, len(algorithms))
        log += b"".join(struct.pack("<H", a) + b"\x11" * size for a, size in algorithms)
        log += struct.pack("<I", len(data)) + data
    return log + end


def variable(name, data):
    return guid("8be4df61-93ca-11d2-aa0d-00e098032b8c") + \
        struct.pack("<QQ", len(name), len(data)) + name.encode("utf-16-le") + data


def event_log_samples():
    path = bytes.fromhex("0407140000112233445566778899aabbccddeeff"
                         "0101060002 1f7fff0400".replace(" ", ""))
    option = struct.pack("<IH", 0x109, len(path)) + "UiApp\0".encode("utf-16-le") + path
    events = [
        (1, 0x8000000B, b"\2HOB" + bytes(32)),
        (1, 0x8000000A, b"\3CFV" + bytes(16)),
        (1, 0x80000001, variable("SecureBoot", b"\1")),
        (1, 4, bytes(4)),
        (1, 10, b"QEMU FW CFG\0BootMenu\0"),
        (1, 10, b"ACPI DATA\0"),
        (1, 0x80000009, struct.pack("<Q", 1) + guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394") + bytes(8)),
        (1, 0x80000002, variable("BootOrder", b"\0\0\1\0")),
        (1, 0x80000002, variable("Boot0000", option)),
        (2, 0x80000003, struct.pack("<QQQQ", 1, 2, 0, len(path)) + path),
        (2, 0x80000007, b"Exit Boot Services Invocation"),
        (3, 6, struct.pack("<II", 0x8F3B22EC, 13) + b"Linux initrd\0"),
        (4, 0x08000001, b"payload"),
        (0, 3, b"StartupLocality\0\0"),
    ]
    good = binary_log(events)
    first = 32 + 33
    huge = struct.pack("<QQ", 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return {
        "valid": good,
        "valid-padded-ff": binary_log(events, end=b"\xff" * 300),
        "valid-padded-0": binary_log(events, end=bytes(300)),
        "valid-two-digests": binary_log(events, ((0x0B, 32), (0x0C, 48))),
        "valid-no-events": binary_log([]),
        "padding-mixed": binary_log(events, end=b"\xff" * 300 + b"\0"),
        "no-sha384": binary_log(events, ((0x0B, 32),)),
        "algorithms-17": binary_log([], ((0x0C, 48),) * 17),
        "algorithms-huge": patched(good, 56, "I", 0xFFFFFFFF),
        "spec-id-huge": patched(good, 28, "I", 0xFFFFFFFF),
        "digests-2": patched(good, first + 8, "I", 2),
        "digest-unknown": patched(good, first + 12, "H", 4),
        "data-huge": patched(good, first + 62, "I", 0xFFFFFFF0),
        "register-5": patched(good, first, "I", 5),
        "variable-huge": binary_log([(1, 0x80000001, bytes(16) + huge)]),
        "variable-short": binary_log([(1, 0x80000002, bytes(20))]),
        "option-path-long": binary_log([(1, 0x80000002, variable("Boot0000", b"\0" * 4 + b"\xff\xff"))]),
        "path-node-0": binary_log([(2, 0x80000003, bytes(24) + struct.pack("<Q", 8) + bytes(8))]),
        "tables-huge": binary_log([(1, 0x80000009, huge + bytes(40))]),
        "truncated": good[:400],
        "sha1-form": good[:4] + b"\4" + good[5:],
        "empty": b"",
    }


def main():
    corpora = {"tdvf": tdvf_samples(), "pe": pe_samples(), "kernel": kernel_samples(),
               "compact": compact_samples(), "quote": quote_samples(),
               "event_log": event_log_samples()}
    for name, samples in corpora.items():
        directory = HERE / "corpus" / name
        directory.mkdir(parents=True, exist_ok=True)
        for sample, data in samples.items():
            (directory / sample).write_bytes(data)


if __name__ == "__main__":
    main()
