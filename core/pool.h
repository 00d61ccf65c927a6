/* The worker threads. A request is one task; a big layer splits itself over idle workers. */
#pragma once
#include <stdbool.h>

struct pool;

struct pool *pool_start(int workers, int queue_limit); /* NULL when it cannot; workers >= 1 */
void pool_drain(struct pool *pool);   /* runs what is queued, takes no more, joins */
void pool_destroy(struct pool *pool); /* drained first */
int pool_workers(const struct pool *pool);
int pool_slots(const struct pool *pool); /* one a worker, one for a caller from outside */
int pool_queued(struct pool *pool);      /* tasks that wait */
int pool_running(struct pool *pool);     /* tasks under way */

/* false: the queue is full, or the pool drains. Any thread. */
bool pool_submit(struct pool *pool, void (*run)(void *arg), void *arg);

/* Calls each(arg, index, slot) for every index below count and returns when all are done; the
 * caller works too. Calls that run at the same time have different slots, all below
 * pool_slots(). A NULL pool: the caller alone, slot 0. One outside caller at a time. */
void pool_for(struct pool *pool, int count, void (*each)(void *arg, int index, int slot),
              void *arg);
