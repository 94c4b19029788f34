#!/bin/bash
# The names that the shared library exports are those of a list, so that additions are deliberate.
#
# usage: test_exports.sh LIBRARY.so LIST
set -euo pipefail

library=${1:?} list=${2:?}

# Kind and name, without addresses; versions and sizes do not matter here.
exported() {
    nm -D --defined-only "$library" | awk '{ print $2, $3 }' | LC_ALL=C sort
}

if ! exported | diff -u "$list" -; then
    echo "test_exports.sh: the exports changed: if that is meant, add the lines with + to $list"
    echo 'and remove those with -, which is a new soname'
    exit 1
fi
