#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# The cache of digests from the command line: it changes how long an answer takes, never the answer.

bats_require_minimum_version 1.5.0

setup_file() {
    bundles=$(mktemp -d)
    export bundles
    "$SUPPORT/make_bundle.py" "$bundles/one" --ovmf-variant pre202505
    sleep 2.1 # files that were changed a moment ago are not kept
}

teardown_file() {
    rm -rf "$bundles"
}

setup() {
    work=$(mktemp -d)
    export CVM_STATE_DIR=$work/state
    image=$bundles/one
}

teardown() {
    rm -rf "$work"
}

measure() { # options
    "$CVM" measure --image "$image" --cpus 2 --memory 2G --qemu-version 9.2.1 --json "$@"
}

# What measuring says with -v of where the digests came from.
source_of() { # options
    measure -v "$@" 2>&1 >/dev/null | sed -n 's/^cvm: digest cache: //p'
}

# A bundle of its own, old enough.
copy() {
    cp -r "$bundles/one" "$work/copy"
    image=$work/copy
    sleep 2.1
}

@test "the second answer is the first, from the cache" {
    first=$(measure)
    [ "$(find "$work/state/cache/digests" -type f | wc -l)" -eq 1 ]
    [[ $(source_of) == "image '$image' was hashed before" ]]
    [ "$(measure)" = "$first" ]
    [ "$(measure --no-cache)" = "$first" ]
}

@test "every shape has the same answer with and without a cache" {
    for options in '--memory 1G' '--memory 4G' '--memory 1G --kernel-header as-is' \
        '--memory 3G --page-add-order two-pass' '--cpus 8 --memory 64G --qemu-version 8.2.2'; do
        for _ in 1 2; do
            # shellcheck disable=SC2086  # words
            [ "$(measure $options)" = "$(measure --no-cache $options)" ]
        done
    done
    [[ $(source_of --memory 3G --page-add-order two-pass) == *'was hashed before' ]]
}

@test "--no-cache neither reads nor writes one" {
    [ -z "$(source_of --no-cache)" ]
    [ ! -e "$work/state" ]
    measure >/dev/null
    before=$(find "$work/state" -type f -exec stat -c '%i %y' {} +)
    [ -z "$(source_of --no-cache)" ]
    [ "$(find "$work/state" -type f -exec stat -c '%i %y' {} +)" = "$before" ]
}

@test "a file that is changed in place, with its old size and time, is noticed" {
    copy
    measure >/dev/null
    [[ $(source_of) == *'was hashed before' ]]
    for file in bzImage initramfs.cpio.gz ovmf.fd; do
        cp -p "$image/$file" "$work/saved"
        printf 'X' | dd of="$image/$file" bs=1 seek=8000 conv=notrunc status=none
        touch -r "$work/saved" "$image/$file"
        run --separate-stderr measure
        [ "$status" -eq 1 ]
        [[ $stderr == *"'$file' does not have the digest in sha256sum.txt"* ]]
        cp -p "$work/saved" "$image/$file"
        measure >/dev/null
    done
}

@test "image verify reads every file, whatever the cache says" {
    copy
    measure >/dev/null
    "$CVM" image verify "$image" >/dev/null
    strings=$(measure -v 2>&1 >/dev/null)
    [[ $strings == *'was hashed before'* ]]
    printf 'X' | dd of="$image/bzImage" bs=1 seek=8000 conv=notrunc status=none
    run --separate-stderr "$CVM" image verify "$image"
    [ "$status" -eq 1 ]
}

@test "image verify does not make a cache" {
    "$CVM" image verify "$image" >/dev/null
    [ ! -e "$work/state" ]
}

@test "files that were changed a moment ago are not kept" {
    cp -r "$bundles/one" "$work/young"
    image=$work/young
    [[ $(source_of | tail -n 1) == "nothing is kept: "*"was changed a moment ago" ]]
    [ ! -e "$work/state" ]
}

@test "damaged entries and those of another format are replaced" {
    want=$(measure)
    entry=$(find "$work/state/cache/digests" -type f)
    printf '\002' | dd of="$entry" bs=1 seek=8 conv=notrunc status=none
    [[ $(source_of | head -n 1) == *'format 2, not 3' ]]
    [[ $(source_of) == *'was hashed before' ]]
    printf 'X' | dd of="$entry" bs=1 seek=300 conv=notrunc status=none
    [ "$(measure)" = "$want" ]
    [[ $(source_of) == *'was hashed before' ]]
    : >"$entry"
    [ "$(measure)" = "$want" ]
    [[ $(source_of) == *'was hashed before' ]]
    [ "$(find "$work/state/cache/digests" -type f | wc -l)" -eq 1 ]
}

@test "a state directory that cannot be written is no error" {
    : >"$work/file"
    want=$(measure --no-cache)
    [ "$(measure --state-dir "$work/file")" = "$want" ]
    [[ $(source_of --state-dir "$work/file" | tail -n 1) == 'nothing is kept: '* ]]
    [ "$(measure --state-dir /proc/no/such)" = "$want" ]
}

@test "an image without a list is measured, and nothing is kept" {
    copy
    rm "$image/sha256sum.txt" "$image/digest.txt"
    measure >/dev/null
    [ ! -e "$work/state" ]
}

@test "many at once have the same answer" {
    want=$(measure --no-cache)
    for i in $(seq 12); do
        measure >"$work/answer.$i" &
    done
    wait
    for i in $(seq 12); do
        [ "$(<"$work/answer.$i")" = "$want" ]
    done
    [ "$(find "$work/state/cache/digests" -type f | wc -l)" -eq 1 ]
}
