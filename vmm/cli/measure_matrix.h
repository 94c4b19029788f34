/*
 * cvm measure --matrix: one line of JSON per machine.
 */
#ifndef CVM_CLI_MEASURE_MATRIX_H
#define CVM_CLI_MEASURE_MATRIX_H

#include "vmm/measure_base.h"

/*
 * Measures every shape of a matrix and prints the lines.
 *
 * @param base       its firmware is that of the facts that are opened here.
 * @param state_dir  where digests are cached; NULL for nowhere.
 * @return false also where a shape could not be measured, with the code of the first of them,
 *         after all lines were printed.
 */
CVM_MUST_CHECK bool cli_measure_matrix(const char *path, struct cvm_measure_base *base,
                                       const char *state_dir, struct cvm_error *err);

#endif
