#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# What a firmware file says, and what happens where a declaration says something else.

bats_require_minimum_version 1.5.0

setup() {
    work=$(mktemp -d)
}

teardown() {
    rm -rf "$work"
}

bundle() { # make_bundle's options
    rm -rf "$work/image"
    "$SUPPORT/make_bundle.py" "$work/image" "$@"
}

measure() { # options
    run --separate-stderr "$CVM" measure --image "$work/image" --cpus 2 --memory 2G \
        --qemu-version 9.2.1 --json "$@"
}

answer() { # jq expression
    jq -r "$1" <<<"$output"
}

says() { # text
    [[ "$output$stderr" == *"$1"* ]]
}

# A host whose emulator is of this version, and a request for the image.
place() { # no_tee
    cat >"$work/emulator" <<'SCRIPT'
#!/bin/sh
echo 'QEMU emulator version 9.2.1'
SCRIPT
    chmod +x "$work/emulator"
    jq -n --arg work "$work" '{ image_dir: $work, state_dir: "\($work)/state",
        emulator: "\($work)/emulator" }' >"$work/host.json"
    jq -n --argjson no_tee "$1" '{ name: "web", image: "image", vcpu: 1, memory: "2G",
        disk_size: "1G", no_tee: $no_tee,
        app_compose: { name: "web", manifest_version: 2 } }' >"$work/request.json"
}

# --- cvm firmware ---

@test "a file is shown with its layout, its store and both orders of MRTD" {
    bundle --layout pre202505 --keys
    run --separate-stderr "$CVM" firmware "$work/image/ovmf.fd"
    [ "$status" -eq 0 ]
    says "layout        derived: 13 events"
    says "ovmf_variant  pre202505"
    says "authenticated, 65464 bytes, 1 variables, secure boot on"
    says "8be4df61-93ca-11d2-aa0d-00e098032b8c PK"
    [ "$(grep -c '^mrtd ' <<<"$output")" -eq 2 ]
}

@test "the same as JSON" {
    bundle --layout stable202505-prefix --keys
    run --separate-stderr "$CVM" firmware --json "$work/image/ovmf.fd"
    [ "$status" -eq 0 ]
    [ "$(answer .sha384)" = "$(sha384sum <"$work/image/ovmf.fd" | cut -d ' ' -f 1)" ]
    [ "$(answer '.sections | length')" -eq 6 ]
    [ "$(answer .ovmf_variant)" = stable202505 ]
    [ "$(answer .layout.source)" = derived ]
    [ "$(answer .layout.num_events)" -eq 17 ]
    [ "$(answer '[.layout.events[] | select(.optional | not)] | length')" -eq 17 ]
    [ "$(answer .layout.cmdline_form)" = prefix ]
    [ "$(answer '.layout.boot_options[1].description')" = "EFI Firmware Setup" ]
    [ "$(answer .variable_store.measured.pk.present)" = true ]
    [ "$(answer '.variable_store.variables[0].name')" = PK ]
    [ "$(answer .mrtd.single_pass)" != "$(answer .mrtd.two_pass)" ]
}

@test "what a file does not tell is said" {
    bundle
    run --separate-stderr "$CVM" firmware --json "$work/image/ovmf.fd"
    [ "$status" -eq 0 ]
    [ "$(answer .layout.source)" = unknown ]
    [ "$(answer .layout.reason)" = "its code is in no firmware volume" ]
    bundle --layout silent
    run --separate-stderr "$CVM" firmware "$work/image/ovmf.fd"
    says "measures nothing in a TD"
}

@test "cvm firmware finds the MRTD that cvm measure expects" {
    bundle --layout pre202505 --version 0.5.9
    measure
    want=$(answer .mrtd)
    run --separate-stderr "$CVM" firmware --json "$work/image/ovmf.fd"
    [ "$(answer .mrtd.single_pass)" = "$want" ]
}

# --- the declaration and the file ---

