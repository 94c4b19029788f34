#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# shellcheck disable=SC2016  # $ is jq's
# Evidence held against expectations, and what explains it when it does not match.
# CVM is the program, VECTORS the directory tests/vectors, SUPPORT tests/support.

bats_require_minimum_version 1.5.0

hash=e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db
compose=86b0e55f2fa8e4fb69d890f14f54d5612707646e2573d54e0d2ddaaade77caa9

setup() {
    work=$(mktemp -d)
    vector=$VECTORS/hw/tdx-lite-2cpu-2g.json
    jq -r .vm_config_text "$vector" >"$work/vm_config.json"
    jq .event_log "$vector" >"$work/log.json"
    jq -r .quote_hex "$vector" >"$work/quote.hex"
    xxd -r -p "$work/quote.hex" "$work/quote.bin"
    # Intel's root certificate, out of the chain that the quote carries
    python3 - "$work" <<'PY'
import pathlib, sys
work = pathlib.Path(sys.argv[1])
quote = (work / "quote.bin").read_bytes()
(work / "root.pem").write_bytes(quote[quote.rindex(b"-----BEGIN"):].rstrip(b"\0"))
PY
}

teardown() {
    rm -rf "$work"
}

verify() { # options
    run --separate-stderr "$CVM" verify --at 2026-12-01T00:00:00Z "$@"
    echo "status $status: $stderr"
}

# Evidence of a guest whose registers are what `cvm measure` says for these options.
measure_into() { # directory, options of cvm measure
    mkdir -p "$work/keys"
    "$CVM" measure --json "${@:2}" >"$work/expected.json"
    mapfile -t registers < <(jq -r '"mrtd=\(.mrtd)", "rtmr0=\(.rtmr0)", "rtmr1=\(.rtmr1)", "rtmr2=\(.rtmr2)"' \
        "$work/expected.json")
    "$SUPPORT/make_evidence.py" quote "$1" --keys "$work/keys" "${registers[@]/#/--set=}"
    jq '[.events[] | {imr: (.register | ltrimstr("rtmr") | tonumber), event_type: 0, digest,
        event: .name, event_payload: ""}]' "$work/expected.json" >"$1/log.json"
    jq -c .vm_config "$work/expected.json" >"$1/vm_config.json"
}

# --- verify ---

@test "the captured quote is verified up to Intel's root, with everything in it" {
    verify --quote "$work/quote.hex" --event-log "$work/log.json" \
        --vm-config "$work/vm_config.json" --os-image-hash "$hash" --root-ca "$work/root.pem" \
        --compose-hash "$compose" --app-id 86b0e55f2fa8e4fb69d890f14f54d5612707646e
    [ "$status" -eq 0 ]
    [[ $output == "as expected"* ]]
    [[ $output != *"unverified quote"* ]]
    [[ $output == *"not checked: revocation of certificates, TCB level of the platform"* ]]
    [[ $output == *"root certificate 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"* ]]
}

@test "one document holds all evidence, and the forms of quote and log are told apart" {
    verify --evidence "$vector" --os-image-hash "$hash" --root-ca "$work/root.pem" --json
    [ "$status" -eq 0 ]
    jq -e '.passed and .quote.verified and .first_difference == null' <<<"$output"
    "$SUPPORT/make_evidence.py" log "$work" --events "$work/log.json"
    base64 -w 76 "$work/quote.bin" >"$work/quote.base64"
    base64 -w 0 "$work/ccel.bin" >"$work/ccel.base64"
    xxd -p "$work/ccel.bin" >"$work/ccel.hex"
    for log in ccel.bin ccel.base64 ccel.hex; do
        for quote in quote.bin quote.base64 quote.hex; do
            run --separate-stderr "$CVM" verify --quote "$work/$quote" --event-log "$work/$log" \
                --vm-config "$work/vm_config.json" --os-image-hash "$hash" --json
            # the binary log holds no run-time events: RTMR3 is not replayed
            [ "$status" -eq 1 ]
            jq -e '[.checks[] | select(.passed | not) | .name] == ["replay-rtmr3"]' <<<"$output"
        done
    done
}

