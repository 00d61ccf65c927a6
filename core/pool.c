/* One lock, one ring of tasks, one list of loops that are being split. */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

struct task {
    void (*run)(void *arg);
    void *arg;
};

/* A pool_for under way. Its caller waits in it, so it lives on the caller's stack. */
struct loop {
    void (*each)(void *arg, int index, int slot);
    void *arg;
    int count;
    atomic_int next;
    int helpers; /* under the pool's lock */
    struct loop *older;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, helped;
    struct loop *loops;
    int first, queued, running, limit, workers;
    bool stopping;
    struct task *tasks; /* a ring of limit */
    pthread_t *threads;
};

struct worker {
    struct pool *pool;
    int slot;
};

static _Thread_local int my_slot = -1; /* -1 in a thread that is no worker */

/* A pool's callers from outside share one slot: only one may loop at a time. */
static int slot_of(const struct pool *pool)
{
    return !pool ? 0 : my_slot < 0 ? pool->workers : my_slot;
}

static void loop_run(struct loop *loop, int slot)
{
    for (int i; (i = atomic_fetch_add(&loop->next, 1)) < loop->count;)
        loop->each(loop->arg, i, slot);
}

static struct loop *loop_open(struct pool *pool)
{
    for (struct loop *loop = pool->loops; loop; loop = loop->older)
        if (atomic_load(&loop->next) < loop->count)
            return loop;
    return NULL;
}

static void help(struct pool *pool, struct loop *loop)
{
    loop->helpers++;
    pthread_mutex_unlock(&pool->lock);
    loop_run(loop, my_slot);
    pthread_mutex_lock(&pool->lock);
    if (!--loop->helpers)
        pthread_cond_broadcast(&pool->helped);
}

static void run_task(struct pool *pool)
{
    struct task task = pool->tasks[pool->first];

    pool->first = (pool->first + 1) % pool->limit;
    pool->queued--;
    pool->running++;
    pthread_mutex_unlock(&pool->lock);
    task.run(task.arg);
    pthread_mutex_lock(&pool->lock);
    pool->running--;
}

/* Under-way layers come before new requests: a request that has begun should end. */
static void *worker_main(void *arg)
{
    struct worker me = *(struct worker *)arg;
    struct loop *loop;

    free(arg);
    my_slot = me.slot;
    pthread_mutex_lock(&me.pool->lock);
    for (;;) {
        if ((loop = loop_open(me.pool)))
            help(me.pool, loop);
        else if (me.pool->queued)
            run_task(me.pool);
        else if (me.pool->stopping)
            break;
        else
            pthread_cond_wait(&me.pool->work, &me.pool->lock);
    }
    pthread_mutex_unlock(&me.pool->lock);
    return NULL;
}

/* Linux may wake a helper on the processor of its waker, where it waits for its turn, and leave it
 * there while another is idle: whole rows of layers ran on one processor. So workers that are as
 * many as the processors that we may use get one each. Fewer are left alone: each daemon's would
 * crowd on the same first ones. */
static void spread(const struct pool *pool)
{
    cpu_set_t ours, own;

    if (sched_getaffinity(0, sizeof ours, &ours) || CPU_COUNT(&ours) != pool->workers)
        return;
    for (int i = 0, cpu = 0; i < pool->workers; i++, cpu++) {
        while (!CPU_ISSET(cpu, &ours))
            cpu++;
        CPU_ZERO(&own);
        CPU_SET(cpu, &own);
        pthread_setaffinity_np(pool->threads[i], sizeof own, &own);
    }
}

static bool start_worker(struct pool *pool)
{
    struct worker *worker = malloc(sizeof *worker);

    if (!worker)
        return false;
    *worker = (struct worker){ pool, pool->workers };
    if (pthread_create(&pool->threads[pool->workers], NULL, worker_main, worker)) {
        free(worker);
        return false;
    }
    pool->workers++;
    return true;
}

struct pool *pool_start(int workers, int queue_limit)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->helped, NULL);
    pool->limit = queue_limit;
    pool->tasks = calloc((size_t)queue_limit, sizeof *pool->tasks);
    pool->threads = calloc((size_t)workers, sizeof *pool->threads);
    pthread_mutex_lock(&pool->lock); /* no worker runs before the count is final */
    while (pool->tasks && pool->threads && pool->workers < workers && start_worker(pool))
        continue;
    pthread_mutex_unlock(&pool->lock);
    if (pool->workers == workers) {
        spread(pool);
        return pool;
    }
    pool_drain(pool);
    pool_destroy(pool);
    return NULL;
}

void pool_drain(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->workers; i++)
        pthread_join(pool->threads[i], NULL);
}

void pool_destroy(struct pool *pool)
{
    pthread_cond_destroy(&pool->helped);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->tasks);
    free(pool);
}

int pool_workers(const struct pool *pool)
{
    return pool->workers;
}

int pool_slots(const struct pool *pool)
{
    return pool ? pool->workers + 1 : 1;
}

int pool_queued(struct pool *pool)
{
    int queued;

    pthread_mutex_lock(&pool->lock);
    queued = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

int pool_running(struct pool *pool)
{
    int running;

    pthread_mutex_lock(&pool->lock);
    running = pool->running;
    pthread_mutex_unlock(&pool->lock);
    return running;
}

bool pool_submit(struct pool *pool, void (*run)(void *arg), void *arg)
{
    bool taken;

    pthread_mutex_lock(&pool->lock);
    taken = pool->queued < pool->limit && !pool->stopping;
    if (taken) {
        pool->tasks[(pool->first + pool->queued++) % pool->limit] = (struct task){ run, arg };
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* The loop lives on its caller's stack, until unlink_loop() and the last helper's goodbye. */
static void link_loop(struct pool *pool, struct loop *loop)
{
    loop->older = pool->loops;
    pool->loops = loop;
}

static void unlink_loop(struct pool *pool, const struct loop *loop)
{
    struct loop **at = &pool->loops;

    while (*at != loop)
        at = &(*at)->older;
    *at = loop->older;
}

void pool_for(struct pool *pool, int count, void (*each)(void *arg, int index, int slot), void *arg)
{
    struct loop loop = { .each = each, .arg = arg, .count = count };

    if (!pool || count == 1) {
        loop_run(&loop, slot_of(pool));
        return;
    }
    pthread_mutex_lock(&pool->lock);
    link_loop(pool, &loop);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);

    loop_run(&loop, slot_of(pool));

    pthread_mutex_lock(&pool->lock);
    unlink_loop(pool, &loop);
    while (loop.helpers)
        pthread_cond_wait(&pool->helped, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
