/* HTTP load from one thread over many connections. Closed loop: each connection sends its next
 * request when the reply is there. Open loop: requests fall due at a fixed rate whether or not the
 * server keeps up, and their time counts from when they were due. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct load_reply {
    int status;
    const char *head, *body; /* the head's end is a NUL */
    size_t size;
};

struct load {
    int port, connections;
    double seconds, rate; /* rate 0: closed loop; else requests a second */
    const char *request;  /* head and body */
    size_t request_size;
    bool (*check)(void *arg, const struct load_reply *reply); /* every reply */
    void *arg;

    /* What came of it. */
    size_t done, wrong;
    double elapsed;
    double *ms; /* of each that is done, sorted; free() it */
};

/* false: the server could not be reached, or went away. */
bool load_run(struct load *load);

double load_now(void); /* seconds */
double load_quantile(const double *sorted, size_t count, double part);
void load_sort(double *values, size_t count);
