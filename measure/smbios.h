/*
 * Finding one's way in SMBIOS tables.
 */
#ifndef CVM_MEASURE_SMBIOS_H
#define CVM_MEASURE_SMBIOS_H

#include "measure/include/cvm/smbios.h"

/* A place within a structure. */
struct smbios_place {
    uint8_t type;
    uint16_t handle;
    size_t offset; /* bytes from the structure's start; its strings lie behind its fields */
};

/*
 * In which structure an offset of etc/smbios/smbios-tables lies.
 *
 * @param tables  of any bytes; borrowed for the call.
 * @return false where the structures up to the offset cannot be read, or end before it.
 */
CVM_MUST_CHECK bool smbios_locate(struct cvm_bytes tables, size_t offset, struct smbios_place *out);

#endif
