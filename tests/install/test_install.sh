#!/usr/bin/env bash
# Installs the project into a directory of its own, builds docs/example against it through
# pkg-config, with the shared and with the static library, and holds its answer against the one of
# `cvm measure` for the same image and machine.
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
compile() { # output, extra arguments
    # shellcheck disable=SC2046
    "$cc" -std=c17 -Wall -Wextra -Wconversion -Werror "$source/docs/example/expect.c" \
        $(pkg-config --cflags cvm-measure) "${@:2}" -o "$1"
}
# shellcheck disable=SC2046
compile "$work/shared" $(pkg-config --libs cvm-measure libcrypto)
# shellcheck disable=SC2046
compile "$work/static" "$libdir/libcvm-measure.a" $(pkg-config --libs libcrypto libcbor liblzma)

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
echo "the example agrees with cvm measure, with both libraries"
