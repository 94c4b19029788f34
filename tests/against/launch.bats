#!/usr/bin/env bats
# acpi_check: what a launch does before it starts anything. No libvirt is reached: a launch that
# passes the check fails on the connection, with exit status 5.
# shellcheck disable=SC2154,SC2016  # see lib.bash; jq programs

load lib

# A host and a request; each may be changed by a jq program.
host() { # jq program
    jq -n --arg work "$work" --arg emulator "${emulator:-$CVM_QEMU}" '{
        emulator: $emulator, accelerator: "tcg", state_dir: "\($work)/state",
        libvirt_uri: "qemu:///embed?root=\($work)/nowhere/root"
    }' | jq "$1" >"$work/host.json"
}

request() { # jq program
    jq -n --arg image "$work/image/" '{ name: "web", image: $image, vcpu: 2, memory: "2G",
        disk_size: "1G", no_tee: true, app_compose: {} }' | jq "$1" >"$work/request.json"
}

launch() { # [option ...]
    "$CVM" --config "$work/host.json" launch "$work/request.json" "$@"
}

prepare() {
    "$SUPPORT/make_bundle.py" "$work/image"
    mkdir -p "$work/state"
    host .
    request .
}

assert_not_connected() {
    ! grep -qi 'connect\|libvirt' <<<"$stderr" || { echo "$stderr" && return 1; }
    [ ! -e "$work/state/vms" ]
}

assert_passed_on() {
    [ "$status" -eq 5 ]
    grep -qF 'nowhere/root' <<<"$stderr" || { echo "$stderr" && return 1; }
}

@test "an emulator that writes what was predicted passes, and its answer is kept" {
    prepare
    host '.acpi_check = "require"'
    run --separate-stderr launch -v
    assert_passed_on
    grep -q 'asking emulator' <<<"$stderr"
    [ "$(find "$work/state/cache/acpi" -name 'emulator-*.json' | wc -l)" -eq 1 ]
    [ "$(find "$work/state/cache/acpi" -name '*.json' | wc -l)" -eq 2 ]
    run --separate-stderr launch -v
    assert_passed_on
    grep -q 'has said before that it writes these ACPI files' <<<"$stderr"
    ! grep -q 'asking emulator' <<<"$stderr" || return 1
    request '.vcpu = 3'
    run --separate-stderr launch -v
    grep -q 'asking emulator' <<<"$stderr"
    assert_nothing_left
}

@test "an entry of the cache that was tampered with is asked for again" {
    prepare
    host '.acpi_check = "require"'
    run --separate-stderr launch
    entry=$(find "$work/state/cache/acpi" -name '*.json' ! -name 'emulator-*')
    jq '.tables |= gsub("[0-9]"; "f")' "$entry" >"$work/tampered"
    mv "$work/tampered" "$entry"
    run --separate-stderr launch -v
    assert_passed_on
    grep -q 'asking emulator' <<<"$stderr"
}

@test "an emulator that writes other tables: refused where required, with exit status 1" {
    prepare
    another_emulator -device pvpanic
    emulator=$work/emulator
    host '.acpi_check = "require"'
    run -1 --separate-stderr launch
    grep -q "guest 'web': acpi_check: emulator '.*/emulator' writes other ACPI files" <<<"$stderr"
    grep -q 'table DSDT differs at 0x4, table RSDT differs' <<<"$stderr"
    [ -z "$output" ]
    assert_not_connected
    assert_nothing_left
}

@test "off and warn go on, and the request decides before the host" {
    prepare
    another_emulator -device pvpanic
    emulator=$work/emulator
    for words in 'require off' 'require warn' 'off warn' 'warn off' 'off null' 'null null' 'null warn'; do
        read -r mine wanted <<<"$words"
        host "if \"$mine\" == \"null\" then . else .acpi_check = \"$mine\" end"
        request "if \"$wanted\" == \"null\" then . else .acpi_check = \"$wanted\" end"
        run --separate-stderr launch
        assert_passed_on || { echo "$words" && return 1; }
    done
    host '.acpi_check = "off"'
    request '.acpi_check = "require"'
    run -1 --separate-stderr launch
    assert_not_connected
}

@test "an emulator that cannot be asked: an error where required" {
    prepare
    another_emulator -device no-such-device
    emulator=$work/emulator
    host '.acpi_check = "require"'
    run -5 --separate-stderr launch
    grep -q "acpi_check: the emulator could not be asked for its ACPI files: emulator '" <<<"$stderr"
    grep -q "'no-such-device' is not a valid device model name" <<<"$stderr"
    assert_not_connected
    host '.acpi_check = "warn"'
    run --separate-stderr launch
    assert_passed_on
}

@test "words that are none: exit 3" {
    prepare
    host '.acpi_check = "always"'
    run -3 --separate-stderr launch
    grep -q "key 'acpi_check': 'always' is none of: off warn require" <<<"$stderr"
    host .
    request '.acpi_check = "always"'
    run -3 --separate-stderr launch
    grep -q "acpi_check is 'always', not 'off', 'warn' or 'require'" <<<"$stderr"
}

@test "--dry-run asks nobody" {
    prepare
    another_emulator -device no-such-device
    emulator=$work/emulator
    host '.acpi_check = "require"'
    run -0 --separate-stderr launch --dry-run
    [ ! -e "$work/state/cache" ]
}