@test "without a root, every line that rests on the quote says so" {
    verify --evidence "$vector" --os-image-hash "$hash"
    [ "$status" -eq 0 ]
    unmarked=$(grep -v 'unverified quote' <<<"$output" | grep -v '^$' |
        grep -vE '^not checked:|^ok +os-image-hash ' || true)
    [ -z "$unmarked" ]
    verify --evidence "$vector" --os-image-hash "$hash" --json
    jq -e '.reserve == "unverified quote" and (.quote.verified | not) and
        ([.checks[] | select(.name != "os-image-hash") | .reserve] | all(. == "unverified quote")) and
        ([.registers[] | .reserve, (.events[]?.reserve)] | all(. == "unverified quote"))' <<<"$output"
}

@test "expected values never come from the evidence" {
    verify --evidence "$vector" --root-ca "$work/root.pem"
    [ "$status" -eq 2 ]
    [[ $stderr == *"nothing to hold the evidence against"* ]]
    verify --evidence "$vector" --os-image-hash "${hash/e6/e7}" --root-ca "$work/root.pem"
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED os-image-hash    the image is another one"* ]]
}

@test "a bundle is an anchor, and must be the one that is declared" {
    "$SUPPORT/make_bundle.py" "$work/image" --ovmf-variant pre202505
    measure_into "$work/guest" --image "$work/image" --cpus 2 --memory 4G --qemu-version 9.2.0
    verify --quote "$work/guest/quote.bin" --event-log "$work/guest/log.json" \
        --vm-config "$work/guest/vm_config.json" --image "$work/image" \
        --root-ca "$work/guest/root.pem" --json
    [ "$status" -eq 0 ]
    anchor=$(jq -r '.checks[] | select(.name == "rtmr0") | .anchor' <<<"$output")
    [ "$anchor" = "bundle 'image', os_image_hash $(cat "$work/image/digest.txt")" ]
    "$SUPPORT/make_bundle.py" "$work/other" --initrd-size 5000 --ovmf-variant pre202505
    verify --quote "$work/guest/quote.bin" --vm-config "$work/guest/vm_config.json" \
        --image "$work/other" --root-ca "$work/guest/root.pem" --json
    [ "$status" -eq 1 ]
    jq -e '[.checks[] | select(.passed | not) | .name] == ["rtmr1", "rtmr2", "image"]' <<<"$output"
}

# A key, and a manifest of machines with these numbers of CPUs.
sign_machines() { # image, number...
    printf '%s\n' "${@:2}" | jq -s '{cpu_count: ., memory_size: "4G", qemu_version: "9.2.0"}' \
        >"$work/matrix.json"
    "$CVM" keygen "$work/key" >/dev/null
    "$CVM" manifest create --image "$1" --matrix "$work/matrix.json" --key "$work/key" \
        --not-after 2027-01-01T00:00:00Z --out "$work/manifest.json"
}

