#!/usr/bin/env python3
"""Writes tests/fuzz_vmm/corpus: for each format valid samples, and samples with a known defect.

    make_corpus.py

It replaces the samples of the same names. What libFuzzer finds is added by hand, under a name that
says what it is. The captured vm_config is the one of tests/vectors/hw, the captured tables are among
tests/vectors/acpi.
"""

import hashlib
import gzip
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
VECTOR = HERE.parent / "vectors/hw/tdx-lite-2cpu-2g.json"
TABLES = HERE.parent / "vectors/acpi/qemu-9.2/001.tables.bin.gz"

BROKEN = {
    "empty": "",
    "array": "[]",
    "number": "17",
    "not-json": "hello",
    "truncated": '{"name": "x',
    "trailing": "{}{}",
    "deep": "[" * 17 + "]" * 17,
    "deep-object": '{"a":' * 40 + "1" + "}" * 40,
    "nul": "{}\0",
    "nul-in-string": '{"name":"a\\u0000b","kernel":"a\\u0000b","image":"a\\u0000b"}',
    "bad-utf8": b'{"name":"\xff\xc0\x80"}',
    "key-twice": '{"name":"a","name":"b"}',
    "key-unknown": '{"nmae":"a"}',
    "key-empty": '{"":1}',
}


def changed(base, **changes):
    """JSON of base with keys replaced, or left out where None."""
    merged = {**base, **changes}
    return json.dumps({k: v for k, v in merged.items() if v is not None})


def metadata_samples():
    good = {"cmdline": "console=ttyS0", "kernel": "kernel", "initrd": "initrd", "bios": "ovmf.fd",
            "version": "0.5.11"}
    samples = {
        "valid": changed(good),
        "valid-all-keys": changed(good, rootfs="rootfs.iso", hda="", rootfs_hash="00",
                                  shared_ro=True, is_dev=False, ovmf_variant="pre202505",
                                  kernel_header_normalized=True, git_revision="x", future=[{}]),
        "valid-below": changed(good, kernel="sub/../sub/kernel"),
        "valid-old": changed(good, version="0.4.2", rootfs="rootfs.iso"),
        "outside": changed(good, kernel="../../etc/passwd"),
        "absolute": changed(good, kernel="/etc/passwd"),
        "link-out": changed(good, initrd="link"),
        "directory": changed(good, bios="sub"),
        "itself": changed(good, kernel="metadata.json"),
        "absent": changed(good, bios="nowhere"),
        "file-as-directory": changed(good, bios="kernel/x"),
        "long-name": changed(good, kernel="k" * 255),
        "too-long-name": changed(good, kernel="k" * 256),
        "no-cmdline": changed(good, cmdline=None),
    }
    for name, value in (("number", 0.5), ("bool", True), ("array", []), ("object", {})):
        samples["version-" + name] = changed(good, version=value)
    return samples


