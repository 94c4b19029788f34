#!/bin/bash
# Compares the man pages with the program's own help, in both directions.
#
# usage: check-options.sh CVM
#
# Each "--option" and "-o" of `cvm COMMAND --help` has to be in the command's page, each command in
# cvm.1, and each "--option" of a page in the help of one of its commands. Where groff is at hand,
# the pages have to be without warnings as well.
set -euo pipefail

cvm=${1:?usage: check-options.sh CVM}
here=$(dirname "$(readlink -f "$0")")
failures=0

fail() {
    echo "check-options.sh: $*"
    failures=$((failures + 1))
}

# The commands by the program's help: "image list", "acpi", ...
commands() {
    "$cvm" --help | awk '
        /^$/ { listing = 0 }
        listing { sub(/^ +/, ""); sub(/  .*/, ""); print }
        /^Commands:/ { listing = 1 }'
}

page_of() { # command
    case $1 in
    image\ *) echo cvm-image.1 ;;
    manifest\ *) echo cvm-manifest.1 ;;
    vm-config | launch) echo cvm-launch.1 ;;
    list | show | start | stop | remove | logs) echo cvm-guests.1 ;;
    *) echo "cvm-$1.1" ;;
    esac
}

# The text of a page without fonts and escaped dashes.
page_text() { # page
    sed -e 's/\\f[BIRP]//g' -e 's/\\-/-/g' "$here/$1"
}

help_of() { # command
    # shellcheck disable=SC2086  # a command may be two words
    "$cvm" $1 --help
}

long_options() {
    grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# The options of a help text, each once: "  -m --machine FILE   what it does".
table_options() {
    sed -nE 's/^  (-[a-z]|  ) (--[a-z0-9-]+).*/\1 \2/p' | tr -s ' ' '\n' | grep -e - | sort -u
}

check_command() { # command
    local page option text
    page=$(page_of "$1")
    if [ ! -f "$here/$page" ]; then
        fail "cvm $1: there is no $page"
        return
    fi
    text=$(page_text "$page") # not through a pipe: grep -q goes before a long page was written
    while read -r option; do
        grep -qE -- "(^|[^a-z0-9-])$option([^a-z0-9-]|\$)" <<<"$text" ||
            fail "cvm $1: $option is not in $page"
    done < <(help_of "$1" | table_options)
    text=$(page_text cvm.1 | sed -n '/^.SH COMMANDS/,/^.SH OPTIONS/p')
    grep -qwF -- "$1" <<<"$text" ||
        fail "cvm $1 is not in cvm.1"
}

# What a page says that the program does not know (any more).
check_page() { # page, help texts of its commands on stdin
    local option known
    known=$(long_options)
    while read -r option; do
        grep -qxF -- "$option" <<<"$known" || fail "$1: no command of it has $option"
    done < <(page_text "$1" | long_options)
}

check_warnings() { # page
    local warnings
    command -v groff >/dev/null || return 0
    warnings=$(groff -man -ww -Tutf8 -z "$here/$1" 2>&1) || true
    [ -z "$warnings" ] || fail "$1: $warnings"
}

declare -A helps=([cvm.1]=$("$cvm" --help))
count=0
while IFS= read -r command; do
    count=$((count + 1))
    check_command "$command"
    page=$(page_of "$command")
    helps[$page]+=$(help_of "$command")
    helps[cvm.1]+=$(help_of "$command")
done < <(commands)
[ "$count" -gt 0 ] || fail "$cvm --help lists no commands"

for page in "$here"/*.1; do
    page=${page##*/}
    if [ -n "${helps[$page]:-}" ]; then
        check_page "$page" <<<"${helps[$page]}"
    else
        fail "$page: describes no command"
    fi
    check_warnings "$page"
done

echo "check-options.sh: $count commands, ${#helps[@]} pages, $failures failed"
[ "$failures" -eq 0 ]
