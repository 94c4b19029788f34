#!/usr/bin/env bats
# Machines held against a real emulator: equal where they must be, and what is said where they differ.
# CVM is the program, CVM_QEMU the emulator.
# shellcheck disable=SC2154,SC2317  # see lib.bash

load lib

# How many answers are as a jq program says.
count_answers() { # jq program
    jq -s "map(select($1)) | length" "$work/answers"
}

@test "40 machines that nobody listed have exactly the files that the emulator writes" {
    "$BATS_TEST_DIRNAME/machines.py" "$version" 40 >"$work/machines.json"
    [ "$(jq length "$work/machines.json")" -eq 40 ]
    "$CVM" acpi --machines "$work/machines.json" --against "$CVM_QEMU" >"$work/answers"
    [ "$(wc -l <"$work/answers")" -eq 40 ]
    [ "$(count_answers '.equal and .tables.equal and .rsdp.equal and .loader.equal')" -eq 40 ]
    [ "$(count_answers '.smbios.state == "equal" and .smbios.size > 200')" -eq 40 ]
    [ "$(count_answers '.bootmenu.state == "equal" and .bootorder.state == "equal"')" -eq 40 ]
    for item in extra_pci_roots boot_menu_wait pci_mmio64_mb; do
        [ "$(count_answers ".$item.state == \"equal\"")" -ge 5 ]
        [ "$(count_answers ".$item.state == \"absent\"")" -ge 5 ]
    done
    [ "$(count_answers '.reserved_memory_end.state == "not_compared"')" -ge 3 ]
    [ "$(jq -rs '.[].name' "$work/answers" | sort -u | wc -l)" -eq 40 ]
    assert_nothing_left
}

@test "the machines are of every kind" {
    "$BATS_TEST_DIRNAME/machines.py" "$version" 40 >"$work/machines.json"
    for kind in '.swtpm' '.numa_nodes' '.hotplug_off' '.pic' '.smm' '.num_gpus > 0' \
        '.num_nvswitches > 0' '.pci_hole64_size > 0' '.cpu_count == 255' \
        'any(.numa_nodes[]?; .num_gpus == 32)' '.swtpm and (.numa_nodes | length > 0)' \
        '.smbios | length > 3' '.cpu_signature' '.boot_menu_wait' '.pci_mmio64_mb' \
        '[.smbios[]?] | any(contains(","))'; do
        count=$(jq "map(.machine | select($kind)) | length" "$work/machines.json")
        [ "$count" -ge 1 ] || { echo "no machine is: $kind" && return 1; }
    done
}

@test "a TPM shows, and none of its processes or files is left" {
    machine '{ swtpm: true }'
    run -0 against "$CVM_QEMU" --json
    [ "$(jq -r '.tables.list[] | select(.state == "equal").signature' <<<"$output" | grep -c TPM2)" -eq 1 ]
    assert_nothing_left
}

@test "more CPUs than an APIC ID of eight bits can number" {
    [ -w /dev/kvm ] || skip 'this version needs KVM for more than 255 CPUs'
    machine '{ cpu_count: 288 }'
    run -0 against "$CVM_QEMU"
    assert_nothing_left
}

@test "a machine of a TDX tree is compared without the edges that only a TD has" {
    machine '{ interrupt_trigger: "edge" }'
    run against "$CVM_QEMU"
    # Nobody ever made a TDX tree of 7.2; of newer versions the comparison is made and says so.
    if [ "$status" -eq 4 ]; then
        grep -q 'with edge-triggered interrupts: the oldest known version is 8.0.0' <<<"$output"
    else
        grep -q '^interrupts are compared as level triggered' <<<"$output"
    fi
}

@test "a difference is shown as disassembly, with the loader command that differs" {
    machine '{}'
    another_emulator -device pvpanic
    run -1 against "$work/emulator"
    grep -q '^  DSDT differs at offset 0x4 ' <<<"$output"
    grep -q '^+++ DSDT of the emulator$' <<<"$output"
    grep -q '^+ *Device (PEVT)$' <<<"$output"
    grep -q '^  RSDT differs at ' <<<"$output"
    grep -q '^    ours   add_checksum etc/acpi/tables' <<<"$output"
    grep -q "writes other files than were generated" <<<"$output"
    ! grep -q 'APIC differs' <<<"$output" || return 1
    assert_nothing_left
}

@test "a long difference is cut" {
    machine '{}'
    another_emulator -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off
    run -1 against "$work/emulator"
    grep -qE '^\.\.\. [0-9]+ more lines$' <<<"$output"
    [ "${#lines[@]}" -lt 600 ]
}

@test "without iasl a difference is shown as bytes" {
    machine '{}'
    another_emulator -device pvpanic
    PATH=/nowhere run -1 against "$work/emulator"
    grep -qE '^    0x[0-9a-f]{6} theirs( [0-9a-f]{2}){16}' <<<"$output"
    grep -q '^    behind the header, at 0x' <<<"$output"
    ! grep -q '^+++' <<<"$output" || return 1
}

