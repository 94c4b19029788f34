#!/usr/bin/env bats
# Guests with root ports and with NUMA nodes. There are no GPUs here: the host is a made-up one,
# and a virtio-rng sits behind each port (gpu_stand_in in docs/host-config.md). What the guests
# were given, as they say themselves, is what was predicted.

# shellcheck disable=SC2016,SC2034  # jq programs; GUESTS is for lib
load lib
load ../support/host_tree

# name | vCPUs | KiB of memory | PCI functions after the share's, as the guest is to see them
GUESTS='
cold|1|524288|0000:01:00.0=1044 0000:02:00.0=1044
hot|1|524288|0000:01:00.0=1044 0000:02:00.0=1044
mixed|1|524288|0000:01:00.0=1044 0000:02:00.0=1044 0000:03:00.0=1044
nodes|4|526336|
'

requests() {
    # Debian 12's firmware reserves 32 GiB of the 64-bit window for each port: one guest has a
    # window that is too small for that.
    request hot '.gpus = { device: "10de:2335", count: 2 }'
    request cold '.gpus = { device: "10de:2335", count: 2 }
        | .overrides = { hotplug_off: true, pci_hole64_size: "128G" }'
    request mixed '.gpus = ["0000:18:00.0", "0000:99:00.0"] | .nvswitches = ["05:00.0"]
        | .overrides = { pci_hole64_size: "128G" }'
    # Numbers that two nodes cannot share equally.
    request nodes '.numa = { nodes: [0, 1], pin_cpus: true } | .vcpu = 3 | .memory = "513M"'
}

setup_file() {
    local file name
    make_place
    tree_node "$PLACE/host" 0 0 4 0
    tree_node "$PLACE/host" 1 4 4 0
    tree_device "$PLACE/host" 0000:18:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:2a:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:3b:00.0 10de:2335 0
    tree_device "$PLACE/host" 0000:99:00.0 10de:2335 1
    tree_device "$PLACE/host" 0000:ab:00.0 10de:2335 1
    tree_device "$PLACE/host" 0000:ba:00.0 10de:2335 1
    tree_device "$PLACE/host" 0000:05:00.0 10de:22a3 0
    write_host_config '.gpu_stand_in = "\($place)/host" | .gpus = ["10de:2335"]
        | .nvswitches = ["10de:22a3"]'
    # Explicit addresses are there for whoever comes first.
    for name in mixed cold hot nodes; do
        file=$(requests | grep "/$name.json")
        cvm --json launch "$file" >"$PLACE/$name.answer"
    done
    for name in $(names); do
        await_said "$name" ready 1
    done
}

teardown_file() {
    drop_place
}

@test "each guest was given the ACPI files that were predicted" {
    for name in $(names); do
        assert_acpi_as_predicted "$name"
    done
}

@test "hot-plug, ports and nodes all show in the tables" {
    for name in $(names); do
        predicted "$name" acpi_tables
    done >"$PLACE/tables"
    assert_equal 'different tables' "$(names | wc -l)" "$(sort -u "$PLACE/tables" | wc -l)"
}

@test "a window that is too small is a warning, and declared BARs make up for it" {
    jq -e '.expected.warnings | map(select(contains("firmware opens 64 GiB of windows"))) | length == 1' \
        "$PLACE/hot.answer"
    for name in cold mixed nodes; do
        jq -e '.expected.warnings | map(select(contains("of windows"))) | length == 0' \
            "$PLACE/$name.answer"
    done
    assert_equal 'gpu_bars' '[{"size":4096,"kind":"mem32"},{"size":16384,"kind":"mem64"}]' \
        "$(jq -c .gpu_bars "$(directory_of hot)/vm_config.json")"
}

@test "what is behind the ports is what was asked for" {
    while read -r name functions; do
        # shellcheck disable=SC2086  # words
        printf '%s\n' $functions >"$PLACE/expected"
        said "$name" pci | grep -v '^0000:00:' | sed 's/ 1af4:/=/' >"$PLACE/seen" || true
        [ -n "$functions" ] || : >"$PLACE/expected"
        diff "$PLACE/expected" "$PLACE/seen" || fail "$name: functions behind ports"
    done < <(column 4)
}

@test "CPUs and memory are rounded, and declared as they are" {
    while read -r name cpus; do
        assert_equal "$name: cpus" "$cpus" "$(said "$name" cpus)"
        assert_equal "$name: cpu_count" "$cpus" \
            "$(jq .cpu_count "$(directory_of "$name")/vm_config.json")"
    done < <(column 2)
    while read -r name kib; do
        assert_equal "$name: memory" "$kib" "$(said "$name" memory)"
        assert_equal "$name: memory_size" "$((kib * 1024))" \
            "$(jq .memory_size "$(directory_of "$name")/vm_config.json")"
    done < <(column 3)
    jq -e '.expected.warnings | map(select(contains("rounded"))) | length == 2' \
        "$PLACE/nodes.answer"
}

