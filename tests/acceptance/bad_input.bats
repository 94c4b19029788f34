#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# Bad input: each with its own message, exit 3, no answer, and nothing written.

bats_require_minimum_version 1.5.0

setup() {
    work=$(mktemp -d)
    export CVM_STATE_DIR=$work/state
}

teardown() {
    rm -rf "$work"
}

# Measures a bundle that has to be refused: status, part of the message.
refused() { # bundle, status, text
    before=$(find "$work" | sort | cksum)
    run --separate-stderr "$CVM" measure --image "$work/$1" --cpus 2 --memory 2G \
        --qemu-version 8.2.2 --json
    echo "status $status: $stderr"
    [ "$status" -eq "$2" ]
    [ -z "$output" ]
    [ "$(jq -r .message <<<"$stderr" | wc -l)" -eq 1 ]
    [[ $(jq -r .message <<<"$stderr") == *"$3"* ]]
    [ "$(find "$work" | sort | cksum)" = "$before" ]
}

wrong() { # what, text
    rm -rf "${work:?}/$1"
    "$SUPPORT/make_bundle.py" "$work/$1" --wrong "$1"
    refused "$1" 3 "$2"
}

# A good bundle whose sha256sum.txt is brought up to date after a change.
reseal() { # bundle
    (cd "$work/$1" && sha256sum bzImage initramfs.cpio.gz metadata.json ovmf.fd \
        rootfs.img.verity >sha256sum.txt && sha256sum sha256sum.txt | cut -d' ' -f1 >digest.txt)
}

metadata() { # text of metadata.json
    rm -rf "$work/image"
    "$SUPPORT/make_bundle.py" "$work/image"
    printf '%s' "$1" >"$work/image/metadata.json"
}

@test "TDVF count 0xffffffff" {
    wrong firmware-count "4294967295 sections"
}

@test "section data past the end of the firmware" {
    wrong firmware-data "lies past the end of the file"
}

@test "memory of a section wraps" {
    wrong firmware-wrap "wraps around"
}

@test "e_lfanew past the end" {
    wrong kernel-lfanew "PE header at e_lfanew: lies past the end"
}

@test "SizeOfHeaders 0" {
    wrong kernel-headers-0 "SizeOfHeaders 0x0"
}

@test "SizeOfHeaders 0xfffffff0" {
    wrong kernel-headers-huge "SizeOfHeaders 0xfffffff0"
}

@test "section table past the end" {
    wrong kernel-sections "PE section table: needs"
}

@test "firmware truncated at many lengths" {
    "$SUPPORT/make_bundle.py" "$work/image"
    cp "$work/image/ovmf.fd" "$work/whole"
    for length in 0 1 31 32 49 50 4095 65536 131072 262142 262143; do
        head -c "$length" "$work/whole" >"$work/image/ovmf.fd"
        reseal image
        refused image 3 "firmware"
    done
}

@test "kernel truncated at many lengths" {
    "$SUPPORT/make_bundle.py" "$work/image"
    cp "$work/image/bzImage" "$work/whole"
    for length in 0 1 63 64 100 511 566 568 4095 20000 32767; do
        head -c "$length" "$work/whole" >"$work/image/bzImage"
        reseal image
        refused image 3 "kernel"
    done
}

@test "metadata.json is an array" {
    metadata '[1, 2]'
    refused image 3 "metadata.json: not a JSON object"
}

@test "metadata.json of 300 MiB" {
    metadata '{}'
    truncate -s 300M "$work/image/metadata.json"
    refused image 3 "'metadata.json' is larger than the limit"
}

@test "metadata.json nested a thousand deep" {
    metadata "$(printf '[%.0s' {1..1000})"
    refused image 3 "nested too deep"
}

@test "metadata.json with a number as version" {
    "$SUPPORT/make_bundle.py" "$work/image" --metadata '{"version": 5}'
    refused image 3 "key 'version' is not a string"
}

@test "metadata.json cut short" {
    metadata '{"cmdline": "con'
    refused image 3 "metadata.json: not JSON"
}

