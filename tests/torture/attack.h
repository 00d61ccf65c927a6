/* What the attacks on the running daemon share: requests that can be taken apart and mutated, a
 * client that neither blocks nor tidies up, and a look at the daemon's memory and files. */
#pragma once
#include "tests/http/harness.h"

/* A request before it has a length: head ends with the last header's line end. */
struct request {
    const char *says;
    const char *head;
    const char *body; /* NULL: none */
    size_t size;
    int status;  /* what it gets when all is well */
    bool steady; /* the reply's body is the same each time: no times, no ids */
};

/* Every route and every encoding, for a daemon with --layers; the memory is the running test's.
 * requests_warm sends each once: caches have what they keep, and PUT has made its layers. */
const struct request *requests_all(size_t *count);
void requests_warm(int port);

/* A temporary folder for --layers. */
const char *folder_create(void);
void folder_remove(const char *folder);

/* The bytes to send: head, Content-Length when there is a body, Connection: close. malloc'd. */
struct blob {
    char *data;
    size_t size;
};
struct blob request_bytes(const struct request *request);
struct blob request_with_body(const struct request *request, const void *body, size_t size);

enum {
    CLOSED = 0,  /* the connection ended without a byte, or nobody listens */
    SILENT = -1, /* nothing came, or not all of it, in the time given */
    BROKEN = -2  /* bytes that are no whole reply, then the end */
};
struct outcome {
    int status; /* of the reply, or one of those above */
    const char *head, *body;
    size_t size;    /* of the body */
    bool bodiless;  /* it was a HEAD */
    double ms;      /* from connecting to the last byte, */
    double late_ms; /*   and from our last byte on */
    char *data;     /* free() it */
};
struct outcome attack(int port, const void *bytes, size_t size, int patience_ms);

/* A problem document that says its own status, or what libmicrohttpd says by itself. */
bool outcome_is_problem(const struct outcome *outcome);

uint64_t random_bits(uint64_t *state);
size_t random_below(uint64_t *state, size_t count);

size_t process_kib(pid_t pid, const char *field); /* VmRSS, VmHWM of /proc/PID/status */
int process_files(pid_t pid);
void process_forget_peak(pid_t pid); /* VmHWM begins anew */

double quantile(double *values, size_t count, double part); /* sorts them */
size_t count_from(const char *name, size_t everyday);       /* a number in the environment */
