/**
 * What a firmware file is: everything that measurements need of it, read out of its bytes once.
 *
 * The result is plain data without pointers: it can be copied, compared and kept, and stands
 * for the file as long as the file's digest is the one in it.
 *
 * Source:  UEFI Platform Initialization 1.8, volume 3 (firmware volumes); edk2's variable
 *          store and volume names; docs/measurement.md for what follows from them.
 * Threads: no global state.
 */
#ifndef CVM_FIRMWARE_H
#define CVM_FIRMWARE_H

#include "cvm/layout.h"
#include "cvm/machine.h"
#include "cvm/tdvf.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the variable store in the CFV section is written. */
enum cvm_store_format {
    CVM_STORE_NONE, /**< the section holds no variable store that is known: no variables are read */
    CVM_STORE_PLAIN,
    CVM_STORE_AUTHENTICATED,
};

/** One of the variables that are measured whether they exist or not. */
struct cvm_secure_variable {
    bool present;
    uint32_t size;            /**< bytes of data; 0 where there is none */
    struct cvm_sha384 digest; /**< of its event in RTMR0 */
};

struct cvm_firmware_variables {
    enum cvm_store_format format;
    uint32_t store_size; /**< bytes, as the store's header says */
    uint32_t num_live;   /**< variables that are there for the firmware */
    bool boot_options;   /**< BootOrder or a Boot#### is among them */
    bool secure_boot;    /**< PK is there, and SecureBootEnable is absent or 1 */
    struct cvm_secure_variable pk, kek, db, dbx;
};

/** What of the volumes decides the layout. */
struct cvm_firmware_features {
    bool measures;           /**< TdTcg2Dxe: measures in a TD at all */
    bool fw_cfg;             /**< fw_cfg items are measured */
    bool acpi;               /**< the ACPI files are measured */
    bool smbios;             /**< SmbiosMeasurementDxe */
    bool boot_manager_menu;  /**< BootManagerMenuApp */
    bool ui_app;             /**< UiApp */
    bool secure_boot_config; /**< SecureBootConfigDxe */
    bool cmdline_prefix;     /**< the text "initrd=initrd " occurs */
    bool cmdline_suffix;     /**< the text " initrd=initrd" occurs */
};

/** How much is known of the layout. */
enum cvm_layout_state {
    CVM_LAYOUT_UNKNOWN,  /**< it could not be read out of the file; layout_reason says why */
    CVM_LAYOUT_DERIVED,  /**< read out of the file */
    CVM_LAYOUT_VERIFIED, /**< as well, and this very file was seen to extend these events */
};

/** The word of a state as JSON shows it: "unknown", "derived", "verified". */
CVM_API const char *cvm_layout_state_word(enum cvm_layout_state state);

enum { CVM_LAYOUT_REASON_SIZE = 192 };

struct cvm_firmware {
    struct cvm_sha384 digest; /**< of the whole file */
    uint64_t size;            /**< bytes */
    struct cvm_tdvf tdvf;
    struct cvm_td_ranges ranges;
    struct cvm_sha384 mrtd_single_pass;
    struct cvm_sha384 mrtd_two_pass;
    struct cvm_sha384 cfv; /**< of the CFV section's bytes */
    bool empty_store;      /**< the CFV section is the known empty store of a 4 MiB build */
    struct cvm_firmware_variables variables;
    struct cvm_firmware_features features;
    enum cvm_layout_state layout_state;
    char layout_reason[CVM_LAYOUT_REASON_SIZE]; /**< one phrase; "" unless unknown */
    struct cvm_layout layout;                   /**< zero where it is unknown */
    struct cvm_smbios_firmware strings;         /**< of SMBIOS type 0; empty where not found */
};

/**
 * Reads a firmware file: TDVF metadata, MRTD in both orders, variable store, volumes, layout.
 *
 * @param firmware  the whole file, borrowed for the call.
 * @param out       set on success; holds no pointers.
 * @return false with CVM_ERR_MALFORMED naming field, offset and limit, also for what lies in a
 *         packed volume; CVM_ERR_UNSUPPORTED for what is understood but not known how;
 *         CVM_ERR_NOMEM, CVM_ERR_SYSTEM. A file whose layout cannot be told is no failure.
 */
CVM_API CVM_MUST_CHECK bool cvm_firmware_inspect(struct cvm_bytes firmware,
                                                 struct cvm_firmware *out, struct cvm_error *err);

/**
 * Which evidence there is that the file with this digest extends the events of its layout.
 *
 * @return a constant sentence; NULL where there is none.
 */
CVM_API const char *cvm_firmware_evidence(const struct cvm_sha384 *digest);

#ifdef __cplusplus
}
#endif

#endif
