#!/usr/bin/env bash
# Builds the program where neither libvirt nor libxml2 nor libuuid can be found, with
# CVM_BUILD_LAUNCH=OFF, and wants it to have no trace of them and to know every command that judges
# or measures; and the library alone where there is no json-c either.
#
# usage: test_no_launch.sh CMAKE CC SOURCE_DIR
set -euo pipefail

cmake=$1 cc=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A pkg-config that does not know the libraries after its name.
hide() { # name, libraries as a pattern
    cat >"$work/$1" <<SH
#!/bin/sh
case "\$*" in
*$2*) exit 1 ;;
esac
exec pkg-config "\$@"
SH
    chmod +x "$work/$1"
}

configure() { # directory, pkg-config, options
    "$cmake" -G Ninja -S "$source" -B "$work/$1" -DCMAKE_C_COMPILER="$cc" \
        -DPKG_CONFIG_EXECUTABLE="$work/$2" -DCVM_BUILD_TESTS=OFF "${@:3}" >"$work/$1.log" 2>&1
}

# shellcheck disable=SC2016  # for the script
hide no-launch 'libvirt*|*libxml-2.0*|*uuid'
hide library-only 'libvirt*|*libxml-2.0*|*uuid*|*json-c'

if configure whole no-launch; then
    echo 'the libraries were not hidden: a build with the launch side was configured'
    exit 1
fi
configure program no-launch -DCVM_BUILD_LAUNCH=OFF || { cat "$work/program.log"; exit 1; }
ninja -C "$work/program" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
cvm=$work/program/vmm/cvm
if ldd "$cvm" | grep -E 'virt|xml2|uuid'; then
    echo 'the program is linked with the launch side'
    exit 1
fi
for command in 'image verify' acpi measure vm-config keygen 'manifest create' 'manifest verify' \
    'manifest show' 'manifest export'; do
    # shellcheck disable=SC2086  # a command may be two words
    "$cvm" $command --help >/dev/null || { echo "no command $command"; exit 1; }
done
if "$cvm" launch --help 2>/dev/null; then
    echo 'the program says it can launch'
    exit 1
fi

configure library library-only -DCVM_BUILD_PROGRAM=OFF || { cat "$work/library.log"; exit 1; }
ninja -C "$work/library" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
if ldd "$work/library/measure/libcvm-measure.so" | grep -E 'virt|xml2|uuid|json'; then
    echo 'the library is linked with what only the program needs'
    exit 1
fi
echo 'program without launching, and library alone, are what they should be'
