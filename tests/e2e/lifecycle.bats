#!/usr/bin/env bats
# One guest's life, told in order: each test starts where the one before it ended.

# shellcheck disable=SC2016,SC2154  # jq programs and scripts; bats sets stderr
load lib

setup_file() {
    make_place
    cvm --json launch "$(request web '.vcpu = 2 | .memory = "1G" | .user_config = "\($place)/wait"')" \
        >"$PLACE/web.answer"
}

teardown_file() {
    drop_place
}

# Everything that a guest is on disk, but what it goes on writing itself.
fingerprint() { # NAME
    (cd "$(directory_of "$1")" && find . -type f ! -name console.log ! -name disk.raw \
        -exec sha256sum {} + | sort)
}

@test "a launched guest is listed and shown as running" {
    assert_equal 'listed' 'web running' \
        "$(cvm --json list | jq -r '.guests[] | "\(.name) \(.state)"')"
    run -0 --separate-stderr cvm --json show web
    assert_equal 'shown' running "$(jq -r .state <<<"$output")"
    assert_equal 'uuid' "$(jq -r .uuid "$PLACE/web.answer")" "$(jq -r .uuid <<<"$output")"
    assert_equal 'mrtd' "$(jq -r .expected.mrtd "$PLACE/web.answer")" \
        "$(jq -r .expected.mrtd <<<"$output")"
    run -0 --separate-stderr cvm list
    assert_says web
    assert_only web
}

@test "a second launch of its name is refused, and leaves it as it is" {
    fingerprint web >"$PLACE/before"
    run -2 --separate-stderr cvm launch "$(request web '.vcpu = 4')"
    assert_says "a guest 'web' exists already"
    diff "$PLACE/before" <(fingerprint web)
    assert_equal 'state' running "$(state_of web)"
    assert_only web
}

@test "its removal is refused while it runs" {
    run -2 --separate-stderr cvm remove web
    assert_says "guest 'web' is running; stop it first"
    assert_equal 'state' running "$(state_of web)"
    assert_only web
}

@test "its start is refused while it runs" {
    run -2 --separate-stderr cvm start web
    assert_says 'running already'
}

@test "it was given what was predicted, and waits" {
    await_said web ready 1
    assert_acpi_as_predicted web
    assert_share_equal web
    assert_equal 'state' running "$(state_of web)"
}

@test "stop presses its power button, and it goes by itself" {
    run -0 --separate-stderr cvm stop web
    assert_equal 'warnings' '' "$stderr"
    assert_says "guest 'web' is off"
    assert_equal 'presses' 1 "$(times_said web power-button)"
    assert_equal 'state' off "$(state_of web)"
    assert_equal 'emulators' '' "$(emulators)"
    assert_only web
}

@test "stopping it again is no mistake" {
    run -0 --separate-stderr cvm stop web
    assert_equal 'warnings' '' "$stderr"
    run -0 --separate-stderr cvm stop --force web
}

@test "started again it is given the same, and its log goes on" {
    cvm logs web >"$PLACE/log"
    run -0 --separate-stderr cvm start web
    assert_equal 'state' running "$(state_of web)"
    await_said web ready 2
    assert_acpi_as_predicted web
    assert_share_equal web
    cmp -n "$(stat -c %s "$PLACE/log")" "$PLACE/log" <(cvm logs web)
}

@test "a declaration that is no longer true of the image stops nothing that runs" {
    image=$PLACE/images/cvm-debian-0.5.11
    mv "$image" "$image.kept"
    cp -r "$image.kept" "$image"
    change_cmdline "$image" cvm.other
    reseal "$image"
    run -0 --separate-stderr cvm image verify cvm-debian-0.5.11
    assert_equal 'state' running "$(state_of web)"
}

@test "stop --force ends it at once, without its power button" {
    run -0 --separate-stderr cvm stop --force web
    assert_equal 'state' off "$(state_of web)"
    assert_equal 'presses' 1 "$(times_said web power-button)"
    assert_equal 'emulators' '' "$(emulators)"
}

@test "its start is refused when the image is another valid one" {
    run -1 --separate-stderr cvm start web
    assert_says 'is another image now'
    assert_equal 'state' off "$(state_of web)"
    assert_equal 'emulators' '' "$(emulators)"
    image=$PLACE/images/cvm-debian-0.5.11
    rm -r "$image"
    mv "$image.kept" "$image"
}

@test "its start is refused when a file of the image is spoilt" {
    image=$PLACE/images/cvm-debian-0.5.11
    mv "$image" "$image.kept"
    cp -r "$image.kept" "$image"
    echo >>"$image/initramfs.cpio.gz"
    run -1 --separate-stderr cvm start web
    assert_says initramfs.cpio.gz
    assert_equal 'state' off "$(state_of web)"
    rm -r "$image"
    mv "$image.kept" "$image"
}

@test "its start is refused when the emulator has another version" {
    fake_emulator "$PLACE/qemu" '
        if [ "$1" = --version ] && [ -e "${0%/*}/upgraded" ]; then
            echo "QEMU emulator version 8.2.2 (made up)"
            exit
        fi'
    write_host_config ".emulator = \"$PLACE/qemu\""
    run -0 --separate-stderr cvm launch "$(request old)"
    run -0 --separate-stderr cvm stop --force old
    touch "$PLACE/upgraded"
    run -1 --separate-stderr cvm start old
    assert_says 'is now QEMU 8.2.2, but the guest is declared with'
    assert_equal 'state' off "$(state_of old)"
    run -0 --separate-stderr cvm remove old
    write_host_config
    assert_only web
}

@test "remove --force ends it and takes everything away" {
    run -0 --separate-stderr cvm start web
    assert_equal 'state' running "$(state_of web)"
    run -0 --separate-stderr cvm remove --force web
    assert_nothing_left
}

@test "a guest that is gone is unknown to every command" {
    for command in show start stop remove logs; do
        run -2 --separate-stderr cvm "$command" web
        assert_says "there is no guest 'web'"
    done
    run -0 --separate-stderr cvm --json list
    assert_equal 'guests' 0 "$(jq '.guests | length' <<<"$output")"
}

@test "its name is free again" {
    run -0 --separate-stderr cvm --json launch "$(request web)"
    [ "$(jq -r .uuid <<<"$output")" != "$(jq -r .uuid "$PLACE/web.answer")" ]
    run -0 --separate-stderr cvm remove -f web
    assert_nothing_left
}
