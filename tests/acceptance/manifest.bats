#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# Signed expectations from the command line: what is made, what is refused and why, and that others
# (the openssl command and Python) verify what cvm signs and sign what cvm verifies.
# CVM is the program, VECTORS the directory tests/vectors, SUPPORT tests/support.

bats_require_minimum_version 1.5.0

setup_file() {
    place=$(mktemp -d)
    export place
    "$SUPPORT/make_bundle.py" "$place/image" >/dev/null
    "$CVM" measure --image "$place/image" --cpus 2 --memory 2G --qemu-version 9.2.1 --json \
        2>/dev/null | jq -c .vm_config >"$place/two.json"
    jq -c '.cpu_count = 4' "$place/two.json" >"$place/four.json"
    "$CVM" keygen "$place/p256" >/dev/null
    "$CVM" keygen "$place/ed" --type ed25519 >/dev/null
    create --key "$place/p256" >"$place/manifest.json"
}

teardown_file() {
    rm -rf "$place"
}

setup() {
    cd "$place" || return 1
    unset CVM_KEY_PASSPHRASE
}

create() { # options
    "$CVM" manifest create --image "$place/image" --vm-config "$place/two.json" "$@" 2>/dev/null
}

verify() { # options
    run --separate-stderr "$CVM" --json manifest verify "$@"
}

# Exit status 1, this in the message, and nothing on standard output.
refused() { # text, options of verify
    local text=$1
    shift
    verify "$@"
    echo "status $status: $stderr"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ $(jq -r .message <<<"$stderr") == *"$text"* ]]
}

# The envelope with its payload replaced by what a command makes of it; the signature stays.
with_payload() { # MANIFEST, command ...
    jq --arg payload "$(jq -r .payload "$1" | base64 -d | "${@:2}" | base64 -w0)" \
        '.payload = $payload' "$1"
}

# --- keys ---

@test "a private key has mode 0600, and neither half is ever overwritten" {
    run -0 --separate-stderr "$CVM" keygen new --json
    [ "$(stat -c %a new)" = 600 ]
    [ "$(jq -r .fingerprint <<<"$output")" = \
        "$(openssl pkey -pubin -in new.pub -outform DER | sha256sum | cut -d' ' -f1)" ]
    openssl pkey -in new -text -noout | grep -q 'prime256v1'
    sha256sum new new.pub >before
    run -2 --separate-stderr "$CVM" keygen new
    [[ $stderr == *"'new' exists and is not overwritten"* ]]
    rm new
    run -2 --separate-stderr "$CVM" keygen new
    [[ $stderr == *"'new.pub' exists and is not overwritten"* ]]
    [ ! -e new ]
    grep ' new.pub' before | sha256sum -c --quiet
    [ -z "$(find . -name '.new*')" ]
}

@test "umask does not open a private key" {
    (umask 0 && "$CVM" keygen open >/dev/null)
    [ "$(stat -c %a open)" = 600 ]
}

@test "a passphrase from a file, from the variable, and none from the command line" {
    printf 'correct horse\nsecond line\n' >phrase
    "$CVM" keygen secret --type ed25519 --passphrase-file phrase >/dev/null
    grep -q 'BEGIN ENCRYPTED PRIVATE KEY' secret
    openssl pkey -in secret -passin 'pass:correct horse' -noout
    create --key secret --passphrase-file phrase >signed.json
    CVM_KEY_PASSPHRASE='correct horse' create --key secret | cmp - signed.json
    verify signed.json --key secret.pub
    [ "$status" -eq 0 ]
    run -3 --separate-stderr env CVM_KEY_PASSPHRASE=wrong "$CVM" manifest create \
        --image "$place/image" --vm-config two.json --key secret
    [[ $stderr == *"not its passphrase"* ]]
    run -2 --separate-stderr setsid -w "$CVM" manifest create --image "$place/image" \
        --vm-config two.json --key secret
    [[ $stderr == *"there is no terminal to ask at"* ]]
    "$CVM" keygen --help >help
    run ! grep -E -- '--passphrase +' help
    CVM_KEY_PASSPHRASE='from the variable' "$CVM" keygen other >/dev/null
    openssl pkey -in other -passin 'pass:from the variable' -noout
}

