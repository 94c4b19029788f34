#!/bin/bash
# Rewrites golden files of tests/golden that our own code makes, and shows what changed.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: regenerate.sh BUILD-DIR

Writes tests/golden/domain-*.xml with the programs of BUILD-DIR, and shows the
difference to what is committed. Changed golden files are a commit of their own,
whose message shows that difference and says why it is right. What tests/vectors
holds is never written: it comes from elsewhere.

example: cmake --build build/debug && tests/regenerate.sh build/debug
exit status: 0 done, 2 usage, others: a program failed
HELP
}

case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
'' | -*)
    usage >&2
    exit 2
    ;;
esac

golden=$(dirname "$(readlink -f "$0")")/golden
"$1/tests/unit/vmm/test_domain_xml" --write "$golden"
git -C "$golden" --no-pager diff --stat -p -- .