def request_samples():
    good = {"name": "web", "image": "dstack-0.5.11", "vcpu": 2, "memory": "2G", "disk_size": "10G",
            "app_compose": {"runner": "none"}}
    return {
        "valid-devices": changed(good, hugepages=True, gpus=["0000:18:00.0", {
            "device": "10de:2335", "count": 7}], nvswitches={"device": "10de:22a3", "count": 4},
            numa={"nodes": [0, 1], "pin_cpus": True}),
        "devices-twice": changed(good, gpus=["18:00.0", "0000:18:00.0"]),
        "devices-65": changed(good, gpus=[{"device": "10de:2335", "count": 64}, "18:00.0"]),
        "devices-id": changed(good, nvswitches=["10de:22a3"]),
        "nodes-descend": changed(good, numa={"nodes": [1, 0]}),
        "valid": changed(good),
        "valid-all-keys": changed(
            good, networks=[{"mode": "user", "mac": "52:54:00:12:34:56"},
                            {"mode": "bridge", "source": "br0"}],
            ports=[{"host_port": 8080, "guest_port": 80},
                   {"protocol": "udp", "address": "0.0.0.0", "host_port": 1, "guest_port": 65535}],
            volumes=[{"path": "/a"}, {"path": "/b"}], user_config="u", encrypted_env="e",
            app_id="00" * 20, kms_urls=["k"], gateway_urls=[], no_tee=True,
            swtpm=True, smbios={"manufacturer": "A, Inc.", "product": "", "serial": "\"1\""},
            attestation_variant="lite", ovmf_variant="pre202505", kernel_header="as-is",
            acpi_check="require",
            overrides={"pic": True, "smm": False, "hotplug_off": True, "pciexbar_base": 0xb0000000,
                       "pci_hole64_size": "64G", "pci_window64_base": 1 << 40,
                       "qemu_single_pass_add_pages": True, "host_share_mode": "9p"}),
        "valid-no-network": changed(good, networks=[]),
        "name-is-a-path": changed(good, name="../web"),
        "name-long": changed(good, name="a" * 64),
        "memory-wraps": changed(good, memory="18014398509481984K"),
        "memory-negative": changed(good, memory=-1),
        "memory-huge": changed(good, memory=1 << 64),
        "vcpu-float": changed(good, vcpu=2.0),
        "networks-17": changed(good, networks=[{"mode": "user"}] * 17),
        "ports-65": changed(good, ports=[{"host_port": 1, "guest_port": 1}] * 65),
        "volumes-17": changed(good, volumes=[{"path": "/x"}] * 17),
        "ports-without-user": changed(good, networks=[{"mode": "direct", "source": "eth0"}],
                                      ports=[{"host_port": 1, "guest_port": 1}]),
        "networks-null": changed(good, networks=[None]),
        "mac-short": changed(good, networks=[{"mode": "user", "mac": "52:54:00:12:34:5"}]),
        "volume-relative": changed(good, volumes=[{"path": "x"}]),
        "urls-numbers": changed(good, kms_urls=[1]),
        "overrides-unknown": changed(good, overrides={"pick": True}),
        "smbios-long": changed(good, smbios={"sku": "s" * 64}),
        "smbios-unknown": changed(good, smbios={"bios": "x"}),
        "app-id-not-hex": changed(good, app_id="x" * 40),
        "acpi-check-unknown": changed(good, acpi_check="on"),
    }


def vm_config_samples():
    captured = json.loads(VECTOR.read_text())["vm_config"]
    good = {"cpu_count": 4, "memory_size": 4 << 30, "qemu_version": "9.2.1"}
    node = {"cpu_count": 2, "memory_size": 2 << 30}
    measurement = dict(captured["tdx_measurement"])
    samples = {
        "valid-captured": json.dumps(captured),
        "valid-least": changed(good),
        "valid-exceptions": changed(
            good, qemu_version="8.2.2", num_nics=3, num_verity_volumes=2, swtpm=True, pic=False,
            smm=True, interrupt_trigger="level", rootfs_device="cdrom", kernel_header="as-is",
            hotplug_off=True, host_share_mode="vhd", pci_hole64_size=1 << 37,
            pciexbar_base=0xb0000000, pci_window64_base=1 << 40, qemu_single_pass_add_pages=True,
            ovmf_variant="stable202505", tdx_attestation_variant="lite", spec_version=1),
        "valid-smbios": changed(good, smbios={
            key: key[0] * 63 for key in ("manufacturer", "product", "version", "serial", "sku",
                                         "family")}),
        "smbios-control": changed(good, smbios={"product": "a\nb"}),
        "smbios-not-ascii": changed(good, smbios={"product": "\u00e9"}),
        "smbios-long": changed(good, smbios={"product": "p" * 64}),
        "smbios-unknown": changed(good, smbios={"uuid": "x"}),
        "valid-hugepages": changed(good, hugepages=True, num_gpus=2, num_nvswitches=1),
        "valid-nodes": changed(good, num_gpus=1, numa_nodes=[
            {**node, "pxb_bus": 5, "num_gpus": 1}, {**node, "pxb_bus": None}]),
        "nodes-too-few-gpus": changed(good, numa_nodes=[{**node, "pxb_bus": 5, "num_gpus": 1}]),
        "nodes-bus-twice": changed(good, numa_nodes=[{**node, "pxb_bus": 5}] * 2),
        "nodes-9": changed(good, numa_nodes=[node] * 9),
        "nodes-too-small": changed(good, numa_nodes=[node]),
        "nodes-null": changed(good, numa_nodes=[None]),
        "memory-odd": changed(good, memory_size=(1 << 30) + 1),
        "memory-huge": changed(good, memory_size=1 << 52),
        "memory-text": changed(good, memory_size="4G"),
        "cpus-2-32": changed(good, cpu_count=1 << 32),
        "cpus-most": changed(good, cpu_count=(1 << 32) - 1),
        "version-odd": changed(good, qemu_version="8.2.2.2"),
        "version-old": changed(good, qemu_version="7.2.22"),
        "version-future": changed(good, qemu_version="65535.0.0"),
        "slots-run-out": changed(good, num_nics=255),
        "window-in-ram": changed(good, pci_window64_base=1 << 30),
        "variant-unknown": changed(good, ovmf_variant="edk2"),
        "variant-contradicts": changed(captured, ovmf_variant="stable202505"),
        "measurement-identity": changed(captured, os_image_hash="00" * 32),
        "measurement-no-identity": changed(captured, os_image_hash=None),
        "measurement-empty": changed(captured, tdx_measurement={}),
        "measurement-cut": changed(captured, tdx_measurement={
            **measurement, "measurement": measurement["measurement"][:40]}),
        "measurement-not-base64": changed(captured, tdx_measurement={
            **measurement, "checksum_file": "***"}),
    }
    return samples