@test "at a terminal the passphrase is asked for, twice for a new key, and not shown" {
    run -0 "$SUPPORT/type_at_prompts.py" 'Passphrase for asked=typed in' 'The same again=typed in' \
        -- "$CVM" keygen asked --ask-passphrase
    [[ $output != *"typed in"* ]]
    openssl pkey -in asked -passin 'pass:typed in' -noout
    run -2 "$SUPPORT/type_at_prompts.py" 'Passphrase for asked2=typed in' \
        'The same again=mistyped' -- "$CVM" keygen asked2 --ask-passphrase
    [[ $output == *"the two passphrases differ"* ]]
    [[ $output != *typed\ in* ]]
    [ ! -e asked2 ]
    run -0 "$SUPPORT/type_at_prompts.py" 'Passphrase for asked=typed in' -- "$CVM" manifest create \
        --image "$place/image" --vm-config two.json --key asked --out asked.json
    verify asked.json --key asked.pub
    [ "$status" -eq 0 ]
}

@test "kinds of keys that others do not verify are refused with the reason" {
    verify manifest.json --key "$VECTORS/keys/refused-rsapss2048.pub.pem"
    [ "$status" -eq 4 ]
    [[ $stderr == *"a key of type RSA-PSS"* ]]
    verify manifest.json --key "$VECTORS/keys/refused-p521.pub.pem"
    [ "$status" -eq 4 ]
}

# --- others and cvm ---

@test "openssl verifies what cvm signs, with PAE rebuilt by Python" {
    for key in ed25519:ed25519 p256:sha256 p384:sha256 rsa2048:sha256; do
        private=$VECTORS/keys/accepted-${key%:*}.key.pem
        public=$VECTORS/keys/accepted-${key%:*}.pub.pem
        create --key "$private" >signed.json
        "$SUPPORT/make_manifest.py" check --how "${key#*:}" --key "$public" signed.json >payload
        jq -e '._type == "https://in-toto.io/Statement/v1"' payload
        create --key "$private" --bundle >bundle.json
        "$SUPPORT/make_manifest.py" check --how "${key#*:}" --key "$public" bundle.json |
            cmp - payload
    done
}

@test "cvm verifies what openssl signs" {
    jq -r .payload manifest.json | base64 -d >statement
    for key in ed25519:ed25519 p256:sha256 p384:sha256 rsa2048:sha256; do
        for form in '' --bundle --url-safe; do
            # shellcheck disable=SC2086  # no form is no argument
            "$SUPPORT/make_manifest.py" sign $form --how "${key#*:}" \
                --key "$VECTORS/keys/accepted-${key%:*}.key.pem" statement >foreign.json
            verify foreign.json --key "$VECTORS/keys/accepted-${key%:*}.pub.pem"
            [ "$status" -eq 0 ]
        done
    done
}

@test "the envelope is what DSSE says, and a bundle what sigstore says" {
    jq -e 'keys == ["payload", "payloadType", "signatures"] and
        .payloadType == "application/vnd.in-toto+json" and
        (.signatures | length == 1 and (.[0] | keys == ["sig"]))' manifest.json
    create --key p256 --bundle >bundle.json
    jq -e '.mediaType == "application/vnd.dev.sigstore.bundle.v0.3+json" and
        .verificationMaterial == {"publicKey": {"hint": ""}, "tlogEntries": []} and
        (.dsseEnvelope.signatures | length == 1 and (.[0] | has("keyid") | not))' bundle.json
}

@test "the same input gives the same bytes with Ed25519, and the same statement with ECDSA" {
    create --key ed >first.json
    sleep 1.1
    create --key ed | cmp - first.json
    create --key p256 | jq -r .payload | cmp - <(jq -r .payload manifest.json)
    [ "$(create --key ed --not-before 2026-01-01T00:00:00Z --valid-for 31 | sha256sum)" = \
        "$(create --key ed --not-before 2026-01-01T00:00:00Z --not-after 2026-02-01T00:00:00Z |
            sha256sum)" ]
}

# --- what is in it ---

