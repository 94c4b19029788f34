#!/usr/bin/env bats
# A host that names a signing key signs what each launch expects.

# shellcheck disable=SC2016,SC2154  # jq programs and scripts; bats sets stderr
load lib

setup_file() {
    make_place
    cvm keygen "$PLACE/host.key" --type ed25519
    write_host_config '.signing_key = "'"$PLACE"'/host.key"'
    cvm --json launch "$(request web)" >"$PLACE/web.answer"
}

teardown_file() {
    write_host_config '.signing_key = "'"$PLACE"'/host.key"'
    cvm remove --force web || true
    drop_place
}

manifest() {
    jq -r .manifest "$PLACE/web.answer"
}

@test "a launch writes a manifest that verifies, of the declaration and the image it launched" {
    assert_equal 'path' "$(directory_of web)/manifest.intoto.json" "$(manifest)"
    run -0 --separate-stderr cvm --json manifest verify "$(manifest)" --key "$PLACE/host.key.pub" \
        --subject "$(directory_of web)/vm_config.json" \
        --subject "$PLACE/images/cvm-debian-0.5.11/sha256sum.txt"
    for register in mrtd rtmr0 rtmr1 rtmr2; do
        assert_equal "$register" "$(jq -r ".expected.$register" "$PLACE/web.answer")" \
            "$(jq -r ".shapes[0].$register" <<<"$output")"
    done
    run -0 --separate-stderr cvm --json manifest show "$(manifest)" --key "$PLACE/host.key.pub"
    assert_equal 'emulator' "$(sha256sum "$(jq -r .emulator "$(directory_of web)/vm.json")" |
        cut -d' ' -f1)" "$(jq -r '.statement.predicate.shapes[0].qemu.sha256' <<<"$output")"
}

# Registers, events, machine and declaration; not where values were resolved from, which then was
# the host and now is the declaration.
facts() { # MANIFEST
    cvm --json manifest show "$1" --key "$PLACE/host.key.pub" | jq '.statement |
        .subject, (.predicate.shapes[0] | .mrtd, .rtmr0, .rtmr1, .rtmr2, .events, .machine,
            .vm_config, .qemu)'
}

@test "a manifest of the guest says the same afterwards" {
    cvm manifest create --guest web --key "$PLACE/host.key" >"$PLACE/again.json"
    facts "$(manifest)" >"$PLACE/facts"
    [ "$(wc -l <"$PLACE/facts")" -gt 100 ]
    diff "$PLACE/facts" <(facts "$PLACE/again.json")
}

@test "a guest whose expectation was changed on disk is not signed" {
    local expected
    expected=$(directory_of web)/expected.json
    cp "$expected" "$PLACE/expected.kept"
    jq '.rtmr1 = .rtmr2' "$PLACE/expected.kept" >"$expected"
    run -1 --separate-stderr cvm manifest create --guest web --key "$PLACE/host.key"
    assert_says 'rtmr1 was expected to be'
    [ -z "$output" ]
    cp "$PLACE/expected.kept" "$expected"
}

@test "without its key a host launches nothing, and nothing is left" {
    mv "$PLACE/host.key" "$PLACE/host.key.away"
    run -5 --separate-stderr cvm launch "$(request other)"
    assert_says "signed expectation: key '$PLACE/host.key'"
    assert_equal 'stored' web "$(stored)"
    mv "$PLACE/host.key.away" "$PLACE/host.key"
}
