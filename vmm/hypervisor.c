#include "vmm/hypervisor.h"

#include "vmm/libvirt_calls.h"
#include "vmm/log.h"
#include "vmm/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

struct cvm_hypervisor {
    virConnectPtr connection;
    pthread_t loop;
    bool loop_runs;
    bool embedded;
    atomic_bool stop;
    int lifecycle; /* callback ID; -1 where none */
    int timer;
    pthread_mutex_t mutex;
    pthread_cond_t event; /* signalled at every lifecycle event */
};

static void free_domain(virDomainPtr *slot)
{
    if (*slot != NULL) {
        virDomainFree(*slot);
    }
}

#define autodomain CVM_CLEANUP(free_domain)

/* --- errors --- */

static bool fail_libvirt(struct cvm_error *err, const char *what)
{
    virErrorPtr last = virGetLastError();
    int code = last == NULL ? VIR_ERR_OK : last->code;
    enum cvm_error_code mapped = code == VIR_ERR_CONFIG_UNSUPPORTED ? CVM_ERR_UNSUPPORTED
                                 : code == VIR_ERR_NO_MEMORY        ? CVM_ERR_NOMEM
                                                                    : CVM_ERR_SYSTEM;
    cvm_fail(err, mapped, "libvirt: %s: %s", what,
             last == NULL || last->message == NULL ? "no reason given" : last->message);
    for (char *p = err->msg; *p != '\0'; p++) { /* QEMU's own lines come within the message */
        if (*p == '\n' || *p == '\r') {
            *p = ' ';
        }
    }
    return false;
}

static bool last_error_is(int code)
{
    virErrorPtr last = virGetLastError();
    return last != NULL && last->code == code;
}

static void ignore_error(void *data, virErrorPtr error)
{
    (void)data;
    (void)error;
}

/* --- the event loop --- */

static void on_timer(int timer, void *data)
{
    (void)timer;
    (void)data; /* only wakes the loop, so that it sees `stop` */
}

static void *run_loop(void *data)
{
    struct cvm_hypervisor *h = data;
    while (!atomic_load(&h->stop)) {
        if (virEventRunDefaultImpl() < 0) {
            break;
        }
    }
    return NULL;
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *data)
{
    struct cvm_hypervisor *h = data;
    (void)connection;
    (void)domain;
    (void)event;
    (void)detail;
    pthread_mutex_lock(&h->mutex);
    pthread_cond_broadcast(&h->event);
    pthread_mutex_unlock(&h->mutex);
    return 0;
}

static bool start_loop(struct cvm_hypervisor *h, struct cvm_error *err)
{
    enum { WAKE_EVERY_MS = 100 };
    if (virEventRegisterDefaultImpl() < 0) {
        return fail_libvirt(err, "event loop");
    }
    h->timer = virEventAddTimeout(WAKE_EVERY_MS, on_timer, NULL, NULL);
    if (h->timer < 0) {
        return fail_libvirt(err, "event loop");
    }
    int rc = pthread_create(&h->loop, NULL, run_loop, h);
    h->loop_runs = rc == 0;
    return rc == 0 ? true : cvm_fail_errno(err, rc, "start event loop");
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* --- connections --- */

/*
 * One process at a time may use an embedded root, and a driver that failed to start cannot be
 * tried again in the same process: whoever comes later waits here, before it starts. The driver
 * keeps its root until the process ends, longer than any connection, and so does the lock.
 *
 * @param root  the value of "root=" in the URI, up to its end or the next "&".
 */
static bool lock_root(const char *root, struct cvm_error *err)
{
    enum { TRIES = 600, WAIT_MS = 50 };
    static int lock = -1;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%.*s/.cvm.lock", (int)strcspn(root, "&"), root);
    if (n < 0 || (size_t)n >= sizeof path) {
        return cvm_fail(err, CVM_ERR_USAGE, "root of the embedded driver: path too long");
    }
    if (lock >= 0) {
        return true;
    }
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        return cvm_fail_errno(err, errno, "lock '%s'", path);
    }
    for (unsigned i = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == TRIES) {
            cvm_close_at(&lock);
            return cvm_fail(err, CVM_ERR_SYSTEM,
                            "another process has used '%.*s' for half a minute", n - 10, path);
        }
        sleep_ms(WAIT_MS);
    }
    return true;
}

static void await_shutdown(virDomainPtr domain)
{
    enum { TRIES = 250, WAIT_MS = 20 };
    int state = VIR_DOMAIN_NOSTATE;
    for (unsigned i = 0; i < TRIES; i++) {
        if (virDomainGetState(domain, &state, NULL, 0) < 0 || state != VIR_DOMAIN_SHUTDOWN) {
            return;
        }
        sleep_ms(WAIT_MS);
    }
}

