/*
 * Which description of a machine would give what was seen.
 *
 * The search goes through machines near the declared one: each fact of a table changed by itself
 * first; then those changes together that alone gave more of what was seen; then any two facts at
 * a time; until a machine gives every value that was seen, or time runs out. A machine that gives
 * more than the declared one is kept as the nearest.
 *
 * Source: docs/verify.md, "When it does not match".
 */
#ifndef CVM_VMM_EXPLAIN_H
#define CVM_VMM_EXPLAIN_H

#include "vmm/declared.h"

#include <pthread.h>

enum {
    CVM_EXPLAIN_MAX_SEEN = 80,
    CVM_EXPLAIN_MAX_IMAGES = 64,
    CVM_EXPLAIN_MAX_FOUND = 8,
    CVM_EXPLAIN_MAX_CHANGES = 6,
    CVM_EXPLAIN_MIN_DIGITS = 12, /* of a shortened digest: enough to be no coincidence */
};

/* A value that was seen: of a register, or the digest of an event. May be only its beginning. */
struct cvm_seen {
    const char *name;        /* "mrtd", "rtmr0" to "rtmr2", or an event: "acpi_tables" */
    struct cvm_sha384 value; /* zeros behind the digits that are known */
    unsigned digits;         /* hexadecimal digits that are known, at most 96 */
};

/* "rtmr0=d357b91a5bc62825": CVM_ERR_USAGE where it is nothing of the kind. */
CVM_MUST_CHECK bool cvm_seen_parse(const char *text, char name[32], struct cvm_seen *out,
                                   struct cvm_error *err);

/* Whether it is of something that machines give; CVM_ERR_USAGE. */
CVM_MUST_CHECK bool cvm_seen_check(const struct cvm_seen *seen, struct cvm_error *err);

/* Whether this expectation gives it. */
bool cvm_seen_fits(const struct cvm_seen *seen, const struct cvm_expectation *e);

/* An inclusive range of numbers to try. */
struct cvm_explain_range {
    uint64_t from, to, step;
};

struct cvm_explain_input {
    struct cvm_declared *declared; /* borrowed; what is read of its bundle is kept in it */
    const struct cvm_host *host;   /* whose image directory is searched; NULL: it is not */
    struct cvm_seen seen[CVM_EXPLAIN_MAX_SEEN];
    unsigned num_seen;
    const struct cvm_event_log *log; /* borrowed; NULL: judges what is nearest by its events */
    struct cvm_explain_range cpus, memory;
    double budget; /* seconds */
    /* Called now and then from the caller's thread; may be NULL. */
    void (*progress)(uint64_t done, uint64_t total, const char *stage);
};

/* Ranges that are tried where nobody says any. */
struct cvm_explain_range cvm_explain_default_cpus(const struct cvm_machine *machine);
struct cvm_explain_range cvm_explain_default_memory(const struct cvm_machine *machine);

/* One fact that is not as declared. */
struct cvm_explain_change {
    const char *fact;   /* a constant: the dimension's name */
    char declared[100]; /* its value as declared */
    char seen[100];     /* the value that explains */
    char sentence[420]; /* what happened and what to do, for people */
};

struct cvm_explanation {
    struct cvm_explain_change changes[CVM_EXPLAIN_MAX_CHANGES];
    unsigned num_changes;
    unsigned matched; /* how many of the values that were seen it gives */
};

struct cvm_explained {
    unsigned num_seen;
    unsigned matched;  /* values that the machine as declared gives; all: nothing to explain */
    bool measurable;   /* the machine as declared could be measured at all */
    char why_not[300]; /* where it could not */
    struct cvm_explanation found[CVM_EXPLAIN_MAX_FOUND]; /* each gives everything that was seen */
    unsigned num_found;
    bool has_nearest; /* nothing was found, but this gives more than what is declared */
    struct cvm_explanation nearest;
    bool nearest_matches[CVM_EXPLAIN_MAX_SEEN]; /* which values that one gives */
    uint64_t tried;                             /* machines that were measured */
    uint64_t skipped; /* combinations that change nothing that is measured, or cannot be */
    uint64_t total;   /* combinations there are */
    bool complete;    /* every combination was looked at */
    bool pairs;       /* two changes at a time were tried as well */
    double seconds;
    double cpu_seconds;
};

/*
 * Searches. That nothing is found is an answer, not an error.
 *
 * @return false with CVM_ERR_USAGE for a value of no known name, CVM_ERR_MALFORMED for an image
 *         that cannot be read, CVM_ERR_NOMEM, CVM_ERR_SYSTEM.
 */
CVM_MUST_CHECK bool cvm_explain(const struct cvm_explain_input *input, struct cvm_explained *out,
                                struct cvm_error *err);

/* --- images: vmm/explain_images.c --- */

/* An image that may be the one that was measured. */
struct cvm_explain_image {
    struct cvm_bundle bundle; /* owned; not of image 0, which is the declared one */
    struct cvm_bundle_facts facts;
    bool tried;    /* whether its files were read */
    bool readable; /* whether they are what the bundle lists */
};

struct cvm_explain_images {
    const struct cvm_explain_input *input;
    struct cvm_explain_image items[CVM_EXPLAIN_MAX_IMAGES];
    uint32_t count;        /* 0 is the declared one */
    pthread_rwlock_t lock; /* of everything in items that is read out of files */
};

void cvm_explain_images_init(struct cvm_explain_images *images,
                             const struct cvm_explain_input *input);

/* Opens the other bundles of the image directory. */
void cvm_explain_images_find(struct cvm_explain_images *images);

/*
 * The firmware of an image other than the declared one; the first who asks has its files read.
 *
 * @return NULL where they cannot be read, or are not what the bundle lists.
 */
const struct cvm_firmware *cvm_explain_images_firmware(struct cvm_explain_images *images,
                                                       uint32_t index);

/* Measures an image, whose firmware was asked for before. Several threads may. */
CVM_MUST_CHECK bool cvm_explain_images_measure(struct cvm_explain_images *images, uint32_t index,
                                               const struct cvm_machine *machine,
                                               struct cvm_expectation *out, struct cvm_error *err);
void cvm_explain_images_free(struct cvm_explain_images *images);

/* --- the table of facts: vmm/explain_facts.c --- */

/* A machine on trial: the declaration with some facts changed. */
struct cvm_candidate {
    struct cvm_vm_config config;
    struct cvm_measure_evidence evidence;
    char qemu_version[24];
    uint32_t image; /* index into the images of the search */
};

/* What values of facts are counted and named by. */
struct cvm_explain_facts {
    const struct cvm_explain_input *input;
    const struct cvm_explain_images *images;
};

struct cvm_explain_fact {
    const char *name; /* as vm_config or the command line calls it */
    const char *what; /* "the firmware layout" */
    const char *advice;
    /* How many values there are; value i of them; whether it is what is declared is seen later. */
    uint32_t (*count)(const struct cvm_explain_facts *s);
    uint64_t (*value)(const struct cvm_explain_facts *s, uint32_t i);
    uint64_t (*declared)(const struct cvm_explain_facts *s);
    void (*apply)(const struct cvm_explain_facts *s, uint64_t value, struct cvm_candidate *c);
    void (*show)(const struct cvm_explain_facts *s, uint64_t value, char *out, size_t size);
};

/* The facts, in the order in which they are tried; *count is set to how many. */
const struct cvm_explain_fact *cvm_explain_fact_table(size_t *count);

/* Writes the sentence of a change whose other values are set. */
void cvm_explain_sentence(const struct cvm_explain_facts *s, const struct cvm_explain_fact *fact,
                          struct cvm_explain_change *change);

#endif
