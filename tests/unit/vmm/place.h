/*
 * A directory that a test has to itself, and image bundles in it.
 *
 * Whatever goes wrong here fails the test.
 */
#ifndef CVM_TESTS_PLACE_H
#define CVM_TESTS_PLACE_H

#include "measure/base/buf.h"

#include <sys/types.h>

struct place {
    char path[64];
    int fd;
};

/* Makes a directory below TMPDIR; cmocka's setup and teardown, with *state a struct place. */
int place_setup(void **state);
int place_teardown(void **state);

/* The path of a name in it; valid until the next four calls. */
const char *place_path(const struct place *p, const char *name);

void place_write(const struct place *p, const char *name, const void *data, size_t size);
void place_write_text(const struct place *p, const char *name, const char *text);
void place_mkdir(const struct place *p, const char *name);
void place_symlink(const struct place *p, const char *target, const char *name);

/* The contents with a NUL behind; the caller frees the buffer. */
struct cvm_buf place_read(const struct place *p, const char *name);

/* Whether there is such a name, also a link that leads nowhere. */
bool place_has(const struct place *p, const char *name);

/* How many names there are in a directory of it, "." for itself. */
unsigned place_count(const struct place *p, const char *name);

/* Deletes a name and everything below it; one that does not exist is no failure. */
void place_delete(const struct place *p, const char *name);

/* --- bundles --- */

#define BUNDLE_METADATA                                                                            \
    "{\"cmdline\": \"console=ttyS0\", \"kernel\": \"kernel\", \"initrd\": \"initrd\", "            \
    "\"bios\": \"ovmf.fd\", \"rootfs\": \"rootfs.img.verity\", \"version\": \"0.5.11\"}"

/* A whole bundle in the directory `name`; its files are not what QEMU could run. */
void bundle_make(const struct place *p, const char *name, const char *metadata);

/* sha256sum.txt and digest.txt for the files that are there; again after a change of them. */
void bundle_seal(const struct place *p, const char *name);

#endif
