#!/bin/bash
# Breaks each rule of test_rules.sh once, in a tree of its own, and wants it to be noticed.
#
# usage: test_rules_can_fail.sh CC
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
cc=${1:?which compiler?}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
wanted=() # "file:line: rule" that a run over the tree has to print

put_good_tree() {
    mkdir -p "$tree"/{measure/{base,acpi,include/cvm},vmm/cli,tests}
    printf '#include "measure/base/buf.h"\n\n#include <stdint.h>\n\nint good(void);\nint good(void)\n{\n    return 0;\n}\n' \
        >"$tree/measure/good.c"
    : >"$tree/measure/base/buf.h"
}

# A new file with this content in this folder has to be reported, at this line and for this rule.
expect() { # folder, line, rule, content
    local file=$1/bad${#wanted[@]}.c
    printf '%b' "$4" >"$tree/$file"
    wanted+=("$file:$2: $3")
}

repeat() { # count, line
    local i
    for ((i = 0; i < $1; i++)); do
        printf '%s\\n' "$2"
    done
}

expect_layers() {
    expect measure 2 'measure includes only' '\n#include "vmm/json.h"\n'
    expect measure 1 'measure includes only' '#include <json-c/json.h>\n'
    expect measure 1 'measure includes only' '#  include <libvirt/libvirt.h>\n'
    expect measure 1 'measure includes only' '#include <uuid/uuid.h>\n'
    expect measure/base 1 'measure/base includes only' '#include "measure/tdvf.h"\n'
    expect measure/base 1 'measure/base includes only' '#include <cbor.h>\n'
    expect measure/acpi 1 'measure/acpi includes only' '#include "measure/mrtd.h"\n'
    expect measure/include/cvm 1 'installed headers include only' '#include "measure/base/buf.h"\n'
    expect vmm 1 'vmm does not include vmm/cli' '#include "vmm/cli/cli.h"\n'
    expect vmm 1 'nothing includes tests' '#include "tests/support/bytes.h"\n'
    expect vmm 1 'includes of the project are written from the root' '#include "json.h"\n'
    expect vmm 1 'includes of the project are written from the root' '#include "../measure/a.h"\n'
}

expect_libraries() {
    expect measure 1 'OpenSSL is included by its own file only' '#include <openssl/evp.h>\n'
    expect vmm 1 'openssl_error.h is included' '#include "measure/base/openssl_error.h"\n'
    expect measure 1 'libcbor is included by its own file only' '#include <cbor.h>\n'
    expect vmm 1 'json-c is included by its own file only' '#include <json-c/json.h>\n'
    expect vmm 1 'libvirt is included by its own file only' '#include <libvirt/libvirt.h>\n'
    expect vmm 1 'libuuid is included by one file only' '#include <uuid/uuid.h>\n'
    expect vmm 1 'libuuid is included by one file only' '#include <uuid/uuid.h>\n'
}

expect_bytes() {
    expect measure 1 'bytes are read through' 'x = le32toh(y);\n'
    expect vmm 1 'bytes are read through' 'x = ntohl(y);\n'
    expect measure 1 'no packed structs' 'struct __attribute__((aligned(1), packed)) s { int a; };\n'
    expect measure 1 'no integers by memcpy' '    memcpy(&x, p, sizeof x);\n'
    expect measure 1 'no integers by memcpy' '    memcpy(p, &x, 4);\n'
    expect measure 1 'no integers by memcpy' '    x = *(const uint32_t *)p;\n'
    expect measure 1 'measure neither prints' '    fprintf(stderr, "x");\n'
    expect vmm 1 'no goto' '    goto out;\n'
}

expect_sizes() {
    local body
    body=$(repeat 60 '    x();')
    expect vmm 2 'a function has at most 60 lines' "void f(void)\n{\n$body}\n"
    body=$(repeat 601 '')
    expect measure 601 'a file has at most 600 lines' "$body"
}

expect_library() {
    cat >"$tree/bad.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
int counter = 1;
static int hits;
_Thread_local int each;
static const char *const words[] = { "relocated", "but constant" };
const char *f(int x)
{
    printf("%d", x + hits++);
    return x == 0 ? getenv("X") : words[x & 1];
}
C
    "$cc" -fPIC -fno-common -O0 -c "$tree/bad.c" -o "$tree/bad.o"
    ar rc "$tree/lib.a" "$tree/bad.o"
    wanted+=('lib.a(bad.o):0: measure has no mutable globals: counter in .data'
        'lib.a(bad.o):0: measure has no mutable globals: hits in .bss'
        'lib.a(bad.o):0: measure has no mutable globals: each in .tbss'
        'lib.a(bad.o):0: measure neither prints nor exits nor reads the environment: printf'
        'lib.a(bad.o):0: measure neither prints nor exits nor reads the environment: getenv')
}

main() {
    local output want failures=0
    put_good_tree
    if ! output=$("$here/test_rules.sh" "$tree"); then
        echo 'a tree that keeps the rules was reported:'
        echo "$output"
        exit 1
    fi
    expect_layers
    expect_libraries
    expect_bytes
    expect_sizes
    expect_library
    if output=$("$here/test_rules.sh" "$tree" "$tree/lib.a"); then
        echo 'nothing was reported'
        exit 1
    fi
    for want in "${wanted[@]}"; do
        if ! grep -qF -- "$want" <<<"$output"; then
            echo "not reported: $want"
            failures=$((failures + 1))
        fi
    done
    if grep -E 'good[.]c|: words in' <<<"$output"; then
        echo 'reported without a reason'
        exit 1
    fi
    [ "$failures" -eq 0 ] || { echo "$output"; exit 1; }
    echo "test_rules_can_fail.sh: ${#wanted[@]} broken rules were noticed"
}

main
