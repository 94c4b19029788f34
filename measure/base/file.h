/*
 * Files: opened once and beneath a directory, read whole within a cap, written by
 * temporary name, fsync and rename so that nobody sees half of one.
 *
 * Errors are CVM_ERR_SYSTEM with the system's reason, and CVM_ERR_MALFORMED for
 * what an untrusted directory may hold: paths that leave it, things that are no
 * regular file, files over the cap. Messages name the file.
 */
#ifndef CVM_BASE_FILE_H
#define CVM_BASE_FILE_H

#include "measure/base/buf.h"
#include "measure/base/error.h"
#include "measure/include/cvm/types.h"

#include <dirent.h>
#include <sys/types.h>

/* What a file was when it was looked at; two equal values mean nobody changed it since. */
struct cvm_file_id {
    uint64_t device;
    uint64_t inode;
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* since the epoch */
    int64_t ctime_ns;
};

/* Opens a directory for the functions below. */
CVM_MUST_CHECK bool cvm_dir_open(const char *path, int *fd, struct cvm_error *err);

/* Makes a directory and its parents, as `mkdir -p`; those that exist stay as they are. */
CVM_MUST_CHECK bool cvm_dir_make(const char *path, mode_t mode, struct cvm_error *err);

/* A second handle on an open directory, for readdir() from its start; NULL with errno. */
DIR *cvm_dir_read(int fd);
void cvm_dir_stop_at(DIR **slot);

/*
 * Opens a regular file for reading. Links are followed, but neither they nor ".." may lead
 * out of dir_fd, and name must be relative (openat2 with RESOLVE_BENEATH).
 */
CVM_MUST_CHECK bool cvm_file_open_beneath(int dir_fd, const char *name, int *fd,
                                          struct cvm_error *err);

/* Opens a regular file anywhere for reading. */
CVM_MUST_CHECK bool cvm_file_open(const char *path, int *fd, struct cvm_error *err);

CVM_MUST_CHECK bool cvm_file_identify(int fd, const char *name, struct cvm_file_id *out,
                                      struct cvm_error *err);
bool cvm_file_id_equal(const struct cvm_file_id *a, const struct cvm_file_id *b);

/*
 * Has dirty pages written out. Whoever mapped the file for writing before is then stamped at
 * its next store, so that cvm_file_identify() notices it; not on tmpfs, which never does.
 */
CVM_MUST_CHECK bool cvm_file_settle(int fd, const char *name, struct cvm_error *err);

/*
 * Reads up to size bytes at an offset; *got is 0 at the end of the file only.
 *
 * @return false with CVM_ERR_SYSTEM; an interrupted call is taken up again.
 */
CVM_MUST_CHECK bool cvm_file_read_at(int fd, const char *name, void *buffer, size_t size,
                                     uint64_t offset, size_t *got, struct cvm_error *err);

/*
 * Reads everything from fd, from its start, and appends it to out.
 *
 * @return false with CVM_ERR_MALFORMED where the file is larger than max bytes.
 */
CVM_MUST_CHECK bool cvm_file_read(int fd, const char *name, size_t max, struct cvm_buf *out,
                                  struct cvm_error *err);

/* cvm_file_open() and cvm_file_read() in one. */
CVM_MUST_CHECK bool cvm_file_load(const char *path, size_t max, struct cvm_buf *out,
                                  struct cvm_error *err);

/* The same, where "-" is standard input to its end. */
CVM_MUST_CHECK bool cvm_input_load(const char *path, size_t max, struct cvm_buf *out,
                                   struct cvm_error *err);

/*
 * Writes a file whole: to a temporary name in the same directory, fsync, rename over `name`,
 * fsync of the directory. After a failure the old file is as it was and nothing is left.
 */
CVM_MUST_CHECK bool cvm_file_write(int dir_fd, const char *name, const void *data, size_t size,
                                   mode_t mode, struct cvm_error *err);

enum cvm_file_existing { CVM_FILE_REPLACE, CVM_FILE_KEEP };

/*
 * The same for a path.
 *
 * @return false with CVM_ERR_USAGE where it exists and CVM_FILE_KEEP was asked for; it is then
 *         untouched, also when another process made it meanwhile.
 */
CVM_MUST_CHECK bool cvm_file_save(const char *path, const void *data, size_t size, mode_t mode,
                                  enum cvm_file_existing existing, struct cvm_error *err);

#endif
