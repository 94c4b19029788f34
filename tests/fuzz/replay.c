/*
 * Runs the files of a directory through a fuzz target, each from memory of exactly its size.
 */
#include "tests/fuzz/fuzz.h"

#include "measure/base/file.h"

#include <dirent.h>

enum { MAX_SAMPLE = 1 << 20 };

static int is_sample(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool replay(const char *directory, const char *name, struct cvm_error *err)
{
    cvm_autobuf struct cvm_buf path = { 0 };
    cvm_autobuf struct cvm_buf file = { 0 };
    cvm_put_format(&path, "%s/%s", directory, name);
    cvm_put_u8(&path, 0);
    if (!cvm_buf_finish(&path, "path", err) ||
        !cvm_file_load((const char *)path.data, MAX_SAMPLE, &file, err)) {
        return false;
    }
    uint8_t *exact = malloc(file.len);
    if (exact == NULL && file.len != 0) {
        return cvm_fail_nomem(err, name, file.len);
    }
    if (file.len != 0) {
        memcpy(exact, file.data, file.len);
    }
    fprintf(stderr, "%s\n", name); /* the last one named is the one that failed */
    int status = LLVMFuzzerTestOneInput(exact, file.len);
    free(exact);
    return status == 0;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    struct cvm_error err = { 0 };
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    int count = scandir(argv[1], &entries, is_sample, alphasort);
    bool ok = count > 0;
    for (int i = 0; i < count; i++) {
        ok = ok && replay(argv[1], entries[i]->d_name, &err);
        free(entries[i]);
    }
    free(entries);
    if (!ok) {
        fprintf(stderr, "%s: %s\n", argv[1], count > 0 ? err.msg : "no samples there");
    }
    return ok ? 0 : 1;
}
