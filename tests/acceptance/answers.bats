#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# What must hold from the command line: known answers, and where each value came from.
# CVM is the program, VECTORS the directory tests/vectors, SUPPORT tests/support.

bats_require_minimum_version 1.5.0

setup() {
    work=$(mktemp -d)
    export CVM_STATE_DIR=$work/state
    jq -r .vm_config_text "$VECTORS/hw/tdx-lite-2cpu-2g.json" >"$work/vm_config.json"
}

teardown() {
    rm -rf "$work"
}

# The value of a jq expression in what `cvm measure` answers to the quote's vm_config.
measured() { # expression, options
    "$CVM" measure --vm-config "$work/vm_config.json" --json "${@:2}" | jq -r "$1"
}

bundle() { # name, make_bundle's options
    "$SUPPORT/make_bundle.py" "$work/$1" "${@:2}"
}

variant_of() { # bundle
    "$CVM" measure --image "$work/$1" --cpus 2 --memory 2G --qemu-version 8.2.2 --json |
        jq -r '.ovmf_variant | "\(.value) \(.source) \(.rule)"'
}

@test "a real quote is reproduced in all four registers from its vm_config alone" {
    for register in mrtd rtmr0 rtmr1 rtmr2; do
        want=$(jq -r ".registers.$register" "$VECTORS/hw/tdx-lite-2cpu-2g.json")
        [ "${#want}" -eq 96 ]
        [ "$(measured ".$register")" = "$want" ]
    done
}

@test "the quote's event log is reproduced event by event" {
    for register in 0 1 2; do
        want=$(jq -r ".event_log[] | select(.imr == $register) | .digest" \
            "$VECTORS/hw/tdx-lite-2cpu-2g.json")
        [ "$(measured ".events[] | select(.register == \"rtmr$register\") | .digest")" = "$want" ]
    done
}

@test "RTMR0 of one CPU, pre202505" {
    [ "$(measured .rtmr0 --cpus 1)" = 68102e7b524af310f7b7d426ce75481e36c40f5d513a9009c046e9d37e31551f0134d954b496a3357fd61d03f07ffe96 ]
}

@test "RTMR0 of one CPU, stable202505" {
    [[ $(measured .rtmr0 --cpus 1 --ovmf-variant stable202505) == d357b91a5bc62825* ]]
}

@test "RTMR0 of two CPUs, pre202505" {
    [ "$(measured .rtmr0)" = f8438db36b96f85d8752ff7f24a89ec05c79ec9eda2ba732c897fb970ca429365b7471b1c054cb84f17b1c2b23ba6640 ]
}

@test "stable202505 at another memory size is unsupported and names the event" {
    run --separate-stderr "$CVM" measure --vm-config "$work/vm_config.json" --memory 4G \
        --ovmf-variant stable202505
    [ "$status" -eq 4 ]
    [[ $stderr == *"event smbios of RTMR0"* ]]
    [ -z "$output" ]
}

@test "the golden ACPI files of every QEMU family" {
    for family in 7.2 8.2-tdx 9.1-tdx 9.2 10.0 11.1; do
        cases=$VECTORS/acpi/qemu-$family/cases.json
        "$CVM" acpi --machines "$cases" |
            jq -c '[.name, .tables.sha384, .rsdp.sha384, .loader.sha384, .tables.used]' >"$work/got"
        jq -c '.[] | [.name, .sha384.tables, .sha384.rsdp, .sha384.loader, .tables_used]' \
            "$cases" >"$work/want"
        [ "$(wc -l <"$work/want")" -eq 57 ]
        diff "$work/want" "$work/got"
    done
}

@test "acpi --out writes the golden bytes" {
    jq '.[0].machine' "$VECTORS/acpi/qemu-9.2/cases.json" >"$work/machine.json"
    "$CVM" acpi --machine "$work/machine.json" --out "$work/out" >"$work/text"
    zcat "$VECTORS/acpi/qemu-9.2/000.tables.bin.gz" >"$work/want"
    cmp -n "$(wc -c <"$work/want")" "$work/want" "$work/out/tables.bin"
    [ "$(wc -c <"$work/out/tables.bin")" -eq 131072 ]
    [ "$(wc -c <"$work/out/rsdp.bin")" -eq 20 ]
    [ "$(wc -c <"$work/out/loader.bin")" -eq 4096 ]
    [ "$(find "$work/out" -type f | wc -l)" -eq 3 ]
}

@test "the version in metadata.json decides where the image's name cannot" {
    bundle dstack-0.5.10-4c9bd024 --version 0.5.10
    [ "$(variant_of dstack-0.5.10-4c9bd024)" = "stable202505 metadata version" ]
}

@test "a declaration beats the version" {
    bundle dstack-0.5.10-4c9bd024 --version 0.5.10 --ovmf-variant pre202505
    [ "$(variant_of dstack-0.5.10-4c9bd024)" = "pre202505 metadata metadata" ]
}

@test "without a version that name yields nothing, and the default is reported as such" {
    bundle dstack-0.5.10-4c9bd024 --version ""
    [ "$(variant_of dstack-0.5.10-4c9bd024)" = "pre202505 default default" ]
    run --separate-stderr "$CVM" measure --image "$work/dstack-0.5.10-4c9bd024" --cpus 2 \
        --memory 2G --qemu-version 8.2.2
    [[ $stderr == *"pre202505 is the default"* ]]
}

@test "a strict name decides where there is no version" {
    bundle dstack-dev-0.5.10 --version ""
    [ "$(variant_of dstack-dev-0.5.10)" = "stable202505 image-name image-name" ]
}

@test "vm_config carries the resolved variant" {
    bundle dstack-0.5.10-4c9bd024 --version 0.5.10
    "$CVM" measure --image "$work/dstack-0.5.10-4c9bd024" --cpus 2 --memory 2G \
        --qemu-version 8.2.2 --json | jq .vm_config >"$work/again.json"
    [ "$(jq -r .ovmf_variant "$work/again.json")" = stable202505 ]
    [ "$(jq -r .image "$work/again.json")" = dstack-0.5.10-4c9bd024 ]
    first=$("$CVM" measure --image "$work/dstack-0.5.10-4c9bd024" --cpus 2 --memory 2G \
        --qemu-version 8.2.2 --json | jq -r '.mrtd + .rtmr0 + .rtmr1 + .rtmr2')
    second=$("$CVM" measure --image "$work/dstack-0.5.10-4c9bd024" --vm-config "$work/again.json" \
        --json | jq -r '.mrtd + .rtmr0 + .rtmr1 + .rtmr2')
    [ "$first" = "$second" ]
}

@test "a QEMU version is never assumed" {
    bundle image
    run --separate-stderr "$CVM" measure --image "$work/image" --cpus 2 --memory 2G
    [ "$status" -eq 2 ]
    [[ $stderr == *"which QEMU runs the guest"* ]]
}

@test "the image's identity must be the one that the vm_config declares" {
    bundle image
    run --separate-stderr "$CVM" measure --image "$work/image" --vm-config "$work/vm_config.json"
    [ "$status" -eq 1 ]
    [[ $stderr == *"declares os_image_hash e6f5cfec"* ]]
}