@test "files that lead out of the bundle" {
    for name in ../outside /etc/passwd link; do
        rm -rf "$work/image"
        "$SUPPORT/make_bundle.py" "$work/image" --metadata "{\"kernel\": \"$name\"}"
        touch "$work/outside"
        ln -sf ../outside "$work/image/link"
        refused image 3 "leads out of its directory"
    done
}

@test "a directory, a FIFO and a missing file instead of a kernel" {
    "$SUPPORT/make_bundle.py" "$work/image"
    rm "$work/image/bzImage"
    refused image 3 "'bzImage' cannot be opened: no such file"
    mkfifo "$work/image/bzImage"
    refused image 3 "'bzImage' is not a regular file"
    rm "$work/image/bzImage"
    mkdir "$work/image/bzImage"
    refused image 3 "'bzImage' is not a regular file"
}

@test "a file that was changed is a mismatch, not malformed" {
    "$SUPPORT/make_bundle.py" "$work/image"
    printf x >>"$work/image/initramfs.cpio.gz"
    refused image 1 "'initramfs.cpio.gz' does not have the digest in sha256sum.txt"
    run --separate-stderr "$CVM" image verify "$work/image"
    [ "$status" -eq 1 ]
}

@test "memory sizes that cannot be" {
    "$SUPPORT/make_bundle.py" "$work/image"
    for memory in 0 1 1048577 16777215T 9007199254740992 4503599627370496; do
        run --separate-stderr "$CVM" measure --image "$work/image" --cpus 2 --memory "$memory" \
            --qemu-version 8.2.2
        echo "$memory: $status $stderr"
        [ "$status" -eq 3 ] || [ "$status" -eq 2 ]
        [ -z "$output" ]
    done
}

# A vm_config whose compact measurement was changed by a Python expression over its bytes.
with_measurement() { # expression over `cbor`, a bytearray
    python3 - "$VECTORS/hw/tdx-lite-2cpu-2g.json" "$work/vm_config.json" "$1" <<'PY'
import base64, hashlib, json, sys
config = json.load(open(sys.argv[1]))["vm_config"]
cbor = bytearray(base64.b64decode(config["tdx_measurement"]["measurement"]))
cbor = eval(sys.argv[3])
listing = f"{hashlib.sha256(bytes(cbor)).hexdigest()}  measurement.tdx.cbor\n".encode()
config["tdx_measurement"] = {
    "measurement": base64.b64encode(bytes(cbor)).decode(),
    "checksum_file": base64.b64encode(listing).decode(),
}
config["os_image_hash"] = hashlib.sha256(listing).hexdigest()
json.dump(config, open(sys.argv[2], "w"))
PY
}

refused_measurement() { # expression, text
    with_measurement "$1"
    run --separate-stderr "$CVM" measure --vm-config "$work/vm_config.json"
    echo "status $status: $stderr"
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [[ $stderr == *"$2"* ]]
}

@test "a compact measurement that is left alone is accepted" {
    with_measurement "cbor"
    "$CVM" measure --vm-config "$work/vm_config.json" >/dev/null
}

@test "CBOR with an indefinite length" {
    refused_measurement "bytearray([0xbf]) + cbor[1:] + b'\\xff'" "indefinite length"
}

@test "CBOR with trailing bytes" {
    refused_measurement "cbor + b'\\0'" "left over"
}

@test "CBOR cut short" {
    refused_measurement "cbor[:-1]" "compact measurement"
}

@test "CBOR of another version" {
    refused_measurement "cbor.replace(b'version\\x03', b'version\\x02')" "version 2"
}

@test "CBOR with a renamed key" {
    refused_measurement "cbor.replace(b'initrd_sha384', b'initrd_sha385')" "is not 'initrd_sha384'"
}

@test "a measurement that its checksum file does not list is a mismatch" {
    with_measurement "cbor"
    jq '.os_image_hash = "00" * 32' "$work/vm_config.json" >"$work/other.json"
    run --separate-stderr "$CVM" measure --vm-config "$work/other.json"
    [ "$status" -eq 1 ]
    [[ $stderr == *"os_image_hash is not the SHA-256 of checksum_file"* ]]
}
