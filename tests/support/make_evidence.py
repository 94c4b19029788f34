#!/usr/bin/env python3
"""Makes quotes that are valid in every signature, under a root of their own, or wrong in one way.

    make_evidence.py quote DIR [--version 5] [--report 1.5] [--set NAME=HEX]... [--wrong WHAT]
                              [--keys DIR]
    make_evidence.py log DIR --events FILE
    make_evidence.py document DIR --vm-config FILE [--events FILE]

`quote` writes quote.bin and root.pem. `log` writes ccel.bin, the binary form of the events of a JSON
log. `document` writes evidence.json from quote.bin. Keys and certificates are made by openssl(1);
nothing of it is of use to anybody else.
"""
import argparse
import hashlib
import json
import pathlib
import struct
import subprocess
import tempfile

SGX_EXTENSION = "1.2.840.113741.1.13.1=DER:3000"
REGISTERS = ["mrtd", "mr_config_id", "mr_owner", "mr_owner_config",
             "rtmr0", "rtmr1", "rtmr2", "rtmr3"]
WRONG = ["binding", "debug-enclave", "qe-signature", "signature", "no-sgx-extension", "no-ca",
         "other-root", "expired", "no-certificates"]


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


class Keys:
    """Private keys as files in a directory that goes away."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def path(self, name):
        path = self.directory / f"{name}.key"
        if not path.exists():
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))
        return str(path)

    def point(self, name):
        return openssl("ec", "-in", self.path(name), "-pubout", "-outform", "DER")[-64:]

    def sign(self, name, data):
        """r and s, 32 bytes each, out of the DER that openssl writes."""
        der = openssl("dgst", "-sha256", "-sign", self.path(name), data=data)
        numbers, at = b"", 2
        for _ in range(2):
            length = der[at + 1]
            numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + length
        return numbers


def certificate(keys, name, issuer, extensions, days=3650):
    config = keys.directory / f"{name}.ext"
    config.write_text("\n".join(extensions) + "\n")
    path = keys.directory / f"{name}.pem"
    if path.exists():
        return path.read_bytes()
    request = openssl("req", "-new", "-key", keys.path(name), "-subj", f"/CN=Test {name}")
    signer = ["-signkey", keys.path(name)] if issuer == name else \
        ["-CA", str(keys.directory / f"{issuer}.pem"), "-CAkey", keys.path(issuer),
         "-set_serial", str(1 + len(list(keys.directory.iterdir())))]
    path.write_bytes(openssl("x509", "-req", "-days", str(days), "-extfile", str(config), *signer,
                             data=request))
    return path.read_bytes()


def make_chain(keys, wrong):
    authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign,cRLSign",
                 "subjectKeyIdentifier=hash"]
    root = certificate(keys, "root", "root", authority)
    middle = certificate(keys, "middle", "root",
                         ["basicConstraints=critical,CA:FALSE"] if wrong == "no-ca" else authority)
    leaf = certificate(keys, "leaf", "middle",
                       ["basicConstraints=critical,CA:FALSE"] +
                       ([] if wrong == "no-sgx-extension" else [SGX_EXTENSION]),
                       0 if wrong == "expired" else 3650)
    if wrong == "other-root":
        root = certificate(keys, "other", "other", authority)
    return leaf + middle + root + b"\0", root


def td_report(values, report):
    fixed = {name: bytes.fromhex(values.get(name, "")).ljust(48, b"\0") for name in REGISTERS}
    body = bytes(16) + bytes(range(48)) + bytes(48) + bytes(8)
    body += bytes.fromhex(values.get("td_attributes", "0000001000000000"))
    body += bytes.fromhex("e702060000000000")
    body += b"".join(fixed[name] for name in REGISTERS)
    body += bytes.fromhex(values.get("report_data", "")).ljust(64, b"\0")
    return body + (b"\x05" * 16 + b"\x06" * 48 if report == "1.5" else b"")


def qe_report(keys, auth_data, wrong):
    bound = hashlib.sha256(keys.point("attestation") + auth_data).digest()
    if wrong == "binding":
        bound = bytes(32)
    report = bytearray(384)
    struct.pack_into("<Q", report, 48, 2 if wrong == "debug-enclave" else 0x11)
    report[64:96] = b"\x0e" * 32
    report[128:160] = b"\x0f" * 32
    struct.pack_into("<HH", report, 256, 2, 8)
    report[320:352] = bound
    return bytes(report)


def make_quote(args):
    values = dict(item.split("=", 1) for item in args.set)
    body = td_report(values, args.report)
    head = struct.pack("<HHIHH", args.version, 2, 0x81, 0, 0) + b"\x93" * 16 + b"\x10" * 20
    if args.version == 5:
        head += struct.pack("<HI", 3 if args.report == "1.5" else 2, len(body))
    auth_data = bytes(range(32))
    with tempfile.TemporaryDirectory() as directory:
        keys = Keys(args.keys or directory)
        chain, root = make_chain(keys, args.wrong)
        enclave = qe_report(keys, auth_data, args.wrong)
        signed = keys.sign("attestation", head + body + (b"x" if args.wrong == "signature" else b""))
        signed_enclave = keys.sign("middle" if args.wrong == "qe-signature" else "leaf", enclave)
        inner = enclave + signed_enclave + struct.pack("<H", len(auth_data)) + auth_data
        kind, data = (1, bytes(36)) if args.wrong == "no-certificates" else (5, chain)
        inner += struct.pack("<HI", kind, len(data)) + data
        section = signed + keys.point("attestation") + struct.pack("<HI", 6, len(inner)) + inner
    quote = head + body + struct.pack("<I", len(section)) + section + bytes(args.pad)
    args.directory.mkdir(parents=True, exist_ok=True)
    (args.directory / "quote.bin").write_bytes(quote)
    (args.directory / "root.pem").write_bytes(root)


def binary_log(events):
    """TCG_PCR_EVENT2 records behind a Spec ID event, in an area with 0xff behind them."""
    spec = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, 1)
    spec += struct.pack("<HHB", 0x0C, 48, 0)
    log = struct.pack("<II", 1, 3) + bytes(20) + struct.pack("<I", len(spec)) + spec
    for event in events:
        digest = bytes.fromhex(event["digest"])
        if not digest:
            continue
        data = bytes.fromhex(event["event_payload"])
        log += struct.pack("<III", event["imr"] + 1, event["event_type"], 1)
        log += struct.pack("<H", 0x0C) + digest + struct.pack("<I", len(data)) + data
    return log.ljust(65536, b"\xff")


def make_log(args):
    events = json.loads(args.events.read_text())
    events = events["event_log"] if isinstance(events, dict) else events
    args.directory.mkdir(parents=True, exist_ok=True)
    (args.directory / "ccel.bin").write_bytes(binary_log(events))


def make_document(args):
    document = {"quote": (args.directory / "quote.bin").read_bytes().hex(),
                "vm_config": args.vm_config.read_text()}
    if args.events:
        events = json.loads(args.events.read_text())
        document["event_log"] = json.dumps(events["event_log"] if isinstance(events, dict)
                                           else events)
    (args.directory / "evidence.json").write_text(json.dumps(document))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quote", "log", "document"])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--version", type=int, choices=[4, 5], default=4)
    parser.add_argument("--report", choices=["1.0", "1.5"], default="1.0")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=HEX")
    parser.add_argument("--wrong", choices=WRONG)
    parser.add_argument("--keys", help="a directory where keys and certificates are kept")
    parser.add_argument("--pad", type=int, default=0)
    parser.add_argument("--events", type=pathlib.Path)
    parser.add_argument("--vm-config", type=pathlib.Path)
    args = parser.parse_args()
    {"quote": make_quote, "log": make_log, "document": make_document}[args.what](args)


if __name__ == "__main__":
    main()