def evidence_samples():
    vector = json.loads(VECTOR.read_text())
    log, quote = vector["event_log"], vector["quote_hex"]

    def first(**changes):
        return json.dumps([{**log[0], **changes}, *log[1:]])

    return {
        "valid": json.dumps({"quote": quote, "event_log": log, "vm_config": vector["vm_config"]}),
        "valid-texts": json.dumps({"quote": quote, "event_log": json.dumps(log),
                                   "vm_config": vector["vm_config_text"]}),
        "valid-log": json.dumps(log),
        "valid-no-log": json.dumps({"quote_hex": quote}),
        "valid-binary-log": json.dumps({"event_log": "00000000" "03000000" + "00" * 20 +
                                        "21000000" + b"Spec ID Event03\0".hex() +
                                        "0000000000020002" "01000000" "0c003000" "00"}),
        "log-imr-4": first(imr=4),
        "log-imr-missing": json.dumps([{"event_type": 4}]),
        "log-type-huge": first(event_type=1 << 32),
        "log-digest-short": first(digest="00"),
        "log-digest-missing": first(digest=None),
        "log-payload-odd": first(event_payload="0"),
        "log-payload-text": first(event_payload="zz"),
        "log-name-long": first(event="x" * 5000),
        "log-of-numbers": "[1, 2]",
        "log-in-log": json.dumps({"event_log": json.dumps(json.dumps(log))}),
        "log-is-a-number": '{"event_log": 5}',
        "quote-short": json.dumps({"quote": quote[:500]}),
        "quote-not-hex": '{"quote": "+++"}',
        "vm_config-not-json": '{"vm_config": "{"}',
        "vm_config-is-a-number": '{"vm_config": 7}',
    }


def matrix_samples():
    good = {"cpu_count": [1, 2, 4], "memory_size": ["2G", 4 << 30], "qemu_version": "9.2.1"}
    node = {"cpu_count": 1, "memory_size": 1 << 30}
    return {
        "valid": changed(good),
        "valid-none": "{}",
        "valid-null": changed(good, pic=[None, True, False], smm=None),
        "valid-all-kinds": changed(good, numa_nodes=[[], [node]], hugepages=[True, False],
                                   ovmf_variant=["pre202505", "stable202505"], num_gpus=[0, 8]),
        "valid-nodes": changed(good, numa_nodes=[node, node]),
        "nodes-mixed": changed(good, numa_nodes=[[node], node]),
        "nodes-list-in-list": changed(good, numa_nodes=[[[node]]]),
        "list-empty": changed(good, num_nics=[]),
        "list-in-list": changed(good, cpu_count=[[1]]),
        "value-object": changed(good, cpu_count={"from": 1, "to": 8}),
        "value-zero": changed(good, cpu_count=[1, 0]),
        "value-text": changed(good, cpu_count=["1"]),
        "no-machine-key": changed(good, image=["a", "b"]),
        "shapes-too-many": json.dumps({key: list(range(1, 300)) for key in (
            "cpu_count", "memory_size", "num_nics")}),
        "shapes-overflow": json.dumps({key: list(range(1, 200)) for key in (
            "cpu_count", "memory_size", "num_nics", "num_gpus", "num_nvswitches",
            "pci_hole64_size", "cpu_signature", "cpu_features_edx")}),
    }


