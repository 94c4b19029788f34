#!/usr/bin/env python3
"""Writes tests/fuzz/corpus: for each parser valid samples, and samples with a known defect.

    make_corpus.py

It replaces the samples of the same names. What libFuzzer finds is added by hand, under a name that
says what it is. The compact measurement is the captured one of tests/vectors/hw.
"""

import base64
import hashlib
import json
import lzma
import pathlib
import struct
import uuid

HERE = pathlib.Path(__file__).resolve().parent
VECTOR = HERE.parent / "vectors/hw/tdx-lite-2cpu-2g.json"
MANIFESTS = HERE.parent / "vectors/manifest"


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


def structure(kind, body, *strings):
    tail = b"".join(s + b"\0" for s in strings) + b"\0"
    return struct.pack("<BBH", kind, 4 + len(body), kind << 8) + body + (tail if strings else b"\0\0")


def smbios_samples():
    end = structure(127, b"")
    system = structure(1, b"\1\2\0\3" + bytes(16) + b"\6\0\0", b"QEMU", b"PC", b"serial")
    processor = structure(4, b"\1" + bytes(0x2B), b"CPU 0")
    return {
        "valid": system + processor + structure(32, bytes(7)) + end,
        "valid-every-filter": b"".join(structure(k, bytes(range(1, 60)), b"a", b"b")
                                       for k in (1, 2, 3, 4, 11, 15, 17, 18, 22, 23, 27, 31, 33, 39,
                                                 128, 255)) + end,
        "empty": b"",
        "end-alone": end,
        "no-end": system,
        "trailing": system + end + b"\0",
        "truncated-in-the-strings": system[:-2],
        "truncated-in-the-second": system + processor[:20],
        "truncated-in-the-header": system + end[:2],
        "length-3": patched(system, 1, "B", 3) + end,
        "length-255": patched(system, 1, "B", 255) + end,
        "string-number-255": patched(system, 7, "B", 255) + end,
        "one-nul": system[:-1] + end,
    }


def smbios_volume(strings, kind=7, section=0x10, size=None):
    image = b"".join(s.encode("utf-16-le") + b"\0\0" for s in strings)
    body = struct.pack("<I", (4 + len(image)) | section << 24) + image
    size = 24 + len(body) if size is None else size
    header = guid("4110465d-5ff3-4f4b-b580-24ed0d06747a") + struct.pack("<HBBI", 0, kind, 0, size)
    return bytes(64) + header + body + b"behind"


def smbios_strings_samples():
    good = ["unknown", "02/02/2022", "09/26/2026", "2026.08", "Vendor"]
    return {
        "valid": smbios_volume(good),
        "valid-upstream": smbios_volume(["02/02/2022", "EDK II"]),
        "valid-te": smbios_volume(good, section=0x12),
        "empty": b"",
        "no-image": smbios_volume(good, section=0x15),
        "other-type": smbios_volume(good, kind=2),
        "size-0": smbios_volume(good, size=0),
        "size-23": smbios_volume(good, size=23),
        "size-past-the-end": smbios_volume(good, size=0xFFFFFF),
        "truncated": smbios_volume(good)[:100],
        "section-0": patched(smbios_volume(good), 88, "HB", 0, 0),
        "section-past-the-end": patched(smbios_volume(good), 88, "HB", 0xFFFF, 0xFF),
        "order-unknown": smbios_volume(["02/02/2022", "Vendor", "09/26/2026"]),
        "too-many": smbios_volume(good + ["another"]),
        "too-long": smbios_volume(["02/02/2022", "v" * 64]),
        "no-fallback": smbios_volume(good[2:]),
    }


FFS2 = guid("8c8ce578-8a3d-4f1c-9935-896185c32dd3")
DXEFV = guid("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1")
NV = guid("fff12b8d-7696-4c8b-a985-2747075b4f50")
LZMA = guid("ee4e5898-3914-4259-9d6e-dc7bd79403cf")


def volume(contents, size, name=DXEFV, file_system=FFS2):
    header = bytes(16) + file_system + struct.pack("<Q4sIHHHBBIIII", size, b"_FVH", 0x4FEFF, 0x48,
                                                   0, 0x48 if name else 0, 0, 2, 1, size, 0, 0)
    if name:
        header += name + struct.pack("<I", 20) + bytes(4)
    return (header + contents).ljust(size, b"\xff")


def ffs_file(contents, kind=7, name=bytes(15) + b"\1"):
    size = 24 + len(contents)
    header = name + struct.pack("<HBB", 0xAA00, kind, 0) + size.to_bytes(3, "little") + b"\xf8"
    return (header + contents).ljust((size + 7) & ~7, b"\xff")


