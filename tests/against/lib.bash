# shellcheck shell=bash
# What the tests against a real emulator share. tests/against/run has made sure of the programs.
# shellcheck disable=SC2154  # CVM, CVM_QEMU and bats' variables are assigned elsewhere

bats_require_minimum_version 1.5.0

setup() {
    work=$BATS_TEST_TMPDIR
    TMPDIR=$work/tmp
    export TMPDIR
    mkdir "$TMPDIR"
    version=$("$CVM_QEMU" --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
}

# Whatever happened, nothing temporary may be left, and nothing may still run from there.
assert_nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || { ls -lR "$TMPDIR" && return 1; }
    ! grep -lsa "$TMPDIR/cvm-" /proc/[0-9]*/cmdline || return 1
}

# A machine with these keys beside the version, as a file.
machine() { # jq object
    jq -n --arg version "$version" "{ cpu_count: 2, memory_size: \"2G\", qemu_version: \$version }
        + $1" >"$work/machine.json"
}

# An emulator that is the real one, but for one more device where a machine is made.
another_emulator() { # words to add
    cat >"$work/emulator" <<SH
#!/bin/sh
case "\$*" in
*-qmp*) exec $CVM_QEMU "\$@" $* ;;
*) exec $CVM_QEMU "\$@" ;;
esac
SH
    chmod +x "$work/emulator"
}

against() { # emulator [option ...]
    "$CVM" acpi --machine "$work/machine.json" --against "$@"
}
