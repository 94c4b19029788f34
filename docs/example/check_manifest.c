/*
 * Whose guest is this: holds the registers of a TD against a signed manifest, with libcvm-measure
 * alone.
 *
 * usage: check_manifest MANIFEST PUBLIC_KEY [MRTD RTMR0 RTMR1 RTMR2]
 *
 * Uses the installed headers only. docs/example/README.md explains it.
 */
#include <cvm/manifest.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct file {
    unsigned char *data;
    size_t size;
};

/* Reads a whole file; the caller frees data. */
static bool read_file(const char *path, struct file *out)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        perror(path);
        return false;
    }
    long size = fseek(stream, 0, SEEK_END) == 0 ? ftell(stream) : -1;
    unsigned char *data = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(stream);
    bool ok = data != NULL && fread(data, 1, (size_t)size, stream) == (size_t)size;
    fclose(stream);
    if (!ok) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        return false;
    }
    *out = (struct file){ data, (size_t)size };
    return true;
}

/*
 * From a file to a manifest that was signed with this key and is valid now. There is no way to a
 * struct cvm_manifest but through the check.
 */
static bool verify(const struct file *text, const struct file *pem, struct cvm_manifest **out,
                   struct cvm_error *err)
{
    struct cvm_key *key = NULL;
    struct cvm_envelope *envelope = NULL;
    bool ok = cvm_key_parse_public((struct cvm_bytes){ pem->data, pem->size }, &key, err) &&
              cvm_envelope_parse((struct cvm_bytes){ text->data, text->size }, &envelope, err);
    if (ok) {
        const struct cvm_key *const keys[] = { key };
        const struct cvm_manifest_check check = {
            .keys = keys,
            .num_keys = 1,
            .at = (int64_t)time(NULL),
        };
        ok = cvm_manifest_verify(envelope, &check, out, err);
    }
    cvm_envelope_free(envelope);
    cvm_key_free(key);
    return ok;
}

/* 96 hex digits. */
static bool read_digest(const char *text, struct cvm_sha384 *out)
{
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        unsigned value;
        if (strlen(text) != 2 * sizeof out->bytes || sscanf(text + 2 * i, "%2x", &value) != 1) {
            fprintf(stderr, "'%s' is not a SHA-384 digest in hex\n", text);
            return false;
        }
        out->bytes[i] = (uint8_t)value;
    }
    return true;
}

static void print_digest(const char *name, const struct cvm_sha384 *digest)
{
    printf("%-6s ", name);
    for (size_t i = 0; i < sizeof digest->bytes; i++) {
        printf("%02x", digest->bytes[i]);
    }
    printf("\n");
}

static void print_shapes(const struct cvm_manifest *manifest)
{
    const struct cvm_manifest_shape *shape;
    for (size_t i = 0; (shape = cvm_manifest_shape_at(manifest, i)) != NULL; i++) {
        printf("%s\n", shape->name);
        print_digest("mrtd", &shape->expected.mrtd);
        print_digest("rtmr0", &shape->expected.rtmr[0]);
        print_digest("rtmr1", &shape->expected.rtmr[1]);
        print_digest("rtmr2", &shape->expected.rtmr[2]);
    }
}

/* Which of the manifest's machines reports these registers. */
static int match(const struct cvm_manifest *manifest, char **registers)
{
    struct cvm_sha384 mrtd;
    struct cvm_sha384 rtmr[3];
    if (!read_digest(registers[0], &mrtd) || !read_digest(registers[1], &rtmr[0]) ||
        !read_digest(registers[2], &rtmr[1]) || !read_digest(registers[3], &rtmr[2])) {
        return CVM_ERR_USAGE;
    }
    const struct cvm_manifest_shape *shape = cvm_manifest_find(manifest, &mrtd, rtmr);
    if (shape == NULL) {
        printf("no machine of the manifest reports these registers\n");
        return CVM_ERR_MISMATCH;
    }
    printf("the registers are those of '%s'\n", shape->name);
    return 0;
}

int main(int argc, char **argv)
{
    struct file manifest_file = { NULL, 0 };
    struct file key_file = { NULL, 0 };
    struct cvm_manifest *manifest = NULL;
    struct cvm_error err = { 0 };
    int status = 0;
    if (argc != 3 && argc != 7) {
        fprintf(stderr, "usage: check_manifest MANIFEST PUBLIC_KEY [MRTD RTMR0 RTMR1 RTMR2]\n");
        return CVM_ERR_USAGE;
    }
    if (!read_file(argv[1], &manifest_file) || !read_file(argv[2], &key_file)) {
        status = CVM_ERR_SYSTEM;
    } else if (!verify(&manifest_file, &key_file, &manifest, &err)) {
        fprintf(stderr, "%s: %s\n", cvm_error_word(err.code), err.msg);
        status = (int)err.code;
    } else if (argc == 7) {
        status = match(manifest, argv + 3);
    } else {
        print_shapes(manifest);
    }
    cvm_manifest_free(manifest);
    free(manifest_file.data);
    free(key_file.data);
    return status;
}