/*
 * The embedded driver finds its guests again in the background. Until then a state is that of
 * the last process: the first question gets the old answer, the next one waits for the new,
 * and a guest that powered off meanwhile is only then brought to its end.
 */
static void settle(virConnectPtr connection)
{
    enum { WAIT_MS = 20 };
    virDomainPtr *active = NULL;
    int count = virConnectListAllDomains(connection, &active, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    for (int i = 0; i < count; i++) {
        int state;
        virDomainGetState(active[i], &state, NULL, 0);
    }
    if (count > 0) {
        sleep_ms(WAIT_MS);
    }
    for (int i = 0; i < count; i++) {
        await_shutdown(active[i]);
        virDomainFree(active[i]);
    }
    free(active);
}

static bool open_connection(struct cvm_hypervisor *h, const char *uri, struct cvm_error *err)
{
    h->embedded = strstr(uri, ":///embed") != NULL;
    virSetErrorFunc(NULL, ignore_error);
    if (h->embedded) {
        setenv("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null", 0); /* the driver would log to stderr */
    }
    if (virInitialize() < 0 || !start_loop(h, err)) {
        return err->code != CVM_OK ? false : fail_libvirt(err, "initialise");
    }
    cvm_log("connecting to %s", uri);
    const char *root = h->embedded ? strstr(uri, "root=") : NULL;
    if (root != NULL && !lock_root(root + strlen("root="), err)) {
        return false;
    }
    h->connection = virConnectOpen(uri);
    if (h->connection == NULL) {
        return fail_libvirt(err, uri);
    }
    if (h->embedded) {
        settle(h->connection);
    }
    h->lifecycle =
        virConnectDomainEventRegisterAny(h->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), h, NULL);
    return h->lifecycle >= 0 ? true : fail_libvirt(err, "register for events");
}

bool cvm_hypervisor_open(const char *uri, struct cvm_hypervisor **out, struct cvm_error *err)
{
    if (!cvm_libvirt_load(err)) {
        return false;
    }
    struct cvm_hypervisor *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return cvm_fail_nomem(err, "connection", sizeof *h);
    }
    h->lifecycle = -1;
    h->timer = -1;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&h->event, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!open_connection(h, uri, err)) {
        cvm_hypervisor_close(h);
        return false;
    }
    *out = h;
    return true;
}

