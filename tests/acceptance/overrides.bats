#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154,SC2030,SC2031  # backticks are for sed; bats assigns stderr, and knows its subshells
# What the host configuration says of every machine, and a request over it: each value reaches
# document, declaration and expectation, which agree. Nothing is started: --dry-run.
# CVM is the program, SUPPORT tests/support.

bats_require_minimum_version 1.5.0

setup() {
    work=$(mktemp -d)
    unset CVM_CONFIG CVM_CONNECT CVM_IMAGE_DIR CVM_STATE_DIR CVM_EMULATOR
    "$SUPPORT/make_bundle.py" "$work/dstack-0.5.11" --version 0.5.11
    printf '#!/bin/sh\necho "QEMU emulator version 9.2.1"\n' >"$work/emulator"
    chmod +x "$work/emulator"
}

teardown() {
    rm -rf "$work"
}

# The answer of a dry run, kept in $work/answer; either operand may be {}.
dry_run() { # HOST-QEMU OVERRIDES [MORE-OF-THE-HOST MORE-OF-THE-REQUEST]
    jq -n --arg place "$work" --argjson qemu "$1" --argjson more "${3:-{\}}" '{
        libvirt_uri: "qemu:///embed?root=\($place)", emulator: "\($place)/emulator",
        image_dir: $place, state_dir: "\($place)/state", qemu: $qemu } + $more' >"$work/host.json"
    jq -n --argjson overrides "$2" --argjson more "${4:-{\}}" '{
        name: "web", image: "dstack-0.5.11", vcpu: 1, memory: "2G", disk_size: "1G", no_tee: true,
        app_compose: {}, overrides: $overrides } + $more' >"$work/request.json"
    "$CVM" --config "$work/host.json" --json launch --dry-run "$work/request.json" 2>"$work/stderr" \
        >"$work/answer" || { cat "$work/stderr" && return 1; }
    jq -r .domain_xml "$work/answer" >"$work/domain.xml"
    jq .expected.vm_config "$work/answer" >"$work/vm_config.json"
    # What a verifier makes of the declaration is what was expected.
    "$CVM" --json measure --image "$work/dstack-0.5.11" --vm-config "$work/vm_config.json" \
        2>/dev/null | jq -S '{mrtd, rtmr0, rtmr1, rtmr2}' >"$work/measured"
    diff <(jq -S '.expected | {mrtd, rtmr0, rtmr1, rtmr2}' "$work/answer") "$work/measured"
}

declared() { # jq expression
    jq -c "$1" "$work/vm_config.json"
}

register() { # NAME
    jq -r ".expected.$1" "$work/answer"
}

has_node() { # XPATH
    xmllint --xpath "$1" "$work/domain.xml" >/dev/null 2>&1
}

# key | host's | request's | a node of the document with the host's, with the request's |
# what is declared with the host's, with the request's | the register that shows it
ARG='//*[local-name()="arg"]'
OVERRIDES="
pic|true|false|${ARG}[@value='pic=on']|${ARG}[@value='pic=off']|true|false|rtmr0
smm|true|false|//smm[@state='on']|//smm[@state='off']|true|null|rtmr0
hotplug_off|true|false|${ARG}[contains(@value,'bridge-support=off')]|/domain[not(${ARG}[contains(@value,'bridge-support')])]|true|false|rtmr0
pci_hole64_size|\"64G\"|\"128G\"|//pcihole64[.='67108864']|//pcihole64[.='134217728']|68719476736|137438953472|rtmr0
pciexbar_base|2952790016|2684354560|/domain|/domain|2952790016|2684354560|rtmr0
pci_window64_base|1099511627776|2199023255552|/domain|/domain|1099511627776|2199023255552|rtmr0
qemu_single_pass_add_pages|true|false|/domain|/domain|true|false|mrtd
cpu_signature|788210|525042|/domain|/domain|788210|525042|
cpu_features_edx|799783935|260832255|/domain|/domain|799783935|260832255|
host_share_mode|\"vhd\"|\"9p\"|//disk/source[contains(@file,'share.img')]|//filesystem|\"vhd\"|\"9p\"|
"

