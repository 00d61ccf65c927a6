/* A queue of our own in front of the pool's, since a job that waits must be removable. */
#include "server/jobs.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct jobs {
    pthread_mutex_t lock;
    struct pool *pool;
    int wake;
    int capacity, waiting, running;
    int tickets; /* tasks in the pool's queue, each of which will take one waiting job, if any */
    struct exchange *first, *last; /* those that wait */
    struct exchange *done;
};

struct jobs *jobs_create(struct pool *pool, int capacity)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);

    if (!jobs)
        return NULL;
    jobs->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (jobs->wake < 0) {
        free(jobs);
        return NULL;
    }
    pthread_mutex_init(&jobs->lock, NULL);
    jobs->pool = pool;
    jobs->capacity = capacity;
    return jobs;
}

void jobs_destroy(struct jobs *jobs)
{
    pthread_mutex_destroy(&jobs->lock);
    close(jobs->wake);
    free(jobs);
}

int jobs_fd(const struct jobs *jobs)
{
    return jobs->wake;
}

static void push(struct jobs *jobs, struct exchange *exchange)
{
    exchange->waiting = true;
    exchange->next = NULL;
    exchange->previous = jobs->last;
    *(jobs->last ? &jobs->last->next : &jobs->first) = exchange;
    jobs->last = exchange;
    jobs->waiting++;
}

static void take(struct jobs *jobs, struct exchange *exchange)
{
    *(exchange->previous ? &exchange->previous->next : &jobs->first) = exchange->next;
    *(exchange->next ? &exchange->next->previous : &jobs->last) = exchange->previous;
    exchange->waiting = false;
    jobs->waiting--;
}

/* A ticket whose job was cancelled finds nobody, or serves the next one. */
static void run(void *arg)
{
    struct jobs *jobs = arg;
    struct exchange *exchange;

    pthread_mutex_lock(&jobs->lock);
    jobs->tickets--;
    exchange = jobs->first;
    if (exchange) {
        take(jobs, exchange);
        jobs->running++;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!exchange)
        return;

    exchange_answer(exchange);

    pthread_mutex_lock(&jobs->lock);
    jobs->running--;
    exchange->next = jobs->done;
    jobs->done = exchange;
    pthread_mutex_unlock(&jobs->lock);
    eventfd_write(jobs->wake, 1);
}

static bool full(const struct jobs *jobs)
{
    return jobs->waiting + jobs->running >= jobs->capacity;
}

bool jobs_full(struct jobs *jobs)
{
    bool is;

    pthread_mutex_lock(&jobs->lock);
    is = full(jobs);
    pthread_mutex_unlock(&jobs->lock);
    return is;
}

bool jobs_submit(struct jobs *jobs, struct exchange *exchange)
{
    bool taken;

    pthread_mutex_lock(&jobs->lock);
    taken = !full(jobs);
    if (taken && jobs->tickets <= jobs->waiting) {
        taken = pool_submit(jobs->pool, run, jobs);
        jobs->tickets += taken;
    }
    if (taken)
        push(jobs, exchange);
    pthread_mutex_unlock(&jobs->lock);
    return taken;
}

bool jobs_cancel(struct jobs *jobs, struct exchange *exchange)
{
    bool waited;

    pthread_mutex_lock(&jobs->lock);
    waited = exchange->waiting;
    if (waited)
        take(jobs, exchange);
    pthread_mutex_unlock(&jobs->lock);
    return waited;
}

void jobs_count(struct jobs *jobs, int *waiting, int *running)
{
    pthread_mutex_lock(&jobs->lock);
    *waiting = jobs->waiting;
    *running = jobs->running;
    pthread_mutex_unlock(&jobs->lock);
}

struct exchange *jobs_done(struct jobs *jobs)
{
    struct exchange *done;
    eventfd_t count;

    pthread_mutex_lock(&jobs->lock);
    eventfd_read(jobs->wake, &count);
    done = jobs->done;
    jobs->done = NULL;
    pthread_mutex_unlock(&jobs->lock);
    return done;
}
