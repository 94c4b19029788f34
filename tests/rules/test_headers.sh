#!/bin/bash
# Compiles headers alone, each twice in one file so that include guards count.
#
# usage: test_headers.sh c|c++|internal COMPILER SOURCE-ROOT
#
# c and c++: the installed headers, as C17 and C++17, with nothing but themselves on the path.
# internal: all other headers of measure/, as the project compiles them.
set -euo pipefail

kind=${1:?} compiler=${2:?} root=${3:?}

flags=(-fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wundef -Werror)
case $kind in
c)
    flags+=(-x c -std=c17 -Wstrict-prototypes -I "$root/measure/include")
    folder=measure/include
    ;;
c++)
    flags+=(-x c++ -std=c++17 -I "$root/measure/include")
    folder=measure/include
    ;;
internal)
    flags+=(-x c -std=c17 -D_GNU_SOURCE -I "$root" -I "$root/measure/include")
    folder=measure
    ;;
*)
    echo "test_headers.sh: no such kind as '$kind'" >&2
    exit 2
    ;;
esac

count=0
failures=0
while IFS= read -r header; do
    [ "$kind" != internal ] || [[ $header != measure/include/* ]] || continue
    count=$((count + 1))
    name=${header#measure/include/}
    if ! printf '#include "%s"\n#include "%s"\nextern int not_empty;\n' "$name" "$name" |
        "$compiler" "${flags[@]}" -; then
        echo "$header: does not compile alone as $kind"
        failures=$((failures + 1))
    fi
done < <(cd "$root" && find "$folder/" -name '*.h' | sort)

echo "test_headers.sh: $count headers as $kind, $failures failed"
[ "$count" -gt 0 ] && [ "$failures" -eq 0 ]
