#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# cvm measure --matrix: every line is what measuring that machine alone says.

bats_require_minimum_version 1.5.0

setup() {
    work=$(mktemp -d)
    export CVM_STATE_DIR=$work/state
    "$SUPPORT/make_bundle.py" "$work/bundle" --ovmf-variant pre202505
}

teardown() {
    rm -rf "$work"
}

matrix() { # JSON, options
    printf '%s' "$1" >"$work/matrix.json"
    "$CVM" measure --image "$work/bundle" --matrix "$work/matrix.json" "${@:2}"
}

refused() { # status, text, JSON, options
    printf '%s' "$3" >"$work/matrix.json"
    run --separate-stderr "$CVM" measure --image "$work/bundle" --matrix "$work/matrix.json" --json \
        "${@:4}"
    echo "status $status: $stderr"
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [[ $(jq -r .message <<<"$stderr") == *"$2"* ]]
}

@test "each line is what measuring the machine alone says" {
    matrix '{"cpu_count": [1, 3, 8], "memory_size": ["1G", "2G", "3G", "8G"], "num_nics": [1, 2],
        "qemu_version": ["8.2.2", "9.2.1", "10.2.0"]}' >"$work/lines"
    [ "$(wc -l <"$work/lines")" -eq 72 ]
    count=0
    while read -r cpus memory version nics want; do
        got=$("$CVM" measure --image "$work/bundle" --cpus "$cpus" --memory "$memory" \
            --qemu-version "$version" --nics "$nics" --json |
            jq -c '[.mrtd, .rtmr0, .rtmr1, .rtmr2, .kernel_header.value, .page_add_order.value,
                .ovmf_variant, .os_image_hash, .warnings]')
        [ "$got" = "$want" ]
        count=$((count + 1))
    done < <(jq -r 'select(.index % 5 == 0) | .shape as $s |
        "\($s.cpu_count) \($s.memory_size) \($s.qemu_version) \($s.num_nics) " +
        ([.mrtd, .rtmr0, .rtmr1, .rtmr2, .kernel_header.value, .page_add_order.value,
            .ovmf_variant, .os_image_hash, .warnings] | tojson)' "$work/lines")
    [ "$count" -eq 15 ]
}

@test "the order is that of the keys' table, with the last key fastest" {
    matrix '{"num_nics": [2, 1], "cpu_count": [4, 2], "memory_size": "2G", "qemu_version": "9.2.1"}' |
        jq -c '[.index, .shape.cpu_count, .shape.num_nics]' >"$work/got"
    printf '%s\n' '[0,4,2]' '[1,4,1]' '[2,2,2]' '[3,2,1]' | diff - "$work/got"
}

@test "the same matrix has the same text every time" {
    text='{"cpu_count": [1, 2, 3, 4, 5], "memory_size": ["1G", "2G"], "qemu_version": ["9.2.1", "8.2.2"]}'
    matrix "$text" >"$work/first"
    for _ in 1 2 3; do
        matrix "$text" | cmp - "$work/first"
        matrix "$text" --no-cache --json | cmp - "$work/first"
    done
}

@test "options and a vm_config are the base" {
    echo '{"cpu_count": 2, "memory_size": "4G", "num_nics": 3, "future": 1}' >"$work/vm_config.json"
    matrix '{"cpu_count": [null, 5]}' --vm-config "$work/vm_config.json" --qemu-version 9.2.1 \
        >"$work/lines"
    [ "$(jq -c '[.shape, .qemu_version.source]' "$work/lines" | paste -sd ' ')" = \
        '[{"cpu_count":null},"option"] [{"cpu_count":5},"option"]' ]
    [ "$(head -n 1 "$work/lines" | jq -r .rtmr0)" = "$("$CVM" measure --image "$work/bundle" \
        --vm-config "$work/vm_config.json" --qemu-version 9.2.1 --json | jq -r .rtmr0)" ]
}

@test "a vm_config that carries its measurement needs no image" {
    jq -r .vm_config_text "$VECTORS/hw/tdx-lite-2cpu-2g.json" >"$work/vm_config.json"
    echo '{"cpu_count": [1, 2]}' >"$work/matrix.json"
    "$CVM" measure --vm-config "$work/vm_config.json" --matrix "$work/matrix.json" >"$work/lines"
    [ "$(sed -n 1p "$work/lines" | jq -r .rtmr0)" = 68102e7b524af310f7b7d426ce75481e36c40f5d513a9009c046e9d37e31551f0134d954b496a3357fd61d03f07ffe96 ]
    [ "$(sed -n 2p "$work/lines" | jq -c '[.mrtd, .rtmr0, .rtmr1, .rtmr2]')" = \
        "$(jq -c '.registers | [.mrtd, .rtmr0, .rtmr1, .rtmr2]' "$VECTORS/hw/tdx-lite-2cpu-2g.json")" ]
}

