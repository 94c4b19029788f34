#!/usr/bin/env bats
# What the emulator refuses is refused before anything is built, in a sentence that names field, value
# and limit; and what is just within the limit is taken by both.
# shellcheck disable=SC2154  # see lib.bash

load lib

# Whether the emulator makes a machine of these options.
emulator_takes() { # option ...
    timeout 60 "$CVM_QEMU" -S -nodefaults -no-user-config -display none -qmp stdio \
        -machine q35 "$@" <<<'{"execute":"qmp_capabilities"}{"execute":"quit"}' \
        >"$work/answer" 2>"$work/complaint"
}

assert_both_take() { # jq object, option ...
    machine "$1"
    emulator_takes "${@:2}" || { cat "$work/complaint" && return 1; }
    run -0 "$CVM" acpi --machine "$work/machine.json"
}

# The emulator's complaint has to be about that very thing, not about the command line.
assert_both_refuse() { # jq object, sentence, complaint, option ...
    machine "$1"
    ! emulator_takes "${@:4}" || return 1
    grep -qF -- "$3" "$work/complaint" || { cat "$work/complaint" && return 1; }
    run "$CVM" acpi --machine "$work/machine.json"
    [ "$status" -eq 3 ] || [ "$status" -eq 4 ]
    grep -qF -- "$2" <<<"$output" || { echo "$output" && return 1; }
}

nodes() { # one jq object per node
    local IFS=,
    echo "{ cpu_count: $#, memory_size: \"$#G\", hugepages: true, num_gpus: 99, numa_nodes: [ $* ] }"
}

node='{ cpu_count: 1, memory_size: "1G", pxb_bus: null, num_gpus: 0 }'

# Options of as many nodes.
node_options() { # count
    local i
    echo "-smp $1 -m $1G"
    for ((i = 0; i < $1; i++)); do
        echo "-object memory-backend-ram,id=r$i,size=1G,reserve=off -numa node,nodeid=$i,memdev=r$i,cpus=$i"
    done
}

@test "CPUs" {
    machine '{ cpu_count: 99999 }'
    run -4 "$CVM" acpi --machine "$work/machine.json"
    most=$(sed -n 's/.*at most \([0-9]*\) on QEMU.*/\1/p' <<<"$output")
    [ "$most" -ge 288 ]
    assert_both_refuse "{ cpu_count: $((most + 1)) }" \
        "cpu_count $((most + 1)), at most $most on QEMU $version" \
        "The max CPUs supported by machine" -accel tcg -smp $((most + 1))
    machine "{ cpu_count: $most }"
    run -0 "$CVM" acpi --machine "$work/machine.json"
    # At the limit the emulator may complain of its accelerator or CPU model, not of the number.
    emulator_takes -accel tcg -smp "$most" || ! grep -q 'max CPUs supported' "$work/complaint"
}

@test "memory that is no whole number of MiB, or none" {
    machine '{ memory_size: 0 }'
    run -3 "$CVM" acpi --machine "$work/machine.json"
    grep -q 'memory_size' <<<"$output"
    machine '{ memory_size: 1048577 }'
    run -3 "$CVM" acpi --machine "$work/machine.json"
    grep -q 'memory_size 1048577 is not a positive multiple of 1 MiB' <<<"$output"
}

@test "slots of the root bus" {
    local i options=()
    for ((i = 1; i <= 30; i++)); do
        options+=(-device "virtio-rng-pci,addr=0x$(printf %x "$i")")
    done
    assert_both_take '{ num_nics: 26 }' -accel tcg "${options[@]}"
    assert_both_refuse '{ num_nics: 27 }' '31 devices and 0 expanders on the root bus, which has 30 slots' \
        'slot 31 function 0 not available' -accel tcg "${options[@]}" -device virtio-rng-pci,addr=0x1f
}

