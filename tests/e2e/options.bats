#!/usr/bin/env bats
# What a request can ask for beside CPUs, memory and plain devices: a share that is a disk, by
# either way, a TPM, SMBIOS strings, a bridge. Each guest's own digests equal the prediction.

# shellcheck disable=SC2016  # jq programs
load lib

# All files that a share can have.
FULL='.user_config = "\($place)/user" | .encrypted_env = "\($place)/env"
    | .app_id = "00112233445566778899aabbccddeeff00112233"'
STRINGS='{ manufacturer: "Example, Inc.", product: "cvm \"two\"", version: " 1.0 <&>", serial: "7",
    sku: "sku=1", family: "family" }'

setup_file() {
    local file
    make_place
    : >"$PLACE/raw.pids"
    head -c 70000 /dev/urandom >"$PLACE/user"
    printf 'secret' >"$PLACE/env"
    truncate -s 2M "$PLACE/volume"
    request image "$FULL | .overrides = { host_share_mode: \"vhd\" }
        | .volumes = [{ path: \"\(\$place)/volume\" }]" >/dev/null
    request vvfat "$FULL | .overrides = { host_share_mode: \"vvfat\", hotplug_off: true }
        | .networks = []" >/dev/null
    request tpm ".swtpm = true | .vcpu = 2 | .smbios = $STRINGS
        | .networks = [{ mode: \"user\" }, { mode: \"user\" }]" >/dev/null
    for file in image vvfat tpm; do
        cvm --json launch "$PLACE/requests/$file.json" >"$PLACE/$file.answer"
    done
    raw_qemu image
    raw_qemu tpm -smbios 'type=1,manufacturer=Example,, Inc.,product=cvm "two",version= 1.0 <&>,serial=7,sku=sku=1,family=family'
    for file in image vvfat tpm; do
        await_said "$file" ready 1
    done
}

teardown_file() {
    [ -z "${PLACE:-}" ] || end_raw_qemus
    drop_place
}

# QEMU without libvirt, with what shows in SMBIOS as the guest has it; it says the same lines.
raw_qemu() { # NAME [QEMU option ...]
    local xml bundle
    xml=$(directory_of "$1")/domain.xml
    bundle=$PLACE/images/cvm-debian-0.5.11
    qemu-system-x86_64 -machine q35,smm=off -accel tcg -cpu max,phys-bits=46 \
        -m "$(jq -r .memory "$PLACE/requests/$1.json")" \
        -smp "$(jq .vcpu "$PLACE/requests/$1.json"),sockets=1,dies=1,cores=$(jq .vcpu "$PLACE/requests/$1.json"),threads=1" \
        -uuid "$(sed -n 's|.*<uuid>\(.*\)</uuid>.*|\1|p' "$xml")" -nodefaults -display none \
        -bios "$bundle/ovmf.fd" -kernel "$bundle/bzImage" -initrd "$bundle/initramfs.cpio.gz" \
        -append "$(jq -r .cmdline "$bundle/metadata.json")" -no-reboot \
        -serial "file:$PLACE/$1.raw" "${@:2}" </dev/null >/dev/null 2>&1 3>&- &
    echo $! >>"$PLACE/raw.pids"
}

end_raw_qemus() {
    local pid
    while read -r pid; do
        kill "$pid" 2>/dev/null || true
    done <"$PLACE/raw.pids"
}

raw_digest() { # NAME FILE
    local deadline=$((SECONDS + BOOT_PATIENCE))
    until grep -q '^cvm-guest: ready' "$PLACE/$1.raw"; do
        [ $SECONDS -lt $deadline ] || fail "QEMU $1 did not boot" || return 1
        sleep 0.5
    done
    tr -d '\r' <"$PLACE/$1.raw" | sed -n "s|^cvm-guest: sha384 $2 ||p"
}

guest_digest() { # NAME FILE
    report "$1" | sed -n "s|^sha384 $2 ||p"
}

tpm_state() { # NAME
    echo "$PLACE/root/lib/swtpm/$(jq -r .uuid "$(directory_of "$1")/vm.json")"
}

@test "each guest was given the ACPI files that were predicted" {
    for name in image vvfat tpm; do
        assert_acpi_as_predicted "$name"
    done
}

@test "a share that is a disk is in the share's slot, and holds the host's files" {
    for name in image vvfat; do
        assert_equal "$name: share" disk "$(said "$name" share | head -n 1)"
        assert_share_equal "$name"
        assert_equal "$name: files" 5 "$(said "$name" share | grep -c '^sha384 ')"
    done
    assert_equal 'image: disks' 'vda=1048576,ro vdb=67108864,rw vdc=2097152,ro vdd=3145728,ro' \
        "$(said image disks)"
    assert_equal 'vvfat: last disk' ro "$(said vvfat disks | sed 's/.*,//')"
}

@test "nothing else landed on the root bus" {
    assert_slots image '1001 1001 1001 1000 VSOCK 1001'
    assert_slots vvfat '1001 1001 VSOCK 1001'
    assert_slots tpm '1001 1001 1000 1000 VSOCK 1009'
}

@test "the declaration says how the share is attached" {
    assert_equal image vhd "$(jq -r .host_share_mode "$(directory_of image)/vm_config.json")"
    assert_equal vvfat vvfat "$(jq -r .host_share_mode "$(directory_of vvfat)/vm_config.json")"
}

@test "only the guest that asked for one has a TPM" {
    assert_equal 'tpm: tpm' yes "$(said tpm tpm)"
    assert_equal 'tpm: swtpm' true "$(jq .swtpm "$(directory_of tpm)/vm_config.json")"
    assert_equal 'image: tpm' no "$(said image tpm)"
    assert_equal 'image: swtpm' null "$(jq .swtpm "$(directory_of image)/vm_config.json")"
}

@test "the guest shows the SMBIOS strings that were asked for" {
    while IFS='|' read -r name text; do
        assert_equal "tpm: $name" "$name $text" "$(said tpm smbios | grep "^$name ")"
    done <<'STRINGS'
manufacturer|Example, Inc.
product|cvm "two"
version| 1.0 <&>
serial|7
sku|sku=1
family|family
STRINGS
    diff <(jq -S "$STRINGS" <<<null) <(jq -S .smbios "$(directory_of tpm)/vm_config.json")
}

@test "the SMBIOS tables are those of QEMU without libvirt, with strings and without" {
    file=etc/smbios/smbios-tables
    for name in image tpm; do
        digest=$(guest_digest "$name" $file)
        assert_equal "$name: length" 96 "${#digest}"
        assert_equal "$name" "$(raw_digest "$name" $file)" "$digest"
    done
    assert_equal 'image: manufacturer' 'manufacturer QEMU' \
        "$(said image smbios | grep ^manufacturer)"
    assert_equal 'image: smbios' null "$(jq .smbios "$(directory_of image)/vm_config.json")"
}

@test "the expectation follows from the declaration" {
    for name in image vvfat tpm; do
        cvm --json measure --image cvm-debian-0.5.11 --page-add-order single-pass --trust-declared \
            --vm-config "$(directory_of "$name")/vm_config.json" 2>/dev/null |
            jq -S '{mrtd, rtmr0, rtmr1, rtmr2}' >"$PLACE/measured"
        diff <(jq -S '{mrtd, rtmr0, rtmr1, rtmr2}' "$(directory_of "$name")/expected.json") \
            "$PLACE/measured" || fail "$name"
    done
}

@test "no guest had trouble with what it was given" {
    for name in image vvfat tpm; do
        assert_equal "$name: errors" '' "$(report "$name" | grep '^error' || true)"
    done
}

@test "a second start makes the image anew, and keeps the TPM" {
    image=$(directory_of image)/share.img
    before=$(sha256sum <"$image")
    for name in image vvfat tpm; do
        await_off "$name"
    done
    [ -s "$(tpm_state tpm)/tpm2/tpm2-00.permall" ]
    printf 'spoilt' >"$image"
    for name in image vvfat tpm; do
        run -0 --separate-stderr cvm start "$name"
    done
    assert_equal 'image' "$before" "$(sha256sum <"$image")"
    for name in image vvfat tpm; do
        await_said "$name" ready 2
        assert_acpi_as_predicted "$name"
        assert_share_equal "$name"
    done
    for name in image vvfat tpm; do
        await_off "$name"
    done
    [ -s "$(tpm_state tpm)/tpm2/tpm2-00.permall" ]
}

@test "remove leaves nothing behind, the TPM's state neither" {
    state=$(tpm_state tpm)
    for name in image vvfat tpm; do
        run -0 --separate-stderr cvm remove "$name"
    done
    [ ! -e "$state" ]
    assert_nothing_left
}

# A PATH with all programs but one.
path_without() { # PROGRAM
    local directory=$PLACE/without-$1
    mkdir "$directory"
    ln -s /usr/bin/* "$directory/"
    rm -f "$directory/$1"
    echo "$directory"
}

@test "a host without swtpm is told so before anything is written" {
    path=$(path_without swtpm)
    PATH=$path run -4 --separate-stderr cvm launch "$(request none '.swtpm = true')"
    assert_says "this host cannot give a guest a TPM: there is no program 'swtpm' (package swtpm)"
    assert_nothing_left
    PATH=$path run --separate-stderr cvm check-host
    assert_says "there is no program 'swtpm' (package swtpm)"
    run --separate-stderr cvm check-host
    assert_says 'guests can have a TPM'
}

@test "a host without mtools is told so before anything is written" {
    path=$(path_without mcopy)
    PATH=$path run -4 --separate-stderr cvm launch \
        "$(request none '.overrides = { host_share_mode: "vhd" }')"
    assert_says "host_share_mode 'vhd': there is no program 'mcopy' (package mtools)"
    assert_nothing_left
    PATH=$path run --separate-stderr cvm check-host
    assert_says "there is no program 'mcopy' (package mtools)"
}

@test "a TPM that cannot be made leaves nothing behind" {
    path=$(path_without swtpm_setup)
    printf '#!/bin/sh\ncase " $* " in *print-capabilities*) exec /usr/bin/swtpm_setup "$@" ;; esac\nexit 1\n' \
        >"$path/swtpm_setup"
    chmod +x "$path/swtpm_setup"
    PATH=$path run -5 --separate-stderr cvm launch "$(request none '.swtpm = true')"
    assert_says 'swtpm_setup'
    assert_nothing_left
    assert_equal 'TPM states' '' "$(ls "$PLACE/root/lib/swtpm")"
}
