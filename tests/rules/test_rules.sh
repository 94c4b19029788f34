#!/bin/bash
# Rules of the code that grep can see: see --help.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: test_rules.sh SOURCE-ROOT [LIBRARY.a]

Prints "file:line: rule: text" for each place that breaks a rule of the code:
which layer may include what, which file may include a library, reading and
writing bytes only through reader and buffer, size of functions and files. With
the static measurement library: no mutable globals, and none of the functions
that print, exit or read the environment.

exit status: 0 nothing was found, 1 something was, 2 usage
HELP
}

violations=0

report() { # rule, then "file:line:text" lines on stdin
    local line file number text
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        file=${line%%:*}
        line=${line#*:}
        number=${line%%:*}
        text=${line#*:}
        echo "$file:$number: $1: ${text#"${text%%[![:space:]]*}"}"
        violations=$((violations + 1))
    done
}

# The sources below the given folders, relative to the root.
sources() {
    local folder
    for folder in "$@"; do
        [ ! -e "$folder" ] || find "$folder/" -type f \( -name '*.c' -o -name '*.h' \)
    done | sed 's|//|/|g' | sort
}

# file:line:text of the lines of these sources that match; no match is no failure.
find_lines() { # pattern, files on stdin
    xargs -r -d '\n' grep -nHE -- "$1" || true
}

# "file:line:path" of each include line below measure, vmm and tests, both "path" and <path>.
all_includes=

find_includes() {
    all_includes=$(sources measure vmm tests | find_lines '^[[:space:]]*#[[:space:]]*include' |
        sed -E 's/^([^:]*:[^:]*):[^"<]*["<]([^">]*)[">].*/\1:\2/')
}

# Those of them for which an awk condition on from, line and path holds.
includes_where() { # condition, VARIABLE=value ...
    local condition=$1 variable variables=()
    shift
    for variable in "$@"; do
        variables+=(-v "$variable")
    done
    awk -F: "${variables[@]}" "{ from = \$1; path = \$3 } $condition" <<<"$all_includes"
}

# Includes below a folder, minus those that match.
check_layer() { # rule, folder, allowed pattern
    includes_where 'index(from, folder "/") == 1 && path !~ allowed' folder="$2" allowed="$3" |
        report "$1"
}

# What the C library and the kernel offer; every other <...> is a library of its own.
libc='^(assert|ctype|dirent|elf|errno|fcntl|inttypes|limits|link|poll|signal|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|time|unistd|linux/[a-z0-9_]+|sys/[a-z0-9_]+)[.]h$'

check_layers() {
    check_layer 'installed headers include only cvm/ and the C library' measure/include \
        "^cvm/|$libc"
    check_layer 'measure/base includes only itself, measure/include, libc and OpenSSL' measure/base \
        "^measure/(base|include)/|^openssl/|$libc"
    check_layer 'measure/acpi includes only itself, measure/base and measure/include' measure/acpi \
        "^measure/(acpi|base|include)/|$libc"
    check_layer 'measure includes only measure, libc, OpenSSL, libcbor and liblzma' measure \
        "^(measure|cvm)/|^(openssl/.*|cbor|lzma)([.]h)?$|$libc"
    includes_where 'from !~ "^tests/" && path ~ "^tests/"' | report 'nothing includes tests'
    includes_where 'from ~ "^vmm/" && from !~ "^vmm/cli/" && path ~ "^vmm/cli/"' |
        report 'vmm does not include vmm/cli'
    sources measure vmm tests | find_lines '^[[:space:]]*#[[:space:]]*include +"([^/"]+|.*[.][.]/.*)"' |
        report 'includes of the project are written from the root'
}

# Whoever includes a library by this pattern, outside of tests, has to match `owners`.
check_owner() { # library, include pattern, owners pattern
    includes_where 'from !~ "^tests/" && path ~ lib && from !~ owners' lib="$2" owners="$3" |
        report "$1 is included by its own file only"
}

# The same where the owner has no fixed name: at most one file.
check_single_owner() { # library, include pattern
    local found
    found=$(includes_where 'from !~ "^tests/" && path ~ lib' lib="$2")
    [ "$(cut -d: -f1 <<<"$found" | sort -u | wc -l)" -le 1 ] ||
        report "$1 is included by one file only" <<<"$found"
}

check_libraries() {
    check_owner OpenSSL '^openssl/' '^measure/base/(hash[.]c|sign[.]c|x509[.]c|openssl_error[.]h)$'
    check_owner openssl_error.h 'openssl_error[.]h$' '^measure/base/(hash|sign|x509)[.]c$'
    check_owner libcbor '^cbor([.]h|/)' '^measure/compact[.]c$'
    check_owner json-c '^json-c/' '^vmm/json[.]c$'
    check_owner libvirt '^libvirt/' '^vmm/(hypervisor|libvirt_calls)[.]c$'
    check_single_owner libxml2 '^libxml/'
    check_single_owner libuuid '^uuid/'
    check_single_owner libarchive '^archive'
    check_single_owner liblzma '^lzma'
}

check_bytes() {
    sources measure vmm |
        find_lines '\b(ntoh[sl]|hton[sl]|(le|be)(16|32|64)toh|hto(le|be)(16|32|64)|__builtin_bswap(16|32|64)|bswap_(16|32|64))\b' |
        report 'bytes are read through cvm_reader and written through cvm_buf'
    sources measure vmm | find_lines '__attribute__.*\b_*packed\b|#pragma pack' |
        report 'no packed structs over bytes'
    # In vmm, tables of fields copy values to and from structs; measure has bytes only.
    sources measure | grep -vx 'measure/base/cleanup.h' |
        find_lines '\bmemcpy ?\( *&|\bmemcpy ?\([^,]+, *&|\* ?\( ?(const )?u?int(16|32|64)_t ?\*\)' |
        report 'no integers by memcpy or by pointer casts'
}

check_words() {
    sources measure vmm tests | find_lines '^[[:space:]]+goto[[:space:]]+[a-z_]+;' | report 'no goto'
    sources measure | find_lines '\b(v?f?printf|puts|putchar|fputs|fwrite|perror|getenv|secure_getenv|exit|_exit|abort|syslog) ?\(' |
        grep -vE 'attribute|format ?\(' | report 'measure neither prints nor exits nor reads the environment' || true
}

# Bodies are from "{" to "}" in the first column.
check_sizes() {
    sources measure vmm tests | xargs -r -d '\n' awk -v limit=60 '
        /^{/ { start = FNR }
        /^}/ && start { if (FNR - start > limit) print FILENAME ":" start ":" FNR - start " lines"; start = 0 }
        FNR == 1 { start = 0 }' | report 'a function has at most 60 lines'
    sources measure vmm | xargs -r -d '\n' awk -v limit=600 '
        FNR == limit + 1 { print FILENAME ":" FNR ":longer than " limit " lines" }' |
        report 'a file has at most 600 lines'
}

# What is written when the program starts is relocated data, read-only afterwards: .data.rel.ro.
check_library() { # static library
    local name=${1##*/}
    objdump -t "$1" | awk -v name="$name" '
        /^[^ ]+[.]o: / { object = $1 }
        { section = "" }
        match($0, /[.](data|bss|tdata|tbss)[^\t ]*\t|\*COM\*\t/) { section = substr($0, RSTART, RLENGTH - 1) }
        section != "" && section !~ /^[.]data[.]rel[.]ro/ && $NF != section {
            print name "(" object "):0:" $NF " in " section
        }' | sed 's/:):/):/' | report 'measure has no mutable globals'
    nm -A -u "$1" 2>/dev/null | sed -E 's/^[^:]*:([^:]*): *[Uw] /\1 /' | awk -v name="$name" '
        $2 ~ /^(__)?(v?f?printf|v?dprintf|vprintf|puts|putchar|putc|fputc|fputs|fwrite|perror|psignal)(_chk)?$/ ||
        $2 ~ /^(stdin|stdout|stderr|getenv|secure_getenv|setenv|putenv|environ|exit|_exit|_Exit|quick_exit|abort|atexit|system|popen|fork|syslog|warn|warnx|err|errx)$/ {
            print name "(" $1 "):0:" $2
        }' | report 'measure neither prints nor exits nor reads the environment'
}

main() {
    case ${1:-} in
    -h | --help)
        usage
        return
        ;;
    '')
        usage >&2
        exit 2
        ;;
    esac
    local root=$1 library=${2:-}
    [ -z "$library" ] || library=$(readlink -f "$library")
    cd "$root"
    [ -d measure ] || { echo "test_rules.sh: $root has no measure/" >&2; exit 2; }
    shopt -s lastpipe # report counts in this shell
    find_includes
    check_layers
    check_libraries
    check_bytes
    check_words
    check_sizes
    [ -z "$library" ] || check_library "$library"
    if [ "$violations" -gt 0 ]; then
        echo "test_rules.sh: $violations places break a rule"
        exit 1
    fi
    echo 'test_rules.sh: no rule is broken'
}

main "$@"
