#!/usr/bin/env bats
# Networks of each mode. The bridge is one of a network namespace, in which cvm and its guests run;
# where the kernel has none, or no bridges, those tests are skipped.

# shellcheck disable=SC2016  # jq programs
load lib

setup_file() {
    make_place
    export NAMESPACE=${PLACE##*/}
    ip netns add "$NAMESPACE" 2>"$PLACE/refused" &&
        ip -n "$NAMESPACE" link add cvmbr0 type bridge 2>"$PLACE/refused" &&
        ip -n "$NAMESPACE" link set cvmbr0 up &&
        [ -c /dev/net/tun ] || echo "no bridge here: $(cat "$PLACE/refused")" >"$PLACE/no-bridge"
}

teardown_file() {
    drop_place
    ip netns del "$NAMESPACE" 2>/dev/null || true
}

cvm() {
    if [ -e "$PLACE/no-bridge" ]; then
        "$CVM" --config "$PLACE/host.json" "$@"
    else
        ip netns exec "$NAMESPACE" "$CVM" --config "$PLACE/host.json" "$@"
    fi
}

need_bridge() {
    [ ! -e "$PLACE/no-bridge" ] || skip "$(cat "$PLACE/no-bridge")"
}

on_bridge() {
    ip -n "$NAMESPACE" -o link show master cvmbr0 | wc -l
}

@test "a guest on a bridge has the tables that were predicted" {
    need_bridge
    run -0 --separate-stderr cvm launch "$(request bridged '.user_config = "\($place)/wait"
        | .networks = [{ mode: "bridge", source: "cvmbr0", mac: "52:54:00:12:34:56" },
            { mode: "user" }, { mode: "bridge", source: "cvmbr0" }]
        | .ports = [{ host_port: 17272, guest_port: 80 }]')"
    assert_equal 'ports of the bridge' 2 "$(on_bridge)"
    # The forward leads into the first network of mode user, which is the second.
    [ "$(ip netns exec "$NAMESPACE" ss -Hltn 'sport = 17272' | wc -l)" -eq 1 ]
    await_said bridged ready 1
    assert_acpi_as_predicted bridged
    assert_equal 'NICs' 'nics 3' "$(report bridged | grep '^nics ')"
    assert_equal 'in slots' '3 4 5' \
        "$(report bridged | sed -n 's/^pci 0000:00:0\(.\)\.0 1af4:1000$/\1/p' | tr '\n' ' ' | xargs)"
}

@test "the mode does not reach a measurement" {
    need_bridge
    for mode in '{ mode: "user" }' '{ mode: "bridge", source: "cvmbr0" }' \
        '{ mode: "network", source: "default" }' '{ mode: "direct", source: "eth0" }'; do
        cvm --json launch --dry-run "$(request mode ".networks = [$mode, $mode, $mode]")" \
            2>/dev/null | jq -S '.expected | del(.vm_config)' >"$PLACE/expected"
        [ -e "$PLACE/first" ] || cp "$PLACE/expected" "$PLACE/first"
        diff "$PLACE/first" "$PLACE/expected" || fail "$mode"
    done
    assert_equal rtmr0 "$(jq .rtmr0 "$(directory_of bridged)/expected.json")" \
        "$(jq .rtmr0 "$PLACE/first")"
}

@test "a guest that is removed leaves its bridge" {
    need_bridge
    run -0 --separate-stderr cvm remove --force bridged
    assert_equal 'ports of the bridge' 0 "$(on_bridge)"
    assert_nothing_left
}

@test "a bridge that does not exist leaves nothing behind" {
    run -5 --separate-stderr cvm launch \
        "$(request lost '.networks = [{ mode: "bridge", source: "cvmbr9" }]')"
    assert_says cvmbr9
    assert_nothing_left
}

@test "modes that need a daemon are refused with the embedded driver, before anything is written" {
    for mode in direct network; do
        run -4 --separate-stderr cvm launch \
            "$(request refused ".networks = [{ mode: \"user\" }, { mode: \"$mode\", source: \"lo\" }]")"
        assert_says "networks[1]: mode '$mode' needs a libvirt daemon"
        assert_nothing_left
    done
}