@test "a signed manifest is an anchor, for any machine in it" {
    "$SUPPORT/make_bundle.py" "$work/image" --ovmf-variant pre202505
    image_hash=$(cat "$work/image/digest.txt")
    measure_into "$work/guest" --image "$work/image" --cpus 2 --memory 4G --qemu-version 9.2.0
    sign_machines "$work/image" 1 2 4
    evidence=(--quote "$work/guest/quote.bin" --root-ca "$work/guest/root.pem")
    trust=(--manifest "$work/manifest.json" --key "$work/key.pub")
    # without a vm_config, for the manifest says what is expected
    verify "${evidence[@]}" "${trust[@]}" --event-log "$work/guest/log.json" --json
    [ "$status" -eq 0 ]
    name=$("$CVM" manifest verify "$work/manifest.json" --key "$work/key.pub" --json \
        --at 2026-12-01T00:00:00Z | jq -r --slurpfile e "$work/expected.json" \
        '.shapes[] | select(.rtmr0 == $e[0].rtmr0) | .name')
    signer=$(openssl pkey -pubin -in "$work/key.pub" -outform DER | sha256sum | cut -d ' ' -f 1)
    events=$(jq '[.events[] | select(.register == "rtmr0")] | length' "$work/expected.json")
    jq -e --arg anchor "manifest key $signer, machine '$name'" --argjson events "$events" '
        .passed and .expected_from == $anchor and
        ([.registers[] | select(.name == "rtmr0") | .events[]] | length) == $events and
        ([.checks[] | select(.name == "rtmr0") | .anchor] == [$anchor])' <<<"$output"
    verify "${evidence[@]}" "${trust[@]}" --vm-config "$work/guest/vm_config.json" \
        --os-image-hash "$image_hash" --shape "$name" --subject "$work/image/sha256sum.txt" --json
    [ "$status" -eq 0 ]
    jq -e '[.checks[] | select(.name == "os-image-hash" or .name == "image") | .passed] == [true, true]' \
        <<<"$output"
    # a machine that was not signed is held against the one that comes nearest
    measure_into "$work/large" --image "$work/image" --cpus 8 --memory 4G --qemu-version 9.2.0
    verify --quote "$work/large/quote.bin" --root-ca "$work/large/root.pem" "${trust[@]}" \
        --event-log "$work/large/log.json" --json
    [ "$status" -eq 1 ]
    jq -e '.first_difference.register == "rtmr0" and
        [.checks[] | select(.passed | not) | .name] == ["rtmr0"]' <<<"$output"
    # registers that are for information only are not compared
    "$CVM" manifest create --image "$work/image" --matrix "$work/matrix.json" --key "$work/key" \
        --information rtmr0 --out "$work/loose.json"
    verify --quote "$work/large/quote.bin" --root-ca "$work/large/root.pem" \
        --manifest "$work/loose.json" --key "$work/key.pub" --json
    [ "$status" -eq 0 ]
    jq -e '[.checks[].name | select(. == "rtmr0")] == []' <<<"$output"
}

@test "a manifest that does not verify is no anchor" {
    "$SUPPORT/make_bundle.py" "$work/image" --ovmf-variant pre202505
    measure_into "$work/guest" --image "$work/image" --cpus 2 --memory 4G --qemu-version 9.2.0
    sign_machines "$work/image" 2
    "$CVM" keygen "$work/other" >/dev/null
    evidence=(--quote "$work/guest/quote.bin" --root-ca "$work/guest/root.pem")
    trust=(--manifest "$work/manifest.json" --key "$work/key.pub")
    verify "${evidence[@]}" --manifest "$work/manifest.json" --key "$work/other.pub"
    [ "$status" -eq 1 ] && [ -z "$output" ]
    [[ $stderr == *"manifest '$work/manifest.json': signature"* ]]
    verify "${evidence[@]}" "${trust[@]}" --key "$work/other.pub" --threshold 2
    [ "$status" -eq 1 ] && [ -z "$output" ]
    verify "${evidence[@]}" "${trust[@]}" --at 2027-06-01T00:00:00Z
    [ "$status" -eq 1 ] && [ -z "$output" ]
    verify "${evidence[@]}" "${trust[@]}" --subject "$work/guest/log.json"
    [ "$status" -eq 1 ] && [ -z "$output" ]
    verify "${evidence[@]}" "${trust[@]}" --os-image-hash "$hash"
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED os-image-hash"* ]]
    for wrong in "--shape none" "--threshold 0" "--image $work/image" "--ovmf-variant pre202505"; do
        # shellcheck disable=SC2086
        verify "${evidence[@]}" "${trust[@]}" $wrong
        [ "$status" -eq 2 ]
    done
    verify "${evidence[@]}" --manifest "$work/manifest.json"
    [ "$status" -eq 2 ]
    verify "${evidence[@]}" --image "$work/image" --vm-config "$work/guest/vm_config.json" \
        --key "$work/key.pub"
    [ "$status" -eq 2 ]
}

@test "every way in which a quote can be wrong" {
    declare -A wrong=(
        [binding]="does not bind the attestation key"
        [debug-enclave]="a debug enclave"
        [qe-signature]="report of the quoting enclave, key of the PCK certificate"
        [signature]="quote, attestation key: the signature is not"
        [no-sgx-extension]="no PCK certificate"
        [no-ca]="invalid CA certificate"
        [other-root]="unable to get local issuer certificate"
        [no-certificates]="carries no certificates"
    )
    for what in "${!wrong[@]}"; do
        "$SUPPORT/make_evidence.py" quote "$work/$what" --wrong "$what" --version 5 --report 1.5
        run --separate-stderr "$CVM" verify --quote "$work/$what/quote.bin" \
            --vm-config "$work/vm_config.json" --os-image-hash "$hash" \
            --root-ca "$work/$what/root.pem" --json
        echo "$what: $status $output $stderr"
        [ "$status" -eq 1 ]
        detail=$(jq -r '.checks[] | select(.name == "quote-signature") | select(.passed | not) | .detail' \
            <<<"$output")
        [[ $detail == *"${wrong[$what]}"* ]]
        jq -e '.reserve == "unverified quote"' <<<"$output"
    done
}