@test "no device and no CPU is given twice" {
    for name in $(names); do
        jq -r '.resources // {} | .gpus[]?, .nvswitches[]?' "$(directory_of "$name")/vm.json"
    done >"$PLACE/held"
    assert_equal devices 7 "$(sort -u "$PLACE/held" | wc -l)"
    assert_equal 'held twice' '' "$(sort "$PLACE/held" | uniq -d)"
    assert_equal 'of one node' '["0000:2a:00.0","0000:3b:00.0"]' \
        "$(jq -c .gpus "$PLACE/cold.answer")"
    assert_equal cpus 0-1,4-5 "$(jq -r .resources.cpus "$(directory_of nodes)/vm.json")"
    run ! cvm launch "$(request more '.gpus = { device: "10de:2335", count: 1 }')"
    assert_says '1 of GPU 10de:2335 are wanted, and 0 are free'
    run ! cvm launch "$(request same '.nvswitches = ["0000:05:00.0"]')"
    assert_says "NVSwitch 0000:05:00.0 is held by guest 'mixed', until that is removed"
}

@test "two launches at once do not get the same GPU, and both get one" {
    cvm remove --force cold
    local one='.gpus = { device: "10de:2335", count: 1 }'
    cvm --json launch "$(request left "$one")" >"$PLACE/left.answer" &
    local left=$!
    cvm --json launch "$(request right "$one")" >"$PLACE/right.answer"
    wait $left
    assert_equal gpus '0000:2a:00.0 0000:3b:00.0' \
        "$(jq -r '.gpus[]' "$PLACE/left.answer" "$PLACE/right.answer" | sort | tr '\n' ' ' |
            sed 's/ $//')"
    cvm remove --force left
    cvm remove --force right
}

@test "removing a guest gives back what it held" {
    cvm remove --force mixed
    cvm --json launch --dry-run "$(request next '.gpus = { device: "10de:2335", count: 1 }
        | .nvswitches = { device: "10de:22a3", count: 1 }
        | .overrides = { pci_hole64_size: "128G" }')" >"$PLACE/next.answer"
    # Node 1 has one free GPU, node 0 three: whole groups are kept.
    assert_equal gpus '["0000:99:00.0"]' "$(jq -c .gpus "$PLACE/next.answer")"
    assert_equal nvswitches '["0000:05:00.0"]' "$(jq -c .nvswitches "$PLACE/next.answer")"
    for name in hot nodes; do
        cvm remove --force "$name"
    done
    assert_nothing_left
}

# --- what this host really has ---

@test "memory of a node of this host, and vCPUs pinned to its CPUs" {
    [ -e /sys/devices/system/node/node0/cpulist ] || skip 'a kernel without NUMA'
    write_host_config
    cvm launch "$(request bound '.numa = { nodes: [0], pin_cpus: true }
        | .user_config = "\($place)/wait"')"
    await_said bound ready 1
    assert_acpi_as_predicted bound
    cpus=$(jq -r .resources.cpus "$(directory_of bound)/vm.json")
    assert_equal pinned "0 $cpus" "$(on_root vcpupin bound | awk '/^ *0/ { print $1, $2 }')"
    run ! cvm launch "$(request more '.numa = { nodes: [0], pin_cpus: true } | .vcpu = 4096')"
    assert_says '4096 vCPUs are to be pinned to NUMA node 0 of the host, which has'
    cvm stop --force bound
    cvm start bound
    cvm remove --force bound
}

@test "huge pages of this host" {
    local pages=/sys/kernel/mm/hugepages/hugepages-2048kB
    write_host_config
    run ! cvm launch "$(request vast '.hugepages = true | .memory = "16T"')"
    assert_says 'free huge pages of 2048 KiB, and the guest needs 8388608; write a larger number'
    grep -q ' hugetlbfs ' /proc/mounts || skip 'no hugetlbfs is mounted'
    [ "$(cat "$pages/free_hugepages" 2>/dev/null || echo 0)" -ge 256 ] ||
        skip 'less than 256 free huge pages of 2 MiB'
    cvm launch "$(request huge '.hugepages = true')"
    await_said huge ready 1
    assert_acpi_as_predicted huge
    cvm remove --force huge
}
