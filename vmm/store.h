/*
 * The state directory: one directory per guest, with everything its launch wrote.
 *
 * A guest's directory appears whole, by rename, or not at all. Names and CIDs are given out
 * under one lock; whoever works on a guest holds the lock of its directory.
 *
 *   vms/NAME/vm.json     what the launch was: struct cvm_vm_record
 *   vms/NAME/request.json, vm_config.json, expected.json, domain.xml
 *   vms/NAME/manifest.intoto.json  where the host signs
 *   vms/NAME/shared/     what the guest reads
 *   vms/NAME/disk.raw    the data disk
 *   vms/NAME/console.log what the guest wrote to COM1
 */
#ifndef CVM_VMM_STORE_H
#define CVM_VMM_STORE_H

#include "vmm/json.h"

#include <sys/types.h>

enum { CVM_UUID_SIZE = 37 };

/* The signed expectation in a guest's directory, where the host signs. */
#define CVM_GUEST_MANIFEST "manifest.intoto.json"

struct cvm_store {
    char *path; /* absolute */
    int fd;
};

#define cvm_autostore CVM_CLEANUP(cvm_store_close)

/*
 * Opens the guests' directory, PATH/vms; `create` makes it (and its parents) where it does not
 * exist.
 */
CVM_MUST_CHECK bool cvm_store_open(const char *path, bool create, struct cvm_store *out,
                                   struct cvm_error *err);
void cvm_store_close(struct cvm_store *s);

/* What is remembered of a launch. Strings borrow from the document. */
struct cvm_vm_record {
    struct json_object *document; /* owned */
    const char *name;
    const char *uuid;
    const char *image; /* absolute path of the bundle */
    const char *emulator;
    const char *libvirt_uri;
    const char *created; /* RFC 3339, UTC */
    struct cvm_opt_u64 cid;
    struct cvm_opt_bool no_tee;
    struct cvm_opt_bool has_vsock; /* false where another device took its slot */
    struct json_object *resources; /* what it holds of the host: vmm/resources.h; or NULL */
};

/* A guest's directory, opened. */
struct cvm_vm {
    char *path; /* absolute */
    int fd;     /* locked while open, where that was asked for */
    struct cvm_vm_record record;
};

#define CVM_VM_NONE                                                                                \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
#define cvm_autovm CVM_CLEANUP(cvm_vm_close)

/*
 * Opens a guest by name.
 *
 * @param lock  whether to keep others from working on it; one that is locked already is
 *              CVM_ERR_SYSTEM, saying so.
 * @return false with CVM_ERR_USAGE where there is none of this name.
 */
CVM_MUST_CHECK bool cvm_vm_open(const struct cvm_store *s, const char *name, bool lock,
                                struct cvm_vm *out, struct cvm_error *err);

/* The same for a name that was listed: *found is false where the guest was removed meanwhile. */
CVM_MUST_CHECK bool cvm_vm_open_listed(const struct cvm_store *s, const char *name, bool *found,
                                       struct cvm_vm *out, struct cvm_error *err);
void cvm_vm_close(struct cvm_vm *vm);

/* A JSON file of a guest's directory. */
CVM_MUST_CHECK bool cvm_vm_load_json(const struct cvm_vm *vm, const char *name,
                                     struct json_object **out, struct cvm_error *err);

/* Names of all guests, sorted. */
struct cvm_names {
    char **items; /* owned */
    size_t count;
};
CVM_MUST_CHECK bool cvm_store_list(const struct cvm_store *s, struct cvm_names *out,
                                   struct cvm_error *err);
void cvm_names_free(struct cvm_names *names);

/* --- making one --- */

/* A launch's claim on a name and a CID, and the directory in the making. */
struct cvm_claim {
    const struct cvm_store *store;
    int lock;           /* of the whole store, held from claim to commit */
    char temporary[96]; /* name of the directory in the making */
    const char *name;   /* borrowed */
    int fd;             /* of that directory; -1 before it is made */
    uint32_t cid;
};

#define CVM_CLAIM_NONE                                                                             \
    {                                                                                              \
        .lock = -1, .fd = -1                                                                       \
    }
#define cvm_autoclaim CVM_CLEANUP(cvm_claim_drop)

/*
 * What a claim would come to, without claiming: whether the name is free, and the lowest free
 * CID of cid_first .. cid_first + cid_count - 1.
 *
 * @return false with CVM_ERR_USAGE where the name is taken, CVM_ERR_SYSTEM where no CID is free.
 */
CVM_MUST_CHECK bool cvm_store_peek(const struct cvm_store *s, const char *name, uint32_t cid_first,
                                   uint32_t cid_count, uint32_t *cid, struct cvm_error *err);

/*
 * Claims a name and the lowest free CID of cid_first .. cid_first + cid_count - 1. Nothing is
 * written yet.
 *
 * @return false with CVM_ERR_USAGE where the name is taken, CVM_ERR_SYSTEM where no CID is free.
 */
CVM_MUST_CHECK bool cvm_store_claim(const struct cvm_store *s, const char *name, uint32_t cid_first,
                                    uint32_t cid_count, struct cvm_claim *out,
                                    struct cvm_error *err);

/* Makes the directory, empty; its files are written through claim->fd. */
CVM_MUST_CHECK bool cvm_claim_make(struct cvm_claim *c, struct cvm_error *err);

/* Gives the directory its name; from now on the guest exists. */
CVM_MUST_CHECK bool cvm_claim_commit(struct cvm_claim *c, struct cvm_error *err);

/* Removes what was not committed and gives the lock back; takes a spent claim as well. */
void cvm_claim_drop(struct cvm_claim *c);

/* Deletes a guest's directory and everything in it. */
CVM_MUST_CHECK bool cvm_store_delete(const struct cvm_store *s, const char *name,
                                     struct cvm_error *err);

#endif
