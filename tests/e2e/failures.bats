#!/usr/bin/env bats
# Launches that must fail: each says why, has its own exit status, and leaves nothing.

# shellcheck disable=SC2016,SC2154  # jq programs and scripts; bats sets stderr
load lib

setup_file() {
    make_place
}

setup() {
    write_host_config
}

teardown() {
    clear_place
}

teardown_file() {
    drop_place
}

# A bundle of a test's own, under the test's number.
own_bundle() {
    local image=own-$BATS_TEST_NUMBER
    cp -r "$PLACE/images/cvm-debian-0.5.11" "$PLACE/images/$image"
    echo "$image"
}

refused() { # STATUS TEXT REQUEST
    run "-$1" --separate-stderr cvm launch "$3"
    assert_says "$2"
    assert_equal 'answer' '' "$output"
    assert_nothing_left
}

@test "a spoilt file of the bundle: exit 1" {
    image=$(own_bundle)
    for file in bzImage ovmf.fd rootfs.img.verity; do
        cp "$PLACE/images/$image/$file" "$PLACE/kept"
        printf 'x' | dd of="$PLACE/images/$image/$file" bs=1 seek=1000 conv=notrunc status=none
        refused 1 "$file" "$(request web ".image = \"$image\"")"
        mv "$PLACE/kept" "$PLACE/images/$image/$file"
    done
}

@test "a file that changes between verification and start: exit 1" {
    image=$(own_bundle)
    file=$PLACE/images/$image/bzImage
    fake_emulator "$PLACE/qemu" "if $STARTS_GUEST; then printf x >>'$file'; fi"
    write_host_config ".emulator = \"$PLACE/qemu\""
    refused 1 bzImage "$(request web ".image = \"$image\"")"
    assert_says 'changed'
}

@test "a bundle that is swapped for another between verification and start: exit 1" {
    image=$(own_bundle)
    directory=$PLACE/images/$image
    cp -r "$directory" "$directory.other"
    change_cmdline "$directory.other" cvm.other
    reseal "$directory.other"
    fake_emulator "$PLACE/qemu" "if $STARTS_GUEST && mv '$directory' '$directory.first'; then
        mv '$directory.other' '$directory'
    fi"
    write_host_config ".emulator = \"$PLACE/qemu\""
    refused 1 "images/$image'" "$(request web ".image = \"$image\"")"
    [ -d "$directory.first" ] || fail 'the bundle was not swapped'
}

@test "no such image, no such volume: exit 5" {
    refused 5 "images/nowhere" "$(request web '.image = "nowhere"')"
    refused 5 "$PLACE/volume" "$(request web '.volumes = [{ path: "\($place)/volume" }]')"
}

@test "a missing emulator: exit 5" {
    write_host_config ".emulator = \"$PLACE/no-such-qemu\""
    refused 5 no-such-qemu "$(request web)"
}

@test "an emulator that is none: exit 5" {
    write_host_config '.emulator = "/bin/true"'
    refused 5 "emulator '/bin/true'" "$(request web)"
}

@test "an accelerator that there is not: exit 3" {
    write_host_config '.accelerator = "magic"'
    refused 3 "'magic' is none of" "$(request web)"
}

@test "no libvirt at the other end: exit 5" {
    write_host_config ".libvirt_uri = \"qemu+unix:///system?socket=$PLACE/no-socket\""
    refused 5 libvirt "$(request web)"
}

@test "a QEMU that dies at its start: exit 5" {
    fake_emulator "$PLACE/qemu" "if $STARTS_GUEST; then echo 'out of luck today' >&2; exit 1; fi"
    write_host_config ".emulator = \"$PLACE/qemu\""
    refused 5 'libvirt: start' "$(request web)"
}

@test "a guest that cannot be emulated: refused by QEMU, and nothing left" {
    refused 5 libvirt "$(request web '.overrides = { pci_hole64_size: "32T" } | .memory = "64G"')"
}

@test "a TD on a host without TDX: exit 4, in plain words" {
    [ "$(cat /sys/module/kvm_intel/parameters/tdx 2>/dev/null)" != Y ] || skip 'this host has TDX'
    refused 4 'no_tee' "$(request web 'del(.no_tee)')"
    run -4 --separate-stderr cvm --json launch "$(request web '.no_tee = false')"
    jq -e '.error' <<<"$stderr" >/dev/null
    assert_nothing_left
}

