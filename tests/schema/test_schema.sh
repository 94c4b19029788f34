#!/bin/bash
# The golden domain documents are what libvirt's schema allows.
# usage: test_schema.sh GOLDEN-DIR
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
golden=$1
seen=0

validates() { # FILE
    xmllint --noout --relaxng "$here/domain.rng" "$1" 2>&1
}

for file in "$golden"/domain-*.xml; do
    [ "$file" = "$golden/domain-escapes.xml" ] && continue
    if ! complaint=$(validates "$file"); then
        echo "$complaint" >&2
        exit 1
    fi
    seen=$((seen + 1))
done
[ "$seen" -ge 6 ] || { echo "only $seen documents in $golden" >&2; exit 1; }

# Names that no host has are well-formed XML, and no more than that.
if validates "$golden/domain-escapes.xml" >/dev/null; then
    echo 'domain-escapes.xml is accepted: the schema checks nothing' >&2
    exit 1
fi
# A misspelt attribute is noticed.
changed=$(mktemp)
trap 'rm -f "$changed"' EXIT
sed 's/<tpm model=/<tpm modl=/' "$golden/domain-tdx-full.xml" >"$changed"
if validates "$changed" >/dev/null; then
    echo 'a TPM without a model is accepted: the schema checks nothing' >&2
    exit 1
fi
echo "$seen documents are valid"