def section(kind, contents):
    return (len(contents) + 4).to_bytes(3, "little") + bytes([kind]) + contents


def guided(contents, method=LZMA, attributes=1):
    return section(2, method + struct.pack("<HH", 24, attributes) + contents)


def wrap(sections, size=0x400):
    return volume(ffs_file(sections, 0x0B), size, None)


def packed(data):
    return lzma.compress(data, lzma.FORMAT_ALONE, preset=0)


def firmware_volume_samples():
    plain = volume(ffs_file(b"") + ffs_file(b"x") + ffs_file(b"\0" * 8), 0x100)
    good = wrap(guided(packed(section(0x17, plain))))
    deep = plain
    for _ in range(9):
        deep = wrap(section(0x17, deep), len(deep) + 0x100)
    first = 0x60
    return {
        "valid": good,
        "valid-plain": plain,
        "valid-two-volumes": plain.ljust(0x1000, b"\xff") + plain,
        "valid-behind-noise": bytes(range(256)) * 16 + plain,
        "valid-not-packed": wrap(guided(section(0x17, plain), bytes(16), 0)),
        "packed-twice": wrap(guided(packed(section(0x17, good)))),
        "packing-unknown": wrap(guided(b"?", bytes(16))),
        "empty": b"",
        "truncated": good[:-1],
        "deep": deep,
        "lzma-truncated": wrap(guided(packed(section(0x17, plain))[:-9])),
        "lzma-bomb": wrap(guided(packed(bytes(66 << 20))), 0x4000),
        "lzma-dictionary-ffffffff": patched(good, 0x48 + 24 + 24 + 1, "I", 0xFFFFFFFF),
        "lzma-size-ffff": patched(good, 0x48 + 24 + 24 + 5, "Q", 0xFFFF),
        "length-past-the-end": patched(plain, 32, "Q", 0x101),
        "length-wraps": patched(plain, 32, "Q", 0xFFFFFFFFFFFFFFFF),
        "length-0": patched(plain, 32, "Q", 0),
        "header-length-0": patched(plain, 48, "H", 0),
        "extended-header-past-the-end": patched(plain, 52, "H", 0xFFFF),
        "extended-header-huge": patched(plain, 0x58, "I", 0xFFFFFFFF),
        "file-size-0": patched(plain, first + 20, "BH", 0, 0),
        "file-size-ffffff": patched(plain, first + 20, "BH", 0xFF, 0xFFFF),
        "file-large": patched(plain, first + 19, "B", 1),
        "section-size-0": patched(good, 0x48 + 24, "BH", 0, 0),
        "section-size-ffffff": patched(good, 0x48 + 24, "BH", 0xFF, 0xFFFF),
        "guided-offset-0": patched(good, 0x48 + 24 + 20, "H", 0),
        "guided-offset-ffff": patched(good, 0x48 + 24 + 20, "H", 0xFFFF),
    }


AUTHENTICATED = guid("aaf32c78-947b-439a-a180-2e144ec37792")
PLAIN_STORE = guid("ddcf3616-3275-4164-98b6-fe85707ffe7d")
GLOBAL = guid("8be4df61-93ca-11d2-aa0d-00e098032b8c")


def variable(name, data, state=0x3F, authenticated=True):
    text = (name + "\0").encode("utf-16le")
    header = struct.pack("<HBBI", 0x55AA, state, 0, 7) + bytes(28 if authenticated else 0)
    body = header + struct.pack("<II", len(text), len(data)) + GLOBAL + text + data
    return body.ljust((len(body) + 3) & ~3, b"\xff")


def variable_store(variables, size=0x400, kind=AUTHENTICATED):
    header = kind + struct.pack("<IBB6x", size - 0x48, 0x5A, 0xFE)
    return volume(header + variables, size, None, NV)


def variable_store_samples():
    variables = variable("PK", b"key") + variable("SecureBoot", b"", 0x3C) + variable("db", b"")
    good = variable_store(variables)
    first = 0x64
    return {
        "valid": good,
        "valid-empty": variable_store(b""),
        "valid-plain": variable_store(variable("PK", b"key", 0x3F, False), kind=PLAIN_STORE),
        "valid-in-deletion": variable_store(variable("PK", b"old", 0x3E) + variable("PK", b"new")),
        "valid-boot-options": variable_store(variable("BootOrder", b"\0\0")
                                             + variable("Boot00AF", b"option")),
        "no-volume": bytes(0x100),
        "no-store": volume(b"", 0x100, None),
        "empty": b"",
        "truncated": good[:-1],
        "format-unknown": variable_store(b"", kind=bytes(16)),
        "state-0": patched(good, 0x48 + 21, "B", 0),
        "size-past-the-end": patched(good, 0x48 + 16, "I", 0x3B9),
        "size-0": patched(good, 0x48 + 16, "I", 0),
        "size-of-its-header": patched(good, 0x48 + 16, "I", 28),
        "store-ends-in-a-header": patched(good, 0x48 + 16, "I", 60),
        "name-ffffffff": patched(good, first + 36, "I", 0xFFFFFFFF),
        "data-ffffffff": patched(good, first + 40, "I", 0xFFFFFFFF),
        "sizes-wrap": patched(good, first + 36, "II", 0xFFFFFFF0, 0x20),
        "unfinished": patched(good, first + 2, "B", 0xFF),
        "many": variable_store(variable("", b"") * 4200, 0x42000),
    }