@test "check-host says what is missing" {
    [ "$(cat /sys/module/kvm_intel/parameters/tdx 2>/dev/null)" != Y ] || skip 'this host has TDX'
    run -1 --separate-stderr cvm check-host
    assert_says 'missing  kvm_intel tdx'
    assert_says 'ok       libvirt '
    assert_says 'missing  libvirt tdx'
    run -1 --separate-stderr cvm --json check-host
    assert_equal 'ready_for_tdx' false "$(jq .ready_for_tdx <<<"$output")"
    jq -e '.checks[] | select(.name == "libvirt tdx" and .result == "missing")' <<<"$output"
    assert_nothing_left
}

# The real emulator, but for one more device when it is asked for tables.
boasting_emulator() { # FILE
    cat >"$1" <<'SH'
#!/bin/bash
case "$*" in
*'-qmp stdio'*) exec qemu-system-x86_64 "$@" -device pvpanic ;;
*) exec qemu-system-x86_64 "$@" ;;
esac
SH
    chmod +x "$1"
}

@test "an emulator that writes other tables than predicted: exit 1 where the check is required" {
    boasting_emulator "$PLACE/qemu"
    write_host_config ".emulator = \"$PLACE/qemu\" | .acpi_check = \"require\""
    refused 1 'writes other ACPI files than were predicted' "$(request web)"
}

@test "the same is a warning in the answer where it is not, and the guest runs" {
    boasting_emulator "$PLACE/qemu"
    write_host_config ".emulator = \"$PLACE/qemu\""
    run -0 --separate-stderr cvm --json launch "$(request web)"
    jq -e '.started and (.expected.warnings | any(test("table DSDT differs at 0x4")))' <<<"$output"
    assert_equal state running "$(state_of web)"
    cvm remove --force web
    assert_nothing_left
}

@test "--dry-run writes and defines nothing" {
    run -0 --separate-stderr cvm launch --dry-run "$(request web)"
    xmllint --noout - <<<"$output"
    assert_nothing_left
}

@test "a forwarded port listens on the host; who wants it too is refused" {
    ports='.ports = [{ host_port: 17171, guest_port: 80 }] | .user_config = "\($place)/wait"'
    run -0 --separate-stderr cvm launch "$(request first "$ports")"
    (exec 3<>/dev/tcp/127.0.0.1/17171)
    run -5 --separate-stderr cvm launch "$(request second "$ports")"
    assert_says 17171
    assert_only first
    assert_equal 'state' running "$(state_of first)"
    run -0 --separate-stderr cvm remove --force first
    run -1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/17171'
    assert_nothing_left
}

@test "a domain of that name which is not ours is left alone: exit 2" {
    run -0 --separate-stderr cvm launch --dry-run "$(request web)"
    echo "$output" >"$PLACE/web.xml"
    on_root define "$PLACE/web.xml"
    run -2 --separate-stderr cvm launch "$(request web)"
    assert_says "libvirt has a domain 'web' already"
    assert_equal 'directories' '' "$(stored)"
    assert_equal 'domains' web "$(domains)"
    on_root undefine web
}

# Kills a launch after a while. Whatever is left is removed by the usual means.
kill_launch() { # SECONDS
    local pid
    "$CVM" --config "$PLACE/host.json" launch "$(request victim)" >/dev/null 2>&1 3>&- &
    pid=$!
    sleep "$1"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" || true
}

@test "a launch that is killed at any moment can be cleared away and repeated" {
    for moment in 0.05 0.15 0.3 0.5 0.8 1.2; do
        kill_launch "$moment"
        if [ -d "$(directory_of victim)" ]; then
            run -0 --separate-stderr cvm remove --force victim
        fi
        run -0 --separate-stderr cvm launch "$(request next)"
        assert_only next
        run -0 --separate-stderr cvm remove --force next
        assert_nothing_left
    done
}

@test "a launch that is killed while QEMU starts can be cleared away and repeated" {
    fake_emulator "$PLACE/qemu" "if $STARTS_GUEST; then touch '$PLACE/starting'; sleep 1; fi"
    write_host_config ".emulator = \"$PLACE/qemu\""
    "$CVM" --config "$PLACE/host.json" launch "$(request victim)" >/dev/null 2>&1 3>&- &
    pid=$!
    until [ -e "$PLACE/starting" ]; do
        sleep 0.05
    done
    kill -9 "$pid"
    wait "$pid" || true
    run -2 --separate-stderr cvm launch "$(request victim)"
    run -0 --separate-stderr cvm remove --force victim
    sleep 2
    assert_nothing_left
    write_host_config
    run -0 --separate-stderr cvm launch "$(request victim)"
    run -0 --separate-stderr cvm remove --force victim
    assert_nothing_left
}
