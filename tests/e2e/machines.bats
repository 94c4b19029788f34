#!/usr/bin/env bats
# Machines that differ in everything a request can say, all booted at once: what each
# guest was given, as it says itself, is what was predicted and declared.

# shellcheck disable=SC2016,SC2034  # jq programs; GUESTS is for lib
load lib

# name vcpu | KiB of memory | NICs | PCI IDs in slots 1.. | disks, as the guest is to see them
# VSOCK is the vsock device or, on a host without vhost-vsock, what stands in its place.
GUESTS='
small|1|524288|0|1001 1001 VSOCK 1009|vda=1048576,ro vdb=67108864,rw
plain|2|2097152|1|1001 1001 1000 VSOCK 1009|vda=1048576,ro vdb=1073741824,rw
volumes|4|2883584|2|1001 1001 1001 1001 1000 1000 VSOCK 1009|vda=1048576,ro vdb=67108864,rw vdc=2097152,ro vdd=3145728,ro
diskless|1|3145728|1|1001 1000 VSOCK 1009|vda=67108864,rw
large|3|4194304|1|1001 1001 1000 VSOCK 1009|vda=1048576,ro vdb=3221225472,rw
'

requests() {
    truncate -s 2M "$PLACE/volume-1"
    truncate -s 3M "$PLACE/volume-2"
    request small '.networks = [] | .memory = "512M"'
    request plain '.vcpu = 2 | .memory = "2G" | .disk_size = "1G"'
    request volumes '.vcpu = 4 | .memory = "2816M" | .overrides = { hotplug_off: true }
        | .networks = [{ mode: "user" }, { mode: "user", mac: "52:54:00:12:34:56" }]
        | .volumes = [{ path: "\($place)/volume-1" }, { path: "\($place)/volume-2" }]'
    request diskless '.image = "cvm-debian-diskless" | .memory = "3G" | .overrides = { pic: true }'
    request large '.vcpu = 3 | .memory = "4G" | .disk_size = "3G"
        | .overrides = { pci_hole64_size: "64G" }'
}

setup_file() {
    local file name
    make_place
    for file in $(requests); do
        name=$(basename "$file" .json)
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

@test "the machines differ: no two were given the same tables" {
    for name in $(names); do
        predicted "$name" acpi_tables
    done >"$PLACE/tables"
    assert_equal 'different tables' "$(names | wc -l)" "$(sort -u "$PLACE/tables" | wc -l)"
}

@test "each guest has the CPUs that were asked for" {
    while read -r name value; do
        assert_equal "$name: cpus" "$value" "$(said "$name" cpus)"
    done < <(column 2)
}

@test "each guest has the memory that was asked for" {
    while read -r name value; do
        assert_equal "$name: memory" "$value" "$(said "$name" memory)"
    done < <(column 3)
}

@test "each guest has the NICs that were asked for" {
    while read -r name value; do
        assert_equal "$name: nics" "$value" "$(said "$name" nics)"
    done < <(column 4)
}

@test "each guest's devices are in the slots of the machine" {
    while read -r name ids; do
        assert_slots "$name" "$ids"
    done < <(column 5)
}

@test "each guest has the disks that were asked for, read-only where they must be" {
    while read -r name value; do
        assert_equal "$name: disks" "$value" "$(said "$name" disks)"
    done < <(column 6)
}

@test "each guest reads the files that the host wrote for it" {
    for name in $(names); do
        assert_share_equal "$name"
        grep -q app-compose.json <<<"$(said "$name" share)"
        grep -q .sys-config.json <<<"$(said "$name" share)"
    done
    assert_equal 'share of plain' 9p "$(said plain share | head -n 1)"
}

@test "no guest had trouble with what it was given" {
    for name in $(names); do
        ! report "$name" | grep '^error' || fail "$name: see above"
    done
}

@test ".sys-config.json carries the declaration, which carries the image's identity" {
    for name in $(names); do
        directory=$(directory_of "$name")
        jq -j .vm_config "$directory/shared/.sys-config.json" >"$PLACE/carried"
        cmp "$PLACE/carried" "$directory/vm_config.json"
        image=$PLACE/images/$(jq -r .image "$directory/request.json")
        assert_equal "$name: os_image_hash" \
            "$(sha256sum <"$image/sha256sum.txt" | cut -d ' ' -f 1)" \
            "$(jq -r .os_image_hash "$PLACE/carried")"
        assert_equal "$name: digest.txt" "$(cat "$image/digest.txt")" \
            "$(jq -r .os_image_hash "$PLACE/carried")"
    done
}

@test "the declaration says what the guest has" {
    while read -r name cpus; do
        assert_equal "$name: cpu_count" "$cpus" \
            "$(jq .cpu_count "$(directory_of "$name")/vm_config.json")"
    done < <(column 2)
    while read -r name kib; do
        assert_equal "$name: memory_size" "$((kib * 1024))" \
            "$(jq .memory_size "$(directory_of "$name")/vm_config.json")"
    done < <(column 3)
    emulator=$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    for name in $(names); do
        assert_equal "$name: qemu_version" "$emulator" \
            "$(jq -r .qemu_version "$(directory_of "$name")/vm_config.json")"
    done
}

@test "the emulator itself wrote what was predicted, for each machine" {
    for name in $(names); do
        assert_equal "$name: warnings of the check" 0 \
            "$(jq '[.expected.warnings[] | select(test("emulator"))] | length' "$PLACE/$name.answer")"
    done
    entries=$(find "$PLACE/state/cache/acpi" -name '*.json' ! -name 'emulator-*' | wc -l)
    # The first launch makes the state directory, so its answer is not kept.
    [ "$entries" -ge $(($(names | wc -l) - 1)) ] || fail "$entries answers are kept"
}

@test "vm-config prints what launch declared" {
    for name in $(names); do
        cvm vm-config "$PLACE/requests/$name.json" 2>/dev/null | jq -S . >"$PLACE/printed"
        diff <(jq -S . "$(directory_of "$name")/vm_config.json") "$PLACE/printed" || fail "$name"
    done
}

@test "measure finds in image and declaration what launch expected" {
    for name in $(names); do
        directory=$(directory_of "$name")
        cvm --json measure --image "$(jq -r .image "$directory/request.json")" \
            --vm-config "$directory/vm_config.json" --page-add-order single-pass --trust-declared \
            2>/dev/null |
            jq -S '{mrtd, rtmr0, rtmr1, rtmr2, events}' >"$PLACE/measured"
        diff <(jq -S '{mrtd, rtmr0, rtmr1, rtmr2, events}' "$directory/expected.json") \
            "$PLACE/measured" || fail "$name"
    done
}

@test "launch answered with the expectation that it wrote" {
    for name in $(names); do
        diff <(jq -S .expected "$PLACE/$name.answer") \
            <(jq -S . "$(directory_of "$name")/expected.json") || fail "$name"
    done
}

@test "guests that powered off are seen as off, and are still listed" {
    for name in $(names); do
        await_off "$name"
    done
    assert_equal 'guests off' "$(names | sort | tr '\n' ' ')" \
        "$(cvm --json list | jq -r '.guests[] | select(.state == "off") | .name' | tr '\n' ' ')"
}

@test "remove leaves nothing behind" {
    for name in $(names); do
        run -0 --separate-stderr cvm --json remove "$name"
    done
    assert_nothing_left
}