def envelope_samples():
    good = (MANIFESTS / "ed25519.json").read_text()
    document = {**json.loads(good), "payload": "aGVsbG8="}
    payload = document["payload"]
    bundle = json.loads((MANIFESTS / "bundle.json").read_text())

    def changed(**changes):
        return json.dumps({k: v for k, v in {**document, **changes}.items() if v is not None})

    def changed_bundle(**changes):
        return json.dumps({**bundle, "dsseEnvelope": {**bundle["dsseEnvelope"], **changes}})

    texts = {
        "valid": good,
        "valid-bundle": json.dumps(bundle),
        "valid-url-safe": (MANIFESTS / "url-safe.json").read_text(),
        "valid-two-signatures": (MANIFESTS / "two-signatures.json").read_text(),
        "valid-unknown-keys": changed(future={"a": [1, -2.5e3, True, None, "\u00e9\U0001f600"]}),
        "valid-escapes": good.replace('"payload":', '"\\u0070ayload":').replace("+", "\\u002b"),
        "empty": "",
        "array": "[]",
        "number": "17",
        "truncated": good[:len(good) // 2],
        "trailing": good + "{}",
        "key-twice": good.replace('{"payload":', '{"payload": "aGk=", "payload":'),
        "key-twice-escaped": good.replace('{"payload":', '{"\\u0070ayload": "aGk=", "payload":'),
        "no-payload": changed(payload=None),
        "payload-empty": changed(payload=""),
        "payload-bad-base64": changed(payload="@" + payload),
        "payload-altered": changed(payload="A" + payload[1:]),
        "payload-number": changed(payload=17),
        "type-other": changed(payloadType="application/json"),
        "type-long": changed(payloadType="t" * 257),
        "type-nul": changed(payloadType="a\0b"),
        "signatures-empty": changed(signatures=[]),
        "signatures-33": changed(signatures=[{"sig": "AA=="}] * 33),
        "signatures-object": changed(signatures={}),
        "sig-missing": changed(signatures=[{}]),
        "sig-long": changed(signatures=[{"sig": "A" * 5468}]),
        "bundle-media-type": json.dumps({**bundle, "mediaType": "x"}),
        "bundle-keyid": changed_bundle(signatures=[{"sig": "AA==", "keyid": "x"}]),
        "bundle-two-signatures": changed_bundle(signatures=[{"sig": "AA=="}] * 2),
        "deep": "[" * 17 + "]" * 17,
        "members-129": json.dumps({f"k{i}": i for i in range(129)}),
        "numbers": "[0,-0,1.5,1e9,-2E-3,18446744073709551616]",
        "number-leading-zero": "[01]",
        "surrogate-alone": '["\\ud800"]',
        "escape-unknown": '["\\x"]',
        "word-cut": "[tru]",
        "comma": "[1,]",
    }
    samples = {name: text.encode() for name, text in texts.items()}
    samples["bad-utf8"] = b'{"payload":"\xff\xc0\x80"}'
    samples["nul"] = b"{}\0"
    return samples


def small_statement():
    """One event per register, which is what SHA-384 makes of it; small, so that trying is quick."""
    digests = [hashlib.sha384(bytes([i])).digest() for i in range(3)]
    events = [{"register": f"rtmr{i}", "index": 0, "name": f"event {i}", "digest": d.hex(),
               "source": "computed"} for i, d in enumerate(digests)]
    shape = {"name": "small", "mrtd": "0" * 96, "events": events, "os_image_hash": "00",
             "vm_config": {"cpu_count": 1}}
    for i, digest in enumerate(digests):
        shape[f"rtmr{i}"] = hashlib.sha384(bytes(48) + digest).hexdigest()
    return {"_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "sha256sum.txt", "digest": {"sha256": "00"}}],
            "predicateType": "https://example.org/cvm/manifest/1",
            "predicate": {"validity": {"not_before": None, "not_after": "2027-01-01T00:00:00Z"},
                          "registers": {"mrtd": "policy"}, "shapes": [shape]}}


def statement_samples():
    good = small_statement()

    def changed(**changes):
        return json.dumps({**good, **changes})

    def predicate(**changes):
        return changed(predicate={**good["predicate"], **changes})

    def shape(**changes):
        return predicate(shapes=[{**good["predicate"]["shapes"][0], **changes}])

    events = good["predicate"]["shapes"][0]["events"]
    return {name: text.encode() for name, text in {
        "valid": json.dumps(good),
        "valid-captured": (MANIFESTS / "statement.json").read_text(),
        "valid-two-shapes": predicate(shapes=good["predicate"]["shapes"] * 2),
        "valid-no-events": shape(events=[]),
        "valid-no-validity": predicate(validity=None),
        "valid-information": predicate(registers={"rtmr0": "information"}),
        "empty": "",
        "array": "[]",
        "truncated": json.dumps(good)[:700],
        "type": changed(_type="https://in-toto.io/Statement/v0.1"),
        "predicate-type": changed(predicateType="x"),
        "predicate-array": changed(predicate=[]),
        "subject-empty": changed(subject=[]),
        "subject-numbers": changed(subject=[1, 2]),
        "validity-past": predicate(validity={"not_after": "2026-01-01T00:00:00Z"}),
        "validity-future": predicate(validity={"not_before": "9999-12-31T23:59:59Z"}),
        "validity-no-date": predicate(validity={"not_after": "2026-02-30T00:00:00Z"}),
        "registers-word": predicate(registers={"mrtd": "maybe"}),
        "registers-none": predicate(registers=dict.fromkeys(
            ("mrtd", "rtmr0", "rtmr1", "rtmr2"), "information")),
        "shapes-empty": predicate(shapes=[]),
        "shape-name-long": shape(name="n" * 256),
        "shape-name-nul": shape(name="a\0"),
        "digest-short": shape(mrtd="00"),
        "digest-no-hex": shape(rtmr0="z" * 96),
        "events-65": shape(events=events[:1] * 65),
        "events-swapped": shape(events=events[1::-1] + events[2:]),
        "event-register": shape(events=[{**events[0], "register": "rtmr4"}]),
        "event-name-long": shape(events=[{**events[0], "name": "n" * 64}]),
        "vm-config-array": shape(vm_config=[]),
    }.items()}


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


def variable_data(name, data):
    return guid("8be4df61-93ca-11d2-aa0d-00e098032b8c") + \
        struct.pack("<QQ", len(name), len(data)) + name.encode("utf-16-le") + data


def event_log_samples():
    path = bytes.fromhex("0407140000112233445566778899aabbccddeeff"
                         "0101060002 1f7fff0400".replace(" ", ""))
    option = struct.pack("<IH", 0x109, len(path)) + "UiApp\0".encode("utf-16-le") + path
    events = [
        (1, 0x8000000B, b"\2HOB" + bytes(32)),
        (1, 0x8000000A, b"\3CFV" + bytes(16)),
        (1, 0x80000001, variable_data("SecureBoot", b"\1")),
        (1, 4, bytes(4)),
        (1, 10, b"QEMU FW CFG\0BootMenu\0"),
        (1, 10, b"ACPI DATA\0"),
        (1, 0x80000009, struct.pack("<Q", 1) + guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394") + bytes(8)),
        (1, 0x80000002, variable_data("BootOrder", b"\0\0\1\0")),
        (1, 0x80000002, variable_data("Boot0000", option)),
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
        "option-path-long": binary_log([(1, 0x80000002, variable_data("Boot0000", b"\0" * 4 + b"\xff\xff"))]),
        "path-node-0": binary_log([(2, 0x80000003, bytes(24) + struct.pack("<Q", 8) + bytes(8))]),
        "tables-huge": binary_log([(1, 0x80000009, huge + bytes(40))]),
        "truncated": good[:400],
        "sha1-form": good[:4] + b"\4" + good[5:],
        "empty": b"",
    }


def main():
    corpora = {"tdvf": tdvf_samples(), "pe": pe_samples(), "kernel": kernel_samples(),
               "compact": compact_samples(), "firmware_volume": firmware_volume_samples(),
               "variable_store": variable_store_samples(), "smbios": smbios_samples(),
               "smbios_strings": smbios_strings_samples(), "envelope": envelope_samples(),
               "statement": statement_samples(), "quote": quote_samples(),
               "event_log": event_log_samples()}

    for name, samples in corpora.items():
        directory = HERE / "corpus" / name
        directory.mkdir(parents=True, exist_ok=True)
        for sample, data in samples.items():
            (directory / sample).write_bytes(data)


if __name__ == "__main__":
    main()
