# shellcheck shell=bash
# What the end-to-end tests share. Each file has a place of its own:
#
#   $PLACE/root      root of libvirt's embedded driver (the path is short: sockets lie below it)
#   $PLACE/images    the sample bundles; copies that a test may spoil
#   $PLACE/state     cvm's state directory
#   $PLACE/host.json the host configuration that cvm() passes
#
# tests/e2e/run has made sure of programs and bundles and says where they are:
# CVM (the program), CVM_E2E_BUNDLE_DIR (the sample bundles).
# shellcheck disable=SC2119,SC2120,SC2154  # who passes arguments, and status, is elsewhere

[ -z "${BATS_VERSION:-}" ] || bats_require_minimum_version 1.7.0

# Where Debian 12's firmware puts PCIEXBAR since OVMF 2022.11: 0xb0000000.
PCIEXBAR_BASE=2952790016
# QEMU emulates the CPU: seconds that a guest may take on a busy machine.
BOOT_PATIENCE=${CVM_E2E_BOOT_PATIENCE:-240}

# libvirt logs to stderr otherwise.
export LIBVIRT_LOG_OUTPUTS=4:file:/dev/null

# --- the place ---

write_qemu_conf() { # ROOT
    mkdir -p "$1/etc"
    cat >"$1/etc/qemu.conf" <<CONF
user = "$(id -un)"
group = "$(id -gn)"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
swtpm_user = "$(id -un)"
swtpm_group = "$(id -gn)"
CONF
}

# Takes away what a failed test left, so that the next ones can say something.
clear_place() {
    local name
    write_host_config
    for name in $(stored); do
        cvm remove --force "$name" || true
    done
    for name in $(domains); do
        on_root undefine "$name" || true
    done
} >/dev/null 2>&1

write_host_config() { # [jq program that changes it]
    jq -n --arg place "$PLACE" --argjson base "$PCIEXBAR_BASE" '{
        libvirt_uri: "qemu:///embed?root=\($place)/root",
        image_dir: "\($place)/images",
        state_dir: "\($place)/state",
        accelerator: "tcg",
        qemu: { pciexbar_base: $base }
    }' | jq --arg place "$PLACE" "${1:-.}" >"$PLACE/host.json"
}

make_place() {
    local bundle
    PLACE=$(mktemp -d /tmp/cvm-e2e.XXXXXX)
    export PLACE
    mkdir "$PLACE/images" "$PLACE/requests"
    write_qemu_conf "$PLACE/root"
    for bundle in "$CVM_E2E_BUNDLE_DIR"/cvm-debian-*; do
        cp -r "$bundle" "$PLACE/images/${bundle##*/}"
    done
    write_host_config
    printf 'wait' >"$PLACE/wait"
}

# Ends what a failed test left running, by the process IDs of this place alone.
drop_place() {
    local pid
    [ -n "${PLACE:-}" ] || return 0
    for pid in $(emulators); do
        kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$PLACE"
}

# --- cvm and its answers ---

cvm() {
    "$CVM" --config "$PLACE/host.json" "$@"
}

# A request on the disk; prints its path. The second word is a jq program that changes it.
request() { # NAME [PROGRAM]
    local file=$PLACE/requests/$1.json
    jq -n --arg name "$1" '{
        name: $name, image: "cvm-debian-0.5.11", vcpu: 1, memory: "512M", disk_size: "64M",
        no_tee: true,
        app_compose: { manifest_version: 2, name: $name, docker_compose_file: "services: {}" }
    }' | jq --arg place "$PLACE" "${2:-.}" >"$file"
    echo "$file"
}

directory_of() {
    echo "$PLACE/state/vms/$1"
}

state_of() {
    cvm --json show "$1" | jq -r .state
}

on_root() { # VIRSH-COMMAND ...
    virsh -q -c "qemu:///embed?root=$PLACE/root" "$@"
}

# Everything that libvirt knows in this root, by name.
domains() {
    on_root list --all --name | sed '/^$/d'
}

# Process IDs of the emulators of this place.
emulators() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' '\n' 2>/dev/null <"$file" | grep -qF "$PLACE/root/lib/qemu/"; then
            basename "${file%/cmdline}"
        fi
    done
}

# Names in the store, temporary ones included; its lock stays.
stored() {
    [ ! -d "$PLACE/state/vms" ] || find "$PLACE/state/vms" -mindepth 1 -maxdepth 1 \
        ! -name .lock -printf '%f\n' | sort
}

# --- assertions ---

fail() {
    echo "$*" >&2
    return 1
}

assert_equal() { # WHAT EXPECTED ACTUAL
    [ "$2" = "$3" ] || fail "$1: expected '$2', is '$3'"
}

assert_status() { # EXPECTED; after run
    [ "$status" -eq "$1" ] || fail "exit status $status instead of $1: $output ${stderr:-}"
}

# Both what was answered and what was complained about are searched.
assert_says() { # TEXT; after run
    [[ "$output ${stderr:-}" == *"$1"* ]] || fail "not said: '$1', but: $output ${stderr:-}"
}

# No guest but these exists: no directory, no domain, no emulator.
assert_only() { # NAME ...
    local expected
    expected=$(printf '%s\n' "$@" | sed '/^$/d' | sort)
    assert_equal 'directories' "$expected" "$(stored)"
    assert_equal 'domains' "$expected" "$(domains | sort)"
}

