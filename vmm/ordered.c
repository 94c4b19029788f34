#include "vmm/ordered.h"

#include "measure/base/cleanup.h"

#include <pthread.h>
#include <sched.h>

enum { MAX_THREADS = 64, SLOTS_PER_THREAD = 16 };

/* Slot i % num_slots belongs to job i, from when a thread picks it until it was taken. */
struct pool {
    const struct cvm_ordered *jobs;
    pthread_mutex_t mutex;
    pthread_cond_t finished; /* a job is done */
    pthread_cond_t room;     /* a slot is free, or everything ends */
    size_t next;             /* job to be picked */
    size_t taken;            /* jobs that were taken */
    bool stop;
    size_t num_slots;
    bool *done; /* by slot */
    char *slots;
};

static void *slot_of(const struct pool *p, size_t index)
{
    return p->slots + index % p->num_slots * p->jobs->slot_size;
}

static bool *done_of(const struct pool *p, size_t index)
{
    return &p->done[index % p->num_slots];
}

/* The next job, once there is a slot for it; false where there is none. */
static bool pick(struct pool *p, size_t *index)
{
    pthread_mutex_lock(&p->mutex);
    while (!p->stop && p->next < p->jobs->count && p->next - p->taken == p->num_slots) {
        pthread_cond_wait(&p->room, &p->mutex);
    }
    bool found = !p->stop && p->next < p->jobs->count;
    *index = p->next;
    p->next += found;
    pthread_mutex_unlock(&p->mutex);
    return found;
}

static void *run_jobs(void *data)
{
    struct pool *p = data;
    for (size_t index; pick(p, &index);) {
        p->jobs->work(p->jobs->context, index, slot_of(p, index));
        pthread_mutex_lock(&p->mutex);
        *done_of(p, index) = true;
        pthread_cond_signal(&p->finished);
        pthread_mutex_unlock(&p->mutex);
    }
    return NULL;
}

static void wait_for(struct pool *p, size_t index)
{
    pthread_mutex_lock(&p->mutex);
    while (!*done_of(p, index)) {
        pthread_cond_wait(&p->finished, &p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
}

static void drop(const struct pool *p, size_t index)
{
    if (p->jobs->drop != NULL) {
        p->jobs->drop(slot_of(p, index));
    }
    memset(slot_of(p, index), 0, p->jobs->slot_size);
    *done_of(p, index) = false;
}

static void give_back(struct pool *p, size_t index)
{
    pthread_mutex_lock(&p->mutex);
    drop(p, index);
    p->taken++;
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->mutex);
}

static bool take_all(struct pool *p, struct cvm_error *err)
{
    for (size_t i = 0; i < p->jobs->count; i++) {
        wait_for(p, i);
        bool ok = p->jobs->take(p->jobs->context, i, slot_of(p, i), err);
        give_back(p, i);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* One job after the other, where no thread could be started. */
static bool run_here(struct pool *p, struct cvm_error *err)
{
    for (size_t i = 0; i < p->jobs->count; i++) {
        p->jobs->work(p->jobs->context, i, slot_of(p, i));
        bool ok = p->jobs->take(p->jobs->context, i, slot_of(p, i), err);
        drop(p, i);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void finish(struct pool *p, const pthread_t *threads, unsigned count)
{
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = p->taken; i < p->next; i++) { /* done, but nobody wants them any more */
        drop(p, i);
    }
}

static unsigned count_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

bool cvm_ordered_run(const struct cvm_ordered *jobs, unsigned threads, struct cvm_error *err)
{
    unsigned wanted = threads == 0 ? count_cpus() : threads;
    wanted = wanted > MAX_THREADS ? MAX_THREADS : wanted;
    size_t num_slots = (size_t)wanted * SLOTS_PER_THREAD;
    cvm_autofree char *slots = calloc(num_slots, jobs->slot_size);
    cvm_autofree bool *done = calloc(num_slots, sizeof *done);
    if (slots == NULL || done == NULL) {
        return cvm_fail_nomem(err, "results", num_slots * jobs->slot_size);
    }
    struct pool p = {
        .jobs = jobs,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .finished = PTHREAD_COND_INITIALIZER,
        .room = PTHREAD_COND_INITIALIZER,
        .num_slots = num_slots,
        .done = done,
        .slots = slots,
    };
    pthread_t started[MAX_THREADS];
    unsigned count = 0;
    while (count < wanted && count < jobs->count &&
           pthread_create(&started[count], NULL, run_jobs, &p) == 0) {
        count++;
    }
    bool ok = count == 0 ? run_here(&p, err) : take_all(&p, err);
    finish(&p, started, count);
    return ok;
}
