/*
 * "Did you mean ...?"
 */
#ifndef CVM_VMM_NEAREST_H
#define CVM_VMM_NEAREST_H

/*
 * Which of two known words is nearer to what was typed; either may be NULL.
 *
 * @return best or candidate; NULL where neither is near enough to be meant (more than a third
 *         of its letters differ).
 */
const char *cvm_nearer(const char *typed, const char *best, const char *candidate);

#endif