void cvm_hypervisor_close(struct cvm_hypervisor *h)
{
    if (h == NULL) {
        return;
    }
    if (h->lifecycle >= 0) {
        virConnectDomainEventDeregisterAny(h->connection, h->lifecycle);
    }
    if (h->connection != NULL) {
        virConnectClose(h->connection);
    }
    atomic_store(&h->stop, true);
    if (h->loop_runs) {
        pthread_join(h->loop, NULL);
    }
    if (h->timer >= 0) {
        virEventRemoveTimeout(h->timer);
    }
    pthread_cond_destroy(&h->event);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

void cvm_hypervisor_close_at(struct cvm_hypervisor **slot)
{
    cvm_hypervisor_close(*slot);
}

bool cvm_hypervisor_version(struct cvm_hypervisor *h, unsigned long *out, struct cvm_error *err)
{
    return virConnectGetLibVersion(h->connection, out) == 0 ? true : fail_libvirt(err, "version");
}

/* Whether an expression finds something in an emulator's capabilities; virttype NULL: any. */
static bool has_capability(struct cvm_hypervisor *h, const char *emulator, const char *virttype,
                           const char *xpath, bool *out, struct cvm_error *err)
{
    cvm_autofree char *xml =
        virConnectGetDomainCapabilities(h->connection, emulator, "x86_64", "q35", virttype, 0);
    if (xml == NULL) { /* without KVM there are no capabilities of KVM domains, and no TDs */
        *out = false;
        return last_error_is(VIR_ERR_INVALID_ARG) || last_error_is(VIR_ERR_CONFIG_UNSUPPORTED)
                   ? true
                   : fail_libvirt(err, "domain capabilities");
    }
    return cvm_xml_matches(xml, xpath, out, err);
}

bool cvm_hypervisor_is_embedded(const struct cvm_hypervisor *h)
{
    return h->embedded;
}

bool cvm_hypervisor_has_tdx(struct cvm_hypervisor *h, const char *emulator, bool *out,
                            struct cvm_error *err)
{
    return has_capability(h, emulator, "kvm",
                          "/domainCapabilities/features/launchSecurity[@supported='yes']"
                          "/enum[@name='sectype']/value[.='tdx']",
                          out, err);
}

bool cvm_hypervisor_has_tpm(struct cvm_hypervisor *h, const char *emulator, bool *out,
                            struct cvm_error *err)
{
    return has_capability(h, emulator, NULL,
                          "/domainCapabilities/devices/tpm[@supported='yes']"
                          "[enum[@name='model']/value='tpm-tis']"
                          "/enum[@name='backendModel']/value[.='emulator']",
                          out, err);
}

bool cvm_hypervisor_refuses_iommufd(struct cvm_hypervisor *h, const char *emulator, bool *out,
                                    struct cvm_error *err)
{
    return has_capability(h, emulator, "kvm",
                          "/domainCapabilities/devices/hostdev"
                          "/enum[@name='iommufd'][not(value='yes')]",
                          out, err);
}

/* --- domains --- */

/* The domain, or NULL where libvirt does not know it. */
static bool lookup(struct cvm_hypervisor *h, const char *uuid, virDomainPtr *out,
                   struct cvm_error *err)
{
    *out = virDomainLookupByUUIDString(h->connection, uuid);
    return *out != NULL || last_error_is(VIR_ERR_NO_DOMAIN) ? true : fail_libvirt(err, "look up");
}

/* The domain, which must exist. */
static bool require(struct cvm_hypervisor *h, const char *uuid, virDomainPtr *out,
                    struct cvm_error *err)
{
    if (!lookup(h, uuid, out, err)) {
        return false;
    }
    return *out != NULL ? true : cvm_fail(err, CVM_ERR_SYSTEM, "libvirt knows no domain %s", uuid);
}

const char *cvm_domain_state_word(enum cvm_domain_state state)
{
    static const char *const words[] = {
        [CVM_DOMAIN_ABSENT] = "absent",   [CVM_DOMAIN_OFF] = "off",
        [CVM_DOMAIN_RUNNING] = "running", [CVM_DOMAIN_PAUSED] = "paused",
        [CVM_DOMAIN_CRASHED] = "crashed",
    };
    return words[state];
}

static enum cvm_domain_state state_of(int state)
{
    switch (state) {
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_NOSTATE:
        return CVM_DOMAIN_OFF;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
        return CVM_DOMAIN_PAUSED;
    case VIR_DOMAIN_CRASHED:
        return CVM_DOMAIN_CRASHED;
    default: /* running, blocked, shutting down */
        return CVM_DOMAIN_RUNNING;
    }
}

bool cvm_hypervisor_state(struct cvm_hypervisor *h, const char *uuid, enum cvm_domain_state *out,
                          struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    int state = VIR_DOMAIN_NOSTATE;
    if (!lookup(h, uuid, &domain, err)) {
        return false;
    }
    if (domain == NULL) {
        *out = CVM_DOMAIN_ABSENT;
        return true;
    }
    if (virDomainGetState(domain, &state, NULL, 0) < 0) {
        if (!last_error_is(VIR_ERR_NO_DOMAIN)) {
            return fail_libvirt(err, "state");
        }
        *out = CVM_DOMAIN_ABSENT;
        return true;
    }
    *out = state_of(state);
    return true;
}

bool cvm_hypervisor_has_name(struct cvm_hypervisor *h, const char *name, bool *out,
                             struct cvm_error *err)
{
    autodomain virDomainPtr domain = virDomainLookupByName(h->connection, name);
    *out = domain != NULL;
    return domain != NULL || last_error_is(VIR_ERR_NO_DOMAIN) ? true
                                                              : fail_libvirt(err, "look up name");
}

bool cvm_hypervisor_define(struct cvm_hypervisor *h, const char *xml, struct cvm_error *err)
{
    autodomain virDomainPtr domain =
        virDomainDefineXMLFlags(h->connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
    return domain != NULL ? true : fail_libvirt(err, "define");
}

bool cvm_hypervisor_start_paused(struct cvm_hypervisor *h, const char *uuid, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    if (!require(h, uuid, &domain, err)) {
        return false;
    }
    return virDomainCreateWithFlags(domain, VIR_DOMAIN_START_PAUSED) == 0
               ? true
               : fail_libvirt(err, "start");
}

bool cvm_hypervisor_resume(struct cvm_hypervisor *h, const char *uuid, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    if (!require(h, uuid, &domain, err)) {
        return false;
    }
    return virDomainResume(domain) == 0 ? true : fail_libvirt(err, "resume");
}

bool cvm_hypervisor_forward(struct cvm_hypervisor *h, const char *uuid, unsigned nic,
                            const char *protocol, const char *address, unsigned host_port,
                            unsigned guest_port, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    cvm_autofree char *answer = NULL;
    char command[160];
    if (!require(h, uuid, &domain, err)) {
        return false;
    }
    /* The network back-end of alias ua-nicN is called hostua-nicN. */
    snprintf(command, sizeof command, "hostfwd_add hostua-nic%u %s:%s:%u-:%u", nic, protocol,
             address, host_port, guest_port);
    if (virDomainQemuMonitorCommand(domain, command, &answer, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP) <
        0) {
        return fail_libvirt(err, command);
    }
    if (answer != NULL && *answer != '\0') { /* the monitor says nothing when all is well */
        answer[strcspn(answer, "\r\n")] = '\0';
        return cvm_fail(err, CVM_ERR_SYSTEM, "port %u of %s: %s", host_port, address, answer);
    }
    return true;
}

/* --- stopping --- */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Until an event comes, or half a second has passed: events of a lost connection never come. */
static void await_event(struct cvm_hypervisor *h)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 500000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&h->mutex);
    pthread_cond_timedwait(&h->event, &h->mutex, &until);
    pthread_mutex_unlock(&h->mutex);
}

