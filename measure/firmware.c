#include "measure/firmware.h"

#include "measure/base/hash.h"
#include "measure/base/hex.h"
#include "measure/firmware_layout.h"
#include "measure/mrtd.h"
#include "measure/variable_store.h"

/* An empty variable store of a 4 MiB build: what deployed verifiers assume of every image. */
#define EMPTY_CFV                                                                                  \
    "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790"

/* Files that were booted unmodified, while every extend was logged (tests/vectors/firmware). */
static const struct {
    const char *digest;   /* of the file, in hex */
    const char *layout;   /* whose events it extended */
    const char *evidence; /* which file, and what was seen */
} verified[] = {
    { "6b26bfdf4a92cdb061eb305d723495f09948dcaf82e939519d546952772c5e304a8adec5c294c6e1810f8f6bd1a946b0",
      "pre202505",
      "Debian's ovmf 2025.02-8+deb13u1, OVMF.fd: every extend of a boot was logged "
      "(td-b-bios.extends)" },
    { "065f9be925952cbe3ac42f046494f96b4bde8479e5d3560b42422918ebeab4daeaa88cd6d473d378ddd98293c3b79df0",
      "stable202505",
      "Debian's ovmf-generic 2026.08+ds-2, OVMF.fd: every extend of a boot was logged "
      "(td-d-bios.extends)" },
};

static const char *const state_words[] = {
    [CVM_LAYOUT_UNKNOWN] = "unknown",
    [CVM_LAYOUT_DERIVED] = "derived",
    [CVM_LAYOUT_VERIFIED] = "verified",
};

const char *cvm_layout_state_word(enum cvm_layout_state state)
{
    bool known = (unsigned)state < sizeof state_words / sizeof state_words[0];
    return known ? state_words[state] : "?";
}

/* The row of a digest; the number of rows where there is none. */
static size_t find_verified(const struct cvm_sha384 *digest)
{
    char hex[2 * sizeof digest->bytes + 1];
    size_t i = 0;
    cvm_hex_encode(digest->bytes, sizeof digest->bytes, hex);
    while (i < sizeof verified / sizeof verified[0] && strcmp(verified[i].digest, hex) != 0) {
        i++;
    }
    return i;
}

const char *cvm_firmware_evidence(const struct cvm_sha384 *digest)
{
    size_t i = find_verified(digest);
    return i < sizeof verified / sizeof verified[0] ? verified[i].evidence : NULL;
}

/* A layout that is not the one that was seen stays a derived one. */
static void apply_evidence(struct cvm_firmware *f)
{
    size_t i = find_verified(&f->digest);
    if (f->layout_state == CVM_LAYOUT_DERIVED && i < sizeof verified / sizeof verified[0] &&
        cvm_layout_same_events(&f->layout, cvm_layout_find(verified[i].layout))) {
        f->layout_state = CVM_LAYOUT_VERIFIED;
    }
}

static const struct cvm_tdvf_section *find_cfv(const struct cvm_tdvf *tdvf, struct cvm_error *err)
{
    const struct cvm_tdvf_section *cfv = NULL;
    unsigned found = 0;
    for (uint32_t i = 0; i < tdvf->num_sections; i++) {
        if (tdvf->sections[i].type == CVM_TDVF_CFV) {
            cfv = &tdvf->sections[i];
            found++;
        }
    }
    if (found != 1) {
        cvm_fail(err, CVM_ERR_MALFORMED, "%u CFV sections instead of one", found);
        return NULL;
    }
    return cfv;
}

bool firmware_hash_empty_cfv(struct cvm_sha384 *out, struct cvm_error *err)
{
    return cvm_hex_decode(EMPTY_CFV, sizeof EMPTY_CFV - 1, out->bytes, sizeof out->bytes, err);
}

static bool read_store(struct cvm_bytes bytes, struct cvm_firmware *f, struct cvm_error *err)
{
    struct cvm_sha384 empty;
    const struct cvm_tdvf_section *cfv = find_cfv(&f->tdvf, err);
    if (cfv == NULL) {
        return false;
    }
    const struct cvm_bytes section = { bytes.data + cfv->data_offset, cfv->raw_size };
    if (!cvm_sha384(section.data, section.size, &f->cfv, err) ||
        !firmware_hash_empty_cfv(&empty, err)) {
        return false;
    }
    f->empty_store = memcmp(&empty, &f->cfv, sizeof empty) == 0;
    return variable_store_measure(section, cfv->data_offset, &f->variables, err);
}

bool cvm_firmware_inspect(struct cvm_bytes firmware, struct cvm_firmware *out,
                          struct cvm_error *err)
{
    struct cvm_firmware f;
    memset(&f, 0, sizeof f); /* padding too: callers may compare or keep the bytes */
    f.size = firmware.size;
    if (!cvm_tdvf_parse(firmware, &f.tdvf, err) || !cvm_tdvf_ranges(&f.tdvf, &f.ranges, err) ||
        !read_store(firmware, &f, err) || !firmware_derive_layout(firmware, &f, err) ||
        !cvm_sha384(firmware.data, firmware.size, &f.digest, err) ||
        !mrtd_compute(firmware, &f.tdvf, CVM_PAGES_SINGLE_PASS, &f.mrtd_single_pass, err) ||
        !mrtd_compute(firmware, &f.tdvf, CVM_PAGES_TWO_PASS, &f.mrtd_two_pass, err)) {
        return false;
    }
    apply_evidence(&f);
    *out = f;
    return true;
}
