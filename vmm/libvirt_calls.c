#include "vmm/libvirt_calls.h"

#include "measure/base/error.h"

#include <dlfcn.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stddef.h>
#include <string.h>

/* clang-format off */
/* X(type, name, parameters, arguments): the functions that hypervisor.c calls. */
#define LIBVIRT_CALLS(X)                                                                                    \
    X(int, virConnectClose, (virConnectPtr c), (c))                                                         \
    X(int, virConnectDomainEventDeregisterAny, (virConnectPtr c, int id), (c, id))                          \
    X(int, virConnectDomainEventRegisterAny,                                                                \
      (virConnectPtr c, virDomainPtr d, int id, virConnectDomainEventGenericCallback f, void *data,         \
       virFreeCallback ff), (c, d, id, f, data, ff))                                                        \
    X(char *, virConnectGetDomainCapabilities,                                                              \
      (virConnectPtr c, const char *emulator, const char *arch, const char *machine, const char *type,      \
       unsigned flags), (c, emulator, arch, machine, type, flags))                                          \
    X(int, virConnectGetLibVersion, (virConnectPtr c, unsigned long *v), (c, v))                            \
    X(int, virConnectListAllDomains, (virConnectPtr c, virDomainPtr **d, unsigned flags), (c, d, flags))    \
    X(virConnectPtr, virConnectOpen, (const char *name), (name))                                            \
    X(int, virDomainCreateWithFlags, (virDomainPtr d, unsigned flags), (d, flags))                          \
    X(virDomainPtr, virDomainDefineXMLFlags, (virConnectPtr c, const char *xml, unsigned flags),            \
      (c, xml, flags))                                                                                      \
    X(int, virDomainDestroy, (virDomainPtr d), (d))                                                         \
    X(int, virDomainFree, (virDomainPtr d), (d))                                                            \
    X(int, virDomainGetState, (virDomainPtr d, int *state, int *reason, unsigned flags),                    \
      (d, state, reason, flags))                                                                            \
    X(virDomainPtr, virDomainLookupByName, (virConnectPtr c, const char *name), (c, name))                  \
    X(virDomainPtr, virDomainLookupByUUIDString, (virConnectPtr c, const char *uuid), (c, uuid))            \
    X(int, virDomainQemuMonitorCommand,                                                                     \
      (virDomainPtr d, const char *command, char **result, unsigned flags), (d, command, result, flags))    \
    X(int, virDomainResume, (virDomainPtr d), (d))                                                          \
    X(int, virDomainShutdownFlags, (virDomainPtr d, unsigned flags), (d, flags))                            \
    X(int, virDomainUndefineFlags, (virDomainPtr d, unsigned flags), (d, flags))                            \
    X(int, virEventAddTimeout, (int ms, virEventTimeoutCallback f, void *data, virFreeCallback ff),         \
      (ms, f, data, ff))                                                                                    \
    X(int, virEventRegisterDefaultImpl, (void), ())                                                         \
    X(int, virEventRemoveTimeout, (int timer), (timer))                                                     \
    X(int, virEventRunDefaultImpl, (void), ())                                                              \
    X(virErrorPtr, virGetLastError, (void), ())                                                             \
    X(int, virInitialize, (void), ())                                                                       \
    X(void, virSetErrorFunc, (void *data, virErrorFunc f), (data, f))

/* The functions themselves; constant once they are loaded. */
#define MEMBER(type, name, parameters, arguments) type(*name) parameters;
static struct {
    LIBVIRT_CALLS(MEMBER)
} loaded;

/* libvirt's header declares these names; here each leads to the function that was loaded. */
#define DEFINE(type, name, parameters, arguments) \
    type name parameters { return loaded.name arguments; }
LIBVIRT_CALLS(DEFINE)

#define ROW(type, name, parameters, arguments) { #name, (char *)&loaded.name },
static const struct {
    const char *name;
    char *slot;
} calls[] = { LIBVIRT_CALLS(ROW) };
/* clang-format on */

static bool fail_loader(struct cvm_error *err)
{
    const char *why = dlerror();
    return cvm_fail(err, CVM_ERR_SYSTEM, "libvirt cannot be loaded: %s",
                    why == NULL ? "no reason given" : why);
}

bool cvm_libvirt_load(struct cvm_error *err)
{
    /* Depends on libvirt.so.0, whose functions are found through it as well. */
    void *library = dlopen("libvirt-qemu.so.0", RTLD_LAZY | RTLD_LOCAL); /* stays for good */
    if (library == NULL) {
        return fail_loader(err);
    }
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *function = dlsym(library, calls[i].name);
        if (function == NULL) {
            return fail_loader(err);
        }
        memcpy(calls[i].slot, &function, sizeof function);
    }
    return true;
}