static bool is_alive(enum cvm_domain_state state)
{
    return state == CVM_DOMAIN_RUNNING || state == CVM_DOMAIN_PAUSED;
}

bool cvm_hypervisor_wait(struct cvm_hypervisor *h, const char *uuid, unsigned seconds,
                         bool *stopped, struct cvm_error *err)
{
    uint64_t start = now_ms();
    for (;;) {
        enum cvm_domain_state state = CVM_DOMAIN_ABSENT;
        if (!cvm_hypervisor_state(h, uuid, &state, err)) {
            return false;
        }
        *stopped = !is_alive(state);
        if (*stopped || (seconds != 0 && now_ms() - start >= UINT64_C(1000) * seconds)) {
            return true;
        }
        await_event(h);
    }
}

/* A domain that went away in the meantime has got what was asked for. */
static bool destroy(struct cvm_hypervisor *h, const char *uuid, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    if (!lookup(h, uuid, &domain, err)) {
        return false;
    }
    if (domain == NULL || virDomainDestroy(domain) == 0 || last_error_is(VIR_ERR_NO_DOMAIN) ||
        last_error_is(VIR_ERR_OPERATION_INVALID)) {
        return true;
    }
    return fail_libvirt(err, "destroy");
}

static bool press_power_button(struct cvm_hypervisor *h, const char *uuid, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    if (!lookup(h, uuid, &domain, err)) {
        return false;
    }
    if (domain == NULL || virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0 ||
        last_error_is(VIR_ERR_NO_DOMAIN) || last_error_is(VIR_ERR_OPERATION_INVALID)) {
        return true;
    }
    return fail_libvirt(err, "shut down");
}

/* A guest that still boots does not hear the button: it is pressed again now and then. */
static bool shut_down(struct cvm_hypervisor *h, const char *uuid, unsigned patience, bool *stopped,
                      struct cvm_error *err)
{
    enum { PRESS_EVERY = 5 };
    for (unsigned waited = 0; waited < patience && !*stopped; waited += PRESS_EVERY) {
        unsigned left = patience - waited;
        if (!press_power_button(h, uuid, err) ||
            !cvm_hypervisor_wait(h, uuid, left < PRESS_EVERY ? left : PRESS_EVERY, stopped, err)) {
            return false;
        }
    }
    return true;
}

bool cvm_hypervisor_stop(struct cvm_hypervisor *h, const char *uuid, unsigned patience,
                         bool *graceful, struct cvm_error *err)
{
    enum { FORCED_PATIENCE = 30 };
    enum cvm_domain_state state = CVM_DOMAIN_ABSENT;
    *graceful = true;
    if (!cvm_hypervisor_state(h, uuid, &state, err) || !is_alive(state)) {
        return err->code == CVM_OK;
    }
    bool stopped = false;
    bool can_hear = state == CVM_DOMAIN_RUNNING;
    if (can_hear && !shut_down(h, uuid, patience, &stopped, err)) {
        return false;
    }
    if (stopped) {
        return true;
    }
    *graceful = false;
    if (!destroy(h, uuid, err) || !cvm_hypervisor_wait(h, uuid, FORCED_PATIENCE, &stopped, err)) {
        return false;
    }
    return stopped ? true
                   : cvm_fail(err, CVM_ERR_SYSTEM, "the domain did not end within %d seconds",
                              FORCED_PATIENCE);
}

bool cvm_hypervisor_undefine(struct cvm_hypervisor *h, const char *uuid, struct cvm_error *err)
{
    autodomain virDomainPtr domain = NULL;
    if (!lookup(h, uuid, &domain, err)) {
        return false;
    }
    if (domain == NULL || virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_TPM) == 0 ||
        last_error_is(VIR_ERR_NO_DOMAIN)) {
        return true;
    }
    return fail_libvirt(err, "undefine");
}
