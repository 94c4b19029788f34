/*
 * cvm keygen: a key pair for signing manifests.
 */
#include "vmm/cli/commands.h"
#include "vmm/keys.h"
#include "vmm/report.h"

struct keygen_args {
    const char *type;
    const char *passphrase_file;
    bool ask;
};

#define FIELD(f) offsetof(struct keygen_args, f)
/* clang-format off */
static const struct cli_option keygen_options[] = {
    { "type",            't', CLI_STRING, FIELD(type), "KIND", "p256 or ed25519 (default p256)" },
    { "passphrase-file",  0,  CLI_STRING, FIELD(passphrase_file), "FILE", "encrypt the private key with the first line of a file (default: the variable " CVM_PASSPHRASE_VARIABLE ", where it is set)" },
    { "ask-passphrase",   0,  CLI_FLAG,   FIELD(ask), NULL, "encrypt the private key with a passphrase that is asked for at the terminal" },
    { 0 },
};
/* clang-format on */

static bool find_kind(const char *word, enum cvm_key_kind *out, struct cvm_error *err)
{
    static const struct {
        const char *word;
        enum cvm_key_kind kind;
    } kinds[] = { { "p256", CVM_KEY_P256 }, { "ed25519", CVM_KEY_ED25519 } };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (word == NULL || strcmp(word, kinds[i].word) == 0) {
            *out = kinds[i].kind;
            return true;
        }
    }
    return cvm_fail(err, CVM_ERR_USAGE, "--type: '%.32s' is neither p256 nor ed25519", word);
}

static bool answer(const struct cli *cli, const struct cvm_key *key, bool encrypted,
                   struct cvm_error *err)
{
    struct cvm_sha256 fingerprint;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_autobuf struct cvm_buf text = { 0 };
    cvm_autofree char *public_path = NULL;
    const char *path = cli->operands[0];
    if (!cvm_key_fingerprint(key, &fingerprint, err)) {
        return false;
    }
    if (asprintf(&public_path, "%s.pub", path) < 0) {
        public_path = NULL;
        return cvm_fail_nomem(err, path, strlen(path));
    }
    if (!cli->json) {
        cvm_put_format(&text, "private key  %s%s\npublic key   %s\nfingerprint  %s\n", path,
                       encrypted ? " (encrypted)" : "", public_path,
                       cvm_sha256_text(&fingerprint).text);
        return cvm_buf_finish(&text, "answer", err) && cli_print(&text, err);
    }
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "private_key", path);
    cvm_json_put_string(&b, "public_key", public_path);
    cvm_json_put_bool(&b, "encrypted", encrypted);
    cvm_json_put_hex(&b, "fingerprint", fingerprint.bytes, sizeof fingerprint.bytes);
    cvm_json_end(&b);
    return cli_print_json(&b, err);
}

static bool run_keygen(const struct cli *cli, const void *data, struct cvm_error *err)
{
    const struct keygen_args *args = data;
    enum cvm_key_kind kind = CVM_KEY_P256;
    cvm_autopassphrase struct cvm_passphrase passphrase = { 0 };
    cvm_autokey struct cvm_key *key = NULL;
    if (args->ask && args->passphrase_file != NULL) {
        return cvm_fail(err, CVM_ERR_USAGE, "--ask-passphrase and --passphrase-file: one of them");
    }
    if (!find_kind(args->type, &kind, err) ||
        !(args->ask ? cvm_passphrase_ask(cli->operands[0], true, &passphrase, err)
                    : cvm_passphrase_load(args->passphrase_file, &passphrase, err)) ||
        !cvm_key_generate(kind, &key, err) ||
        !cvm_key_save(key, cli->operands[0], cvm_passphrase_text(&passphrase), err)) {
        return false;
    }
    return answer(cli, key, passphrase.set, err);
}

const struct cli_command cmd_keygen = {
    .name = "keygen",
    .operands = "FILE",
    .summary = "Make a key pair: the private key in FILE, mode 0600, the public one in FILE.pub.",
    .example = "cvm keygen release.key --type ed25519",
    .options = keygen_options,
    .args_size = sizeof(struct keygen_args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_keygen,
};