@test "certificates are checked at the time that is given" {
    verify --evidence "$vector" --os-image-hash "$hash" --root-ca "$work/root.pem" \
        --at 2040-01-01T00:00:00Z
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED quote-signature  certificate"*"certificate has expired"* ]]
    verify --evidence "$vector" --os-image-hash "$hash" --at yesterday
    [ "$status" -ne 0 ]
    [[ $stderr == *"'yesterday' is not a time"* ]]
}

@test "a TD under debug proves nothing, unless that is accepted" {
    jq -r '.registers | to_entries[] | "\(.key)=\(.value)"' "$vector" >"$work/registers"
    mapfile -t registers <"$work/registers"
    "$SUPPORT/make_evidence.py" quote "$work/debug" "${registers[@]/#/--set=}" \
        --set td_attributes=0100001000000000
    evidence=(--quote "$work/debug/quote.bin" --event-log "$work/log.json" --vm-config
        "$work/vm_config.json" --os-image-hash "$hash" --root-ca "$work/debug/root.pem")
    verify "${evidence[@]}"
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED td-debug"* ]]
    verify "${evidence[@]}" --allow-debug
    [ "$status" -eq 0 ]
}

@test "the first difference comes first, and events stand beside their like" {
    verify --evidence "$vector" --os-image-hash "$hash" --ovmf-variant stable202505 \
        --root-ca "$work/root.pem"
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = "NOT as expected" ]
    [ "${lines[1]}" = "first difference: rtmr0, event 2: missing" ]
    verify --evidence "$vector" --os-image-hash "$hash" --ovmf-variant stable202505 --json
    words=$(jq -r '.registers[] | select(.name == "rtmr0") | [.events[].difference[0:1]] | add' \
        <<<"$output")
    [ "$words" = eemmeeeeeeeeemddm ]
}

@test "a log that is not the quote's is told apart from a guest that is not as expected" {
    jq '.[0].digest = ("00" * 48)' "$work/log.json" >"$work/other.json"
    verify --quote "$work/quote.bin" --event-log "$work/other.json" --os-image-hash "$hash" \
        --vm-config "$work/vm_config.json" --root-ca "$work/root.pem" --json
    [ "$status" -eq 1 ]
    jq -e '[.checks[] | select(.passed | not) | .name] == ["replay-rtmr0"]' <<<"$output"
}

@test "values of RTMR3 count only where the digest covers them, once, before the application's" {
    change() { # jq expression
        jq "$1" "$work/log.json" >"$work/changed.json"
        run --separate-stderr "$CVM" verify --quote "$work/quote.bin" \
            --event-log "$work/changed.json" --os-image-hash "$hash" \
            --vm-config "$work/vm_config.json" --compose-hash "${2:-$compose}" --json
        detail=$(jq -r '.checks[] | select(.name == "compose-hash") | .detail' <<<"$output")
        echo "$status: $detail"
    }
    change .
    [ "$status" -eq 0 ]
    # another payload under the digest of the true one
    other=${compose/86/87}
    change 'map(if .event == "compose-hash" then .digest = "'"$(printf '00%.0s' {1..48})"'" |
        .event_payload = "'"$other"'" else . end)' "$other"
    [ "$status" -eq 1 ]
    [[ $detail == *"its digest is not that of its name and payload"* ]]
    # what is extended gives another register
    change 'map(if .event == "compose-hash" then .event_payload = "'"$other"'" else . end)' "$other"
    [ "$detail" = "the log is not the quote's" ]
    # twice, and behind the system's own
    change '. as $log | $log + [$log[] | select(.event == "compose-hash")]'
    [ "$detail" = "the log is not the quote's" ]
    change '(map(select(.event == "compose-hash"))) + .'
    [ "$detail" = "RTMR3 has 2 such events instead of one" ]
    change 'map(select(.event != "compose-hash"))'
    [ "$detail" = "RTMR3 has 0 such events instead of one" ]
    change 'map(if .event == "compose-hash" then .event = "compose-hash:x" else . end)'
    [[ $detail == *"its digest is not that of its name and payload"* ]]
}

