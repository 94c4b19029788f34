#!/usr/bin/env bash
# Installs the project into a directory of its own, builds docs/example against it through
# pkg-config, with the shared and with the static library, and holds the answers against those of
# cvm: `cvm measure` for the same image and machine, and a manifest that cvm signed. A captured quote
# has to be accepted.
#
# usage: test_install.sh CMAKE CC BUILD_DIR SOURCE_DIR CVM
set -euo pipefail

cmake=$1 cc=$2 build=$3 source=$4 cvm=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/moved/prefix" >/dev/null
mv "$work/moved/prefix" "$work/prefix" # an installed tree can be moved
pc=$(find "$work/prefix" -name cvm-measure.pc)
libdir=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}

# Headers that the example does not ask for must not be needed by those it does.
compile() { # example, output, extra arguments
    # shellcheck disable=SC2046
    "$cc" -std=c17 -Wall -Wextra -Wconversion -Werror "$source/docs/example/$1.c" \
        $(pkg-config --cflags cvm-measure) "${@:3}" -o "$2"
}
# shellcheck disable=SC2046
compile expect "$work/shared" $(pkg-config --libs cvm-measure libcrypto)
# shellcheck disable=SC2046
compile expect "$work/static" "$libdir/libcvm-measure.a" $(pkg-config --libs libcrypto libcbor liblzma)
# shellcheck disable=SC2046
compile check_manifest "$work/manifest-shared" $(pkg-config --libs cvm-measure)
# shellcheck disable=SC2046
compile check_manifest "$work/manifest-static" "$libdir/libcvm-measure.a" \
    $(pkg-config --libs libcrypto libcbor liblzma)
# shellcheck disable=SC2046
compile check_quote "$work/check_quote" $(pkg-config --libs cvm-measure)

python3 "$source/tests/support/make_bundle.py" "$work/bundle" >/dev/null
bundle=$work/bundle
name() { jq -r ".$1" "$bundle/metadata.json"; }
arguments=("$bundle/$(name bios)" "$bundle/$(name kernel)" "$bundle/$(name initrd)"
    "$(name cmdline)" pre202505 9.2.1 2 4096)

want=$("$cvm" measure --no-cache --image "$bundle" --cpus 2 --memory 4G --qemu-version 9.2.1 \
    --ovmf-variant pre202505 --rootfs-device virtio-blk 2>/dev/null | head -n 4)
for program in shared static; do
    got=$(LD_LIBRARY_PATH=$libdir "$work/$program" "${arguments[@]}")
    if [[ $got != "$want" ]]; then
        printf '%s library:\n%s\ncvm measure:\n%s\n' "$program" "$got" "$want"
        exit 1
    fi
done

# A manifest that cvm signed: its registers, a machine found by them, another key, a changed byte.
"$cvm" measure --image "$bundle" --cpus 2 --memory 4G --qemu-version 9.2.1 --json \
    --ovmf-variant pre202505 --rootfs-device virtio-blk 2>/dev/null | jq -c .vm_config \
    >"$work/two.json"
"$cvm" keygen "$work/key" >/dev/null
"$cvm" keygen "$work/other" >/dev/null
"$cvm" manifest create --image "$bundle" --vm-config "$work/two.json" --key "$work/key" \
    --out "$work/manifest.json" 2>/dev/null
jq -c '.signatures[0].sig |= "AAAA" + .[4:]' "$work/manifest.json" >"$work/changed.json"
mapfile -t registers < <(awk '{ print $2 }' <<<"$want")
for program in manifest-shared manifest-static; do
    check() {
        LD_LIBRARY_PATH=$libdir "$work/$program" "$@" 2>&1 || echo "status $?"
    }
    [[ $(check "$work/manifest.json" "$work/key.pub") == "two"$'\n'"$want" ]]
    [[ $(check "$work/manifest.json" "$work/key.pub" "${registers[@]}") == *"are those of 'two'" ]]
    [[ $(check "$work/manifest.json" "$work/key.pub" "${registers[@]:1}" "${registers[0]}") == \
        *"no machine"*"status 1" ]]
    [[ $(check "$work/manifest.json" "$work/other.pub") == "mismatch: signature: "*"status 1" ]]
    [[ $(check "$work/changed.json" "$work/key.pub") == "mismatch: signature: "*"status 1" ]]
done

# The captured quote, and its events in the binary form; RTMR3 is the guest's and not in that log.
vector=$source/tests/vectors/hw/tdx-lite-2cpu-2g.json
jq -r .quote_hex "$vector" >"$work/quote.hex"
xxd -r -p "$work/quote.hex" | grep -a -A 99 'BEGIN CERT' | tr -d '\0' |
    awk '/BEGIN CERT/ { text = "" } { text = text $0 "\n" } END { printf "%s", text }' >"$work/root.pem"
"$source/tests/support/make_evidence.py" log "$work" --events "$vector"
LD_LIBRARY_PATH=$libdir "$work/check_quote" "$work/quote.hex" "$work/root.pem" >"$work/answer"
grep -q 'certificates lead to the root' "$work/answer"
status=0
LD_LIBRARY_PATH=$libdir "$work/check_quote" "$work/quote.hex" "$work/root.pem" "$work/ccel.bin" \
    >"$work/answer" 2>&1 || status=$?
[ "$status" -eq 1 ]
[ "$(grep -c "the log gives the quote's value" "$work/answer")" -eq 3 ]
grep -q 'rtmr3: the log gives another value' "$work/answer"
sed 's/^\(.\{2000\}\)../\1ff/' "$work/quote.hex" >"$work/other.hex"
if LD_LIBRARY_PATH=$libdir "$work/check_quote" "$work/other.hex" "$work/root.pem" >/dev/null 2>&1; then
    echo 'a quote that was changed is accepted'
    exit 1
fi
echo "the examples agree with cvm, with both libraries; the captured quote is accepted, and no other"
