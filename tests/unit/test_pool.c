/* The worker threads. */
#include "tests/testing.h"

#include "core/pool.h"

#include <stdatomic.h>
#include <unistd.h>

enum { COUNT = 1000 };

struct seen {
    atomic_int times[COUNT], in_slot[16], clashes;
    int slots;
};

static void see(void *arg, int index, int slot)
{
    struct seen *seen = arg;

    if (slot < 0 || slot >= seen->slots || atomic_fetch_add(&seen->in_slot[slot], 1))
        atomic_fetch_add(&seen->clashes, 1);
    atomic_fetch_add(&seen->times[index], 1);
    atomic_fetch_sub(&seen->in_slot[slot], 1);
}

static void check_loop(struct pool *pool)
{
    struct seen seen = { .slots = pool_slots(pool) };

    pool_for(pool, COUNT, see, &seen);
    assert_int_equal(atomic_load(&seen.clashes), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(atomic_load(&seen.times[i]), 1);
}

TEST(a_loop_calls_every_index_once_and_no_slot_twice_at_a_time)
{
    check_loop(NULL);
    for (int workers = 1; workers < 8; workers++) {
        struct pool *pool = pool_start(workers, 4);

        for (int i = 0; i < 20; i++)
            check_loop(pool);
        pool_drain(pool);
        pool_destroy(pool);
    }
}

struct nested {
    struct pool *pool;
    atomic_int done;
};

static void loop_in_task(void *arg)
{
    struct nested *nested = arg;

    check_loop(nested->pool);
    atomic_fetch_add(&nested->done, 1);
}

TEST(tasks_that_split_themselves_all_end_and_a_drain_waits_for_them)
{
    struct pool *pool = pool_start(3, 64);
    struct nested nested = { .pool = pool };
    int taken = 0;

    for (int i = 0; i < 64; i++)
        taken += pool_submit(pool, loop_in_task, &nested);
    pool_drain(pool);
    assert_int_equal(atomic_load(&nested.done), taken);
    assert_int_equal(taken, 64);
    pool_destroy(pool);
}

static void wait_for(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        usleep(1000);
}

TEST(a_full_queue_takes_no_more_and_a_drained_pool_none)
{
    struct pool *pool = pool_start(1, 2);
    atomic_bool go = false;

    assert_true(pool_submit(pool, wait_for, &go));
    while (pool_queued(pool))
        usleep(1000);
    assert_int_equal(pool_running(pool), 1);
    assert_true(pool_submit(pool, wait_for, &go));
    assert_true(pool_submit(pool, wait_for, &go));
    assert_int_equal(pool_queued(pool), 2);
    assert_false(pool_submit(pool, wait_for, &go));
    atomic_store(&go, true);
    pool_drain(pool);
    assert_false(pool_submit(pool, wait_for, &go));
    pool_destroy(pool);
}