def record_layout(name=b"pre202505", events=(0, 1, 8), options=(0,), count=None, form=0):
    return (name.ljust(32, b"\0") + struct.pack("<I", len(events) if count is None else count)
            + b"".join(struct.pack("<I", e) for e in events) + struct.pack("<I", len(options))
            + b"".join(struct.pack("<I", o) for o in options) + struct.pack("<BI", 0, form))


def digest_record(ranges=((0x800000, 0x6000), (0x809000, 0x2000)), td_hob=0x809000, flag=1,
                  kernels=((0, 0x7FFD0000), (1, 0)), count=None, num_ranges=None, tail=b"",
                  state=1, layout=None):
    """What stands in a cache entry between the program and the digest."""
    layout = record_layout() if layout is None else layout
    body = bytes(32)
    for i in range(3):
        body += struct.pack("<QQQqq", 1, 2 + i, 1000 * i, 10 + i, -1)
    body += b"".join(bytes([0x20 + i]) * 32 for i in range(3)) + b"\x30" * 48
    body += bytes([flag]) + b"\x3e" * 48 + struct.pack("<Q", 4 << 20)
    body += struct.pack("<QI", td_hob, len(ranges) if num_ranges is None else num_ranges)
    body += b"".join(struct.pack("<QQ", *r) for r in ranges)
    body += b"\x40" * 48 + b"\x50" * 48 + b"\x60" * 48 + b"\0" + struct.pack("<IIIBB", 2, 262072, 1, 0, 1)
    body += struct.pack("<BI48x", 1, 7) * 4 + bytes(9) + struct.pack("<I", state) + b"reason".ljust(192, b"\0")
    body += layout + b"EDK II".ljust(64, b"\0") * 3 + b"6.12.1".ljust(64, b"\0") + b"\1\0\0"
    body += b"\x01" + struct.pack("<HBHI", 0x20F, 1, 0x3F, 0x7FFFFFFF)
    body += struct.pack("<I", len(kernels) if count is None else count)
    body += b"".join(struct.pack("<BI", *k) + bytes([i & 0xFF]) * 48 for i, k in enumerate(kernels))
    return body + tail


def digest_record_samples():
    good = digest_record()
    many = tuple((0, 0x1000 * i) for i in range(64))
    entry = b"cvm-dgst" + struct.pack("<IH", 3, 4) + b"fuzz" + good
    older = b"cvm-dgst" + struct.pack("<I", 2) + entry[12:]
    return {
        "valid": good,
        "valid-entry": entry + hashlib.sha256(entry).digest(),
        "valid-64-kernels": digest_record(kernels=many),
        "valid-no-kernels": digest_record(kernels=()),
        "empty": b"",
        "head-only": entry[:12],
        "format-2": older + hashlib.sha256(older).digest(),
        "digest-wrong": entry + bytes(32),
        "program-too-long": entry[:12] + b"\xff\xff" + entry[14:],
        "flag-2": digest_record(flag=2),
        "ranges-33": digest_record(num_ranges=33),
        "ranges-huge": digest_record(num_ranges=0xFFFFFFFF),
        "ranges-none": digest_record(ranges=()),
        "ranges-overlap": digest_record(ranges=((0x800000, 0xA000), (0x809000, 0x2000))),
        "ranges-wrap": digest_record(ranges=((0x809000, 0xFFFFFFFFFFFFF000),)),
        "hob-elsewhere": digest_record(td_hob=0x1000),
        "kernels-65": digest_record(kernels=many + ((0, 0x40000),)),
        "kernels-huge": digest_record(count=0xFFFFFFFF),
        "kernels-cut": digest_record(count=3),
        "kernel-twice": digest_record(kernels=((0, 1), (0, 1))),
        "kernel-kind-2": digest_record(kernels=((2, 0),)),
        "state-3": digest_record(state=3),
        "valid-no-layout": digest_record(state=0, layout=record_layout(b"", (), ())),
        "layout-25-events": digest_record(layout=record_layout(events=(1,) * 25)),
        "layout-events-huge": digest_record(layout=record_layout(count=0xFFFFFFFF)),
        "layout-kind-20": digest_record(layout=record_layout(events=(20,))),
        "layout-option-3": digest_record(layout=record_layout(options=(3,))),
        "layout-form-2": digest_record(layout=record_layout(form=2)),
        "layout-name-without-end": digest_record(layout=record_layout(b"x" * 32)),
        "trailing": digest_record(tail=b"\0"),
        "truncated": good[:-1],
        "truncated-in-ranges": good[:32 + 120 + 96 + 48 + 1 + 56 + 12 + 20],
    }


