#!/usr/bin/env bats
# A guest of the system daemon, with a network of each mode and a TPM. The daemon runs in mount and
# network namespaces of its own, with its directories empty, so that it is nobody else's; where it
# cannot be started so, the tests are skipped.

# shellcheck disable=SC2016  # jq programs
load lib

setup_file() {
    make_place
    start_daemon >"$PLACE/refused" 2>&1 || mv "$PLACE/refused" "$PLACE/no-daemon"
}

teardown_file() {
    drop_place
    [ -z "${DAEMON:-}" ] || kill "$DAEMON" 2>/dev/null || true
}

# Process DAEMON is the daemon; what enters its namespaces sees it and its networks.
start_daemon() {
    command -v libvirtd || { echo 'there is no program libvirtd' && return 1; }
    write_qemu_conf "$PLACE/root"
    # shellcheck disable=SC2016  # for the shell within
    unshare --mount --net bash -euc '
        for directory in /run/libvirt /etc/libvirt /var/lib/libvirt /var/log/libvirt \
            /var/cache/libvirt; do
            mkdir -p "$directory"
            mount -t tmpfs cvm-e2e "$directory"
        done
        cp "$PLACE/root/etc/qemu.conf" /etc/libvirt/
        printf "%s = \"none\"\n" auth_unix_rw auth_unix_ro >/etc/libvirt/libvirtd.conf
        ip link set lo up
        ip link add cvmbr0 type bridge
        ip link add cvmveth0 type veth peer name cvmveth1
        for link in cvmbr0 cvmveth0 cvmveth1; do ip link set "$link" up; done
        LIBVIRT_LOG_OUTPUTS=3:file:$PLACE/libvirtd.log exec libvirtd -p "$PLACE/libvirtd.pid"
    ' >"$PLACE/daemon.out" 2>&1 3>&- &
    export DAEMON=$!
    await_daemon || { cat "$PLACE/daemon.out" "$PLACE/libvirtd.log" && return 1; }
    cat >"$PLACE/net.xml" <<'XML'
<network><name>cvmnet</name><forward mode='bridge'/><bridge name='cvmbr0'/></network>
XML
    inside virsh -q -c qemu:///system net-create "$PLACE/net.xml"
    write_host_config '.libvirt_uri = "qemu:///system"'
}

await_daemon() {
    local deadline=$((SECONDS + 30))
    until inside virsh -q -c qemu:///system uri; do
        kill -0 "$DAEMON" && [ $SECONDS -lt $deadline ] || return 1
        sleep 0.2
    done
} >/dev/null 2>&1

inside() { # COMMAND ...
    nsenter --target "$DAEMON" --mount --net "$@"
}

cvm() {
    inside "$CVM" --config "$PLACE/host.json" "$@"
}

setup() {
    [ ! -e "$PLACE/no-daemon" ] || skip "no daemon here: $(tail -n 3 "$PLACE/no-daemon")"
}

links() { # ip's conditions
    inside ip -o link show "$@" | wc -l
}

@test "a guest with a network of each mode and a TPM is what was predicted" {
    run -0 --separate-stderr cvm launch "$(request each '.swtpm = true | .networks = [
        { mode: "network", source: "cvmnet" }, { mode: "direct", source: "cvmveth0" },
        { mode: "bridge", source: "cvmbr0" }, { mode: "user" }]
        | .ports = [{ host_port: 17373, guest_port: 80 }]')"
    assert_equal 'ports of the bridge' 2 "$(links master cvmbr0)"
    assert_equal 'macvtaps' 1 "$(links type macvtap)"
    [ "$(inside ss -Hltn 'sport = 17373' | wc -l)" -eq 1 ]
    await_said each ready 1
    assert_acpi_as_predicted each
    assert_share_equal each
    assert_equal NICs 4 "$(said each nics)"
    assert_equal TPM yes "$(said each tpm)"
    assert_slots each '1001 1001 1000 1000 1000 1000 VSOCK 1009'
}

@test "check-host asks the daemon" {
    run --separate-stderr cvm check-host
    assert_says 'qemu:///system, version'
    assert_says 'guests can have a TPM'
}

@test "it can be started again, and keeps its TPM" {
    state=/var/lib/libvirt/swtpm/$(jq -r .uuid "$(directory_of each)/vm.json")
    await_off each
    assert_equal 'ports of the bridge' 0 "$(links master cvmbr0)"
    assert_equal 'macvtaps' 0 "$(links type macvtap)"
    inside test -s "$state/tpm2/tpm2-00.permall"
    run -0 --separate-stderr cvm start each
    await_said each ready 2
    assert_acpi_as_predicted each
    await_off each
}

@test "remove leaves nothing behind, the TPM's state neither" {
    run -0 --separate-stderr cvm remove each
    assert_equal 'directories' '' "$(stored)"
    assert_equal 'domains' '' "$(inside virsh -q -c qemu:///system list --all --name | sed '/^$/d')"
    assert_equal 'TPM states' '' "$(inside ls /var/lib/libvirt/swtpm)"
}

@test "a network that libvirt does not know leaves nothing behind" {
    run -5 --separate-stderr cvm launch \
        "$(request lost '.networks = [{ mode: "network", source: "cvmlost" }]')"
    assert_says cvmlost
    assert_equal 'directories' '' "$(stored)"
    assert_equal 'domains' '' "$(inside virsh -q -c qemu:///system list --all --name | sed '/^$/d')"
}
