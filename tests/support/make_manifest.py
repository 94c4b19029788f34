#!/usr/bin/env python3
"""Makes DSSE envelopes without any code of this project: Python and the openssl command.

    make_manifest.py sign --key PEM [--how HOW] [--type TYPE] [--url-safe] [--bundle] STATEMENT
    make_manifest.py statement VECTOR
    make_manifest.py check --key PUBLIC [--how HOW] ENVELOPE

sign prints an envelope (or bundle) around the bytes of STATEMENT; --key and --how may be given
several times, one pair per signature. HOW is sha256 (default), sha384, pss or ed25519. statement
prints the in-toto statement of a captured quote (tests/vectors/hw). check takes an envelope apart,
rebuilds what was signed and asks openssl; it prints the payload.
"""

import argparse
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

TYPE = "application/vnd.in-toto+json"


def pae(kind, body):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def command(how, key, data, public=False, signature=None):
    what = ["-verify" if signature else "-sign", "-inkey", key, "-in", data]
    if public:
        what.append("-pubin")
    if signature:
        what += ["-sigfile", signature]
    if how == "ed25519":
        return ["openssl", "pkeyutl", "-rawin", *what]
    digest = "sha384" if how == "sha384" else "sha256"
    extra = ["-pkeyopt", "rsa_padding_mode:pss"] if how == "pss" else []
    return ["openssl", "pkeyutl", "-rawin", "-digest", digest, *extra, *what]


def run_openssl(how, key, message, public=False, signature=None):
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder, "data")
        data.write_bytes(message)
        file = None
        if signature is not None:
            file = pathlib.Path(folder, "signature")
            file.write_bytes(signature)
        done = subprocess.run(command(how, key, str(data), public, file and str(file)),
                              capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"openssl: {(done.stderr + done.stdout).decode()}")
    return done.stdout


def sign(args):
    body = pathlib.Path(args.statement).read_bytes()
    encode = base64.urlsafe_b64encode if args.url_safe else base64.b64encode
    hows = args.how + ["sha256"] * (len(args.key) - len(args.how))
    signatures = [{"sig": encode(run_openssl(how, key, pae(args.type.encode(), body))).decode()}
                  for key, how in zip(args.key, hows)]
    envelope = {"payload": encode(body).decode(), "payloadType": args.type,
                "signatures": signatures}
    if args.bundle:
        envelope = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                    "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []},
                    "dsseEnvelope": envelope}
    print(json.dumps(envelope))


def statement(args):
    quote = json.loads(pathlib.Path(args.vector).read_text())
    vm_config = json.loads(quote["vm_config_text"])
    counts = [0] * 4
    events = []
    for event in quote["event_log"]:
        imr = event["imr"]
        if imr < 3:
            events.append({"register": f"rtmr{imr}", "index": counts[imr],
                           "name": f"event {counts[imr]}", "digest": event["digest"],
                           "source": "computed"})
            counts[imr] += 1
    shape = {"name": "2 CPUs", **{k: quote["registers"][k] for k in
                                  ("mrtd", "rtmr0", "rtmr1", "rtmr2")},
             "events": events, "os_image_hash": vm_config["os_image_hash"],
             "vm_config": vm_config}
    print(json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "sha256sum.txt", "digest": {"sha256": vm_config["os_image_hash"]}}],
        "predicateType": "https://example.org/cvm/manifest/1",
        "predicate": {
            "validity": {"not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z"},
            "registers": {"mrtd": "policy", "rtmr0": "policy", "rtmr1": "policy",
                          "rtmr2": "policy", "rtmr3": "information"},
            "shapes": [shape]}}, indent=1))


def check(args):
    document = json.loads(pathlib.Path(args.envelope).read_text())
    envelope = document.get("dsseEnvelope", document)
    body = base64.b64decode(envelope["payload"], validate=True)
    message = pae(envelope["payloadType"].encode(), body)
    hows = args.how + ["sha256"] * (len(args.key) - len(args.how))
    for key, how, item in zip(args.key, hows, envelope["signatures"], strict=True):
        run_openssl(how, key, message, public=True,
                    signature=base64.b64decode(item["sig"], validate=True))
    sys.stdout.buffer.write(body)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name, function, operand in (("sign", sign, "statement"), ("statement", statement, "vector"),
                                    ("check", check, "envelope")):
        p = commands.add_parser(name)
        p.set_defaults(run=function)
        p.add_argument(operand)
        if name != "statement":
            p.add_argument("--key", action="append", required=True)
            p.add_argument("--how", action="append", default=[])
        if name == "sign":
            p.add_argument("--type", default=TYPE)
            p.add_argument("--url-safe", action="store_true")
            p.add_argument("--bundle", action="store_true")
    args = parser.parse_args()
    args.run(args)


main()
