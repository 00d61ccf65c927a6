/* Promise 9: ten times more than can be done is asked for, at a rate that does not wait for
 * answers; what can be done is done, the rest is told to come back. SECONDS=20. */
#include "tests/torture/endure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LONG_FORM = 20, QUEUE = 32, WORKERS = 2, FACTOR = 10 };

/* GET /livez each 10 ms on a connection of its own. */
static void ask_livez(struct shared *shared, void *arg)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int port = *(int *)arg;

    while (!atomic_load(&shared->stop)) {
        struct outcome outcome = attack(port, request, sizeof request - 1, 10000);
        long i = atomic_fetch_add(&shared->count, 1);

        shared->ms[i & ((1 << 20) - 1)] = outcome.ms;
        atomic_fetch_add(&shared->wrong, outcome.status != 200);
        free(outcome.data);
        usleep(10000);
    }
}

/* Seconds until a client alone is served as quickly as before. */
static double recovery(struct daemon *daemon, double usual_ms, const char *request)
{
    struct tally tally = { 0 };
    double began = load_now();

    do
        tally_run(&tally, daemon->port, 1, 0, 0.1, request);
    while (load_quantile(tally.done_ms, tally.done, 0.5) > 1.5 * usual_ms &&
           load_now() - began < 10);
    return load_now() - began;
}

TEST(ten_times_overload_leaves_the_goodput_the_accepted_and_the_probes_well)
{
    struct daemon *daemon = daemon_start("--log-level", "error", "--workers", "2", "--queue", "32");
    double seconds = (double)count_from("SECONDS", LONG_FORM), peak, usual, goodput, ended, back;
    const char *request = posted(MIDDLE);
    struct tally tally = { 0 };
    struct helper helper;
    double bound, p99, livez;
    long probes;

    tally_run(&tally, daemon->port, WORKERS, 0, 1, request);
    tally_run(&tally, daemon->port, 1, 0, 1, request);
    usual = load_quantile(tally.done_ms, tally.done, 0.5);
    peak = tally_run(&tally, daemon->port, 2 * WORKERS, 0, seconds / 4, request);
    printf("peak: %.1f requests/s; one client alone: p50 %.1f ms\n", peak, usual);

    helper = helper_start(ask_livez, &daemon->port);
    goodput = tally_run(&tally, daemon->port, 256, FACTOR * peak, seconds, request);
    ended = tally.until;
    back = recovery(daemon, usual, request) + (load_now() - ended > 10 ? 10 : 0);
    helper_stop(&helper);
    probes = atomic_load(&helper.shared->count);
    livez = quantile(helper.shared->ms, (size_t)probes, 0.99);
    p99 = load_quantile(tally.done_ms, tally.done, 0.99);
    bound = (QUEUE + WORKERS) / peak * 1e3 * 1.5 + 50;
    printf("%d x overload for %.0f s: %.0f requests/s asked for, %.1f/s done (%.1f %% of peak), "
           "%zu refused, %zu wrong\n",
           FACTOR, seconds, (double)(tally.done + tally.refused) / seconds, goodput,
           100 * goodput / peak, tally.refused, tally.wrong);
    printf("accepted: p50 %.0f ms, p99 %.0f ms (a full queue alone takes %.0f ms)\n",
           load_quantile(tally.done_ms, tally.done, 0.5), p99, (QUEUE + WORKERS) / peak * 1e3);
    printf("livez: %ld probes, p99 %.2f ms, %ld failed; back to normal after %.2f s\n", probes,
           livez, atomic_load(&helper.shared->wrong), back);
    assert_int_equal(tally.wrong, 0);
    assert_int_equal(atomic_load(&helper.shared->wrong), 0);
    assert_true(tally.refused > tally.done);
    if (seconds >= LONG_FORM) { /* a short form runs anywhere: it judges no times */
        assert_true(goodput >= 0.9 * peak);
        assert_true(p99 <= bound);
        assert_true(livez <= 50);
        assert_true(back <= 2);
    }
    assert_int_equal(daemon_stop(daemon), 0);
}