check_said() { # KEY NODE DECLARED
    has_node "$2" || { echo "$1: no $2" && cat "$work/domain.xml" && return 1; }
    [ "$(declared ".$1")" = "$3" ] || { echo "$1: $(declared ".$1"), not $3" && return 1; }
}

check_override() { # KEY HOST REQUEST HOST-NODE REQUEST-NODE HOST-DECLARED REQUEST-DECLARED REGISTER
    local by_host
    dry_run "{\"$1\":$2}" '{}'
    check_said "$1" "$4" "$6"
    by_host=$(register "${8:-rtmr0}")
    dry_run '{}' "{\"$1\":$2}"
    check_said "$1" "$4" "$6"
    [ "$(register "${8:-rtmr0}")" = "$by_host" ]
    dry_run "{\"$1\":$2}" "{\"$1\":$3}"
    check_said "$1" "$5" "$7"
    [ -z "$8" ] || [ "$(register "$8")" != "$by_host" ]
}

@test "each override of the host applies, and the request's wins over it" {
    count=0
    while IFS='|' read -r key host request host_node request_node host_says request_says register; do
        [ -n "$key" ] || continue
        check_override "$key" "$host" "$request" "$host_node" "$request_node" "$host_says" \
            "$request_says" "$register" || { echo "key $key" && return 1; }
        count=$((count + 1))
    done <<<"$OVERRIDES"
    # None is forgotten: the keys of the documentation are the keys of the table.
    documented=$(sed -n '/^## qemu/,/^## Where/s/^| `\([a-z0-9_]*\)`.*/\1/p' \
        "$BATS_TEST_DIRNAME/../../docs/host-config.md" | sort)
    [ "$documented" = "$(cut -d '|' -f 1 <<<"$OVERRIDES" | sed '/^$/d' | sort)" ]
    [ "$count" -eq "$(wc -l <<<"$documented")" ]
}

@test "overrides of host and request add up" {
    dry_run '{"pic":true,"hotplug_off":true}' '{"pic":false,"pci_hole64_size":"64G"}'
    [ "$(declared '[.pic, .hotplug_off, .pci_hole64_size]')" = '[false,true,68719476736]' ]
}

@test "a TPM is declared, measured and in the document" {
    dry_run '{}' '{}'
    without=$(register rtmr0)
    run ! has_node '//tpm'
    [ "$(declared .swtpm)" = null ]
    dry_run '{}' '{}' '{}' '{"swtpm":true}'
    has_node "//tpm[@model='tpm-tis']/backend[@type='emulator' and @version='2.0']"
    [ "$(declared .swtpm)" = true ]
    [ "$(register rtmr0)" != "$without" ]
}

@test "SMBIOS strings: the request's win one by one, and an empty one is QEMU's default" {
    dry_run '{}' '{}' '{"smbios":{"manufacturer":"Host","product":"P","sku":"K"}}' \
        '{"smbios":{"product":"Mine","sku":"","serial":"7"}}'
    [ "$(declared .smbios)" = '{"manufacturer":"Host","product":"Mine","serial":"7"}' ]
    has_node "//os/smbios[@mode='sysinfo']"
    has_node "//sysinfo/system[count(entry)=3]/entry[@name='manufacturer' and .='Host']"
    has_node "//sysinfo/system/entry[@name='product' and .='Mine']"
    dry_run '{}' '{}'
    [ "$(declared .smbios)" = null ]
    run ! has_node '//sysinfo'
    run ! has_node '//os/smbios'
}

@test "what is no SMBIOS string is refused before anything is written" {
    for bad in '"a\nb"' '"é"' '"\u007f"' "\"$(printf 'x%.0s' {1..64})\""; do
        run dry_run '{}' '{}' '{}' "{\"smbios\":{\"product\":$bad}}"
        [ "$status" -ne 0 ]
        [[ $output == *smbios* ]]
    done
    [ ! -e "$work/state" ]
}