def table(signature, content=b"", length=None):
    return signature + struct.pack("<I", 8 + len(content) if length is None else length) + content


def command(which, *parts):
    body = struct.pack("<I", which)
    for part in parts:
        body += part.ljust(56, b"\0") if isinstance(part, bytes) else struct.pack("<I", part)
    return body.ljust(128, b"\0")


def directory(count, *files):
    names = b"".join(struct.pack(">IHH56s", size, key, 0, name) for size, key, name in files)
    return struct.pack(">I", count) + names


def acpi_answer_samples():
    tables = b"etc/acpi/tables"
    return {
        "valid-tables": gzip.decompress(TABLES.read_bytes()) + b"\0" * 64,
        "valid-like-ours": table(b"FACS", b"facs") + table(b"DSDT", b"a block.") + b"\0",
        "valid-loader": command(1, tables, 64, 1) + command(2, tables, tables, 0x24, 4)
        + command(3, tables, 9, 0, 244) + command(4, tables, tables, 1, 2) + b"\0" * 128,
        "valid-directory": directory(2, (20, 33, b"etc/acpi/rsdp"), (1 << 17, 34, tables)),
        "tables-33": table(b"SSDT") * 33,
        "tables-another-order": table(b"DSDT", b"a block.") + table(b"FACS", b"facs"),
        "table-length-0": table(b"FACS", length=0),
        "table-length-7": table(b"FACS", length=7),
        "table-length-wraps": table(b"FACS", b"facs", length=0xffffffff),
        "table-past-the-end": table(b"FACS", b"facs", length=13),
        "table-signature": table(b"F\0CS"),
        "table-cut": b"FAC",
        "loader-unknown": command(9, tables),
        "loader-cut": command(2, tables, tables)[:100],
        "loader-name-without-end": command(1, b"\n" * 56, 1),
        "directory-huge": directory(0xffffffff),
        "directory-cut": directory(2, (20, 33, b"etc/acpi/rsdp")),
        "directory-name-without-end": directory(1, (20, 33, b"e" * 56)),
        "empty": b"",
    }


def host_facts_samples():
    none = " ".join(["0x" + "0" * 16] * 3)
    large = "0x0000004000000000 0x0000005fffffffff 0x000000000014220c"
    return {
        "address": "0000:18:00.0",
        "address-short": "18:1f.7",
        "address-long": "FFFFffff:ff:1f.7",
        "address-slot": "18:20.0",
        "address-function": "18:00.8",
        "id": "10de:2335",
        "id-short": "10de:233",
        "set": "0-55,112-167",
        "set-one": "8191",
        "set-out-of-range": "8192",
        "set-backwards": "3-1",
        "set-comma": "0,",
        "bars": "\n".join([none, large] + [none] * 11) + "\n",
        "bars-six": "\n".join([large] * 6),
        "bars-five": "\n".join([none] * 5),
        "bars-whole": "0x0 0xffffffffffffffff 0x200\n",
        "bars-backwards": "0x2 0x1 0x200\n",
    }


def main():
    corpora = {
        "acpi_answer": acpi_answer_samples(),
        "digest_record": digest_record_samples(),
        "evidence": {**BROKEN, **evidence_samples()},
        "host_facts": host_facts_samples(),
        "matrix": {**BROKEN, **matrix_samples()},
        "metadata": {**BROKEN, **metadata_samples()},
        "request": {**BROKEN, **request_samples()},
        "vm_config": {**BROKEN, **vm_config_samples()},
    }
    for name, samples in corpora.items():
        directory = HERE / "corpus" / name
        directory.mkdir(parents=True, exist_ok=True)
        for sample, data in samples.items():
            raw = data if isinstance(data, bytes) else data.encode()
            (directory / sample).write_bytes(raw)


if __name__ == "__main__":
    main()
