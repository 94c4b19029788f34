#!/usr/bin/env bats
# Several launches at once: different names do not get in each other's way, the same
# name is given once.

load lib

setup_file() {
    make_place
}

teardown_file() {
    drop_place
}

# Launches these requests at the same moment; launch number N leaves answer.N and status.N.
launch_together() { # REQUEST ...
    local n=0 file
    rm -f "$PLACE"/answer.* "$PLACE"/error.* "$PLACE"/status.*
    for file in "$@"; do
        n=$((n + 1))
        {
            rc=0
            cvm --json launch "$file" >"$PLACE/answer.$n" 2>"$PLACE/error.$n" || rc=$?
            echo "$rc" >"$PLACE/status.$n"
        } 3>&- &
    done
    wait
}

# How many different values the answers or files have.
different() {
    sort -u | wc -l
}

@test "launches of different names at once all succeed, with nothing in common" {
    launch_together "$(request a)" "$(request b)" "$(request c)" "$(request d)"
    for n in 1 2 3 4; do
        assert_equal "launch $n" 0 "$(cat "$PLACE/status.$n")" || fail "$(cat "$PLACE/error.$n")"
    done
    assert_only a b c d
    assert_equal 'UUIDs' 4 "$(jq -r .uuid "$PLACE"/answer.* | different)"
    assert_equal 'directories' 4 "$(jq -r .directory "$PLACE"/answer.* | different)"
    assert_equal 'CIDs' 4 "$(jq .cid "$PLACE"/state/vms/*/vm.json | different)"
    for name in a b c d; do
        assert_equal "$name" running "$(state_of "$name")"
        assert_equal "$name: its own request" "$name" \
            "$(jq -r .name "$(directory_of "$name")/request.json")"
    done
}

@test "questions and removals at once do not disturb each other" {
    for name in a b c d; do
        {
            rc=0
            cvm --json remove --force "$name" >/dev/null 2>"$PLACE/trouble.$name" || rc=$?
            echo "$rc" >"$PLACE/removal.$name"
        } 3>&- &
    done
    for n in 1 2 3; do
        cvm --json list >/dev/null
    done
    wait
    for name in a b c d; do
        assert_equal "removal of $name" 0 "$(cat "$PLACE/removal.$name")" ||
            fail "$(cat "$PLACE/trouble.$name")"
    done
    assert_nothing_left
}

@test "launches of one name at once: exactly one wins" {
    file=$(request same)
    launch_together "$file" "$file" "$file" "$file"
    assert_equal 'statuses' '0 2 2 2' "$(sort "$PLACE"/status.* | xargs)"
    assert_only same
    assert_equal 'state' running "$(state_of same)"
    winner=$(grep -lx 0 "$PLACE"/status.*)
    assert_equal 'uuid' "$(jq -r .uuid "$PLACE/answer.${winner##*.}")" \
        "$(jq -r .uuid "$(directory_of same)/vm.json")"
    cvm remove --force same
    assert_nothing_left
}

@test "CIDs run out, and come back" {
    write_host_config '.cid_first = 100 | .cid_count = 1'
    run -0 --separate-stderr cvm launch "$(request one)"
    run -5 --separate-stderr cvm launch "$(request two)"
    assert_says 'all CIDs from 100 to 100 are taken'
    assert_only one
    run -0 --separate-stderr cvm remove --force one
    run -0 --separate-stderr cvm launch "$(request two)"
    run -0 --separate-stderr cvm remove --force two
    assert_nothing_left
}