@test "a file that agrees is measured, and says how it is known" {
    bundle --layout stable202505 --version 0.5.11
    measure
    [ "$status" -eq 0 ]
    [ "$(answer .layout.value)" = stable202505 ]
    [ "$(answer .layout.source)" = derived ]
    [ "$(answer .ovmf_variant.rule)" = version ]
    [ "$(answer '[.events[] | select(.register == "rtmr0")] | length')" -eq 17 ]
}

@test "a contradiction stops measuring, names both and how to settle it" {
    bundle --layout pre202505 --version 0.5.11
    measure
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$(jq -r .error <<<"$stderr")" = mismatch ]
    says "ovmf_variant stable202505 (by rule version)"
    says "whose layout is pre202505"
    says "give --ovmf-variant pre202505"
    measure --ovmf-variant pre202505
    [ "$status" -eq 0 ]
    bundle --layout pre202505 --version 0.5.11 --ovmf-variant pre202505
    measure
    [ "$status" -eq 0 ]
    bundle --layout pre202505 --version 0.5.11 --ovmf-variant stable202505
    measure
    [ "$status" -eq 1 ]
}

@test "--trust-declared measures as declared, with a warning" {
    bundle --layout pre202505 --version 0.5.11
    measure --trust-declared
    [ "$status" -eq 0 ]
    [ "$(answer .layout.source)" = declared ]
    [ "$(answer '[.events[] | select(.register == "rtmr0")] | length')" -eq 17 ]
    [[ $(answer '.warnings[]') == *"although the firmware file has another layout"* ]]
}

@test "a vm_config that contradicts the file is a mismatch too" {
    bundle --layout pre202505 --version 0.5.9
    measure
    answer .vm_config | jq '.ovmf_variant = "stable202505"' >"$work/vm_config.json"
    run --separate-stderr "$CVM" measure --image "$work/image" --vm-config "$work/vm_config.json"
    [ "$status" -eq 1 ]
    says "by rule vm_config"
}

@test "a layout without a name is measured from the file; vm_config carries the resolved name" {
    bundle --layout unnamed --version 0.5.9
    measure
    [ "$status" -eq 0 ]
    [ "$(answer .layout.value)" = null ]
    [ "$(answer .layout.source)" = derived ]
    [ "$(answer .vm_config.ovmf_variant)" = pre202505 ]
    [ "$(answer '[.events[] | select(.register == "rtmr0")] | length')" -eq 11 ]
    first=$(answer .rtmr0)
    answer .vm_config >"$work/vm_config.json"
    run --separate-stderr "$CVM" measure --image "$work/image" --vm-config "$work/vm_config.json" \
        --json
    [ "$(answer .rtmr0)" = "$first" ]
}

@test "firmware that measures nothing is refused for measuring" {
    bundle --layout silent --version 0.5.9
    measure
    [ "$status" -eq 4 ]
    says "the firmware measures nothing in a TD"
    measure --trust-declared
    [ "$status" -eq 0 ]
}

@test "vm-config stops at a contradiction" {
    bundle --layout pre202505 --version 0.5.11
    place false
    run --separate-stderr "$CVM" --config "$work/host.json" vm-config "$work/request.json"
    [ "$status" -eq 1 ]
    says "contradicts the firmware file"
    jq '.ovmf_variant = "pre202505"' "$work/request.json" >"$work/settled.json"
    run --separate-stderr "$CVM" --config "$work/host.json" vm-config "$work/settled.json"
    [ "$status" -eq 0 ]
    [ "$(answer .ovmf_variant)" = pre202505 ]
}

@test "firmware that measures nothing is refused for a TD, and a guest without TDX is warned of it" {
    bundle --layout silent --version 0.5.9
    place false
    for command in vm-config "launch --dry-run"; do
        # shellcheck disable=SC2086  # two words
        run --separate-stderr "$CVM" --config "$work/host.json" $command "$work/request.json"
        [ "$status" -eq 4 ]
        says "the firmware measures nothing in a TD"
    done
    place true
    run --separate-stderr "$CVM" --config "$work/host.json" launch --dry-run "$work/request.json"
    [ "$status" -eq 0 ]
    says "no TD with this firmware would report them"
    [[ $output == *"<domain"* ]]
}