@test "app-compose, key-provider, report data and MRCONFIGID" {
    jq -j '.event_log[] | select(.event == "key-provider") | .event_payload' "$vector" |
        xxd -r -p >"$work/provider.json"
    data=$(head -c 1264 "$work/quote.hex" | tail -c 128)
    config=$(head -c 560 "$work/quote.hex" | tail -c 96)
    verify --evidence "$vector" --os-image-hash "$hash" --key-provider "@$work/provider.json" \
        --report-data "$data" --mr-config-id "$config" --json
    [ "$status" -eq 0 ]
    jq -e '[.checks[].name] | contains(["key-provider", "report-data", "mr-config-id"])' <<<"$output"
    verify --evidence "$vector" --os-image-hash "$hash" --key-provider kms --report-data 00 \
        --mr-config-id "${config:2}ff" --json
    jq -e '[.checks[] | select(.passed | not) | .name] ==
        ["key-provider", "report-data", "mr-config-id"]' <<<"$output"
    printf '{}' >"$work/app-compose.json"
    verify --evidence "$vector" --os-image-hash "$hash" --app-compose "$work/app-compose.json"
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED compose-hash     another value was extended into RTMR3"* ]]
    for bad in --compose-hash=12 --app-id=xy --report-data= --mr-config-id=00 --key-provider=; do
        verify --evidence "$vector" --os-image-hash "$hash" "$bad"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
    done
}

@test "malformed evidence has a message each, and no answer" {
    bad() { # status, text, options
        verify --os-image-hash "$hash" --vm-config "$work/vm_config.json" "${@:3}"
        [ "$status" -eq "$1" ]
        [ -z "$output" ]
        [[ $stderr == *"$2"* ]]
    }
    head -c 3000 "$work/quote.bin" >"$work/short"
    bad 3 "signature section: needs 4300 bytes at offset" --quote "$work/short"
    printf 'not a quote!' >"$work/text"
    bad 3 "quote header: needs" --quote "$work/text"
    printf '[{"imr": 4, "event_type": 4, "digest": ""}]' >"$work/imr"
    bad 3 "event log: event 0: key 'imr': 4 is not within 0 to 3" --quote "$work/quote.bin" \
        --event-log "$work/imr"
    printf '[{"imr": 0, "event_type": 4, "digest": ""}]' >"$work/none"
    bad 3 "no digest, and type 0x4 is no run-time event" --quote "$work/quote.bin" \
        --event-log "$work/none"
    printf '[{"imr": 0, "event_type": 4, "digest": "00"}]' >"$work/digest"
    bad 3 "key 'digest': 2 hexadecimal digits instead of 96" --quote "$work/quote.bin" \
        --event-log "$work/digest"
    printf '{"quote": 5}' >"$work/document"
    bad 3 "key 'quote' is not a string" --evidence "$work/document"
    bad 3 "root certificate: " --quote "$work/quote.bin" --root-ca "$work/text"
    bad 2 "no quote" --event-log "$work/log.json"
}

# --- the page ---

@test "the page is whole by itself, and escaped" {
    jq '.[20].event = "<script>alert(1)</script>&\"'"'"'"' "$work/log.json" >"$work/odd.json"
    verify --quote "$work/quote.bin" --event-log "$work/odd.json" --os-image-hash "$hash" \
        --vm-config "$work/vm_config.json" --ovmf-variant stable202505 --html "$work/page.html"
    [ "$status" -eq 1 ]
    run ! grep -qiE '<script|src=|https?://|@import|url\(' "$work/page.html"
    grep -qF '&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&apos;' "$work/page.html"
    xmllint --html --noout "$work/page.html" 2>"$work/complaints" || true
    run ! grep -vE 'Tag (header|footer|main) invalid|^ |\^' "$work/complaints"
}