@test "the statement has registers, events, machine, sources and identities" {
    "$CVM" measure --image "$place/image" --vm-config two.json --json >measured 2>/dev/null
    run -0 --separate-stderr "$CVM" --json manifest show manifest.json --key p256.pub
    jq .statement.predicate <<<"$output" >predicate
    for key in mrtd rtmr0 rtmr1 rtmr2 events ovmf_variant kernel_header page_add_order \
        qemu_version os_image_hash vm_config warnings; do
        [ "$(jq -S ".$key" measured)" = "$(jq -S ".shapes[0].$key" predicate)" ]
    done
    jq -e '.shapes[0].machine | .cpu_count == 2 and .memory_size == 2147483648 and
        .qemu_version == "9.2.1" and (.devices | length == 5) and .pic == false' predicate
    jq -e '.registers == {"mrtd": "policy", "rtmr0": "policy", "rtmr1": "policy",
        "rtmr2": "policy", "rtmr3": "information"}' predicate
    [ "$(jq -r .tool.sha256 predicate)" = "$(sha256sum "$CVM" | cut -d' ' -f1)" ]
    [ "$(jq -r .image.os_image_hash predicate)" = "$(cat "$place/image/digest.txt")" ]
    jq -e '.shapes[0].qemu == {"version": "9.2.1", "sha256": null}' predicate
    [ "$(jq -r '.signers[0]' predicate)" = \
        "$(openssl pkey -pubin -in p256.pub -outform DER | sha256sum | cut -d' ' -f1)" ]
}

@test "subjects are the files that a verifier can hash" {
    for file in "$place"/image/{sha256sum.txt,ovmf.fd,bzImage,initramfs.cpio.gz,metadata.json} \
        two.json; do
        verify manifest.json --key p256.pub --subject "$file"
        [ "$status" -eq 0 ]
    done
    "$CVM" --json manifest show manifest.json --key p256.pub |
        jq -r '.statement.subject[] | select(.name != "vm_config.json") |
            "\(.digest.sha256)  \(.name)"' >list
    (cd "$place/image" && sha256sum -c --quiet "$place/list")
}

@test "an emulator that is named is hashed, and has to be the declared version" {
    printf '#!/bin/sh\necho "QEMU emulator version 9.2.1 (test)"\n' >emulator
    chmod +x emulator
    create --key ed --emulator "$place/emulator" >emulated.json
    [ "$("$CVM" --json manifest show emulated.json --key ed.pub |
        jq -r '.statement.predicate.shapes[0].qemu.sha256')" = \
        "$(sha256sum emulator | cut -d' ' -f1)" ]
    sed -i s/9.2.1/9.2.2/ emulator
    run -1 --separate-stderr "$CVM" manifest create --image "$place/image" --vm-config two.json \
        --key ed --emulator "$place/emulator"
    [[ $stderr == *"it declares QEMU 9.2.1, emulator '$place/emulator' is 9.2.2"* ]]
}

