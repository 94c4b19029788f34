/*
 * Which build of the program this is.
 */
#ifndef CVM_VMM_TOOL_H
#define CVM_VMM_TOOL_H

enum { CVM_TOOL_MAX = 96 };

/*
 * The version and, where the linker left one, the build ID of the running program:
 * "0.1.0 3f2b...". Two programs of one version that may compute differently are told apart by it.
 */
struct cvm_tool {
    char text[CVM_TOOL_MAX];
};

struct cvm_tool cvm_tool_identify(void);

#endif
