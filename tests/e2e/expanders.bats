#!/usr/bin/env bats
# Guests whose NUMA nodes have an expander (pxb-pcie) each, with root ports behind it. Their ACPI
# tables show where the firmware put the windows of these ports, so that the firmware has to be
# one that follows the predicted rules: Debian trixie's OVMF 2025.02, instead of Debian 12's.
# The host and its GPUs are made up, as in ports.bats.

# shellcheck disable=SC2016,SC2034  # jq programs; GUESTS is for lib
load lib
load ../support/host_tree

# name | PCI functions that are not on bus 0, as the guest is to see them
GUESTS='
pair|05:00.0=PORT 06:00.0=GPU 07:00.0=PORT 08:00.0=GPU
mixed|01:00.0=GPU 05:00.0=PORT 05:01.0=PORT 06:00.0=GPU 07:00.0=GPU 08:00.0=PORT 09:00.0=GPU
'

requests() {
    # Nodes follow from the GPUs.
    request pair '.hugepages = true | .gpus = ["0000:18:00.0", "0000:99:00.0"]'
    request mixed '.numa = { nodes: [0, 1] } | .vcpu = 2 | .nvswitches = ["0000:05:00.0"]
        | .gpus = ["0000:ab:00.0", "0000:2a:00.0", "0000:3b:00.0"]
        | .overrides = { hotplug_off: true, pci_hole64_size: "256G" }'
}

# The sample bundle, with firmware that puts PCIEXBAR where the default says.
use_new_firmware() {
    cp "$CVM_E2E_NEW_FIRMWARE" "$PLACE/images/cvm-debian-0.5.11/ovmf.fd"
    reseal "$PLACE/images/cvm-debian-0.5.11"
    write_host 'del(.qemu.pciexbar_base)'
}

write_host() { # [jq program that changes it]
    write_host_config '.gpu_stand_in = "\($place)/host" | .gpus = ["10de:2335"]
        | .nvswitches = ["10de:22a3"] | '"${1:-.}"
}

# On a busy host an emulated guest's clock sometimes stops: then once more.
await_booted() { # NAME
    BOOT_PATIENCE=$((BOOT_PATIENCE / 3)) await_said "$1" ready 1 && return
    cvm stop --force "$1"
    cvm start "$1"
    await_said "$1" ready 1
}

setup_file() {
    local file name
    make_place
    tree_node "$PLACE/host" 0 0 4 1024
    tree_node "$PLACE/host" 1 4 4 1024
    tree_device "$PLACE/host" 0000:18:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:2a:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:3b:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:99:00.0 10de:2335 1
    tree_device "$PLACE/host" 0000:ab:00.0 10de:2335 1
    tree_device "$PLACE/host" 0000:05:00.0 10de:22a3 0
    use_new_firmware
    for file in $(requests); do
        name=$(basename "$file" .json)
        cvm --json launch "$file" >"$PLACE/$name.answer"
    done
    for name in $(names); do
        await_booted "$name"
    done
}

teardown_file() {
    drop_place
}

# The digest of the tables of a guest's machine, after a jq program has changed it.
tables_of() { # NAME PROGRAM
    jq "$2" "$(directory_of "$1")/vm_config.json" >"$PLACE/machine.json"
    cvm --json acpi --machine "$PLACE/machine.json" | jq -r .tables.sha384
}

@test "each guest was given the ACPI files that were predicted" {
    for name in $(names); do
        assert_acpi_as_predicted "$name"
    done
}

@test "the tables follow from bus numbers, nodes and what is behind the ports" {
    local tables changed
    for name in $(names); do
        tables=$(predicted "$name" acpi_tables)
        assert_equal "$name: unchanged" "$tables" "$(tables_of "$name" .)"
        for change in 'del(.gpu_bars)' '.numa_nodes[1].pxb_bus = 10' \
            '.gpu_bars[1].size = 68719476736' \
            '.numa_nodes[0].memory_size += 1048576 | .numa_nodes[1].memory_size -= 1048576'; do
            changed=$(tables_of "$name" "$change")
            [[ $changed =~ ^[0-9a-f]{96}$ ]] || fail "$name: no tables with $change"
            [ "$tables" != "$changed" ] || fail "$name: same tables with $change"
        done
    done
}

@test "each expander's ports have the buses that were declared" {
    local function
    while read -r name functions; do
        for function in $functions; do
            echo "0000:$function"
        done | sed 's/=PORT/ 1b36:000c/; s/=GPU/ 1af4:1044/' >"$PLACE/expected"
        said "$name" pci | grep -v '^0000:00:' >"$PLACE/seen"
        diff "$PLACE/expected" "$PLACE/seen" || fail "$name: functions behind expanders"
    done < <(column 2)
}

assert_nodes() { # NAME [BUS GPUS] ...
    local name=$1
    shift
    jq -n --args '$ARGS.positional | map(tonumber) as $given | [range(0; $given | length; 2) | {
        cpu_count: 1, memory_size: 268435456, pxb_bus: $given[.], num_gpus: $given[. + 1] }]' "$@" \
        >"$PLACE/expected"
    jq .numa_nodes "$(directory_of "$name")/vm_config.json" >"$PLACE/declared"
    diff "$PLACE/expected" "$PLACE/declared" || fail "$name: nodes"
}

@test "nodes follow the GPUs, and share CPUs and memory" {
    assert_nodes pair 5 1 7 1
    assert_nodes mixed 5 2 8 1
    assert_equal 'order of nodes' '["0000:2a:00.0","0000:3b:00.0","0000:ab:00.0"]' \
        "$(jq -c .gpus "$PLACE/mixed.answer")"
    for name in $(names); do
        assert_equal "$name: cpus" 2 "$(said "$name" cpus)"
        assert_equal "$name: memory" 524288 "$(said "$name" memory)"
    done
}

# OVMF 2025.02 does not measure this file. A later layout says what would be measured.
@test "the firmware is told how many expanders there are" {
    for name in $(names); do
        jq 'del(.ovmf_variant) | .cpu_signature = 1 | .cpu_features_edx = 0' \
            "$(directory_of "$name")/vm_config.json" >"$PLACE/later.json"
        cvm --json measure --image "$PLACE/images/cvm-debian-0.5.11" --trust-declared \
            --vm-config "$PLACE/later.json" --ovmf-variant stable202505 \
            --page-add-order single-pass >"$PLACE/later"
        jq -r '.events[] | select(.name == "fwcfg_extra_pci_roots") | .digest' "$PLACE/later" \
            >"$PLACE/expected"
        assert_equal "$name" "$(cat "$PLACE/expected")" \
            "$(report "$name" | sed -n 's|^sha384 etc/extra-pci-roots ||p')"
    done
}

@test "firmware whose rules are not known is refused" {
    for name in $(names); do
        cvm remove --force "$name"
    done
    write_host
    run ! cvm launch "$PLACE/requests/pair.json"
    assert_says 'firmware from before 202302, whose windows behind expanders are not known'
    assert_nothing_left
}