@test "a layout without a name can be launched" {
    bundle --layout unnamed --version 0.5.9
    place true
    run --separate-stderr "$CVM" --config "$work/host.json" --json launch --dry-run \
        "$work/request.json"
    [ "$status" -eq 0 ]
    [ "$(answer .expected.layout.source)" = derived ]
    [ "$(answer .expected.vm_config.ovmf_variant)" = pre202505 ]
}

@test "a firmware that was changed is a mismatch before it is anything else" {
    bundle --layout pre202505 --version 0.5.9
    printf 'x' | dd of="$work/image/ovmf.fd" bs=1 seek=70000 conv=notrunc status=none
    measure
    [ "$status" -eq 1 ]
    says "'ovmf.fd' does not have the digest in sha256sum.txt"
}

# --- keys and kernels ---

@test "enrolled keys reach the events, and an unsigned kernel is warned of" {
    bundle --layout unnamed --version 0.5.9
    measure
    empty=$(answer '.events[] | select(.name == "pk") | .digest')
    bundle --layout unnamed --version 0.5.9 --keys
    measure
    [ "$(answer '.events[] | select(.name == "pk") | .digest')" != "$empty" ]
    [[ $(answer '.warnings[]') == *"secure boot is on"*"the kernel is not signed"* ]]
}

@test "a kernel from before 6.9 is warned of; --kernel-measures says what it does" {
    zeros=$(printf '0%.0s' {1..96})
    bundle --layout pre202505 --version 0.5.9 --kernel-version 6.1.0-sample
    measure
    [[ $(answer '.warnings[]') == *"kernel 6.1.0-sample is older than 6.9"* ]]
    [ "$(answer .kernel_measures.source)" = default ]
    [ "$(answer .rtmr2)" != "$zeros" ]
    measure --kernel-measures no
    [ "$(answer .rtmr2)" = "$zeros" ]
    [ "$(answer '[.events[] | select(.register == "rtmr2")] | length')" -eq 0 ]
    [ "$(answer '.kernel_measures | "\(.value) \(.source)"')" = "no option" ]
    [[ $(answer '.warnings[]') != *"older than 6.9"* ]]
    measure --kernel-measures yes
    [ "$(answer .rtmr2)" != "$zeros" ]
    [[ $(answer '.warnings[]') != *"older than 6.9"* ]]
    bundle --layout pre202505 --version 0.5.9 --kernel-version 6.9.1
    measure
    [[ $(answer '.warnings[]') != *"older than 6.9"* ]]
    measure --kernel-measures perhaps
    [ "$status" -eq 3 ]
}

# --- bad firmware ---

wrong() { # what, text
    bundle --layout pre202505 --version 0.5.9 --wrong "$1"
    measure
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    says "$2"
    run --separate-stderr "$CVM" firmware "$work/image/ovmf.fd"
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    says "$2"
}

@test "an LZMA bomb" {
    wrong lzma-bomb "LZMA stream: unpacks to more than 67108864 bytes"
}

@test "a truncated LZMA stream" {
    wrong lzma-truncated "LZMA stream: truncated at byte"
}

@test "a volume's length past the end" {
    wrong volume-length "length 0x40000000 runs past the end"
}

@test "an extended header past its volume" {
    wrong extended-header "1073741824 bytes run past the volume"
}

@test "an FFS file of size 0" {
    wrong file-size-0 "size 0, less than its header of 24"
}

@test "a file past its volume" {
    wrong file-too-long "run past its volume"
}

@test "a variable with sizes past the store" {
    wrong variable-size "run past the store"
}

@test "10,000 variables" {
    wrong variables-10000 "more than 4096 variables"
}

@test "a corrupt variable store" {
    wrong store-state "format 0x5a, state 0x00"
}