@test "many machines in one manifest, each with its registers" {
    create --vm-config four.json --key ed >many.json
    verify many.json --key ed.pub --subject two.json --subject four.json
    [ "$status" -eq 0 ]
    for shape in two four; do
        want=$("$CVM" measure --image "$place/image" --vm-config $shape.json --json 2>/dev/null |
            jq -c '[.mrtd, .rtmr0, .rtmr1, .rtmr2]')
        [ "$(jq -c ".shapes[] | select(.name == \"$shape\") | [.mrtd, .rtmr0, .rtmr1, .rtmr2]" \
            <<<"$output")" = "$want" ]
    done
    run -2 --separate-stderr "$CVM" manifest create --image "$place/image" --vm-config two.json \
        --vm-config "$place/two.json" --key ed
    [[ $stderr == *"two machines have the name 'two'"* ]]
}

@test "a matrix in one manifest, with the registers of cvm measure --matrix" {
    jq -n '{cpu_count: [1, 2], memory_size: "2G", num_nics: [0, 1], qemu_version: "9.2.1"}' >sizes.json
    run -0 --separate-stderr "$CVM" manifest create --image "$place/image" --matrix sizes.json --key ed
    printf '%s\n' "$output" >matrix.json
    verify matrix.json --key ed.pub
    [ "$status" -eq 0 ]
    "$CVM" measure --image "$place/image" --matrix sizes.json --no-cache 2>/dev/null |
        jq -c '["sizes-\(.index)", .mrtd, .rtmr0, .rtmr1, .rtmr2]' >want
    diff want <(jq -c '.shapes[] | [.name, .mrtd, .rtmr0, .rtmr1, .rtmr2]' <<<"$output")
    [ "$(wc -l <want)" -eq 4 ]
    echo '{"cpu_count": 0, "memory_size": "2G", "qemu_version": "9.2.1"}' >bad.json
    run -3 --separate-stderr "$CVM" manifest create --image "$place/image" --matrix bad.json --key ed
    [[ $stderr == *"cpu_count"* ]]
}

@test "what cannot be signed is refused, and nothing is written" {
    jq -c '.os_image_hash = "00"' two.json >other.json
    run -1 --separate-stderr "$CVM" manifest create --image "$place/image" --vm-config other.json \
        --key ed --out out.json
    [[ $stderr == *"it declares os_image_hash 00"* ]]
    run -2 --separate-stderr "$CVM" manifest create --image "$place/image" --vm-config two.json \
        --out out.json
    [[ $stderr == *"give --key"* ]]
    run -2 --separate-stderr "$CVM" manifest create --key ed --out out.json
    [[ $stderr == *"nothing to sign"* ]]
    for window in '--not-before 2027-01-01T00:00:00Z --not-after 2026-01-01T00:00:00Z' \
        '--not-before yesterday' '--valid-for 0' \
        '--valid-for 1 --not-after 2027-01-01T00:00:00Z' \
        '--information mrtd --information rtmr0 --information rtmr1 --information rtmr2' \
        '--information rtmr3' '--bundle --key p256'; do
        # shellcheck disable=SC2086  # options
        run -2 --separate-stderr "$CVM" manifest create --image "$place/image" \
            --vm-config two.json --key ed --out out.json $window
    done
    cp -r "$place/image" spoilt
    printf x >>spoilt/bzImage
    run -1 --separate-stderr "$CVM" manifest create --image "$place/spoilt" --vm-config two.json \
        --key ed --out out.json
    [[ $stderr == *"'bzImage' does not have the digest in sha256sum.txt"* ]]
    [ ! -e out.json ]
}

# --- refusals, in the order of verification ---

@test "envelope shape" {
    printf 'hello' >bad.json
    refused "envelope: not JSON at offset 0" bad.json --key p256.pub
    : >bad.json
    refused "envelope: not JSON at offset 0" bad.json --key p256.pub
    jq 'del(.payload)' manifest.json >bad.json
    refused "envelope: key 'payload' is missing" bad.json --key p256.pub
    jq '.signatures = []' manifest.json >bad.json
    refused "envelope: 0 signatures" bad.json --key p256.pub
    jq '.payload |= "@" + .' manifest.json >bad.json
    refused "envelope: key 'payload': base64" bad.json --key p256.pub
    refused "envelope: key 'payload' is missing" two.json --key p256.pub
}

@test "another key, and a payload that was altered" {
    refused "signature: none of the 1 signature is by a key that was given" manifest.json \
        --key ed.pub
    with_payload manifest.json sed 's/"cpu_count":2/"cpu_count":3/' >altered.json
    run ! cmp -s altered.json manifest.json
    refused "signature: none of the 1 signature" altered.json --key p256.pub
}

@test "the same statement in other bytes" {
    with_payload manifest.json jq . >reencoded.json
    refused "signature: none of the 1 signature" reencoded.json --key p256.pub
    with_payload manifest.json jq -cS . >sorted.json
    refused "signature: none of the 1 signature" sorted.json --key p256.pub
    # In another alphabet they are the same bytes, and so is an envelope in another form.
    jq '.payload |= gsub("\\+"; "-") | .payload |= gsub("/"; "_") | .future = {"a": [1]}' \
        manifest.json >url-safe.json
    verify url-safe.json --key p256.pub
    [ "$status" -eq 0 ]
}

@test "a second payload" {
    second=$(jq -r .payload manifest.json | base64 -d | sed 's/"cpu_count":2/"cpu_count":3/' |
        base64 -w0)
    for place_of_second in "s|^{|{\"payload\":\"$second\",|" "s|}\$|,\"payload\":\"$second\"}|" \
        "s|^{|{\"\\\\u0070ayload\":\"$second\",|"; do
        jq -c . manifest.json | sed "$place_of_second" >two-payloads.json
        [ "$(grep -o "$second" two-payloads.json | wc -l)" -eq 1 ]
        refused "envelope: a key stands twice in one object" two-payloads.json --key p256.pub
    done
    # A second envelope around it is looked at, and not the first one.
    jq --arg second "$second" '{mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        dsseEnvelope: (.payload = $second)} + .' manifest.json >wrapped.json
    refused "signature: none of the 1 signature" wrapped.json --key p256.pub
}

@test "a different payloadType" {
    jq '.payloadType = "application/json"' manifest.json >type.json
    refused "signature: none of the 1 signature" type.json --key p256.pub
    jq -r .payload manifest.json | base64 -d >statement
    "$SUPPORT/make_manifest.py" sign --type application/json --key p256 statement >type.json
    refused "payload type: it is 'application/json', not 'application/vnd.in-toto+json'" \
        type.json --key p256.pub
}

@test "P-384 with SHA-384 and RSA-PSS, with the reason" {
    refused "kind that is refused: ECDSA with SHA-384; only SHA-256 is accepted" \
        "$VECTORS/manifest/refused-p384-sha384.json" --key "$VECTORS/keys/accepted-p384.pub.pem"
    refused "kind that is refused: RSA-PSS; only PKCS#1 v1.5 with SHA-256 is accepted" \
        "$VECTORS/manifest/refused-rsa-pss.json" --key "$VECTORS/keys/accepted-rsa2048.pub.pem"
}

# A rightly signed statement that a jq program changed.
resigned() { # program
    jq -r .payload manifest.json | base64 -d | jq -c "$1" >statement
    "$SUPPORT/make_manifest.py" sign --key p256 statement >resigned.json
}

@test "statement type, predicate type, time window, subjects, values" {
    resigned '._type = "https://in-toto.io/Statement/v0.1"'
    refused "statement: _type is 'https://in-toto.io/Statement/v0.1', not" resigned.json \
        --key p256.pub
    resigned '.predicateType = "https://slsa.dev/provenance/v1"'
    refused "statement: predicateType is 'https://slsa.dev/provenance/v1', not" resigned.json \
        --key p256.pub
    resigned '.predicate.validity.not_after = "2026-01-01T00:00:00Z"'
    refused "time window: not valid after 2026-01-01T00:00:00Z" resigned.json --key p256.pub
    refused "and it is 2026-01-01T00:00:01Z" resigned.json --key p256.pub \
        --at 2026-01-01T00:00:01Z
    verify resigned.json --key p256.pub --at 2026-01-01T00:00:00Z
    [ "$status" -eq 0 ]
    refused "subject: 'four.json' is none of the files that the manifest is about" manifest.json \
        --key p256.pub --subject two.json --subject four.json
    resigned '.predicate.shapes[0].rtmr1 = .predicate.shapes[0].rtmr2'
    refused "predicate: shapes[0]: its events do not replay to rtmr1" resigned.json --key p256.pub
    resigned '.predicate.shapes = []'
    refused "predicate: key 'shapes' is not an array" resigned.json --key p256.pub
}

@test "nothing is read before the step before it held" {
    # Everything behind the signature is wrong, and so is the signature: it is what is named.
    jq -r .payload manifest.json | base64 -d |
        jq -c '._type = 1 | .predicateType = 2 | .predicate = 3' >statement
    "$SUPPORT/make_manifest.py" sign --type x --key ed --how ed25519 statement >wrong.json
    refused "signature: none of" wrong.json --key p256.pub --subject four.json
    refused "payload type: it is 'x'" wrong.json --key ed.pub --subject four.json
    "$SUPPORT/make_manifest.py" sign --key ed --how ed25519 statement >wrong.json
    refused "statement: _type is 'something else'" wrong.json --key ed.pub --subject four.json
    printf '{"_type":"https://in-toto.io/Statement/v1","predicateType":2}' >statement
    "$SUPPORT/make_manifest.py" sign --key ed --how ed25519 statement >wrong.json
    refused "statement: predicateType is" wrong.json --key ed.pub --subject four.json
}

# --- several keys ---

@test "a threshold counts distinct keys" {
    create --key p256 --key ed >both.json
    verify both.json --key p256.pub --key ed.pub --threshold 2
    [ "$status" -eq 0 ]
    [ "$(jq '.signers | length' <<<"$output")" -eq 2 ]
    refused "signature: 1 of the 2 keys signed, the threshold is 2" manifest.json --key p256.pub \
        --key ed.pub --threshold 2
    jq '.signatures += .signatures' manifest.json >doubled.json
    refused "signature: 1 of the 2 keys signed" doubled.json --key p256.pub --key ed.pub \
        --threshold 2
    verify both.json --key p256.pub --key p256.pub --threshold 2
    [ "$status" -eq 2 ]
    [[ $stderr == *"a threshold of 2 with 1 distinct keys"* ]]
    verify both.json --key p256.pub --threshold 0
    [ "$status" -eq 2 ]
    verify both.json
    [ "$status" -eq 2 ]
    [[ $stderr == *"without --key nothing of a manifest can be trusted"* ]]
}

@test "a second signer adds a signature to what verified, and to nothing else" {
    "$CVM" manifest cosign manifest.json --key p256.pub --sign-with ed >both.json
    verify both.json --key p256.pub --key ed.pub --threshold 2
    [ "$status" -eq 0 ]
    "$SUPPORT/make_manifest.py" check --how sha256 --how ed25519 --key p256.pub --key ed.pub \
        both.json >/dev/null
    with_payload manifest.json sed 's/"cpu_count":2/"cpu_count":3/' >altered.json
    run -1 --separate-stderr "$CVM" manifest cosign altered.json --key p256.pub --sign-with ed
    [ -z "$output" ]
    run -2 --separate-stderr "$CVM" manifest cosign both.json --key p256.pub --sign-with p256
    [[ $stderr == *"this key has signed it already"* ]]
}

# --- exports ---

@test "exports say what the manifest says, and that they are not signed" {
    "$CVM" measure --image "$place/image" --vm-config two.json --json >measured 2>/dev/null
    run -0 --separate-stderr "$CVM" manifest export manifest.json --key p256.pub
    [[ $stderr == *"an export is not signed"* ]]
    [ "$(jq -c '[.mrtd, .rtmr0, .rtmr1, .rtmr2]' <<<"$output")" = \
        "$(jq -c '[.mrtd, .rtmr0, .rtmr1, .rtmr2]' measured)" ]
    jq -e '.signed == false' <<<"$output"
    run -0 --separate-stderr "$CVM" manifest export manifest.json --key p256.pub --format rvps
    [[ $stderr == *"an export is not signed"* ]]
    jq -e '.version == "0.1.0" and .type == "sample" and (keys | length == 3)' <<<"$output"
    [ "$(jq -r .payload <<<"$output" | base64 -d |
        jq -c '[.mr_td, .rtmr_0, .rtmr_1, .rtmr_2]')" = \
        "$(jq -c '[[.mrtd], [.rtmr0], [.rtmr1], [.rtmr2]]' measured)" ]
    run -0 --separate-stderr "$CVM" manifest export manifest.json --key p256.pub --format policy
    [ "$(jq -c '.[0] | [.measurement_id, .attestation_type] + [.measurements |
        .mrtd, .["0"], .["1"], .["2"] | .expected_any[0]]' <<<"$output")" = \
        "$(jq -c '["two", "dcap-tdx", .mrtd, .rtmr0, .rtmr1, .rtmr2]' measured)" ]
}

@test "exports of many machines, of one, and without registers for information" {
    create --vm-config four.json --key ed --information rtmr0 >many.json
    run -0 --separate-stderr "$CVM" manifest export many.json --key ed.pub --format rvps
    [[ $stderr == *"registers of several machines would pass"* ]]
    # MRTD, RTMR1 and RTMR2 do not depend on the CPUs: one value each.
    [ "$(jq -r .payload <<<"$output" | base64 -d | jq -c 'map_values(length)')" = \
        '{"mr_td":1,"rtmr_1":1,"rtmr_2":1}' ]
    run -0 --separate-stderr "$CVM" manifest export many.json --key ed.pub --format policy
    jq -e 'length == 2 and all(.measurements | has("0") | not)' <<<"$output"
    run -0 --separate-stderr "$CVM" manifest export many.json --key ed.pub --shape four
    [ "$(jq -r .name <<<"$output")" = four ]
    run -0 --separate-stderr "$CVM" manifest export many.json --key ed.pub
    [ "$(jq '.shapes | length' <<<"$output")" -eq 2 ]
    run -2 --separate-stderr "$CVM" manifest export many.json --key ed.pub --shape six
    run -2 --separate-stderr "$CVM" manifest export many.json --key ed.pub --format xml
}

@test "show and export give nothing of what does not verify" {
    with_payload manifest.json sed 's/"cpu_count":2/"cpu_count":3/' >altered.json
    for command in show export; do
        run -1 --separate-stderr "$CVM" --json manifest $command altered.json --key p256.pub
        [ -z "$output" ]
        run -1 --separate-stderr "$CVM" manifest $command altered.json --key p256.pub
        [ -z "$output" ]
        run -2 --separate-stderr "$CVM" manifest $command altered.json
        [ -z "$output" ]
    done
}

@test "a manifest may come through a pipe" {
    jq . manifest.json | "$CVM" manifest verify - --key p256.pub >piped
    [ "$(head -n 1 piped)" = "manifest '-' is verified" ]
}