@test "sources say what the matrix decided" {
    line=$(matrix '{"cpu_count": 1, "memory_size": "2G", "qemu_version": "9.2.1",
        "ovmf_variant": "pre202505", "kernel_header": "as-is", "qemu_single_pass_add_pages": true}')
    [ "$(jq -c '[.qemu_version.source, .ovmf_variant.source, .ovmf_variant.rule,
        .kernel_header.source, .page_add_order.source] | unique' <<<"$line")" = '["matrix"]' ]
    [ "$(jq -r .page_add_order.value <<<"$line")" = two-pass ]
}

@test "a machine that cannot be measured has a line that says why, and the status is its code" {
    printf '%s' '{"cpu_count": 1, "memory_size": ["2G", "1048577", "4G"],
        "qemu_version": ["9.2.1", "7.2.0"]}' >"$work/matrix.json"
    run --separate-stderr "$CVM" measure --image "$work/bundle" --matrix "$work/matrix.json" --json
    [ "$status" -eq 4 ]
    [ "$(jq -c '.error' <<<"$output" | paste -sd ' ')" = \
        'null "unsupported" "malformed" "malformed" null "unsupported"' ]
    [ "$(jq -c 'select(.error != null) | has("mrtd")' <<<"$output" | sort -u)" = false ]
    [[ $(jq -r 'select(.index == 2) | .message' <<<"$output") == *'1048577'* ]]
    [[ $(jq -r .message <<<"$stderr") == '4 of 6 shapes cannot be measured, the first is shape 1: '* ]]
    [ "$(jq -r .error <<<"$stderr")" = unsupported ]
}

@test "what is wrong with a matrix is said before anything is measured" {
    refused 3 "unknown key 'cpus'" '{"cpus": [1]}'
    refused 3 "did you mean 'num_nics'" '{"num_nisc": [1]}'
    refused 3 "key 'image' does not describe a machine" '{"image": ["x"]}'
    refused 3 "value 1: key 'cpu_count': 0 is not within" '{"cpu_count": [1, 0]}'
    refused 3 'not a JSON object' '[{"cpu_count": 1}]'
    refused 3 'not JSON' '{"cpu_count": [1,]}'
    refused 3 'more than 65536 shapes' \
        "$(jq -nc '{cpu_count: [range(1; 300)], memory_size: [range(1; 300)]}')"
    refused 2 'shape 0: nothing says which QEMU runs the guest' '{"cpu_count": 1, "memory_size": "2G"}'
    refused 2 'both an option and the matrix say cpu_count' '{"cpu_count": [1, 2]}' --cpus 2
    refused 2 'both an option and the matrix say kernel_header' '{"kernel_header": "as-is"}' \
        --kernel-header rewritten
    refused 5 'No such file' '{}' --matrix "$work/absent.json"
}

@test "a damaged file ends it before the first line" {
    printf 'X' | dd of="$work/bundle/bzImage" bs=1 seek=8000 conv=notrunc status=none
    refused 1 "'bzImage' does not have the digest" \
        '{"cpu_count": [1, 2], "memory_size": "2G", "qemu_version": "9.2.1"}'
}

@test "a reader that goes away ends it" {
    text=$(jq -nc '{cpu_count: [range(1; 200)], memory_size: ["2G"], qemu_version: ["9.2.1"]}')
    printf '%s' "$text" >"$work/matrix.json"
    "$CVM" measure --image "$work/bundle" --matrix "$work/matrix.json" 2>"$work/err" | head -n 1 |
        jq -e '.index == 0'
}

@test "keys are in the order of docs/vm-config.md" {
    # shellcheck disable=SC2016  # backquotes of a table in Markdown
    mapfile -t keys < <(grep -oE '^\| `[a-z][a-z_0-9, `]*` \|' "$SUPPORT/../../docs/vm-config.md" |
        grep -oE '[a-z][a-z_0-9]+' |
        grep -vE '^(spec_version|os_image_hash|image|tdx_attestation_variant|tdx_measurement)$' |
        awk '/^cmdline$/ { exit } { print }')
    text='{"cpu_count": 2, "memory_size": "2G", "qemu_version": "9.2.1"}'
    for ((i = ${#keys[@]} - 1; i >= 0; i--)); do # the other way round
        text=$(jq -c --arg key "${keys[i]}" '{($key): [null]} + .' <<<"$text")
    done
    matrix "$text" >"$work/line"
    [ "$(jq -r '.shape | keys_unsorted[]' "$work/line")" = "$(printf '%s\n' "${keys[@]}")" ]
}