@test "a browser shows both chains side by side" {
    browser=$(command -v chromium || command -v chromium-browser || true)
    [ -n "$browser" ] || skip "there is no chromium"
    verify --evidence "$vector" --os-image-hash "$hash" --ovmf-variant stable202505 \
        --html "$work/page.html"
    # Asks the page itself: rows and columns as the browser laid them out.
    cat >"$work/probe.html" <<'HTML'
<body><iframe id="f" src="page.html" width="1200" height="900"></iframe>
<pre id="answer"></pre><script>
f.onload = () => {
    const d = f.contentDocument, rows = [...d.querySelectorAll("#rtmr0 tr")];
    const cells = rows[3].querySelectorAll("td");
    answer.textContent = [
        "verdict=" + d.getElementById("verdict").textContent.trim(),
        "rows=" + rows.length,
        "missing=" + d.querySelectorAll("#rtmr0 tr.missing").length,
        "beside=" + (cells[2].getBoundingClientRect().right <= cells[3].getBoundingClientRect().left + 1),
        "coloured=" + (getComputedStyle(d.querySelector("tr.missing")).backgroundColor),
    ].join("\n");
};
</script></body>
HTML
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
        --user-data-dir="$work/profile" --allow-file-access-from-files \
        --virtual-time-budget=5000 --dump-dom "file://$work/probe.html" \
        >"$work/dom" 2>"$work/browser.log" || skip "chromium does not run here: $(tail -n 1 "$work/browser.log")"
    cat "$work/dom"
    grep -qF 'verdict=Not as expected unverified quote' "$work/dom"
    grep -qF 'rows=19' "$work/dom" # the head, the register, and 17 events
    grep -qF 'missing=4' "$work/dom"
    grep -qF 'beside=true' "$work/dom"
    grep -qF 'coloured=rgb(255, 246, 224)' "$work/dom"
}

# --- explain ---

# vm_config of the one-CPU guest of the bug report, as the verifier had it.
one_cpu() {
    jq -c '.cpu_count = 1' "$work/vm_config.json" >"$work/one.json"
}

@test "the bug report: pre202505 was expected, the guest had stable202505" {
    one_cpu
    run --separate-stderr "$CVM" explain --vm-config "$work/one.json" rtmr0=d357b91a5bc62825
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "the guest measured the stable202505 layout; vm_config was resolved as pre202505 from its own ovmf_variant; write ovmf_variant or re-create vm_config" ]
    # what the verifier expected is what the vm_config says
    run --separate-stderr "$CVM" explain --vm-config "$work/one.json" \
        rtmr0=68102e7b524af310f7b7d426ce75481e36c40f5d513a9009c046e9d37e31551f0134d954b496a3357fd61d03f07ffe96
    [ "$status" -eq 0 ]
    [[ $output == "nothing to explain"* ]]
}

@test "the same from a quote, where the image's name decided" {
    "$SUPPORT/make_bundle.py" "$work/dstack-0.5.9" --version ""
    measure_into "$work/guest" --image "$work/dstack-0.5.9" --cpus 1 --memory 2G \
        --qemu-version 8.2.2 --ovmf-variant stable202505
    jq -c 'del(.ovmf_variant)' "$work/guest/vm_config.json" >"$work/guest/wrong.json"
    run --separate-stderr "$CVM" explain --quote "$work/guest/quote.bin" --image "$work/dstack-0.5.9" \
        --event-log "$work/guest/log.json" --vm-config "$work/guest/wrong.json"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "the guest measured the stable202505 layout; vm_config was resolved as pre202505 from the image name; write ovmf_variant or re-create vm_config" ]
}

# One changed fact of a machine, and what the search has to say of it.
explains() { # jq expression that makes vm_config wrong, fact, declared, seen, options of cvm measure
    measure_into "$work/guest" --image "$work/images/image" --cpus 4 --memory 8G \
        --qemu-version 9.2.0 "${@:5}"
    jq -c "$1" "$work/guest/vm_config.json" >"$work/wrong.json"
    run --separate-stderr "$CVM" explain --quote "$work/guest/quote.bin" \
        --image "$work/images/image" --image-dir "$work/images" --vm-config "$work/wrong.json" --json
    echo "$2: $status $stderr $(jq -c '.explanations[].changes' <<<"$output")"
    [ "$status" -eq 0 ]
    jq -e --arg fact "$2" --arg declared "$3" --arg seen "$4" \
        'any(.explanations[]; .changes | length == 1 and .[0].fact == $fact and
            .[0].declared == $declared and .[0].seen == $seen)' <<<"$output" >/dev/null
}