assert_nothing_left() {
    assert_only
    assert_equal 'emulators' '' "$(emulators)"
}

# --- what the guest says ---

# Facts of the guest's last report, without their prefix.
report() { # NAME
    cvm logs "$1" | tr -d '\r' | awk '
        /^cvm-guest: sha384 etc\/table-loader / { text = "" }
        sub(/^cvm-guest: /, "") { text = text $0 "\n" }
        END { printf "%s", text }'
}

# What follows a word in the guest's last report, a line for each time.
said() { # NAME WORD
    report "$1" | grep "^$2 " | cut -d ' ' -f 2-
}

# One column of a file's table of guests, as "NAME VALUE", or the names alone. GUESTS has a line
# for each guest, with its name in front and "|" between columns.
column() { # NUMBER
    awk -F '|' -v column="$1" 'NF { print $1, $column }' <<<"$GUESTS"
}

names() {
    awk -F '|' 'NF { print $1 }' <<<"$GUESTS"
}

# Wants a word's count on the console: a guest writes one "ready" each time it has booted.
times_said() { # NAME LINE
    cvm logs "$1" | tr -d '\r' | grep -cxF "cvm-guest: $2" || true
}

await_said() { # NAME LINE TIMES
    local deadline=$((SECONDS + BOOT_PATIENCE))
    until [ "$(times_said "$1" "$2")" -ge "$3" ]; do
        if [ $SECONDS -ge $deadline ]; then
            cvm logs "$1" | tail -n 20 >&2
            fail "guest '$1' did not say '$2' $3 times within $BOOT_PATIENCE s"
            return 1
        fi
        sleep 0.5
    done
}

await_off() { # NAME
    local deadline=$((SECONDS + BOOT_PATIENCE))
    until [ "$(state_of "$1")" = off ]; do
        [ $SECONDS -lt $deadline ] || fail "guest '$1' is still running" || return 1
        sleep 1
    done
}

# The digest that was predicted for an event.
predicted() { # NAME EVENT
    jq -r --arg event "$2" '.events[] | select(.name == $event) | .digest' \
        "$(directory_of "$1")/expected.json"
}

assert_acpi_as_predicted() { # NAME
    local seen event file
    seen=$(report "$1")
    while read -r event file; do
        assert_equal "$1: $file" "sha384 $file $(predicted "$1" "$event")" \
            "$(grep -F "sha384 $file " <<<"$seen")" || return 1
    done <<'FILES'
acpi_loader etc/table-loader
acpi_rsdp etc/acpi/rsdp
acpi_tables etc/acpi/tables
FILES
}

# PCI IDs in slots 1.., and nothing else on the bus. VSOCK is the vsock device or, on a host
# without vhost-vsock, what stands in its place.
assert_slots() { # NAME IDS
    local id slot=0 vsock=1012
    [ -e /dev/vhost-vsock ] || vsock=1005
    {
        echo '0000:00:00.0 8086:29c0'
        for id in ${2/VSOCK/$vsock}; do
            slot=$((slot + 1))
            printf '0000:00:%02x.0 1af4:%s\n' "$slot" "$id"
        done
        printf '0000:00:1f.%s 8086:%s\n' 0 2918 2 2922 3 2930
    } >"$PLACE/expected"
    diff "$PLACE/expected" <(said "$1" pci) || fail "$1: PCI functions"
}

# The guest reads the very bytes that lie on the host, and no other file.
assert_share_equal() { # NAME
    local expected
    expected=$(cd "$(directory_of "$1")/shared" && find . -type f -printf '%f\n' | sort |
        while read -r file; do
            echo "share sha384 $file $(sha384sum <"$file" | cut -d ' ' -f 1)"
        done)
    assert_equal "$1: share" "$expected" "$(report "$1" | grep '^share sha384 ' | sort -k 3)"
}

# --- spoiling things ---

# Makes another valid bundle of this one.
reseal() { # DIR
    # shellcheck disable=SC2046  # a bundle's names are plain words
    (cd "$1" && sha256sum -- $(cut -c 67- sha256sum.txt)) >"$1/sums"
    mv "$1/sums" "$1/sha256sum.txt"
    sha256sum <"$1/sha256sum.txt" | cut -d ' ' -f 1 >"$1/digest.txt"
}

change_cmdline() { # DIR TEXT
    jq --arg text "$2" '.cmdline += " " + $text' "$1/metadata.json" >"$1/metadata.new"
    mv "$1/metadata.new" "$1/metadata.json"
}

# An emulator that does something of its own first: BODY is shell text, with $emulator
# and the arguments; what it leaves to do is done by the real one.
fake_emulator() { # PATH BODY
    cat >"$1" <<SCRIPT
#!/bin/bash
emulator=/usr/bin/qemu-system-x86_64
$2
exec "\$emulator" "\$@"
SCRIPT
    chmod +x "$1"
}

# The condition, in such a body, that a guest is being started: libvirt also probes.
# shellcheck disable=SC2016,SC2034  # for the script
STARTS_GUEST='[[ " $* " == *" guest="* ]]'