@test "slots behind an expander" {
    local i options=(-accel tcg -device 'pxb-pcie,id=x,bus=pcie.0,addr=0x10,bus_nr=5')
    for ((i = 0; i < 32; i++)); do
        options+=(-device "pcie-root-port,bus=x,addr=0x$(printf %x "$i"),chassis=$((i + 1))")
    done
    node() { jq -nc --argjson n "$1" '{ cpu_count: 2, memory_size: "2G", pxb_bus: 5, num_gpus: $n }'; }
    assert_both_take "{ hugepages: true, num_gpus: 32, numa_nodes: [ $(node 32) ] }" "${options[@]}"
    assert_both_refuse "{ hugepages: true, num_gpus: 33, numa_nodes: [ $(node 33) ] }" \
        "node 0: num_gpus 33, but an expander's bus has 32 slots" \
        "doesn't take value '0x20'" "${options[@]}" \
        -device pcie-root-port,bus=x,addr=0x20,chassis=33
}

@test "bus numbers of expanders" {
    two() { # bus bus
        nodes "$(jq -c ".pxb_bus = $1" <<<'{"cpu_count":1,"memory_size":"1G","num_gpus":0}')" \
            "$(jq -c ".pxb_bus = $2" <<<'{"cpu_count":1,"memory_size":"1G","num_gpus":0}')" |
            sed 's/num_gpus: 99/num_gpus: 0/'
    }
    options=(-accel tcg -device 'pxb-pcie,id=x,bus=pcie.0,addr=0x10,bus_nr=5')
    assert_both_take "$(two 5 6)" "${options[@]}" -device pxb-pcie,id=y,bus=pcie.0,addr=0x11,bus_nr=6
    assert_both_refuse "$(two 5 5)" 'node 1: an expander on bus 5 with 0 ports; buses up to 5 are taken' \
        'Bus 5 is already in use' "${options[@]}" -device pxb-pcie,id=y,bus=pcie.0,addr=0x11,bus_nr=5
    assert_both_take "$(two 5 255)" "${options[@]}" \
        -device pxb-pcie,id=y,bus=pcie.0,addr=0x11,bus_nr=255
    assert_both_refuse "$(two 5 256)" '256' "expects uint8_t" "${options[@]}" \
        -device pxb-pcie,id=y,bus=pcie.0,addr=0x11,bus_nr=256
}

@test "memory and CPUs of NUMA nodes" {
    # shellcheck disable=SC2046  # words
    assert_both_take "$(nodes "$node" "$node" | sed 's/num_gpus: 99/num_gpus: 0/')" -accel tcg \
        $(node_options 2)
    # shellcheck disable=SC2046  # words
    assert_both_refuse '{ cpu_count: 2, memory_size: "3G", hugepages: true, num_gpus: 0,
        numa_nodes: [ '"$node, $node"' ] }' \
        'the NUMA nodes have 2 CPUs and 2147483648 bytes of memory, the machine 2 and 3221225472' \
        'total memory for NUMA nodes (0x80000000) should equal RAM size (0xc0000000)' -accel tcg \
        $(node_options 2) -m 3G
}

@test "an expander of a node that does not exist" {
    machine '{ num_gpus: 1, hugepages: false, numa_nodes: [] }'
    run -0 "$CVM" acpi --machine "$work/machine.json"
    ! emulator_takes -accel tcg -device pxb-pcie,id=x,bus=pcie.0,addr=0x10,bus_nr=5,numa_node=0 ||
        return 1
    grep -q 'Illegal numa node 0' "$work/complaint"
    # Here an expander is a property of a node, so there is no way to say it.
    machine '{ pxb_bus: 5 }'
    run -3 "$CVM" acpi --machine "$work/machine.json"
    grep -q "unknown key 'pxb_bus'" <<<"$output"
}

@test "ports of the root bus that reach an expander's bus: taken by the emulator, not by firmware" {
    machine '{ cpu_count: 1, memory_size: "1G", hugepages: true, num_gpus: 5, num_nvswitches: 0,
        numa_nodes: [ { cpu_count: 1, memory_size: "1G", pxb_bus: 5, num_gpus: 0 } ] }'
    run -3 "$CVM" acpi --machine "$work/machine.json"
    grep -qF 'node 0: an expander on bus 5 with 0 ports; buses up to 5 are taken, and 255 is the last' \
        <<<"$output"
    jq '.num_gpus = 4' "$work/machine.json" >"$work/fewer.json"
    run -0 "$CVM" acpi --machine "$work/fewer.json"
}
