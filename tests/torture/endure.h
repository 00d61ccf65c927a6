/* What the tests of endurance share: a helper process that reports through shared memory, a load
 * whose replies are sorted by status, numbers out of /metrics. */
#pragma once
#include "tests/bench/load_http.h"
#include "tests/torture/attack.h"

#include <stdatomic.h>

/* Layers of some milliseconds, of some twenty, and one that takes a worker much longer. */
#define LIGHT                                                                                      \
    "{\"image\":{\"sample\":\"noise\",\"size\":96},\"weights\":{\"random\":{\"seed\":1}},"         \
    "\"out_channels\":32,\"kernel_size\":9,\"format\":\"raw\"}"
#define MIDDLE                                                                                     \
    "{\"image\":{\"sample\":\"noise\",\"size\":224},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":128,\"kernel_size\":11,\"data\":\"none\"}"
#define HEAVY(algorithm, kernel_size)                                                              \
    "{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":24,\"kernel_size\":" kernel_size ",\"algorithm\":\"" algorithm               \
    "\",\"data\":\"none\"}"

/* POST /convolve with this body, as bytes; the running test's memory. */
const char *posted(const char *body);

double metric(struct daemon *daemon, const char *series); /* 0 when there is none */
void wait_for_metric(struct daemon *daemon, const char *series, double value);

/* Another process that works till it is told to stop or the test program ends. */
struct helper {
    pid_t pid;
    struct shared {
        atomic_bool stop, ready;
        atomic_long count, wrong; /* the helper's own use */
        double ms[1 << 20];
    } * shared;
};
struct helper helper_start(void (*work)(struct shared *shared, void *arg), void *arg);
void helper_stop(struct helper *helper);                  /* waits for it */
pid_t process_start(const char *const *argv, int log_fd); /* a program, which dies with us */

/* Replies by what became of them. */
struct tally {
    struct load *load;
    double until; /* load_now(): completions after it are not counted as in time */
    size_t done, refused, wrong, in_time;
    double *done_ms;
    char *body; /* of the first 200: all must be equal to it; NULL: not compared */
    size_t size;
    bool compare;
};
bool tally_reply(void *tally, const struct load_reply *reply);

/* Runs it and gives the requests a second that were done in time. rate 0: closed loop. */
double tally_run(struct tally *tally, int port, int connections, double rate, double seconds,
                 const char *request);
