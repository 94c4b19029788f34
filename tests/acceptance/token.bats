#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031  # bats assigns stderr, and knows its subshells
# Signing with keys that lie in a PKCS#11 token, here SoftHSM's: through OpenSSL's engine, which
# Debian 12 has, and through OpenSSL's provider where CVM_PKCS11_PROVIDER or OpenSSL's own directory
# has one. CVM is the program, SUPPORT tests/support.

bats_require_minimum_version 1.5.0

setup_file() {
    local library
    for library in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        [ ! -e "$library" ] || SOFTHSM=$library
    done
    if [ -z "${SOFTHSM:-}" ] || ! command -v softhsm2-util pkcs11-tool >/dev/null; then
        [ -z "${CVM_E2E_REQUIRED:-}" ] || return 1
        skip 'softhsm2 or opensc is not installed'
    fi
    place=$(mktemp -d)
    PIN=4321
    export place SOFTHSM PIN SOFTHSM2_CONF=$place/softhsm2.conf
    mkdir "$place/tokens"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' \
        "$place/tokens" >"$SOFTHSM2_CONF"
    make_key cvm p256 EC:prime256v1 01
    make_key cvm rsa rsa:2048 02
    make_key edwards ed25519 EC:edwards25519 03
    "$SUPPORT/make_bundle.py" "$place/image" >/dev/null
    "$CVM" measure --image "$place/image" --cpus 2 --memory 2G --qemu-version 9.2.1 --json \
        2>/dev/null | jq -c .vm_config >"$place/vm_config.json"
    printf '%s\n' "$PIN" >"$place/pin"
}

teardown_file() {
    [ -z "${place:-}" ] || rm -rf "$place"
}

setup() {
    cd "$place" || return 1
    unset CVM_KEY_PASSPHRASE
    # The engine keeps memory of its own until the process ends, and is unloaded before it is counted.
    export ASAN_OPTIONS=detect_leaks=0
}

# A key in a token, which is made where it does not exist; its public half in LABEL.pub.
make_key() { # TOKEN LABEL TYPE ID
    softhsm2-util --show-slots | grep -qE "Label: +$1 *$" ||
        softhsm2-util --init-token --free --label "$1" --so-pin 1234 --pin "$PIN" >/dev/null
    pkcs11-tool --module "$SOFTHSM" --token-label "$1" --login --pin "$PIN" --keypairgen \
        --key-type "$3" --label "$2" --id "$4" >/dev/null 2>&1
    pkcs11-tool --module "$SOFTHSM" --token-label "$1" --read-object --type pubkey --label "$2" \
        --output-file "$place/$2.der" >/dev/null 2>&1
    openssl pkey -pubin -inform DER -in "$place/$2.der" -out "$place/$2.pub" 2>/dev/null ||
        rm -f "$place/$2.pub"
}

use_engine() {
    local directory
    directory=$(openssl version -e | sed -n 's/^ENGINESDIR: "\(.*\)"$/\1/p')
    if [ ! -e "$directory/pkcs11.so" ] && [ ! -e "$directory/libpkcs11.so" ]; then
        [ -z "${CVM_E2E_REQUIRED:-}" ] || return 1
        skip 'libengine-pkcs11-openssl is not installed'
    fi
    export PKCS11_MODULE_PATH=$SOFTHSM
}

use_provider() {
    local directory module
    directory=$(openssl version -m | sed -n 's/^MODULESDIR: "\(.*\)"$/\1/p')
    module=${CVM_PKCS11_PROVIDER:-$directory/pkcs11.so}
    [ -e "$module" ] || skip "OpenSSL has no provider for PKCS#11 here ($module)"
    cat >"$place/openssl.cnf" <<CONF
openssl_conf = init
[init]
providers = providers
[providers]
default = of_openssl
pkcs11 = of_tokens
[of_openssl]
activate = 1
[of_tokens]
module = $module
pkcs11-module-path = $SOFTHSM
pkcs11-module-quirks = no-deinit no-operation-state
pkcs11-module-load-behavior = early
activate = 1
CONF
    export OPENSSL_CONF=$place/openssl.cnf
}

create() { # URI, options
    "$CVM" manifest create --image "$place/image" --vm-config vm_config.json --key "$@"
}

# Signs with a key of a token; cvm and the openssl command verify with its public half in PEM, and
# cvm with the one in the token.
check_key() { # TOKEN LABEL
    local uri="pkcs11:token=$1;object=$2"
    create "$uri;type=private" --passphrase-file pin --out "$2.json"
    CVM_KEY_PASSPHRASE=$PIN create "$uri;type=private" --out variable.json
    CVM_KEY_PASSPHRASE=$PIN "$CVM" manifest verify "$2.json" --key "$uri;type=public"
    [ ! -e "$2.pub" ] || env -u OPENSSL_CONF "$CVM" manifest verify "$2.json" --key "$2.pub"
}

# What goes wrong, in the program's own words; nothing is signed.
check_failures() {
    run -5 --separate-stderr create 'pkcs11:token=cvm;object=absent;type=private' \
        --passphrase-file pin
    [[ $stderr == *"no such key in a token, or not its PIN"* ]]
    [ -z "$output" ]
    printf 'wrong\n' >wrong
    run -5 --separate-stderr create 'pkcs11:token=cvm;object=p256;type=private' \
        --passphrase-file wrong
    [[ $stderr == *"no such key in a token, or not its PIN"* ]]
    [ -z "$output" ]
    run -2 --separate-stderr create 'pkcs11:token=cvm;object=p256?pin-value=4321'
    [[ $stderr == *"URI has the PIN in it"* && $stderr != *4321* ]]
}

@test "engine: P-256 and RSA in a token sign" {
    use_engine
    check_key cvm p256
    check_key cvm rsa
    env -u PKCS11_MODULE_PATH "$SUPPORT/make_manifest.py" check --key p256.pub p256.json |
        jq -e '._type == "https://in-toto.io/Statement/v1"'
    # The PIN by a file that the URI names; the engine takes the file as it is.
    printf %s "$PIN" >exact
    create "pkcs11:token=cvm;object=p256;type=private?pin-source=$place/exact" --out source.json
    "$CVM" manifest verify source.json --key p256.pub
}

@test "engine: no key, a wrong PIN, a PIN in the URI" {
    use_engine
    check_failures
}

@test "provider: P-256, RSA and Ed25519 in a token sign" {
    use_provider
    check_key cvm p256
    check_key cvm rsa
    check_key edwards ed25519
    cp ed25519.json first.json
    check_key edwards ed25519
    cmp first.json ed25519.json
}

@test "provider: no key, a wrong PIN, a PIN in the URI" {
    use_provider
    check_failures
}

@test "without provider and engine a token's key is unsupported, saying what is missing" {
    run -4 --separate-stderr env OPENSSL_ENGINES="$place" OPENSSL_MODULES="$place" \
        "$CVM" manifest create --image "$place/image" --vm-config vm_config.json \
        --passphrase-file pin --key 'pkcs11:token=cvm;object=p256'
    [[ $stderr == *"OpenSSL has neither a provider nor an engine 'pkcs11' here"* ]]
}
