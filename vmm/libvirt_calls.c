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
    X(int, virConnectClose, (virConnectPtr conn), (conn))                                                   \
    X(int, virConnectDomainEventDeregisterAny, (virConnectPtr conn, int callbackID), (conn, callbackID))    \
    X(int, virConnectDomainEventRegisterAny,                                                                \
      (virConnectPtr conn, virDomainPtr dom, int eventID, virConnectDomainEventGenericCallback cb,          \
       void *opaque, virFreeCallback freecb), (conn, dom, eventID, cb, opaque, freecb))                     \
    X(char *, virConnectGetDomainCapabilities,                                                              \
      (virConnectPtr conn, const char *emulatorbin, const char *arch, const char *machine,                  \
       const char *virttype, unsigned flags), (conn, emulatorbin, arch, machine, virttype, flags))          \
    X(int, virConnectGetLibVersion, (virConnectPtr conn, unsigned long *libVer), (conn, libVer))            \
    X(int, virConnectListAllDomains, (virConnectPtr conn, virDomainPtr **domains, unsigned flags),          \
      (conn, domains, flags))                                                                               \
    X(virConnectPtr, virConnectOpen, (const char *name), (name))                                            \
    X(int, virDomainCreateWithFlags, (virDomainPtr domain, unsigned flags), (domain, flags))                \
    X(virDomainPtr, virDomainDefineXMLFlags, (virConnectPtr conn, const char *xml, unsigned flags),         \
      (conn, xml, flags))                                                                                   \
    X(int, virDomainDestroy, (virDomainPtr domain), (domain))                                               \
    X(int, virDomainFree, (virDomainPtr domain), (domain))                                                  \
    X(int, virDomainGetState, (virDomainPtr domain, int *state, int *reason, unsigned flags),               \
      (domain, state, reason, flags))                                                                       \
    X(virDomainPtr, virDomainLookupByName, (virConnectPtr conn, const char *name), (conn, name))            \
    X(virDomainPtr, virDomainLookupByUUIDString, (virConnectPtr conn, const char *uuid), (conn, uuid))      \
    X(int, virDomainQemuMonitorCommand,                                                                     \
      (virDomainPtr domain, const char *cmd, char **result, unsigned flags), (domain, cmd, result, flags))  \
    X(int, virDomainResume, (virDomainPtr domain), (domain))                                                \
    X(int, virDomainShutdownFlags, (virDomainPtr domain, unsigned flags), (domain, flags))                  \
    X(int, virDomainUndefineFlags, (virDomainPtr domain, unsigned flags), (domain, flags))                  \
    X(int, virEventAddTimeout, (int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff),\
      (frequency, cb, opaque, ff))                                                                          \
    X(int, virEventRegisterDefaultImpl, (void), ())                                                         \
    X(int, virEventRemoveTimeout, (int timer), (timer))                                                     \
    X(int, virEventRunDefaultImpl, (void), ())                                                              \
    X(virErrorPtr, virGetLastError, (void), ())                                                             \
    X(int, virInitialize, (void), ())                                                                       \
    X(void, virSetErrorFunc, (void *userData, virErrorFunc handler), (userData, handler))

/* NOLINTBEGIN(bugprone-macro-parentheses): types, names and lists of parameters take none. */
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
/* NOLINTEND(bugprone-macro-parentheses) */
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
