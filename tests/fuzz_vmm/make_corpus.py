#!/usr/bin/env python3
"""Writes tests/fuzz_vmm/corpus: for each document valid samples, and samples with a known defect.

    make_corpus.py

It replaces the samples of the same names. What libFuzzer finds is added by hand, under a name that
says what it is. The captured vm_config is the one of tests/vectors/hw.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
VECTOR = HERE.parent / "vectors/hw/tdx-lite-2cpu-2g.json"

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
        "valid": changed(good),
        "valid-all-keys": changed(
            good, networks=[{"mode": "user", "mac": "52:54:00:12:34:56"},
                            {"mode": "bridge", "source": "br0"}],
            ports=[{"host_port": 8080, "guest_port": 80},
                   {"protocol": "udp", "address": "0.0.0.0", "host_port": 1, "guest_port": 65535}],
            volumes=[{"path": "/a"}, {"path": "/b"}], user_config="u", encrypted_env="e",
            app_id="00" * 20, kms_urls=["k"], gateway_urls=[], no_tee=True,
            attestation_variant="lite", ovmf_variant="pre202505", kernel_header="as-is",
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
        "app-id-not-hex": changed(good, app_id="x" * 40),
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


def main():
    corpora = {"metadata": metadata_samples(), "request": request_samples(),
               "vm_config": vm_config_samples(), "evidence": evidence_samples()}
    for name, samples in corpora.items():
        directory = HERE / "corpus" / name
        directory.mkdir(parents=True, exist_ok=True)
        for sample, data in {**BROKEN, **samples}.items():
            raw = data if isinstance(data, bytes) else data.encode()
            (directory / sample).write_bytes(raw)


if __name__ == "__main__":
    main()