@test "each fact of the table is found by itself" {
    mkdir "$work/images"
    "$SUPPORT/make_bundle.py" "$work/images/image" --ovmf-variant pre202505
    explains '.pic = true' pic on off
    explains '.smm = true' smm on off
    explains '.hotplug_off = true' hotplug_off on off
    explains '.interrupt_trigger = "edge"' interrupt_trigger edge level
    explains '.qemu_single_pass_add_pages = true' page_add_order two-pass single-pass
    explains '.kernel_header = "as-is"' kernel_header as-is rewritten
    explains '.qemu_version = "10.0.0"' qemu_version 10.0.0 9.2.0
    explains '.num_nics = 3' num_nics 3 1
    explains '.num_nics = 2' num_nics 2 4 --nics 4
    explains '.num_verity_volumes = 1' num_verity_volumes 1 0
    explains '.num_gpus = 2' num_gpus 2 0
    explains '.num_nvswitches = 1' num_nvswitches 1 0
    explains '.cpu_count = 2' cpu_count 2 4
    explains '.memory_size = 17179869184' memory_size "16 GiB" "8 GiB"
    explains '.swtpm = true' swtpm on off
    explains '.hugepages = true' hugepages on off
    explains '.pciexbar_base = 2952790016' pciexbar_base 0xb0000000 0xe0000000
    explains '.pci_hole64_size = 68719476736' pci_hole64_size "64 GiB" "0 GiB"
    explains '.rootfs_device = "cdrom"' rootfs_device cdrom virtio-blk
}

@test "another bundle of the image directory" {
    mkdir "$work/images"
    "$SUPPORT/make_bundle.py" "$work/images/image" --ovmf-variant pre202505
    "$SUPPORT/make_bundle.py" "$work/images/other" --initrd-size 5000 --ovmf-variant pre202505
    touch "$work/images/no-bundle"
    measure_into "$work/guest" --image "$work/images/other" --cpus 2 --memory 4G --qemu-version 9.2.0
    search=(--quote "$work/guest/quote.bin" --image "$work/images/image" --image-dir
        "$work/images" --vm-config "$work/guest/vm_config.json" --json)
    run --separate-stderr "$CVM" explain "${search[@]}"
    [ "$status" -eq 0 ]
    jq -e '.explanations[0].changes[0] | .fact == "image" and .declared == "image" and
        .seen == "other"' <<<"$output"
    run --separate-stderr "$CVM" explain "${search[@]}" --no-images --cpus 2-2 --memory 4G-4G
    [ "$status" -eq 1 ]
}

# The evidence is right, and what is declared contradicts the firmware file.
@test "a declared layout that the firmware file contradicts" {
    "$SUPPORT/make_bundle.py" "$work/image" --layout pre202505 --ovmf-variant pre202505
    measure_into "$work/guest" --image "$work/image" --cpus 2 --memory 4G --qemu-version 9.2.0
    jq -c '.ovmf_variant = "stable202505"' "$work/guest/vm_config.json" >"$work/wrong.json"
    rm "$work/image/sha256sum.txt" "$work/image/digest.txt"
    evidence=(--quote "$work/guest/quote.bin" --vm-config "$work/wrong.json" --image "$work/image")
    verify "${evidence[@]}" --root-ca "$work/guest/root.pem"
    [ "$status" -eq 1 ] && [ -z "$output" ]
    [[ $stderr == *"ovmf_variant stable202505 (by rule vm_config) contradicts the firmware file"* ]]
    run --separate-stderr "$CVM" explain "${evidence[@]}" --json
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    jq -e '([.explanations[0].changes[] | .fact, .declared, .seen] ==
        ["ovmf_variant", "stable202505", "pre202505"]) and
        (.warnings | any(contains("although the firmware file has another layout"))) and
        (.warnings | any(contains("has no sha256sum.txt")))' <<<"$output"
}