@test "SMBIOS that differs is told by structure, with the tables equal" {
    machine '{ smbios: { product: "a,b" } }'
    another_emulator -smbios type=3,serial=another
    run -1 against "$work/emulator"
    grep -q '^tables  *equal, ' <<<"$output"
    grep -qE '^smbios  *differs at offset 0x[0-9a-f]+ ' <<<"$output"
    grep -q '^  structure of type 3, handle 0x300, differs at its offset 0x7$' <<<"$output"
    grep -qE '^    0x[0-9a-f]{6} theirs( [0-9a-f]{2}){16}' <<<"$output"
    run -1 --separate-stderr against "$work/emulator" --json
    jq -e '(.equal | not) and .tables.equal and .smbios.state == "differs" and
        .smbios.structure == { type: 3, handle: 768, offset: 7 } and
        .smbios.first_difference > 7 and .bootorder.equal' <<<"$output"
    assert_nothing_left
}

@test "SMBIOS is compared with the CPU that the emulator has" {
    machine '{ cpu_signature: 1, cpu_features_edx: 2 }'
    run -0 against "$CVM_QEMU"
    grep -qE '^smbios is compared with the CPU that the emulator has, cpu_signature 0x[0-9a-f]{8} ' \
        <<<"$output"
    run -0 --separate-stderr against "$CVM_QEMU" --json
    jq -e '.smbios.cpu_signature > 2 and .smbios.cpu_features_edx > 2' <<<"$output"
    machine '{}'
    run -0 against "$CVM_QEMU"
    ! grep -q '^smbios is compared with' <<<"$output" || return 1
}

@test "files that the emulator alone has, or has with other bytes" {
    machine '{}'
    another_emulator -boot menu=on,splash-time=5 \
        -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=9
    run -1 --separate-stderr against "$work/emulator" --json
    jq -e '.bootmenu.state == "differs" and .bootmenu.first_difference == 0 and
        .boot_menu_wait.state == "missing" and .boot_menu_wait.size_of_emulator == 2 and
        .pci_mmio64_mb.state == "missing" and .smbios.equal and .tables.equal' <<<"$output"
    another_emulator -boot strict=on
    run -1 against "$work/emulator"
    grep -q '^bootorder  *differs at offset 0x1e (31 bytes here, 36 from the emulator)$' <<<"$output"
    assert_nothing_left
}

@test "an end of memory for hot-plug is not compared, and the emulator has none" {
    machine '{ reserved_memory_end: 5368709120 }'
    run -0 against "$CVM_QEMU"
    grep -q '^reserved_memory_end not compared, 8 bytes$' <<<"$output"
    run -0 --separate-stderr against "$CVM_QEMU" --json
    jq -e '.equal and .reserved_memory_end.equal == null' <<<"$output"
}

@test "tables that only one side has, in JSON" {
    machine '{}'
    another_emulator -machine hpet=on
    run -1 --separate-stderr against "$work/emulator" --json
    [ "$(jq -r '.tables.list[] | select(.state == "missing") | .signature' <<<"$output")" = HPET ]
    [ "$(jq -r '.tables.list[] | select(.state == "missing") | .size' <<<"$output")" = null ]
    [ "$(jq -r '.tables.list[] | select(.state == "missing") | .size_of_emulator' <<<"$output")" -gt 36 ]
    [ "$(jq -r .loader.commands_of_emulator <<<"$output")" -gt "$(jq -r .loader.commands <<<"$output")" ]
    jq -e '.equal == false and .loader.text != .loader.text_of_emulator' <<<"$output"
}

@test "one machine of a list that differs is told among those that do not" {
    jq -n --arg version "$version" '[2, 3] | map({ name: "\(.) CPUs",
        machine: { cpu_count: ., memory_size: "2G", qemu_version: $version } })' >"$work/list.json"
    another_emulator -device pvpanic
    sed -i 's/^\*-qmp\*)/*cores=3,*)/' "$work/emulator"
    run -1 --separate-stderr "$CVM" acpi --machines "$work/list.json" --against "$work/emulator"
    [ "$(jq -rs 'map([.name, .equal]) | map(@csv) | .[]' <<<"$output")" = '"2 CPUs",true
"3 CPUs",false' ]
}

@test "another version is refused, and so is what is no emulator" {
    machine '{ qemu_version: "10.0.0" }'
    run -2 against "$CVM_QEMU"
    grep -q 'the machine has QEMU 10.0.0, emulator ' <<<"$output"
    machine '{}'
    run -5 against /bin/false
    grep -q "emulator '/bin/false': --version: ended with status" <<<"$output"
    run -5 against /nowhere
    grep -q "run '/nowhere': No such file" <<<"$output"
}

@test "an emulator that does not start says why" {
    machine '{}'
    another_emulator -device no-such-device
    run -5 against "$work/emulator"
    grep -q "the emulator ended: .*'no-such-device' is not a valid device model name" <<<"$output"
    machine '{ swtpm: true }'
    run -5 against "$work/emulator"
    assert_nothing_left
}
