#!/bin/bash
# Checks golden domain documents against libvirt's own schema: see --help.
set -euo pipefail

schema=/usr/share/libvirt/schemas/domain.rng

usage() {
    cat <<'HELP'
usage: check_schema.sh FILE.xml ...

Validates each document against the schema of the libvirt that is installed. What
that libvirt does not know yet is taken out first, and said: launchSecurity of type
tdx (11.6 and newer), iommufd of a device (12.1) and of a domain (12.2).

exit status: 0 all are valid, 1 one is not, 2 usage, 77 no schema or no xmllint
HELP
}

# Whether this libvirt's schemas have a word.
knows() {
    grep -rqsF "$1" "${schema%/*}"
}

# The document without what is not known here, and what that was on stderr.
known_part() { # FILE
    local program=
    knows '<value>tdx</value>' || {
        program+='/<launchSecurity type=.tdx.>/,/<\/launchSecurity>/d;'
        ! grep -q "launchSecurity type='tdx'" "$1" || echo "$1: launchSecurity tdx not checked" >&2
    }
    knows 'iommufd' || {
        program+="/<iommufd enabled=/d; s/ iommufd='yes'//;"
        ! grep -q iommufd "$1" || echo "$1: iommufd not checked" >&2
    }
    sed "$program" "$1"
}

main() {
    local file status=0 work
    case ${1:-} in
    -h | --help) usage && exit ;;
    '') usage >&2 && exit 2 ;;
    esac
    if [ ! -r "$schema" ] || ! command -v xmllint >/dev/null; then
        echo "SKIPPED: no $schema, or no xmllint (packaging/install-deps run test)"
        exit 77
    fi
    work=$(mktemp)
    # shellcheck disable=SC2064  # the name of now
    trap "rm -f '$work'" EXIT
    for file in "$@"; do
        known_part "$file" >"$work"
        xmllint --noout --relaxng "$schema" "$work" 2>"$work.log" || {
            echo "$file: not valid:" && cat "$work.log"
            status=1
        }
        rm -f "$work.log"
    done
    exit "$status"
}

main "$@"