@test "two changes, and several that an event log tells apart" {
    jq -c '.cpu_count = 4 | .memory_size = 4294967296' "$work/vm_config.json" >"$work/wrong.json"
    run --separate-stderr "$CVM" explain --quote "$work/quote.bin" --vm-config "$work/wrong.json" \
        --cpus 1-4 --memory 2G-4G --json
    [ "$status" -eq 0 ]
    jq -e '[.explanations[0].changes[].fact] == ["cpu_count", "memory_size"]' <<<"$output"
    jq -c '.cpu_count = 4 | .memory_size = 4294967296 | .qemu_single_pass_add_pages = false' \
        "$work/vm_config.json" >"$work/wrong.json"
    run --separate-stderr "$CVM" explain --quote "$work/quote.bin" --event-log "$work/log.json" \
        --vm-config "$work/wrong.json" --json
    [ "$status" -eq 0 ]
    jq -e '[.explanations[0].changes[].fact] | sort == ["cpu_count", "memory_size", "page_add_order"]' \
        <<<"$output"
}

# The digest is that of a real TD: docs/measurement.md, "The guest's CPU".
@test "the CPU and the product that SMBIOS names" {
    jq -c '.cpu_count = 8 | .memory_size = 17179869184 | .ovmf_variant = "stable202505" |
        .qemu_version = "8.2.2"' "$work/vm_config.json" >"$work/silent.json"
    run --separate-stderr "$CVM" explain --vm-config "$work/silent.json" --json \
        --ovmf-variant stable202505 smbios=17a566eb173b8f3011c5294e9d8c816e
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    jq -e '(.declared_unmeasurable | contains("cpu_signature")) and
        ([.explanations[0].changes[] | .fact, .seen] ==
        ["cpu_signature", "0x000c06f2 (Emerald Rapids)", "smbios", "'"'"'dstack'"'"'"])' <<<"$output"
}

@test "what is not found is an answer too, with what was tried and what came nearest" {
    one_cpu
    run --separate-stderr "$CVM" explain --vm-config "$work/one.json" --budget 0.5 \
        rtmr0=000000000000
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = "no description within the search explains it" ]
    [[ $output == *"tried, by itself and in pairs: ovmf_variant, page_add_order"* ]]
    [[ $output == *"virtual CPUs 1 to 32"* ]]
    run --separate-stderr "$CVM" explain --vm-config "$work/one.json" --budget 0.5 --json \
        rtmr0=d357b91a5bc62825 rtmr2=000000000000
    [ "$status" -eq 1 ]
    jq -e '.explained == false and .nearest.changes[0].fact == "ovmf_variant" and
        .searched.machines > 10' <<<"$output"
}

@test "a digest of an event alone" {
    tables=$("$CVM" measure --vm-config "$work/vm_config.json" --nics 2 --json |
        jq -r '.events[] | select(.name == "acpi_tables") | .digest')
    run --separate-stderr "$CVM" explain --vm-config "$work/vm_config.json" --json \
        "acpi_tables=$tables"
    [ "$status" -eq 0 ]
    jq -e '.explanations[].changes[0] | select(.fact == "num_nics") | .seen == "2"' <<<"$output"
}

@test "what explain cannot take" {
    one_cpu
    bad() { # text, arguments
        run --separate-stderr "$CVM" explain --vm-config "$work/one.json" "${@:2}"
        echo "$status: $stderr"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [[ $stderr == *"$1"* ]]
    }
    bad "nothing to explain"
    bad "is not NAME=DIGEST" d357b91a5bc62825
    bad "5 digits of a digest (12 to 96)" rtmr0=d357b
    bad "'rtmr9' is no register or event" rtmr9=d357b91a5bc62825
    bad "is no hexadecimal digit" rtmr0=d357b91a5bc6282x
    bad "--cpus '4-1' is no range" --cpus 4-1 rtmr0=d357b91a5bc62825
    bad "--memory '1G-2G:0' is no range" --memory 1G-2G:0 rtmr0=d357b91a5bc62825
    bad "--budget 'soon' is not a number" --budget soon rtmr0=d357b91a5bc62825
    run --separate-stderr "$CVM" explain rtmr0=d357b91a5bc62825
    [ "$status" -eq 2 ]
    [[ $stderr == *"no vm_config"* ]]
}
